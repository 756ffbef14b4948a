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
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final

import psutil
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from dedup.localkafka import LocalKafka
from dedup.localkafka.ports import free_port
from dedup.streaming.wiring import SESSION_TIMEOUT_S
from tests.chaos.plan import ROWS, Plan
from tests.chaos.report import Report, conclude, last_words, write_reports
from tests.support.topics import ends_of, partition_of, wait_until_done
from tests.support.workers import Names, WorkerProcess

STEP_S = 0.02
SHUT_DOWN_WITHIN_S = 40


class Chaos:
    """One run: workers, a feed, and a source of trouble."""

    def __init__(
        self,
        seed: int,
        kafka: LocalKafka,
        directory: Path,
        plan: Plan,
    ) -> None:
        self.random = random.Random(seed)
        workers = plan.workers or random.Random(seed).randint(1, 3)
        self.report = Report(seed, workers)
        self.plan = plan
        self.kafka = kafka
        self.names = Names.fresh()
        self.actions = plan.actions or tuple(ACTIONS)
        self.not_yet = self.random.sample(self.actions, len(self.actions))
        """Kinds of trouble that were not made so far."""

        self.over = False
        settings = {
            "DEDUP_ENTITY": plan.example.entity_name,
            "DEDUP_GUARANTEE": plan.guarantee,
            **self.names.settings,
        }
        self.workers = [
            WorkerProcess(kafka.bootstrap_servers, directory / f"worker-{i}", settings)
            for i in range(workers)
        ]

    async def feed(self, until: float, rate: int) -> None:
        """Produce `rate` events a second until a time of the monotonic clock.

        Longer, if not every kind of trouble was made by then.
        """
        clock = partial(datetime.now, UTC)
        generator = self.plan.example.generate(self.report.seed, ROWS, clock)
        begun = time.monotonic()
        async with AIOKafkaProducer(
            bootstrap_servers=self.kafka.bootstrap_servers,
            enable_idempotence=True,
            linger_ms=5,
            max_batch_size=256 * 1024,
        ) as producer:
            while time.monotonic() < until or self.not_yet:
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
        """Do something to a worker every few seconds: first each kind once, then what comes."""
        while not while_feeding.done():
            await asyncio.sleep(self.random.uniform(2, 7))
            worker = self.random.choice(self.workers)
            name = self.not_yet[0] if self.not_yet else self.random.choice(self.actions)
            if not worker.alive:
                self.report.faults.append(f"a worker ended by itself: {last_words(worker)}")
                worker.start()
            await ACTIONS[name](self, worker)
            self.report.done[name] = self.report.done.get(name, 0) + 1
            self.not_yet = self.not_yet[1:]

    def _expect(self, holds: object, what: str) -> None:
        """Note it as a fault when the trouble that was made did not strike."""
        if not holds:
            self.report.faults.append(f"there was to be {what}, and is not")

    async def _suspend(self, worker: WorkerProcess) -> None:
        """Make a zombie: longer than its session, so that another takes over meanwhile."""
        worker.send(signal.SIGSTOP)
        await asyncio.sleep(SESSION_TIMEOUT_S + self.random.uniform(2, 6))
        self._expect(
            psutil.Process(worker.process.pid).status() == psutil.STATUS_STOPPED, "a zombie"
        )
        worker.send(signal.SIGCONT)

    async def _remove(self, worker: WorkerProcess) -> None:
        worker.kill()
        await asyncio.sleep(self.random.uniform(3, 8))
        self._expect(not worker.alive, "a removed worker")
        worker.start()

    async def _kill_broker(self, _worker: WorkerProcess) -> None:
        await asyncio.to_thread(self.kafka.kill)
        self._expect(not self.kafka.running, "a killed broker")
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
        code = await self._shut_down(worker)
        if code not in (None, 0, -signal.SIGTERM):  # it may come before the handler is there
            self.report.faults.append(f"SIGTERM gave {code}: {last_words(worker)}")
        worker.start()

    async def _shut_down(self, worker: WorkerProcess) -> int | None:
        """Send SIGTERM; return the exit code, or None for a worker that did not stop."""
        worker.send(signal.SIGTERM)
        try:
            return await asyncio.to_thread(worker.wait, SHUT_DOWN_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.report.faults.append(f"a worker did not stop: {last_words(worker)}")
            worker.kill()
            return None

    async def end(self) -> None:
        """Shut the workers down, each with exit code 0 unless it can't."""
        for worker in self.workers:
            if not worker.alive:
                self.report.faults.append(f"a worker ended by itself: {last_words(worker)}")
                continue
            await asyncio.to_thread(worker.wait_until_answering, SHUT_DOWN_WITHIN_S)
            code = await self._shut_down(worker)
            if code is not None:
                self.report.exit_codes.append(code)


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


async def run(seed: int, plan: Plan) -> Report:
    """Run chaos for some seconds and report."""
    # Not Kafka's usual port: another broker could take it while this one is down.
    with tempfile.TemporaryDirectory() as directory, LocalKafka(port=free_port()) as kafka:
        chaos = Chaos(seed, kafka, Path(directory), plan)
        try:
            chaos.workers[0].start()
            await asyncio.to_thread(chaos.workers[0].wait_until_ready)
            for worker in chaos.workers[1:]:
                worker.start()
            feeding = asyncio.ensure_future(chaos.feed(time.monotonic() + plan.seconds, plan.rate))
            watching = asyncio.ensure_future(chaos.watch())
            await chaos.trouble(feeding)
            await feeding
            chaos.over = True
            await watching
            try:
                await wait_until_done(kafka.bootstrap_servers, chaos.names)
            except AssertionError as error:
                chaos.report.faults += [str(error), *map(last_words, chaos.workers)]
            await conclude(kafka.bootstrap_servers, chaos.names, plan, chaos.report)
            await chaos.end()
            return chaos.report
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
    parser.add_argument("--result", type=Path, metavar="FILE", help="write the reports there")
    arguments = parser.parse_args()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # brokers are away on purpose
    failed = False
    reports: list[Report] = []
    for seed in range(arguments.seed, arguments.seed + arguments.runs):
        plan = Plan(
            seconds=arguments.seconds,
            rate=arguments.rate,
            workers=arguments.workers,
            actions=tuple(arguments.actions),
            guarantee=arguments.guarantee,
        )
        report = asyncio.run(run(seed, plan))
        print(report, *report.faults, sep="\n", flush=True)  # noqa: T201 - this is the output
        failed |= not report.exact or bool(report.faults)
        reports.append(report)
        if arguments.result is not None:  # after each run: a later one may be interrupted
            write_reports(arguments.result, "tests.chaos.harness", arguments.guarantee, reports)
    sys.exit(failed)


if __name__ == "__main__":
    main()
