"""The `dedup` command: what it says of itself, and what needs no broker."""

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from dedup import __version__
from dedup.cli import cli
from dedup.kafka import admin
from dedup.localkafka.ports import free_port

COMMANDS = (
    *("demo", "kafka", "worker", "topics", "inspect", "tail", "stats", "compare"),
    *("check", "verify", "dlq", "sink", "parity", "flink-sql", "entity", "config"),
)


@pytest.fixture(autouse=True)
def _settings_of_the_test_only(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(("KAFKA_", "DEDUP_")):
            monkeypatch.delenv(name)


def test_help_names_every_command_and_the_exit_codes() -> None:
    result = CliRunner().invoke(cli, ["--help"])
    assert result.exit_code == 0
    for word in (*COMMANDS, "Examples:", "dedup demo", "Exit codes:", "130"):
        assert word in result.output


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("demo",), ("--events", "--products", "--seed", "--follow", "20000", "Exit codes:")),
        (("kafka",), ("--port", "Example")),
        (("topics",), ("create", "check", "Exit codes:")),
        (("topics", "create"), ("DEDUP_PARTITIONS",)),
        (("worker",), ("faust -A dedup worker --help", "Example")),
        (("inspect",), ("ID", "--json", "Examples", "Exit codes:")),
        (("tail",), ("--outcome", "--product", "--json", "Examples", "Exit codes:")),
        (("stats",), ("--json", "Examples", "Exit codes:")),
        (("compare",), ("VARIANT", "--plot", "--json", "Examples", "Exit codes:")),
        (("check",), ("--json", "Examples", "Exit codes:", "3")),
        (("verify",), ("--json", "not judged", "Examples", "Exit codes:", "3")),
        (("parity",), ("--parallelism", "flink-sql", "Examples", "Exit codes:")),
        (("flink-sql",), ("--bootstrap-servers", "Examples", "Exit codes:")),
        (
            ("entity", "infer"),
            ("--topic", "--output", "--id", "--force", "Examples", "Exit codes:"),
        ),
        (("entity", "check"), ("--json", "suppressed", "Examples", "Exit codes:", "3")),
        (("entity", "show"), ("--json", "JSON Schema", "Examples", "Exit codes:")),
        (("config", "show"), ("--json", "Examples", "Exit codes:")),
        (("config", "check"), ("Examples", "Exit codes:")),
    ],
)
def test_each_command_has_help_with_examples(
    command: tuple[str, ...], words: tuple[str, ...]
) -> None:
    result = CliRunner().invoke(cli, [*command, "--help"])
    assert result.exit_code == 0
    for word in words:
        assert word in result.output


def test_version_is_the_package_s() -> None:
    assert CliRunner().invoke(cli, ["--version"]).output == f"dedup, version {__version__}\n"


def test_help_loads_neither_faust_nor_a_kafka_client() -> None:
    """That is what makes it quick."""
    code = (
        "import sys; from dedup.cli import cli; cli(['--help'], standalone_mode=False); "
        "sys.exit(bool({'faust', 'aiokafka', 'pydantic', 'rocksdict'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_an_unknown_command_is_wrong_usage() -> None:
    assert CliRunner().invoke(cli, ["dmeo"]).exit_code == 2


def test_a_demo_of_nothing_is_wrong_usage() -> None:
    result = CliRunner().invoke(cli, ["demo", "--events", "0"])
    assert result.exit_code == 2
    assert "--follow" in result.output


def test_the_worker_takes_the_place_of_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """Signals and exit code are the worker's; what is not ours goes to Faust."""
    calls: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda _path, command: calls.append(command))
    CliRunner().invoke(cli, ["worker", "--web-port", "7000", "-f", "log"])
    faust = ["-m", "faust", "-A", "dedup", "worker"]
    assert calls == [[sys.executable, *faust, "--web-port", "7000", "-f", "log"]]


@pytest.mark.parametrize("command", ["create", "check"])
def test_topics_without_a_broker_are_one_error_and_exit_1(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin, "CONNECT_TIMEOUT_S", 0.0)
    servers = f"127.0.0.1:{free_port()}"
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", servers)
    result = CliRunner().invoke(cli, ["topics", command])
    assert result.exit_code == 1
    assert result.stdout == ""
    assert f"Error: No broker answers at KAFKA_BOOTSTRAP_SERVERS={servers}" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_wrong_setting_is_an_error_and_exit_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEDUP_PARTITIONS", "many")
    result = CliRunner().invoke(cli, ["topics", "check"])
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: DEDUP_PARTITIONS=many is not accepted")


def test_every_command_is_one_of_its_module() -> None:
    context = click.Context(cli)
    assert tuple(cli.list_commands(context)) == COMMANDS
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        assert command.name == name
        assert command.epilog


def test_a_command_that_is_not_installed_as_a_script_runs_too(tmp_path: Path) -> None:
    """`python -c` from elsewhere: nothing is read from the current directory."""
    code = "from dedup.cli import cli; cli()"
    done = subprocess.run(
        [sys.executable, "-c", code, "--version"], cwd=tmp_path, capture_output=True, check=True
    )
    assert __version__.encode() in done.stdout
