"""The only loop: batch -> decide -> publish -> store -> done -> observers.

Guarantees, by where a crash strikes:

* before `publish` returns: records may be on `src_products`; the store has none of them. Recovery
  reads them back, and their events are replayed without effect.
* before the store has flushed the batch to RocksDB: recovery reads its records back too, and
  decides again on its events, for the times and counts of its duplicates.
* between that and the commit: the events are read again and replayed without effect.

A batch that began is finished even when its actor is cancelled by a rebalance (`acquire` waits
for it), so no record reaches the topic after recovery has read to its end. An error in a batch
stops the worker: going on would apply later events without the earlier ones.
"""

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from time import perf_counter
from typing import Final

from faust.types import TP
from mode import get_logger

from dedup.core.batch import Emission, decide_batch
from dedup.core.batch_result import (
    BatchResult,
    Output,
    OutputRecord,
    Rejection,
    RowFormat,
    SourceRecord,
)
from dedup.core.dead_letter import DeadLetter, Reason, dead_letter_headers, fitting
from dedup.core.decide import Decision, Position, ProcessingTime, Rules, decide
from dedup.core.keys import Id, OutputForm
from dedup.core.normal_event import NormalEvent
from dedup.core.rules_header import rules_headers
from dedup.core.state import State
from dedup.core.times import microseconds, time_text
from dedup.observability.ages import believable_age
from dedup.state.table import StateTable
from dedup.streaming.output import FencedError, Publisher
from dedup.streaming.recordbatch import RecordBatch
from dedup.streaming.rereading import WrittenDeadLetters

logger = get_logger(__name__)

FORGET_EVERY_US: Final = 60_000_000
"""How often the deletion markers of rows deleted long ago are removed from the disk."""


def wall_clock() -> datetime:
    """Return the time now, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Callbacks:
    """What the processor calls.

    `observe` receives the result of each batch. `on_written` is called after each write to
    `src_products`: partition, number of records, offset after them. `on_fenced` is called when
    another worker took over the partition of a batch, `on_error` when a batch can't be applied.
    """

    observe: Callable[[BatchResult], None]
    on_written: Callable[[int, int, int | None], None]
    on_fenced: Callable[[FencedError], None]
    on_error: Callable[[Exception], None]


@dataclass(frozen=True, slots=True)
class OutputFormat:
    """How records are written: the form of keys, and the size beyond which a dead letter is cut."""

    keys: OutputForm = "json"
    dead_letter_bytes: int = sys.maxsize


class Deduplicator:
    """Applies batches to the table and to Kafka, one batch of a partition at a time."""

    def __init__(
        self,
        rules: Rules,
        table: StateTable,
        publisher: Publisher,
        callbacks: Callbacks,
        *,
        output_format: OutputFormat,
        now: Callable[[], datetime] = wall_clock,
    ) -> None:
        self._rules = rules
        self._table = table
        self._publisher = publisher
        self._callbacks = callbacks
        self._format = output_format
        self._now = now
        self._in_work: set[asyncio.Task[None]] = set()
        self._forgot_at_us: dict[int, int] = {}
        self._row_format = RowFormat(
            rules.codec.keys.writer(output_format.keys), rules_headers(rules)
        )
        self._written: Mapping[int, WrittenDeadLetters] = {}

    @property
    def rules(self) -> Rules:
        """The rules of the decision."""
        return self._rules

    async def run(self, batches: AsyncIterable[RecordBatch]) -> None:
        """Apply batches for ever, in order.

        A batch of a partition that another worker took over stays undone; so do those after it.
        After any other error no further batch is taken: that would skip the one that failed.
        """
        try:
            async for batch in batches:
                # Nothing of the batch has begun: a rebalance may cancel the wait.
                await self._table.room(batch.tp.partition)
                await self._apply_shielded(batch)
        except Exception as error:  # noqa: BLE001 - whatever it is, the worker has to stop
            self._callbacks.on_error(error)
            await asyncio.Event().wait()

    async def _apply_shielded(self, batch: RecordBatch) -> None:
        """Apply a batch in a task of its own, which a rebalance does not cancel."""
        task = asyncio.ensure_future(self.apply(batch))
        self._in_work.add(task)
        task.add_done_callback(self._out_of_work)
        try:
            await asyncio.shield(task)
        except FencedError as error:
            self._callbacks.on_fenced(error)

    def _out_of_work(self, task: asyncio.Task[None]) -> None:
        self._in_work.discard(task)
        if not task.cancelled():
            task.exception()  # seen: the actor reports it, or the partition is another worker's

    async def acquire(self, partitions: Collection[int]) -> None:
        """Finish the batches in progress, then own these partitions and no others.

        An error in a batch is reported where it ran.
        """
        while self._in_work:
            await asyncio.wait(self._in_work)
        await self._publisher.acquire(partitions)

    def skip_dead_letters(self, written: Mapping[int, WrittenDeadLetters]) -> None:
        """Write no dead letter that is on its topic already, by source partition."""
        self._written = written

    async def apply(self, batch: RecordBatch) -> None:
        """Apply one batch: see the module. Any exception means that nothing was marked done."""
        began = perf_counter()
        batch.begin()
        now = self._now()
        clock = ProcessingTime(microseconds(now), time_text(now))
        named = self._named(batch)
        known = await self._table.read_many(
            batch.tp.partition, [row_id for row_id in named.values() if row_id is not None]
        )
        result = self._decide(batch, clock, named, known)
        next_offset = await self._publisher.publish(result.output)
        emitted = len(result.output.emissions)
        if emitted:
            self._callbacks.on_written(result.partition, emitted, next_offset)
        self._table.write(
            result.partition,
            result.states,
            next_offset=next_offset,
            now_us=clock.now_us,
            source_offset=batch.next_offset,
            rows_added=result.rows_added,
        )
        batch.mark_done()
        self._forget_deleted(result.partition, clock.now_us)
        if not batch.records:  # aborted events and transaction markers: only the offset moves on
            return
        age = believable_age(batch.records[0].timestamp, self._now().timestamp())
        self._callbacks.observe(replace(result, seconds=perf_counter() - began, oldest_age_s=age))

    def _forget_deleted(self, partition: int, now_us: int) -> None:
        """Remove old deletion markers from the disk, once in a while."""
        if now_us - self._forgot_at_us.get(partition, 0) > FORGET_EVERY_US:
            self._forgot_at_us[partition] = now_us
            self._table.forget_deleted(partition, now_us - self._rules.deleted_marker_us)

    def _named(self, batch: RecordBatch) -> dict[bytes | None, Id | None]:
        """Return the id that each key of a batch names, None for one that names none."""
        read_key = self._rules.codec.keys.read
        keys = {record.key for record in batch.records}
        return {key: None if key is None else read_key(key) for key in keys}

    def _decide(
        self,
        batch: RecordBatch,
        clock: ProcessingTime,
        named: Mapping[bytes | None, Id | None],
        known: dict[Id, State],
    ) -> BatchResult:
        """Decide on every record of a batch; `known` is brought up to date."""
        partition = batch.tp.partition
        before = known.copy()
        decided = decide_batch(batch.records, known, partition, clock, self._rules)
        output = self._output_of(batch, clock, decided.emissions)
        reasons, rejected = Counter[Reason](), dict[Reason, Rejection]()
        by_offset = {r.offset: r for r in batch.records} if decided.rejected else {}
        for offset, letter in decided.rejected:
            reasons[letter.reason] += 1
            rejected[letter.reason] = Rejection(offset, letter.message)
            self._add_dead_letter(output, batch.tp, by_offset[offset], letter)
        return BatchResult(
            partition,
            batch.records,
            clock,
            named,
            before,
            decided.states,
            output,
            decided.outcomes,
            reasons,
            rejected,
            decided.offset_regressions,
            decided.rows_added,
            decided.forgotten,
        )

    def _output_of(
        self, batch: RecordBatch, clock: ProcessingTime, emissions: Sequence[Emission]
    ) -> Output:
        """Return the output of a batch; the dead letters are still to be added."""
        return Output(
            batch.tp.partition,
            batch.start,  # where there are no records, the offset alone moves on, maybe twice
            batch.next_offset,
            self._table.changelog_offset(batch.tp.partition),
            clock.now_us // 1000,
            self._row_format,
            emissions,
        )

    def _add_dead_letter(
        self, output: Output, tp: TP, record: SourceRecord, dead_letter: DeadLetter
    ) -> None:
        """Add a dead letter to the output, unless it is on its topic already."""
        added = dead_letter_headers(
            dead_letter, topic=tp.topic, partition=tp.partition, offset=record.offset
        )
        letter = OutputRecord(
            *fitting(
                record.key, record.value, record.headers, added, self._format.dead_letter_bytes
            )
        )
        written = self._written.get(tp.partition)
        if written is None or not written.has(record.offset, letter):
            output.dead_letters.append(letter)

    def decide(
        self,
        event: NormalEvent | DeadLetter,
        state: State | None,
        at: Position,
        clock: ProcessingTime,
    ) -> Decision:
        """Decide on one event as this worker does; changes nothing."""
        return decide(event, state, at, clock, self._rules)
