"""The offsets that a consumer group has committed, and where the known states end."""

import asyncio
from collections.abc import Collection, Iterable
from time import monotonic
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.errors import GroupAuthorizationFailedError, KafkaTimeoutError, for_code
from aiokafka.protocol.types import Boolean, CompactArray, Int16, Int32, Int64

from dedup.kafka.consumer import committed_consumer
from dedup.kafka.requests import TAGS, TEXT, OneVersion, declare
from dedup.kafka.topic_reader import open_topic
from dedup.settings import Settings

UNSTABLE: Final = 88
"""UNSTABLE_OFFSET_COMMIT: a transaction on a partition's offset is not over yet."""

RETRY_EVERY_S: Final = 0.02

STABLE_WITHIN_S: Final = 75.0
"""How long a transaction may be pending on offsets: the brokers abort a worker's after 60 s."""

_PARTITION: Final = (
    ("partition", Int32),
    ("offset", Int64),
    ("leader_epoch", Int32),
    ("metadata", TEXT),
    ("error_code", Int16),
    TAGS,
)
_OFFSET_FETCH: Final = declare(
    9,
    7,
    request=(
        ("group", TEXT),
        ("topics", CompactArray(("topic", TEXT), ("partitions", CompactArray(Int32)), TAGS)),
        ("require_stable", Boolean),
    ),
    response=(
        ("throttle_time_ms", Int32),
        ("topics", CompactArray(("topic", TEXT), ("partitions", CompactArray(*_PARTITION)), TAGS)),
        ("error_code", Int16),
    ),
)


async def committed_by(
    consumer: AIOKafkaConsumer, tps: Iterable[TopicPartition]
) -> dict[TopicPartition, int]:
    """Return what a consumer's group has committed; partitions without an offset are left out.

    While a transaction is pending on an offset, that is the offset from before it. Retries while
    the coordinator moves.
    """
    found = {tp: await consumer.committed(tp) for tp in tps}
    return {tp: offset for tp, offset in found.items() if offset is not None}


async def committed_offsets(settings: Settings, partitions: int) -> dict[int, int]:
    """Return what the worker's group has committed of each partition of the source topic.

    See `committed_by`. Joins no group. Raises KafkaError.
    """
    topic = settings.KAFKA_PRODUCT_TOPIC
    tps = [TopicPartition(topic, partition) for partition in range(partitions)]
    async with committed_consumer(settings, group_id=settings.DEDUP_APP_ID) as consumer:
        return {tp.partition: offset for tp, offset in (await committed_by(consumer, tps)).items()}


async def stable_offsets(
    client: AIOKafkaClient, group: str, topic: str, partitions: Collection[int]
) -> dict[int, int]:
    """Return what the group has committed; partitions without an offset are left out.

    Waits while a transaction is pending on one of them (KIP-447), which brokers since 2.5 tell;
    aiokafka's request may answer with the offset from before a transaction that has just ended.
    Raises KafkaError, and so a KafkaTimeoutError after `STABLE_WITHIN_S`.
    """
    deadline = monotonic() + STABLE_WITHIN_S
    node = await client.coordinator_lookup(CoordinationType.GROUP, group)
    while True:
        request = OneVersion(_OFFSET_FETCH, group, [(topic, sorted(partitions), {})], True)
        response = await client.send(node, request)
        found = [entry for _, entries, _ in response.topics for entry in entries]
        codes = {response.error_code, *(code for *_, code, _ in found)} - {0}
        if not codes:
            return {partition: offset for partition, offset, *_ in found if offset >= 0}
        if codes != {UNSTABLE}:
            error = for_code((codes - {UNSTABLE}).pop())
            raise error(group) if error is GroupAuthorizationFailedError else error()
        if monotonic() > deadline:
            raise KafkaTimeoutError(f"a transaction on offsets of {topic} does not end")
        await asyncio.sleep(RETRY_EVERY_S)


async def ends_of_states(settings: Settings) -> dict[int, int]:
    """Return for each partition the source offset at which the known states end.

    That is what the worker's group has committed. For a job whose offsets are unknown, such as
    Flink's, it is the end of the topic now; without any states, its beginning. Read the states
    after this: they then hold at least what came before it. Raises ReadError.
    """
    source, states = settings.KAFKA_PRODUCT_TOPIC, settings.KAFKA_SRC_PRODUCTS_TOPIC
    async with open_topic(settings, states, "KAFKA_SRC_PRODUCTS_TOPIC") as output:
        has_states = any(output.spans.values())
    async with open_topic(settings, source, "KAFKA_PRODUCT_TOPIC") as events:
        spans = events.spans
        committed = await committed_offsets(settings, len(spans))
    at_end = has_states and not committed
    return {
        partition: span.stop
        if at_end
        else min(span.stop, max(span.start, committed.get(partition, span.start)))
        for partition, span in spans.items()
    }
