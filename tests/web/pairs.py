"""Two workers of a group, and products whose events another producer placed."""

import asyncio
import socket
import zlib
from dataclasses import dataclass, field

from aiokafka import AIOKafkaProducer

from tests.support.records import event
from tests.support.topics import partition_of
from tests.support.workers import Names, WorkerProcess, wait_until_counted
from tests.web.conftest import get

PRODUCTS = 200
UNKNOWN_ID = 10**12


def by_crc32(product_id: int) -> int:
    """Where librdkafka's default partitioner puts a product."""
    return zlib.crc32(b"%d" % product_id) % 4


async def send(kafka: str, topic: str, records: list[tuple[int, int, bytes]]) -> None:
    """Append events, each in the partition it comes with."""
    async with AIOKafkaProducer(bootstrap_servers=kafka, acks="all") as producer:
        for product_id, partition, value in records:
            await producer.send(topic, value=value, key=b"%d" % product_id, partition=partition)


def name_of(product_id: int) -> str:
    return f"{'Green' if product_id % 3 else 'Blue'} chair {product_id}"


@dataclass
class Pair:
    """Two workers of a group. The second tells the group an address that never answers."""

    kafka: str
    names: Names
    first: WorkerProcess
    second: WorkerProcess
    silent: str = ""
    twice: int = 0
    """A product whose events two producers sent, by CRC32 and by murmur2, so to two workers."""

    asked: list[socket.socket] = field(default_factory=list)
    """Connections to the silent address."""

    @property
    def urls(self) -> list[str]:
        return [f"http://127.0.0.1:{worker.port}" for worker in (self.first, self.second)]


def owned(url: str) -> list[int]:
    """Which partitions a worker that is ready says it owns."""
    try:
        _, ready = get(f"{url}/readyz")
        overview = get(f"{url}/api/overview?local=1")[1]
    except OSError:
        return []
    return [each["partition"] for each in overview["partitions"]] if ready.get("ok") else []


def fill(pair: Pair) -> None:
    """200 products, each created and repeated; one in two partitions, which two workers own."""
    ours = owned(pair.urls[0])
    pair.twice = next(
        i for i in range(300, 400) if (by_crc32(i) in ours) != (partition_of(b"%d" % i) in ours)
    )
    records = []
    for product_id in range(1, PRODUCTS + 1):
        value = event(product_id, action="created", product_name=name_of(product_id))
        records += [(product_id, by_crc32(product_id), value)] * 2
    old = event(pair.twice, number=1, action="created", product_name="Lamp", price="1.00")
    new = event(pair.twice, number=2, action="created", product_name="Lamp", price="2.00")
    records.append((pair.twice, partition_of(b"%d" % pair.twice), old))
    records.append((pair.twice, by_crc32(pair.twice), new))
    asyncio.run(send(pair.kafka, pair.names.source, records))
    wait_until_counted(len(records), pair.first, pair.second)
