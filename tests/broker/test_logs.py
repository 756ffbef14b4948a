"""What a worker's log says: in an hour's work, in an outage, at its end, and in JSON."""

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from dedup.kafka.topics import ensure_topics
from dedup.localkafka import LocalKafka
from dedup.localkafka.process import spawn
from dedup.settings import load_settings
from tests.support.records import event
from tests.support.topics import produce, wait_until_done
from tests.support.workers import Names, WorkerProcess

HOUR_IN_SECONDS = {"BROKER_COMMIT_LIVELOCK_SOFT_TIMEOUT": "3"}
"""Faust's own setting: how long without a commit, 5 minutes else, it takes for a fault."""

LONG_S = 5.0
"""Longer than that: by then Faust would have complained."""

DEDUP = str(Path(sys.executable).with_name("dedup"))
BEGIN = "The Kafka brokers do not serve since"
END = "The Kafka brokers serve again, after"


@contextmanager
def feed(kafka: str, names: Names, rate: int) -> Iterator[None]:
    """`product-producer` as its own process."""
    command = [
        sys.executable,
        "-m",
        "producer",
        "--rate",
        str(rate),
        "--quiet",
        "--invalid",
        "0.01",
    ]
    with subprocess.Popen(
        command,
        env=os.environ | {"KAFKA_BOOTSTRAP_SERVERS": kafka, "KAFKA_PRODUCT_TOPIC": names.source},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as producer:
        try:
            yield
        finally:
            producer.terminate()


def warnings(log: str) -> list[str]:
    """Lines of a level that asks for somebody's eyes."""
    return [line for line in log.splitlines() if re.search(r" (WARNING|ERROR|CRITICAL) ", line)]


@pytest.mark.parametrize("guarantee", ["exactly_once", "at_least_once"])
async def test_a_healthy_worker_logs_no_warning(kafka: str, tmp_path: Path, guarantee: str) -> None:
    """From start to end, at 1,000 events/s, through rebalances, and with a dry run beside it."""
    names = Names.fresh()
    settings = {**names.settings, **HOUR_IN_SECONDS, "DEDUP_GUARANTEE": guarantee}
    dry = {**settings, "DEDUP_DRY_RUN": "true"}
    first = WorkerProcess(kafka, tmp_path / "first", settings)
    second = WorkerProcess(kafka, tmp_path / "second", settings)
    observer = WorkerProcess(kafka, tmp_path / "observer", dry)
    with first, feed(kafka, names, 1_000):
        first.wait_until_ready()
        await asyncio.sleep(LONG_S)
        with second, observer:
            second.wait_until_ready()
            observer.wait_until_ready()
            await asyncio.sleep(LONG_S)
            assert second.terminate() == 0
            assert observer.terminate() == 0
        assert first.terminate() == 0

    assert [warnings(worker.log()) for worker in (first, second, observer)] == [[], [], []]


async def test_commands_that_follow_tell_an_outage_once_with_its_end(tmp_path: Path) -> None:
    """They said nothing at all, and used a core each."""
    names = Names.fresh()
    with LocalKafka(data_dir=tmp_path / "kafka") as broker:
        kafka = broker.bootstrap_servers
        environ = {**os.environ, "KAFKA_BOOTSTRAP_SERVERS": kafka, **names.settings}
        await ensure_topics(load_settings({"KAFKA_BOOTSTRAP_SERVERS": kafka, **names.settings}))
        following = [DEDUP, "tail"]
        producing = [sys.executable, "-m", "producer", "--rate", "5"]
        with (
            _running(following, environ, tmp_path) as tail,
            _running(producing, environ, tmp_path) as producer,
        ):
            commands = (tail, producer)
            await tail.wait_for("duplicate")
            broker.kill()
            cpu = [each.cpu_s() for each in commands]
            await asyncio.sleep(4)  # the producer gives up after 30 s
            used = [each.cpu_s() - before for each, before in zip(commands, cpu, strict=True)]
            broker.restart()
            for each in commands:
                await each.wait_for(END)
            for each in commands:
                assert each.said().count(BEGIN) == 1, each.said()
                assert each.said().count(END) == 1, each.said()
                assert len(re.findall(r" (?:WARNING|ERROR) ", each.said())) == 1, each.said()
            assert max(used) < 2, used  # of 4 s


class _Command:
    """A command that runs, and what it has written."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path) -> None:
        self._process = process
        self._output = output

    def said(self) -> str:
        return self._output.read_text("utf-8")

    def cpu_s(self) -> float:
        return _cpu_s(self._process.pid)

    async def wait_for(self, text: str) -> None:
        deadline = time.monotonic() + 60
        while text not in self.said():
            assert self._process.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            await asyncio.sleep(0.2)


@contextmanager
def _running(command: list[str], environ: dict[str, str], directory: Path) -> Iterator[_Command]:
    output = directory / f"{Path(command[-1]).name}.txt"
    process = spawn(command, output, environ)
    try:
        yield _Command(process, output)
    finally:
        process.kill()
        process.wait()


async def _wait_for(worker: WorkerProcess, text: str, timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while text not in worker.log():
        assert worker.alive, worker.log()
        assert time.monotonic() < deadline, worker.log()
        await asyncio.sleep(0.2)


async def test_an_outage_is_told_once_with_its_end_and_costs_little(tmp_path: Path) -> None:
    """14,000 lines a second were written, by clients that connected again without a pause."""
    names = Names.fresh()
    with LocalKafka(data_dir=tmp_path / "kafka") as broker:
        kafka = broker.bootstrap_servers
        worker = WorkerProcess(kafka, tmp_path / "state", names.settings)
        dry = {**names.settings, "DEDUP_DRY_RUN": "true"}
        observer = WorkerProcess(kafka, tmp_path / "dry", dry)
        workers = (worker, observer)
        await ensure_topics(load_settings({"KAFKA_BOOTSTRAP_SERVERS": kafka, **names.settings}))
        with worker, observer:
            for each in workers:
                each.wait_until_ready()
            await produce(kafka, [(b"1", event())], names.source)
            await wait_until_done(kafka, names)
            written = [len(each.log()) for each in workers]
            broker.kill()
            cpu = [_cpu_s(each.process.pid) for each in workers]
            await asyncio.sleep(8)
            used = [
                _cpu_s(each.process.pid) - before for each, before in zip(workers, cpu, strict=True)
            ]
            broker.restart()
            for each in workers:
                await _wait_for(each, END)
            await produce(kafka, [(b"1", event(number=2, price="2.00"))], names.source)
            await wait_until_done(kafka, names)
            for each, length in zip(workers, written, strict=True):
                told = each.log()[length:]
                assert len(told) < 20_000, told[:20_000]
                assert [BEGIN in line for line in warnings(told)] == [True], warnings(told)
                assert broker.bootstrap_servers in told
                assert told.count(END) == 1
                lasted = float(told.partition(END)[2].split()[0])
                assert lasted > 6
            assert max(used) < 4, used  # of 8 s; a client that spins takes them all
            assert [each.terminate() for each in workers] == [0, 0]


def _cpu_s(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_the_last_line_says_why_a_worker_ended(kafka: str, tmp_path: Path, log_format: str) -> None:
    names = Names.fresh()
    settings = {**names.settings, "DEDUP_LOG_FORMAT": log_format}
    with WorkerProcess(kafka, tmp_path / "state", settings) as worker:
        worker.wait_until_ready()
        shared = {**settings, "DEDUP_DATA_DIR": str(worker.data_dir)}
        with WorkerProcess(kafka, tmp_path / "second", shared) as second:
            assert second.wait() == 1
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = str(taken.getsockname()[1])
            elsewhere = {**settings, "DEDUP_WEB_PORT": port}
            with WorkerProcess(kafka, tmp_path / "third", elsewhere) as third:
                assert third.wait() == 1
        with WorkerProcess(kafka, tmp_path / "fourth", {**settings, "DEDUP_ORDER": "x"}) as fourth:
            assert fourth.wait() == 1
        assert worker.terminate() == 0

    for ended, sentence in (
        (second, "is locked by another worker"),
        (third, f"127.0.0.1:{port} is in use by another program"),
        (fourth, "DEDUP_ORDER"),
    ):
        last = ended.log().splitlines()[-1]
        assert sentence in last, ended.log()
        if log_format == "json":
            assert json.loads(last)["level"] == "critical"
            assert sentence in json.loads(last)["message"]
    if log_format == "json":
        for each in (worker, second, third, fourth):
            for line in each.log().splitlines():
                assert {"time", "level", "logger", "message"} <= json.loads(line).keys(), line


@pytest.mark.parametrize(
    ("command", "says_ready"),
    [
        (["-m", "faust", "-A", "dedup", "worker"], True),
        ([DEDUP, "worker"], True),
        (["-m", "faust", "-A", "dedup", "worker", "-l", "warn"], False),
        ([DEDUP, "worker", "-l", "WARN"], False),
    ],
)
async def test_both_commands_log_what_they_do_unless_told_otherwise(
    kafka: str, tmp_path: Path, command: list[str], says_ready: bool
) -> None:
    names = Names.fresh()
    worker = WorkerProcess(kafka, tmp_path / "state", names.settings)
    await ensure_topics(load_settings({"KAFKA_BOOTSTRAP_SERVERS": kafka, **names.settings}))
    await produce(kafka, [(b"1", event())], names.source)
    worker.start(*command)
    try:
        await wait_until_done(kafka, names)
        assert worker.terminate() == 0
    finally:
        worker.kill()
    assert ("Worker ready" in worker.log()) == says_ready
    assert (" INFO " in worker.log()) == says_ready
