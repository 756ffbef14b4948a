"""A worker that a locked broker does not let in says why at once, and ends."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.broker.locked import PASSWORD, USER, LockedKafka, locked_kafka
from tests.support.workers import Names, WorkerProcess

WRONG = "wrong-password-7731"


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LockedKafka]:
    with locked_kafka(tmp_path_factory.mktemp("locked")) as broker:
        yield broker


@pytest.mark.parametrize(
    ("mechanism", "change", "expected"),
    [
        ("PLAIN", {"KAFKA_PASSWORD": WRONG}, f"did not accept KAFKA_USER={USER}"),
        ("SCRAM-SHA-512", {"KAFKA_PASSWORD": WRONG}, f"did not accept KAFKA_USER={USER}"),
        ("PLAIN", {"KAFKA_CERT": "stranger"}, "can't be trusted (self-signed certificate"),
        ("PLAIN", {"KAFKA_SECURITY_PROTOCOL": "PLAINTEXT"}, "KAFKA_SECURITY_PROTOCOL=PLAINTEXT"),
    ],
)
def test_a_worker_that_is_refused_says_why_at_once_and_ends(
    locked: LockedKafka, tmp_path: Path, mechanism: str, change: dict[str, str], expected: str
) -> None:
    environ = locked.settings(mechanism) | Names.fresh().settings | change
    if environ["KAFKA_CERT"] == "stranger":
        environ["KAFKA_CERT"] = str(locked.stranger)
    with WorkerProcess(locked.bootstrap_servers, tmp_path / "state", environ) as worker:
        assert worker.wait() == 1
    log = worker.log()
    assert expected in log
    assert "No broker answers" not in log  # what it says when it has waited for one
    assert "Traceback" not in log
    assert PASSWORD not in log
    assert WRONG not in log


def test_a_worker_that_logs_at_debug_keeps_its_secrets(locked: LockedKafka, tmp_path: Path) -> None:
    """`-l debug` is for the worker's own lines: the Kafka client's hold what it sends to log in."""
    environ = locked.settings("PLAIN") | Names.fresh().settings
    worker = WorkerProcess(locked.bootstrap_servers, tmp_path / "state", environ)
    worker.start("-m", "faust", "-A", "dedup", "worker", "-l", "debug")
    try:
        worker.wait_until_ready()
        assert worker.terminate() == 0
    finally:
        worker.kill()
    assert " DEBUG dedup." in worker.log()
    assert " DEBUG aiokafka." not in worker.log()
    assert PASSWORD not in worker.log()


def test_the_topics_command_is_refused_in_one_sentence(locked: LockedKafka) -> None:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DEDUP_", "KAFKA_"))}
    done = subprocess.run(
        [sys.executable, "-c", "from dedup.cli import cli; cli()", "topics", "check"],
        env=kept | locked.settings("PLAIN") | {"KAFKA_PASSWORD": WRONG},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"Error: The broker {locked.bootstrap_servers} did not accept")
    assert len(done.stderr.splitlines()) == 1
