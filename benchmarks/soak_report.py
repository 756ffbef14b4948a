"""What a soak comes to: does anything grow, and the CSV, JSON and plot of it."""

import csv
import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.support.results import environment

RESULTS: Final = Path(__file__).parent / "results"
MAY_NOT_GROW: Final = ("rss_mib", "open_files")
ALLOWED_GROWTH: Final = 0.10
QUARTER_SAMPLES: Final = 4
"""A quarter of fewer samples has no median worth the name."""


class Sample(NamedTuple):
    """The worker at one moment; counts are since the start, latencies since the sample before."""

    seconds: float
    produced: int
    emitted: int
    products_created: int
    rss_mib: float
    open_files: int
    threads: int
    cpu_percent: float
    state_mib: float
    lag: int
    latency_p50_ms: float
    latency_p99_ms: float
    load: float
    """The machine's load average of a minute: who else was at work."""


def percentiles(latencies_us: Sequence[int], *shares: float) -> list[float]:
    """Return percentiles in milliseconds, such as 0.99 for p99; NaN when there are no latencies."""
    if not latencies_us:
        return [float("nan")] * len(shares)
    ordered = sorted(latencies_us)
    return [round(ordered[int(share * (len(ordered) - 1))] / 1000, 2) for share in shares]


def quarters(samples: Sequence[Sample], field: str) -> list[float]:
    """Return the median of a field in each quarter of the run."""
    values = [float(getattr(sample, field)) for sample in samples]
    size = len(values) // 4
    if size < QUARTER_SAMPLES:
        raise ValueError(f"{len(values)} samples are too few to tell growth from warming up")
    bounds = [0, size, 2 * size, len(values) - size, len(values)]
    return [round(statistics.median(values[start:end]), 2) for start, end in pairwise(bounds)]


def growth(samples: Sequence[Sample]) -> list[str]:
    """Say what grew: the last quarter against the second; the first is warming up."""
    found = []
    for field in MAY_NOT_GROW:
        _, second, _, last = quarters(samples, field)
        if last > second * (1 + ALLOWED_GROWTH):
            found.append(f"{field} grew from {second} to {last}")
    return found


def write_report(
    samples: Sequence[Sample],
    latencies_us: Sequence[int],
    wrong: Sequence[str],
    arguments: Mapping[str, Any],
) -> list[str]:
    """Write the three result files and print the summary; gives what was wrong or grew."""
    faults = [*wrong, *growth(samples)]
    p50, p99 = percentiles(latencies_us, 0.50, 0.99)
    summary = {
        "what": "one worker under a steady feed with churn",
        "command": " ".join(["python -m benchmarks.soak", *sys.argv[1:]]),
        "arguments": dict(arguments),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        **environment("broker, feed and consumer of this run"),
        "events": samples[-1].produced,
        "emitted": samples[-1].emitted,
        "products_created": samples[-1].products_created,
        "latency_ms": {"p50": p50, "p99": p99},
        "medians_by_quarter": {field: quarters(samples, field) for field in Sample._fields[4:]},
        "faults": len(faults),
        "first_faults": faults[:20],
    }
    RESULTS.mkdir(exist_ok=True)
    name = arguments["name"] or f"soak-{datetime.now(UTC).date().isoformat()}"
    with (RESULTS / f"{name}.csv").open("w", newline="") as file:
        csv.writer(file).writerows([Sample._fields, *samples])
    (RESULTS / f"{name}.json").write_text(json.dumps(summary, indent=2) + "\n")
    plot(samples, name, RESULTS / f"{name}.png")
    print(json.dumps(summary, indent=2), flush=True)  # noqa: T201 - this is the output
    return faults


_PANELS: Final[Sequence[tuple[str, Sequence[str]]]] = (
    ("memory, MiB", ["rss_mib"]),
    ("open files, threads", ["open_files", "threads"]),
    ("RocksDB directory, MiB", ["state_mib"]),
    ("latency, ms (log)", ["latency_p50_ms", "latency_p99_ms"]),
    ("events not committed", ["lag"]),
    ("CPU of the worker, % of one core", ["cpu_percent"]),
)


def plot(samples: Sequence[Sample], title: str, path: Path) -> None:
    """Draw every figure over time; all but latency from zero, so that flat looks flat."""
    import matplotlib as mpl  # noqa: PLC0415 - drawing needs the group bench, the rest does not
    from matplotlib import pyplot as plt  # noqa: PLC0415

    mpl.use("Agg")
    figure, axes = plt.subplots(3, 2, figsize=(12, 9), sharex=True, layout="constrained")
    minutes = [sample.seconds / 60 for sample in samples]
    for axis, (label, fields) in zip(axes.flat, _PANELS, strict=True):
        for field in fields:
            axis.plot(minutes, [getattr(sample, field) for sample in samples], label=field)
        axis.set_title(label)
        axis.grid(visible=True, alpha=0.3)
        axis.legend()
        if "log" in label:
            axis.set_yscale("log")
        else:
            axis.set_ylim(bottom=0)
    for axis in axes[-1]:
        axis.set_xlabel("minutes")
    figure.suptitle(title)
    figure.savefig(path, dpi=100)
    plt.close(figure)
