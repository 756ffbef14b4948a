"""Recovery: brings the state table up to the end of its changelog before anything is decided.

Replaces Faust's recovery, which reads event by event and waits for the last record's offset - for
ever, when the topic ends in a transaction marker. Here each partition is read in batches, committed
records only, from the offset its database corresponds to until the consumer's *position* reaches
the end of the log: it waits for what another program's open transaction holds back.

Guarantees: after every rebalance, and before any event is decided on, every state that was durable
on `src_products` when the partition was assigned is known, and so is what the last events before a
crash left behind without a record (`SourceTail`). A database that can't be a prefix of the topic
(the topic was recreated, or tombstones were compacted away while the worker was down) is deleted
and rebuilt, and so is a damaged one. A crash in recovery loses nothing: states are written with the
offset after them.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from itertools import islice
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, KafkaTimeoutError
from mode import get_logger

from dedup.core.batch_result import SourceRecord
from dedup.core.decide import Rules
from dedup.core.errors import ExplainedError
from dedup.core.keys import Id
from dedup.core.state import NO_EVENT_TIME, State, with_known_time
from dedup.core.times import microseconds
from dedup.kafka.broker_errors import brokers_away, refusal
from dedup.kafka.consumer import committed_consumer, log_ends
from dedup.kafka.topics import missing_topics
from dedup.kafka.unread_records import take_fetched
from dedup.observability.metrics import Metrics
from dedup.settings import Settings
from dedup.state.data_directory import grown, misplaced, partitions_before, placed_by_json_key
from dedup.state.store_errors import DamagedError, StoreError
from dedup.state.table import StateTable
from dedup.streaming.source_tail import SourceTail

POLL_S: Final = 0.5
FETCH_BYTES: Final = 4 * 1024 * 1024
PROGRESS_EVERY_S: Final = 5.0

STALLED_AFTER_S: Final = 30.0
"""How long the brokers may send nothing of what is still to be read."""

SAMPLE: Final = 200

logger = get_logger(__name__)


class RecoveryError(ExplainedError):
    """The changelog can't be read; the text says why and what to do."""


class ChangelogReader:
    """Reads partitions of the changelog into the table."""

    def __init__(
        self,
        settings: Settings,
        table: StateTable,
        rules: Rules,
        metrics: Metrics,
        *,
        partitions: int,
        now: Callable[[], datetime],
    ) -> None:
        self._settings = settings
        self._table = table
        self._rules = rules
        self._metrics = metrics
        self._topic_partitions = partitions
        self._now = now
        self._source_tail = SourceTail(settings, table, rules, now)

    async def restore(self, partitions: Sequence[int]) -> int:
        """Bring these partitions up to date. Returns the number of records read.

        Raises StoreError when the data directory can't be used (a damaged database is rebuilt, once
        each), RecoveryError when the brokers refuse the topic, KafkaError when they are away.
        """
        self._table.data.close_others(partitions)
        if not partitions:
            return 0
        try:
            for _ in partitions:
                try:
                    return await self._restore(partitions)
                except DamagedError:  # the next attempt finds the damage mark and rebuilds
                    self._table.data.close_others(())
            return await self._restore(partitions)
        except KafkaError as error:
            topic = self._settings.KAFKA_SRC_PRODUCTS_TOPIC
            why = refusal(error, self._settings, permission="READ")
            if brokers_away(error):
                if topic not in await missing_topics(self._settings):
                    raise
                why = f"{topic} was deleted. Recreate it with `dedup topics create`."
            raise RecoveryError(f"The known states can't be read from {topic}: {why}") from error

    def next_offsets(self, partitions: Sequence[int]) -> dict[int, int]:
        """Return the offset after what is known of each partition that has any state."""
        found = {p: self._table.data.partition(p).progress() for p in partitions}
        return {p: progress.next_offset for p, progress in found.items() if progress is not None}

    def knows_any(self, partitions: Collection[int]) -> bool:
        """Return whether anything is known of these partitions, which are restored."""
        stores = map(self._table.data.partition, partitions)
        return any(True for store in stores for _ in islice(store.items(), 1))

    async def _restore(self, partitions: Sequence[int]) -> int:
        topic = self._settings.KAFKA_SRC_PRODUCTS_TOPIC
        consumer = committed_consumer(
            self._settings, auto_offset_reset="earliest", max_partition_fetch_bytes=FETCH_BYTES
        )
        await consumer.start()
        try:
            tps = [TopicPartition(topic, p) for p in partitions]
            consumer.assign(tps)
            first = await consumer.beginning_offsets(tps)
            ends = await log_ends(self._settings, tps)
            for tp in tps:
                consumer.seek(tp, self._start(tp, first[tp], ends[tp]))
            begun = asyncio.get_running_loop().time()
            read = await self._read(consumer, ends)
            seconds = asyncio.get_running_loop().time() - begun
            logger.info(
                "Recovery of %s partitions %s complete: %s records in %.1f s.",
                topic,
                list(partitions),
                read,
                seconds,
            )
            self._refuse_misplaced(partitions)
            await self._source_tail.decide_again(consumer, partitions)
            return read
        finally:
            await consumer.stop()

    def _refuse_misplaced(self, partitions: Sequence[int]) -> None:
        """Raise StoreError if the states are not those of the events here.

        Either the topics had fewer partitions - the data directory records the number; this is for
        one that was lost -, or a Flink job placed its rows by their own keys.
        """
        number, keys = self._topic_partitions, self._rules.codec.keys
        for partition in partitions:
            states = islice(self._table.data.partition(partition).items(), SAMPLE)
            ids = [row_id for row_id, _ in states]
            of_events = [key for i in ids if (key := keys.of_events(i)) is not None]
            before = partitions_before(of_events, partition, number)
            if before is not None:
                raise StoreError(
                    grown(self._settings.KAFKA_PRODUCT_TOPIC, before, self._topic_partitions)
                )
            # Events with keys in JSON may have the very bytes of the rows' keys.
            as_rows = [keys.write(i, "json") for i in ids] if of_events else []
            if placed_by_json_key(as_rows, partition, number):
                raise StoreError(misplaced(self._settings.KAFKA_SRC_PRODUCTS_TOPIC))

    def _start(self, tp: TopicPartition, first: int, end: int) -> int:
        """Return the offset to continue from; rebuild the store when it does not fit the topic."""
        data = self._table.data
        progress = data.open_or_rebuild(tp.partition).progress()
        if progress is None:
            return first
        # A time in the future means that the clock was set back: the true age is unknown.
        age_us = abs(microseconds(self._now()) - progress.written_at_us)
        if progress.next_offset > end:
            why = f"it is at offset {progress.next_offset}, the topic ends at {end}"
        elif progress.next_offset < first:
            why = f"it is at offset {progress.next_offset}, the topic starts at {first}"
        elif age_us > self._rules.deleted_marker_us and progress.next_offset < end:
            why = "it is older than the topic keeps tombstones"
        else:
            return progress.next_offset
        logger.warning(
            "The state of partition %s does not fit %s (%s): it is rebuilt from the topic.",
            tp.partition,
            tp.topic,
            why,
        )
        data.rebuild(tp.partition)
        return first

    async def _read(self, consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int]) -> int:
        """Read until every partition's position is at its end."""
        read = 0
        pending = set(ends)
        reported = moved = asyncio.get_running_loop().time()
        positions: dict[TopicPartition, int] = {}
        while pending:
            before = positions.copy()
            for tp in sorted(pending):
                position = positions[tp] = await consumer.position(tp)
                self._metrics.recovery_remaining.labels(tp.partition).set(
                    max(0, ends[tp] - position)
                )
                if position >= ends[tp]:
                    pending.discard(tp)
                    consumer.pause(tp)
            if not pending:
                break
            if asyncio.get_running_loop().time() - reported > PROGRESS_EVERY_S:
                reported = asyncio.get_running_loop().time()
                left = sum(self._metrics.recovery_left().values())
                logger.info("Recovery: %s records read, %s to go.", f"{read:,}", f"{left:,}")
            chunks = await take_fetched(consumer, pending, POLL_S)
            if positions != before:
                moved = asyncio.get_running_loop().time()
            elif asyncio.get_running_loop().time() - moved > STALLED_AFTER_S:
                topic = self._settings.KAFKA_SRC_PRODUCTS_TOPIC
                raise KafkaTimeoutError(f"nothing of {topic} in {STALLED_AFTER_S:.0f} s")
            for tp, chunk in chunks.items():
                read += len(chunk.records)
                await self._table.room(tp.partition)
                self._apply(tp.partition, chunk.records, next_offset=chunk.end)
                await asyncio.sleep(0)
        return read

    def _apply(
        self,
        partition: int,
        records: Sequence[SourceRecord],
        *,
        next_offset: int,
    ) -> None:
        """Write a run of changelog records and the offset after them."""
        store, codec = self._table.data.partition(partition), self._rules.codec
        read_key, read_state = codec.keys.read_output, codec.state_from_record
        states: dict[Id, State] = {}
        for record in records:
            row_id = read_key(record.key)
            state = read_state(record.value, record.headers, record.timestamp)
            if row_id is None or state is None:
                logger.warning(
                    "%s-%s offset %s is not a %s row; it is ignored.",
                    self._settings.KAFKA_SRC_PRODUCTS_TOPIC,
                    partition,
                    record.offset,
                    codec.entity.name,
                )
                continue
            if state.event_time == NO_EVENT_TIME:
                known = states.get(row_id) or store.read([row_id]).get(row_id)
                state = with_known_time(state, known)
            states[row_id] = state
        now_us = microseconds(self._now())
        if states:
            store.row_count.restart()
        store.write(states, next_offset=next_offset, now_us=now_us)
