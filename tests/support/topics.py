"""What stands on the topics of a broker, and what the oracle makes of it."""

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.partitioner import murmur2

from dedup.demo.example import Example, History, Oracle
from producer.example import PRODUCTS
from tests.support.workers import Names

Records = dict[int, list[Any]]

UNDECIDED_AT_MOST_S = 150.0
"""More than a worker's transaction may stay open."""


def partition_of(key: bytes, partitions: int = 4) -> int:
    """Return the partition Kafka's default partitioner puts a key in."""
    return (int(murmur2(key)) & 0x7FFFFFFF) % partitions


@asynccontextmanager
async def connected(**arguments: Any) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer, closed also when it could not connect: chaos kills brokers."""
    consumer = AIOKafkaConsumer(**arguments)
    try:
        await consumer.start()
        await asyncio.sleep(0)  # a client can't be stopped before its own task has begun
        yield consumer
    finally:
        await consumer.stop()


async def produce(
    bootstrap_servers: str,
    records: Iterable[tuple[bytes | None, bytes | None]],
    topic: str,
    *,
    partition_key: bytes | None = None,
    **producer_settings: Any,
) -> None:
    """Append records in order, each in the partition of its key; without a key in that of none.

    `partition_key` stands for every key when the partition is chosen.
    """
    async with AIOKafkaProducer(
        bootstrap_servers=bootstrap_servers,
        acks="all",
        linger_ms=5,
        max_batch_size=256 * 1024,
        max_request_size=64 * 1024 * 1024,
        **producer_settings,
    ) as producer:
        futures = []
        for key, value in records:
            partition = partition_of(partition_key or key or b"")
            if key is None and value is None:  # send() refuses it; other clients write it
                batch = producer.create_batch()
                batch.append(timestamp=None, key=None, value=None)
                futures.append(await producer.send_batch(batch, topic, partition=partition))
            else:
                futures.append(
                    await producer.send(topic, value=value, key=key, partition=partition)
                )
        for future in futures:
            await future


async def read_topic(bootstrap_servers: str, topic: str, partitions: int = 4) -> Records:
    """Read everything that stands on a topic now, committed records only.

    A producer's commit is acknowledged before its markers stand on the partitions, and until then
    they hide its records: what is still undecided is waited for.
    """
    tps = [TopicPartition(topic, p) for p in range(partitions)]
    found: Records = {p: [] for p in range(partitions)}
    async with connected(bootstrap_servers=bootstrap_servers) as uncommitted:
        ends = await uncommitted.end_offsets(tps)
    if not any(ends.values()):
        return found
    async with (
        asyncio.timeout(UNDECIDED_AT_MOST_S),
        connected(
            bootstrap_servers=bootstrap_servers,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            max_partition_fetch_bytes=8 * 1024 * 1024,
        ) as consumer,
    ):
        consumer.assign(tps)
        for tp in tps:
            consumer.seek(tp, 0)
        while any([await consumer.position(tp) < ends[tp] for tp in tps]):
            for tp, records in (await consumer.getmany(timeout_ms=200)).items():
                found[tp.partition] += [r for r in records if r.offset < ends[tp]]
    return found


async def lag(bootstrap_servers: str, names: Names) -> int:
    """Records of the source topic that the group has not committed."""
    async with connected(
        bootstrap_servers=bootstrap_servers, group_id=names.group, enable_auto_commit=False
    ) as consumer:
        tps = [TopicPartition(names.source, p) for p in range(4)]
        ends = await consumer.end_offsets(tps)
        committed = [await consumer.committed(tp) or 0 for tp in tps]
        return int(sum(ends.values()) - sum(committed))


async def wait_until_done(bootstrap_servers: str, names: Names, timeout_s: float = 120) -> None:
    """Wait until everything on the source topic is committed."""
    deadline = time.monotonic() + timeout_s
    while (left := await lag(bootstrap_servers, names)) > 0:
        assert time.monotonic() < deadline, f"{left} records are not committed"
        await asyncio.sleep(0.2)


async def ends_of(bootstrap_servers: str, topic: str) -> dict[int, int]:
    """The end offset of each partition of a topic."""
    async with connected(bootstrap_servers=bootstrap_servers) as consumer:
        ends = await consumer.end_offsets([TopicPartition(topic, p) for p in range(4)])
        return {tp.partition: end for tp, end in ends.items()}


async def end_of(bootstrap_servers: str, topic: str) -> int:
    """Offsets of a topic used up so far, in all partitions."""
    return sum((await ends_of(bootstrap_servers, topic)).values())


def emissions(output: Records, example: Example = PRODUCTS) -> History:
    """Return the emissions of each id, in order; None for a tombstone."""
    found: History = defaultdict(list)
    id_name = example.entity.id
    for records in output.values():
        for record in records:
            row = None if record.value is None else json.loads(record.value)
            said = None if row is None else example.emission(row)
            found[json.loads(record.key)[id_name]].append(said)
    return found


def judge(source: Records, example: Example = PRODUCTS) -> Oracle:
    """Let the oracle see everything that stands on the source topic."""
    oracle = example.oracle()
    for records in source.values():
        oracle.feed((record.key, record.value) for record in records)
    return oracle
