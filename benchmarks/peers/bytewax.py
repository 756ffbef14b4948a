"""The job in Bytewax: KafkaSource, a stateful operator keyed by product, KafkaSink.

At least once: states and source offsets are snapshots in a recovery store on disk, taken at the end
of every epoch of ten seconds, as by default. A source partition is read in batches of 1,000, the
default, and the sink flushes after each. Rows keep the event's key, the bare product_id.
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

import bytewax.operators as op
import orjson
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource, KafkaSourceMessage
from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main

from benchmarks.peers import environment
from benchmarks.peers.job import decide, now_text

BATCH: Final = 1_000
EPOCH: Final = timedelta(seconds=10)


def keyed(message: KafkaSourceMessage) -> tuple[str, bytes]:
    """Return an event under its product."""
    return message.key.decode(), message.value


def deduplicate(state: str | None, value: bytes) -> tuple[str | None, Iterable[bytes | None]]:
    """Decide on an event against its product's state; gives the row to emit, if there is one."""
    decision = decide(orjson.loads(value), state, now_text())
    if decision is None:
        return state, ()
    if not decision.emit:
        return decision.state, ()
    return decision.state, (None if decision.row is None else orjson.dumps(decision.row),)


def record(emission: tuple[str, bytes | None]) -> KafkaSinkMessage:
    """Return the record to write."""
    key, value = emission
    return KafkaSinkMessage(key.encode(), value)


def dataflow() -> Dataflow:
    """Return the job."""
    brokers = [environment.SERVERS]
    flow = Dataflow("deduplicate")
    source = KafkaSource(
        brokers,
        [environment.SOURCE],
        batch_size=BATCH,
        add_config={
            "fetch.message.max.bytes": str(1024 * 1024),
            "queued.min.messages": "50000",
            "fetch.queue.backoff.ms": "10",
        },
    )
    sink = KafkaSink(
        brokers,
        environment.OUTPUT,
        add_config={
            "enable.idempotence": "true",
            "linger.ms": "20",
            "batch.size": str(512 * 1024),
            "queue.buffering.max.messages": "1000000",
        },
    )
    events = op.map("keyed", op.input("source", flow, source), keyed)
    rows = op.stateful_flat_map("deduplicate", events, deduplicate)
    op.output("sink", op.map("record", rows, record), sink)
    return flow


def main() -> None:
    """Deduplicate until ended from outside."""
    recovery = environment.DIRECTORY / "recovery"
    recovery.mkdir()
    init_db_dir(recovery, 1)
    cli_main(dataflow(), epoch_interval=EPOCH, recovery_config=RecoveryConfig(recovery))


if __name__ == "__main__":
    main()
