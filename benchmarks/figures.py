"""The figures of all result files, as docs/performance.md shows them; and the sizing made of them.

Every file of benchmarks/results that has a kind is shown; a result that no longer counts is taken
out by deleting its files.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from benchmarks import flame, latency, report, scale

NONE_YET: Final = "No result file stands in `benchmarks/results` yet.\n"

HEADROOM: Final = 0.6
"""Share of the measured rate that a deployment is sized for: the rest is for catching up."""

TARGETS: Final = (10_000, 100_000, 1_000_000, 10_000_000)

_TABLES: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "throughput": report.markdown,
    "flame": flame.markdown,
    "latency": latency.markdown,
    "scale": scale.markdown,
    "sink": report.markdown,
}


def figures(results: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the sections of the results, in the order of kinds and names."""
    found = {
        name: result
        for kind in _TABLES
        for name, result in sorted(results.items())
        if result.get("kind") == kind
    }
    parts = [_section(name, result) for name, result in found.items()]
    parts += [_sizing(name, result) for name, result in _sized_by(found)]
    return "\n".join(parts) or NONE_YET


def _section(name: str, result: Mapping[str, Any]) -> str:
    machine = result["machine"]
    files = f"../benchmarks/results/{name}"
    return (
        f"### {result['kind'].capitalize()}: {_conditions(result)}\n\n"
        f"`{result['command']}`, {result['date']}, {machine['cores']} cores "
        f"({machine['processor']}) for contender and broker together, Python {machine['python']}, "
        f"Kafka {machine['kafka']} ([all figures]({files}.json)).\n\n"
        f"{_unfinished(result)}{_TABLES[result['kind']](result)}\n![{result['kind']}]({files}.svg)\n"
    )


def _unfinished(result: Mapping[str, Any]) -> str:
    if result.get("finished", True):
        return ""
    return f"Stopped before every contender had {result['rounds']} rounds.\n\n"


def _rate(summary: Mapping[str, Any]) -> float:
    return float(summary["events_per_s"]["median"])


def _conditions(result: Mapping[str, Any]) -> str:
    workload = result.get("workload")
    if workload is None:
        return str(result.get("conditions", result["date"]))
    skew = "uniform" if workload["zipf"] is None else f"Zipf {workload['zipf']:g}"
    return (
        f"{workload['events']:,} events of {workload['bytes_per_event']} bytes, "
        f"{workload['products']:,} products ({skew}), {workload['duplicates']:.0%} duplicates"
    )


def _sized_by(found: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the throughput result with the most events in which the default worker has figures."""
    able = [
        (name, result)
        for name, result in found.items()
        if result["kind"] == "throughput" and _default_worker(result)
    ]
    return sorted(able, key=lambda each: each[1]["workload"]["events"])[-1:]


def _default_worker(result: Mapping[str, Any]) -> Mapping[str, Any]:
    for each in result.get("contenders", ()):
        if each["name"] == "ours-exactly-once":
            summary: Mapping[str, Any] = each["summary"]
            return summary
    return {}


def _sizing(name: str, result: Mapping[str, Any]) -> str:
    """Reckon what rates need from what one worker did; on paper beyond the first row."""
    worker = _default_worker(result)
    rate = _rate(worker) * HEADROOM
    broker_us = worker["broker_cpu_us_per_event"]["median"]
    megabytes = result["workload"]["bytes_per_event"] / 1e6
    share = f"{HEADROOM:.0%} of its measured rate, {rate:,.0f} events/s"
    lines = [
        "### Sizing\n",
        f"Reckoned from `{name}`: one worker is given {share}.\n",
        "| events/s | workers | partitions | into the brokers, MB/s | cores of brokers |",
        "|---|---|---|---|---|",
    ]
    for target in TARGETS:
        workers = math.ceil(target / rate)
        partitions = max(4, 2 ** math.ceil(math.log2(2 * workers)))
        cores = math.ceil(target * broker_us / 1e6)
        lines.append(
            f"| {target:,} | {workers:,} | {partitions:,} | {target * megabytes:,.0f} | {cores:,} |"
        )
    return "\n".join(lines) + "\n"
