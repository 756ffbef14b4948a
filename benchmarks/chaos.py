"""The table of the chaos runs in docs/guarantees.md, made of their result files."""

from typing import Final

from benchmarks.bar import newest_first
from benchmarks.tables import NONE_YET, Result, Results

_COUNTS: Final = {
    "missing": "missing",
    "extra": "extra",
    "wrong final state": "wrong_final",
    "not committed": "uncommitted",
    "wrong states": "wrong_states",
}
"""What must be 0, by its title."""


def chaos(results: Results, directory: str) -> str:
    """Return a row for each file, and what was done in all runs of it."""
    files = list(newest_first(results, "chaos"))
    if not files:
        return NONE_YET
    titles = ["brokers", "runs", "events", "emissions", *_COUNTS, "longest stall", "file"]
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    lines += [_row(name, result, directory) for name, result in files]
    done = [f"{result['runs'][0]['brokers']} broker(s): {_done(result)}." for _, result in files]
    return "\n".join([*lines, "", "What was done, and how often:", "", *(f"* {d}" for d in done)])


def _row(name: str, result: Result, directory: str) -> str:
    runs, sums = result["runs"], result["sums"]
    cells = [
        f"{runs[0]['brokers']}",
        f"{len(runs)}",
        f"{sums['events']:,}",
        f"{sums['expected']:,}",
        *(f"{sums[name]}" for name in _COUNTS.values()),
        f"{max(run['longest_stall_s'] for run in runs):.0f} s",
        f"[{name}]({directory}/{name}.json)",
    ]
    return f"| {' | '.join(cells)} |"


def _done(result: Result) -> str:
    return ", ".join(f"{kind} {number}" for kind, number in result["sums"]["done"].items())
