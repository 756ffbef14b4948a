"""What a run of chaos comes to."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from dedup.demo.oracle import History
from tests.support.results import write_result
from tests.support.workers import WorkerProcess


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
    """What was done to workers and broker, and how often."""

    exit_codes: list[int] = field(default_factory=list)
    """Of the workers, when they were asked to shut down at the end."""

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


def last_words(worker: WorkerProcess) -> str:
    """Return how it ended, what it said of the reason, and its last lines."""
    lines = worker.log().splitlines()
    reasons = [n for n, line in enumerate(lines) if " CRITICAL " in line or "Traceback" in line]
    begin = reasons[-1] if reasons else len(lines)
    code = worker.process.poll()
    return "\n".join([f"exit code {code}", *lines[begin : begin + 40], "...", *lines[-25:]])


def compare(expected: History, emitted: History, report: Report) -> None:
    for product_id in expected.keys() | emitted.keys():
        want, have = expected.get(product_id, []), emitted.get(product_id, [])
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
