"""What the whole group knows: this worker's answer and those of the others, made one.

What no worker answered for is named in each answer.
"""

import asyncio
from collections.abc import Coroutine, Iterable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any, Final

from aiohttp.web import HTTPServiceUnavailable

from dedup.web.merging import merged_list, merged_overview, merged_product
from dedup.web.models import Overview, ProductDetail, ProductList, Unanswered, Worker
from dedup.web.overview import Overviews
from dedup.web.partition_router import Answer, Ask, PartitionRouter, named_partitions
from dedup.web.products import SCANNED_FOR_S, Products

ASKED_EVERY_S: Final = 1.0
"""The overviews of the other workers are asked for once in this time, whoever looks."""


class WholeGroup:
    """Answers for the whole group."""

    def __init__(self, owners: PartitionRouter, products: Products, overviews: Overviews) -> None:
        self._owners = owners
        self._products = products
        self._overviews = overviews
        self._asking = asyncio.Lock()
        self._asked_at = -ASKED_EVERY_S
        self._others: tuple[list[Overview], list[Unanswered]] = ([], [])

    async def product(self, product_id: int, *, brief: bool = False) -> ProductDetail:
        """Return a product wherever it is; in brief, without the decisions.

        Raises HTTPServiceUnavailable if it may be with a worker that does not answer.
        """
        ask = Ask(f"/api/products/{product_id}", {"brief": "1"} if brief else {})
        mine = self._products.product(product_id, brief=brief)
        answers, unanswered = await self._all(ProductDetail, ask, mine)
        covered = {partition for answer in answers for partition in answer.searched}
        unanswered = self._owners.not_covered(covered, unanswered)
        found = merged_product(answers, unanswered) if answers else None
        if found is not None and (found.known or not unanswered):
            return found
        raise HTTPServiceUnavailable(
            text=f"Whether product {product_id} is known can't be said now: it is not known in "
            f"{named_partitions(covered)}. {sentences(unanswered)} `dedup inspect {product_id}` "
            "reads the topics and needs no worker."
        )

    async def page(self, after: int, before: int | None, search: str) -> ProductList:
        """Return a page of the products of all workers, by product_id."""
        query = {"search": search, "after": str(after)}
        if before is not None:
            query["before"] = str(before)
        mine = self._products.page(
            after=after, before=before, search=search, within_s=SCANNED_FOR_S
        )
        answers, unanswered = await self._all(ProductList, Ask("/api/products", query), mine)
        covered = {partition for answer in answers for partition in answer.searched}
        unanswered = self._owners.not_covered(covered, unanswered)
        if not answers:
            raise HTTPServiceUnavailable(text=sentences(unanswered))
        return merged_list(answers, unanswered, after, before, search)

    async def _all(
        self, model: type[Answer], ask: Ask, mine: Coroutine[Any, Any, Answer]
    ) -> tuple[list[Answer], list[Unanswered]]:
        """Return this worker's answer and those of the others, and who gave none."""
        own = asyncio.ensure_future(mine)
        try:
            self._owners.refuse_while_starting()
            answers, unanswered = await self._owners.ask_others(model, ask)
            with self._named(unanswered):
                answers.append(await own)
        finally:
            own.cancel()
        return answers, unanswered

    @contextmanager
    def _named(self, unanswered: list[Unanswered]) -> Iterator[None]:
        """Name this worker where it can't answer itself."""
        try:
            yield
        except HTTPServiceUnavailable as error:
            url = self._owners.this
            unanswered.append(
                Unanswered(
                    worker=url,
                    partitions=self._owners.workers().get(url, []),
                    since=None,
                    why=f"The worker at {url} answers: {error.text}",
                )
            )

    async def overview(self) -> Overview:
        """Return this worker's overview with the group's figures."""
        async with self._asking:
            if monotonic() - self._asked_at >= ASKED_EVERY_S:
                self._others = await self._owners.ask_others(Overview, Ask("/api/overview"))
                self._asked_at = monotonic()
        mine = self._overviews.overview()
        others, silent = self._others
        answers = {answer.worker: answer for answer in (*others, mine)}
        covered = {each.partition for answer in answers.values() for each in answer.partitions}
        lacking = self._owners.not_covered(covered, silent)
        idle = [each for each in silent if not each.partitions]
        return mine.model_copy(
            update={
                "group": merged_overview(list(answers.values()), [*lacking, *idle]),
                "workers": [
                    _with_figures(worker, answers.get(worker.url)) for worker in mine.workers
                ],
            }
        )


def sentences(unanswered: Iterable[Unanswered]) -> str:
    """Return why there are no answers, as one text."""
    return " ".join(each.why for each in unanswered)


def _with_figures(worker: Worker, answer: Overview | None) -> Worker:
    if answer is None:
        return worker
    figures = answer.figures()
    return worker.model_copy(
        update={"state": answer.state, "warnings": answer.warnings, "figures": figures}
    )
