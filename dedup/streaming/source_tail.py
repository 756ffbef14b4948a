"""Decides again on the committed events that a crash left out of RocksDB.

The store is written behind: after a kill it lacks the last second of what was committed. What was
emitted is on the changelog, which is read first. What was not - times and counts of duplicates -
follows from the events themselves, from the store's source offset to the committed one.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaTimeoutError
from mode import get_logger

from dedup.core.batch import Record
from dedup.core.decide import ProcessingTime, Rules
from dedup.core.decide_again import decide_again
from dedup.core.times import microseconds, time_text
from dedup.kafka.offsets import stable_offsets
from dedup.kafka.topic_reader import read_to
from dedup.settings import Settings
from dedup.state.store import PERSIST_EVERY_EVENTS
from dedup.state.table import StateTable

AT_MOST_EVENTS: Final = 2 * PERSIST_EVERY_EVENTS
"""Of one partition: a kill leaves fewer. There are more where the data directory was lost, or
another worker had the partition meanwhile; then the changelog alone says what is known."""

logger = get_logger(__name__)


class SourceTail:
    """Brings the states of partitions from their source offset to the committed one."""

    def __init__(
        self, settings: Settings, table: StateTable, rules: Rules, now: Callable[[], datetime]
    ) -> None:
        self._settings = settings
        self._table = table
        self._rules = rules
        self._now = now

    async def decide_again(self, consumer: AIOKafkaConsumer, partitions: Sequence[int]) -> None:
        """Assign the source partitions to the consumer, and read what the states lack.

        Raises StoreError, KafkaError.
        """
        topic, data = self._settings.KAFKA_PRODUCT_TOPIC, self._table.data
        group = self._settings.DEDUP_APP_ID
        committed = await stable_offsets(consumer._client, group, topic, partitions)
        tps = [TopicPartition(topic, partition) for partition in sorted(committed)]
        consumer.assign(tps)
        first, last = await consumer.beginning_offsets(tps), await consumer.end_offsets(tps)
        ends: dict[TopicPartition, int] = {}
        for tp in tps:
            begin = max(first[tp], data.partition(tp.partition).source_offset or 0)
            end = min(last[tp], committed[tp.partition])
            if self._rules.window_kind == "sliding":  # duplicates move the end of a window
                begin = max(begin, end - AT_MOST_EVENTS)
            if begin < end and end - begin <= AT_MOST_EVENTS:
                consumer.seek(tp, begin)
                ends[tp] = end
            else:
                consumer.pause(tp)
        number = 0
        try:
            async for tp, records in read_to(consumer, ends):
                number += len(records)
                await self._table.room(tp.partition)
                self._apply(tp.partition, records)
        except TimeoutError as error:
            raise KafkaTimeoutError(f"nothing of {topic}: {error}") from error
        if number:
            logger.info("Decided again on %s committed events of %s.", f"{number:,}", topic)
        for partition, offset in committed.items():
            store = data.partition(partition)
            if (store.source_offset or 0) < offset:
                store.write({}, next_offset=None, now_us=0, source_offset=offset)
            store.flush()

    def _apply(self, partition: int, records: Sequence[Record]) -> None:
        store, read_key = self._table.data.partition(partition), self._rules.codec.keys.read
        keys = {record.key for record in records if record.key is not None}
        known = store.read([row_id for key in keys if (row_id := read_key(key)) is not None])
        now = self._now()
        clock = ProcessingTime(microseconds(now), time_text(now))
        states = decide_again(records, known, partition, clock, self._rules)
        after = records[-1].offset + 1 if records else None
        store.write(states, next_offset=None, now_us=clock.now_us, source_offset=after)
