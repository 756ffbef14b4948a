"""How the embedded brokers differ from Kafka's defaults."""

from collections.abc import Mapping, Sequence
from pathlib import Path

PROPERTIES = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "inter.broker.listener.name": "CLIENT",
    "controller.listener.names": "CONTROLLER",
    "auto.create.topics.enable": "false",
    "group.initial.rebalance.delay.ms": "0",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    # Generated events carry chosen times, also old ones: size limits the log, not age.
    "log.retention.ms": "-1",
    "log.retention.bytes": str(4 * 2**30),
    "log.cleaner.dedupe.buffer.size": str(16 * 2**20),  # of the heap; 128 MiB by default
    # After a SIGKILL the controller refuses the broker until the session of the killed one ends: by
    # default 9 s. A pause beyond this fences the broker for some milliseconds at its end.
    "broker.session.timeout.ms": "2000",
    "broker.heartbeat.interval.ms": "250",
    # By default the controller writes a record every 500 ms, to show that it is there: a quarter of
    # what an idle broker costs.
    "metadata.max.idle.interval.ms": "10000",
    "num.network.threads": "2",
    "num.io.threads": "4",
}

CLUSTER_PROPERTIES = {
    "default.replication.factor": "3",
    "min.insync.replicas": "2",  # of __consumer_offsets too, which has no property of its own
    "offsets.topic.replication.factor": "3",
    "transaction.state.log.replication.factor": "3",
    "transaction.state.log.min.isr": "2",
    "share.coordinator.state.topic.replication.factor": "3",
    "share.coordinator.state.topic.min.isr": "2",
    # The leader of such a partition coordinates its groups or producers: one for each broker.
    "offsets.topic.num.partitions": "3",
    "transaction.state.log.num.partitions": "3",
    "share.coordinator.state.topic.num.partitions": "3",
    # By default partitions have no leader for 9 s after a SIGKILL. Not as short as for one broker:
    # where three share two cores, a busy moment must not look like a crash.
    "broker.session.timeout.ms": "4000",
    "broker.heartbeat.interval.ms": "500",
    # By default leaders return to a restarted broker within 5 minutes, longer than most tests run:
    # one broker would then lead everything after the others were restarted.
    "leader.imbalance.check.interval.seconds": "5",
}
"""What three brokers have in place of that."""


def server_properties(
    node_id: int,
    listeners: Mapping[str, str],
    advertised: Mapping[str, str],
    controllers: Sequence[str],
    data_dir: Path,
) -> dict[str, str]:
    """Return the properties of a broker: where it listens, and where each controller does."""
    listeners = {**listeners, "CONTROLLER": controllers[node_id - 1]}
    voters = ",".join(f"{number}@{address}" for number, address in enumerate(controllers, 1))
    return {
        **PROPERTIES,
        **(CLUSTER_PROPERTIES if len(controllers) > 1 else {}),
        "node.id": str(node_id),
        "listeners": _addresses(listeners),
        "advertised.listeners": _addresses(advertised),
        # Listeners have names of their own, so that one property, the protocol map, turns them
        # into SASL_PLAINTEXT or SSL.
        "listener.security.protocol.map": ",".join(f"{name}:PLAINTEXT" for name in listeners),
        "controller.quorum.voters": voters,
        "log.dirs": str(data_dir),
    }


def _addresses(listeners: Mapping[str, str]) -> str:
    return ",".join(f"{name}://{address}" for name, address in listeners.items())
