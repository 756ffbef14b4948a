"""Events of transactional producers: what was aborted never happened, what is open has not yet."""

import asyncio
import json
import os
import shutil
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from click.testing import CliRunner

from dedup.cli import cli
from dedup.kafka.topics import ensure_topics
from dedup.observability.lag import LagReader
from dedup.settings import load_settings
from tests.broker.transactions import Feed, prices, producing
from tests.support.records import event
from tests.support.topics import (
    Records,
    connected,
    emissions,
    partition_of,
    read_topic,
    wait_until_done,
)
from tests.support.workers import Names, WorkerProcess, wait_until_counted

GUARANTEES = pytest.mark.parametrize("guarantee", ["exactly_once", "at_least_once"])
PRODUCTS = 12


def run(kafka: str, names: Names, *arguments: str) -> Any:
    """What a command prints with --json; it succeeds."""
    others = dict.fromkeys(n for n in os.environ if n.startswith(("DEDUP_", "KAFKA_")))
    environ = others | {"KAFKA_BOOTSTRAP_SERVERS": kafka, **names.settings}
    with ThreadPoolExecutor(1) as thread:
        result = thread.submit(CliRunner().invoke, cli, [*arguments, "--json"], env=environ)
    assert result.result().exit_code == 0, result.result().output
    return [json.loads(line) for line in result.result().stdout.splitlines()]


@GUARANTEES
async def test_an_aborted_event_never_happened(kafka: str, tmp_path: Path, guarantee: str) -> None:
    """Later by its time, it would make the real updates stale."""
    names = Names.fresh()
    settings = names.settings | {"DEDUP_GUARANTEE": guarantee, "DEDUP_PARTITIONS": "1"}
    await ensure_topics(load_settings({"KAFKA_BOOTSTRAP_SERVERS": kafka, **settings}))

    def told(product_id: int, action: str, time: str, price: str) -> tuple[bytes, bytes]:
        value = json.loads(event(product_id, action=action, price=price))
        return b"%d" % product_id, json.dumps(value | {"timestamp": f"{time}T00:00:00Z"}).encode()

    created = [told(number, "created", "2026-01-01", "10.00") for number in (1, 2)]
    aborted = [
        told(1, "updated", "2026-03-01", "66.60"),
        told(2, "deleted", "2026-03-01", "10.00"),
    ]
    updated = [
        told(1, "updated", "2026-02-01", "12.00"),
        told(2, "updated", "2026-02-01", "13.00"),
    ]
    with WorkerProcess(kafka, tmp_path / "state", settings) as worker:
        worker.wait_until_ready()
        async with producing(kafka) as plain, producing(kafka, names.group) as transactional:
            for key, value in created:
                await plain.send_and_wait(names.source, value, key)
            await transactional.begin_transaction()
            for key, value in aborted:
                await transactional.send_and_wait(names.source, value, key)
            await asyncio.sleep(1)  # an open transaction is not emitted either
            await transactional.abort_transaction()
            for key, value in updated:
                await plain.send_and_wait(names.source, value, key)
        await _until_committed(kafka, names, {0: 7})
        assert worker.terminate() == 0
    output = prices(await read_topic(kafka, names.states, partitions=1))
    assert output == {1: ["10.00", "12.00"], 2: ["10.00", "13.00"]}


async def _until_committed(kafka: str, names: Names, wanted: dict[int, int]) -> None:
    """Wait until the group has committed these offsets, and assert that it goes no further."""
    tps = {TopicPartition(names.source, p): offset for p, offset in wanted.items()}
    async with (
        asyncio.timeout(60),
        connected(
            bootstrap_servers=kafka, group_id=names.group, enable_auto_commit=False
        ) as consumer,
    ):
        while (found := {tp: await consumer.committed(tp) or 0 for tp in tps}) != tps:
            assert all(found[tp] <= tps[tp] for tp in tps), found
            await asyncio.sleep(0.1)


@GUARANTEES
async def test_aborted_events_at_the_end_leave_no_lag(
    kafka: str, tmp_path: Path, guarantee: str
) -> None:
    """The committed offset moves over what holds no event, so Kafka's own tools show no lag.

    One partition has events before it, the others have none at all.
    """
    names = Names.fresh()
    with WorkerProcess(
        kafka, tmp_path / "state", names.settings | {"DEDUP_GUARANTEE": guarantee}
    ) as worker:
        worker.wait_until_ready()
        feed = Feed(kafka, names.source)
        async with producing(kafka) as plain, producing(kafka, names.group) as transactional:
            for number in range(3):
                await feed.send(plain, 1, number, f"{number + 1}.00")
            await wait_until_done(kafka, names)
            for number in range(3):
                await transactional.begin_transaction()
                for product_id in range(1, PRODUCTS + 1):
                    await feed.send(transactional, product_id, 100 + number, "66.60")
                await transactional.abort_transaction()
        await wait_until_done(kafka, names)
        assert wait_until_counted(3, worker) == {"change": 3}
        assert worker.terminate() == 0
    assert prices(await read_topic(kafka, names.states)) == {1: ["1.00", "2.00", "3.00"]}


async def test_recovery_waits_for_what_an_open_transaction_hides(
    kafka: str, tmp_path: Path
) -> None:
    """Rows that were emitted behind a stranger's open transaction would be emitted again."""
    names = Names.fresh()
    feed = Feed(kafka, names.source)
    partition = partition_of(b"1")
    with WorkerProcess(kafka, tmp_path / "state", names.settings) as worker:
        worker.wait_until_ready()
        async with producing(kafka) as plain, producing(kafka, names.group) as stranger:
            await stranger.begin_transaction()
            await stranger.send_and_wait(names.states, b"{}", b"?", partition=partition)
            await feed.send(plain, 1, 1, "10.00")
            await wait_until_done(kafka, names)
            worker.kill()
            worker.log_path.unlink()
            shutil.rmtree(worker.data_dir)
            await feed.send(plain, 1, 1, "10.00")
            worker.start()
            async with asyncio.timeout(60):
                while not await asyncio.to_thread(_recovering, worker):
                    await asyncio.sleep(0.1)
            assert "Worker ready" not in worker.log()
            await stranger.abort_transaction()
        worker.wait_until_ready()
        await wait_until_done(kafka, names)
        assert worker.terminate() == 0
    assert prices(await read_topic(kafka, names.states)) == {1: ["10.00"]}


def _recovering(worker: WorkerProcess) -> bool:
    try:
        left = worker.metrics().items()
    except OSError:  # it is starting
        return False
    return any(n.startswith("dedup_recovery_remaining_records") and value > 0 for n, value in left)


async def _transact(feed: Feed, producer: AIOKafkaProducer, random: Random) -> None:
    """A transaction of random events; the model sees those of a committed one."""
    await producer.begin_transaction()
    found = [await feed.send(producer, *_random_event(random)) for _ in range(random.randint(1, 8))]
    if random.random() < 0.5:
        await producer.abort_transaction()
    else:
        await producer.commit_transaction()
        feed.committed.update(found)


def _random_event(random: Random) -> tuple[int, int, str | None]:
    price = None if random.random() < 0.1 else f"{random.randint(1, 3)}.00"
    return random.randint(1, PRODUCTS), random.randint(0, 3_600 * 23), price


async def _feed_at_random(feed: Feed, seed: int, transactions: int) -> None:
    """Two transactional producers and a plain one write into each other."""
    random = Random(seed)
    async with AsyncExitStack() as stack:
        plain = await stack.enter_async_context(producing(feed.kafka))
        transactional = [
            await stack.enter_async_context(producing(feed.kafka, f"{feed.topic}-{seed}-{number}"))
            for number in range(2)
        ]

        async def transact(producer: AIOKafkaProducer) -> None:
            for _ in range(transactions):
                await _transact(feed, producer, random)

        async def send() -> None:
            for _ in range(transactions * 4):
                feed.committed.update([await feed.send(plain, *_random_event(random))])

        await asyncio.gather(send(), *map(transact, transactional))


@GUARANTEES
async def test_what_is_emitted_is_what_was_committed(
    kafka: str, tmp_path: Path, guarantee: str
) -> None:
    """Random commits and aborts, a SIGKILL, and one transaction that is open all the while."""
    names = Names.fresh()
    feed, held = Feed(kafka, names.source), Feed(kafka, names.source)
    settings = names.settings | {"DEDUP_GUARANTEE": guarantee}
    with WorkerProcess(kafka, tmp_path / "state", settings) as worker:
        worker.wait_until_ready()
        await _feed_at_random(feed, 1, 20)
        async with producing(kafka) as plain, producing(kafka, names.group) as hanging:
            await wait_until_done(kafka, names)
            await hanging.begin_transaction()
            (blocked, began), _ = await feed.send(hanging, 1, 3_600 * 23 + 1, "66.60")
            held.committed.update([await feed.send(plain, 1, 3_600 * 23, "77.00")])
            before = await read_topic(kafka, names.states)
            feeding = asyncio.ensure_future(_feed_at_random(feed, 2, 20))
            await asyncio.sleep(0.5)
            worker.kill()
            worker.start()
            await feeding
            await _until_committed(kafka, names, {blocked: began})
            await _sane_while_a_transaction_is_open(kafka, names, worker)
            output = await read_topic(kafka, names.states)
            assert output[blocked] == before[blocked]
            await hanging.abort_transaction()
        feed.committed.update(held.committed)
        await wait_until_done(kafka, names)
        assert worker.terminate() == 0
    output = await read_topic(kafka, names.states)
    assert prices(output) == feed.prices()
    assert feed.prices()[1][-1] == "77.00"
    _commands_agree(kafka, names, feed, output)


async def _sane_while_a_transaction_is_open(
    kafka: str, names: Names, worker: WorkerProcess
) -> None:
    """What can be read is done: there is no lag, in records or in time, and the worker is ready."""

    def lags() -> list[float]:
        try:
            found = worker.metrics().items()
        except OSError:  # it is starting
            return []
        return [value for name, value in found if name.startswith("dedup_consumer_lag_")]

    async with asyncio.timeout(60):
        while lags() != [0.0] * 8:
            await asyncio.sleep(0.2)
    for _ in range(2):  # as it stays: the lag is looked at once a second
        await asyncio.sleep(1.1)
        assert lags() == [0.0] * 8
        assert _ready(worker)
    settings = load_settings({"KAFKA_BOOTSTRAP_SERVERS": kafka, **names.settings})
    reader = LagReader(settings)
    try:
        assert {
            p: (lag.records, lag.seconds) for p, lag in (await reader.read(range(4))).items()
        } == (dict.fromkeys(range(4), (0, 0.0)))
    finally:
        await reader.close()


def _ready(worker: WorkerProcess) -> bool:
    with urllib.request.urlopen(f"http://127.0.0.1:{worker.port}/readyz", timeout=30) as page:
        return bool(page.status == 200)


def _commands_agree(kafka: str, names: Names, feed: Feed, output: Records) -> None:
    assert run(kafka, names, "verify")[0]["sound"]
    stats = run(kafka, names, "stats")[0]["deduplication_stats"]
    assert stats["total_events"] == len(feed.committed)
    told = run(kafka, names, "tail", "--from-beginning", "--until-end")
    places = {(each["partition"], each["offset"]) for each in told}
    assert places == set(feed.committed)
    product = run(kafka, names, "inspect", "1", "--events", "1000")[0]
    events = [each for each in feed.committed.values() if each[0] == 1]
    assert len(product["events"]) == len(events)
    assert product["row"]["price"] == "77.00"
    assert len(emissions(output)[1]) == len(product["history"])
