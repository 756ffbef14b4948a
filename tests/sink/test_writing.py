"""The sink reads on while a transaction is in progress, and nothing of that order shows."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from dedup.sink import consuming, writing
from dedup.sink.consuming import run_sink
from tests.sink.running import environ, locked_rows, process, running, settings, table, until_equal
from tests.sink.test_sink import AUDIT, LOSE_CONNECTIONS, written_twice
from tests.support.postgres import PostgresServer
from tests.support.rows import RandomTopic, make_topic, write

LIMIT = 40

WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many transactions, and always something read that waits for the next."""
    monkeypatch.setattr(consuming, "READ_RECORDS", LIMIT // 2)
    monkeypatch.setattr(writing, "MAX_ROWS", LIMIT)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await condition():
            await asyncio.sleep(0.05)


async def is_stopped(postgres: PostgresServer) -> bool:
    return await asyncio.to_thread(postgres.ask, WAITING) != [(0,)]


@pytest.mark.usefixtures("small_steps")
@pytest.mark.parametrize("seed", [41, 42])
async def test_transactions_lost_halfway_lose_and_repeat_nothing_of_what_was_read_meanwhile(
    kafka: str, postgres: PostgresServer, seed: int
) -> None:
    postgres.ask(AUDIT)
    topic, history = await make_topic(kafka), RandomTopic(seed)
    await run_sink(settings(kafka, postgres, topic), once=True)
    postgres.ask(LOSE_CONNECTIONS)
    await write(kafka, topic, history.records(600))
    async with running(settings(kafka, postgres, topic)):
        await until_equal(postgres, history.table)
    assert written_twice(postgres) == []


@pytest.mark.usefixtures("small_steps")
async def test_a_sink_that_is_overtaken_drops_what_it_has_read_meanwhile(
    kafka: str, postgres: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Both hold every partition, in groups that differ."""
    caplog.set_level("INFO", "dedup.sink")
    postgres.ask(AUDIT)
    topic, history = await make_topic(kafka), RandomTopic(43)
    other = settings(kafka, postgres, topic, SINK_GROUP=f"{topic}-other")
    async with running(settings(kafka, postgres, topic)), running(other):
        for _ in range(3):
            await write(kafka, topic, history.records(1_000))
            await until_equal(postgres, history.table)
    assert "Another sink applied these records" in caplog.text
    assert written_twice(postgres) == []


async def test_a_sink_killed_between_two_statements_leaves_nothing_of_the_transaction(
    kafka: str, postgres: PostgresServer, tmp_path: Path
) -> None:
    """What it had read for the next transaction is lost with it, and read again."""
    postgres.ask(AUDIT)
    topic, history = await make_topic(kafka), RandomTopic(44)
    await write(kafka, topic, history.records(2_000))
    await run_sink(settings(kafka, postgres, topic), once=True)
    before = history.table.copy()
    async with locked_rows(postgres):
        with process(environ(kafka, postgres, topic), tmp_path / "log") as sink:
            await write(kafka, topic, history.records(2_000))
            await until(lambda: is_stopped(postgres))
            await write(kafka, topic, history.records(2_000))
            sink.send_signal(signal.SIGKILL)
            await asyncio.to_thread(sink.wait)
        assert await asyncio.to_thread(table, postgres) == before
    await run_sink(settings(kafka, postgres, topic), once=True)

    assert table(postgres) == history.table
    assert written_twice(postgres) == []


@pytest.mark.usefixtures("small_steps")
async def test_a_transaction_that_waits_stops_reading_when_the_next_one_is_full(
    kafka: str, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    postgres.ask(AUDIT)
    topic, history = await make_topic(kafka), RandomTopic(45)
    await write(kafka, topic, history.records(1_000))
    await run_sink(settings(kafka, postgres, topic), once=True)
    waiting: list[int] = []
    room = writing.Writer.room

    async def watched(writer: writing.Writer) -> None:
        waiting.append(len(writer._rows))
        await room(writer)

    monkeypatch.setattr(writing.Writer, "room", watched)
    async with running(settings(kafka, postgres, topic)):
        async with locked_rows(postgres):
            await write(kafka, topic, history.records(2_000))
            await until(lambda: is_stopped(postgres))
            await until(lambda: _is(waiting, lambda: max(waiting) >= LIMIT))
        await until_equal(postgres, history.table)
    assert max(waiting) < 2 * LIMIT
    assert written_twice(postgres) == []


async def _is(found: list[int], condition: Callable[[], bool]) -> bool:
    return bool(found) and condition()
