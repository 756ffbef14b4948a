"""What a benchmark leaves behind: a JSON file with everything, a Markdown table, and plots.

Table and plots are made from what stands in the JSON file and nothing else.
"""

import json
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import psutil
from matplotlib import pyplot as plt

from benchmarks.measuring import Figures
from dedup.kafkajars import kafka_version

RESULTS: Final = Path(__file__).parent / "results"
FIGURES: Final = tuple(each.name for each in fields(Figures))
_OURS: Final = "#1f6f8b"
_PEERS: Final = "#b8b8b8"


@dataclass
class Outcome:
    """All rounds of one contender; `failures` say why a round has no figures."""

    name: str
    title: str
    judged_by: str
    versions: Mapping[str, str] = field(default_factory=dict)
    rounds: list[Figures] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    could_not_run: str | None = None

    def record(self) -> dict[str, Any]:
        """Give what a result file holds of it: everything, and the median and range of figures."""
        values = {name: [getattr(r, name) for r in self.rounds] for name in FIGURES}
        summary = {
            name: {"median": statistics.median(of), "min": min(of), "max": max(of)}
            for name, of in values.items()
            if of
        }
        return {**asdict(self), "summary": summary}


def machine() -> dict[str, Any]:
    """Give what a result file says about the machine."""
    return {
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "processor": _processor(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "kafka": kafka_version(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def write_result(name: str, result: Mapping[str, Any]) -> Path:
    """Write a result file; gives its path."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    return path


def today() -> str:
    """Give the date that result files are named by."""
    return datetime.now(UTC).date().isoformat()


def markdown(result: Mapping[str, Any]) -> str:
    """Give the table of a throughput result: median, and range below it, best of all first."""
    lines = [
        "| contender | events/s | second half | CPU, µs/event | peak RSS, MiB | first after |",
        "|---|---|---|---|---|---|",
    ]
    contenders = result["contenders"]
    ran = [each for each in contenders if each["rounds"]]
    ran.sort(key=lambda each: -each["summary"]["events_per_s"]["median"])
    for each in ran:
        of = each["summary"]
        lines.append(
            f"| {each['title']} | {_cell(of['events_per_s'])} "
            f"| {_cell(of['second_half_events_per_s'])} | {_cell(of['cpu_us_per_event'])} "
            f"| {_cell(of['peak_rss_mib'])} | {of['seconds_to_first_record']['median']:.1f} s |"
        )
    for each in contenders:
        if each["could_not_run"]:
            first = each["could_not_run"].splitlines()[0]
            lines.append(f"| {each['title']} | could not run: {first} | | | | |")
        elif not each["rounds"]:
            first = each["failures"][0].splitlines()[0]
            lines.append(f"| {each['title']} | no figure counts: {first} | | | | |")
    return "\n".join(lines) + "\n"


def _cell(of: Mapping[str, float]) -> str:
    digits = 0 if of["median"] >= 100 else 1  # noqa: PLR2004 - three digits are enough
    median, least, most = (f"{of[name]:,.{digits}f}" for name in ("median", "min", "max"))
    return f"{median} ({least}-{most})"


_PANELS: Final[Sequence[tuple[str, str]]] = (
    ("events_per_s", "events/s: median, min to max"),
    ("cpu_us_per_event", "CPU of the contender, µs/event"),
)


def plot(result: Mapping[str, Any], path: Path) -> None:
    """Draw events/s and CPU per event of every contender that has figures, from zero."""
    ran = [each for each in result["contenders"] if each["rounds"]]
    if not ran:
        return
    ran.sort(key=lambda each: each["summary"]["events_per_s"]["median"])
    titles = [each["title"].replace("*", "") for each in ran]
    colours = [_OURS if each["name"].startswith("ours") else _PEERS for each in ran]
    mpl.use("Agg")
    size = (13, 1.5 + 0.38 * len(ran))
    figure, axes = plt.subplots(1, 2, figsize=size, sharey=True, layout="constrained")
    for axis, (name, label) in zip(axes, _PANELS, strict=True):
        of = [each["summary"][name] for each in ran]
        medians = [each["median"] for each in of]
        below = [each["median"] - each["min"] for each in of]
        above = [each["max"] - each["median"] for each in of]
        bars = axis.barh(titles, medians, xerr=(below, above), color=colours, ecolor="#444444")
        axis.bar_label(bars, [f"{median:,.0f}" for median in medians], padding=6, fontsize=9)
        axis.set_title(label)
        axis.margins(x=0.18)
        axis.set_xlim(left=0)
        axis.grid(visible=True, axis="x", alpha=0.3)
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)
    plt.close(figure)
