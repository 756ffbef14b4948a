"""The only loop: batch -> decide -> publish -> remember -> done.

Guarantees, by where a crash strikes:

* before `publish` returns: records may stand on `src_products`; RocksDB knows nothing of them.
  Recovery reads them back, and their events are replayed without effect.
* between `publish` and the RocksDB write: the same.
* between the write and the commit: the events come again and are replayed without effect.

A batch that began is finished even when its actor is cancelled by a rebalance (`acquire` waits
for it), so no record reaches the topic after recovery has read to its end. An error in a batch
stops the worker: going on would apply later events without the earlier ones.
"""

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterable, Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from time import perf_counter
from typing import Final

from faust.types import TP
from mode import get_logger

from dedup.core.deadletter import DeadLetter, Reason, dead_letter_headers, fitting
from dedup.core.decide import EMITTING, Decision, Outcome, Position, ProcessingTime, Rules, decide
from dedup.core.event import Event, microseconds, time_text
from dedup.core.madeby import rules_headers
from dedup.core.read import read_event, read_key
from dedup.core.row import KeyFormat, output_headers, output_key
from dedup.core.state import State
from dedup.observability.ages import believable_age
from dedup.state.table import StateTable
from dedup.streaming.applied import AppliedBatch
from dedup.streaming.consumer_thread import SourceRecord
from dedup.streaming.output import FencedError, Output, OutputRecord, Publisher
from dedup.streaming.recordbatch import RecordBatch
from dedup.streaming.rereading import WrittenLetters

logger = get_logger(__name__)

_NO_PRODUCT: Final = 0
"""Stands for the product of a record that can't be read; products begin at 1."""

FORGET_EVERY_US: Final = 60_000_000
"""How often the markers of products deleted long ago are taken off the disk."""


def wall_clock() -> datetime:
    """Return the time now, in UTC."""
    return datetime.now(UTC)


class Deduplicator:
    """Applies batches to the table and to Kafka, one batch of a partition at a time."""

    note_written: Callable[[int, int, int | None], None] | None = None
    """Called after each write to the output: partition, number of records, offset after it."""

    def __init__(
        self,
        rules: Rules,
        table: StateTable,
        publisher: Publisher,
        observe: Callable[[AppliedBatch], None],
        *,
        key_format: KeyFormat = "json",
        now: Callable[[], datetime] = wall_clock,
    ) -> None:
        self._rules = rules
        self._table = table
        self._publisher = publisher
        self._observe = observe
        self._key_format: KeyFormat = key_format
        self._now = now
        self._in_work: set[asyncio.Task[None]] = set()
        self._forgot_at_us: dict[int, int] = {}
        self._rules_headers = rules_headers(rules)
        self._letter_bytes = sys.maxsize
        self._written: Mapping[int, WrittenLetters] = {}

    @property
    def rules(self) -> Rules:
        """The rules of the decision."""
        return self._rules

    def cut_letters_beyond(self, batch_bytes: int) -> None:
        """Keep of a dead letter what fits the `max.message.bytes` of its topic."""
        self._letter_bytes = batch_bytes

    def leave_out_letters(self, written: Mapping[int, WrittenLetters]) -> None:
        """Write no dead letter that is on its topic already, by source partition."""
        self._written = written

    async def run(
        self, batches: AsyncIterable[RecordBatch], on_fenced: Callable[[FencedError], None]
    ) -> None:
        """Apply batches for ever, in order.

        A batch of a partition that another worker took over stays undone; so do those after it.
        """
        async for batch in batches:
            task = asyncio.ensure_future(self.apply(batch))
            self._in_work.add(task)
            task.add_done_callback(self._out_of_work)
            try:
                await asyncio.shield(task)
            except FencedError as error:
                on_fenced(error)

    def _out_of_work(self, task: asyncio.Task[None]) -> None:
        self._in_work.discard(task)
        if not task.cancelled():
            task.exception()  # seen: the actor reports it, or the partition is another worker's

    async def acquire(self, partitions: Collection[int]) -> None:
        """Finish what is in work, then own these partitions and no others.

        An error in a batch is reported where it ran.
        """
        while self._in_work:
            await asyncio.wait(self._in_work)
        await self._publisher.acquire(partitions)

    async def apply(self, batch: RecordBatch) -> None:
        """Apply one batch: see the module. Any exception means that nothing was marked done."""
        began = perf_counter()
        batch.begin()
        now = self._now()
        now_us = microseconds(now)
        clock = ProcessingTime(now_us, time_text(now))
        result = self._decide(batch, clock)
        next_offset = await self._publisher.publish(result.output)
        partition = batch.tp.partition
        if result.output.states and self.note_written is not None:
            self.note_written(partition, len(result.output.states), next_offset)
        self._table.write(partition, result.states, next_offset=next_offset, now_us=now_us)
        batch.mark_done()
        if now_us - self._forgot_at_us.get(partition, 0) > FORGET_EVERY_US:
            self._forgot_at_us[partition] = now_us
            self._table.forget_deleted(partition, now_us - self._rules.deleted_marker_us)
        if not batch.records:  # aborted events and markers: only the offset moves on
            return
        self._observe(
            AppliedBatch(
                partition,
                batch.records,
                result.before,
                result.after,
                clock,
                result.output,
                result.outcomes,
                result.reasons,
                result.offset_regressions,
                seconds=perf_counter() - began,
                oldest_age_s=believable_age(batch.records[0].timestamp, self._now().timestamp()),
            )
        )

    def _decide(self, batch: RecordBatch, clock: ProcessingTime) -> "_Result":
        """Decide on every record of a batch against the known states."""
        partition, rules = batch.tp.partition, self._rules
        known = self._table.read(partition, _named_products(batch.records))
        output = Output(
            partition,
            # Where there are no records, the offset alone moves on: it may do so twice.
            batch.records[0].offset if batch.records else batch.next_offset - 1,
            batch.next_offset,
            self._table.changelog_offset(partition),
            clock.now_us // 1000,
        )
        result = _Result(output, known)
        written = self._written
        # Each event is read and decided on before the next is read: it is still in the CPU's cache.
        for record in batch.records:
            event = read_event(record.key, record.value)
            product_id = event.product_id if isinstance(event, Event) else _NO_PRODUCT
            at = Position(partition, record.offset)
            decision = decide(event, known.get(product_id), at, clock, rules)
            outcome, state = decision.outcome, decision.state
            result.outcomes[outcome] += 1
            if decision.dead_letter is not None:
                result.reasons[decision.dead_letter.reason] += 1
                letter = self._letter(batch.tp, record, decision.dead_letter)
                if partition not in written or not written[partition].has(record.offset, letter):
                    result.output.dead_letters.append(letter)
            if state is not None:
                known[product_id] = result.states[product_id] = state
                if outcome in EMITTING:
                    key = output_key(product_id, self._key_format)
                    headers = output_headers(state) + self._rules_headers
                    result.output.states.append(OutputRecord(key, state.row, headers))
            if decision.offset_regression:
                result.offset_regressions += 1
        return result

    def _letter(self, tp: TP, record: SourceRecord, dead_letter: DeadLetter) -> OutputRecord:
        added = dead_letter_headers(
            dead_letter, topic=tp.topic, partition=tp.partition, offset=record.offset
        )
        letter = fitting(record.key, record.value, record.headers, added, self._letter_bytes)
        return OutputRecord(*letter)

    def decide(
        self, event: Event | DeadLetter, state: State | None, at: Position, clock: ProcessingTime
    ) -> Decision:
        """Decide on one event as this worker does; changes nothing."""
        return decide(event, state, at, clock, self._rules)


def _named_products(records: Sequence[SourceRecord]) -> list[int]:
    """Return the products that records name by their keys; a record's event is of no other one."""
    named = (read_key(key) for key in {record.key for record in records})
    return [product_id for product_id in named if product_id is not None]


class _Result:
    """What the decisions of a batch come to."""

    def __init__(self, output: Output, known: dict[int, State]) -> None:
        self.output = output
        self.before = dict(known)
        self.after = known
        self.states: dict[int, State] = {}
        self.outcomes: Counter[Outcome] = Counter()
        self.reasons: Counter[Reason] = Counter()
        self.offset_regressions = 0
