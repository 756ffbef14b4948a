"""One broker of a `LocalKafka`, as its user sees it."""

import os
import signal
from collections.abc import Mapping
from pathlib import Path

from dedup.localkafka.jars import LocalKafkaError, excerpt
from dedup.localkafka.node import Node, end_all, start_all

_STOP_WITHIN = 30.0
"""More than for the stop of all: one that leads much first hands it over."""


class Broker:
    """One of the `brokers` of a `LocalKafka`, to be stopped and started beside the others.

    Its port and directory stay the same from the start of the `LocalKafka` to its `stop()`.
    """

    def __init__(self, node: Node) -> None:
        self._node = node

    @property
    def bootstrap_servers(self) -> str:
        """The address for clients, `127.0.0.1:port`."""
        return self._node.setup.client

    @property
    def listeners(self) -> Mapping[str, str]:
        """The addresses where it listens besides, `127.0.0.1:port`, by the listener's name."""
        return self._node.setup.listeners

    @property
    def data_dir(self) -> Path:
        """The directory of the broker's data, log and server.properties."""
        return self._node.setup.directory

    @property
    def log_path(self) -> Path:
        """The file with everything that Kafka and the JVM print."""
        return self._node.log_path

    def log_excerpt(self) -> str:
        """Return the first errors in the log and its last lines."""
        return excerpt(self.log_path.read_text(errors="replace"))

    @property
    def running(self) -> bool:
        """Whether the process exists; a paused one does."""
        return self._node.running

    @property
    def pid(self) -> int:
        """The process id of the running broker."""
        return self._node.process.pid

    def start(self) -> None:
        """Start the broker again on its port and data; return when it accepts clients.

        One of three needs another one that runs: alone it has no majority. After a crash of all
        use `LocalKafka.restart()`.

        Raises:
            LocalKafkaError: The broker is running, its `LocalKafka` was not started, the port is
                taken, or Kafka did not start; then the message ends with lines of its log.
        """
        if self.running:
            raise LocalKafkaError(f"The broker is already running, at {self.bootstrap_servers}.")
        start_all([self._node])

    def stop(self) -> None:
        """Stop the broker with SIGTERM, after 30 s with SIGKILL; port and data stay for `start()`.

        Does nothing when it is not running. What it leads is led by others before it ends.
        """
        end_all([self._node], within=_STOP_WITHIN)

    def kill(self) -> None:
        """Send SIGKILL, as a crash; port and data stay for `start()`."""
        self._node.kill()

    def restart(self) -> None:
        """Start the broker again on its port and data; a running one is stopped first."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Send SIGSTOP: afterwards connections are open, but nothing is answered."""
        process = self._node.process
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)  # the signal takes its time

    def resume(self) -> None:
        """Send SIGCONT: resume after `pause()`."""
        self._node.process.send_signal(signal.SIGCONT)
