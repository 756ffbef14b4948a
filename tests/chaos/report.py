"""What a run of chaos comes to."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from dedup.demo.compare import Expectation, Record
from dedup.demo.example import History, differences
from tests.chaos.plan import Plan
from tests.support.results import write_result
from tests.support.topics import emissions, lag, read_topic
from tests.support.workers import Names, WorkerProcess


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
    dead_letters: int = 0
    longest_stall_s: float = 0.0
    done: dict[str, int] = field(default_factory=dict)
    """What was done to workers and broker, and how often."""

    exit_codes: list[int] = field(default_factory=list)
    """Of the workers, when they were asked to shut down at the end."""

    faults: list[str] = field(default_factory=list)

    @property
    def exact(self) -> bool:
        """Whether every row had exactly the expected sequence, and everything is committed."""
        return not (self.missing or self.extra or self.wrong_final or self.uncommitted)

    def __str__(self) -> str:
        what = ", ".join(f"{number} {name}" for name, number in sorted(self.done.items()))
        return (
            f"seed {self.seed}: {self.workers} workers, {self.events} events, "
            f"{self.expected} emissions expected, "
            f"{self.missing} missing, {self.extra} extra, {self.wrong_final} wrong final, "
            f"{self.uncommitted} uncommitted, longest stall {self.longest_stall_s:.1f} s ({what})"
        )


def last_words(worker: WorkerProcess) -> str:
    """Return how it ended, what it said of the reason, and its last lines."""
    lines = worker.log().splitlines()
    reasons = [n for n, line in enumerate(lines) if " CRITICAL " in line or "Traceback" in line]
    begin = reasons[-1] if reasons else len(lines)
    code = worker.process.poll()
    return "\n".join([f"exit code {code}", *lines[begin : begin + 40], "...", *lines[-25:]])


async def conclude(servers: str, names: Names, plan: Plan, report: Report) -> None:
    """Compare the topics with the oracle."""
    report.uncommitted = await lag(servers, names)
    expectation = Expectation(plan.example)
    for records in (await read_topic(servers, names.source)).values():
        for record in records:
            expectation.add((record.key, record.value))
    expected = expectation.oracle.emitted
    emitted = emissions(await read_topic(servers, names.states), plan.example)
    report.expected = sum(map(len, expected.values()))
    _compare(expected, emitted, report)
    report.faults += differences(expected, emitted, plan.example.entity.name)[:5]
    found: Counter[Record] = Counter()
    for records in (await read_topic(servers, names.dead_letters)).values():
        found.update((record.key, record.value) for record in records)
    _compare_dead_letters(expectation.dead_letters, found, plan, report)


def _compare_dead_letters(
    expected: Counter[Record], found: Counter[Record], plan: Plan, report: Report
) -> None:
    """Note what is missing, what is of no event, and what is there twice where it can't be."""
    report.dead_letters = expected.total()
    missing, extra = (expected - found).total(), (found - expected).total()
    if plan.guarantee == "at_least_once":  # only transactions rule duplicates out
        extra = len(found.keys() - expected.keys())
    if missing or extra:
        report.faults.append(f"dead letters: {missing} missing, {extra} unexpected")


def _compare(expected: History, emitted: History, report: Report) -> None:
    for row_id in expected.keys() | emitted.keys():
        want, have = expected.get(row_id, []), emitted.get(row_id, [])
        if want == have:
            continue
        common = sum(b.size for b in SequenceMatcher(None, want, have, False).get_matching_blocks())
        report.missing += len(want) - common
        report.extra += len(have) - common
        report.wrong_final += want[-1:] != have[-1:]


def write_reports(path: Path, module: str, guarantee: str, reports: Sequence[Report]) -> None:
    """Write the reports of some runs, and their sums, as a result file."""
    sums: dict[str, Any] = {
        name: sum(getattr(report, name) for report in reports)
        for name in ("events", "expected", "missing", "extra", "wrong_final", "uncommitted")
    }
    kinds = sorted({kind for report in reports for kind in report.done})
    sums["done"] = {kind: sum(each.done.get(kind, 0) for each in reports) for kind in kinds}
    found = {
        "guarantee": guarantee,
        "seeds": [report.seed for report in reports],
        "sums": sums,
        "runs": [asdict(report) for report in reports],
    }
    what = "workers under a feed, while they and the broker are killed, suspended and restarted"
    write_result(path, what, module, "broker, feed and workers of this run", found)
