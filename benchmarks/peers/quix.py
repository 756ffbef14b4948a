"""The job in Quix Streams: a stateful `apply` that gives no row or one, and `to_topic`.

State is on RocksDB with a changelog topic, as Quix makes them. The producer fills batches and does
not compress, as with everyone else. Rows keep the event's key, the bare product_id.
"""

from typing import Any, Final, Literal, cast

import orjson
from quixstreams import Application, State

from benchmarks.peers import environment
from benchmarks.peers.job import decide, now_text

KEY: Final = "state"


def deduplicate(event: dict[str, Any], state: State) -> list[bytes | None]:
    """Decide on an event against its product's state; gives the row to emit, if there is one."""
    decision = decide(event, state.get(KEY), now_text())
    if decision is None:
        return []
    state.set(KEY, decision.state)
    if not decision.emit:
        return []
    return [None if decision.row is None else orjson.dumps(decision.row)]


def main() -> None:
    """Deduplicate until ended from outside."""
    app = Application(
        broker_address=environment.SERVERS,
        consumer_group=environment.GROUP,
        auto_offset_reset="earliest",
        state_dir=environment.DIRECTORY,
        processing_guarantee=cast(
            "Literal['at-least-once', 'exactly-once']", environment.GUARANTEE
        ),
        commit_interval=1.0,
        consumer_extra_config={
            "fetch.message.max.bytes": 1024 * 1024,
            "queued.min.messages": 50_000,
            "fetch.queue.backoff.ms": 10,
        },
        producer_extra_config={
            "compression.type": "none",
            "linger.ms": 20,
            "batch.size": 512 * 1024,
            "queue.buffering.max.messages": 1_000_000,
        },
    )
    source = app.topic(environment.SOURCE, key_deserializer="bytes", value_deserializer="json")
    output = app.topic(environment.OUTPUT, key_serializer="bytes", value_serializer="bytes")
    app.dataframe(source).apply(deduplicate, stateful=True, expand=True).to_topic(output)
    app.run()


if __name__ == "__main__":
    main()
