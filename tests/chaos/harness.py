"""Chaos: real workers on real brokers under a steady feed, while things are done to them.

`run` gives a report; `python -m tests.chaos --seed 7` prints it. The same seed does the same things
in the same order; when each of them strikes depends on the machine.
"""

import asyncio
import random
import signal
import subprocess
import tempfile
import time
from collections.abc import Collection, Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, KafkaTimeoutError

from dedup.localkafka import LocalKafka
from dedup.localkafka.ports import free_port, is_free
from tests.chaos.actions import ON_A_BROKER, ON_WORKERS, Action
from tests.chaos.cluster import ON_A_CLUSTER
from tests.chaos.network import FAULTS, Fault, Network
from tests.chaos.plan import ROWS, Plan
from tests.chaos.report import Report, conclude, conclude_logs, conclude_states, last_words
from tests.support.topics import ends_of, partition_of, wait_until_done
from tests.support.workers import Names, WorkerProcess


def _on_the_network(fault: Fault) -> Action:
    async def act(chaos: "Chaos", worker: WorkerProcess) -> None:
        assert chaos.network is not None
        await fault(chaos.network, chaos.workers.index(worker), chaos.random)

    return act


ON_THE_NETWORK: Final = {name: _on_the_network(fault) for name, fault in FAULTS.items()}
ACTIONS: Final = {**ON_WORKERS, **ON_A_BROKER, **ON_A_CLUSTER, **ON_THE_NETWORK}

STEP_S = 0.02
SHUT_DOWN_WITHIN_S = 40
BROKERS_BACK_WITHIN_S = 120


class Chaos:
    """One run: workers, a feed, and a source of trouble."""

    def __init__(
        self,
        seed: int,
        kafka: LocalKafka,
        directory: Path,
        plan: Plan,
        network: Network | None = None,
    ) -> None:
        self.random = random.Random(seed)
        workers = plan.workers or random.Random(seed).randint(1, 3)
        self.report = Report(
            seed, workers, plan.brokers, plan.guarantee, plan.example.entity.name, plan.choice
        )
        self.plan = plan
        self.kafka = kafka
        self.network = network
        self.names = Names.fresh()
        self.actions = plan.actions
        self.not_yet = self.random.sample(self.actions, len(self.actions))
        """Kinds of trouble that were not made so far."""

        self.over = False
        settings = {
            "DEDUP_ENTITY": plan.example.entity_name,
            "DEDUP_GUARANTEE": plan.guarantee,
            "DEDUP_REPLICATION_FACTOR": str(plan.brokers),
            **plan.choice.settings,
            **self.names.settings,
        }
        self.workers = [
            WorkerProcess(
                network.bootstrap_servers(i) if network else kafka.bootstrap_servers,
                directory / f"worker-{i}",
                settings,
            )
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
                    await self._send(producer, event.key, event.value)
                await asyncio.sleep(STEP_S)

    async def _send(
        self, producer: AIOKafkaProducer, key: bytes | None, value: bytes | None
    ) -> None:
        """Put an event into the producer's buffer, which is full while the brokers take nothing."""
        until = time.monotonic() + BROKERS_BACK_WITHIN_S
        while True:
            try:
                await producer.send(
                    self.names.source, key=key, value=value, partition=partition_of(key or b"")
                )
            except KafkaTimeoutError:
                if time.monotonic() > until:
                    raise
            else:
                return

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

    async def strike(self) -> None:
        """Feed, and make trouble meanwhile."""
        feeding = asyncio.ensure_future(
            self.feed(time.monotonic() + self.plan.seconds, self.plan.rate)
        )
        watching = asyncio.ensure_future(self.watch())
        await self.trouble(feeding)
        await feeding
        self.over = True
        await watching

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

    def expect(self, holds: object, what: str) -> None:
        """Note it as a fault when the trouble that was made did not strike."""
        if not holds:
            self.report.faults.append(f"there was to be {what}, and is not")

    async def shut_down(self, worker: WorkerProcess) -> int | None:
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
            code = await self.shut_down(worker)
            if code is not None:
                self.report.exit_codes.append(code)


async def run(seed: int, plan: Plan) -> Report:
    """Run chaos for some seconds and report."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        # Not Kafka's usual ports: another broker could take them while these are down.
        port = _free_ports(plan.brokers)
        network = None
        if plan.network:
            network = stack.enter_context(Network(plan.workers or 1, plan.brokers))
        listeners = {} if network is None else network.listeners
        kafka = stack.enter_context(
            LocalKafka(brokers=plan.brokers, port=port, listeners=listeners)
        )
        if network is not None:
            network.connect(kafka)
        chaos = Chaos(seed, kafka, directory, plan, network)
        for worker in chaos.workers:
            stack.callback(worker.kill)
        chaos.workers[0].start()
        await asyncio.to_thread(chaos.workers[0].wait_until_ready)
        for worker in chaos.workers[1:]:
            worker.start()
        await chaos.strike()
        await _settle(chaos)
        await conclude(kafka.bootstrap_servers, chaos.names, plan, chaos.report)
        await chaos.end()
        if plan.other is None:
            await conclude_states(kafka.bootstrap_servers, chaos.names, chaos.workers, chaos.report)
        conclude_logs(chaos.workers, chaos.report)
        return chaos.report


def _free_ports(number: int) -> int:
    """Return the first of some ports that are free."""
    while True:
        first = free_port()
        if all(is_free(first + n) for n in range(number)):
            return first


async def _wait_until_owned(
    partitions: Collection[int], workers: Sequence[WorkerProcess], timeout_s: float = 120
) -> None:
    """Wait until the workers own the partitions and have recovered them.

    What was wiped last is not on a disk before. Until the group notices that a worker was killed,
    the partitions of that worker belong to no process that lives.
    """
    deadline = time.monotonic() + timeout_s
    while missing := set(partitions).difference(
        *[await asyncio.to_thread(worker.partitions) for worker in workers]
    ):
        assert time.monotonic() < deadline, f"no worker owns the partitions {sorted(missing)}"
        await asyncio.sleep(0.2)


async def _settle(chaos: Chaos) -> None:
    """Wait until everything is committed, and the workers have recovered it all."""
    begun = time.monotonic()
    try:
        await wait_until_done(chaos.kafka.bootstrap_servers, chaos.names)
        chaos.report.caught_up_after_s = round(time.monotonic() - begun, 1)
        ends = await ends_of(chaos.kafka.bootstrap_servers, chaos.names.source)
        await _wait_until_owned(ends, chaos.workers)
    except AssertionError as error:
        chaos.report.faults += [str(error), *map(last_words, chaos.workers)]
