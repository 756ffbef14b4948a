"""The demo's worker: its own process, as users run it, and what its pages tell."""

import os
import signal
import subprocess
import sys
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


class DemoError(ExplainedError):
    """The demo can't go on; the text is a sentence for people, perhaps with lines of a log."""


@dataclass(frozen=True)
class Counts:
    """What the worker has counted so far: events by outcome, dead letters by reason."""

    outcomes: Mapping[str, int]
    reasons: Mapping[str, int]

    @property
    def events(self) -> int:
        """Events of any outcome."""
        return sum(self.outcomes.values())


class DemoWorker:
    """`faust -A dedup worker` with settings of the demo only, below a directory of the demo."""

    def __init__(self, bootstrap_servers: str, directory: Path) -> None:
        self.port = _USUAL_PORT if is_free(_USUAL_PORT) else free_port()
        self.log_path = directory / "worker.log"
        self.settings = {
            "KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers,
            "DEDUP_DATA_DIR": str(directory / "state"),
            "DEDUP_WEB_PORT": str(self.port),
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._page = HTTPConnection(HOST, self.port, timeout=_ANSWER_WITHIN_S)

    @property
    def url(self) -> str:
        """The address of its web pages."""
        return f"http://{HOST}:{self.port}"

    def start(self) -> None:
        """Start the process; returns at once."""
        command = [sys.executable, "-m", "faust", "-A", "dedup", "worker"]
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("KAFKA_", "DEDUP_"))}
        self._process = spawn(command, self.log_path, kept | self.settings)

    def check(self) -> None:
        """Raise DemoError if it ended: it never should by itself."""
        code = None if self._process is None else self._process.poll()
        if code is not None:
            raise DemoError(f"The worker ended by itself with exit code {code}.{self._log_end()}")

    def counts(self) -> Counts | None:
        """Read its metrics; None while it does not answer."""
        try:
            self._page.request("GET", "/metrics")
            text = self._page.getresponse().read().decode()
        except (OSError, HTTPException):
            self._page.close()  # the next request connects anew
            return None
        found: dict[str, dict[str, int]] = {
            "dedup_events_total": {},
            "dedup_dead_letters_total": {},
        }
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name in found:
                    (label,) = sample.labels.values()
                    found[sample.name][label] = int(sample.value)
        return Counts(found["dedup_events_total"], found["dedup_dead_letters_total"])

    def stop(self) -> None:
        """End it as an operator does, with SIGTERM. Raises DemoError unless it exits with 0."""
        if self._process is None:
            return
        self.check()
        self._page.close()
        self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(_END_WITHIN_S)
        except subprocess.TimeoutExpired:
            message = f"The worker did not end within {_END_WITHIN_S:.0f} s of SIGTERM."
            raise DemoError(f"{message}{self._log_end()}") from None
        self._process = None
        if code != 0:
            raise DemoError(f"The worker ended with exit code {code} on SIGTERM.{self._log_end()}")

    def kill(self) -> None:
        """End it at once, if it runs."""
        self._page.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stalled(self, seconds: float) -> DemoError:
        """Make the error of a worker that does nothing."""
        return DemoError(f"The worker has got no further for {seconds:.0f} s.{self._log_end()}")

    def _log_end(self) -> str:
        lines = self.log_path.read_text(errors="replace").splitlines()
        earlier, last = lines[:-_LOG_LINES], lines[-_LOG_LINES:]
        # The end of an orderly shutdown would push the reason for it out of sight.
        errors = [line for line in earlier if " CRITICAL " in line or " ERROR " in line]
        return "\n".join([" Its last log lines:", *errors[:_LOG_ERRORS], *last])
