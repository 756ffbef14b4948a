"""The last decisions of a worker, recomputed on request.

It keeps the last batches as they were read, with the states before them: a reference for each
batch, and nothing for each event. To show the decisions on a product, its records are picked from
those batches and decided on again - the decision is pure, so it is the same one.

Under load the last batches are a fraction of a second. A product that is requested is followed from
then on: its records are kept separately, with the state before each batch of them.
"""

import sys
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from time import monotonic
from typing import Final, NamedTuple, Protocol

from dedup.core.batch_result import BatchResult, SourceRecord
from dedup.core.dead_letter import DeadLetter
from dedup.core.decide import Decision, Position, ProcessingTime
from dedup.core.event import Event
from dedup.core.read import read_value
from dedup.core.state import State

RECORDS_KEPT: Final = 10_000
"""Records that the kept batches may hold together; the newest batch is kept whatever it holds."""

BYTES_KEPT: Final = 16 * 1024 * 1024
"""As much of record values, as estimated from every 16th."""

_SAMPLE_EVERY: Final = 16

FOLLOWED: Final = 32
"""Products followed at most: those that were asked for last."""

FOLLOWED_FOR_S: Final = 600.0
"""How long after it was last asked for."""

FOLLOWED_RECORDS: Final = 40
"""Records kept of each product. One with more in a batch has them in the last batches anyway."""

FOLLOWED_RECORD_BYTES: Final = 16 * 1024
"""A product whose records are larger is not followed."""


class Decide(Protocol):
    """`Deduplicator.decide`."""

    def __call__(
        self, event: Event | DeadLetter, state: State | None, at: Position, clock: ProcessingTime
    ) -> Decision:
        """Decide on one event."""


class PastDecision(NamedTuple):
    """One decision: the event, the state before it, its position, and the outcome."""

    event: Event | DeadLetter
    before: State | None
    decision: Decision
    at: Position
    clock: ProcessingTime


class _Kept(NamedTuple):
    """What the decisions of a batch can be recomputed from."""

    partition: int
    records: Sequence[SourceRecord]
    before: Mapping[int, State]
    clock: ProcessingTime
    size_bytes: int


class _Followed:
    """The last records of one product, a few of each batch."""

    def __init__(self, product_id: int, already: Iterable[_Kept]) -> None:
        self._product_id = product_id
        self._key = b"%d" % product_id
        self._kept: deque[_Kept] = deque()
        self._records = 0
        self.asked_at = monotonic()
        for kept in already:
            self.add(kept, [record for record in kept.records if record.key == self._key])

    def add(self, batch: _Kept, records: Sequence[SourceRecord]) -> None:
        """Keep the product's records of a batch."""
        largest = max((len(record.value or b"") for record in records), default=0)
        if not 0 < len(records) <= FOLLOWED_RECORDS or largest > FOLLOWED_RECORD_BYTES:
            return
        state = batch.before.get(self._product_id)
        before = {} if state is None else {self._product_id: state}
        self._kept.append(_Kept(batch.partition, records, before, batch.clock, 0))
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
    """The last batches of a worker, and the last records of the products that are followed."""

    def __init__(self) -> None:
        self._kept: deque[_Kept] = deque()
        self._records = 0
        self._bytes = 0
        self._followed: OrderedDict[bytes, _Followed] = OrderedDict()

    def keep(self, result: BatchResult) -> None:
        """Keep a batch, and drop the oldest ones beyond the bounds."""
        records = result.records
        sample = records[::_SAMPLE_EVERY]
        size = sum(len(record.value or b"") for record in sample) * len(records) // len(sample)
        batch = _Kept(result.partition, records, result.before, result.clock, size)
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
        """Keep the records of followed products; one pass, and only while there are any."""
        oldest = next(iter(self._followed))
        if monotonic() - self._followed[oldest].asked_at > FOLLOWED_FOR_S:
            del self._followed[oldest]
        found: dict[bytes, list[SourceRecord]] = {}
        for record in batch.records:
            if (key := record.key) is not None and key in self._followed:
                found.setdefault(key, []).append(record)
        for key, records in found.items():
            self._followed[key].add(batch, records)

    def follow(self, product_id: int) -> None:
        """Keep the decisions on a product from now on, with those that are kept already."""
        key = b"%d" % product_id
        known = self._followed.get(key)
        if known is None:
            self._followed[key] = _Followed(product_id, self._kept)
            if len(self._followed) > FOLLOWED:
                self._followed.popitem(last=False)
        else:
            known.asked_at = monotonic()
            self._followed.move_to_end(key)

    def decisions(self, partition: int, product_id: int, decide: Decide) -> Iterator[PastDecision]:
        """Recompute the decisions on a product, oldest first."""
        key = b"%d" % product_id
        kept = [each for each in self._kept if each.partition == partition]
        if (followed := self._followed.get(key)) is not None:
            begin = kept[0].records[0].offset if kept else sys.maxsize
            kept = followed.before(partition, begin) + kept
        for each in kept:
            yield from _decisions(each, key, product_id, decide)


def _decisions(kept: _Kept, key: bytes, product_id: int, decide: Decide) -> Iterator[PastDecision]:
    state = kept.before.get(product_id)
    for record in kept.records:
        if record.key != key:
            continue
        event = read_value(key, product_id, record.value)
        at = Position(kept.partition, record.offset)
        decision = decide(event, state, at, kept.clock)
        yield PastDecision(event, state, decision, at, kept.clock)
        if decision.state is not None:
            state = decision.state
