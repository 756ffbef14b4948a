"""One run of one contender: start it, watch it, judge its output, and take its figures.

**The clock** is the broker's and the same for all. The output topic stamps every record when it is
appended (LogAppendTime), and a row names the event it comes from, so the output alone tells how far
into the input a contender was at any moment. The window of a run begins when a tenth of the events
is done and ends when nine tenths are: at both ends the contender is in full work, with about as
much begun and not yet written, so neither start-up, nor a large first batch, nor the last partition
to finish counts for or against anyone. Where products are created first (a populated workload), the
tenths are those of the events after that.

**CPU** is that of all processes of the contender, children included, within the same window.
**Memory** is the largest sum of resident sets seen from its start to its end.
"""

import asyncio
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import psutil
from aiokafka import AIOKafkaConsumer, TopicPartition

from benchmarks.clock import Figures, Progress, RunFailedError, Samples
from benchmarks.contender import Contender, Judgement, Run
from benchmarks.workload import (
    Emission,
    Workload,
    delete_topics,
    make_topics,
    read_emissions,
)
from dedup.localkafka.process import spawn
from tests.support.topics import read_topic

SAMPLE_S: Final = 0.1
ASK_S: Final = 0.5
"""How often the broker is asked how much there is: it has better things to do."""

CHILDREN_S: Final = 1.0
"""How often children are looked for: that reads all of /proc."""

FIRST_RECORD_WITHIN_S: Final = 180.0
WARM_UP_EVENTS_PER_S: Final = 500
"""Who warms up has more time until the first record: what this rate needs."""

QUIET_S: Final = 2.0
"""An output with as many records as expected that does not grow for so long is complete."""

STALLED_S: Final = 15.0
"""An output with fewer that does not grow for so long never will be."""

_END_WITHIN_S: Final = 20.0
_LOG_LINES: Final = 15
_LOG_CAUSES: Final = 3


class Processes:
    """The processes of one run and all their children."""

    def __init__(self, contender: Contender, run: Run, broker_pid: int) -> None:
        commands = contender.commands(run)
        self._logs = [run.directory / f"{number}.log" for number in range(len(commands))]
        self._started = [
            spawn(command.arguments, log, command.environ)
            for command, log in zip(commands, self._logs, strict=True)
        ]
        self._broker = psutil.Process(broker_pid)
        self._cpu_s: dict[int, float] = {}
        self._all: list[psutil.Process] = []
        self._looked_at = 0.0
        self.samples = Samples()

    def sample(self) -> None:
        """Note CPU and memory now. Raises RunFailedError when a process has ended."""
        if time.monotonic() - self._looked_at > CHILDREN_S:
            self._look()
        rss = 0
        for process in self._all:
            try:
                times = process.cpu_times()
                rss += process.memory_info().rss
            except psutil.NoSuchProcess:  # what it used stays counted
                continue
            self._cpu_s[process.pid] = times.user + times.system
        broker = self._broker.cpu_times()
        self.samples.times_ms.append(time.time() * 1000)
        self.samples.contender_s.append(sum(self._cpu_s.values()))
        self.samples.broker_s.append(broker.user + broker.system)
        self.samples.peak_rss = max(self.samples.peak_rss, rss)
        for started, log in zip(self._started, self._logs, strict=True):
            if (code := started.poll()) is not None:
                raise RunFailedError(f"a process ended with {code}: {_end_of(log)}")

    def _look(self) -> None:
        self._looked_at = time.monotonic()
        self._all = []
        for started in self._started:
            try:
                process = psutil.Process(started.pid)
                self._all += [process, *process.children(recursive=True)]
            except psutil.NoSuchProcess:
                continue

    def end(self) -> None:
        """End them all, in order where they can, and wait for it."""
        self._look()
        for started in self._started:
            started.send_signal(signal.SIGTERM)
        for started in self._started:
            try:
                started.wait(_END_WITHIN_S)
            except subprocess.TimeoutExpired:
                started.kill()
                started.wait()
        for process in self._all:
            if process.is_running():
                process.kill()

    async def ended(self) -> None:
        """End them without keeping others waiting."""
        await asyncio.to_thread(self.end)

    def log(self) -> str:
        """Return the ends of their logs."""
        return "\n".join(map(_end_of, self._logs))


def _end_of(log: Path) -> str:
    """Return the last lines of a log, and before them the causes that a stack trace buries."""
    lines = log.read_text(errors="replace").splitlines()
    causes = [line for line in lines[:-_LOG_LINES] if "Caused by" in line or "ERROR" in line]
    return "\n".join(causes[-_LOG_CAUSES:] + lines[-_LOG_LINES:])


class OutputTopic:
    """The output topic of a run while it is written."""

    def __init__(
        self, consumer: AIOKafkaConsumer, topic: str, partitions: int, before: int = 0
    ) -> None:
        self._consumer = consumer
        self._partitions = [TopicPartition(topic, p) for p in range(partitions)]
        self._before = before

    async def size(self) -> int:
        """Offsets used up in this run so far; transaction markers use some too."""
        ends: dict[TopicPartition, int] = await self._consumer.end_offsets(self._partitions)
        return sum(ends.values()) - self._before


async def wait_until_complete(
    output: OutputTopic, processes: Processes, expected: int, start_within_s: float
) -> None:
    """Sample until the output is complete, or has stopped growing."""
    begun = grown_at = asked_at = time.monotonic()
    before = 0
    while True:
        processes.sample()
        await asyncio.sleep(SAMPLE_S)
        now = time.monotonic()
        if now - asked_at < ASK_S:
            continue
        size, asked_at = await output.size(), now
        if size > before:
            before, grown_at = size, now
        quiet = now - grown_at
        if size >= expected and quiet > QUIET_S:
            return
        if size and quiet > STALLED_S:
            return  # the judge says what is missing
        if not size and now - begun > start_within_s:
            raise RunFailedError(f"no output in {start_within_s:.0f} s: {processes.log()}")


async def measure(
    contender: Contender, servers: str, broker_pid: int, workload: Workload
) -> Figures:
    """Run a contender once on fresh topics. Raises RunFailedError, also for a wrong output."""
    name = f"bench-{uuid.uuid4().hex[:8]}"
    directory = Path(tempfile.mkdtemp(prefix=f"{name}-"))
    run = Run(
        servers=servers,
        source=workload.topic,
        output=f"{name}-output",
        dead_letters=f"{name}-dead-letters",
        group=f"{name}-group",
        directory=directory,
        warm_up_output=f"{name}-warm-up" if contender.warms_up else None,
    )
    try:
        config = {"cleanup.policy": "compact", "message.timestamp.type": "LogAppendTime"}
        topics = [run.output] + ([run.warm_up_output] if run.warm_up_output else [])
        await make_topics(servers, topics, workload.partitions, config)
        begun_ms = time.time() * 1000
        samples = await _work(contender, run, broker_pid, workload)
        emissions = await _judged(contender, run, workload)
        return progress(emissions, workload).figures(samples, begun_ms, len(emissions))
    finally:
        await delete_topics(servers, name)
        shutil.rmtree(directory, ignore_errors=True)


async def _work(contender: Contender, run: Run, broker_pid: int, workload: Workload) -> Samples:
    async with AIOKafkaConsumer(bootstrap_servers=run.servers) as consumer:
        processes = Processes(contender, run, broker_pid)
        try:
            output = OutputTopic(consumer, run.output, workload.partitions)
            start_within_s = FIRST_RECORD_WITHIN_S
            if contender.warms_up:
                start_within_s += workload.events / WARM_UP_EVENTS_PER_S
            expected = workload.expected_records
            if contender.judgement is Judgement.EVERY_EVENT:
                expected = workload.events
            await wait_until_complete(output, processes, expected, start_within_s)
        finally:
            await processes.ended()
        return processes.samples


async def _judged(contender: Contender, run: Run, workload: Workload) -> list[Emission]:
    try:
        emissions = read_emissions(await read_topic(run.servers, run.output, workload.partitions))
    except (ValueError, KeyError) as error:
        raise RunFailedError(f"the output is wrong: {error}") from error
    if wrong := workload.faults(emissions, contender.judgement):
        raise RunFailedError(f"the output is wrong: {len(wrong)} faults, such as {wrong[0]}")
    return emissions


def progress(emissions: Sequence[Emission], workload: Workload) -> Progress:
    """Return how many events were done at each stamp of the output.

    An event is done when it, or a later one of its partition, has been emitted.
    """
    done_in: dict[int, int] = {}
    done_at: dict[int, int] = {}
    placed = sorted(
        (emission.stamp_ms, workload.places[emission.event_id])
        for emission in emissions
        if emission.event_id is not None
    )
    for stamp, place in placed:
        done_in[place.partition] = max(done_in.get(place.partition, 0), place.offset + 1)
        done_at[stamp] = sum(done_in.values())
    return Progress(list(done_at), list(done_at.values()), workload.events, workload.populated)
