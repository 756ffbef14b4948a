"""The only maker of consumers here: they read committed records, whatever their headers are.

An event of an aborted transaction never happened, and one of an open transaction has not happened
yet. The ends that such a consumer gives are those of what it can read: the last stable offsets.
"""

from collections.abc import Collection
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from dedup.kafka.client import adjust_aiokafka
from dedup.settings import Settings

ISOLATION_LEVEL: Final = "read_committed"


def committed_consumer(settings: Settings, **arguments: Any) -> AIOKafkaConsumer:
    """Return a consumer that commits only what it is told to; `arguments` are aiokafka's."""
    adjust_aiokafka()
    return AIOKafkaConsumer(
        **settings.kafka_client(),
        enable_auto_commit=False,
        isolation_level=ISOLATION_LEVEL,
        **arguments,
    )


def log_end_consumer(settings: Settings) -> AIOKafkaConsumer:
    """Return a consumer that reads nothing: its ends are those of the log.

    They count what stands in and behind an open transaction, which can't be read yet.
    """
    adjust_aiokafka()
    return AIOKafkaConsumer(**settings.kafka_client(), enable_auto_commit=False)


async def log_ends(
    settings: Settings, tps: Collection[TopicPartition]
) -> dict[TopicPartition, int]:
    """Return the ends of the log of these partitions."""
    async with log_end_consumer(settings) as consumer:
        ends: dict[TopicPartition, int] = await consumer.end_offsets(tps)
    return ends
