"""What would happen to an event, without applying it."""

from typing import Final

from dedup.core.decide import Clock, Position, decide
from dedup.core.document import key_named_in
from dedup.core.event import Event, microseconds, time_text
from dedup.core.read import read_event
from dedup.streaming.agent import wall_clock
from dedup.streaming.application import DedupApp
from dedup.web.models import Verdict
from dedup.web.owners import Owners
from dedup.web.products import Products
from dedup.web.verdicts import verdict

NEXT_OFFSET: Final = 2**63 - 1
"""The offset of an event that is yet to come: it is never taken for one applied already."""


class Checks:
    """Gives verdicts on events by the known states, wherever those are."""

    def __init__(self, app: DedupApp, products: Products, owners: Owners) -> None:
        self._app = app
        self._products = products
        self._owners = owners

    async def check(self, value: bytes, key: str | None, *, local: bool) -> Verdict | None:
        """Give the verdict on an event; None if another worker has to, and only this was asked.

        Without a key it is the product_id that the event names.
        """
        record_key = key_named_in(value) if key is None else key.encode("utf-8", "surrogateescape")
        event = read_event(record_key, value)
        partition, state = 0, None
        if isinstance(event, Event):
            found = self._products.find(event.product_id)
            if found is None:
                return None if local else await self._ask(event.product_id, value, record_key)
            partition, state = found
        now = wall_clock()
        clock = Clock(microseconds(now), time_text(now))
        at = Position(partition, NEXT_OFFSET)
        rules = self._app.deduplicator.rules
        return verdict(event, state, decide(event, state, at, clock, rules), at, rules)

    async def _ask(self, product_id: int, value: bytes, key: bytes) -> Verdict:
        owner = self._owners.url_of(self._owners.partition_of(product_id))
        found = await self._owners.ask(owner, "/api/check", value, key=key.decode())
        return Verdict.model_validate(found)
