"""Real worker processes, and what is on the topics: shared by the tests that need a broker."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.partitioner import murmur2

from dedup.demo.oracle import History, Oracle
from dedup.localkafka.process import spawn

Records = dict[int, list[Any]]

UNDECIDED_AT_MOST_S = 150.0
"""More than a worker's transaction may stay open."""


def free_port() -> int:
    """Return a port of the loopback interface that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Names:
    """Topics and group of one test, so that tests can share a broker."""

    source: str
    states: str
    dead_letters: str
    group: str

    @classmethod
    def fresh(cls) -> Self:
        name = uuid.uuid4().hex[:8]
        return cls(f"products-{name}", f"src-{name}", f"dlq-{name}", f"group-{name}")

    @property
    def settings(self) -> dict[str, str]:
        """The worker's settings that name them."""
        return {
            "KAFKA_PRODUCT_TOPIC": self.source,
            "KAFKA_SRC_PRODUCTS_TOPIC": self.states,
            "KAFKA_DLQ_TOPIC": self.dead_letters,
            "DEDUP_APP_ID": self.group,
        }


class WorkerProcess:
    """`faust -A dedup worker` as its own process, with its own data directory and web port.

    It dies with us, even when we are killed.
    """

    def __init__(self, bootstrap_servers: str, data_dir: Path, settings: Mapping[str, str]) -> None:
        self.port = free_port()
        self.data_dir = data_dir
        self.log_path = data_dir.with_suffix(".log")
        self._environ = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("DEDUP_", "KAFKA_"))
        } | {
            "KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers,
            "DEDUP_DATA_DIR": str(data_dir),
            "DEDUP_WEB_PORT": str(self.port),
            **settings,
        }
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process; it has been started."""
        assert self._process is not None
        return self._process

    def start(self, *arguments: str) -> None:
        """Start it, by Python with these arguments if given; does not wait until it is ready."""
        command = [sys.executable, *(arguments or ("-m", "faust", "-A", "dedup", "worker"))]
        self._process = spawn(command, self.log_path, self._environ)

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """SIGKILL, and wait for its end. A suspended process dies too."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def terminate(self) -> int:
        """SIGTERM, and wait for its end; gives the exit code."""
        self.process.terminate()
        return self.wait()

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def wait(self, timeout_s: float = 60) -> int:
        """Wait for its end; gives the exit code."""
        return self.process.wait(timeout_s)

    def log(self) -> str:
        """Everything it has logged."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def metrics(self) -> dict[str, float]:
        """The counters of its /metrics page, by name with labels."""
        url = f"http://127.0.0.1:{self.port}/metrics"
        with urllib.request.urlopen(url, timeout=5) as page:
            lines = page.read().decode().splitlines()
        return {
            line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
            for line in lines
            if line and not line.startswith("#")
        }

    def wait_until_ready(self, timeout_s: float = 60) -> None:
        """Wait for its first assignment to be recovered."""
        deadline = time.monotonic() + timeout_s
        while "Worker ready" not in self.log():
            assert self.alive, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.1)


def partition_of(key: bytes, partitions: int = 4) -> int:
    """Return the partition Kafka's default partitioner puts a key in."""
    return (int(murmur2(key)) & 0x7FFFFFFF) % partitions


@asynccontextmanager
async def connected(**arguments: Any) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer, closed also when it could not connect: chaos kills brokers."""
    consumer = AIOKafkaConsumer(**arguments)
    try:
        await consumer.start()
        yield consumer
    finally:
        await consumer.stop()


async def produce(
    bootstrap_servers: str,
    records: list[tuple[bytes | None, bytes | None]],
    topic: str,
    *,
    partition_key: bytes | None = None,
    **producer_settings: Any,
) -> None:
    """Append records in order, each in the partition of its key; without a key in that of none.

    `partition_key` stands for every key when the partition is chosen.
    """
    async with AIOKafkaProducer(
        bootstrap_servers=bootstrap_servers,
        acks="all",
        linger_ms=5,
        max_batch_size=256 * 1024,
        max_request_size=64 * 1024 * 1024,
        **producer_settings,
    ) as producer:
        futures = []
        for key, value in records:
            partition = partition_of(partition_key or key or b"")
            if key is None and value is None:  # send() refuses it; other clients write it
                batch = producer.create_batch()
                batch.append(timestamp=None, key=None, value=None)
                futures.append(await producer.send_batch(batch, topic, partition=partition))
            else:
                futures.append(
                    await producer.send(topic, value=value, key=key, partition=partition)
                )
        for future in futures:
            await future


async def read_topic(bootstrap_servers: str, topic: str, partitions: int = 4) -> Records:
    """Read everything that stands on a topic now, committed records only.

    A producer's commit is acknowledged before its markers stand on the partitions, and until then
    they hide its records: what is still undecided is waited for.
    """
    tps = [TopicPartition(topic, p) for p in range(partitions)]
    found: Records = {p: [] for p in range(partitions)}
    async with connected(bootstrap_servers=bootstrap_servers) as uncommitted:
        ends = await uncommitted.end_offsets(tps)
    async with (
        asyncio.timeout(UNDECIDED_AT_MOST_S),
        connected(
            bootstrap_servers=bootstrap_servers,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            max_partition_fetch_bytes=8 * 1024 * 1024,
        ) as consumer,
    ):
        consumer.assign(tps)
        for tp in tps:
            consumer.seek(tp, 0)
        while any([await consumer.position(tp) < ends[tp] for tp in tps]):
            for tp, records in (await consumer.getmany(timeout_ms=200)).items():
                found[tp.partition] += [r for r in records if r.offset < ends[tp]]
    return found


async def lag(bootstrap_servers: str, names: Names) -> int:
    """Records of the source topic that the group has not committed."""
    async with connected(
        bootstrap_servers=bootstrap_servers, group_id=names.group, enable_auto_commit=False
    ) as consumer:
        tps = [TopicPartition(names.source, p) for p in range(4)]
        ends = await consumer.end_offsets(tps)
        committed = [await consumer.committed(tp) or 0 for tp in tps]
        return int(sum(ends.values()) - sum(committed))


async def wait_until_done(bootstrap_servers: str, names: Names, timeout_s: float = 120) -> None:
    """Wait until everything on the source topic is committed."""
    deadline = time.monotonic() + timeout_s
    while (left := await lag(bootstrap_servers, names)) > 0:
        assert time.monotonic() < deadline, f"{left} records are not committed"
        await asyncio.sleep(0.2)


async def ends_of(bootstrap_servers: str, topic: str) -> dict[int, int]:
    """The end offset of each partition of a topic."""
    async with connected(bootstrap_servers=bootstrap_servers) as consumer:
        ends = await consumer.end_offsets([TopicPartition(topic, p) for p in range(4)])
        return {tp.partition: end for tp, end in ends.items()}


async def end_of(bootstrap_servers: str, topic: str) -> int:
    """Offsets of a topic used up so far, in all partitions."""
    return sum((await ends_of(bootstrap_servers, topic)).values())


def emissions(output: Records) -> History:
    """Return the ids of the events emitted for each product, in order; None for a tombstone."""
    found: History = defaultdict(list)
    for records in output.values():
        for record in records:
            event_id = None if record.value is None else json.loads(record.value)["last_event_id"]
            found[json.loads(record.key)["product_id"]].append(event_id)
    return found


def judge(source: Records) -> Oracle:
    """Let the oracle see everything that stands on the source topic."""
    oracle = Oracle()
    for records in source.values():
        oracle.feed((record.key, record.value) for record in records)
    return oracle
