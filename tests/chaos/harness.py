"""Chaos: real workers on a real broker under a steady feed, while things are done to them.

`run` gives a report; `python -m tests.chaos.harness --seed 7` prints it. The same seed does the
same things in the same order; when each of them strikes depends on the machine.
"""

import argparse
import asyncio
import logging
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from difflib import SequenceMatcher
from itertools import islice
from pathlib import Path
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from dedup.demo.oracle import History, differences
from dedup.localkafka import LocalKafka
from dedup.localkafka.ports import free_port
from dedup.streaming.wiring import SESSION_TIMEOUT_S
from producer.events import EventGenerator, Mix
from tests.support.topics import (
    emissions,
    ends_of,
    judge,
    lag,
    partition_of,
    read_topic,
    wait_until_done,
)
from tests.support.workers import Names, WorkerProcess

MIX = Mix(products=2_000, late=0.02, deletes=0.02, partial=0.03, invalid=0.005)
STEP_S = 0.02


@dataclass
class Report:
    """What was done, and what became of the emissions."""

    seed: int
    workers: int
    events: int = 0
    expected: int = 0
    missing: int = 0
    extra: int = 0
    wrong_final: int = 0
    uncommitted: int = 0
    longest_stall_s: float = 0.0
    done: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    @property
    def exact(self) -> bool:
        """Whether every product had exactly the expected sequence, and everything is committed."""
        return not (self.missing or self.extra or self.wrong_final or self.uncommitted)

    def __str__(self) -> str:
        what = ", ".join(f"{number} {name}" for name, number in sorted(self.done.items()))
        return (
            f"seed {self.seed}: {self.workers} workers, {self.events} events, "
            f"{self.expected} emissions expected, "
            f"{self.missing} missing, {self.extra} extra, {self.wrong_final} wrong final, "
            f"{self.uncommitted} uncommitted, longest stall {self.longest_stall_s:.1f} s ({what})"
        )


class Chaos:
    """One run: workers, a feed, and a source of trouble."""

    def __init__(
        self,
        seed: int,
        kafka: LocalKafka,
        directory: Path,
        workers: int,
        actions: Sequence[str],
        guarantee: str,
    ) -> None:
        self.random = random.Random(seed)
        self.report = Report(seed, workers)
        self.kafka = kafka
        self.names = Names.fresh()
        self.actions = actions
        self.over = False
        settings = {**self.names.settings, "DEDUP_GUARANTEE": guarantee}
        self.workers = [
            WorkerProcess(kafka.bootstrap_servers, directory / f"worker-{i}", settings)
            for i in range(workers)
        ]

    async def feed(self, until: float, rate: int) -> None:
        """Produce `rate` events a second until a time of the monotonic clock."""
        generator = EventGenerator(self.report.seed, lambda: datetime.now(UTC), MIX)
        begun = time.monotonic()
        async with AIOKafkaProducer(
            bootstrap_servers=self.kafka.bootstrap_servers,
            enable_idempotence=True,
            linger_ms=5,
            max_batch_size=256 * 1024,
        ) as producer:
            while time.monotonic() < until:
                due = int((time.monotonic() - begun) * rate) - self.report.events
                for event in islice(generator, due):
                    self.report.events += 1
                    partition = partition_of(event.key or b"")
                    await producer.send(
                        self.names.source, key=event.key, value=event.value, partition=partition
                    )
                await asyncio.sleep(STEP_S)

    async def watch(self) -> None:
        """Note the longest time in which a partition got nothing."""
        seen: dict[int, int] = {}
        since: dict[int, float] = {}
        while not self.over:
            ends = seen
            with suppress(KafkaError):
                ends = await ends_of(self.kafka.bootstrap_servers, self.names.states)
            now = time.monotonic()
            for partition, end in ends.items():
                stall = now - since.setdefault(partition, now)
                self.report.longest_stall_s = max(self.report.longest_stall_s, stall)
                if end != seen.get(partition):
                    since[partition] = now
            seen = ends
            await asyncio.sleep(0.25)

    async def trouble(self, while_feeding: asyncio.Future[None]) -> None:
        """Do something to a worker every few seconds."""
        while not while_feeding.done():
            await asyncio.sleep(self.random.uniform(2, 7))
            worker = self.random.choice(self.workers)
            name = self.random.choice(self.actions)
            self.report.done[name] = self.report.done.get(name, 0) + 1
            if not worker.alive:
                self.report.faults.append(f"a worker ended by itself: {_last_words(worker)}")
                worker.start()
            await ACTIONS[name](self, worker)

    async def _suspend(self, worker: WorkerProcess) -> None:
        """Make a zombie: longer than its session, so that another takes over meanwhile."""
        worker.send(signal.SIGSTOP)
        await asyncio.sleep(SESSION_TIMEOUT_S + self.random.uniform(2, 6))
        worker.send(signal.SIGCONT)

    async def _remove(self, worker: WorkerProcess) -> None:
        worker.kill()
        await asyncio.sleep(self.random.uniform(3, 8))
        worker.start()

    async def _kill_broker(self, _worker: WorkerProcess) -> None:
        await asyncio.to_thread(self.kafka.kill)
        await asyncio.sleep(self.random.uniform(0, 5))
        await asyncio.to_thread(self.kafka.restart)

    async def _pause_broker(self, _worker: WorkerProcess) -> None:
        self.kafka.pause()
        await asyncio.sleep(self.random.uniform(1, 8))
        self.kafka.resume()

    async def _kill(self, worker: WorkerProcess) -> None:
        worker.kill()
        worker.start()

    async def _kill_and_wipe(self, worker: WorkerProcess) -> None:
        worker.kill()
        shutil.rmtree(worker.data_dir, ignore_errors=True)
        worker.start()

    async def _terminate(self, worker: WorkerProcess) -> None:
        worker.send(signal.SIGTERM)
        try:
            code = await asyncio.to_thread(worker.wait, 40)
        except subprocess.TimeoutExpired:
            self.report.faults.append(f"a worker did not stop: {_last_words(worker)}")
            worker.kill()
        else:
            if code not in (0, -signal.SIGTERM):  # it may come before the handler is there
                self.report.faults.append(f"SIGTERM gave {code}: {_last_words(worker)}")
        worker.start()

    async def conclude(self) -> Report:
        """Compare the topic with the oracle."""
        servers, report = self.kafka.bootstrap_servers, self.report
        report.uncommitted = await lag(servers, self.names)
        oracle = judge(await read_topic(servers, self.names.source))
        emitted = emissions(await read_topic(servers, self.names.states))
        report.expected = sum(map(len, oracle.emitted.values()))
        _compare(oracle.emitted, emitted, report)
        report.faults += differences(oracle.emitted, emitted)[:5]
        return report


def _last_words(worker: WorkerProcess) -> str:
    """Return how it ended, what it said of the reason, and its last lines."""
    lines = worker.log().splitlines()
    reasons = [n for n, line in enumerate(lines) if " CRITICAL " in line or "Traceback" in line]
    begin = reasons[-1] if reasons else len(lines)
    code = worker.process.poll()
    return "\n".join([f"exit code {code}", *lines[begin : begin + 40], "...", *lines[-25:]])


def _compare(expected: History, emitted: History, report: Report) -> None:
    for product_id in expected.keys() | emitted.keys():
        want, have = expected.get(product_id, []), emitted.get(product_id, [])
        if want == have:
            continue
        common = sum(b.size for b in SequenceMatcher(None, want, have, False).get_matching_blocks())
        report.missing += len(want) - common
        report.extra += len(have) - common
        report.wrong_final += want[-1:] != have[-1:]


Action = Callable[[Chaos, WorkerProcess], Awaitable[None]]
ACTIONS: Final[dict[str, Action]] = {
    "kill": Chaos._kill,
    "kill_and_wipe": Chaos._kill_and_wipe,
    "terminate": Chaos._terminate,
    "suspend": Chaos._suspend,
    "remove": Chaos._remove,
    "kill_broker": Chaos._kill_broker,
    "pause_broker": Chaos._pause_broker,
}


async def run(
    seed: int,
    *,
    seconds: float,
    rate: int = 3_000,
    workers: int | None = None,
    actions: Sequence[str] = tuple(ACTIONS),
    guarantee: str = "exactly_once",
) -> Report:
    """Run chaos for some seconds and report; without `workers` the seed chooses 1 to 3."""
    workers = workers or random.Random(seed).randint(1, 3)
    # Not Kafka's usual port: another broker could take it while this one is down.
    with tempfile.TemporaryDirectory() as directory, LocalKafka(port=free_port()) as kafka:
        chaos = Chaos(seed, kafka, Path(directory), workers, actions, guarantee)
        try:
            chaos.workers[0].start()
            await asyncio.to_thread(chaos.workers[0].wait_until_ready)
            for worker in chaos.workers[1:]:
                worker.start()
            feeding = asyncio.ensure_future(chaos.feed(time.monotonic() + seconds, rate))
            watching = asyncio.ensure_future(chaos.watch())
            await chaos.trouble(feeding)
            await feeding
            chaos.over = True
            await watching
            try:
                await wait_until_done(kafka.bootstrap_servers, chaos.names)
            except AssertionError as error:
                chaos.report.faults += [str(error), *map(_last_words, chaos.workers)]
            return await chaos.conclude()
        finally:
            for worker in chaos.workers:
                worker.kill()


def main() -> None:
    """Run chaos from the command line; exit 1 unless everything was exact."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rate", type=int, default=3_000)
    parser.add_argument("--workers", type=int, help="1 to 3 by the seed, if not given")
    parser.add_argument("--actions", nargs="+", choices=list(ACTIONS), default=list(ACTIONS))
    parser.add_argument("--guarantee", default="exactly_once")
    arguments = parser.parse_args()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # brokers are away on purpose
    failed = False
    for seed in range(arguments.seed, arguments.seed + arguments.runs):
        report = asyncio.run(
            run(
                seed,
                seconds=arguments.seconds,
                rate=arguments.rate,
                workers=arguments.workers,
                actions=arguments.actions,
                guarantee=arguments.guarantee,
            )
        )
        print(report, *report.faults, sep="\n", flush=True)  # noqa: T201 - this is the output
        failed |= not report.exact or bool(report.faults)
    sys.exit(failed)


if __name__ == "__main__":
    main()
