"""Finds out whether an output was committed, when its producer failed before the acknowledgement.

Guarantee: the answer is final. It is queried once a new producer of the same transactional id has
started: by then the brokers have committed or aborted the transaction of the failed producer, and
no other producer can commit one.
"""

from enum import Enum
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition

from dedup.core.batch_result import Output
from dedup.core.records import recorded
from dedup.kafka.consumer import committed_consumer, log_ends
from dedup.kafka.offsets import stable_offsets
from dedup.kafka.topic_reader import read_to
from dedup.settings import Settings


class Ending(Enum):
    """What became of an output."""

    COMMITTED = "committed"
    ABORTED = "aborted"
    OVERTAKEN = "overtaken"
    """Another worker has committed from the same events on."""


async def ending_by_offset(
    settings: Settings, producer: AIOKafkaProducer, output: Output
) -> Ending:
    """Find out by the source offset, which was part of the transaction. Raises KafkaError."""
    found = await stable_offsets(
        producer.client,
        settings.DEDUP_APP_ID,
        settings.KAFKA_PRODUCT_TOPIC,
        [output.partition],
    )
    committed = found.get(output.partition, 0)
    if committed <= output.first_offset:
        return Ending.ABORTED
    return Ending.COMMITTED if committed == output.source_offset else Ending.OVERTAKEN


async def ending_by_states(settings: Settings, output: Output) -> Ending:
    """Find out by the states on the output topic. Raises KafkaError, TimeoutError.

    An output of dead letters alone can't be found: it counts as aborted, and may be written twice.
    """
    if not output.emissions:
        return Ending.ABORTED
    row_id, state = output.emissions[-1]
    last = (output.row_format.key_of(row_id), (state.partition, state.offset))
    found = [
        (record.key, source)
        for record in await _committed_since(settings, output)
        if (source := recorded(record.headers).source) is not None
        and source[0] == output.partition
        and source[1] >= output.first_offset
    ]
    if not found:
        return Ending.ABORTED
    # Compaction may have removed a state that a later one of the product replaces, never the last.
    return Ending.COMMITTED if found[-1] == last else Ending.OVERTAKEN


async def _committed_since(settings: Settings, output: Output) -> list[Any]:
    """Read what was committed to the output topic after the states the output is based on."""
    tp = TopicPartition(settings.KAFKA_SRC_PRODUCTS_TOPIC, output.partition)
    async with committed_consumer(settings, auto_offset_reset="earliest") as consumer:
        consumer.assign([tp])
        begin = (await consumer.beginning_offsets([tp]))[tp]
        ends = await log_ends(settings, [tp])  # also what another open transaction hides
        consumer.seek(tp, max(begin, output.states_offset))
        return [record async for _, found in read_to(consumer, ends) for record in found]
