"""Restarts: the broker is shut down cleanly and started again, under two workers and a producer.

`python -m tests.chaos.restarts` runs the commands an operator runs - `dedup kafka`, `dedup worker`
twice, `product-producer` - and stops the broker with SIGTERM for some seconds, three times. Then
both workers must be up, everything committed, and `dedup verify` content.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from dedup.demo.example import differences
from dedup.localkafka.ports import free_port
from dedup.localkafka.process import spawn
from tests.support.topics import emissions, judge, read_topic, wait_until_done
from tests.support.workers import Names, WorkerProcess

BIN: Final = Path(sys.executable).parent
BROKER_WITHIN_S: Final = 90.0
STOP_WITHIN_S: Final = 30.0

LOG_BYTES: Final = 300_000
"""What a worker may log at most, three outages included."""


@dataclass
class Report:
    """What was found after the restarts."""

    workers_up: list[bool] = field(default_factory=list)
    log_bytes: list[int] = field(default_factory=list)
    last_words: list[str] = field(default_factory=list)
    verify_code: int = -1
    verify_output: str = ""
    faults: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether the workers survived, and the output is exact."""
        return all(self.workers_up) and self.verify_code == 0 and not self.faults


class Cluster:
    """`dedup kafka` on a data directory that outlives it."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self.servers = f"127.0.0.1:{self.port}"
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the broker and wait until it says that clients can connect."""
        log = self._directory / "broker.out"
        before = _count(log, self.servers)
        data = str(self._directory / "broker")
        command = [str(BIN / "dedup"), "kafka", "--port", str(self.port), "--data-dir", data]
        process = self._process = spawn(command, log)
        _wait(lambda: _count(log, self.servers) > before or process.poll() is not None)
        if process.poll() is not None:
            raise RuntimeError(log.read_text(errors="replace"))

    def stop(self) -> None:
        """End the broker with SIGTERM."""
        _end(self._process)


def _count(log: Path, line: str) -> int:
    return log.read_text(errors="replace").splitlines().count(line) if log.exists() else 0


def _wait(until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + BROKER_WITHIN_S
    while not until():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.1)


def _end(process: subprocess.Popen[bytes] | None) -> None:
    if process is not None and process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def _producing(servers: str, names: Names, rate: int, log: Path) -> Iterator[None]:
    command = [str(BIN / "product-producer"), "--rate", str(rate)]
    environ = _environ(servers, names)
    process = spawn(command, log, environ)
    try:
        yield
    finally:
        _end(process)


def _environ(servers: str, names: Names) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DEDUP_", "KAFKA_"))}
    return kept | {"KAFKA_BOOTSTRAP_SERVERS": servers, **names.settings}


def run(
    directory: Path, *, restarts: int = 3, down_s: float = 15, up_s: float = 20, rate: int = 200
) -> Report:
    """Restart the broker some times and report what became of the workers and the output."""
    names, report = Names.fresh(), Report()
    cluster = Cluster(directory)
    workers = [WorkerProcess(cluster.servers, directory / f"w{i}", names.settings) for i in (1, 2)]
    with ExitStack() as stack:
        stack.callback(cluster.stop)
        cluster.start()
        for worker in workers:
            stack.enter_context(worker)
            worker.wait_until_ready()
        with _producing(cluster.servers, names, rate, directory / "producer.log"):
            for _ in range(restarts):
                time.sleep(up_s)
                cluster.stop()
                time.sleep(down_s)
                cluster.start()
            time.sleep(up_s)
        asyncio.run(_conclude(cluster.servers, names, report))
        report.workers_up = [worker.alive for worker in workers]
        logs = [worker.log() for worker in workers]
        report.log_bytes = [len(log.encode()) for log in logs]
        report.last_words = [
            line for log in logs for line in log.splitlines() if "CRITICAL" in line
        ]
        verified = subprocess.run(
            [str(BIN / "dedup"), "verify"],
            env=_environ(cluster.servers, names),
            capture_output=True,
            text=True,
            check=False,
        )
        report.verify_code, report.verify_output = verified.returncode, verified.stdout
    return report


async def _conclude(servers: str, names: Names, report: Report) -> None:
    """Compare the topic with the oracle, once everything is committed."""
    try:
        await wait_until_done(servers, names)
    except AssertionError as error:
        report.faults.append(str(error))
    expected = judge(await read_topic(servers, names.source)).emitted
    emitted = emissions(await read_topic(servers, names.states))
    report.faults += differences(expected, emitted)[:5]


def main() -> None:
    """Run from the command line; exit 1 unless both workers are up and the output is exact."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--restarts", type=int, default=3)
    parser.add_argument("--down", type=float, default=15, help="seconds without a broker")
    parser.add_argument("--up", type=float, default=20, help="seconds with one")
    parser.add_argument("--rate", type=int, default=200)
    parser.add_argument("--keep", type=Path, help="directory for logs and data; kept")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dedup-restarts-") as temporary:
        directory = arguments.keep or Path(temporary)
        directory.mkdir(parents=True, exist_ok=True)
        report = run(
            directory,
            restarts=arguments.restarts,
            down_s=arguments.down,
            up_s=arguments.up,
            rate=arguments.rate,
        )
    for number, (up, size) in enumerate(zip(report.workers_up, report.log_bytes, strict=True), 1):
        print(f"worker {number}: {'up' if up else 'ENDED'}, log {size:,} bytes")  # noqa: T201
    print(*report.last_words, report.verify_output, sep="\n")  # noqa: T201
    print(f"dedup verify: exit {report.verify_code}", *report.faults, sep="\n")  # noqa: T201
    talkative = max(report.log_bytes) > LOG_BYTES
    if talkative:
        print(f"a worker logged more than {LOG_BYTES:,} bytes")  # noqa: T201
    sys.exit(talkative or not report.good)


if __name__ == "__main__":
    main()
