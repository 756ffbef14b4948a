"""Two workers of one group are replaced, one by one, by those of another release and back.

Three rounds under a feed: from the earlier release to today's, back, and forward again. Each worker
keeps its data directory. In each round one is ended by SIGTERM and one by SIGKILL, and some stay
away for so long that the other, of whichever release, takes over.
"""

import asyncio
import json
import re
import signal
import time
import urllib.request
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple

from dedup.localkafka import LocalKafka
from dedup.localkafka.ports import free_port
from dedup.localkafka.process import spawn
from dedup.streaming.wiring import SESSION_TIMEOUT_S
from tests.chaos.harness import Chaos
from tests.chaos.plan import Plan
from tests.chaos.report import Report, conclude, last_words
from tests.support.states import States, different_states, expected_states, states_on_disk
from tests.support.topics import read_topic, wait_until_done
from tests.support.workers import Names, WorkerProcess
from tests.upgrade.releases import Release

WORKERS: Final = 2
AWAY_S: Final = SESSION_TIMEOUT_S + 3
"""After this the other worker has everything, whichever way this one ended."""

PAGES_WITHIN_S: Final = 30.0

_LOUD: Final = re.compile(r" (WARNING|ERROR|CRITICAL) (.*)")
_VARIES: Final = re.compile(r"[0-9a-f]*\d[0-9a-f.:]*|/\S+")


class ReleasedWorker(WorkerProcess):
    """A worker of today's code, or of an earlier release if it has the tree of one."""

    def __init__(
        self,
        bootstrap_servers: str,
        data_dir: Path,
        settings: Mapping[str, str],
        tree: Path | None = None,
    ) -> None:
        super().__init__(bootstrap_servers, data_dir, settings)
        self.tree = tree
        self._logged = len(self.log())

    def start(self, *arguments: str) -> None:
        """Start it, an earlier release in its own directory: Faust imports from there first."""
        if self.tree is None:
            super().start(*arguments)
            return
        python = str(self.tree / ".venv" / "bin" / "python")
        command = ["/bin/sh", "-c", 'cd "$0" && exec "$@"', str(self.tree), python]
        worker = arguments or ("-m", "faust", "-A", "dedup", "worker")
        self._process = spawn([*command, *worker], self.log_path, self._environ)

    def new_log(self) -> str:
        """Return what was logged since the last call, or since it was made."""
        log = self.log()
        new, self._logged = log[self._logged :], len(log)
        return new


@dataclass
class UpgradeReport(Report):
    """What was replaced, and what became of the emissions."""

    base: str = ""
    rows_by_headers: dict[str, int] = field(default_factory=dict)
    """Records of `src_products` by the headers they have: who wrote them."""

    log: dict[str, dict[str, int]] = field(default_factory=dict)
    """By release: lines from WARNING on, with numbers and paths left out, and how often."""


class Step(NamedTuple):
    """One worker is replaced."""

    worker: int
    to_today: bool
    ended_by: signal.Signals
    away_s: float

    def __str__(self) -> str:
        return f"to {'today' if self.to_today else 'base'} after {self.ended_by.name}"


def steps_by(seed: int) -> list[Step]:
    """Return three rounds, forward, back and forward: each worker once in each."""
    random, steps = Random(seed), list[Step]()
    for to_today in (True, False, True):
        for worker, ended_by in zip(
            random.sample(range(WORKERS), WORKERS),
            random.sample([signal.SIGTERM, signal.SIGKILL], WORKERS),
            strict=True,
        ):
            steps.append(Step(worker, to_today, ended_by, random.choice([0.0, AWAY_S])))
    return steps


class Upgrade(Chaos):
    """One run: two workers, a feed, and the steps."""

    report: UpgradeReport

    def __init__(
        self, seed: int, kafka: LocalKafka, directory: Path, plan: Plan, base: Release
    ) -> None:
        super().__init__(seed, kafka, directory, plan)
        entity = plan.example.entity.name
        self.report = UpgradeReport(
            seed, WORKERS, plan.brokers, plan.guarantee, entity, base=base.name
        )
        self.tree = base.installed()
        self.steps = steps_by(seed)
        self.not_yet = [str(step) for step in self.steps]
        # Not DEDUP_STRATEGY: the earlier releases do not know it.
        settings = {"DEDUP_GUARANTEE": plan.guarantee, **self.names.settings}
        self.pair = [
            ReleasedWorker(kafka.bootstrap_servers, directory / f"worker-{i}", settings, self.tree)
            for i in range(WORKERS)
        ]
        self.workers = [*self.pair]

    async def trouble(self, _while_feeding: asyncio.Future[None]) -> None:
        """Replace one worker after the other; between two of them both serve for a while."""
        pause_s = self.plan.seconds / (len(self.steps) + 1)
        for step in self.steps:
            await asyncio.sleep(pause_s)
            await self._replace(self.pair[step.worker], step)
            self.report.done[str(step)] = self.report.done.get(str(step), 0) + 1
        await asyncio.sleep(pause_s)
        self.not_yet = []

    async def _replace(self, worker: ReleasedWorker, step: Step) -> None:
        for each in self.pair:
            if not each.alive:
                self.report.faults.append(f"a worker ended by itself: {last_words(each)}")
        if step.ended_by == signal.SIGKILL:
            worker.kill()
        elif (code := await self.shut_down(worker)) != 0:
            self.report.faults.append(f"SIGTERM gave {code}: {last_words(worker)}")
        self.note_log(worker)
        await asyncio.sleep(step.away_s)
        worker.tree = None if step.to_today else self.tree
        worker.start()
        await asyncio.to_thread(worker.wait_until_recovered)
        today = [each for each in self.pair if each.tree is None]
        if len(today) == 1:
            await self._look_at_pages(today[0])

    async def _look_at_pages(self, worker: ReleasedWorker) -> None:
        """Note it as a fault if today's pages lack the worker of the other release."""
        deadline, group = time.monotonic() + PAGES_WITHIN_S, None
        while time.monotonic() < deadline:
            with suppress(OSError):
                group = (await asyncio.to_thread(_overview, worker.port))["group"]
                if group["answered"] == WORKERS and not group["unanswered"]:
                    return
            await asyncio.sleep(0.5)
        self.report.faults.append(f"not all of the group is on the pages: {group}")

    def note_log(self, worker: ReleasedWorker) -> None:
        """Count what it has logged from WARNING on."""
        counts = self.report.log.setdefault("today" if worker.tree is None else "base", {})
        for line in worker.new_log().splitlines():
            if loud := _LOUD.search(line):
                text = f"{loud[1]} {_VARIES.sub('#', loud[2])}"[:160]
                counts[text] = counts.get(text, 0) + 1


def _overview(port: int) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/overview", timeout=5) as page:
        return json.load(page)


async def run(seed: int, plan: Plan, base: Release, directory: Path) -> UpgradeReport:
    """Run all steps and report; data and logs of the workers are left in the directory."""
    with LocalKafka(port=free_port()) as kafka:
        upgrade = Upgrade(seed, kafka, directory, plan, base)
        report, servers, names = upgrade.report, kafka.bootstrap_servers, upgrade.names
        try:
            for worker in upgrade.pair:
                worker.start()
                await asyncio.to_thread(worker.wait_until_ready)
            await upgrade.strike()
            try:
                await wait_until_done(servers, names)
            except AssertionError as error:
                report.faults += [str(error), *map(last_words, upgrade.pair)]
            await conclude(servers, names, plan, report)
            await upgrade.end()
            for worker in upgrade.pair:
                upgrade.note_log(worker)
            await _conclude_states(servers, names, upgrade)
            report.rows_by_headers = await _rows_by_headers(servers, names)
            return report
        finally:
            for worker in upgrade.pair:
                worker.kill()


async def _conclude_states(servers: str, names: Names, upgrade: Upgrade) -> None:
    """Compare what is on the disks with the model; without counts, which the release restarts."""
    expected = expected_states(await read_topic(servers, names.source))
    found = states_on_disk([worker.data_dir for worker in upgrade.pair])
    different = different_states(_without_counts(expected), _without_counts(found))
    upgrade.report.wrong_states = len(different)
    upgrade.report.faults += different[:5]


def _without_counts(states: States) -> States:
    return {
        partition: {i: known._replace(duplicates=0) for i, known in each.items()}
        for partition, each in states.items()
    }


async def _rows_by_headers(servers: str, names: Names) -> dict[str, int]:
    records = (await read_topic(servers, names.states)).values()
    return dict(
        Counter(
            ", ".join(sorted(name for name, _ in record.headers))
            for each in records
            for record in each
        )
    )
