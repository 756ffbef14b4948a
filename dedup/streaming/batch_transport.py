"""A Faust transport that delivers batches of records; it knows nothing of products.

Faust hands an agent one record at a time, and that alone costs more than all the work of this
project. Here the consumer delivers everything it fetched of one partition as one message whose
value is a `RecordBatch`. An agent reads it from a topic that uses `BatchSchema`.

Guarantees, for each partition:

* **Offset continuity: no record is skipped, whatever a rebalance interrupts.** The consumer knows
  the offset at which the next batch must begin (`_expected`). What does not begin there is not
  delivered; the consumer seeks back to that offset. Faust's own bookkeeping commits past records
  that it dropped around a seek (faust-streaming issue 606).
* **Only what is done is committed.** A batch is done once the processor calls `mark_done`, and the
  commit covers the unbroken run of done batches at the head of the partition's queue.
* **Batches arrive in order**, at most `MAX_UNDONE` at a time, and their size follows the load: what
  is fetched while a batch is processed becomes the next one, in however many fetches.

A crash at any point loses the queue, never an offset: the next owner starts at the last commit.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, ClassVar, Final

import aiokafka
from aiokafka.errors import KafkaError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage, Message
from mode import get_logger

from dedup.kafka.broker_errors import brokers_away
from dedup.kafka.patience import Patience
from dedup.kafka.unread_records import FetchedBatch
from dedup.streaming.consumer_thread import BatchConsumerThread
from dedup.streaming.recordbatch import RecordBatch

MAX_UNDONE: Final = 2
"""Batches of a partition that may be delivered and not done: one in progress, one that grows."""

logger = get_logger(__name__)


class BatchConsumer(driver.Consumer):
    """The consumer that ensures offset continuity and commits the done prefix."""

    _thread: BatchConsumerThread

    def __init__(
        self, *args: Any, commits: bool, on_refused: Callable[[KafkaError], None], **kwargs: Any
    ) -> None:
        """Take Faust's arguments and two of this transport.

        `commits`: whether offsets are committed here; not if they travel in a transaction with the
        output. `on_refused` is called when the brokers refuse to let the source be read, such as
        for want of a permission, or do not answer.
        """
        self._commits = commits
        self._on_refused = on_refused
        self._expected: dict[TP, int] = {}
        self._undone: dict[TP, deque[RecordBatch]] = {}
        self._asked_for: set[TP] = set()
        self._one_done = asyncio.Event()
        self._patience = Patience("Reading", logger)
        super().__init__(*args, **kwargs)

    def _new_consumer_thread(self) -> BatchConsumerThread:
        return BatchConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def is_member(self) -> bool:
        """Return whether the group still regards this worker as the owner of its partitions.

        Raises KafkaError when the group can't be asked.
        """
        return await self._thread.is_member()

    async def perform_seek(self) -> None:
        """Restart at the committed offsets: batches that are not done are delivered again."""
        self._forget(set(self._expected) | set(self._undone))
        tps = {tp for tp in self.assignment() if not self._is_changelog_tp(tp)}
        positions = await self._thread.rewind(tps)
        self._committed_offset.update(positions)
        self._expected.update(positions)

    async def without_offsets(self, tps: set[TP]) -> dict[TP, bool]:
        """Return the partitions for which no offset is committed, and whether each has records."""
        return await self._thread.without_offsets(tps)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Stop delivering, let Faust wait for the batches in progress and commit them, forget."""
        self._expected.clear()
        await super().on_partitions_revoked(revoked)
        self._forget(set(self._undone))

    def _forget(self, tps: Iterable[TP]) -> None:
        for tp in tps:
            self._expected.pop(tp, None)
            self._undone.pop(tp, None)
            self._read_offset[tp] = None

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Message]]:  # noqa: ASYNC109 - Faust's signature
        """Yield one message for each partition that has records and room for a batch."""
        if not self.flow_active:
            await self.wait_first(self.can_resume_flow.wait())
        tps = {tp for tp in self._expected if self._has_room(tp)}
        if not tps:
            await self._wait_for_room(timeout)
            return
        self._asked_for = tps
        chunks: dict[TP, FetchedBatch] = {}
        try:
            chunks = await self._thread.fetch(tps, timeout)
            generation = self.app.consumer_generation_id
            for tp in list(chunks):
                if not self.flow_active or self.app.consumer_generation_id != generation:
                    return  # a rebalance started; it ends in perform_seek
                batch = await self._next_batch(tp, chunks[tp])
                del chunks[tp]
                if batch is not None:
                    yield tp, self._to_message(tp, batch)
            self._patience.over()
        except KafkaError as error:
            await self._read_again(chunks)
            await self._wait_for_brokers(error)

    async def _read_again(self, undelivered: Iterable[TP]) -> None:
        """Go back to what was fetched and not delivered; a later fetch need not show the gap."""
        for tp in undelivered:
            expected = self._expected.get(tp)
            if expected is not None:
                await self._thread.go_to(tp, expected)

    async def _wait_for_brokers(self, error: KafkaError) -> None:
        try:
            if not brokers_away(error):
                raise error
            await self._patience.wait(error)
        except KafkaError as refused:
            self._on_refused(refused)
            await asyncio.sleep(1.0)

    def progress(self) -> dict[int, tuple[int, int]]:
        """Return the offsets up to which each partition that is read is done, and delivered."""
        undone = {
            tp: [batch.start for batch in batches if not batch.done]
            for tp, batches in self._undone.items()
        }
        return {
            tp.partition: (min(undone.get(tp, ()), default=delivered), delivered)
            for tp, delivered in self._expected.items()
        }

    def _has_room(self, tp: TP) -> bool:
        undone = [batch for batch in self._undone.get(tp, ()) if not batch.done]
        return len(undone) < MAX_UNDONE or undone[-1].grows

    async def _wait_for_room(self, timeout: float) -> None:  # noqa: ASYNC109 - the longest wait
        self._one_done.clear()
        await self.wait_first(self._one_done.wait(), self.suspend_flow.wait(), timeout=timeout)

    def _batch_done(self, tp: TP) -> None:
        """End whatever waits without this partition: it has room again."""
        self._one_done.set()
        if tp not in self._asked_for:
            self._thread.wake()

    async def _next_batch(self, tp: TP, chunk: FetchedBatch) -> RecordBatch | None:
        """Return a batch of what continues its partition; refuse any other chunk."""
        expected = self._expected.get(tp)
        if expected is None:
            return None
        if chunk.start < expected and await self._is_recreated(tp, expected):
            self._expected[tp] = chunk.start
        elif chunk.start != expected:
            earliest = (await self.earliest_offsets(tp))[tp]
            if earliest is None or earliest <= expected:
                self.log.info(
                    "%s-%s: records from %s were dropped before delivery; reading them again.",
                    tp.topic,
                    tp.partition,
                    expected,
                )
                await self._thread.go_to(tp, expected)
                return None
            self.log.error(
                "%s-%s: %s records from offset %s were deleted by the topic's retention before "
                "they were read. They are lost. Increase retention.ms or add workers.",
                tp.topic,
                tp.partition,
                chunk.start - expected,
                expected,
            )
        self._expected[tp] = chunk.end
        queue = self._undone.setdefault(tp, deque())
        if queue and queue[-1].grows:
            queue[-1].add(chunk)
            return None
        batch = RecordBatch(tp, [], chunk.start, partial(self._batch_done, tp))
        batch.add(chunk)
        queue.append(batch)
        while queue[0].done and len(queue) > 1 and queue[1].done:
            queue.popleft()  # the next one implies it: its records can be freed now
        return batch

    async def _is_recreated(self, tp: TP, expected: int) -> bool:
        """Return whether the topic was recreated: it ends before the offset it was read to."""
        end = (await self._thread.highwaters(tp))[tp]
        if end >= expected:
            return False
        self.log.warning(
            "%s-%s ends at offset %s and was read to %s: it was recreated. It is read from its "
            "beginning.",
            tp.topic,
            tp.partition,
            end,
            expected,
        )
        return True

    def _to_message(self, tp: TP, record: Any) -> ConsumerMessage:
        """Wrap a batch as one message at its last offset."""
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            record.next_offset - 1,
            0.0,
            0,
            [],
            None,
            record,
            None,
            tp=tp,
            generation_id=self.app.consumer_generation_id,
        )

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:
        return iter(
            [tp for tp in self._undone if topics is None or tp in topics or tp.topic in topics]
        )

    def _new_offset(self, tp: TP) -> int | None:
        """Take the done prefix from the queue and return the offset after it.

        What Faust keeps of each message, to commit by, is dropped here: nothing else drops it.
        """
        self._acked.pop(tp, None)
        self._acked_index.pop(tp, None)
        batches = self._undone.get(tp)
        offset = None
        while batches and batches[0].done:
            offset = batches.popleft().next_offset
        return offset

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        if not self._commits or await super()._commit(offsets):
            return True
        for tp in offsets.keys() & self._expected.keys():  # the next commit includes them
            stub = RecordBatch(tp, [], offsets[tp], partial(self._batch_done, tp), done=True)
            self._undone.setdefault(tp, deque()).appendleft(stub)
        return False

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Report a batch that is not done for very long; Faust calls this every few seconds.

        Faust's own check mistakes offsets that are committed in transactions for offsets that are
        never committed, and an open transaction of the source's producer for a stuck stream.
        """
        patience = self.app.conf.stream_processing_timeout
        for batch in self._undone.get(tp, ()):
            if not batch.done and now - batch.since >= patience:
                self.log.error(
                    "%s-%s: the batch before offset %s has been in progress for more than %.0f s: "
                    "the worker hangs. Restart it; nothing undone is committed.",
                    tp.topic,
                    tp.partition,
                    batch.next_offset,
                    patience,
                )
                return

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Keep no gaps: offset continuity needs none."""


class BatchTransport(driver.Transport):
    """The aiokafka transport with the consumer above."""

    Consumer: ClassVar[type[BatchConsumer]] = BatchConsumer
    driver_version = f"aiokafka={aiokafka.__version__} in batches"
