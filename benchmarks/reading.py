"""Reads a partition in pieces: what stands on it now, without having all of it in memory."""

from collections.abc import AsyncIterator
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

FETCH_BYTES = 4 * 2**20


async def chunks(
    servers: str, topic: str, partition: int, start: int = 0
) -> AsyncIterator[list[Any]]:
    """Return the committed records of a partition, from an offset to its present end."""
    tp = TopicPartition(topic, partition)
    async with AIOKafkaConsumer(
        bootstrap_servers=servers,
        enable_auto_commit=False,
        isolation_level="read_committed",
        max_partition_fetch_bytes=FETCH_BYTES,
    ) as consumer:
        consumer.assign([tp])
        consumer.seek(tp, start)
        end = (await consumer.end_offsets([tp]))[tp]
        while await consumer.position(tp) < end:
            yield (await consumer.getmany(tp, timeout_ms=200)).get(tp, [])


async def records(servers: str, topic: str, partition: int, start: int = 0) -> AsyncIterator[Any]:
    """Return the records of `chunks` one by one."""
    async for chunk in chunks(servers, topic, partition, start):
        for record in chunk:
            yield record


async def ends_of(servers: str, topic: str, partitions: int) -> dict[int, int]:
    """Return the end offset of each partition."""
    tps = [TopicPartition(topic, p) for p in range(partitions)]
    async with AIOKafkaConsumer(bootstrap_servers=servers) as consumer:
        return {tp.partition: end for tp, end in (await consumer.end_offsets(tps)).items()}
