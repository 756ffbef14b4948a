"""One Kafka node as a child process: its directory, its start, its shutdown."""

import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from dedup.localkafka.jars import LocalKafkaError, PortLostError, excerpt
from dedup.localkafka.ports import HOST, is_free
from dedup.localkafka.process import spawn
from dedup.localkafka.setup import Setup

_READY_WITHIN = 60.0
_IN_USE = "Address already in use"


class Node:
    """A Kafka node with the port, directory and commands that `prepare` gives it."""

    def __init__(self) -> None:
        self._setup: Setup | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @property
    def setup(self) -> Setup:
        """What `prepare` gave it. Raises LocalKafkaError before a start and after the stop."""
        if self._setup is None:
            raise LocalKafkaError(
                "The broker has a port and a directory only between start and stop."
            )
        return self._setup

    @property
    def log_path(self) -> Path:
        """The file with everything that Kafka and the JVM print."""
        return self.setup.directory / "kafka.log"

    @property
    def running(self) -> bool:
        """Whether the process exists; a paused one does."""
        return self._process is not None and self._process.poll() is None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The running process. Raises LocalKafkaError without one."""
        if self._process is None or self._process.poll() is not None:
            raise LocalKafkaError("The broker is not running.")
        return self._process

    def prepare(self, setup: Setup) -> None:
        """Take port, directory and commands from a start; write `server.properties`."""
        self._setup = setup
        setup.directory.mkdir(parents=True, exist_ok=True)
        self._properties_path.write_text(
            "".join(f"{name}={value}\n" for name, value in setup.properties.items())
        )

    def forget(self) -> None:
        """Release the port and the directory; the process has ended."""
        self._setup, self._process = None, None

    @property
    def _properties_path(self) -> Path:
        return self.setup.directory / "server.properties"

    @property
    def formatted(self) -> bool:
        """Whether the data directory is one of Kafka's."""
        return (self.setup.directory / "data" / "meta.properties").exists()

    def format(self) -> None:
        """Format an empty data directory. Raises LocalKafkaError."""
        command = [*self.setup.format, str(self._properties_path)]
        with self.log_path.open("ab") as log:
            log_start = log.tell()
            done = subprocess.run(  # noqa: S603 - no shell, no input of a stranger
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False
            )
        if done.returncode != 0:
            self._log_start = log_start
            raise self.failure("Kafka can't format its data directory")

    def check_port(self) -> None:
        """Raise PortLostError if the port is taken."""
        port = self.setup.port
        if not is_free(port):
            raise PortLostError(f"Port {port} on {HOST} is taken by another program.")

    def launch(self) -> None:
        """Start the process; `is_ready` says when it accepts clients."""
        self._log_start = self.log_path.stat().st_size if self.log_path.exists() else 0
        self._process = spawn([*self.setup.server, str(self._properties_path)], self.log_path)

    def is_ready(self) -> bool:
        """Return whether the launched node accepts clients. Raises LocalKafkaError if it ended."""
        if "Kafka Server started" not in self._log_since_launch():
            if not self.running:
                raise self.failure("Kafka ended while it was starting")
            return False
        try:
            socket.create_connection((HOST, self.setup.port), timeout=5).close()
        except OSError as error:
            message = f"Kafka runs, but {self.setup.client} does not answer ({error})"
            raise self.failure(message) from error
        return True

    def _log_since_launch(self) -> str:
        with self.log_path.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def failure(self, message: str) -> LocalKafkaError:
        """Return an error that names the broker and ends with lines of its log."""
        log = self._log_since_launch()
        kind = PortLostError if _IN_USE in log else LocalKafkaError
        return kind(f"{self.setup.title}{message}. From its log:\n{excerpt(log)}")

    def kill(self) -> None:
        """Send SIGKILL and wait for the end; do nothing when it is not running."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def terminate(self) -> None:
        """Send SIGTERM; a paused process sees it only after SIGCONT."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.send_signal(signal.SIGCONT)

    def wait(self, within: float) -> None:
        """Wait for the end of the process; send SIGKILL if it does not come in time."""
        if self._process is not None:
            try:
                self._process.wait(within)
            except subprocess.TimeoutExpired:
                self.kill()


def start_all(nodes: Sequence[Node]) -> None:
    """Start prepared nodes; return when all accept clients. On failure none of them runs.

    At once: the first of three has no majority before the second has started.
    """
    try:
        for node in nodes:
            node.check_port()
        empty = [node for node in nodes if not node.formatted]
        if empty:
            with ThreadPoolExecutor(len(empty)) as pool:
                list(pool.map(Node.format, empty))
        for node in nodes:
            node.launch()
        _wait_until_ready(nodes)
    except BaseException:  # Ctrl-C included
        for node in nodes:
            node.kill()
        raise


def _wait_until_ready(nodes: Sequence[Node]) -> None:
    give_up = time.monotonic() + _READY_WITHIN
    waiting = list(nodes)
    while waiting := [node for node in waiting if not node.is_ready()]:
        if time.monotonic() > give_up:
            raise waiting[0].failure(f"Kafka was not ready within {_READY_WITHIN:.0f} s")
        time.sleep(0.02)


def end_all(nodes: Sequence[Node], *, within: float) -> None:
    """Send SIGTERM to all nodes at once, and SIGKILL to those that run longer than `within` s."""
    for node in nodes:
        node.terminate()
    give_up = time.monotonic() + within
    for node in nodes:
        node.wait(max(0.0, give_up - time.monotonic()))
