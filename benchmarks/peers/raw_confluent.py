"""The job as a plain loop over confluent-kafka (librdkafka): a second upper limit.

As many records as there are at once, multi-get, produce, flush, one write batch, then the commit.
"""

from typing import Any, Final

import orjson
from confluent_kafka import Consumer, KafkaException, Producer
from rocksdict import Options, Rdict, WriteBatch

from benchmarks.peers import environment
from benchmarks.peers.job import decide, now_text, output_key

RECORDS: Final = 10_000
POLL_S: Final = 0.1


def _refuse(error: Any, _: Any) -> None:
    if error is not None:
        raise KafkaException(error)


class Loop:
    """The state and the producer."""

    def __init__(self) -> None:
        self._db = Rdict(str(environment.DIRECTORY / "states"), Options(raw_mode=True))
        self._producer = Producer(
            {
                "bootstrap.servers": environment.SERVERS,
                "enable.idempotence": True,
                "linger.ms": 5,
                "batch.size": 900 * 1024,
                "batch.num.messages": RECORDS,
                "queue.buffering.max.messages": 1_000_000,
            }
        )

    def apply(self, messages: list[Any]) -> None:
        """Deduplicate messages; returns when their output is acknowledged and the state written."""
        keys = list({message.key() for message in messages})
        found: list[bytes | None] = self._db[keys] or []
        known = {key: data.decode() for key, data in zip(keys, found, strict=True) if data}
        now = now_text()
        written = {}
        for message in messages:
            event = orjson.loads(message.value())
            product = message.key()
            decision = decide(event, known.get(product), now)
            if decision is None:
                continue
            known[product] = written[product] = decision.state
            if decision.emit:
                self._producer.produce(
                    environment.OUTPUT,
                    None if decision.row is None else orjson.dumps(decision.row),
                    output_key(event["product"]["product_id"]),
                    message.partition(),
                    on_delivery=_refuse,
                )
        self._producer.flush()
        states = WriteBatch(raw_mode=True)
        for key, state in written.items():
            states.put(key, state.encode())
        self._db.write(states)


def main() -> None:
    """Deduplicate until ended from outside."""
    consumer = Consumer(
        {
            "bootstrap.servers": environment.SERVERS,
            "group.id": environment.GROUP,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "fetch.message.max.bytes": 1024 * 1024,
            "queued.min.messages": 50_000,
            "fetch.queue.backoff.ms": 10,
        }
    )
    consumer.subscribe([environment.SOURCE])
    loop = Loop()
    while True:
        messages = consumer.consume(RECORDS, POLL_S)
        for message in messages:
            if (error := message.error()) is not None:
                raise KafkaException(error)
        if messages:
            loop.apply(messages)
            consumer.commit(asynchronous=True)


if __name__ == "__main__":
    main()
