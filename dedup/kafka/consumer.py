"""Makes all consumers: they read committed records only, with any header keys.

An event of an aborted transaction never happened, and one of an open transaction has not happened
yet. The end offsets of such a consumer are those of what it can read: the last stable offsets.
"""

from collections.abc import Collection
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from dedup.kafka.client import adjust_aiokafka
from dedup.kafka.settings import KafkaSettings

ISOLATION_LEVEL: Final = "read_committed"


def committed_consumer(settings: KafkaSettings, **arguments: Any) -> AIOKafkaConsumer:
    """Return a consumer without auto-commit; `arguments` are aiokafka's."""
    adjust_aiokafka()
    return AIOKafkaConsumer(
        **settings.kafka_client(),
        enable_auto_commit=False,
        isolation_level=ISOLATION_LEVEL,
        **arguments,
    )


def log_end_consumer(settings: KafkaSettings) -> AIOKafkaConsumer:
    """Return a consumer for end offsets only: its are those of the log.

    They include what is in and behind an open transaction, which can't be read yet.
    """
    adjust_aiokafka()
    return AIOKafkaConsumer(**settings.kafka_client(), enable_auto_commit=False)


async def log_ends(
    settings: KafkaSettings, tps: Collection[TopicPartition]
) -> dict[TopicPartition, int]:
    """Return the log end offsets of these partitions."""
    async with log_end_consumer(settings) as consumer:
        ends: dict[TopicPartition, int] = await consumer.end_offsets(tps)
    return ends
