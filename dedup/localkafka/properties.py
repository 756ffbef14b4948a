"""How the embedded broker differs from Kafka's defaults."""

from pathlib import Path

PROPERTIES = {
    "process.roles": "broker,controller",
    "node.id": "1",
    # The client listener has a name of its own, so that one property, the protocol map, turns it
    # into SASL_PLAINTEXT or SSL.
    "listener.security.protocol.map": "CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT",
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
    "num.network.threads": "2",
    "num.io.threads": "4",
}


def server_properties(client: str, controller: str, data_dir: Path) -> dict[str, str]:
    """Return the properties of a broker that listens at these addresses."""
    return {
        **PROPERTIES,
        "listeners": f"CLIENT://{client},CONTROLLER://{controller}",
        "advertised.listeners": f"CLIENT://{client}",
        "controller.quorum.voters": f"1@{controller}",
        "log.dirs": str(data_dir),
    }
