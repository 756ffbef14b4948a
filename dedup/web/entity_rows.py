"""The rows of this worker: the list, the search, and one row with its decisions.

`dedup.web.group_queries` merges these answers with those of the other workers.
"""

import asyncio
import heapq
import shlex
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
from dedup.core.times import microseconds
from dedup.observability.decision_log import PastDecision
from dedup.state.table import StateTable
from dedup.streaming.application import DedupApp
from dedup.streaming.processor import wall_clock
from dedup.streaming.table_manager import StateTableManager
from dedup.web.decision_results import past_result
from dedup.web.entity_models import models_of
from dedup.web.entity_view import view_of
from dedup.web.ids import successor
from dedup.web.models import EntityDetail, EntityLine, EntityList, PastResult, Place
from dedup.web.partition_router import PartitionRouter
from dedup.web.source_lookup import read_source_record, result_from_record
from dedup.web.window_view import duplicates_are, remembered_now

PAGE: Final = 50
DECISIONS_SHOWN: Final = 20
LOOKED_UP_KEPT: Final = 64

SCANNED_AT_ONCE: Final = 500
"""Rows examined before the event loop continues: about a millisecond."""

SCANNED_PER_PAGE: Final = 20_000
"""Rows that a search examines for one page; the page says where the search continues."""

SCANNED_FOR_S: Final = 1.0
"""Time limit of a search for one page: the worker that asks waits for 2 s."""


class Known(NamedTuple):
    """A partition that knows an id, and its state there."""

    partition: int
    state: State


class _Scanned(NamedTuple):
    """An id and its rows by partition, without those where it is deleted."""

    id: Id
    rows: dict[int, bytes]


class EntityRows:
    """The rows in this worker's partitions."""

    def __init__(self, app: DedupApp, table: StateTable, router: PartitionRouter) -> None:
        self._app = app
        self._table = table
        self._router = router
        self._models = models_of(app.settings.entity)
        self._view = view_of(app.settings.entity)
        self._looked_up: dict[Id, tuple[State, PastResult | None]] = {}

    async def page(
        self,
        *,
        after: Id | None = None,
        before: Id | None = None,
        search: str = "",
        within_s: float = inf,
    ) -> EntityList:
        """Return the rows after or before an id that match a search.

        Without a search, a page reads the rows it shows and the deleted ones between them.
        """
        self.refuse_unless_recovered()
        give_up_at = monotonic() + within_s
        backwards = before is not None
        at = after if before is None else before
        wanted = search.casefold().strip()
        found: list[EntityLine] = []
        scanned, ended = 0, False
        while not ended and len(found) < PAGE and scanned < SCANNED_PER_PAGE:
            some = self._scan(at, SCANNED_AT_ONCE if wanted else PAGE, backwards=backwards)
            for each in some:
                at = each.id
                scanned += 1
                line = self._matching(each, wanted)
                if line is not None:
                    found.append(line)
                    if len(found) == PAGE:
                        break
            ended = not some
            if monotonic() > give_up_at:
                break
            await asyncio.sleep(0)
        ended = ended or not self._scan(at, 1, backwards=backwards)
        previous = None if after is None else successor(after)
        following = None if ended else at
        if before is not None:
            found.reverse()
            start = self._view.ids.first if ended or at is None else at
            previous, following = following, found[-1].id if found else start
        return self._models.of(EntityList)(
            rows=found,
            search=search,
            scanned=scanned,
            complete=ended or len(found) == PAGE,
            previous_before=previous,
            next_after=following,
            total=self._table.data.rows,
            searched=list(self._table.data.open_partitions),
            unanswered=[],
        )

    def _scan(self, after: Id | None, number: int, *, backwards: bool) -> list[_Scanned]:
        """Return the next rows by id, of all open partitions together; None: from the first id."""
        data = self._table.data
        start: Any = self._view.ids.first if after is None else after

        def scan(partition: int) -> Iterator[tuple[Id, int, bytes | None]]:
            for row_id, row in data.partition(partition).scan(start, backwards=backwards):
                if row_id != after:
                    yield row_id, partition, row

        merged = heapq.merge(
            *(scan(partition) for partition in data.open_partitions),
            key=_id,
            reverse=backwards,
        )
        return [
            _Scanned(row_id, {p: row for _, p, row in places if row is not None})
            for row_id, places in islice(groupby(merged, _id), number)
        ]

    def _matching(self, scanned: _Scanned, wanted: str) -> EntityLine | None:
        """Return the line of a row that the search matches: of its rows the newest that does."""
        rows = {partition: row_fields(row) for partition, row in scanned.rows.items()}
        for partition in sorted(rows, key=lambda p: last_event_time(rows[p]), reverse=True):
            if not wanted or self._view.matches(scanned.id, rows[partition], wanted):
                partitions = [partition, *sorted(rows.keys() - {partition})]
                return self._models.of(EntityLine)(
                    id=scanned.id, partitions=partitions, row=rows[partition]
                )
        return None

    def refuse_unless_recovered(self) -> None:
        """Raise HTTPServiceUnavailable during recovery: some states would be outdated."""
        if not cast("StateTableManager", self._app.tables).recovery.completed.is_set():
            raise HTTPServiceUnavailable(text="The state is being recovered. See /readyz.")

    def find(self, row_id: Id) -> list[Known]:
        """Return the partitions of this worker that know an id, the newest state first."""
        data = self._table.data
        found = [
            Known(partition, state)
            for partition in data.open_partitions
            for state in data.partition(partition).read([row_id]).values()
        ]
        return sorted(found, key=lambda known: known.state.event_time, reverse=True)

    async def row(self, row_id: Id, *, brief: bool = False) -> EntityDetail:
        """Return what this worker knows about an id; if brief, without its decisions."""
        self.refuse_unless_recovered()
        rules, searched = self._app.deduplicator.rules, list(self._table.data.open_partitions)
        found = self.find(row_id)
        state = found[0].state if found else None
        past = [] if brief else self._past_decisions(row_id, searched)
        decisions = [past_result(each, rules) for each in reversed(past[-DECISIONS_SHOWN:])]
        note = None
        if not past and state is not None and not brief:
            decisions, note = await self._last_applied(row_id, state)
        live = state is not None and state.row is not None
        partition = found[0].partition if found else past[-1].at.partition if past else None
        return self._models.of(EntityDetail)(
            id=row_id,
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
            remembered=[] if state is None else remembered_now(state, rules, _now_us()),
            duplicates_are=duplicates_are(rules),
            decided=dict(Counter(each.decision.outcome for each in past)),
            decisions=decisions,
            note=note,
            command=inspect_command(row_id),
            also=[self._place(each) for each in found[1:]],
            searched=searched,
            unanswered=[],
        )

    def _past_decisions(self, row_id: Id, partitions: list[int]) -> list[PastDecision]:
        """Return the decisions in memory, oldest first, and keep the next ones in memory."""
        log, deduplicator = self._app.observers.decision_log, self._app.deduplicator
        log.follow(row_id)
        codec, decide = deduplicator.rules.codec, deduplicator.decide
        found = [each for p in partitions for each in log.decisions(p, row_id, codec, decide)]
        return sorted(found, key=lambda each: each.clock.now_us)

    def _place(self, known: Known) -> Place:
        state = known.state
        return self._models.of(Place)(
            worker=self._router.this,
            partition=known.partition,
            deleted=state.row is None,
            row=_row(state),
            newest_event_time=instant(state.event_time),
            source_offset=None if state.offset < 0 else state.offset,
        )

    async def _last_applied(self, row_id: Id, state: State) -> tuple[list[PastResult], str]:
        """Return the decision on the last event applied, recomputed from Kafka, and a note."""
        gone = f"This worker has no decision on this {self._view.name} in memory"
        output = self._app.settings.KAFKA_SRC_PRODUCTS_TOPIC
        if state.partition == UNKNOWN_SOURCE:
            return [], f"{gone}, and the record on {output} does not name its source event."
        result = await self._look_up(row_id, state)
        if result is not None:
            return [result], f"{gone}; the last event applied was read from the source topic."
        return [], f"{gone}, and its last event can no longer be read from the source topic."

    async def _look_up(self, row_id: Id, state: State) -> PastResult | None:
        """Read the last event applied to a state, and cache the result."""
        known = self._looked_up.get(row_id)
        if known is not None and known[0] == state:
            return known[1]
        record = await read_source_record(self._app.settings, state.partition, state.offset)
        if record is None:
            return None
        result = result_from_record(record, row_id, state, self._app.deduplicator)
        if len(self._looked_up) >= LOOKED_UP_KEPT:
            self._looked_up.clear()
        self._looked_up[row_id] = (state, result)
        return result


def _now_us() -> int:
    return microseconds(wall_clock())


def _row(state: State) -> dict[str, Any] | None:
    return None if state.row is None else row_fields(state.row)


def _id(scanned: tuple[Id, int, bytes | None]) -> Any:
    return scanned[0]


def last_event_time(row: dict[str, Any]) -> str:
    """Return the time of the event that wrote a row, as text that sorts by time."""
    return str(row.get("last_event_timestamp") or "")


def inspect_command(row_id: Id) -> str:
    """Return the command that shows all events of an id, as a shell takes it."""
    text = shlex.quote(str(row_id))
    return f"dedup inspect -- {text}" if text.startswith("-") else f"dedup inspect {text}"
