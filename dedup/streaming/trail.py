"""The last decisions of a worker, told again when somebody asks.

Kept are the last batches as they came, with the states before them: a reference for each batch, and
nothing for each event. To tell the decisions on a product, its records are picked from those
batches and decided on once more - the decision is pure, so it is the same one.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from dedup.core.deadletter import DeadLetter
from dedup.core.decide import Clock, Decision, Position
from dedup.core.event import Event
from dedup.core.read import read_event
from dedup.core.state import State
from dedup.streaming.applied import AppliedBatch
from dedup.streaming.fetching import SourceRecord

RECORDS_KEPT: Final = 10_000
"""Records that the kept batches may hold together; the newest batch is kept whatever it holds."""

BYTES_KEPT: Final = 16 * 1024 * 1024
"""As much of record values, as estimated from every 16th."""

_SAMPLE_EVERY: Final = 16


class Decide(Protocol):
    """`Deduplicator.decide`."""

    def __call__(
        self, event: Event | DeadLetter, state: State | None, at: Position, clock: Clock
    ) -> Decision:
        """Decide on one event."""


class Told(NamedTuple):
    """One decision: the event, what was known before it, where it stood and what became of it."""

    event: Event | DeadLetter
    before: State | None
    decision: Decision
    at: Position
    clock: Clock


class _Kept(NamedTuple):
    """What the decisions of a batch can be told again from."""

    partition: int
    records: Sequence[SourceRecord]
    before: Mapping[int, State]
    clock: Clock
    size_bytes: int


class Trail:
    """The last batches of a worker."""

    def __init__(self) -> None:
        self._kept: deque[_Kept] = deque()
        self._records = 0
        self._bytes = 0

    def keep(self, applied: AppliedBatch) -> None:
        """Remember a batch, and forget the oldest ones beyond the bounds."""
        records = applied.records
        sample = records[::_SAMPLE_EVERY]
        size = sum(len(record.value or b"") for record in sample) * len(records) // len(sample)
        self._kept.append(_Kept(applied.partition, records, applied.before, applied.clock, size))
        self._records += len(records)
        self._bytes += size
        while len(self._kept) > 1 and (self._records > RECORDS_KEPT or self._bytes > BYTES_KEPT):
            oldest = self._kept.popleft()
            self._records -= len(oldest.records)
            self._bytes -= oldest.size_bytes

    def decisions(self, partition: int, product_id: int, decide: Decide) -> Iterator[Told]:
        """Tell the decisions on a product again, oldest first."""
        key = b"%d" % product_id
        for kept in self._kept:
            if kept.partition != partition:
                continue
            state = kept.before.get(product_id)
            for record in kept.records:
                if record.key != key:
                    continue
                event = read_event(record.key, record.value)
                at = Position(partition, record.offset)
                decision = decide(event, state, at, kept.clock)
                yield Told(event, state, decision, at, kept.clock)
                if decision.state is not None:
                    state = decision.state
