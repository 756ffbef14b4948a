"""The products of this worker: the list, the search, and one product with its decisions.

`dedup.web.group_queries` merges these answers with those of the other workers.
"""

import asyncio
import heapq
from collections import Counter
from collections.abc import Iterator
from itertools import groupby, islice
from math import inf
from time import monotonic
from typing import Any, Final, NamedTuple, cast

from aiohttp.web import HTTPServiceUnavailable

from dedup.core.explain import instant
from dedup.core.keys import Id
from dedup.core.rows import row_fields
from dedup.core.state import UNKNOWN_SOURCE, State
from dedup.observability.decision_log import PastDecision
from dedup.state.table import StateTable
from dedup.streaming.application import DedupApp
from dedup.streaming.table_manager import StateTableManager
from dedup.web.decision_results import past_result
from dedup.web.models import PastResult, Place, ProductDetail, ProductLine, ProductList
from dedup.web.partition_router import PartitionRouter
from dedup.web.source_lookup import read_source_record, result_from_record

PAGE: Final = 50
DECISIONS_SHOWN: Final = 20
LOOKED_UP_KEPT: Final = 64
MAX_PRODUCT_ID: Final = 2**63 - 1

SCANNED_AT_ONCE: Final = 500
"""Products examined before the event loop continues: about a millisecond."""

SCANNED_PER_PAGE: Final = 20_000
"""Products that a search examines for one page; the page says where the search continues."""

SCANNED_FOR_S: Final = 1.0
"""Time limit of a search for one page: the worker that asks waits for 2 s."""


class Known(NamedTuple):
    """A partition that knows a product, and its state there."""

    partition: int
    state: State


class _Scanned(NamedTuple):
    """A product and its rows by partition, without those where it is deleted."""

    product_id: int
    rows: dict[int, bytes]


class Products:
    """The products in this worker's partitions."""

    def __init__(self, app: DedupApp, table: StateTable, router: PartitionRouter) -> None:
        self._app = app
        self._table = table
        self._router = router
        self._looked_up: dict[int, tuple[State, PastResult | None]] = {}

    async def page(
        self,
        *,
        after: int = 0,
        before: int | None = None,
        search: str = "",
        within_s: float = inf,
    ) -> ProductList:
        """Return the products after or before an id whose id or name matches.

        Without a search, a page reads the products it shows and the deleted ones between them.
        """
        self.refuse_unless_recovered()
        give_up_at = monotonic() + within_s
        backwards = before is not None
        at = after + 1 if before is None else before - 1
        wanted = search.casefold().strip()
        found: list[ProductLine] = []
        scanned, ended = 0, at > MAX_PRODUCT_ID or at < 1
        while not ended and len(found) < PAGE and scanned < SCANNED_PER_PAGE:
            some = self._scan(at, SCANNED_AT_ONCE if wanted else PAGE, backwards=backwards)
            for each in some:
                at = each.product_id - 1 if backwards else each.product_id + 1
                scanned += 1
                line = _matching(each, wanted)
                if line is not None:
                    found.append(line)
                    if len(found) == PAGE:
                        break
            ended = not some or at < 1
            if monotonic() > give_up_at:
                break
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
            total=self._table.data.rows,
            searched=list(self._table.data.open_partitions),
            unanswered=[],
        )

    def _scan(self, at: int, number: int, *, backwards: bool) -> list[_Scanned]:
        """Return the next products by id, of all open partitions together."""
        data = self._table.data

        def scan(partition: int) -> Iterator[tuple[int, int, bytes | None]]:
            for product_id, row in data.partition(partition).scan(at, backwards=backwards):
                yield int(product_id), partition, row

        merged = heapq.merge(
            *(scan(partition) for partition in data.open_partitions),
            key=_product_id,
            reverse=backwards,
        )
        return [
            _Scanned(product_id, {p: row for _, p, row in places if row is not None})
            for product_id, places in islice(groupby(merged, _product_id), number)
        ]

    def refuse_unless_recovered(self) -> None:
        """Raise HTTPServiceUnavailable during recovery: some states would be outdated."""
        if not cast("StateTableManager", self._app.tables).recovery.completed.is_set():
            raise HTTPServiceUnavailable(text="The state is being recovered. See /readyz.")

    def find(self, product_id: Id) -> list[Known]:
        """Return the partitions of this worker that know a product, the newest state first."""
        data = self._table.data
        found = [
            Known(partition, state)
            for partition in data.open_partitions
            for state in data.partition(partition).read([product_id]).values()
        ]
        return sorted(found, key=lambda known: known.state.event_time, reverse=True)

    async def product(self, product_id: int, *, brief: bool = False) -> ProductDetail:
        """Return what this worker knows about a product; if brief, without its decisions."""
        self.refuse_unless_recovered()
        rules, searched = self._app.deduplicator.rules, list(self._table.data.open_partitions)
        found = self.find(product_id)
        state = found[0].state if found else None
        past = [] if brief else self._past_decisions(product_id, searched)
        decisions = [past_result(each, rules) for each in reversed(past[-DECISIONS_SHOWN:])]
        note = None
        if not past and state is not None and not brief:
            decisions, note = await self._last_applied(product_id, state)
        live = state is not None and state.row is not None
        partition = found[0].partition if found else past[-1].at.partition if past else None
        return ProductDetail(
            product_id=product_id,
            known=state is not None,
            deleted=state is not None and state.row is None,
            worker=None if partition is None else self._router.this,
            partition=partition,
            row=None if state is None else _row(state),
            fingerprint=state.fingerprint.hex() if state is not None and live else None,
            fingerprint_fields=list(rules.codec.content),
            newest_event_time=state and instant(state.event_time),
            emitted_at=state and instant(state.emitted_at),
            source_offset=None if state is None or state.offset < 0 else state.offset,
            duplicates=0 if state is None else state.duplicates,
            decided=dict(Counter(each.decision.outcome for each in past)),
            decisions=decisions,
            note=note,
            command=f"dedup inspect {product_id}",
            also=[self._place(each) for each in found[1:]],
            searched=searched,
            unanswered=[],
        )

    def _past_decisions(self, product_id: int, partitions: list[int]) -> list[PastDecision]:
        """Return the decisions in memory, oldest first, and keep the next ones in memory."""
        log, deduplicator = self._app.observers.decision_log, self._app.deduplicator
        log.follow(product_id)
        codec, decide = deduplicator.rules.codec, deduplicator.decide
        found = [each for p in partitions for each in log.decisions(p, product_id, codec, decide)]
        return sorted(found, key=lambda each: each.clock.now_us)

    def _place(self, known: Known) -> Place:
        state = known.state
        return Place(
            worker=self._router.this,
            partition=known.partition,
            deleted=state.row is None,
            row=_row(state),
            newest_event_time=instant(state.event_time),
            source_offset=None if state.offset < 0 else state.offset,
        )

    async def _last_applied(self, product_id: int, state: State) -> tuple[list[PastResult], str]:
        """Return the decision on the last event applied, recomputed from Kafka, and a note."""
        gone = "This worker has no decision on this product in memory"
        if state.partition == UNKNOWN_SOURCE:
            return [], f"{gone}, and the record on src_products does not name its source event."
        result = await self._look_up(product_id, state)
        if result is not None:
            return [result], f"{gone}; the last event applied was read from the source topic."
        return [], f"{gone}, and its last event can no longer be read from the source topic."

    async def _look_up(self, product_id: int, state: State) -> PastResult | None:
        """Read the last event applied to a state, and cache the result."""
        known = self._looked_up.get(product_id)
        if known is not None and known[0] == state:
            return known[1]
        record = await read_source_record(self._app.settings, state.partition, state.offset)
        if record is None:
            return None
        result = result_from_record(record, product_id, state, self._app.deduplicator)
        if len(self._looked_up) >= LOOKED_UP_KEPT:
            self._looked_up.clear()
        self._looked_up[product_id] = (state, result)
        return result


def _row(state: State) -> dict[str, Any] | None:
    return None if state.row is None else row_fields(state.row)


def _product_id(scanned: tuple[int, int, bytes | None]) -> int:
    return scanned[0]


def _matching(scanned: _Scanned, wanted: str) -> ProductLine | None:
    """Return the line of a product whose name contains, or whose id is, the searched text."""
    product_id = scanned.product_id
    rows = {partition: row_fields(row) for partition, row in scanned.rows.items()}
    for partition in sorted(rows, key=lambda p: last_event_time(rows[p]), reverse=True):
        name = str(rows[partition].get("product_name", "")).casefold()
        if wanted in name or wanted == str(product_id):
            others = sorted(rows.keys() - {partition})
            partitions = [partition, *others]
            return ProductLine(product_id=product_id, partitions=partitions, row=rows[partition])
    return None


def last_event_time(row: dict[str, Any]) -> str:
    """Return the time of the event that wrote a row, as text that sorts by time."""
    return str(row.get("last_event_timestamp") or "")
