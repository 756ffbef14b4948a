"""The dead-letter topic of a test, and `dedup dlq` run on it."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaProducer

from dedup.core.dead_letter import AnyHeader, DeadLetter, Header, Reason, dead_letter_headers
from tests.support.topics import read_topic
from tests.support.workers import Names, WorkerProcess

Record = tuple[bytes | None, bytes | None, Sequence[AnyHeader]]


class Dlq:
    """The topics of one test, and the command."""

    def __init__(self, kafka: str) -> None:
        self.kafka = kafka
        self.names = Names.fresh()
        self.settings = {"KAFKA_BOOTSTRAP_SERVERS": kafka, **self.names.settings}

    def run(self, *arguments: str, **changed: str) -> subprocess.CompletedProcess[str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("DEDUP_", "KAFKA_"))}
        return subprocess.run(
            [sys.executable, "-c", "from dedup.cli import cli; cli()", "dlq", *arguments],
            env=kept | {"PYTHONIOENCODING": "utf-8"} | self.settings | changed,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )

    def listed(self, *arguments: str) -> list[dict[str, Any]]:
        done = self.run("list", "--json", *arguments)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    async def write(self, topic: str, partition: int, *records: Record) -> None:
        async with AIOKafkaProducer(bootstrap_servers=self.kafka, acks="all") as producer:
            for key, value, headers in records:
                batch = producer.create_batch()
                batch.append(timestamp=None, key=key, value=value, headers=headers)
                await (await producer.send_batch(batch, topic, partition=partition))

    async def read(self, topic: str) -> dict[int, list[Record]]:
        found = await read_topic(self.kafka, topic)
        return {p: [(r.key, r.value, list(r.headers)) for r in rs] for p, rs in found.items()}


def reasons(reason: Reason, partition: int = 0, offset: int = 0) -> list[Header]:
    letter = DeadLetter(reason, f"It is {reason}.")
    return dead_letter_headers(letter, topic="products", partition=partition, offset=offset)


async def until(worker: WorkerProcess, counter: str, count: int) -> None:
    async with asyncio.timeout(60):
        while worker.metrics().get(counter, 0) < count:
            await asyncio.sleep(0.1)
