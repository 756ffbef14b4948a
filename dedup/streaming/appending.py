"""Appends records to a partition within a producer's transaction."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.producer.message_accumulator import BatchBuilder

from dedup.core.batch_result import Output, OutputRecord
from dedup.core.dead_letter import record_bytes
from dedup.core.records import output_headers
from dedup.kafka.header_keys import create_batch


async def append_states(
    producer: AIOKafkaProducer, to: TopicPartition, output: Output
) -> int | None:
    """Append the emissions of an output, in as few record batches as their size allows.

    Returns the offset after them, None where it is unknown.
    """
    return await _deliver(producer, to, _state_batches(producer, output))


def _state_batches(producer: AIOKafkaProducer, output: Output) -> list[BatchBuilder]:
    """Return record batches of the emissions.

    The records go to aiokafka's compiled builder itself: beside it a `BatchBuilder` only counts
    them, and has serializers that are not set.
    """
    (key_of, shared), timestamp_ms = output.row_format, output.timestamp_ms
    batches: list[BatchBuilder] = []
    batch = producer.create_batch()
    add, number = batch._builder.append, 0
    for row_id, state in output.emissions:
        key, headers = key_of(row_id), output_headers(state)
        if shared:
            headers += shared
        if add(number, timestamp_ms, key, state.row, headers) is None:
            batch._relative_offset = number
            batches.append(batch)
            batch = producer.create_batch()
            add, number = batch._builder.append, 0
            add(0, timestamp_ms, key, state.row, headers)  # an empty one accepts any record
        number += 1
    batch._relative_offset = number
    return [*batches, batch] if number else batches


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
    return await _deliver(producer, to, batches)


async def _deliver(
    producer: AIOKafkaProducer, to: TopicPartition, batches: Sequence[BatchBuilder]
) -> int | None:
    """Send record batches and wait for the acknowledgement; return the offset after the last."""
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
