"""A worker that has lost its partition puts nothing on the topics, on a real broker.

The first publisher stands for a worker that was suspended and resumes; the second for the next
owner of the partition.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition

from dedup.streaming.output import FencedError
from tests.broker.faulty import Faults, faulty_client
from tests.broker.publishing import (
    GUARANTEES,
    Answer,
    a_publisher,
    committed,
    no,
    output,
    publisher_of,
)
from tests.support.records import event
from tests.support.topics import connected, read_topic
from tests.support.workers import Names, WorkerProcess

TAKEN_OVER = "was taken over by another worker"
NO_MEMBER = pytest.mark.parametrize("is_member", [None, no], ids=["no group", "no member"])
"""What a worker knows of its group: nothing, or that the partition is not its own any more."""


@pytest.fixture
def faults() -> Iterator[Faults]:
    with faulty_client() as made:
        yield made


async def on(kafka: str, topic: str) -> list[bytes]:
    """Return the values of the committed records of partition 0."""
    return [record.value for record in (await read_topic(kafka, topic))[0]]


async def appended(kafka: str, topic: str) -> list[bytes]:
    """Return the values of all records of partition 0, whatever became of their transactions."""
    tp = TopicPartition(topic, 0)
    found: list[bytes] = []
    async with asyncio.timeout(60), connected(bootstrap_servers=kafka) as consumer:
        consumer.assign([tp])
        consumer.seek(tp, 0)
        end = (await consumer.end_offsets([tp]))[tp]
        while await consumer.position(tp) < end:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found += [record.value for record in records]
    return found


async def assert_only(kafka: str, names: Names, guarantee: str, *values: bytes) -> None:
    """Readers of committed records see these, on both topics, and nothing else."""
    assert await on(kafka, names.states) == list(values)
    assert await on(kafka, names.dead_letters) == list(values)
    expected = len(values) if guarantee == "exactly_once" else 0
    assert await committed(kafka, names) == expected


@NO_MEMBER
@pytest.mark.parametrize("guarantee", GUARANTEES)
async def test_what_the_first_of_two_owners_publishes_is_refused(
    kafka: str, guarantee: str, is_member: Answer | None
) -> None:
    names = Names.fresh()
    async with (
        a_publisher(kafka, names, guarantee, is_member) as first,
        a_publisher(kafka, names, guarantee) as second,
    ):
        with pytest.raises(FencedError, match=TAKEN_OVER):
            await first.publish(output(0, b"first"))
        await second.publish(output(0, b"second"))
        with pytest.raises(FencedError, match=TAKEN_OVER):
            await first.publish(output(1, b"first again"))
        await second.publish(output(1, b"second again"))
    await assert_only(kafka, names, guarantee, b"second", b"second again")


@NO_MEMBER
@pytest.mark.parametrize("guarantee", GUARANTEES)
async def test_a_transaction_that_was_open_when_its_owner_was_fenced_is_never_seen(
    kafka: str, faults: Faults, guarantee: str, is_member: Answer | None
) -> None:
    """Its records are on the topics: the next owner takes over just before they are committed."""
    names = Names.fresh()
    second = publisher_of(kafka, names, guarantee)

    async def taken_over(send: Callable[[], Awaitable[Any]]) -> Any:
        await second.acquire([0])
        return await send()

    async with a_publisher(kafka, names, guarantee, is_member) as first:
        await first.publish(output(0, b"first"))
        faults.plan("EndTxnRequest", taken_over)
        try:
            with pytest.raises(FencedError, match=TAKEN_OVER):
                await first.publish(output(1, b"open"))
            assert faults.happened == ["EndTxnRequest"]
            await second.publish(output(1, b"second"))
        finally:
            await second.acquire([])
    assert await appended(kafka, names.states) == [b"first", b"open", b"second"]
    assert b"open" in await appended(kafka, names.dead_letters)
    await assert_only(kafka, names, guarantee, b"first", b"second")


WORKER = """
from aiokafka import AIOKafkaProducer
from aiokafka.client import AIOKafkaClient

import dedup

app = dedup.app
app.conf.broker_session_timeout = 6.0  # the least that brokers accept
app.conf.broker_rebalance_timeout = 1.0
settings = app.settings
send = AIOKafkaClient.send


async def send_after_somebody_else(self, node, request, **arguments):
    if type(request).__name__ == "EndTxnRequest":
        name = f"{settings.DEDUP_APP_ID}-{settings.KAFKA_PRODUCT_TOPIC}-0"
        thief = AIOKafkaProducer(**settings.kafka_client(), transactional_id=name)
        await thief.start()
        await thief.stop()
    return await send(self, node, request, **arguments)


AIOKafkaClient.send = send_after_somebody_else
from faust.cli.faust import cli

cli(["-A", "dedup", "worker"])
"""
"""A worker whose transactional id another producer takes whenever a transaction is to be committed.

That producer is no member of the group; to the brokers it is a client like any other.
"""


@pytest.mark.parametrize("guarantee", GUARANTEES)
async def test_a_worker_stops_whose_transactional_id_somebody_outside_its_group_uses(
    kafka: str, tmp_path: Path, guarantee: str
) -> None:
    names = Names.fresh()
    settings = {**names.settings, "DEDUP_GUARANTEE": guarantee, "DEDUP_PARTITIONS": "1"}
    worker = WorkerProcess(kafka, tmp_path / "state", settings)
    worker.start("-c", WORKER)
    try:
        worker.wait_until_ready()
        async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
            await producer.send_and_wait(names.source, event(), b"1", partition=0)
        assert await asyncio.to_thread(worker.wait, 120) == 1
    finally:
        worker.kill()

    said = worker.log()
    assert TAKEN_OVER in said
    critical = [line for line in said.splitlines() if " CRITICAL " in line]
    assert critical
    for line in critical:
        assert f"No rebalance followed: something outside the group {names.group}" in line
    assert "Traceback" not in said
    assert (await read_topic(kafka, names.states, 1))[0] == []
    async with connected(bootstrap_servers=kafka, group_id=names.group) as consumer:
        assert not await consumer.committed(TopicPartition(names.source, 0))
