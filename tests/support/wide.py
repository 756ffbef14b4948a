"""Events with long rows, whose states fill disks and memories."""

import asyncio
import json
import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from aiokafka import AIOKafkaProducer

from producer.events import EventGenerator, Mix
from tests.support.topics import partition_of
from tests.support.workers import Names, WorkerProcess

STEP_S = 0.02
_TEXT = "".join(random.Random(5).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=1 << 20))


def text_of(product_id: int, width: int) -> str:
    """Return the text of a product, which does not compress."""
    at = product_id * 7919 % (len(_TEXT) - width)
    return _TEXT[at : at + width]


def wide_events(seed: int, products: int, width: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield keys and values for ever; a product has a text of its own."""
    mix = Mix(products=products, duplicates=0.3, late=0.03, deletes=0.0)
    for event in EventGenerator(seed, lambda: datetime.now(UTC), mix):
        body = json.loads(event.value or b"")
        body["product"]["description"] = text_of(body["product"]["product_id"], width)
        yield event.key or b"", json.dumps(body).encode()


class Feed:
    """Produces events until it is cancelled."""

    def __init__(self, kafka: str, names: Names, events: Iterator[tuple[bytes, bytes]]) -> None:
        self._kafka = kafka
        self._names = names
        self._events = events
        self.sent = 0

    async def run(self, rate: int) -> None:
        """Produce so many events a second."""
        begun = time.monotonic()
        async with AIOKafkaProducer(
            bootstrap_servers=self._kafka,
            enable_idempotence=True,
            linger_ms=5,
            max_batch_size=256 * 1024,
        ) as producer:
            while True:
                due = int((time.monotonic() - begun) * rate) - self.sent
                for key, value in islice(self._events, due):
                    await producer.send(
                        self._names.source, key=key, value=value, partition=partition_of(key)
                    )
                    self.sent += 1
                await asyncio.sleep(STEP_S)


def peak_mebibytes(worker: WorkerProcess) -> float:
    """Return the most memory that a worker has had resident."""
    status = Path(f"/proc/{worker.process.pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024
