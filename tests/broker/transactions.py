"""Producers with and without transactions, and a model of what their committed events emit."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiokafka import AIOKafkaProducer

from tests.support.records import event
from tests.support.topics import Records, partition_of


@asynccontextmanager
async def producing(kafka: str, name: str | None = None) -> AsyncIterator[AIOKafkaProducer]:
    """A producer; with a name a transactional one. What it leaves open is aborted at its end."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka, transactional_id=name, acks="all")
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


@dataclass
class Feed:
    """What was sent, by partition and offset; it knows what was committed, as its sender does."""

    kafka: str
    topic: str
    committed: dict[tuple[int, int], tuple[int, int, str | None]] = field(default_factory=dict)
    """Of each committed event: product, time, price; None for a delete."""

    sent: int = 0

    async def send(
        self, producer: AIOKafkaProducer, product_id: int, time: int, price: str | None
    ) -> tuple[tuple[int, int], tuple[int, int, str | None]]:
        self.sent += 1
        key = b"%d" % product_id
        value = json.loads(event(product_id, action="deleted" if price is None else "updated"))
        value["event_id"] = f"evt_{self.sent}"
        value["timestamp"] = f"2026-01-01T{time // 3600:02d}:{time // 60 % 60:02d}:{time % 60:02d}Z"
        value["product"]["price"] = price or "0.00"
        at = await producer.send_and_wait(
            self.topic, json.dumps(value).encode(), key, partition=partition_of(key)
        )
        return (at.partition, at.offset), (product_id, time, price)

    def prices(self) -> dict[int, list[str | None]]:
        """The model: what each product's committed events, in order, emit."""
        emitted: dict[int, list[str | None]] = {}
        newest: dict[int, int] = {}
        for _, (product_id, time, price) in sorted(self.committed.items()):
            known = emitted.setdefault(product_id, [])
            if time < newest.get(product_id, 0):
                continue
            newest[product_id] = time
            if price != (known[-1] if known else None):
                known.append(price)
        return {product_id: known for product_id, known in emitted.items() if known}


def prices(output: Records) -> dict[int, list[str | None]]:
    found: dict[int, list[str | None]] = {}
    for records in output.values():
        for record in records:
            price = None if record.value is None else json.loads(record.value)["price"]
            found.setdefault(json.loads(record.key)["product_id"], []).append(price)
    return found
