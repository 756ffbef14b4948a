"""The consumer whose rows latency is taken of, and by how much it was late itself."""

import asyncio
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

TICK_S: Final = 0.005


class Row(msgspec.Struct):
    """What is read of a row."""

    last_event_timestamp: str


_decode = msgspec.json.Decoder(Row).decode


def event_time_us(value: bytes) -> int:
    """Return the time of the event that a row names."""
    return round(datetime.fromisoformat(_decode(value).last_event_timestamp).timestamp() * 1e6)


async def follow(
    servers: str, topic: str, partitions: int, take: Callable[[list[Any]], None]
) -> None:
    """Pass the committed records of a topic on as they come, until cancelled.

    Each partition has a consumer of its own: aiokafka leaves a partition that has unread records
    out of its next fetch, and that fetch waits until the others have something.
    """
    async with asyncio.TaskGroup() as group:
        for partition in range(partitions):
            group.create_task(_follow(servers, TopicPartition(topic, partition), take))


async def _follow(
    servers: str, partition: TopicPartition, take: Callable[[list[Any]], None]
) -> None:
    async with AIOKafkaConsumer(
        bootstrap_servers=servers,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    ) as consumer:
        consumer.assign([partition])
        while True:
            for records in (await consumer.getmany(timeout_ms=100)).values():
                take(records)


class Reader:
    """Reads the committed records of an output topic as they come.

    `rows` has the moment and the value of each; a tombstone names no event and is only counted.
    `late_us` is how long a timer of 5 ms took beyond that: what Python or the machine kept from
    the reader.
    """

    def __init__(self, servers: str, topic: str, partitions: int) -> None:
        self.count = 0
        self.rows: list[tuple[int, bytes]] = []
        self.late_us: list[int] = []
        self._topic = servers, topic, partitions

    async def read(self) -> None:
        """Read until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(follow(*self._topic, self._take))
            group.create_task(self._tick())

    def _take(self, records: list[Any]) -> None:
        now_us = time.time_ns() // 1000
        self.count += len(records)
        self.rows += [(now_us, record.value) for record in records if record.value is not None]

    async def _tick(self) -> None:
        while True:
            begun = time.perf_counter_ns()
            await asyncio.sleep(TICK_S)
            self.late_us.append((time.perf_counter_ns() - begun) // 1000 - int(TICK_S * 1e6))

    def latencies_us(self, from_us: int) -> list[int]:
        """Return the latencies of the rows of events from a moment on."""
        at = [(now_us, event_time_us(value)) for now_us, value in self.rows]
        return [now_us - event_us for now_us, event_us in at if event_us >= from_us]
