import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dedup.core.batch_result import Output
from dedup.kafka.topics import TopicFacts
from dedup.settings import load_settings
from dedup.state.table import StateTable
from dedup.streaming.application import DedupApp
from dedup.streaming.batch_transport import BatchConsumer
from dedup.streaming.wiring import build_app
from tests.agent.transport import ChosenChunks, Rig, rig_of
from tests.support.records import batch, record
from tests.support.topic_facts import topic_facts


@dataclass
class RecordingPublisher:
    """Keeps what is published; fails when it is told to."""

    outputs: list[Output] = field(default_factory=list)
    tried: list[Output] = field(default_factory=list)
    """Also those that failed, or are not acknowledged yet."""

    error: Exception | None = None
    acknowledged: asyncio.Event | None = None
    appended: int = 0
    owned: list[int] = field(default_factory=list)

    async def acquire(self, partitions: Collection[int]) -> None:
        self.owned = sorted(partitions)

    async def publish(self, output: Output) -> int | None:
        self.tried.append(output)
        if self.error is not None:
            raise self.error
        if self.acknowledged is not None:
            await self.acknowledged.wait()
        self.outputs.append(output)
        self.appended += len(output.states)
        return self.appended if output.states else None


@dataclass
class Clock:
    """A clock that stands until it is moved."""

    now: datetime = datetime(2026, 1, 2, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def move(self, **by: float) -> None:
        self.now += timedelta(**by)


@dataclass
class Bench:
    """A fresh app whose agent is fed by hand."""

    app: DedupApp
    publisher: RecordingPublisher
    clock: Clock
    environ: dict[str, str]

    @property
    def table(self) -> StateTable:
        return self.app.table

    async def feed(
        self, *values: bytes | None, key: bytes | None = b"1", offset: int = 0
    ) -> Output:
        """Apply one batch; gives what was published for it."""
        work = batch(*(record(offset + i, value, key) for i, value in enumerate(values)))
        await self.app.deduplicator.apply(work)
        assert work.done
        return self.publisher.outputs[-1]

    def metric(self, name: str, **labels: str) -> float:
        """The value of a metric."""
        value = self.app.metrics.registry.get_sample_value(name, labels)
        assert value is not None
        return value

    def outcomes(self) -> dict[str, int]:
        """The outcomes counted so far, without those that did not occur."""
        found = {}
        for metric in self.app.metrics.registry.collect():
            for sample in metric.samples:
                if sample.name == "dedup_events_total" and sample.value:
                    found[sample.labels["outcome"]] = int(sample.value)
        return found


@asynccontextmanager
async def new_bench(environ: dict[str, str], facts: TopicFacts) -> AsyncIterator[Bench]:
    """A fresh app for topics of which these are the facts."""
    publisher, clock = RecordingPublisher(), Clock()
    app = build_app(load_settings(environ), publisher=publisher, now=clock)
    app.assemble(facts)
    made = Bench(app, publisher, clock, environ)
    yield made
    await made.table.data.on_stop()
    if app._consumer is not None:
        thread = app._consumer._thread  # type: ignore[attr-defined]
        thread.thread_loop.close()


@pytest.fixture
async def bench(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    """A fresh app; settings can be given by indirect parametrisation."""
    environ = {"DEDUP_DATA_DIR": str(tmp_path / "data"), **getattr(request, "param", {})}
    async with new_bench(environ, topic_facts()) as made:
        yield made


@pytest.fixture
async def rig(bench: Bench) -> Rig:
    """A consumer whose fetching thread gives chosen chunks."""
    bench.app.finalize()
    consumer = bench.app.consumer
    assert isinstance(consumer, BatchConsumer)
    return await rig_of(consumer, ChosenChunks())
