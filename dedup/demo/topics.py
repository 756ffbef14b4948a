"""Reads the topics of the demo, and waits for the worker's commits."""

import asyncio
from typing import Any, Final

from dedup.kafka.offsets import committed_offsets
from dedup.kafka.topic_reader import open_topic
from dedup.settings import Settings

_POLL_S: Final = 0.1


async def read_topic(settings: Settings, topic: str, setting: str) -> list[Any]:
    """Return all committed records of the topic that a setting names, each partition's in order.

    Raises ReadError.
    """
    async with open_topic(settings, topic, setting) as reader:
        return [record async for _, records in reader.read() for record in records]


async def wait_until_committed(settings: Settings, within_s: float) -> None:
    """Return when the worker's group has committed all of the source topic: its lag is 0.

    Raises TimeoutError.
    """
    async with asyncio.timeout(within_s):
        source = settings.KAFKA_PRODUCT_TOPIC
        async with open_topic(settings, source, "KAFKA_PRODUCT_TOPIC") as reader:
            ends = {partition: span.stop for partition, span in reader.spans.items()}
        while True:
            committed = await committed_offsets(settings, len(ends))
            if all(committed.get(partition, 0) >= end for partition, end in ends.items()):
                return
            await asyncio.sleep(_POLL_S)
