"""`dedup demo` as users run it: broker, events, worker, verdict, and an end that leaves nothing."""

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner

from dedup.cli import cli
from dedup.demo.worker import DemoError, DemoWorker
from dedup.localkafka.ports import free_port

COMMAND = "from dedup.cli import cli; cli()"
MARK = "MARK_OF_THE_TEST"


class Running:
    """A demo in its own process; a mark in the environment identifies its child processes."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        self.mark = uuid.uuid4().hex
        self.temporary = directory / "tmp"
        self.temporary.mkdir()
        environ = os.environ | {
            MARK: self.mark,
            "TMPDIR": str(self.temporary),
            "PYTHONUNBUFFERED": "1",
            "PYTHONIOENCODING": "utf-8",
            # The demo is not to be led astray by what is set for other programs.
            "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
            "DEDUP_ORDER": "nonsense",
        }
        self.process = subprocess.Popen(
            [sys.executable, "-c", COMMAND, "demo", *arguments],
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
        )

    def read_until(self, text: str) -> str:
        """Read lines up to one that has this text; gives that line."""
        assert self.process.stdout is not None
        lines = []
        for line in self.process.stdout:
            lines.append(line)
            if text in line:
                return line
        raise AssertionError("".join(lines))

    def others(self) -> list[psutil.Process]:
        """The broker, the worker, and whatever else it has started."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get(MARK) == self.mark and process.pid != self.process.pid:
                    found.append(process)
        return found

    def all_gone(self, within_s: float) -> bool:
        """Whether nothing it has started runs, now or soon."""
        deadline = time.monotonic() + within_s
        while self.others():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True


@pytest.fixture
def started() -> Iterator[list[Running]]:
    """Demos that a test has started: none outlives it."""
    demos: list[Running] = []
    yield demos
    for demo in demos:
        demo.process.kill()
        for process in demo.others():
            with suppress(psutil.Error):
                process.kill()
        demo.process.communicate()


def test_the_demo_proves_its_result_and_leaves_nothing(
    tmp_path: Path, started: list[Running]
) -> None:
    demo = Running(tmp_path, "--events", "3000", "--products", "200", "--seed", "7")
    started.append(demo)
    output, _ = demo.process.communicate(timeout=240)
    assert demo.process.returncode == 0, output
    for phase in ("Setting up", "Producing", "Starting worker", "Deduplicating", "Checking"):
        assert f"{phase}: " in output
    rows = {line[:18].strip(): line.split() for line in output.splitlines()}
    assert rows["events"][-2:] == ["3,000", "3,000"]
    for row in ("changes", "duplicates", "stale", "replayed", "tombstones"):
        assert rows[row][1] == rows[row][2], rows[row]
    assert rows["dead letters"][2] == rows["dead letters"][3] != "0"
    for words in ("invalid_event", "products left", "events/s", "src_products, 6 of 1"):
        assert words in output
    assert "✔ The oracle agrees: " in output
    assert "\x1b" not in output
    assert max(map(len, output.splitlines())) <= 80
    assert demo.others() == []
    assert list(demo.temporary.iterdir()) == []


def test_the_demo_is_judged_by_the_strategy_that_is_asked_for(
    tmp_path: Path, started: list[Running]
) -> None:
    arguments = ("--events", "3000", "--products", "200", "--strategy", "event_id")
    demo = Running(tmp_path, *arguments, "--window", "1s", "--window-kind", "sliding")
    started.append(demo)
    output, _ = demo.process.communicate(timeout=240)
    assert demo.process.returncode == 0, output
    rows = {line[:18].strip(): line.split() for line in output.splitlines()}
    assert rows["refreshes"][1] == rows["refreshes"][2] != "0"
    assert "Strategy event_id, sliding window of 1 s: " in output
    assert "✔ The oracle agrees: " in output


def test_ctrl_c_while_it_deduplicates_ends_it_at_once_and_leaves_nothing(
    tmp_path: Path, started: list[Running]
) -> None:
    demo = Running(tmp_path, "--events", "20000")
    started.append(demo)
    demo.read_until("Deduplicating ...")
    assert len(demo.others()) == 2
    demo.process.send_signal(signal.SIGINT)
    output, _ = demo.process.communicate(timeout=60)
    assert demo.process.returncode == 130
    assert output == "Stopped.\n"
    assert demo.others() == []
    assert list(demo.temporary.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a parent-death signal")
def test_broker_and_worker_die_with_a_demo_that_is_killed(
    tmp_path: Path, started: list[Running]
) -> None:
    demo = Running(tmp_path, "--events", "500")
    started.append(demo)
    demo.read_until("Starting worker ...")
    while len(demo.others()) < 2:
        time.sleep(0.01)
    demo.process.kill()
    assert demo.all_gone(within_s=5)


def test_follow_continues_until_ctrl_c_and_prints_the_addresses(
    tmp_path: Path, started: list[Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    demo = Running(tmp_path, "--events", "0", "--follow")
    started.append(demo)
    servers = demo.read_until("  Kafka ").split()[1]
    assert "products -> src_products, products.dlq" in demo.read_until("  topics ")
    assert "http://127.0.0.1:" in demo.read_until("  web page ")
    assert "/metrics" in demo.read_until("  metrics ")
    demo.read_until("📦 Sent event: created for product")
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", servers)
    for command in ("check", "create"):
        result = CliRunner().invoke(cli, ["topics", command])
        assert result.exit_code == 0, result.stderr
        assert "products and src_products have 4 partitions" in result.output
    monkeypatch.setenv("KAFKA_DLQ_TOPIC", "other.dlq")
    result = CliRunner().invoke(cli, ["topics", "check"])
    assert result.exit_code == 1
    assert "other.dlq" in result.stderr
    demo.process.send_signal(signal.SIGINT)
    output, _ = demo.process.communicate(timeout=60)
    assert demo.process.returncode == 0, output
    assert demo.others() == []
    assert list(demo.temporary.iterdir()) == []


def wait_for_its_end(worker: DemoWorker) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        worker.check()
        time.sleep(0.05)


def test_a_worker_that_exits_unexpectedly_is_a_failure_with_its_last_lines(tmp_path: Path) -> None:
    worker = DemoWorker(f"127.0.0.1:{free_port()}", tmp_path, {"DEDUP_ORDER": "newest"})
    worker.start()
    try:
        with pytest.raises(DemoError) as raised:
            wait_for_its_end(worker)
    finally:
        worker.kill()
    assert "The worker exited unexpectedly with exit code 1. Its last log lines:\n" in str(
        raised.value
    )
    assert "DEDUP_ORDER=newest is not accepted" in str(raised.value)
