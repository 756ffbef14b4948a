"""Real worker processes, each with names of its own."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
import uuid
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from dedup.localkafka.ports import free_port
from dedup.localkafka.process import spawn


@dataclass(frozen=True)
class Names:
    """Topics and group of one test, so that tests can share a broker."""

    source: str
    states: str
    dead_letters: str
    group: str

    @classmethod
    def fresh(cls) -> Self:
        name = uuid.uuid4().hex[:8]
        return cls(f"products-{name}", f"src-{name}", f"dlq-{name}", f"group-{name}")

    @property
    def settings(self) -> dict[str, str]:
        """The worker's settings that name them."""
        return {
            "KAFKA_PRODUCT_TOPIC": self.source,
            "KAFKA_SRC_PRODUCTS_TOPIC": self.states,
            "KAFKA_DLQ_TOPIC": self.dead_letters,
            "DEDUP_APP_ID": self.group,
        }


class WorkerProcess:
    """`faust -A dedup worker` as its own process, with its own data directory and web port.

    It dies with us, even when we are killed.
    """

    def __init__(self, bootstrap_servers: str, data_dir: Path, settings: Mapping[str, str]) -> None:
        self.port = free_port()
        self.data_dir = data_dir
        self.log_path = data_dir.with_suffix(".log")
        self._environ = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("DEDUP_", "KAFKA_"))
        } | {
            "KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers,
            "DEDUP_DATA_DIR": str(data_dir),
            "DEDUP_WEB_PORT": str(self.port),
            **settings,
        }
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process; it has been started."""
        assert self._process is not None
        return self._process

    def start(self, *arguments: str) -> None:
        """Start it, by Python with these arguments if given; does not wait until it is ready."""
        command = [sys.executable, *(arguments or ("-m", "faust", "-A", "dedup", "worker"))]
        self._process = spawn(command, self.log_path, self._environ)

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """SIGKILL, and wait for its end. A suspended process dies too."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def terminate(self) -> int:
        """SIGTERM, and wait for its end; gives the exit code."""
        self.process.terminate()
        return self.wait()

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def wait(self, timeout_s: float = 60) -> int:
        """Wait for its end; gives the exit code."""
        return self.process.wait(timeout_s)

    def log(self) -> str:
        """Everything it has logged."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def metrics(self) -> dict[str, float]:
        """The counters of its /metrics page, by name with labels."""
        url = f"http://127.0.0.1:{self.port}/metrics"
        with urllib.request.urlopen(url, timeout=5) as page:
            lines = page.read().decode().splitlines()
        return {
            line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
            for line in lines
            if line and not line.startswith("#")
        }

    def outcomes(self) -> Counter[str]:
        """What it has counted, by outcome; those that never came are left out."""
        found: Counter[str] = Counter()
        for name, value in self.metrics().items():
            if name.startswith("dedup_events_total{"):
                found[name.split('outcome="')[1].split('"')[0]] += int(value)
        return +found

    def wait_until_ready(self, timeout_s: float = 60) -> None:
        """Wait until its log says it has recovered; an earlier start in the same log counts."""
        deadline = time.monotonic() + timeout_s
        while "Worker ready" not in self.log():
            assert self.alive, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.1)

    def partitions(self) -> set[int]:
        """Return the partitions that it owns and has recovered; none while it does not answer."""
        with suppress(OSError):  # also of an answer that says not yet
            urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5).close()
            url = f"http://127.0.0.1:{self.port}/api/overview?local=1"
            with urllib.request.urlopen(url, timeout=5) as answer:
                return {each["partition"] for each in json.load(answer)["partitions"]}
        return set()

    def wait_until_recovered(self, timeout_s: float = 60) -> None:
        """Wait until it has recovered what it is assigned now, or has ended."""
        deadline = time.monotonic() + timeout_s
        while self.alive:
            with suppress(OSError):  # also of an answer that says not yet
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5).close()
                return
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.1)

    def wait_until_answering(self, timeout_s: float = 60) -> None:
        """Wait until it answers requests, or has ended: from then on it handles signals."""
        deadline = time.monotonic() + timeout_s
        while self.alive and time.monotonic() < deadline:
            with suppress(OSError):
                self.metrics()
                return
            time.sleep(0.1)


def wait_until_counted(events: int, *workers: WorkerProcess, timeout_s: float = 60) -> Counter[str]:
    """Wait until workers have counted so many events; return what they have, by outcome.

    A worker counts an event, and shows it on its pages, after the commit, which others may see
    earlier.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        counted = sum((worker.outcomes() for worker in workers), Counter[str]())
        if counted.total() >= events:
            return counted
        logs = "\n".join(worker.log() for worker in workers)
        assert time.monotonic() < deadline, f"{counted} of {events} events\n{logs}"
        time.sleep(0.1)
