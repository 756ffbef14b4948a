"""The lag: what Kafka's own tool says; its age is right whatever timestamps producers write."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, OffsetAndMetadata, TopicPartition
from aiokafka.admin import RecordsToDelete
from aiokafka.consumer.fetcher import PartitionRecords

from dedup.kafka.topics import ensure_topics
from dedup.observability.lag import Lag, LagReader
from dedup.settings import load_settings
from tests.support.administration import admin
from tests.support.kafka_tools import committed_and_lag
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


async def test_records_that_are_deleted_are_before_the_start(topic: Watched) -> None:
    """The lag is what Kafka's own tool says all the same; there is nothing to read."""
    await topic.send(0, 0)
    assert (await topic.lag()).start == 0
    await topic.commit(1)
    async with admin(topic.kafka) as client:
        before = {TopicPartition(topic.names.source, 0): RecordsToDelete(before_offset=2)}
        await client.delete_records(before)
    found = await topic.lag()
    assert (found.start, found.end, found.committed, found.records) == (2, 2, 1, 1)


async def test_lag_is_what_kafka_s_own_tool_says(kafka: str) -> None:
    """One partition is done, one at its beginning, one in between, one never committed."""
    names = Names.fresh()
    settings = load_settings({"KAFKA_BOOTSTRAP_SERVERS": kafka, **names.settings})
    await ensure_topics(settings)
    old_ms = int((time.time() - 1_000) * 1000)
    async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
        for partition in range(4):
            for number in range(30):
                await producer.send(
                    names.source, b"x", partition=partition, timestamp_ms=old_ms + number * 10_000
                )
    tps = [TopicPartition(names.source, partition) for partition in range(4)]
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka, group_id=names.group, enable_auto_commit=False
    )
    async with consumer:
        consumer.assign(tps[:3])
        await consumer.commit(
            {
                tp: OffsetAndMetadata(offset, "")
                for tp, offset in zip(tps, (30, 0, 17), strict=False)
            }
        )
    reader = LagReader(settings)
    for _ in range(2):  # the second time it knows its partitions
        found = await reader.read(range(4))
    await reader.close()
    told = committed_and_lag(kafka, names)
    assert set(told) == {0, 1, 2}
    for partition, (offset, end, records) in told.items():
        lag = found[partition]
        assert (str(lag.committed), str(lag.end), str(lag.records)) == (offset, end, records)
    assert (found[3].committed, found[3].records) == (None, 30)
    assert [lag.records for _, lag in sorted(found.items())] == [0, 30, 13, 30]
    ages = [found[partition].seconds for partition in range(4)]
    assert ages[0] == 0
    for age, first in zip(ages[1:], (0, 17, 0), strict=True):
        assert age is not None
        assert 0 <= age - (1_000 - first * 10) < 60


async def test_a_look_at_the_lag_keeps_nothing_of_what_it_fetched(kafka: str) -> None:
    """Without the help of the garbage collector, which the worker seldom runs."""
    names = Names.fresh()
    settings = load_settings({"KAFKA_BOOTSTRAP_SERVERS": kafka, **names.settings})
    await ensure_topics(settings)
    async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
        for _ in range(30):
            await producer.send(names.source, b"x", partition=0)
    tp = TopicPartition(names.source, 0)
    reader = LagReader(settings)
    gc.collect()
    gc.disable()
    try:
        async with AIOKafkaConsumer(
            bootstrap_servers=kafka, group_id=names.group, enable_auto_commit=False
        ) as consumer:
            consumer.assign([tp])
            for offset in range(1, 30):
                await consumer.commit({tp: offset})
                found = await reader.read([0])
                assert found[0].records == 30 - offset
        kept = [each for each in gc.get_objects() if isinstance(each, PartitionRecords)]
    finally:
        gc.enable()
        await reader.close()
    assert len(kept) <= 3  # the last fetch, and one or two that came when nobody waited any more
