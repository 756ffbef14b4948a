"""Is the worker flat? A steady feed with churn, and every few seconds what the worker takes.

`python -m benchmarks.soak` starts an embedded broker and one worker process. Products are created
and deleted all the time: their number grows for ever while about `--live` exist at once. Deleted
products must stay known for the topic's `delete.retention.ms`, here `--marker-seconds`.

Latency is what a consumer sees: from the event's own time, taken when the feed hands the event to
its producer, to the moment a `read_committed` consumer of `src_products` has the row (which names
that time). Feed, consumer and worker share one clock and the machine's cores.

The output is compared with the oracle at the end; exit 1 when anything is wrong or grows. Written
to benchmarks/results: CSV, JSON and a plot.
"""

import argparse
import asyncio
import os
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import psutil
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from benchmarks.churn import Churn
from benchmarks.reader import event_time_us, follow
from benchmarks.reading import chunks
from benchmarks.soak_report import Sample, percentiles, write_report
from dedup.demo.example import History, differences
from dedup.localkafka import OPTIMISED, LocalKafka
from producer.oracle import Oracle
from tests.support.topics import emissions, partition_of, wait_until_done
from tests.support.workers import Names, WorkerProcess

PARTITIONS: Final = 4
BATCH_BYTES: Final = 900 * 1024
STEP_S: Final = 0.01
STEP_EVENTS: Final = 1_000
"""What a feed that fell behind may send at once: it fits one record batch."""


class Soak:
    """One run: the feed, the consumer of the output, and the samples."""

    def __init__(
        self, servers: str, names: Names, worker: WorkerProcess, arguments: argparse.Namespace
    ) -> None:
        self.servers = servers
        self.names = names
        self.worker = worker
        self.churn = Churn(arguments.seed, arguments.live)
        self.samples: list[Sample] = []
        self.produced = self.emitted = 0
        self.latencies_us: list[int] = []
        self._rate: int = arguments.rate
        self._every_s: float = arguments.sample_seconds

    async def feed(self, until: float) -> None:
        """Produce at the rate until a time of the monotonic clock."""
        begun = time.monotonic()
        async with AIOKafkaProducer(
            bootstrap_servers=self.servers,
            enable_idempotence=True,
            max_batch_size=BATCH_BYTES,
        ) as producer:
            while (now := time.monotonic()) < until:
                batches: dict[int, Any] = {}
                due = int((now - begun) * self._rate) - self.produced
                for _ in range(min(due, STEP_EVENTS)):
                    product_id, value = self.churn.event()
                    key = b"%d" % product_id
                    partition = partition_of(key)
                    if partition not in batches:
                        batches[partition] = producer.create_batch()
                    batches[partition].append(timestamp=None, key=key, value=value)
                    self.produced += 1
                for partition, batch in batches.items():
                    await producer.send_batch(batch, self.names.source, partition=partition)
                await asyncio.sleep(STEP_S)

    async def consume(self) -> None:
        """Take the latency of every record of the output, until cancelled."""
        await follow(self.servers, self.names.states, PARTITIONS, self._take)

    def _take(self, records: list[Any]) -> None:
        now_us = time.time_ns() // 1000
        self.emitted += len(records)
        self.latencies_us += [
            now_us - event_time_us(record.value) for record in records if record.value is not None
        ]

    async def watch(self) -> None:
        """Take a sample every few seconds, until cancelled."""
        process = psutil.Process(self.worker.process.pid)
        begun, cpu_before, taken = time.monotonic(), _cpu_s(process), 0
        async with AIOKafkaConsumer(
            bootstrap_servers=self.servers, group_id=self.names.group, enable_auto_commit=False
        ) as consumer:
            while True:
                await asyncio.sleep(self._every_s - (time.monotonic() - begun) % self._every_s)
                p50, p99 = percentiles(self.latencies_us[taken:], 0.50, 0.99)
                taken = len(self.latencies_us)
                cpu = _cpu_s(process)
                self.samples.append(
                    Sample(
                        seconds=round(time.monotonic() - begun, 1),
                        produced=self.produced,
                        emitted=self.emitted,
                        products_created=self.churn.created,
                        rss_mib=round(process.memory_info().rss / 2**20, 1),
                        open_files=process.num_fds(),
                        threads=process.num_threads(),
                        cpu_percent=round(100 * (cpu - cpu_before) / self._every_s, 1),
                        state_mib=round(_bytes_in(self.worker.data_dir) / 2**20, 2),
                        lag=await self._lag(consumer),
                        latency_p50_ms=p50,
                        latency_p99_ms=p99,
                        load=round(os.getloadavg()[0], 2),
                    )
                )
                cpu_before = cpu

    async def _lag(self, consumer: AIOKafkaConsumer) -> int:
        """Events the group has not committed; it commits once a second."""
        tps = [TopicPartition(self.names.source, p) for p in range(PARTITIONS)]
        ends = await consumer.end_offsets(tps)
        return int(sum([ends[tp] - (await consumer.committed(tp) or 0) for tp in tps]))


async def faults(servers: str, names: Names) -> list[str]:
    """Hold an output against the oracle, a partition at a time; gives what differs."""
    found = []
    for partition in range(PARTITIONS):
        oracle = Oracle()
        async for chunk in chunks(servers, names.source, partition):
            oracle.feed((record.key, record.value) for record in chunk)
        emitted: History = defaultdict(list)
        async for chunk in chunks(servers, names.states, partition):
            for product_id, ids in emissions({partition: chunk}).items():
                emitted[product_id] += ids
        found += differences(oracle.emitted, emitted)
        if unread := oracle.outcomes["dead_letter"]:
            found.append(f"partition {partition}: the feed wrote {unread} dead letters")
    return found


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _bytes_in(directory: Path) -> int:
    """What the files take; RocksDB may delete one while we look."""
    total = 0
    for path in directory.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:
            continue
    return total


async def _make_states_topic(servers: str, names: Names, marker_seconds: int) -> None:
    config = {"cleanup.policy": "compact", "delete.retention.ms": str(marker_seconds * 1000)}
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(names.states, PARTITIONS, 1, topic_configs=config)])
    finally:
        await admin.close()


async def _work(soak: Soak, seconds: float) -> None:
    """Feed, consume and watch; then wait until everything is done."""
    watching = [asyncio.ensure_future(task) for task in (soak.consume(), soak.watch())]
    feeding = asyncio.ensure_future(soak.feed(time.monotonic() + seconds))
    await asyncio.wait([*watching, feeding], return_when=asyncio.FIRST_COMPLETED)
    for task in watching:
        task.cancel()
    results = await asyncio.gather(*watching, return_exceptions=True)
    for error in results:
        if isinstance(error, Exception):
            feeding.cancel()
            raise error
    await feeding
    await wait_until_done(soak.servers, soak.names)


async def run(arguments: argparse.Namespace) -> tuple[Soak, list[str]]:
    """Soak a worker; gives the samples and what was wrong with the output."""
    directory = Path(tempfile.mkdtemp(prefix="soak-"))
    try:
        with LocalKafka(properties={"log.retention.bytes": "-1"}, jvm_options=OPTIMISED) as kafka:
            servers, names = kafka.bootstrap_servers, Names.fresh()
            await _make_states_topic(servers, names, arguments.marker_seconds)
            with WorkerProcess(servers, directory / "state", names.settings) as worker:
                worker.wait_until_ready()
                soak = Soak(servers, names, worker, arguments)
                await _work(soak, arguments.seconds)
                wrong = []
                if (code := worker.terminate()) != 0:
                    wrong.append(f"the worker ended with {code}: {worker.log()[-2000:]}")
            return soak, wrong + await faults(servers, names)
    finally:
        shutil.rmtree(directory)


def main(argv: Sequence[str] | None = None) -> None:
    """Soak, write the results, and say what grew."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=1800)
    parser.add_argument("--rate", type=int, default=5_000, help="events a second")
    parser.add_argument("--live", type=int, default=20_000, help="products that exist at once")
    parser.add_argument("--marker-seconds", type=int, default=60, help="delete.retention.ms")
    parser.add_argument("--sample-seconds", type=float, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--name", help="of the result files; soak-<date> unless told")
    arguments = parser.parse_args(argv)
    soak, wrong = asyncio.run(run(arguments))
    sys.exit(bool(write_report(soak.samples, soak.latencies_us, wrong, vars(arguments))))


if __name__ == "__main__":
    main()
