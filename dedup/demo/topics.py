"""What stands on the demo's topics, and how much of it the worker has committed."""

import asyncio
from typing import Any, Final

from aiokafka import TopicPartition

from dedup.kafka.consumer import committed_consumer
from dedup.settings import Settings

_FETCH_BYTES: Final = 8 * 1024 * 1024
_NOTHING_FOR_S: Final = 30.0
_LOOK_EVERY_S: Final = 0.05


async def read_topic(settings: Settings, topic: str) -> list[Any]:
    """Read all committed records that stand on a topic now, each partition's in order.

    Raises TimeoutError when nothing more comes although the end is not reached.
    """
    tps = [TopicPartition(topic, partition) for partition in range(settings.DEDUP_PARTITIONS)]
    records: list[Any] = []
    async with committed_consumer(
        settings, auto_offset_reset="earliest", max_partition_fetch_bytes=_FETCH_BYTES
    ) as consumer:
        consumer.assign(tps)
        ends = await consumer.end_offsets(tps)
        for tp in tps:
            consumer.seek(tp, 0)
        async with asyncio.timeout(_NOTHING_FOR_S) as limit:
            while any([await consumer.position(tp) < ends[tp] for tp in tps]):
                for found in (await consumer.getmany(timeout_ms=200)).values():
                    records += found
                    limit.reschedule(asyncio.get_running_loop().time() + _NOTHING_FOR_S)
    return records


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
        while any(  # noqa: ASYNC110 - a broker tells nobody
            [(await consumer.committed(tp) or 0) < ends[tp] for tp in tps]
        ):
            await asyncio.sleep(_LOOK_EVERY_S)
