"""The worker of the demo: a process of its own, and its metrics."""

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

from dedup.core.errors import ExplainedError
from dedup.localkafka.ports import HOST, free_port, is_free
from dedup.localkafka.process import spawn

_USUAL_PORT: Final = 6066
_ANSWER_WITHIN_S: Final = 5.0
_END_WITHIN_S: Final = 30.0
_LOG_LINES: Final = 15
_LOG_ERRORS: Final = 5
_COUNTED: Final = {"dedup_events_total": "outcome", "dedup_dead_letters_total": "reason"}
"""The metrics that are read, and the label of each that is told apart."""


class DemoError(ExplainedError):
    """The demo failed; the text may include lines of a log."""


@dataclass(frozen=True)
class Counts:
    """The worker's counters: events by outcome, dead letters by reason."""

    outcomes: Mapping[str, int]
    reasons: Mapping[str, int]

    @property
    def events(self) -> int:
        """The number of all events."""
        return sum(self.outcomes.values())


class DemoWorker:
    """`faust -A dedup worker` with only the demo's settings, in a directory of the demo."""

    def __init__(
        self, bootstrap_servers: str, directory: Path, settings: Mapping[str, str]
    ) -> None:
        self.port = _USUAL_PORT if is_free(_USUAL_PORT) else free_port()
        self.log_path = directory / "worker.log"
        self.settings = {
            "KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers,
            "DEDUP_DATA_DIR": str(directory / "state"),
            "DEDUP_WEB_PORT": str(self.port),
            **settings,
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._page = HTTPConnection(HOST, self.port, timeout=_ANSWER_WITHIN_S)

    @property
    def url(self) -> str:
        """The address of its web pages."""
        return f"http://{HOST}:{self.port}"

    def start(self) -> None:
        """Start the process; return at once."""
        command = [sys.executable, "-m", "faust", "-A", "dedup", "worker"]
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("KAFKA_", "DEDUP_"))}
        self._process = spawn(command, self.log_path, kept | self.settings)

    def check(self) -> None:
        """Raise DemoError if the process has exited."""
        code = None if self._process is None else self._process.poll()
        if code is not None:
            raise DemoError(
                f"The worker exited unexpectedly with exit code {code}.{self._log_end()}"
            )

    def counts(self) -> Counts | None:
        """Return the counters; None while the worker does not answer."""
        try:
            self._page.request("GET", "/metrics")
            text = self._page.getresponse().read().decode()
        except (OSError, HTTPException):
            self._page.close()  # the next request reconnects
            return None
        found: dict[str, Counter[str]] = {name: Counter() for name in _COUNTED}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name in found:
                    label = sample.labels[_COUNTED[sample.name]]
                    found[sample.name][label] += int(sample.value)
        return Counts(found["dedup_events_total"], found["dedup_dead_letters_total"])

    def stop(self) -> None:
        """Stop it with SIGTERM, as an operator does. Raises DemoError unless it exits with 0."""
        if self._process is None:
            return
        self.check()
        self._page.close()
        self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(_END_WITHIN_S)
        except subprocess.TimeoutExpired:
            message = f"The worker did not exit within {_END_WITHIN_S:.0f} s of SIGTERM."
            raise DemoError(f"{message}{self._log_end()}") from None
        self._process = None
        if code != 0:
            raise DemoError(f"The worker exited with {code} on SIGTERM.{self._log_end()}")

    def kill(self) -> None:
        """Kill it if it is running."""
        self._page.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stalled(self, seconds: float) -> DemoError:
        """Return the error for a worker that makes no progress."""
        return DemoError(f"The worker has made no progress for {seconds:.0f} s.{self._log_end()}")

    def _log_end(self) -> str:
        lines = self.log_path.read_text(errors="replace").splitlines()
        earlier, last = lines[:-_LOG_LINES], lines[-_LOG_LINES:]
        # The last lines are those of the shutdown; its reason may be before them.
        errors = [line for line in earlier if " CRITICAL " in line or " ERROR " in line]
        return "\n".join([" Its last log lines:", *errors[:_LOG_ERRORS], *last])
