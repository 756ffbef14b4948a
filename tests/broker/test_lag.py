"""The lag in seconds: neither blind nor nonsense, whatever timestamps producers write."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from aiokafka import AIOKafkaProducer, OffsetAndMetadata, TopicPartition

from dedup.kafka.topics import ensure_topics
from dedup.observability.lag import Lag, LagReader
from dedup.settings import load_settings
from tests.support.topics import connected
from tests.support.workers import Names

HOUR_MS = 3_600_000


def now_ms() -> int:
    return int(time.time() * 1000)


class Watched:
    """A topic of one partition, and a reader of its lag."""

    def __init__(self, kafka: str) -> None:
        self.kafka = kafka
        self.names = Names.fresh()
        environ = {"KAFKA_BOOTSTRAP_SERVERS": kafka, "DEDUP_PARTITIONS": "1"}
        self.settings = load_settings(environ | self.names.settings)
        self.reader = LagReader(self.settings)

    async def send(self, *timestamps_ms: int) -> None:
        async with AIOKafkaProducer(bootstrap_servers=self.kafka) as producer:
            for timestamp_ms in timestamps_ms:
                await producer.send_and_wait(self.names.source, b"x", timestamp_ms=timestamp_ms)

    async def commit(self, offset: int) -> None:
        tp = TopicPartition(self.names.source, 0)
        async with connected(
            bootstrap_servers=self.kafka, group_id=self.names.group, enable_auto_commit=False
        ) as consumer:
            consumer.assign([tp])
            await consumer.commit({tp: OffsetAndMetadata(offset, "")})

    async def lag(self) -> Lag:
        return (await self.reader.read([0]))[0]


@pytest.fixture
async def topic(kafka: str) -> AsyncIterator[Watched]:
    made = Watched(kafka)
    await ensure_topics(made.settings)
    yield made
    await made.reader.close()


@pytest.mark.parametrize(
    "timestamp_ms",
    [0, -1, now_ms() // 1_000, now_ms() - 3 * 24 * HOUR_MS, now_ms() + HOUR_MS // 2],
    ids=["0", "-1", "seconds", "three days ago", "in half an hour"],
)
async def test_a_record_that_came_meanwhile_has_waited_since_it_came(
    topic: Watched, timestamp_ms: int
) -> None:
    """An alert on the age goes off in time: not at once, and not never."""
    assert await topic.lag() == Lag(0, None, 0, 0.0)
    before = time.monotonic()
    await topic.send(timestamp_ms, timestamp_ms)
    seen = time.monotonic()
    first = await topic.lag()
    assert first.records == 2
    assert 0 <= first.seconds <= time.monotonic() - before
    while time.monotonic() < seen + 1.0:
        second = await topic.lag()
    assert 0.5 < second.seconds <= time.monotonic() - before
    await topic.commit(1)
    assert second.seconds <= (await topic.lag()).seconds <= time.monotonic() - before
    await topic.commit(2)
    assert await topic.lag() == Lag(2, 2, 0, 0.0)


async def test_of_what_was_there_before_the_timestamp_tells_if_it_can_be_true(
    topic: Watched,
) -> None:
    """A worker that starts with a backlog: an hour old, or with a timestamp that is nonsense."""
    started = time.monotonic()
    await topic.send(now_ms() - HOUR_MS, 0, now_ms() + HOUR_MS // 2, now_ms() - 60_000)
    ages = []
    for offset in range(4):
        await topic.commit(offset)
        ages.append((await topic.lag()).seconds)
    took = time.monotonic() - started
    assert 3_600 <= ages[0] <= 3_601 + took
    assert max(ages[1:3]) <= took
    assert 60 <= ages[3] <= 61 + took


async def test_an_open_transaction_and_an_aborted_one_do_not_age(topic: Watched) -> None:
    """Nothing of them can be read: nobody is behind with it."""
    await topic.send(now_ms())
    await topic.commit(1)
    producer = AIOKafkaProducer(bootstrap_servers=topic.kafka, transactional_id=topic.names.group)
    async with producer:
        await producer.begin_transaction()
        for _ in range(3):
            await producer.send_and_wait(topic.names.source, b"x", timestamp_ms=0)
        await topic.send(0, now_ms())
        begun = time.monotonic()
        first = await topic.lag()
        while time.monotonic() < begun + 1.0:
            held = await topic.lag()
            assert replace(held, held_back_s=0.0) == Lag(1, 1, 0, 0.0)
        assert first.held_back_s == 0.0
        assert 0.5 < held.held_back_s <= time.monotonic() - begun
        await producer.abort_transaction()
    async with asyncio.timeout(30):
        while (found := await topic.lag()).end < 7:  # the marker is written after the answer
            await asyncio.sleep(0.05)
    assert found.records == 6
    await topic.commit(7)
    assert await topic.lag() == Lag(7, 7, 0, 0.0)
