"""Clients close, whatever they are doing."""

import asyncio

from aiokafka import TopicPartition

from dedup.kafka.consumer import committed_consumer
from dedup.kafka.topics import ensure_topics
from dedup.settings import load_settings
from tests.support.workers import Names

STEPS = 12
"""More than it takes to drop the fetches of an assignment that was replaced."""


async def test_a_consumer_that_was_just_assigned_others_closes(kafka: str) -> None:
    """At whatever step it is: as recovery does, which reads the states and then the source."""
    names = Names.fresh()
    settings = load_settings({"KAFKA_BOOTSTRAP_SERVERS": kafka, **names.settings})
    await ensure_topics(settings)
    for steps in range(STEPS):
        consumer = committed_consumer(settings, auto_offset_reset="earliest")
        await consumer.start()
        consumer.assign([TopicPartition(names.states, partition) for partition in range(4)])
        async with asyncio.timeout(30):
            while not consumer._fetcher._in_flight:
                await asyncio.sleep(0.01)
        consumer.assign([TopicPartition(names.source, 0)])
        for _ in range(steps):
            await asyncio.sleep(0)
        closing = asyncio.ensure_future(consumer.stop())
        done, _ = await asyncio.wait((closing,), timeout=30)  # it may lose a cancellation too
        assert done, steps
