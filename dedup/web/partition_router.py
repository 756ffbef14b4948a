"""The workers of the group, and asking them: so that every worker shows what all of them know.

A product is where its events are. Producers place keys in different ways (murmur2, CRC32, by hand),
so no hash tells the owner: every worker says what it knows and which partitions it looked in.
Which partitions a worker owns is what Faust's assignor told the group, with the address each is
reached at (`DEDUP_WEB_URL`).

An answer is bounded in time (`ANSWER_WITHIN_S`), and workers are asked concurrently: one that does
not answer delays a page by that much and no more. A worker that is asked (`local=1`) asks no other.
"""

import asyncio
from collections.abc import Collection, Iterable
from time import time
from typing import Final, NamedTuple, TypeVar

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, hdrs
from aiohttp.web import HTTPNotFound, HTTPServiceUnavailable, HTTPUnauthorized
from pydantic import BaseModel, ValidationError

from dedup.core.errors import ExplainedError
from dedup.core.explain import instant
from dedup.settings import Settings
from dedup.streaming.application import DedupApp
from dedup.web.models import Error, Unanswered

ANSWER_WITHIN_S: Final = 2.0

Answer = TypeVar("Answer", bound=BaseModel)


class Ask(NamedTuple):
    """What a worker is asked: the address under its own, the query, and a body to POST."""

    path: str
    query: dict[str, str] = {}  # noqa: RUF012 - never written to
    body: bytes | None = None


class NoAnswerError(ExplainedError):
    """A worker gave no answer; `unanswered` names it, and says why and what to do."""

    def __init__(self, unanswered: Unanswered) -> None:
        super().__init__(unanswered.why)
        self.unanswered = unanswered


class PartitionRouter:
    """The workers of the group, by the partitions they own."""

    def __init__(self, app: DedupApp, settings: Settings) -> None:
        self._app = app
        self._changelog = settings.KAFKA_SRC_PRODUCTS_TOPIC
        token = settings.DEDUP_WEB_TOKEN
        self._headers = (
            {} if token is None else {hdrs.AUTHORIZATION: f"Bearer {token.get_secret_value()}"}
        )
        self._silent_since: dict[str, str] = {}

    @property
    def this(self) -> str:
        """The address of this worker's pages."""
        return str(self._app.conf.canonical_url).rstrip("/")

    def refuse_while_starting(self) -> None:
        """Raise HTTPServiceUnavailable before the partitions are known."""
        if not self._app.partitions:
            raise HTTPServiceUnavailable(text="The worker is starting.")

    def workers(self) -> dict[str, list[int]]:
        """Return the partitions of each worker of the group, by its address."""
        return {
            str(url).rstrip("/"): sorted(topics.get(self._changelog, ()))
            for url, topics in self._app.assignor.tables_metadata().items()
        }

    async def ask(self, url: str, model: type[Answer], ask: Ask) -> Answer:
        """Return a worker's own answer. Raises NoAnswerError without one."""
        try:
            async with (
                ClientSession(
                    timeout=ClientTimeout(total=ANSWER_WITHIN_S), headers=self._headers
                ) as session,
                session.request(
                    hdrs.METH_GET if ask.body is None else hdrs.METH_POST,
                    f"{url}{ask.path}",
                    data=ask.body,
                    params={**ask.query, "local": "1"},
                    allow_redirects=False,
                ) as response,
            ):
                found = await self._read(url, model, response)
        except (ClientError, TimeoutError) as error:
            reason = str(error) or f"nothing came within {ANSWER_WITHIN_S:.0f} s"
            raise NoAnswerError(self._silent(url, reason)) from error
        self._silent_since.pop(url, None)
        return found

    async def _read(self, url: str, model: type[Answer], response: ClientResponse) -> Answer:
        body, status = await response.read(), response.status
        if status == HTTPUnauthorized.status_code:
            why = "refuses this worker's DEDUP_WEB_TOKEN: every worker of the group needs the same."
        elif status == HTTPServiceUnavailable.status_code:
            why = f"answers: {_error_in(body)}"
        elif status in (200, HTTPNotFound.status_code):  # 404: a product that is not known there
            try:
                return model.model_validate_json(body)
            except ValidationError:
                why = "gives an answer that this version can't read: run one version in the group."
        else:
            why = f"answers with status {status}."
        raise NoAnswerError(self._unanswered(url, f"The worker at {url} {why}"))

    def _silent(self, url: str, reason: str) -> Unanswered:
        since = self._silent_since.setdefault(url, instant(int(time() * 1_000_000)) or "")
        why = (
            f"The worker at {url} has not answered since {since[11:19]} UTC ({reason}). If it has "
            "ended, other workers take its partitions over within a minute. If it runs, it must be "
            "reachable from here at that address: set DEDUP_WEB_URL there."
        )
        return self._unanswered(url, why, since)

    def _unanswered(self, url: str, why: str, since: str | None = None) -> Unanswered:
        partitions = self.workers().get(url, [])
        return Unanswered(worker=url, partitions=partitions, since=since, why=why)

    async def ask_others(
        self, model: type[Answer], ask: Ask
    ) -> tuple[list[Answer], list[Unanswered]]:
        """Return the answers of all other workers of the group, and who gave none."""
        others = [url for url in sorted(self.workers()) if url != self.this]
        self._silent_since = {u: t for u, t in self._silent_since.items() if u in others}
        found = await asyncio.gather(
            *(self.ask(url, model, ask) for url in others), return_exceptions=True
        )
        answers: list[Answer] = []
        unanswered: list[Unanswered] = []
        for each in found:
            if isinstance(each, NoAnswerError):
                unanswered.append(each.unanswered)
            elif isinstance(each, BaseException):
                raise each
            else:
                answers.append(each)
        return answers, unanswered

    def not_covered(
        self, covered: Iterable[int], unanswered: Iterable[Unanswered]
    ) -> list[Unanswered]:
        """Return which partitions no answer covers, by the worker that should have answered.

        Answers count, not the assignment: it is old while the group rebalances.
        """
        left = set(range(self._app.partitions)) - set(covered)
        found: list[Unanswered] = []
        for each in unanswered:
            if missing := left.intersection(each.partitions):
                found.append(each.model_copy(update={"partitions": sorted(missing)}))
                left -= missing
        if left:
            why = (
                f"No worker is known to own {named_partitions(left)} now: the group is "
                "rebalancing. Try again in some seconds. If it stays so, two workers have the same "
                "address: set DEDUP_WEB_URL of each."
            )
            found.append(Unanswered(worker=None, partitions=sorted(left), since=None, why=why))
        return found


def named_partitions(partitions: Collection[int]) -> str:
    """Return partitions as words in a sentence."""
    if not partitions:
        return "no partition"
    numbers = ", ".join(map(str, sorted(partitions)))
    return f"partition{'s' if len(partitions) > 1 else ''} {numbers}"


def _error_in(body: bytes) -> str:
    try:
        return Error.model_validate_json(body).error
    except ValidationError:
        return "it is not available."
