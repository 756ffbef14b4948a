"""`LocalKafka`: one Kafka node, or three that replicate, for as long as this process lives."""

import atexit
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

from dedup.localkafka.broker import Broker
from dedup.localkafka.jars import LocalKafkaError, PortLostError
from dedup.localkafka.node import Node, end_all, start_all
from dedup.localkafka.ports import HOST, free_port, is_free
from dedup.localkafka.setup import Wishes, setups
from dedup.localkafka.startup import HEAP_MIB, java_command

_DEFAULT_PORT = 9092
_STOP_WITHIN = {1: 10.0, 3: 30.0}
"""By the number of brokers. The last of three waits 5 s for a majority of controllers in vain."""

_PORT_ATTEMPTS = 3


class LocalKafka:
    """Kafka in KRaft combined mode on 127.0.0.1, for as long as this process lives.

    The first start on a machine fetches 43 MB and records the JVM's start-up, about 15 s.
    May be started from any thread; not meant to be shared by threads.

    Args:
        brokers: 1, or 3: a cluster whose topics have 3 replicas, 2 of them in sync at least, by
            default, and whose internal topics have so always.
        port: Where clients connect; of three brokers the first, the others have the next ports.
            None: 9092 (and the next) if free, else other free ports; they stay the same until
            `stop()`.
        data_dir: Kept at `stop()` and reused by the next start. None: a temporary directory,
            removed at `stop()`; left behind only when this process is killed.
        heap_mib: The largest heap of each JVM.
        jvm_options: Further options of each JVM; they override ours.
        properties: Entries of each server.properties, written as they are; they override ours. The
            client listener is named CLIENT, so `listener.security.protocol.map` with
            `CLIENT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT` is enough to change its protocol.
        format_options: Further arguments for the formatting of an empty data directory, such as
            `--add-scram` with a user that must exist at the first start.
        listeners: Further listeners for clients that come through a proxy: by name, the port of
            the proxy for each broker, which that listener advertises. `Broker.listeners` says where
            the broker itself listens: what the proxy forwards to.
    """

    def __init__(  # noqa: PLR0913 - each is a choice of its own, and named
        self,
        *,
        brokers: int = 1,
        port: int | None = None,
        data_dir: Path | None = None,
        heap_mib: int = HEAP_MIB,
        jvm_options: Sequence[str] = (),
        properties: Mapping[str, str] = MappingProxyType({}),
        format_options: Sequence[str] = (),
        listeners: Mapping[str, Sequence[int]] = MappingProxyType({}),
    ) -> None:
        if brokers not in {1, 3}:  # two would both be needed for a majority
            raise LocalKafkaError(f"A LocalKafka has 1 broker or 3, not {brokers}.")
        for name, advertised in listeners.items():
            if len(advertised) != brokers:
                raise LocalKafkaError(
                    f"The listener {name} advertises a port for each of {brokers} broker(s), not "
                    f"{len(advertised)}."
                )
        self._nodes = tuple(Node() for _ in range(brokers))
        self._brokers = tuple(map(Broker, self._nodes))
        self._wanted_ports = None if port is None else tuple(range(port, port + brokers))
        self._wanted_dir = data_dir
        flags = (f"-Xmx{heap_mib}m", *jvm_options)
        self._wishes = Wishes(flags, dict(properties), tuple(format_options), dict(listeners))
        self._ports = self._wanted_ports
        self._dir: Path | None = None
        self._java: list[str] = []

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
    def brokers(self) -> tuple[Broker, ...]:
        """The brokers, in the order of their node ids, which begin at 1."""
        return self._brokers

    @property
    def bootstrap_servers(self) -> str:
        """The addresses for clients, `127.0.0.1:port`; those of three brokers with commas."""
        if self._ports is None:
            raise LocalKafkaError("The broker's port is chosen when it starts.")
        return ",".join(f"{HOST}:{port}" for port in self._ports)

    @property
    def data_dir(self) -> Path:
        """The directory of the broker's data, log and server.properties; of three, that of all."""
        if self._dir is None:
            raise LocalKafkaError("The broker has a directory only between start and stop.")
        return self._dir

    @property
    def log_path(self) -> Path:
        """The file with everything that Kafka and the JVM print, of a single broker."""
        return self._single("log_path").log_path

    def log_excerpt(self) -> str:
        """Return the first errors in the log and its last lines; of three brokers, of each log."""
        if len(self.brokers) == 1:
            return self.brokers[0].log_excerpt()
        parts = [f"{b.bootstrap_servers} ({b.log_path}):\n{b.log_excerpt()}" for b in self.brokers]
        return "\n".join(parts)

    @property
    def running(self) -> bool:
        """Whether a process exists; a paused one does."""
        return any(broker.running for broker in self.brokers)

    @property
    def pid(self) -> int:
        """The process id of a single broker that runs."""
        return self._single("pid").pid

    def start(self) -> None:
        """Start all brokers; return when they accept clients.

        Raises:
            LocalKafkaError: A port is taken, the jars can't be fetched, or Kafka did not start;
                then the message ends with lines of its log. No process and no temporary directory
                is left.
        """
        if self.running:
            raise LocalKafkaError(f"The broker is already running, at {self.bootstrap_servers}.")
        self._java = java_command()
        self._dir = self._wanted_dir or Path(tempfile.mkdtemp(prefix="dedup-kafka-"))
        atexit.register(self.stop)
        try:
            self._dir = self._dir.resolve()
            self._dir.mkdir(parents=True, exist_ok=True)
            self._launch_on_ports()
        except (OSError, OverflowError) as error:  # the latter: a port beyond 65535
            self.stop()
            raise LocalKafkaError(f"Can't start the broker: {error}") from error
        except BaseException:  # Ctrl-C included
            self.stop()
            raise

    def stop(self) -> None:
        """Stop all brokers with SIGTERM; remove a temporary directory.

        What still runs after 10 s, of three brokers after 30 s, is stopped with SIGKILL. Does
        nothing when none is running. `start()` may follow.
        """
        end_all(self._nodes, within=_STOP_WITHIN[len(self.brokers)])
        if self._dir is not None and self._wanted_dir is None:
            shutil.rmtree(self._dir, ignore_errors=True)
        for node in self._nodes:
            node.forget()
        self._dir, self._ports = None, self._wanted_ports
        atexit.unregister(self.stop)

    def kill(self) -> None:
        """Send SIGKILL to all, as a crash; data, ports and directory stay for `restart()`."""
        for broker in self.brokers:
            broker.kill()

    def restart(self) -> None:
        """Start all brokers again on the same data and ports.

        For use after `kill()`; a running broker is stopped with SIGTERM first.
        """
        if self._dir is None:
            raise LocalKafkaError("Only a broker that was started can be restarted.")
        end_all(self._nodes, within=_STOP_WITHIN[len(self.brokers)])
        start_all(self._nodes)

    def pause(self) -> None:
        """Send SIGSTOP to all: afterwards connections are open, but nothing is answered."""
        for broker in self.brokers:
            broker.pause()

    def resume(self) -> None:
        """Send SIGCONT to all: resume after `pause()`."""
        for broker in self.brokers:
            broker.resume()

    def _single(self, member: str) -> Broker:
        if len(self.brokers) > 1:
            raise LocalKafkaError(f"Each broker has its own: ask for brokers[0].{member}.")
        return self.brokers[0]

    def _launch_on_ports(self) -> None:
        for attempt in range(1, _PORT_ATTEMPTS + 1):
            if self._wanted_ports is None:
                self._ports = self._free_ports()
            try:
                return self._launch()
            except PortLostError:
                if attempt == _PORT_ATTEMPTS:
                    raise
        return None

    def _free_ports(self) -> tuple[int, ...]:
        chosen: list[int] = []
        for port in range(_DEFAULT_PORT, _DEFAULT_PORT + len(self.brokers)):
            chosen.append(port if is_free(port) else free_port(avoid=chosen))
        return tuple(chosen)

    def _launch(self) -> None:
        """Start Kafka on the chosen ports and directory; on failure no process is left."""
        prepared = setups(self._java, self.data_dir, self._ports or (), self._wishes)
        for node, setup in zip(self._nodes, prepared, strict=True):
            node.prepare(setup)
        start_all(self._nodes)
