"""What can't work is refused with a sentence that names the thing and the cure, and exit 1."""

import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import NodeNotReadyError

from dedup.kafka import groups, topics
from dedup.localkafka.ports import free_port
from dedup.settings import Settings, load_settings
from tests.support.administration import admin, create
from tests.support.workers import Names, WorkerProcess


def faust(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run `faust -A dedup` with these settings and no others."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("DEDUP_", "KAFKA_"))}
    return subprocess.run(
        [sys.executable, "-m", "faust", "-A", "dedup", *arguments],
        env=environ | settings,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def _make(kafka: str, name: str, partitions: int, **config: str) -> None:
    async with admin(kafka) as client:
        await create(client, name, partitions, **config)


async def _config(kafka: str, topic: str) -> dict[str, str]:
    async with admin(kafka) as client:
        return dict(await topics._config(client, topic))


@pytest.mark.parametrize("command", ["agents", "tables", "--help"])
def test_faust_s_own_commands_work_without_a_broker(command: str) -> None:
    done = faust(command)

    assert done.returncode == 0, done.stderr
    assert {"agents": "products", "tables": "products", "--help": "worker"}[command] in done.stdout


def test_a_wrong_setting_ends_the_start_with_name_value_and_what_is_accepted() -> None:
    done = faust("worker", DEDUP_ORDER="newest", DEDUP_ORDR="arrival")

    assert done.returncode == 1
    assert "DEDUP_ORDER=newest is not accepted: input should be 'event_time' or" in done.stderr
    assert "DEDUP_ORDR is not a setting; did you mean DEDUP_ORDER?" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unreachable_broker_is_named_and_the_worker_ends(tmp_path: Path) -> None:
    port = free_port()
    with WorkerProcess(f"127.0.0.1:{port}", tmp_path / "state", Names.fresh().settings) as worker:
        assert worker.wait(90) == 1

    log = worker.log()
    assert f"No broker answers at KAFKA_BOOTSTRAP_SERVERS=127.0.0.1:{port}" in log
    assert "Traceback" not in log


def test_a_web_port_that_is_taken_is_named(kafka: str, tmp_path: Path) -> None:
    with WorkerProcess(kafka, tmp_path / "first", Names.fresh().settings) as first:
        first.wait_until_ready()
        settings = {**Names.fresh().settings, "DEDUP_WEB_PORT": str(first.port)}
        with WorkerProcess(kafka, tmp_path / "second", settings) as second:
            assert second.wait() == 1

    assert f"127.0.0.1:{first.port} is in use" in second.log()
    assert "DEDUP_WEB_PORT" in second.log()
    assert "Traceback" not in second.log()


async def test_missing_topics_are_made_with_the_settings_they_need(
    kafka: str, tmp_path: Path
) -> None:
    names = Names.fresh()
    with WorkerProcess(kafka, tmp_path / "state", names.settings) as worker:
        worker.wait_until_ready()

    states = await _config(kafka, names.states)
    letters = await _config(kafka, names.dead_letters)
    assert states["cleanup.policy"] == "compact"
    assert (letters["cleanup.policy"], letters["retention.ms"]) == ("delete", "1209600000")
    facts = await topics.ensure_topics(
        load_settings({"KAFKA_BOOTSTRAP_SERVERS": kafka, **names.settings})
    )
    assert facts.partitions == 4


async def test_topics_are_made_with_the_partitions_of_an_existing_source(kafka: str) -> None:
    names = Names.fresh()
    await _make(kafka, names.source, 3)

    facts = await topics.ensure_topics(
        load_settings({"KAFKA_BOOTSTRAP_SERVERS": kafka, **names.settings})
    )
    assert facts.partitions == 3


async def test_a_missing_source_topic_is_made_with_the_partitions_of_the_output(kafka: str) -> None:
    names = Names.fresh()
    await _make(kafka, names.states, 3, cleanup_policy="compact")

    facts = await topics.ensure_topics(
        load_settings({"KAFKA_BOOTSTRAP_SERVERS": kafka, **names.settings})
    )
    assert facts.partitions == 3


async def test_a_source_topic_that_the_broker_has_not_heard_of_gives_the_partitions(
    kafka: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker hears of a new topic a moment after it is made; here the list leaves it out once."""
    names = Names.fresh()
    await _make(kafka, names.source, 3)
    listed = AIOKafkaAdminClient.list_topics

    async def without_the_source(self: AIOKafkaAdminClient) -> list[str]:
        return [name for name in await listed(self) if name != names.source]

    monkeypatch.setattr(AIOKafkaAdminClient, "list_topics", without_the_source)
    facts = await topics.ensure_topics(
        load_settings({"KAFKA_BOOTSTRAP_SERVERS": kafka, **names.settings})
    )
    assert facts.partitions == 3


@pytest.mark.parametrize(
    ("asks", "asked"),
    [
        (topics.ensure_topics, "list_topics"),
        (topics.check_topics, "list_topics"),
        (topics.describe_states_topic, "describe_configs"),
        (groups.check_group, "find_coordinator"),
    ],
)
async def test_brokers_that_go_away_while_they_are_asked_are_waited_for(
    kafka: str,
    monkeypatch: pytest.MonkeyPatch,
    asks: Callable[[Settings], Awaitable[object]],
    asked: str,
) -> None:
    """A broker paused in just that moment gives this error; here the client raises it once."""
    settings = load_settings({"KAFKA_BOOTSTRAP_SERVERS": kafka, **Names.fresh().settings})
    await topics.ensure_topics(settings)
    answers = getattr(AIOKafkaAdminClient, asked)
    errors = [NodeNotReadyError("node id None")]

    async def away_at_first(*arguments: Any, **more: Any) -> Any:
        if errors:
            raise errors.pop()
        return await answers(*arguments, **more)

    monkeypatch.setattr(AIOKafkaAdminClient, asked, away_at_first)
    await asks(settings)

    assert not errors


async def test_an_output_topic_that_is_not_compacted_is_refused(kafka: str, tmp_path: Path) -> None:
    names = Names.fresh()
    await _make(kafka, names.states, 4, cleanup_policy="delete")
    with WorkerProcess(kafka, tmp_path / "state", names.settings) as worker:
        assert worker.wait() == 1

    assert f"{names.states} has cleanup.policy=delete. It must be compact" in worker.log()
    assert "kafka-configs.sh --alter" in worker.log()
    assert "Traceback" not in worker.log()


async def test_differing_partition_counts_are_refused(kafka: str, tmp_path: Path) -> None:
    names = Names.fresh()
    await _make(kafka, names.source, 4)
    await _make(kafka, names.states, 2, cleanup_policy="compact")
    with WorkerProcess(kafka, tmp_path / "state", names.settings) as worker:
        assert worker.wait() == 1

    assert f"{names.states} has 2 partitions and {names.source} has 4" in worker.log()


async def test_a_replication_factor_beyond_the_brokers_is_refused(
    kafka: str, tmp_path: Path
) -> None:
    settings = {**Names.fresh().settings, "DEDUP_REPLICATION_FACTOR": "3"}
    with WorkerProcess(kafka, tmp_path / "state", settings) as worker:
        assert worker.wait() == 1

    assert "DEDUP_REPLICATION_FACTOR=3" in worker.log()
    assert "Traceback" not in worker.log()


def test_a_data_directory_that_can_t_be_made_is_named(kafka: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    settings = {**Names.fresh().settings, "DEDUP_DATA_DIR": str(tmp_path / "file" / "state")}
    with WorkerProcess(kafka, tmp_path / "state", settings) as worker:
        assert worker.wait() == 1

    assert f"DEDUP_DATA_DIR={tmp_path / 'file' / 'state'} can't be written" in worker.log()
    assert "Traceback" not in worker.log()
