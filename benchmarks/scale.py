"""How does the worker grow: with products, partitions and workers; and how soon is it back?

`make bench-scale`. The clock, the CPU and the judge are those of `make bench`. For the products,
a first pass creates every one of them; the passes that are measured are over known ones. Recovery:
a worker that knows all products of `--recover` loses its directory and rebuilds it from
`src_products`; then it is started once more with the directory intact.
"""

import argparse
import asyncio
import re
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import psutil

from benchmarks.clock import RunFailedError
from benchmarks.known import KnownProducts
from benchmarks.measuring import measure
from benchmarks.ours import ours
from benchmarks.report import (
    RESULTS,
    command_text,
    figure_cell,
    machine,
    today,
    write_result,
)
from benchmarks.rounds import add_round, prepared, say
from benchmarks.workload import PARTITIONS, delete_topics, produce_workload
from dedup.localkafka import OPTIMISED, LocalKafka
from producer.events import Mix
from tests.support.topics import wait_until_done
from tests.support.workers import Names, WorkerProcess

JOIN_TOGETHER_MS: Final = 3000
SECTIONS: Final = {
    "products": "products known before",
    "partitions": "partitions",
    "workers": "workers",
}
OFF_WITHIN_S: Final = 1800.0
_RECOVERED: Final = re.compile(r"Recovery of .* complete: (\d+) records in ([\d.]+) s")


async def _point(
    kafka: LocalKafka, arguments: argparse.Namespace, **changed: int
) -> dict[str, Any]:
    """Measure one point of a growth; `changed` is the one thing that differs from the usual."""
    what, value = next(iter(changed.items()))
    if what == "products":
        return await _known_products(kafka, arguments, value)
    mix = Mix(products=arguments.usual_products, deletes=0.0)
    workload = await produce_workload(
        kafka.bootstrap_servers,
        arguments.events,
        mix,
        arguments.seed,
        partitions=changed.get("partitions", PARTITIONS),
    )
    contender = ours("exactly_once", changed.get("workers", 1))
    outcome = prepared(contender)
    for number in range(1, arguments.rounds + 1):
        title = f"{what} {value:,}, round {number}"
        measured = measure(contender, kafka.bootstrap_servers, kafka.pid, workload)
        await add_round(outcome, measured, title)
    await delete_topics(kafka.bootstrap_servers, workload.topic)
    return {what: value, "workload": workload.describe(), **outcome.record()}


async def _known_products(
    kafka: LocalKafka, arguments: argparse.Namespace, products: int
) -> dict[str, Any]:
    """Measure passes over products that are all known."""
    mix = Mix(products=products, deletes=0.0)
    contender = ours("exactly_once")
    outcome, filled = prepared(contender), None
    async with KnownProducts.opened(kafka, contender, mix, arguments.seed) as known:
        passes = await known.produce(arguments.events, arguments.rounds)
        touched = {event.key for events in passes for event in events if event.key}
        say(f"products {products:,}: filling")
        try:
            filled = await known.fill(touched)
        except RunFailedError as error:
            outcome.failures.append(f"filling: {error}")
            passes = []
        for number, events in enumerate(passes, 1):
            title = f"products {products:,}, round {number}"
            await add_round(outcome, known.measured_pass(events), title)
    workload = {"events": arguments.events, "seed": arguments.seed, **asdict(mix)}
    return {"products": products, "workload": workload, "filled": filled, **outcome.record()}


class Restarts:
    """A worker on one set of topics and one directory, started again and again."""

    def __init__(self, servers: str, directory: Path) -> None:
        self._servers = servers
        self._directory = directory
        self.names = Names.fresh()

    async def work_off(self, products: int, seed: int) -> dict[str, Any]:
        """Let a worker create every product; gives its memory then."""
        mix = Mix(products=products, deletes=0.0)
        workload = await produce_workload(self._servers, 0, mix, seed, populate=True)
        self.names = Names(
            workload.topic, self.names.states, self.names.dead_letters, self.names.group
        )
        del workload
        with self._started() as worker:
            worker.wait_until_ready()
            await wait_until_done(self._servers, self.names, OFF_WITHIN_S)
            rss = _rss_mib(worker)
            worker.terminate()
        return {"rss_mib": rss}

    def restart(self, *, lose_directory: bool) -> dict[str, Any]:
        """Start a worker until it is ready; gives what it read, how long it took, its memory."""
        if lose_directory:
            shutil.rmtree(self._directory / "state")
        begun = time.monotonic()
        with self._started() as worker:
            worker.wait_until_ready(OFF_WITHIN_S)
            ready_s = time.monotonic() - begun
            rows, seconds = _RECOVERED.findall(worker.log())[-1]
            found = {
                "rows_read": int(rows),
                "recovery_s": float(seconds),
                "rows_per_s": round(int(rows) / float(seconds)) if float(seconds) else None,
                "start_to_ready_s": round(ready_s, 2),
                "rss_mib": _rss_mib(worker),
            }
            worker.terminate()
        return found

    def _started(self) -> WorkerProcess:
        worker = WorkerProcess(self._servers, self._directory / "state", self.names.settings)
        worker.log_path.unlink(missing_ok=True)
        return worker


def _rss_mib(worker: WorkerProcess) -> int:
    return round(psutil.Process(worker.process.pid).memory_info().rss / 2**20)


async def _recovery(kafka: LocalKafka, arguments: argparse.Namespace) -> dict[str, Any]:
    directory = Path(tempfile.mkdtemp(prefix="recovery-"))
    try:
        restarts = Restarts(kafka.bootstrap_servers, directory)
        found: dict[str, Any] = {
            "products": arguments.recover,
            "worked_off": await restarts.work_off(arguments.recover, arguments.seed),
            "directory_lost": [],
            "directory_intact": [],
        }
        for _ in range(arguments.rounds):
            for lost, name in ((True, "directory_lost"), (False, "directory_intact")):
                found[name].append(restarts.restart(lose_directory=lost))
                say(f"recovery, {name.replace('_', ' ')}: {found[name][-1]}")
        return found
    finally:
        shutil.rmtree(directory)


async def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure every section that is wanted; gives what the result file holds."""
    result: dict[str, Any] = {
        "kind": "scale",
        "what": "growth of one worker (exactly_once), by the method of docs/performance.md",
        "command": command_text("benchmarks.scale"),
        "date": today(),
        "machine": machine(),
    }
    properties = {
        "group.initial.rebalance.delay.ms": str(JOIN_TOGETHER_MS),
        "log.retention.bytes": "-1",
    }
    with LocalKafka(properties=properties, jvm_options=OPTIMISED) as kafka:
        for section in SECTIONS:
            result[section] = [
                await _point(kafka, arguments, **{section: value})
                for value in getattr(arguments, section)
            ]
        if arguments.recover:
            result["recovery"] = await _recovery(kafka, arguments)
    return result


def markdown(result: Mapping[str, Any]) -> str:
    """Return the tables of a scale result."""
    lines: list[str] = []
    for section, title in SECTIONS.items():
        if not result[section]:
            continue
        lines += [f"| {title} | events/s | CPU, µs/event | peak RSS, MiB |", "|---|---|---|---|"]
        for each in result[section]:
            of = each["summary"]
            cells = [
                figure_cell(of[name]) if of else "no figure counts"
                for name in ("events_per_s", "cpu_us_per_event", "peak_rss_mib")
            ]
            lines.append(f"| {each[section]:,} | {' | '.join(cells)} |")
        lines.append("")
    if "recovery" in result:
        lines += _recovery_table(result["recovery"])
    return "\n".join(lines) + "\n"


def _recovery_table(recovery: Mapping[str, Any]) -> list[str]:
    title = f"start with {recovery['products']:,} products"
    lines = [
        f"| {title} | rows read | rows/s | start to ready, s | RSS, MiB |",
        "|---|---|---|---|---|",
    ]
    for name in ("directory_lost", "directory_intact"):
        for each in recovery[name]:
            rate = "-" if each["rows_per_s"] is None else f"{each['rows_per_s']:,}"
            lines.append(
                f"| {name.replace('_', ' ')} | {each['rows_read']:,} | {rate} "
                f"| {each['start_to_ready_s']:.1f} | {each['rss_mib']:,} |"
            )
    return lines


def plot(result: Mapping[str, Any], path: Path) -> None:
    """Draw CPU per event and events/s over each thing that grows."""
    import matplotlib as mpl  # noqa: PLC0415 - drawing needs the group bench, the rest does not
    from matplotlib import pyplot as plt  # noqa: PLC0415

    mpl.use("Agg")
    drawn = [section for section in SECTIONS if any(each["summary"] for each in result[section])]
    if not drawn:
        return
    figure, axes = plt.subplots(
        2, len(drawn), figsize=(4.5 * len(drawn), 7), squeeze=False, layout="constrained"
    )
    panels = (("events_per_s", "events/s"), ("cpu_us_per_event", "CPU, µs/event"))
    for column, section in enumerate(drawn):
        of = [each for each in result[section] if each["summary"]]
        for row, (name, label) in enumerate(panels):
            axis = axes[row][column]
            summary = [each["summary"][name] for each in of]
            medians = [each["median"] for each in summary]
            below = [each["median"] - each["min"] for each in summary]
            above = [each["max"] - each["median"] for each in summary]
            axis.errorbar([e[section] for e in of], medians, (below, above), marker="o", capsize=3)
            axis.set(xlabel=SECTIONS[section], ylabel=label, ylim=(0, None))
            if section != "workers":
                axis.set_xscale("log")
            axis.grid(visible=True, alpha=0.3)
    figure.savefig(path)
    plt.close(figure)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, write the result files and print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument(
        "--products",
        type=int,
        nargs="*",
        default=[1_000, 100_000, 1_000_000, 5_000_000],
        help="5000000 take some 5 GiB while they are produced, and 10 GiB of disk",
    )
    parser.add_argument("--partitions", type=int, nargs="*", default=[1, 4, 16, 64])
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2, 3, 4])
    parser.add_argument("--recover", type=int, default=1_000_000, help="products; 0 leaves it out")
    parser.add_argument("--usual-products", type=int, default=20_000)
    parser.add_argument("--events", type=int, default=300_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--name", default=f"{today()}-scale", help="of the result files")
    arguments = parser.parse_args(argv)
    result = asyncio.run(run(arguments))
    write_result(arguments.name, result, markdown(result))
    plot(result, RESULTS / f"{arguments.name}.svg")


if __name__ == "__main__":
    main()
