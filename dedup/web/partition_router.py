"""Requests to the other workers of the group, so that every worker shows what all of them know.

A row is in the partition of its events. Producers partition keys in different ways (murmur2,
CRC32, by hand), so no hash tells the owner: every worker returns what it knows and which partitions
it searched. Faust's assignor distributes which worker owns which partitions, and the address of
each worker (`DEDUP_WEB_URL`).

Requests have a timeout (`ANSWER_WITHIN_S`) and are sent concurrently, so a worker that does not
answer delays a page by that time at most. A worker that is asked (`local=1`) asks no other.
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
    """A request to a worker: the path, the query, and a body to POST."""

    path: str
    query: dict[str, str] = {}  # noqa: RUF012 - never written to
    body: bytes | None = None


class NoAnswerError(ExplainedError):
    """A worker did not answer; `unanswered` contains its address, the cause and what to do."""

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
            reason = str(error) or f"no response within {ANSWER_WITHIN_S:.0f} s"
            raise NoAnswerError(self._silent(url, reason)) from error
        self._silent_since.pop(url, None)
        return found

    async def _read(self, url: str, model: type[Answer], response: ClientResponse) -> Answer:
        body, status = await response.read(), response.status
        if status == HTTPUnauthorized.status_code:
            why = "rejects this worker's DEDUP_WEB_TOKEN. Set the same token on every worker."
        elif status == HTTPServiceUnavailable.status_code:
            why = f"answers: {_error_in(body)}"
        elif status in (200, HTTPNotFound.status_code):  # 404: what is not known there
            try:
                return model.model_validate_json(body)
            except ValidationError:
                why = "sends a response that this version can't read. Run one version in the group."
        else:
            why = f"answers with status {status}."
        raise NoAnswerError(self._unanswered(url, f"The worker at {url} {why}"))

    def _silent(self, url: str, reason: str) -> Unanswered:
        since = self._silent_since.setdefault(url, instant(int(time() * 1_000_000)) or "")
        why = (
            f"The worker at {url} has not answered since {since[11:19]} UTC ({reason}). If it has "
            "stopped, other workers take over its partitions within a minute. If it is running, "
            "set DEDUP_WEB_URL there to an address that this worker can reach."
        )
        return self._unanswered(url, why, since)

    def _unanswered(self, url: str, why: str, since: str | None = None) -> Unanswered:
        partitions = self.workers().get(url, [])
        return Unanswered(worker=url, partitions=partitions, since=since, why=why)

    async def ask_others(
        self, model: type[Answer], ask: Ask
    ) -> tuple[list[Answer], list[Unanswered]]:
        """Return the answers of all other workers of the group, and the workers that gave none."""
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
        """Return the partitions that no answer covers, by the worker that should have answered.

        The answers count, not the assignment, which is outdated while the group rebalances.
        """
        left = set(range(self._app.partitions)) - set(covered)
        found: list[Unanswered] = []
        for each in unanswered:
            if missing := left.intersection(each.partitions):
                found.append(each.model_copy(update={"partitions": sorted(missing)}))
                left -= missing
        if left:
            why = (
                f"No worker is known to own {named_partitions(left)}: the group is rebalancing. "
                "Try again in a few seconds. If this persists, two workers have the same address: "
                "set DEDUP_WEB_URL on each."
            )
            found.append(Unanswered(worker=None, partitions=sorted(left), since=None, why=why))
        return found


def named_partitions(partitions: Collection[int]) -> str:
    """Return partitions as text: `partitions 0, 2`."""
    if not partitions:
        return "no partition"
    numbers = ", ".join(map(str, sorted(partitions)))
    return f"partition{'s' if len(partitions) > 1 else ''} {numbers}"


def _error_in(body: bytes) -> str:
    try:
        return Error.model_validate_json(body).error
    except ValidationError:
        return "it is not available."
