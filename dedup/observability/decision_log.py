"""The last decisions of a worker, recomputed on request.

It keeps the last batches as they were read, with the states before them: a reference for each
batch, and nothing for each event. To show the decisions on a row, its records are picked from
those batches and decided on again - the decision is pure, so it is the same one.

Under load the last batches are a fraction of a second. A row that is requested is followed from
then on: its records are kept separately, with the state before each batch of them.
"""

import sys
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from time import monotonic
from typing import Final, NamedTuple, Protocol

from dedup.core.batch_result import BatchResult, SourceRecord
from dedup.core.codec import Codec
from dedup.core.dead_letter import DeadLetter
from dedup.core.decision import Decision, Position, ProcessingTime
from dedup.core.keys import Id
from dedup.core.normal_event import NormalEvent
from dedup.core.state import State

RECORDS_KEPT: Final = 10_000
"""Records that the kept batches may hold together; the newest batch is kept whatever it holds."""

BYTES_KEPT: Final = 16 * 1024 * 1024
"""As much of record values, as estimated from every 16th."""

_SAMPLE_EVERY: Final = 16

FOLLOWED: Final = 32
"""Rows followed at most: those that were asked for last."""

FOLLOWED_FOR_S: Final = 600.0
"""How long after it was last asked for."""

FOLLOWED_RECORDS: Final = 40
"""Records kept of each row. One with more in a batch has them in the last batches anyway."""

FOLLOWED_RECORD_BYTES: Final = 16 * 1024
"""A row whose records are larger is not followed."""


class Decide(Protocol):
    """`Deduplicator.decide`."""

    def __call__(
        self,
        event: NormalEvent | DeadLetter,
        state: State | None,
        at: Position,
        clock: ProcessingTime,
    ) -> Decision:
        """Decide on one event."""


class PastDecision(NamedTuple):
    """One decision: the event, the state before it, its position, and the outcome."""

    event: NormalEvent | DeadLetter
    before: State | None
    decision: Decision
    at: Position
    clock: ProcessingTime


class _Kept(NamedTuple):
    """What the decisions of a batch can be recomputed from."""

    partition: int
    records: Sequence[SourceRecord]
    named: Mapping[bytes | None, Id | None]
    before: Mapping[Id, State]
    clock: ProcessingTime
    size_bytes: int


class _Followed:
    """The last records of one id, a few of each batch."""

    def __init__(self, row_id: Id, already: Iterable[_Kept]) -> None:
        self._id = row_id
        self._kept: deque[_Kept] = deque()
        self._records = 0
        self.asked_at = monotonic()
        for kept in already:
            self.add(kept, [r for r in kept.records if kept.named[r.key] == row_id])

    def add(self, batch: _Kept, records: Sequence[SourceRecord]) -> None:
        """Keep the id's records of a batch."""
        largest = max((len(record.value or b"") for record in records), default=0)
        if not 0 < len(records) <= FOLLOWED_RECORDS or largest > FOLLOWED_RECORD_BYTES:
            return
        state = batch.before.get(self._id)
        before = {} if state is None else {self._id: state}
        named = {record.key: self._id for record in records}
        self._kept.append(_Kept(batch.partition, records, named, before, batch.clock, 0))
        self._records += len(records)
        while self._records > FOLLOWED_RECORDS:
            self._records -= len(self._kept.popleft().records)

    def before(self, partition: int, offset: int) -> list[_Kept]:
        """Return what was kept of a partition before an offset."""
        return [
            kept
            for kept in self._kept
            if kept.partition == partition and kept.records[0].offset < offset
        ]


class DecisionLog:
    """The last batches of a worker, and the last records of the rows that are followed."""

    def __init__(self) -> None:
        self._kept: deque[_Kept] = deque()
        self._records = 0
        self._bytes = 0
        self._followed: OrderedDict[Id, _Followed] = OrderedDict()

    def keep(self, result: BatchResult) -> None:
        """Keep a batch, and drop the oldest ones beyond the bounds."""
        records = result.records
        sample = records[::_SAMPLE_EVERY]
        size = sum(len(record.value or b"") for record in sample) * len(records) // len(sample)
        batch = _Kept(result.partition, records, result.named, result.before, result.clock, size)
        self._kept.append(batch)
        self._records += len(records)
        self._bytes += size
        while len(self._kept) > 1 and (self._records > RECORDS_KEPT or self._bytes > BYTES_KEPT):
            oldest = self._kept.popleft()
            self._records -= len(oldest.records)
            self._bytes -= oldest.size_bytes
        if self._followed:
            self._keep_followed(batch)

    def _keep_followed(self, batch: _Kept) -> None:
        """Keep the records of followed rows; one pass, and only while there are any."""
        oldest = next(iter(self._followed))
        if monotonic() - self._followed[oldest].asked_at > FOLLOWED_FOR_S:
            del self._followed[oldest]
        found: dict[Id, list[SourceRecord]] = {}
        for record in batch.records:
            if (row_id := batch.named[record.key]) is not None and row_id in self._followed:
                found.setdefault(row_id, []).append(record)
        for row_id, records in found.items():
            self._followed[row_id].add(batch, records)

    def follow(self, row_id: Id) -> None:
        """Keep the decisions on an id from now on, with those that are kept already."""
        known = self._followed.get(row_id)
        if known is None:
            self._followed[row_id] = _Followed(row_id, self._kept)
            if len(self._followed) > FOLLOWED:
                self._followed.popitem(last=False)
        else:
            known.asked_at = monotonic()
            self._followed.move_to_end(row_id)

    def decisions(
        self, partition: int, row_id: Id, codec: Codec, decide: Decide
    ) -> Iterator[PastDecision]:
        """Recompute the decisions on an id, oldest first."""
        kept = [each for each in self._kept if each.partition == partition]
        if (followed := self._followed.get(row_id)) is not None:
            begin = kept[0].records[0].offset if kept else sys.maxsize
            kept = followed.before(partition, begin) + kept
        for each in kept:
            yield from _decisions(each, row_id, codec, decide)


def _decisions(kept: _Kept, row_id: Id, codec: Codec, decide: Decide) -> Iterator[PastDecision]:
    state = kept.before.get(row_id)
    for record in kept.records:
        if kept.named[record.key] != row_id:
            continue
        event = codec.read(record.key, record.value)
        at = Position(kept.partition, record.offset)
        decision = decide(event, state, at, kept.clock)
        yield PastDecision(event, state, decision, at, kept.clock)
        if decision.state is not None:
            state = decision.state
