"""What the start of one or more brokers decides: ports, directories, properties, commands."""

import base64
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from dedup.localkafka.jars import LocalKafkaError
from dedup.localkafka.ports import HOST, free_port
from dedup.localkafka.properties import server_properties


@dataclass(frozen=True, slots=True)
class Setup:
    """What every start of one broker needs."""

    title: str
    """What its messages begin with; nothing for a broker without others."""

    directory: Path
    port: int
    listeners: Mapping[str, str]
    """The addresses of the further listeners, by name."""

    properties: Mapping[str, str]
    server: Sequence[str]
    format: Sequence[str]
    """The commands that run the broker and that format its directory, but for their last words."""

    @property
    def client(self) -> str:
        """The address for clients."""
        return f"{HOST}:{self.port}"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the user of the brokers wants of each."""

    server_flags: Sequence[str]
    properties: Mapping[str, str]
    format_options: Sequence[str]
    listeners: Mapping[str, Sequence[int]]
    """The port that each broker advertises for a further listener, by the listener's name."""


def _check_number(directory: Path, brokers: int) -> None:
    """Raise LocalKafkaError for the directory of another number of brokers."""
    one, three = directory / "data", directory / "broker-1"
    if (three if brokers == 1 else one).exists():
        raise LocalKafkaError(
            f"{directory} has the data of {3 if brokers == 1 else 1} broker(s), not of {brokers}. "
            "Choose another directory, or the number of brokers that it was made with."
        )


def _cluster_id(directories: Sequence[Path]) -> str:
    """Return the id of the cluster whose data is here; without data, a new one."""
    for directory in directories:
        stored = directory / "data" / "meta.properties"
        lines = stored.read_text().splitlines() if stored.exists() else []
        for line in lines:
            if line.startswith("cluster.id="):
                return line.partition("=")[2]
    # 16 bytes in URL-safe base64; "A" first, as "-" would be an option.
    return "A" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22]


def setups(
    java: Sequence[str], directory: Path, ports: Sequence[int], wishes: Wishes
) -> list[Setup]:
    """Return the set-up of a broker for each port, with new ports of their controllers."""
    _check_number(directory, len(ports))
    alone = len(ports) == 1
    directories = [directory if alone else directory / f"broker-{n + 1}" for n in range(len(ports))]
    taken = [*ports, *chain(*wishes.listeners.values())]

    def address() -> str:
        taken.append(free_port(avoid=taken))
        return f"{HOST}:{taken[-1]}"

    controllers = [address() for _ in ports]
    tool = [*java, "kafka.tools.StorageTool", "format", "--ignore-formatted"]
    tool += ["-t", _cluster_id(directories), *wishes.format_options]
    found = []
    for node_id, (port, own) in enumerate(zip(ports, directories, strict=True), 1):
        client = f"{HOST}:{port}"
        listeners = {name: address() for name in wishes.listeners}
        advertised = {name: f"{HOST}:{at[node_id - 1]}" for name, at in wishes.listeners.items()}
        properties = server_properties(
            node_id,
            {"CLIENT": client} | listeners,
            {"CLIENT": client} | advertised,
            controllers,
            own / "data",
        )
        found.append(
            Setup(
                title="" if alone else f"Broker {node_id} at {client}: ",
                directory=own,
                port=port,
                listeners=listeners,
                properties=properties | dict(wishes.properties),
                server=[*java, *wishes.server_flags, "kafka.Kafka"],
                format=[*tool, "-c"],
            )
        )
    return found
