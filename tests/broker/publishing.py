"""A worker's publisher without its worker, and what its outputs leave on a real broker."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from dedup.core.batch import Emission
from dedup.core.batch_result import Output, OutputRecord
from dedup.core.state import State
from dedup.kafka.topics import ensure_topics
from dedup.settings import load_settings
from dedup.streaming.publisher import KafkaPublisher
from tests.support.products import ROW_FORMAT
from tests.support.topics import lag, read_topic
from tests.support.workers import Names

GUARANTEES: Final = ("exactly_once", "at_least_once")

Answer = Callable[[], Awaitable[bool]]


async def yes() -> bool:
    """Say that the group takes the worker for the owner of its partitions."""
    return True


async def no() -> bool:
    """Say that it does not."""
    return False


def publisher_of(
    kafka: str, names: Names, guarantee: str = "exactly_once", is_member: Answer | None = yes
) -> KafkaPublisher:
    """Return the publisher of a worker; it owns nothing yet."""
    environ = {"KAFKA_BOOTSTRAP_SERVERS": kafka, "DEDUP_GUARANTEE": guarantee, **names.settings}
    return KafkaPublisher(load_settings(environ), is_member=is_member)


@asynccontextmanager
async def a_publisher(
    kafka: str,
    names: Names,
    guarantee: str = "exactly_once",
    is_member: Answer | None = yes,
) -> AsyncIterator[KafkaPublisher]:
    """The publisher of a worker that owns partition 0, and that its group takes for the owner."""
    publisher = publisher_of(kafka, names, guarantee, is_member)
    await ensure_topics(publisher._settings)
    await publisher.acquire([0])
    try:
        yield publisher
    finally:
        await publisher.acquire([])


def output(offset: int, value: bytes | None = None) -> Output:
    """Return the output of the one event at an offset; without a value it names the offset."""
    key, value = b'{"product_id":%d}' % (offset + 1), value or b"%d" % offset
    now_ms = time.time_ns() // 1_000_000
    state = Emission(offset + 1, State(bytes(21), 0, 0, offset, now_ms * 1000, 0, value))
    letter = OutputRecord(key, value, [])
    # Neither compaction nor retention may take any: each has a key of its own, and is of today.
    return Output(0, offset, offset + 1, 0, now_ms, ROW_FORMAT, [state], [letter])


async def published(kafka: str, topic: str) -> list[int]:
    """The offsets named by what is committed on a topic, in order."""
    return [int(record.value) for record in (await read_topic(kafka, topic))[0]]


async def committed(kafka: str, names: Names) -> int:
    """What the group has committed of partition 0; its source topic is empty."""
    return -await lag(kafka, names)


async def assert_exact(kafka: str, names: Names, guarantee: str, outputs: int) -> None:
    """Every state once and in order; every dead letter too, where that is promised."""
    assert await published(kafka, names.states) == list(range(outputs))
    letters = await published(kafka, names.dead_letters)
    if guarantee == "exactly_once":
        assert letters == list(range(outputs))
        assert await committed(kafka, names) == outputs
    else:
        assert sorted(set(letters)) == list(range(outputs))
