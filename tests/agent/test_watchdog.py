"""The watchdog of a worker: what it judges by, and that it finds tasks and threads that hang."""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from math import inf

import pytest
from aiokafka.errors import KafkaConnectionError, KafkaError

from dedup.kafka.patience import Patience
from dedup.observability import stalls
from dedup.observability.gauge_sampler import Gauges
from dedup.observability.lag import Lag
from dedup.observability.stalls import Reading
from dedup.streaming import watchdog
from dedup.streaming.application import DedupApp
from dedup.streaming.watchdog import Watchdog, readings
from tests.agent.conftest import Bench
from tests.agent.transport import TP1, Rig, chunk
from tests.support.records import TP0

LAG = Lag(end=9, committed=0, records=9, seconds=1.0, start=0)


@pytest.fixture
def app(bench: Bench, rig: Rig) -> DedupApp:
    """Two partitions are assigned and recovered, with 9 records each; partition 0 has 3 in work."""
    assert bench.app._consumer is rig.consumer
    bench.app.observers.gauges.lags = {0: LAG, 1: LAG}
    return bench.app


async def test_each_partition_is_judged_by_what_is_done_delivered_and_there(
    app: DedupApp, rig: Rig
) -> None:
    batch = await rig.batch(TP0, chunk(0, 3))
    await rig.batch(TP0, chunk(3, 5))
    assert readings(app) == {0: Reading(0, 5, 0, 9), 1: Reading(0, 0, 0, 9)}

    batch.mark_done()
    assert readings(app) == {0: Reading(3, 5, 0, 9), 1: Reading(0, 0, 0, 9)}


async def test_all_that_is_delivered_and_done_is_done_committed_or_not(
    app: DedupApp, rig: Rig
) -> None:
    """A batch of transaction markers too."""
    for given in (chunk(0, 3), chunk(3, 5, 4), chunk(5, 6)):
        (await rig.batch(TP0, given)).mark_done()
    assert (readings(app) or {})[0] == Reading(6, 6, 0, 9)
    rig.committable(TP0)
    assert (readings(app) or {})[0] == Reading(6, 6, 0, 9)


@pytest.mark.parametrize("lags", [{0: Lag(0, 0, 0, 0.0)}, {}], ids=["nothing", "not yet"])
async def test_what_was_delivered_since_the_lag_was_measured_is_there_too(
    app: DedupApp, rig: Rig, lags: dict[int, Lag]
) -> None:
    app.observers.gauges.lags = lags
    batch = await rig.batch(TP0, chunk(0, 3))
    assert (readings(app) or {})[0].should_move
    batch.mark_done()
    assert not (readings(app) or {})[0].should_move


async def test_records_that_are_deleted_are_not_there(app: DedupApp) -> None:
    """The worker was down for longer than the topic's retention."""
    app.observers.gauges.lags = {0: replace(LAG, start=9), 1: replace(LAG, start=8)}
    assert readings(app) == {0: Reading(0, 0, 9, 9), 1: Reading(0, 0, 8, 9)}
    assert {p: r.should_move for p, r in (readings(app) or {}).items()} == {0: False, 1: True}


async def test_what_an_open_transaction_holds_back_is_not_there(app: DedupApp, rig: Rig) -> None:
    """The end is that of what can be read; what is before it has to be read."""
    app.observers.gauges.lags = {0: Lag(3, 3, 0, 0.0, held_back_s=90.0)}
    batch = await rig.batch(TP0, chunk(0, 3))
    assert (readings(app) or {})[0].should_move
    batch.mark_done()
    assert not (readings(app) or {})[0].should_move


async def test_a_partition_that_is_recovered_is_judged_by_what_is_left(app: DedupApp) -> None:
    """Of all partitions: they resume together. One that hangs after the last record is told too."""
    app.in_recovery = app.rebalancing = True
    app.metrics.recovery_remaining.labels(0).set(7)
    found = readings(app) or {}
    assert {p: reading.to_recover for p, reading in found.items()} == {0: 7, 1: 7}
    assert all(reading.should_move for reading in found.values())


def rebalances(app: DedupApp, _: Rig) -> None:
    app.rebalancing = True


def stops_flow(_: DedupApp, rig: Rig) -> None:
    rig.consumer.stop_flow()


def is_revoked(_: DedupApp, rig: Rig) -> None:
    rig.consumer._expected.clear()


def has_no_consumer(app: DedupApp, _: Rig) -> None:
    app._consumer = None


@pytest.mark.parametrize(
    "happens",
    [rebalances, stops_flow, is_revoked, has_no_consumer],
)
async def test_no_partition_is_judged_while(
    app: DedupApp, rig: Rig, happens: Callable[[DedupApp, Rig], None]
) -> None:
    consumer = app._consumer
    assert len(readings(app) or {}) == 2
    happens(app, rig)
    assert readings(app) == {}
    app._consumer = consumer  # what the fixture closes


async def test_a_partition_that_went_to_another_worker_is_not_judged(
    app: DedupApp, rig: Rig
) -> None:
    rig.consumer._forget({TP1})
    assert (readings(app) or {}).keys() == {0}


async def test_nothing_is_judged_while_the_brokers_do_not_answer(
    app: DedupApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Gauges, "silent_for", lambda _: 6.0)
    assert readings(app) is None


async def test_nothing_is_judged_while_something_waits_for_the_brokers(app: DedupApp) -> None:
    """Such as an output that replicas are missing for: the log says so, and says its end."""
    patience = Patience("The output of partition 0", logging.getLogger("test"))
    await patience.wait(KafkaError())
    assert readings(app) is None
    patience.over()
    assert readings(app) is not None


async def test_what_gave_up_waiting_for_the_brokers_does_not_wait(app: DedupApp) -> None:
    patience = Patience("Reading", logging.getLogger("test"), give_up_after_s=0.0)
    await patience.wait(KafkaConnectionError())
    with pytest.raises(KafkaConnectionError):
        await patience.wait(KafkaConnectionError())
    assert readings(app) is not None


class Lines(logging.Handler):
    """Keeps the watchdog's lines; a thread can wait for the first."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[tuple[str, str]] = []
        self.arrived = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append((record.levelname, record.getMessage()))
        self.arrived.set()


@pytest.fixture
async def lines(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Lines]:
    """Look often, and call half a second a stall."""
    monkeypatch.setattr(watchdog, "LOOK_EVERY_S", 0.02)
    monkeypatch.setattr(stalls, "STALLED_AFTER_S", 0.5)
    kept, logger = Lines(), logging.getLogger(stalls.__name__)
    logger.addHandler(kept)
    level = logger.level
    logger.setLevel(logging.INFO)
    yield kept
    logger.setLevel(level)
    logger.removeHandler(kept)


@asynccontextmanager
async def watching(app: DedupApp) -> AsyncIterator[Watchdog]:
    """Run the worker's watchdog."""
    assert any(each is app.watchdog for each in app.worker_services())
    async with app.watchdog:
        yield app.watchdog
    assert not any(each.name == "watchdog" for each in threading.enumerate())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0)


async def test_a_batch_that_hangs_is_logged_with_the_task_that_hangs_and_later_its_end(
    app: DedupApp, bench: Bench, rig: Rig, lines: Lines
) -> None:
    app.observers.gauges.lags = {0: Lag(3, 0, 3, 1.0)}
    bench.publisher.acknowledged = asyncio.Event()
    batch = await rig.batch(TP0, chunk(0, 3))
    hanging = asyncio.create_task(app.deduplicator.apply(batch), name="batch of partition 0")
    async with watching(app) as watched:
        await until(lambda: bool(lines.lines))
        ((level, text),) = lines.lines
        assert level == "WARNING"
        assert "it is done up to offset 0, delivered up to 3, and can be read up to 3" in text
        dumped = text.split("batch of partition 0\n")[1]
        assert "/processor.py:" in dumped.splitlines()[0]
        assert dumped.splitlines()[0].endswith(" Deduplicator.apply")
        assert dumped.splitlines()[1].endswith(" RecordingPublisher.publish")
        assert "\nThreads: " in text
        warning = watched.warning()
        assert warning is not None
        assert "Partition 0 of products makes no progress since" in warning
        bench.publisher.acknowledged.set()
        await hanging
        await until(lambda: len(lines.lines) == 2)
        assert lines.lines[1][0] == "INFO"
        assert "makes progress again, to offset 3, after" in lines.lines[1][1]
        assert watched.warning() is None


@pytest.mark.parametrize("lag", [LAG, Lag(0, 0, 0, 0.0)], ids=["events", "none yet"])
async def test_a_main_thread_that_hangs_is_logged_with_its_stack(
    app: DedupApp, lines: Lines, monkeypatch: pytest.MonkeyPatch, lag: Lag
) -> None:
    """Its loop runs nothing meanwhile, this test included, and no lag is measured."""
    app.observers.gauges.lags = {0: lag, 1: lag}
    monkeypatch.setattr(stalls, "STALLED_AFTER_S", inf)

    def hang_until_logged() -> bool:
        time.sleep(3 * watchdog.LOOK_EVERY_S)
        monkeypatch.setattr(stalls, "STALLED_AFTER_S", 0.0)
        return lines.arrived.wait(20)

    async with watching(app) as watched:
        await until(lambda: bool(watched._readings))
        assert hang_until_logged()

    text = lines.lines[0][1]
    assert "Partition 0 of products makes no progress since" in text
    assert "Partition 1 of products makes no progress since" in text
    assert "The loop of the main thread has not run for" in text
    threads = text.split("\nThreads: ")[1].split("\nTasks of ")[0]
    (at,) = [line for line in threads.splitlines() if line.endswith(".hang_until_logged")]
    assert "tests/agent/test_watchdog.py:" in at


async def test_a_worker_that_does_its_work_logs_nothing(
    app: DedupApp, rig: Rig, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With something to read all the time, and a batch a look, which takes five seconds here."""
    looks: list[Mapping[int, Reading] | None] = []
    may_look = threading.Semaphore(0)
    watched = app.watchdog._stalls
    look = watched.look

    def look_after_a_batch(found: Mapping[int, Reading] | None) -> None:
        assert may_look.acquire(timeout=20)
        looks.append(found)
        look(found)

    monkeypatch.setattr(stalls, "STALLED_AFTER_S", 60.0)
    monkeypatch.setattr(watched, "look", look_after_a_batch)
    monkeypatch.setattr(watched, "_clock", lambda: watched._looked_at + 5.0)
    async with watching(app):
        for end in range(60):
            app.observers.gauges.lags = {0: Lag(end + 10, end, 10, 1.0)}
            (await rig.batch(TP0, chunk(end, end + 1))).mark_done()
            rig.committable(TP0)
            may_look.release()
            await until(lambda: len(looks) > end)  # noqa: B023 - it has ended by then
        may_look.release()
    judged = [found[0] for found in looks if found]
    assert len(judged) > 50
    assert all(each.should_move for each in judged)
    assert lines.lines == []


async def test_a_look_that_fails_ends_no_watching(
    app: DedupApp, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    look, failed = app.watchdog._stalls.look, threading.Event()

    def fail_once(found: dict[int, Reading] | None) -> None:
        if not failed.is_set():
            failed.set()
            raise RuntimeError("once")
        look(found)

    monkeypatch.setattr(app.watchdog._stalls, "look", fail_once)
    async with watching(app):
        await until(lambda: bool(lines.lines))
    assert failed.is_set()
    assert lines.lines[0][0] == "WARNING"
