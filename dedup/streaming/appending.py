"""Appends records to a partition within a producer's transaction."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence

from aiokafka import AIOKafkaProducer, TopicPartition

from dedup.core.batch_result import OutputRecord
from dedup.core.dead_letter import record_bytes
from dedup.kafka.header_keys import create_batch


async def append(
    producer: AIOKafkaProducer,
    to: TopicPartition,
    portions: Iterable[Sequence[OutputRecord]],
    timestamp_ms: int,
) -> int | None:
    """Append records to a partition, each portion in as few record batches as their size allows."""
    batches = []
    for records in filter(None, portions):
        batch = create_batch(producer, records)
        for record in records:
            while (
                batch.append(
                    timestamp=timestamp_ms,
                    key=record.key,
                    value=record.value,
                    headers=record.headers,
                )
                is None
            ):  # it is full; an empty one accepts any record
                batches.append(batch)
                batch = create_batch(producer, records)
        batches.append(batch)
    if not batches:
        return None
    deliveries = []
    for batch in batches:
        batch.close()
        deliveries.append(await producer.send_batch(batch, to.topic, partition=to.partition))
    acknowledged = await asyncio.gather(*deliveries)
    offset = int(acknowledged[-1].offset)
    # A retry of what the broker has already is acknowledged without its offset.
    return None if offset < 0 else offset + batches[-1].record_count()


def portions(records: Iterable[OutputRecord], limit: int) -> Iterator[list[OutputRecord]]:
    """Divide records into portions of `limit` bytes; a larger record is a portion of its own."""
    portion: list[OutputRecord] = []
    size = 0
    for record in records:
        more = record_bytes(record)
        if portion and size + more > limit:
            yield portion
            portion, size = [], 0
        portion.append(record)
        size += more
    yield portion
