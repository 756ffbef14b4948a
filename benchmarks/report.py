"""What a benchmark leaves behind: a JSON file with everything, a Markdown table, and plots.

Table and plots are made from what stands in the JSON file and nothing else.
"""

import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import psutil

from benchmarks.rounds import say
from dedup.localkafka.jars import kafka_version

RESULTS: Final = Path(__file__).parent / "results"
_OURS: Final = "#1f6f8b"
_PEERS: Final = "#b8b8b8"


def machine() -> dict[str, Any]:
    """Return what a result file says about the machine."""
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


def read_results(directory: Path) -> dict[str, dict[str, Any]]:
    """Read all result files, by name."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(directory.glob("*.json"))}


def write_json(name: str, result: Mapping[str, Any]) -> Path:
    """Write a result file as a whole, also where one of the name was."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    begun = path.with_suffix(".part")
    begun.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    begun.replace(path)
    return path


def write_result(name: str, result: Mapping[str, Any], table: str) -> None:
    """Write a result file and its table, and print the table."""
    path = write_json(name, result)
    path.with_suffix(".md").write_text(table)
    print(table)  # noqa: T201 - this is the output
    say(f"Written: {path.relative_to(RESULTS.parent.parent)}")


def command_text(module: str) -> str:
    """Return the command that a result file names."""
    return " ".join([f"python -m {module}", *sys.argv[1:]])


def today() -> str:
    """Return the date that result files are named by."""
    return datetime.now(UTC).date().isoformat()


_COLUMNS: Final[Sequence[tuple[str, str]]] = (
    ("events_per_s", "events/s"),
    ("second_half_events_per_s", "in the second half"),
    ("from_start_events_per_s", "from start to last row"),
    ("cpu_us_per_event", "CPU, µs/event"),
    ("broker_cpu_us_per_event", "broker's CPU, µs/event"),
    ("peak_rss_mib", "peak RSS, MiB"),
    ("seconds_to_first_record", "start to first row, s"),
)


def markdown(result: Mapping[str, Any]) -> str:
    """Return the table of a throughput result: median (and range), fastest first."""
    contenders = result["contenders"]
    ran = [each for each in contenders if each["summary"]]
    columns = [column for column in _COLUMNS if not ran or column[0] in ran[0]["summary"]]
    lines = [
        f"| contender | {' | '.join(title for _, title in columns)} |",
        "|---" * (1 + len(columns)) + "|",
    ]
    ran.sort(key=lambda each: -each["summary"]["events_per_s"]["median"])
    for each in ran:
        of = each["summary"]
        cells = [figure_cell(of[name]) for name, _ in columns]
        lines.append(f"| {each['title']} | {' | '.join(cells)} |")
    nothing = " |" * len(columns)
    for each in contenders:
        if each["could_not_run"]:
            first = each["could_not_run"].splitlines()[0]
            lines.append(f"| {each['title']} | could not run: {first}{nothing}")
        elif each["failures"]:
            first = each["failures"][0].splitlines()[0]
            lines.append(f"| {each['title']} | no figure counts: {first}{nothing}")
        elif not each["summary"]:
            lines.append(f"| {each['title']} | not run yet{nothing}")
    return "\n".join(lines) + "\n"


def figure_cell(of: Mapping[str, float]) -> str:
    """Return the median and the range of a figure."""
    digits = 0 if of["median"] >= 100 else 1  # noqa: PLR2004 - three digits are enough
    median, least, most = (f"{of[name]:,.{digits}f}" for name in ("median", "min", "max"))
    return f"{median} ({least}-{most})"


_PANELS: Final[Sequence[tuple[str, str]]] = (
    ("events_per_s", "events/s: median, min to max"),
    ("cpu_us_per_event", "CPU of the contender, µs/event"),
)


def plot(result: Mapping[str, Any], path: Path) -> None:
    """Draw events/s and CPU per event of every contender that has figures, from zero."""
    import matplotlib as mpl  # noqa: PLC0415 - drawing needs the group bench, the rest does not
    from matplotlib import pyplot as plt  # noqa: PLC0415

    ran = [each for each in result["contenders"] if each["summary"]]
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
