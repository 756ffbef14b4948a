"""States on a real broker: in as few record batches as the topic accepts, each of them in full."""

import time
from pathlib import Path
from random import Random

import pytest
from aiokafka.record.memory_records import MemoryRecords

from dedup.core.batch import Emission
from dedup.core.batch_result import Output, RowFormat
from dedup.core.state import State
from dedup.kafka.topics import ensure_topics
from dedup.localkafka import LocalKafka
from dedup.settings import load_settings
from dedup.streaming.output import PublishError
from dedup.streaming.publisher import MAX_BATCH_BYTES, KafkaPublisher
from tests.support.administration import admin, alter, create
from tests.support.products import CODEC
from tests.support.state_header import state_header
from tests.support.topics import read_topic
from tests.support.workers import Names

BROKERS_ACCEPT = 1_048_588
"""`max.message.bytes` where nobody sets it."""


def sizes_of_batches(log: Path) -> list[int]:
    """The sizes of the record batches in a partition, without transaction markers."""
    data = b"".join(path.read_bytes() for path in sorted(log.glob("*.log")))
    sizes, records = [], MemoryRecords(data)
    at = 0
    while (batch := records.next_batch()) is not None:
        size = 12 + int.from_bytes(data[at + 8 : at + 12], "big")
        at += size
        if not batch.is_control_batch:
            sizes.append(size)
    return sizes


@pytest.mark.parametrize("limit", [BROKERS_ACCEPT, 60_000])
async def test_full_record_batches_are_accepted(limit: int) -> None:
    """Rows of one byte more or less fill a batch to its last byte; every row comes once, in order.

    Two outputs by one publisher: the second is another transaction.
    """
    random, names, now_ms = Random(limit), Names.fresh(), time.time_ns() // 1_000_000
    rows = RowFormat(CODEC.keys.writer("json"), [("dedup.rules", b"{}")])
    states = [
        State(bytes(21), n, 0, n, 0, n, random.choice([None, b"v" * random.randint(1, 9_000)]))
        for n in range(1_000)
    ]
    states.append(State(bytes(21), 0, 0, 1_000, 0, 0, b"w" * (limit - 300)))
    with LocalKafka() as kafka:
        environ = {"KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers, **names.settings}
        settings = load_settings(environ)
        async with admin(kafka.bootstrap_servers) as client:
            config = {"cleanup_policy": "compact", "max_message_bytes": str(limit)}
            await create(client, names.states, **config)
        await ensure_topics(settings)
        publisher = KafkaPublisher(settings, states_batch_bytes=limit)
        await publisher.acquire([0])
        for first, last in ((0, 600), (600, len(states))):
            emissions = [Emission(s.offset + 1, s) for s in states[first:last]]
            await publisher.publish(Output(0, first, last, first, now_ms, rows, emissions))
        await publisher.acquire([])
        found = (await read_topic(kafka.bootstrap_servers, names.states))[0]
        sizes = sizes_of_batches(kafka.data_dir / "data" / f"{names.states}-0")
    assert [(r.key, r.value, r.timestamp) for r in found] == [
        (b'{"product_id":%d}' % (s.offset + 1), s.row, now_ms) for s in states
    ]
    assert [state_header(r.headers).offset for r in found] == [s.offset for s in states]
    assert {dict(r.headers)["dedup.rules"] for r in found} == {b"{}"}
    assert max(sizes) <= min(limit, MAX_BATCH_BYTES)
    assert max(sizes[:-1]) > min(limit, MAX_BATCH_BYTES) - 10_000


async def test_batches_become_smaller_when_the_limit_of_a_topic_is_lowered_under_a_worker(
    kafka: str,
) -> None:
    """Every row still comes once; one that is too large alone is refused, as at any time."""
    names, now_ms = Names.fresh(), time.time_ns() // 1_000_000
    settings = load_settings({"KAFKA_BOOTSTRAP_SERVERS": kafka, **names.settings})
    await ensure_topics(settings)
    rows = RowFormat(CODEC.keys.writer("json"), [])
    states = [State(bytes(21), n, 0, n, 0, 0, b"v" * 900) for n in range(300)]
    publisher = KafkaPublisher(settings)
    await publisher.acquire([0])
    await alter(kafka, names.states, cleanup_policy="compact", max_message_bytes="20000")
    emissions = [Emission(state.offset + 1, state) for state in states]
    await publisher.publish(Output(0, 0, 300, 0, now_ms, rows, emissions))
    large = Emission(301, State(bytes(21), 300, 0, 300, 0, 0, b"w" * 30_000))
    with pytest.raises(PublishError, match="was lowered after the worker started"):
        await publisher.publish(Output(0, 300, 301, 300, now_ms, rows, [large]))
    await publisher.acquire([])
    found = (await read_topic(kafka, names.states))[0]
    assert [record.key for record in found] == [b'{"product_id":%d}' % n for n in range(1, 301)]
