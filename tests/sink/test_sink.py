"""The table is what the topic says: random histories, restarts, two sinks, outages."""

import asyncio
import random
import signal
from contextlib import ExitStack
from pathlib import Path

import pytest

from dedup.localkafka import LocalKafka
from dedup.sink.consuming import run_sink
from tests.sink.running import environ, process, running, settings, table, until_equal
from tests.support.postgres import PostgresServer
from tests.support.rows import RandomTopic, make_topic, write, write_in_transactions

KILLS = 5

AUDIT = """
CREATE TABLE products (
    product_id bigint PRIMARY KEY, product_name varchar(255) NOT NULL, description text,
    price decimal(10, 2) NOT NULL, stock_quantity int NOT NULL DEFAULT 0,
    discount decimal(10, 2) DEFAULT 0, created_at timestamptz, updated_at timestamptz
);
CREATE TABLE audit (number bigint GENERATED ALWAYS AS IDENTITY, product_id bigint, version int);
CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO audit (product_id, version) VALUES (NEW.product_id, NEW.stock_quantity);
    RETURN NULL;
END $$;
CREATE TRIGGER kept AFTER INSERT OR UPDATE ON products FOR EACH ROW EXECUTE FUNCTION keep();
"""

LOSE_CONNECTIONS = """
CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF random() < 0.5 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER lost BEFORE UPDATE ON products_offsets FOR EACH STATEMENT EXECUTE FUNCTION lose();
"""


def written_twice(postgres: PostgresServer) -> list[tuple[int, ...]]:
    """States that were written although they, or a later one, had been written before."""
    return postgres.ask(
        "SELECT * FROM (SELECT product_id, version, max(version) OVER (PARTITION BY product_id "
        "ORDER BY number ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before FROM audit) "
        "AS states WHERE version <= before"
    )


@pytest.mark.parametrize("seed", range(3))
async def test_the_table_is_what_a_random_history_leaves(
    kafka: str, postgres: PostgresServer, seed: int
) -> None:
    """Also in parts, with restarts between: nothing is left of what was deleted meanwhile."""
    topic, history = await make_topic(kafka), RandomTopic(seed)
    for count in (2_000, 1, 3_000):
        await write(kafka, topic, history.records(count))
        await run_sink(settings(kafka, postgres, topic), once=True)
        assert table(postgres) == history.table


async def test_aborted_records_never_reach_the_table(kafka: str, postgres: PostgresServer) -> None:
    topic, history = await make_topic(kafka), RandomTopic(9)
    async with running(settings(kafka, postgres, topic)):
        await write_in_transactions(kafka, topic, history)
        await until_equal(postgres, history.table)


async def test_records_that_are_not_rows_are_skipped_and_logged(
    kafka: str, postgres: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    topic, history = await make_topic(kafka), RandomTopic(1)
    strange = [(0, b"no key", b"{}"), (0, b'{"product_id":4}', b"no row"), (1, b"", None)]
    await write(kafka, topic, iter([*strange, *history.records(20)]))
    await run_sink(settings(kafka, postgres, topic), once=True)

    assert table(postgres) == history.table
    assert caplog.text.count("is not a row of entity product; it is skipped") == 3


async def test_kill_9_again_and_again_applies_every_state_once(
    kafka: str, postgres: PostgresServer, tmp_path: Path
) -> None:
    """Each sink has a new group: committed offsets are not used."""
    postgres.ask(AUDIT)
    topic, history, chance = await make_topic(kafka), RandomTopic(5), random.Random(5)
    log = tmp_path / "log"
    for number in range(KILLS):
        variables = environ(kafka, postgres, topic, SINK_GROUP=f"{topic}-{number}")
        await write(kafka, topic, history.records(4_000))
        before = postgres.ask("SELECT count(*) FROM audit")
        with process(variables, log) as sink:
            while postgres.ask("SELECT count(*) FROM audit") == before:
                assert sink.poll() is None, log.read_text()
            await asyncio.sleep(chance.random() * 0.2)
    await run_sink(settings(kafka, postgres, topic), once=True)

    assert table(postgres) == history.table
    assert written_twice(postgres) == []


async def test_a_connection_lost_between_rows_and_offset_leaves_neither(
    kafka: str, postgres: PostgresServer
) -> None:
    """PostgreSQL itself ends half of the connections in that moment."""
    postgres.ask(AUDIT)
    topic, history = await make_topic(kafka), RandomTopic(4)
    await run_sink(settings(kafka, postgres, topic), once=True)
    postgres.ask(LOSE_CONNECTIONS)
    async with running(settings(kafka, postgres, topic)):
        for _ in range(4):
            await write(kafka, topic, history.records(500))
            await until_equal(postgres, history.table)
    assert written_twice(postgres) == []


async def test_two_sinks_share_the_work_while_a_third_comes_and_goes(
    kafka: str, postgres: PostgresServer, tmp_path: Path
) -> None:
    postgres.ask(AUDIT)
    topic, history = await make_topic(kafka), RandomTopic(6)
    variables = environ(kafka, postgres, topic)
    with ExitStack() as stack:
        for name in "ab":
            stack.enter_context(process(variables, tmp_path / name))
        for _ in range(2):
            await write(kafka, topic, history.records(3_000))
            with process(variables, tmp_path / "c") as third:
                await write(kafka, topic, history.records(3_000))
                await until_equal(postgres, history.table)
                third.terminate()
                await asyncio.to_thread(third.wait, 30)
        await until_equal(postgres, history.table)
    assert written_twice(postgres) == []


async def test_sinks_that_both_hold_every_partition_put_nothing_old_over_new(
    kafka: str, postgres: PostgresServer, tmp_path: Path
) -> None:
    """As one that was suspended and replaced, and wakes up: here by groups that differ."""
    postgres.ask(AUDIT)
    topic, history = await make_topic(kafka), RandomTopic(7)
    zombie = environ(kafka, postgres, topic, SINK_GROUP=f"{topic}-zombie")
    with (
        process(zombie, tmp_path / "a") as first,
        process(environ(kafka, postgres, topic), tmp_path / "b"),
    ):
        for log in (tmp_path / "a", tmp_path / "b"):
            while "Reading from" not in log.read_text():
                await asyncio.sleep(0.05)
        for number in range(6):
            first.send_signal(signal.SIGCONT if number % 2 else signal.SIGSTOP)
            await write(kafka, topic, history.records(3_000))
            await asyncio.sleep(0.3)
        await until_equal(postgres, history.table)
        await write(kafka, topic, history.records(3_000))
        await until_equal(postgres, history.table)
    assert written_twice(postgres) == []
    assert "Another sink applied these records" in (tmp_path / "a").read_text()


async def test_the_sink_reconnects_after_a_crash_of_postgres(kafka: str) -> None:
    topic, history = await make_topic(kafka), RandomTopic(7)
    with PostgresServer() as own:
        own.ask(AUDIT)
        async with running(settings(kafka, own, topic)) as sink:
            for _ in range(2):
                await write(kafka, topic, history.records(5_000))
                await asyncio.to_thread(own.kill)
                await write(kafka, topic, history.records(100))
                await asyncio.to_thread(own.start)
                await until_equal(own, history.table)
            assert not sink.done()
        assert written_twice(own) == []


async def test_the_sink_retries_while_brokers_are_unavailable(postgres: PostgresServer) -> None:
    postgres.ask(AUDIT)
    history = RandomTopic(8)
    with LocalKafka() as own:
        topic = await make_topic(own.bootstrap_servers)
        async with running(settings(own.bootstrap_servers, postgres, topic)) as sink:
            await write(own.bootstrap_servers, topic, history.records(2_000))
            await until_equal(postgres, history.table)
            await asyncio.to_thread(own.kill)
            await asyncio.sleep(1)
            await asyncio.to_thread(own.restart)
            await write(own.bootstrap_servers, topic, history.records(2_000))
            await until_equal(postgres, history.table)
            assert not sink.done()
    assert written_twice(postgres) == []


async def test_sigterm_shuts_it_down_gracefully(
    kafka: str, postgres: PostgresServer, tmp_path: Path
) -> None:
    topic, history = await make_topic(kafka), RandomTopic(3)
    await write(kafka, topic, history.records(500))
    with process(environ(kafka, postgres, topic), tmp_path / "log") as sink:
        await until_equal(postgres, history.table)
        sink.terminate()
        assert await asyncio.to_thread(sink.wait, 30) == 0
    assert "Traceback" not in (tmp_path / "log").read_text()
