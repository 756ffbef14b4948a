"""Queries to the whole group: this worker's answer merged with those of all other workers.

Each answer lists the partitions that no worker answered for.
"""

import asyncio
from collections.abc import Coroutine, Iterable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any, Final

from aiohttp.web import HTTPServiceUnavailable

from dedup.core.keys import Id
from dedup.streaming.application import DedupApp
from dedup.web.entity_models import models_of
from dedup.web.entity_rows import SCANNED_FOR_S, EntityRows, inspect_command
from dedup.web.entity_view import shown_id, view_of
from dedup.web.merge_answers import merge_details, merge_lists, merge_overviews
from dedup.web.models import (
    EntityDetail,
    EntityList,
    Figures,
    Group,
    Overview,
    Place,
    Unanswered,
    Worker,
)
from dedup.web.overview import Overviews
from dedup.web.partition_router import Answer, Ask, PartitionRouter, named_partitions

ASKED_EVERY_S: Final = 1.0
"""The other workers are asked for their overviews once in this time, however many people look."""


class GroupQueries:
    """Answers queries for the whole group."""

    def __init__(
        self, app: DedupApp, router: PartitionRouter, rows: EntityRows, overviews: Overviews
    ) -> None:
        self._models = models_of(app.settings.entity)
        self._view = view_of(app.settings.entity)
        self._router = router
        self._rows = rows
        self._overviews = overviews
        self._asking = asyncio.Lock()
        self._asked_at = -ASKED_EVERY_S
        self._others: tuple[list[Overview], list[Unanswered]] = ([], [])

    async def row(self, row_id: Id, *, brief: bool = False) -> EntityDetail:
        """Return what is known of an id, whichever worker owns it; if brief, without decisions.

        Raises HTTPServiceUnavailable if a worker that does not answer may own it.
        """
        ask = Ask(f"/api{self._view.page(row_id)}", {"brief": "1"} if brief else {})
        mine = self._rows.row(row_id, brief=brief)
        answers, unanswered = await self._all(self._models.of(EntityDetail), ask, mine)
        covered = {partition for answer in answers for partition in answer.searched}
        unanswered = self._router.not_covered(covered, unanswered)
        found = merge_details(answers, unanswered, self._models.of(Place)) if answers else None
        if found is not None and (found.known or not unanswered):
            return found
        raise HTTPServiceUnavailable(
            text=f"Not every partition could be searched for {self._view.name} "
            f"{shown_id(row_id)}: it is not known in {named_partitions(covered)}. "
            f"{joined_reasons(unanswered)} `{inspect_command(row_id)}` reads the topics and needs "
            "no worker."
        )

    async def page(self, after: Id | None, before: Id | None, search: str) -> EntityList:
        """Return a page of the rows of all workers, ordered by id."""
        cursors = {"after": after, "before": before}
        query = {name: str(cursor) for name, cursor in cursors.items() if cursor is not None}
        query["search"] = search
        mine = self._rows.page(after=after, before=before, search=search, within_s=SCANNED_FOR_S)
        answers, unanswered = await self._all(
            self._models.of(EntityList), Ask(f"/api{self._view.path}", query), mine
        )
        covered = {partition for answer in answers for partition in answer.searched}
        unanswered = self._router.not_covered(covered, unanswered)
        if not answers:
            raise HTTPServiceUnavailable(text=joined_reasons(unanswered))
        return merge_lists(answers, unanswered, after, before, search)

    async def _all(
        self, model: type[Answer], ask: Ask, mine: Coroutine[Any, Any, Answer]
    ) -> tuple[list[Answer], list[Unanswered]]:
        """Return the answers of this and all other workers, and the workers that gave none."""
        own = asyncio.ensure_future(mine)
        try:
            self._router.refuse_while_starting()
            answers, unanswered = await self._router.ask_others(model, ask)
            with self._listed(unanswered):
                answers.append(await own)
        finally:
            own.cancel()
        return answers, unanswered

    @contextmanager
    def _listed(self, unanswered: list[Unanswered]) -> Iterator[None]:
        """Add this worker to `unanswered` if it can't answer itself."""
        try:
            yield
        except HTTPServiceUnavailable as error:
            url = self._router.this
            unanswered.append(
                Unanswered(
                    worker=url,
                    partitions=self._router.workers().get(url, []),
                    since=None,
                    why=f"The worker at {url} answers: {error.text}",
                )
            )

    async def overview(self) -> Overview:
        """Return this worker's overview with the group's figures."""
        async with self._asking:
            if monotonic() - self._asked_at >= ASKED_EVERY_S:
                self._others = await self._router.ask_others(
                    self._models.of(Overview), Ask("/api/overview")
                )
                self._asked_at = monotonic()
        mine = self._overviews.overview()
        others, silent = self._others
        answers = {answer.worker: answer for answer in (*others, mine)}
        covered = {each.partition for answer in answers.values() for each in answer.partitions}
        missing = self._router.not_covered(covered, silent)
        idle = [each for each in silent if not each.partitions]
        return mine.model_copy(
            update={
                "group": merge_overviews(
                    self._models.of(Group), list(answers.values()), [*missing, *idle]
                ),
                "workers": [
                    self._with_figures(worker, answers.get(worker.url)) for worker in mine.workers
                ],
            }
        )

    def _with_figures(self, worker: Worker, answer: Overview | None) -> Worker:
        if answer is None:
            return worker
        figures = self._models.of(Figures)(
            **{name: getattr(answer, name) for name in Figures.model_fields}
        )
        return worker.model_copy(
            update={"state": answer.state, "warnings": answer.warnings, "figures": figures}
        )


def joined_reasons(unanswered: Iterable[Unanswered]) -> str:
    """Return the reasons for all missing answers as one text."""
    return " ".join(each.why for each in unanswered)
