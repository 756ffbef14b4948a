"""Runs the demo: broker, events, worker and oracle; leaves no process and no file."""

import asyncio
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Final

from aiokafka.errors import KafkaError
from rich.console import Console

from dedup.demo.compare import Expectation, WorkerOutput, read_output
from dedup.demo.example import Example
from dedup.demo.follow import keep_producing, print_addresses
from dedup.demo.phases import Phases
from dedup.demo.report import Findings, report
from dedup.demo.topics import read_topic, wait_until_committed
from dedup.demo.worker import Counts, DemoError, DemoWorker
from dedup.kafka.topics import ensure_topics
from dedup.localkafka import LocalKafka
from dedup.localkafka.jars import cache_dir, kafka_version
from dedup.settings import Settings
from dedup.settings import load_settings as load_worker_settings
from producer.kafka import Event, produce
from producer.settings import ProducerSettings
from producer.settings import load_settings as load_producer_settings

_EVENTS_APART: Final = timedelta(milliseconds=1)
_POLL_S: Final = 0.02
_MEASURABLE: Final = 1_000
"""With fewer events, their rate would depend on the start of the worker, not on the work."""

_STALLED_AFTER_S: Final = 60.0
_COMMITTED_WITHIN_S: Final = 30.0
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Plan:
    """The options of a demo."""

    events: int
    rows: int
    seed: int
    follow: bool


class _Rate:
    """Events per second, from the first poll with events to the last one with new events.

    The events of the first poll are not counted: their start is unknown.
    """

    def __init__(self) -> None:
        self._first: tuple[float, int] | None = None
        self._last = (0.0, 0)

    def add(self, now: float, events: int) -> None:
        """Add a poll."""
        if events > self._last[1]:
            self._last = (now, events)
            self._first = self._first or self._last

    @property
    def per_second(self) -> float | None:
        """The rate; None if there were too few events to measure."""
        if self._first is None or self._last[1] - self._first[1] < _MEASURABLE:
            return None
        return (self._last[1] - self._first[1]) / (self._last[0] - self._first[0])


class Demo:
    """One run of the demo. Whatever happens, `run` leaves no process and no file."""

    def __init__(self, plan: Plan, example: Example) -> None:
        self._plan = plan
        self._example = example
        self._out = Console()
        self._phases = Phases(Console(stderr=True))
        self._expected = Expectation(example)
        self._events = example.generate(plan.seed, plan.rows, self._event_time)
        span = plan.events * _EVENTS_APART
        self._time = (datetime.now(UTC) - span).replace(microsecond=0)
        self._live = False

    def run(self) -> bool:
        """Run all phases; return whether the oracle agreed.

        Raises ExplainedError, and KeyboardInterrupt for SIGINT, SIGTERM and SIGHUP.
        """
        with (
            _signals_interrupt(),
            tempfile.TemporaryDirectory(
                prefix="dedup-demo-", ignore_cleanup_errors=True
            ) as directory,
        ):
            self._broker = LocalKafka(data_dir=Path(directory) / "kafka")
            self._worker: DemoWorker | None = None
            try:
                return self._run_phases(Path(directory))
            except (KafkaError, TimeoutError) as error:
                raise DemoError(f"Kafka failed: {error!r}") from error
            finally:
                self._kill()

    def _event_time(self) -> datetime:
        """Return the time of the next event: equal steps up to now, then the current time.

        The steps start at a whole second: the choices of the generator depend on the seconds of
        the times, so only then the same seed gives the same counts.
        """
        if self._live:
            return datetime.now(UTC)
        self._time += _EVENTS_APART
        return self._time

    def _run_phases(self, directory: Path) -> bool:
        worker, settings, kafka = self._set_up(directory)
        agreed = True
        if self._plan.events:
            self._produce(kafka)
            self._start(worker)
            agreed = report(self._out, self._deduplicate(worker, settings))
        else:
            self._start(worker)
        if agreed and self._plan.follow:
            self._follow(worker, settings, kafka)
        return agreed

    def _set_up(self, directory: Path) -> tuple[DemoWorker, Settings, ProducerSettings]:
        """Start the broker and create the topics; the worker is not started yet."""
        name = f"Kafka {kafka_version()}"
        fetched = cache_dir().exists()
        with self._phases.phase("Setting up", 2) as phase:
            phase.show(0, name if fetched else f"downloading {name} (43 MB)")
            self._broker.start()
            phase.show(1, "topics")
            servers = self._broker.bootstrap_servers
            chosen = {"DEDUP_ENTITY": self._example.entity_name, **self._example.settings}
            self._worker = DemoWorker(servers, directory, chosen)
            settings = load_worker_settings(self._worker.settings)
            asyncio.run(ensure_topics(settings))
            phase.show(2, f"{name} at {servers}")
        topic = settings.KAFKA_PRODUCT_TOPIC
        kafka = load_producer_settings(
            {"KAFKA_BOOTSTRAP_SERVERS": servers, "KAFKA_PRODUCT_TOPIC": topic}
        )
        return self._worker, settings, kafka

    def _produce(self, kafka: ProducerSettings) -> None:
        """Send the events; each is added to the oracle too."""

        def observed() -> Iterator[Event]:
            for event in islice(self._events, self._plan.events):
                self._expected.add((event.key, event.value))
                yield event

        with self._phases.phase("Producing", self._plan.events) as phase:
            asyncio.run(
                produce(observed(), kafka, lambda sent: phase.show(sent, f"{sent:,} events"))
            )

    def _start(self, worker: DemoWorker) -> None:
        """Start the worker; return when its web server answers."""
        with self._phases.phase("Starting worker", 1) as phase:
            phase.show(0, "faust -A dedup worker")
            worker.start()
            for _ in self._polls(worker):
                phase.show(1, f"{worker.url}/")
                return

    def _deduplicate(self, worker: DemoWorker, settings: Settings) -> Findings:
        """Wait until the worker has done all events, and read its output."""
        with self._phases.phase("Deduplicating", self._plan.events) as phase:
            phase.show(0, "joining the group")
            rate = _Rate()
            for counts in self._polls(worker):
                rate.add(time.perf_counter(), counts.events)
                if counts.events:
                    phase.show(counts.events, f"{counts.events:,} events")
                if counts.events >= self._plan.events:
                    break
        with self._phases.phase("Checking", 3) as phase:
            phase.show(0, "waiting for lag 0")
            try:
                asyncio.run(wait_until_committed(settings, _COMMITTED_WITHIN_S))
            except TimeoutError:
                raise worker.stalled(_COMMITTED_WITHIN_S) from None
            counts = worker.counts() or counts
            if not self._plan.follow:
                phase.show(1, "stopping the worker")
                worker.stop()
            topic = settings.KAFKA_SRC_PRODUCTS_TOPIC
            phase.show(2, f"reading {topic}")
            output = asyncio.run(_read(self._example, settings))
            phase.show(3, f"lag 0, {topic} read back")
        return Findings(
            self._plan.events,
            self._expected,
            output,
            counts,
            rate.per_second,
            topic,
            self._phases.seconds,
        )

    def _polls(self, worker: DemoWorker) -> Iterator[Counts]:
        """Return the counts of the worker repeatedly; raise if it makes no progress."""
        give_up, newest = time.monotonic() + _STALLED_AFTER_S, -1
        while True:
            self._check()
            counts = worker.counts()
            if counts is not None:
                if counts.events > newest:
                    give_up, newest = time.monotonic() + _STALLED_AFTER_S, counts.events
                yield counts
            if time.monotonic() > give_up:
                raise worker.stalled(_STALLED_AFTER_S)
            time.sleep(_POLL_S)

    def _follow(self, worker: DemoWorker, settings: Settings, kafka: ProducerSettings) -> None:
        self._live = True
        print_addresses(self._out, settings, worker)
        try:
            asyncio.run(keep_producing(kafka, self._example, self._events, self._out, self._check))
        except KeyboardInterrupt:
            self._out.print("Stopping")
            worker.stop()

    def _check(self) -> None:
        """Raise DemoError if broker or worker exited."""
        if not self._broker.running:
            raise DemoError(
                f"Kafka exited unexpectedly. From its log:\n{self._broker.log_excerpt()}"
            )
        if self._worker is not None:
            self._worker.check()

    def _kill(self) -> None:
        """Kill all processes. No data has to be kept, so there is no graceful shutdown."""
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not leave a process
        if self._worker is not None:
            self._worker.kill()
        self._broker.kill()
        self._broker.stop()


async def _read(example: Example, settings: Settings) -> WorkerOutput:
    states = await read_topic(
        settings, settings.KAFKA_SRC_PRODUCTS_TOPIC, "KAFKA_SRC_PRODUCTS_TOPIC"
    )
    dead_letters = await read_topic(settings, settings.KAFKA_DLQ_TOPIC, "KAFKA_DLQ_TOPIC")
    return read_output(example, states, dead_letters)


@contextmanager
def _signals_interrupt() -> Iterator[None]:
    """Let SIGTERM and SIGHUP interrupt the block like Ctrl-C."""
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        if before[number] is not signal.SIG_IGN:  # nohup
            # asyncio.run() cancels its task for SIGINT only.
            signal.signal(number, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
