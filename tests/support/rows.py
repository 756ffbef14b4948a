"""Records of `src_products` for the sink's tests, and what they leave: an oracle of its own."""

import json
import random
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from aiokafka import AIOKafkaProducer

from tests.support.administration import admin, create

PARTITIONS = 4
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)

KafkaRecord = tuple[int, bytes, bytes | None]
"""Partition, key, value."""
Table = dict[int, tuple[Any, ...]]


def row(product_id: int, version: int, **other: Any) -> dict[str, Any]:
    """A row as the worker writes it; its stock is its version."""
    time = _text(EPOCH + timedelta(seconds=version))
    return {
        "product_id": product_id,
        "product_name": f"Product {product_id} \U0001f4e6 'n\\\"",
        "description": None if version % 3 else f"line\n{version}\t{{}}, NULL",
        "price": f"{version}.99",
        "stock_quantity": version,
        "discount": "0.00",
        "created_at": _text(EPOCH),
        "updated_at": time,
        "last_event_id": f"evt_{version}",
        "last_action": "updated",
        "last_event_timestamp": time,
        "last_old_price": None,
        "processing_time": time,
    } | other


def _text(time: datetime) -> str:
    return time.isoformat(timespec="microseconds").replace("+00:00", "Z")


def as_flink_writes(row: dict[str, Any]) -> bytes:
    """The same row in Flink's JSON: numbers, times without a zone, an unknown field."""
    text = json.dumps(
        {name: value for name, value in row.items() if not name.startswith("last_")}
        | {"updated_at": row["updated_at"].replace("T", " ").rstrip("Z"), "extra": [1]}
    )
    return text.replace(f'"{row["price"]}"', row["price"]).encode()


def expected_row(row: dict[str, Any]) -> tuple[Any, ...]:
    """What must stand in the table for a row."""
    times = (datetime.fromisoformat(row[name]) for name in ("created_at", "updated_at"))
    return (
        row["product_name"],
        row["description"],
        Decimal(row["price"]),
        row["stock_quantity"],
        Decimal(row["discount"]),
        *times,
    )


class RandomTopic:
    """A random history of products, record by record; `table` is what it leaves so far."""

    def __init__(self, seed: int, products: int = 200) -> None:
        self._random = random.Random(seed)
        self._ids = [*range(1, products), 2**63 - 1]
        self._version = 0
        self.table: Table = {}

    def records(self, count: int) -> Iterator[KafkaRecord]:
        """Return the next records; one in eight is a tombstone, one in six is a Flink job's."""
        for _ in range(count):
            self._version += 1
            product_id = self._random.choice(self._ids)
            key = json.dumps({"product_id": product_id}, separators=(",", ":")).encode()
            partition = product_id % PARTITIONS
            kind = self._random.random()
            if kind < 1 / 8:
                self.table.pop(product_id, None)
                yield partition, key, None
                continue
            new = row(product_id, self._version)
            self.table[product_id] = expected_row(new)
            from_flink = kind > 5 / 6
            yield partition, key, as_flink_writes(new) if from_flink else json.dumps(new).encode()


async def make_topic(kafka: str, name: str | None = None) -> str:
    """Make a compacted topic, and wait until it is there; return its name."""
    name = name or f"src-{uuid.uuid4().hex[:8]}"
    async with admin(kafka) as client:
        await create(client, name, PARTITIONS, cleanup_policy="compact")
    return name


async def write(kafka: str, topic: str, records: Iterator[KafkaRecord]) -> None:
    """Append records."""
    async with AIOKafkaProducer(bootstrap_servers=kafka, linger_ms=5) as producer:
        for partition, key, value in records:
            future = await producer.send(topic, key=key, value=value, partition=partition)
        await future
        await producer.flush()


async def write_in_transactions(kafka: str, topic: str, random_topic: RandomTopic) -> None:
    """Append records with markers between them, and some that were aborted."""
    async with AIOKafkaProducer(bootstrap_servers=kafka, transactional_id=topic) as producer:
        for number in range(6):
            await producer.begin_transaction()
            aborted = number % 3 == 1
            source = RandomTopic(number) if aborted else random_topic
            for partition, key, value in source.records(50):
                await producer.send(topic, key=key, value=value, partition=partition)
            await (producer.abort_transaction() if aborted else producer.commit_transaction())
