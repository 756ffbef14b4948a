"""How far a worker is behind: what the brokers say of the source topic and the group.

The numbers are the brokers' own - the end of the log less the committed offset, as
`kafka-consumer-groups.sh` computes them - and not what the worker believes.
"""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from time import time
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from dedup.settings import Settings
from dedup.streaming.fetching import unread_records

FIRST_RECORD_WITHIN_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Lag:
    """A partition of the source topic: its end, what is committed (None: nothing), the distance.

    `seconds` is the age of the first record that is not committed; None when it could not be read.
    """

    end: int
    committed: int | None
    records: int
    seconds: float | None


class LagReader:
    """Asks the brokers, by a consumer of its own that never joins the group."""

    def __init__(self, settings: Settings) -> None:
        self._topic = settings.KAFKA_PRODUCT_TOPIC
        self._arguments = {
            **settings.kafka_client(),
            "group_id": settings.DEDUP_APP_ID,
            "enable_auto_commit": False,
            "auto_offset_reset": "earliest",
            "max_partition_fetch_bytes": 64 * 1024,
        }
        self._consumer: AIOKafkaConsumer | None = None

    async def read(self, partitions: Collection[int]) -> dict[int, Lag]:
        """Give the lag of these partitions now. Raises KafkaError when the brokers are away."""
        tps = [TopicPartition(self._topic, partition) for partition in sorted(partitions)]
        consumer = await self._connected()
        if not tps:
            await consumer.topics()  # so that no answer is ever given for the brokers
            return {}
        if consumer.assignment() != set(tps):
            consumer.assign(tps)
            consumer.pause(*tps)
        committed = {tp: await consumer.committed(tp) for tp in tps}
        ends = await consumer.end_offsets(tps)  # after: an end is never behind what is committed
        begins = await consumer.beginning_offsets([tp for tp in tps if committed[tp] is None])
        starts = {tp: begins[tp] if tp in begins else committed[tp] or 0 for tp in tps}
        behind = {tp: starts[tp] for tp in tps if starts[tp] < ends[tp]}
        times = await _first_times(consumer, behind)
        now = time()
        return {
            tp.partition: Lag(
                ends[tp],
                committed[tp],
                max(0, ends[tp] - starts[tp]),
                (max(0.0, now - times[tp]) if tp in times else None) if tp in behind else 0.0,
            )
            for tp in tps
        }

    async def _connected(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            consumer = AIOKafkaConsumer(**self._arguments)
            try:
                await consumer.start()
            except BaseException:
                await consumer.stop()
                raise
            self._consumer = consumer
        return self._consumer

    async def close(self) -> None:
        """Disconnect; `read` connects anew."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await consumer.stop()


async def _first_times(
    consumer: AIOKafkaConsumer, starts: dict[TopicPartition, int]
) -> dict[TopicPartition, float]:
    """Give the times of the first record of each partition from an offset on, where one comes.

    The partitions are paused before and after.
    """
    times: dict[TopicPartition, float] = {}
    for tp, offset in starts.items():
        consumer.seek(tp, offset)
        consumer.resume(tp)
    try:
        async with asyncio.timeout(FIRST_RECORD_WITHIN_S):
            while left := starts.keys() - times.keys():
                record = await consumer.getone(*left)
                tp = TopicPartition(record.topic, record.partition)
                times[tp] = record.timestamp / 1000
                consumer.pause(tp)
                _let_go_of_the_rest(consumer, tp)
    except TimeoutError:
        consumer.pause(*starts)  # such as where nothing but transaction markers is left
    return times


def _let_go_of_the_rest(consumer: AIOKafkaConsumer, tp: TopicPartition) -> None:
    """Free what was fetched beside the first record: up to a megabyte, once a batch is that large.

    aiokafka's `PartitionRecords` and its generator refer to each other until that is used up.
    """
    unread = unread_records(consumer._fetcher, tp)
    if unread is not None:
        unread._records_iterator.close()
