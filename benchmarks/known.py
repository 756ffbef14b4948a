"""How fast is a worker that knows every product? One pass that fills, then passes over the known.

The first pass creates each product. Then the worker is stopped, events of the usual mix over these
products are put on the topic, and a worker is started on the same directory: that pass is measured,
by the clock of docs/performance.md, and is repeated for each round. Memory is the peak of the first
pass and of the measured one. Everything is held against the oracle: of the first pass each row
against its event, a partition at a time, so that five million products fit.
"""

import shutil
import tempfile
import time
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Self

import msgspec
from aiokafka import AIOKafkaConsumer

from benchmarks.clock import Figures, RunFailedError, Samples
from benchmarks.contender import Contender, Judgement, Run
from benchmarks.measuring import (
    FIRST_RECORD_WITHIN_S,
    OutputTopic,
    Processes,
    progress,
    wait_until_complete,
)
from benchmarks.reading import chunks, ends_of, records
from benchmarks.workload import (
    PARTITIONS,
    Place,
    PopulatingGenerator,
    Workload,
    append,
    delete_topics,
    make_topics,
    read_emissions,
)
from dedup.localkafka import LocalKafka
from producer.events import GeneratedEvent, Mix
from producer.oracle import Oracle
from tests.support.topics import Records

OUTPUT_CONFIG = {
    "cleanup.policy": "compact",
    "min.compaction.lag.ms": str(24 * 3600 * 1000),  # the judge reads every row
    "message.timestamp.type": "LogAppendTime",
}


class KnownProducts:
    """A worker's topics and directory, and the passes over them."""

    def __init__(self, kafka: LocalKafka, contender: Contender, mix: Mix, seed: int) -> None:
        name = f"bench-{uuid.uuid4().hex[:8]}"
        self._kafka = kafka
        self._contender = contender
        self._mix = mix
        self._seed = seed
        self._prefix = name
        self._oracle = Oracle()
        self._filled_rss = 0
        self.run = Run(
            servers=kafka.bootstrap_servers,
            source=f"{name}-source",
            output=f"{name}-output",
            dead_letters=f"{name}-dead-letters",
            group=f"{name}-group",
            directory=Path(tempfile.mkdtemp(prefix=f"{name}-")),
            warm_up_output=None,
        )

    @classmethod
    @asynccontextmanager
    async def opened(
        cls, kafka: LocalKafka, contender: Contender, mix: Mix, seed: int
    ) -> AsyncIterator[Self]:
        """Remove topics and directory afterwards."""
        known = cls(kafka, contender, mix, seed)
        try:
            yield known
        finally:
            await delete_topics(kafka.bootstrap_servers, known._prefix)
            shutil.rmtree(known.run.directory, ignore_errors=True)

    async def produce(self, events: int, passes: int) -> list[list[GeneratedEvent]]:
        """Put an event for each product on the topic; gives the events of the passes after it."""
        run, products = self.run, self._mix.products
        await make_topics(run.servers, [run.source], PARTITIONS, {"cleanup.policy": "delete"})
        await make_topics(run.servers, [run.output], PARTITIONS, OUTPUT_CONFIG)
        generator = PopulatingGenerator(self._seed, lambda: datetime.now(UTC), self._mix)
        await append(run.servers, run.source, islice(generator, products))
        return [list(islice(generator, events)) for _ in range(passes)]

    async def fill(self, touched: set[bytes]) -> dict[str, Any]:
        """Let the worker create every product; gives what that took. Raises RunFailedError.

        The oracle remembers the products with a `touched` key.
        """
        begun = time.monotonic()
        samples = await self._work(self._mix.products)
        seconds = time.monotonic() - begun
        self._filled_rss = samples.peak_rss
        for partition in range(PARTITIONS):
            await self._check_fill(partition, touched)
        return {"seconds": round(seconds, 1), "peak_rss_mib": round(samples.peak_rss / 2**20)}

    async def _check_fill(self, partition: int, touched: set[bytes]) -> None:
        """Compare the rows of a partition with its events, one by one."""
        servers, run, compared = self.run.servers, self.run, 0
        rows = records(servers, run.output, partition)
        async for record in records(servers, run.source, partition):
            if record.key in touched:
                self._oracle.feed([(record.key, record.value)])
            event = msgspec.json.decode(record.value)
            row = await anext(rows, None)
            (found,) = read_emissions({partition: [] if row is None else [row]}) or (None,)
            product = event["product"]
            wanted = (product["product_id"], event["event_id"], Workload.content(product))
            if found is None or found[:3] != wanted:
                raise RunFailedError(f"the output is wrong: {found} is there, not {wanted}")
            compared += 1
        if await anext(rows, None) is not None:
            raise RunFailedError(f"partition {partition} has more than {compared} rows")

    async def measured_pass(self, events: Sequence[GeneratedEvent]) -> Figures:
        """Measure a pass over known products. Raises RunFailedError, also for a wrong output."""
        run, servers = self.run, self.run.servers
        source_from = await ends_of(servers, run.source, PARTITIONS)
        output_from = await ends_of(servers, run.output, PARTITIONS)
        await append(servers, run.source, events)
        workload = self._judged_by_oracle(await _all_from(servers, run.source, source_from))
        begun_ms = time.time() * 1000
        samples = await self._work(workload.expected_records, sum(output_from.values()))
        samples.peak_rss = max(samples.peak_rss, self._filled_rss)
        emissions = read_emissions(await _all_from(servers, run.output, output_from))
        if wrong := workload.faults(emissions, Judgement.SEQUENCE):
            raise RunFailedError(f"the output is wrong: {len(wrong)} faults, such as {wrong[0]}")
        return progress(emissions, workload).figures(samples, begun_ms, len(emissions))

    def _judged_by_oracle(self, source: Records) -> Workload:
        """Return the events of a pass as a workload: what the oracle emits of them, and places."""
        self._oracle.emitted = defaultdict(list)
        places = {}
        for partition, of_partition in source.items():
            self._oracle.feed((record.key, record.value) for record in of_partition)
            for index, record in enumerate(of_partition):
                event_id = msgspec.json.decode(record.value)["event_id"]
                places[event_id] = Place(partition, index)
        expected = dict(self._oracle.emitted)
        return Workload(self.run.source, self._mix, self._seed, 0, source, expected, places)

    async def _work(self, expected: int, output_before: int = 0) -> Samples:
        run = self.run
        async with AIOKafkaConsumer(bootstrap_servers=run.servers) as consumer:
            processes = Processes(self._contender, run, self._kafka.pid)
            try:
                output = OutputTopic(consumer, run.output, PARTITIONS, output_before)
                await wait_until_complete(output, processes, expected, FIRST_RECORD_WITHIN_S)
            finally:
                await processes.ended()
            return processes.samples


async def _all_from(servers: str, topic: str, starts: dict[int, int]) -> Records:
    found: Records = {}
    for partition, start in starts.items():
        found[partition] = []
        async for chunk in chunks(servers, topic, partition, start):
            found[partition] += chunk
    return found
