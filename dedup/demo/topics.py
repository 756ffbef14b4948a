"""What is on the demo's topics, and how much of it the worker has committed."""

import asyncio
from typing import Any, Final

from aiokafka import TopicPartition

from dedup.kafka.consumer import committed_consumer
from dedup.kafka.offsets import committed_by
from dedup.kafka.topic_reader import read_to
from dedup.settings import Settings

_FETCH_BYTES: Final = 8 * 1024 * 1024
_LOOK_EVERY_S: Final = 0.05


async def read_topic(settings: Settings, topic: str) -> list[Any]:
    """Return all committed records that are on a topic now, each partition's in order.

    Raises TimeoutError when nothing more comes before the end is reached.
    """
    tps = [TopicPartition(topic, partition) for partition in range(settings.DEDUP_PARTITIONS)]
    async with committed_consumer(
        settings, auto_offset_reset="earliest", max_partition_fetch_bytes=_FETCH_BYTES
    ) as consumer:
        consumer.assign(tps)
        ends = await consumer.end_offsets(tps)
        for tp in tps:
            consumer.seek(tp, 0)
        return [record async for _, found in read_to(consumer, ends) for record in found]


async def wait_until_committed(settings: Settings, within_s: float) -> None:
    """Return when the worker's group has committed all of the source topic: its lag is 0.

    Raises TimeoutError.
    """
    source = settings.KAFKA_PRODUCT_TOPIC
    tps = [TopicPartition(source, partition) for partition in range(settings.DEDUP_PARTITIONS)]
    async with (
        asyncio.timeout(within_s),
        committed_consumer(settings, group_id=settings.DEDUP_APP_ID) as consumer,
    ):
        ends = await consumer.end_offsets(tps)
        while True:
            committed = await committed_by(consumer, tps)
            if all(committed.get(tp, 0) >= end for tp, end in ends.items()):
                return
            await asyncio.sleep(_LOOK_EVERY_S)
