"""What an operator sees of a sink: metrics, progress, and outages in the log."""

import asyncio
import re
import time
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from dedup.core.errors import SettingsError
from dedup.localkafka.ports import free_port
from dedup.sink import progress
from dedup.sink.consuming import run_sink
from tests.sink.running import environ, locked_rows, process, running, settings, until_equal
from tests.support.postgres import PostgresServer
from tests.support.rows import RandomTopic, make_topic, write, write_in_transactions


def measured(port: int) -> dict[str, float]:
    """The samples of a sink's metrics, by name and labels."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    return {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def used_by_alerts() -> set[str]:
    """The metrics of sinks that the alerts ask for."""
    alerts = Path(__file__).parents[2] / "deploy" / "prometheus" / "alerts.yml"
    used = set(re.findall(r"dedup_sink_\w+", alerts.read_text("utf-8")))
    assert len(used) > 2
    return used


async def test_metrics_are_of_the_rows_in_the_table_and_the_records_left(
    kafka: str, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lag counts what is on the topic: markers of transactions at its end are no lag."""
    monkeypatch.setattr(progress, "ASK_EVERY_S", 0.1)
    topic, history, port = await make_topic(kafka), RandomTopic(31), free_port()
    own = settings(kafka, postgres, topic, SINK_METRICS_PORT=str(port))
    async with running(own):
        await write_in_transactions(kafka, topic, history)
        await write(kafka, topic, iter([(0, b"no key", b"{}")]))
        await until_equal(postgres, history.table)
        deadline = time.monotonic() + 30
        while True:
            found = await asyncio.to_thread(measured, port)
            lag = [v for name, v in found.items() if name.startswith("dedup_sink_lag_records")]
            if lag and sum(lag) == 0 and found["dedup_sink_skipped_records_total"] == 1:
                break
            assert time.monotonic() < deadline, found
            await asyncio.sleep(0.1)
        # Each row was upserted at least once; a delete may be of a row that was never there.
        assert found["dedup_sink_rows_total upsert"] >= len(history.table) > 0
        assert found["dedup_sink_rows_total delete"] > 0
        assert found["dedup_sink_postgres_up"] == 1
        assert used_by_alerts() <= {name.split()[0] for name in found}
        assert abs(found["dedup_sink_last_applied_timestamp_seconds"] - time.time()) < 60


async def test_while_postgres_is_away_the_lag_grows_and_the_log_says_so_once(
    kafka: str, tmp_path: Path
) -> None:
    topic, history, port = await make_topic(kafka), RandomTopic(32), free_port()
    log = tmp_path / "log"
    with PostgresServer() as own:
        variables = environ(kafka, own, topic, SINK_METRICS_PORT=str(port))
        with process(variables, log):
            await write(kafka, topic, history.records(500))
            await until_equal(own, history.table)
            await asyncio.to_thread(own.kill)
            await write(kafka, topic, history.records(500))
            deadline = time.monotonic() + 60
            while True:
                found = await asyncio.to_thread(measured, port)
                lag = sum(v for n, v in found.items() if n.startswith("dedup_sink_lag_records"))
                if lag == 500:
                    break
                assert time.monotonic() < deadline, found
                await asyncio.sleep(0.2)
            assert found["dedup_sink_postgres_up"] == 0
            await asyncio.to_thread(own.start)
            await until_equal(own, history.table)
            while measured(port)["dedup_sink_postgres_up"] == 0:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.1)
    lines = log.read_text().splitlines()
    assert 1 <= sum("PostgreSQL is not available" in line for line in lines) <= 3, lines
    assert sum("PostgreSQL is available again after" in line for line in lines) == 1, lines


async def test_a_postgres_that_is_away_at_start_is_named_at_once(
    kafka: str, tmp_path: Path
) -> None:
    """The outage is logged at once, not only after the time limit."""
    topic, history, log = await make_topic(kafka), RandomTopic(33), tmp_path / "log"
    await write(kafka, topic, history.records(100))
    with PostgresServer() as own:
        own.kill()
        with process(environ(kafka, own, topic), log) as sink:
            deadline = time.monotonic() + 25
            while "PostgreSQL is not available" not in log.read_text():
                assert sink.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                await asyncio.sleep(0.1)
            await asyncio.to_thread(own.start)
            await until_equal(own, history.table)


async def test_progress_is_logged_while_the_sink_catches_up(
    kafka: str,
    postgres: PostgresServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "dedup.sink")
    monkeypatch.setattr(progress, "ASK_EVERY_S", 0.01)
    monkeypatch.setattr(progress, "BEHIND_RECORDS", 100)
    topic, history = await make_topic(kafka), RandomTopic(34)
    await write(kafka, topic, history.records(50))
    async with running(settings(kafka, postgres, topic)), asyncio.timeout(60):
        await until_equal(postgres, history.table)
        async with locked_rows(postgres):
            await write(kafka, topic, history.records(5_000))
            while "records left." not in caplog.text:
                await asyncio.sleep(0.05)
        while "Caught up: " not in caplog.text:
            await asyncio.sleep(0.05)
        await until_equal(postgres, history.table)


async def test_a_metrics_port_in_use_is_named(kafka: str, postgres: PostgresServer) -> None:
    topic = await make_topic(kafka)
    own = settings(kafka, postgres, topic, SINK_METRICS_PORT=str(postgres.port))
    with pytest.raises(SettingsError, match=f"SINK_METRICS_PORT={postgres.port} .* in use"):
        await run_sink(own, once=True)
