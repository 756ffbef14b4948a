"""Decides what would happen to an event, without applying it."""

from typing import Final

from aiohttp.web import HTTPServiceUnavailable

from dedup.core.dead_letter import DeadLetter
from dedup.core.decide import Position, ProcessingTime, decide
from dedup.core.keys import key_named_in
from dedup.core.normal_event import NormalEvent
from dedup.core.times import microseconds, time_text
from dedup.streaming.application import DedupApp
from dedup.streaming.processor import wall_clock
from dedup.web.decision_results import check_result
from dedup.web.entity_models import models_of
from dedup.web.entity_rows import EntityRows
from dedup.web.group_queries import GroupQueries
from dedup.web.models import CheckResult
from dedup.web.partition_router import Ask, NoAnswerError, PartitionRouter

NEXT_OFFSET: Final = 2**63 - 1
"""An offset greater than that of every event applied, so the event never counts as replayed."""


class EventChecks:
    """Decides on events by the known states, whichever worker holds them."""

    def __init__(
        self, app: DedupApp, rows: EntityRows, router: PartitionRouter, group: GroupQueries
    ) -> None:
        self._app = app
        self._rows = rows
        self._models = models_of(app.settings.entity)
        self._router = router
        self._group = group

    async def check(self, value: bytes, key: str | None, *, local: bool) -> CheckResult:
        """Return the decision on an event, from the states of the worker that owns the row.

        Without a key, the event's id is the key. Raises HTTPServiceUnavailable if the
        row may be owned by a worker that does not answer.
        """
        codec = self._app.deduplicator.rules.codec
        record_key = (
            key_named_in(codec.entity, value)
            if key is None
            else key.encode("utf-8", "surrogateescape")
        )
        event = codec.read(record_key, value)
        if local or not isinstance(event, NormalEvent):
            return self._result(event)
        found = await self._group.row(event.id, brief=True)
        if not found.known or found.worker in (None, self._router.this):
            result = self._result(event)
        else:
            result = await self._ask(str(found.worker), value, record_key)
        if not found.also:
            return result
        others = ", ".join(str(place.partition) for place in found.also)
        name = self._models.wording.words["name"]
        also = (
            f" This is the decision in partition {found.partition}; the {name} is also known in "
            f"partition {others}."
        )
        return result.model_copy(update={"why": result.why + also})

    def _result(self, event: NormalEvent | DeadLetter) -> CheckResult:
        partition, state = 0, None
        if isinstance(event, NormalEvent):
            self._rows.refuse_unless_recovered()
            if found := self._rows.find(event.id):
                partition, state = found[0]
        now = wall_clock()
        clock = ProcessingTime(microseconds(now), time_text(now))
        at = Position(partition, NEXT_OFFSET)
        rules = self._app.deduplicator.rules
        return check_result(event, state, decide(event, state, at, clock, rules), at, rules)

    async def _ask(self, owner: str, value: bytes, key: bytes | None) -> CheckResult:
        query = {} if key is None else {"key": key.decode()}
        try:
            return await self._router.ask(
                owner, self._models.of(CheckResult), Ask("/api/check", query, value)
            )
        except NoAnswerError as error:
            raise HTTPServiceUnavailable(text=str(error)) from error
