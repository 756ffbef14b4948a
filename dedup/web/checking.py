"""What would happen to an event, without applying it."""

from typing import Final

from aiohttp.web import HTTPServiceUnavailable

from dedup.core.deadletter import DeadLetter
from dedup.core.decide import Position, ProcessingTime, decide
from dedup.core.event import Event, microseconds, time_text
from dedup.core.read import read_event
from dedup.core.strict_json import key_named_in
from dedup.streaming.application import DedupApp
from dedup.streaming.processor import wall_clock
from dedup.web.group import WholeGroup
from dedup.web.models import CheckResult
from dedup.web.partition_router import Ask, NoAnswerError, PartitionRouter
from dedup.web.products import Products
from dedup.web.verdicts import verdict

NEXT_OFFSET: Final = 2**63 - 1
"""The offset of an event that is yet to come: it is never taken for one applied already."""


class Checks:
    """Gives verdicts on events by the known states, wherever those are."""

    def __init__(
        self, app: DedupApp, products: Products, owners: PartitionRouter, group: WholeGroup
    ) -> None:
        self._app = app
        self._products = products
        self._owners = owners
        self._group = group

    async def check(self, value: bytes, key: str | None, *, local: bool) -> CheckResult:
        """Return the verdict on an event, by the states of this worker or of the one that has it.

        Without a key it is the product_id that the event names. Raises HTTPServiceUnavailable when
        the state of the product may be with a worker that does not answer.
        """
        record_key = key_named_in(value) if key is None else key.encode("utf-8", "surrogateescape")
        event = read_event(record_key, value)
        if local or not isinstance(event, Event):
            return self._verdict(event)
        found = await self._group.product(event.product_id, brief=True)
        if not found.known or found.worker in (None, self._owners.this):
            told = self._verdict(event)
        else:
            told = await self._ask(str(found.worker), value, record_key)
        if not found.also:
            return told
        others = ", ".join(str(place.partition) for place in found.also)
        also = (
            f" This is the verdict in partition {found.partition}; the product is known in "
            f"partition {others} too."
        )
        return told.model_copy(update={"why": told.why + also})

    def _verdict(self, event: Event | DeadLetter) -> CheckResult:
        partition, state = 0, None
        if isinstance(event, Event):
            self._products.refuse_unless_recovered()
            if found := self._products.find(event.product_id):
                partition, state = found[0]
        now = wall_clock()
        clock = ProcessingTime(microseconds(now), time_text(now))
        at = Position(partition, NEXT_OFFSET)
        rules = self._app.deduplicator.rules
        return verdict(event, state, decide(event, state, at, clock, rules), at, rules)

    async def _ask(self, owner: str, value: bytes, key: bytes | None) -> CheckResult:
        query = {} if key is None else {"key": key.decode()}
        try:
            return await self._owners.ask(owner, CheckResult, Ask("/api/check", query, value))
        except NoAnswerError as error:
            raise HTTPServiceUnavailable(text=str(error)) from error
