"""What a run of chaos comes to."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any, Final

from dedup.demo.compare import Expectation, Record
from dedup.demo.example import LATEST, Choice, History, differences
from tests.chaos.plan import Guarantee, Plan
from tests.support.results import write_result
from tests.support.states import different_states, expected_states, states_on_disk
from tests.support.topics import emissions, lag, read_topic
from tests.support.workers import Names, WorkerProcess

LOG_LINES: Final = 400
"""What a worker may log for each trouble, a start among them."""

_LEVEL: Final = re.compile(r"\S+ \S+ (WARNING|ERROR|CRITICAL) ")


@dataclass
class Report:
    """What was done, and what became of the emissions."""

    seed: int
    workers: int
    brokers: int
    guarantee: Guarantee
    entity: str
    choice: Choice = LATEST
    events: int = 0
    expected: int = 0
    missing: int = 0
    extra: int = 0
    wrong_final: int = 0
    uncommitted: int = 0
    wrong_states: int = 0
    """States on the disks, of products only, that a run without trouble would not have left."""

    dead_letters: int = 0
    longest_stall_s: float = 0.0
    caught_up_after_s: float | None = None
    """From the last event of the feed until everything was committed; None: it was not."""

    log_lines: dict[str, int] = field(default_factory=dict)
    """What the workers logged of each level."""

    done: dict[str, int] = field(default_factory=dict)
    """What was done to workers and broker, and how often."""

    exit_codes: list[int] = field(default_factory=list)
    """Of the workers, when they were asked to shut down at the end."""

    faults: list[str] = field(default_factory=list)

    @property
    def exact(self) -> bool:
        """Whether every row had exactly the expected sequence, and everything is committed."""
        counts = (self.missing, self.extra, self.wrong_final, self.uncommitted, self.wrong_states)
        return not any(counts)

    def __str__(self) -> str:
        what = ", ".join(f"{number} {name}" for name, number in sorted(self.done.items()))
        return (
            f"seed {self.seed}: {self.entity}, {self.choice}, {self.guarantee}: {self.brokers} "
            f"brokers, {self.workers} workers, {self.events} events, "
            f"{self.expected} emissions expected, "
            f"{self.missing} missing, {self.extra} extra, {self.wrong_final} wrong final, "
            f"{self.uncommitted} uncommitted, {self.wrong_states} wrong states, "
            f"longest stall {self.longest_stall_s:.1f} s, caught up after "
            f"{self.caught_up_after_s} s, logged {self.log_lines} ({what})"
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


async def conclude_states(
    servers: str, names: Names, workers: Sequence[WorkerProcess], report: Report
) -> None:
    """Compare what the workers, which stopped, know of products with the model."""
    expected = expected_states(await read_topic(servers, names.source), report.choice)
    found = states_on_disk([w.data_dir for w in workers], report.choice)
    different = different_states(expected, found)
    report.wrong_states = len(different)
    report.faults += different[:5]


def conclude_logs(workers: Sequence[WorkerProcess], report: Report) -> None:
    """Count what the workers logged, and note what no fault outside the worker explains."""
    lines = [line for worker in workers for line in worker.log().splitlines()]
    levels = Counter(found[1] for line in lines if (found := _LEVEL.match(line)))
    report.log_lines = {level: levels[level] for level in ("WARNING", "ERROR", "CRITICAL")}
    report.log_lines["other"] = len(lines) - sum(report.log_lines.values())
    report.faults += [line for line in lines if " CRITICAL " in line][:5]
    limit = LOG_LINES * (1 + sum(report.done.values())) * len(workers)
    if len(lines) > limit:
        report.faults.append(f"the workers logged {len(lines)} lines, more than {limit}")


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


def _sums(reports: Sequence[Report]) -> dict[str, Any]:
    sums: dict[str, Any] = {
        name: sum(getattr(report, name) for report in reports)
        for name in (
            *("events", "expected", "missing", "extra", "wrong_final", "uncommitted"),
            "wrong_states",
        )
    }
    kinds = sorted({kind for report in reports for kind in report.done})
    sums["done"] = {kind: sum(each.done.get(kind, 0) for each in reports) for kind in kinds}
    return sums


def write_reports(path: Path, module: str, reports: Sequence[Report]) -> None:
    """Write the reports of some runs, and their sums, as a result file."""
    by_choice: dict[tuple[str, str], list[Report]] = defaultdict(list)
    for report in reports:
        by_choice[report.choice.strategy, report.choice.window_kind].append(report)
    found = {
        "kind": "chaos",
        "seeds": [report.seed for report in reports],
        "sums": _sums(reports),
        "by_strategy": [
            {"strategy": strategy, "window_kind": kind, "runs": len(each)} | _sums(each)
            for (strategy, kind), each in sorted(by_choice.items())
        ],
        "runs": [asdict(report) for report in reports],
    }
    what = "workers under a feed, while they and the brokers are killed, suspended and restarted"
    write_result(path, what, module, "brokers, feed and workers of this run", found)
