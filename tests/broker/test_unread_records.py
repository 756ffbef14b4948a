"""What our consumers take of a topic is what a plain consumer of aiokafka gets."""

from contextlib import AsyncExitStack
from random import Random
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.producer.message_accumulator import BatchBuilder

from dedup.kafka.client import adjust_aiokafka
from dedup.kafka.topics import ensure_topics
from dedup.kafka.unread_records import FetchedBatch, take_fetched
from dedup.settings import load_settings
from tests.support.workers import Names

CODECS = [None, "gzip", "snappy", "lz4", "zstd"]
STEPS = 40
ALL = 10_000


def fill(random: Random, batch: BatchBuilder) -> None:
    for number in range(random.randint(1, 6)):
        headers = [("a", None), ("a", b"x"), ("schlüssel", b"")][: random.randint(0, 3)]
        value = random.choice([None, b"", b"v" * random.randint(1, 3_000)])
        key = random.choice([b"", b"%d" % number]) if value is None else None
        assert batch.append(timestamp=number, key=key, value=value, headers=headers)


async def write(kafka: str, topic: str, random: Random) -> None:
    """Write batches of plain and of transactional producers; some transactions are aborted."""
    async with AsyncExitStack() as stack:
        producers: list[tuple[AIOKafkaProducer, bool]] = []
        for name in [None, None, f"{topic}-a", f"{topic}-b"]:
            producer = AIOKafkaProducer(
                bootstrap_servers=kafka,
                transactional_id=name,
                compression_type=random.choice(CODECS),
            )
            await stack.enter_async_context(producer)
            producers.append((producer, name is not None))
        is_open: set[AIOKafkaProducer] = set()
        for _ in range(STEPS):
            producer, is_transactional = random.choice(producers)
            if is_transactional and producer not in is_open:
                await producer.begin_transaction()
                is_open.add(producer)
            batch = producer.create_batch()
            fill(random, batch)
            await (await producer.send_batch(batch, topic, partition=0))
            if is_transactional and random.random() < 0.4:
                is_open.discard(producer)
                await random.choice([producer.commit_transaction, producer.abort_transaction])()
        for producer in is_open:
            await producer.abort_transaction()


def told(records: list[Any]) -> list[tuple[Any, ...]]:
    return [
        (r.offset, r.timestamp, r.timestamp_type, r.key, r.value, list(r.headers)) for r in records
    ]


def consumer_of(kafka: str, level: str, random: Random) -> AIOKafkaConsumer:
    """A consumer whose fetches are of any size: they begin and end within batches."""
    return AIOKafkaConsumer(
        bootstrap_servers=kafka,
        isolation_level=level,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=random.choice([500, 5_000, 1_000_000]),
    )


@pytest.mark.parametrize("level", ["read_committed", "read_uncommitted"])
@pytest.mark.parametrize("seed", range(4))
async def test_whole_batches_are_what_a_plain_consumer_gets(
    kafka: str, seed: int, level: str
) -> None:
    """The same records, and the same position after them, from any position on."""
    adjust_aiokafka()
    random, names = Random(seed), Names.fresh()
    environ = {"KAFKA_BOOTSTRAP_SERVERS": kafka, **names.settings}
    await ensure_topics(load_settings(environ))
    async with AIOKafkaProducer(
        bootstrap_servers=kafka, transactional_id=f"{names.source}-open"
    ) as unfinished:
        await write(kafka, names.source, random)
        async with unfinished.transaction():
            await unfinished.send_and_wait(names.source, b"open", partition=0)
            await write(kafka, names.source, random)
            tp = TopicPartition(names.source, 0)
            async with (
                consumer_of(kafka, level, random) as plain,
                consumer_of(kafka, level, random) as ours,
            ):
                plain.assign([tp])
                ours.assign([tp])
                end = (await plain.end_offsets([tp]))[tp]
                for start in [0, *(random.randrange(end) for _ in range(8))]:
                    plain.seek(tp, start)
                    ours.seek(tp, start)
                    wanted = []
                    while await plain.position(tp) < end:
                        for records in (await plain.getmany(tp, timeout_ms=500)).values():
                            wanted += records
                    found = await taken_to(ours, tp, start, end)
                    assert told(found) == told(wanted)
                    assert await ours.position(tp) == await plain.position(tp)
                    assert wanted or start > 0


async def taken_to(consumer: AIOKafkaConsumer, tp: TopicPartition, start: int, end: int) -> Any:
    """Take to an offset; each fetch continues where the one before ended."""
    records: list[Any] = []
    while start < end:
        for fetched in (await take_fetched(consumer, {tp}, 0.5)).values():
            assert isinstance(fetched, FetchedBatch)
            assert fetched.start == start < fetched.end
            assert fetched.size_bytes >= sum(len(r.value or b"") for r in fetched.records)
            start = fetched.end
            records += fetched.records
    assert start == await consumer.position(tp)
    return records
