"""The known products: a page of the list, a search, and one product with its last decisions."""

import asyncio
import heapq
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final, cast

import msgspec
from aiohttp.web import HTTPServiceUnavailable

from dedup.core.explain import instant
from dedup.core.state import UNKNOWN_SOURCE, State
from dedup.streaming.application import DedupApp, StateTableManager
from dedup.streaming.table import StateTable
from dedup.web.lookup import read_source_record, verdict_from_record
from dedup.web.models import PastVerdict, Product, ProductLine, ProductList
from dedup.web.owners import Owners
from dedup.web.verdicts import past_verdict

PAGE: Final = 50
DECISIONS_SHOWN: Final = 20
LOOKED_UP_KEPT: Final = 64
MAX_PRODUCT_ID: Final = 2**63 - 1

SCANNED_AT_ONCE: Final = 500
"""Products looked at before the loop goes on: about a millisecond."""

SCANNED_PER_PAGE: Final = 20_000
"""Products a search looks at for one page; the page then says where to go on."""

_Scanned = tuple[int, bytes | None]


class Products:
    """The products in this worker's partitions; one product wherever it is."""

    def __init__(self, app: DedupApp, table: StateTable, owners: Owners) -> None:
        self._app = app
        self._table = table
        self._owners = owners
        self._looked_up: dict[int, tuple[State, PastVerdict | None]] = {}

    async def page(
        self, *, after: int = 0, before: int | None = None, search: str = ""
    ) -> ProductList:
        """Give the products after an id, or those before one, whose id or name matches.

        Without a search a page costs as many products as it shows, and the deleted ones among them.
        """
        backwards = before is not None
        at = after + 1 if before is None else before - 1
        wanted = search.casefold().strip()
        found: list[ProductLine] = []
        scanned, ended = 0, at > MAX_PRODUCT_ID or at < 1
        while not ended and len(found) < PAGE and scanned < SCANNED_PER_PAGE:
            some = self._scan(at, SCANNED_AT_ONCE if wanted else PAGE, backwards=backwards)
            for product_id, row in some:
                at = product_id - 1 if backwards else product_id + 1
                scanned += 1
                line = None if row is None else _matching(product_id, row, wanted)
                if line is not None:
                    found.append(line)
                    if len(found) == PAGE:
                        break
            ended = not some or at < 1
            await asyncio.sleep(0)
        rest = [] if ended else self._scan(at, 1, backwards=backwards)
        previous = after + 1 if after else None
        following = at - 1 if rest else None
        if before is not None:
            found.reverse()
            previous, following = at + 1 if rest else None, max(0, before - 1)
        return ProductList(
            products=found,
            search=search,
            scanned=scanned,
            complete=ended or len(found) == PAGE,
            previous_before=previous,
            next_after=following,
            total=self._table.data.products,
        )

    def _scan(self, at: int, number: int, *, backwards: bool) -> list[_Scanned]:
        """Give the next products by id, of all open partitions together."""
        data = self._table.data
        scans: list[Iterator[_Scanned]] = [
            data.partition(p).scan(at, backwards=backwards) for p in data.open_partitions
        ]
        return list(islice(heapq.merge(*scans, key=_product_id, reverse=backwards), number))

    def find(self, product_id: int) -> tuple[int, State | None] | None:
        """Give partition and state of a product; None if another worker owns it.

        A producer may place keys in another way than Kafka's own: all partitions here are asked.
        Raises HTTPServiceUnavailable while the states are being recovered: some would be old.
        """
        if not cast("StateTableManager", self._app.tables).recovery.completed.is_set():
            raise HTTPServiceUnavailable(text="The state is being recovered. See /readyz.")
        data, home = self._table.data, self._owners.partition_of(product_id)
        for partition in sorted(data.open_partitions, key=lambda p: p != home):
            state = data.partition(partition).read([product_id]).get(product_id)
            if state is not None:
                return partition, state
        return (home, None) if home in data.open_partitions else None

    async def product(self, product_id: int, partition: int, state: State | None) -> Product:
        """Give everything about a product of this worker."""
        deduplicator = self._app.deduplicator
        rules = deduplicator.rules
        told = list(self._app.trail.decisions(partition, product_id, deduplicator.decide))
        decisions = [past_verdict(each, rules) for each in reversed(told[-DECISIONS_SHOWN:])]
        note = None
        if not told and state is not None:
            decisions, note = await self._last_applied(product_id, state)
        live = state is not None and state.row is not None
        return Product(
            product_id=product_id,
            known=state is not None,
            deleted=state is not None and state.row is None,
            worker=self._owners.this,
            partition=partition,
            row=msgspec.json.decode(state.row)
            if state is not None and state.row is not None
            else None,
            fingerprint=state.fingerprint.hex() if state is not None and live else None,
            fingerprint_fields=list(rules.scheme.fields),
            newest_event_time=state and instant(state.event_time),
            emitted_at=state and instant(state.emitted_at),
            source_offset=None if state is None or state.offset < 0 else state.offset,
            duplicates=0 if state is None else state.duplicates,
            decided=dict(Counter(each.decision.outcome for each in told)),
            decisions=decisions,
            note=note,
        )

    async def _last_applied(self, product_id: int, state: State) -> tuple[list[PastVerdict], str]:
        """Tell the decision on the event a state names as its last, from Kafka."""
        gone = "This worker remembers no decision on this product"
        if state.partition == UNKNOWN_SOURCE:
            return [], f"{gone}, and the record on src_products names no source event."
        told = await self._look_up(product_id, state)
        if told is not None:
            return [told], f"{gone}; the last event applied was read from the source topic."
        return [], f"{gone}, and its last event can't be read from the source topic any more."

    async def _look_up(self, product_id: int, state: State) -> PastVerdict | None:
        """Read the event a state names, once for all who look at a product."""
        known = self._looked_up.get(product_id)
        if known is not None and known[0] == state:
            return known[1]
        record = await read_source_record(self._app.settings, state.partition, state.offset)
        if record is None:
            return None
        told = verdict_from_record(record, product_id, state, self._app.deduplicator)
        if len(self._looked_up) >= LOOKED_UP_KEPT:
            self._looked_up.clear()
        self._looked_up[product_id] = (state, told)
        return told


def _product_id(scanned: _Scanned) -> int:
    return scanned[0]


def _matching(product_id: int, row: bytes, wanted: str) -> ProductLine | None:
    """Give the line of a product whose name contains, or whose id is, what is wanted."""
    fields: dict[str, Any] = msgspec.json.decode(row)
    if wanted not in str(fields.get("product_name", "")).casefold() and wanted != str(product_id):
        return None
    return ProductLine(product_id=product_id, row=fields)
