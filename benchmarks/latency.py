"""How long from an event to its row? `make bench-latency`.

One worker, a steady feed at several rates, both guarantees in turn. Latency is what `soak.py`
measures: from the event's own time, taken when the feed makes the event (it sends what it made
every 10 ms), to the moment a `read_committed` consumer of `src_products` has the row. Feed,
consumer, worker and broker share the machine. The first seconds of each run are warming up and not
counted; what the feed really achieved is beside what was asked. Every output is held against the
oracle before its latencies count.
"""

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.report import RESULTS, command_text, machine, today, write_result
from benchmarks.rounds import say
from benchmarks.soak import Soak
from benchmarks.soak_report import percentiles
from dedup.localkafka import LocalKafka
from tests.support.topics import wait_until_done
from tests.support.workers import Names, WorkerProcess

GUARANTEES: Final = ("exactly_once", "at_least_once")
SHARES: Final = {"p50": 0.50, "p99": 0.99, "p999": 0.999, "max": 1.0}
WARM_UP_S: Final = 5.0


async def _run(servers: str, guarantee: str, rate: int, arguments: argparse.Namespace) -> Any:
    """Return the latencies of one run in microseconds and the rate that was fed."""
    directory = Path(tempfile.mkdtemp(prefix="latency-"))
    names = Names.fresh()
    settings = {**names.settings, "DEDUP_GUARANTEE": guarantee}
    feeding = argparse.Namespace(**{**vars(arguments), "rate": rate})
    try:
        with WorkerProcess(servers, directory / "state", settings) as worker:
            worker.wait_until_ready()
            soak = Soak(servers, names, worker, feeding)
            consuming = asyncio.ensure_future(soak.consume())
            begun = time.monotonic()
            feed = asyncio.ensure_future(soak.feed(begun + WARM_UP_S + arguments.seconds))
            await asyncio.sleep(WARM_UP_S)
            warm, produced, counted_from = len(soak.latencies_us), soak.produced, time.monotonic()
            await feed
            fed = (soak.produced - produced) / (time.monotonic() - counted_from)
            await wait_until_done(servers, names)
            await _catch_up(soak, consuming)
            if wrong := await soak.wrong():
                sys.exit(f"{guarantee} at {rate} events/s: the output is wrong: {wrong[0]}")
            return soak.latencies_us[warm:], fed
    finally:
        shutil.rmtree(directory)


async def _catch_up(soak: Soak, consuming: asyncio.Future[None]) -> None:
    """Let the consumer have the last rows, then end it."""
    before = -1
    while soak.emitted > before:
        before = soak.emitted
        await asyncio.sleep(0.5)
    consuming.cancel()
    (ended,) = await asyncio.gather(consuming, return_exceptions=True)
    if isinstance(ended, Exception):
        raise ended


async def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure; gives what the result file holds."""
    about = machine()
    latencies: dict[tuple[str, int], list[list[int]]] = {}
    fed: dict[tuple[str, int], list[float]] = {}
    with LocalKafka() as kafka:
        for number in range(1, arguments.rounds + 1):
            for rate in arguments.rates:
                for guarantee in GUARANTEES:
                    taken, reached = await _run(kafka.bootstrap_servers, guarantee, rate, arguments)
                    latencies.setdefault((guarantee, rate), []).append(taken)
                    fed.setdefault((guarantee, rate), []).append(reached)
                    p99 = percentiles(taken, 0.99)[0]
                    say(f"round {number}, {guarantee}, {rate:,} events/s: p99 {p99} ms")
    return {
        "kind": "latency",
        "what": "milliseconds from an event's time to its row at a read_committed consumer",
        "command": command_text("benchmarks.latency"),
        "date": today(),
        "machine": about,
        "seconds": arguments.seconds,
        "live_products": arguments.live,
        "latencies": [
            _summary(guarantee, rate, rounds, fed[guarantee, rate])
            for (guarantee, rate), rounds in latencies.items()
        ],
    }


def _summary(guarantee: str, rate: int, rounds: list[list[int]], fed: list[float]) -> Any:
    """Return the percentiles over all rounds, and the range of p99 from round to round."""
    together = [latency for each in rounds for latency in each]
    p99s = [percentiles(each, 0.99)[0] for each in rounds]
    return {
        "guarantee": guarantee,
        "events_per_s": rate,
        "events_per_s_fed": round(min(fed)),
        "rows": len(together),
        **dict(zip(SHARES, percentiles(together, *SHARES.values()), strict=True)),
        "p99_of_rounds": p99s,
    }


def markdown(result: Mapping[str, Any]) -> str:
    """Return the table of a latency result."""
    lines = [
        "| guarantee | events/s asked | fed | p50, ms | p99, ms (rounds) | p99.9, ms | max, ms |",
        "|---|---|---|---|---|---|---|",
    ]
    for each in result["latencies"]:
        rounds = each["p99_of_rounds"]
        lines.append(
            f"| {each['guarantee']} | {each['events_per_s']:,} | {each['events_per_s_fed']:,} "
            f"| {each['p50']:.1f} | {each['p99']:.1f} ({min(rounds):.1f}-{max(rounds):.1f}) "
            f"| {each['p999']:.1f} | {each['max']:.1f} |"
        )
    return "\n".join(lines) + "\n"


def plot(result: Mapping[str, Any], path: Path) -> None:
    """Draw p50, p99 and p99.9 over the rate, both axes logarithmic."""
    import matplotlib as mpl  # noqa: PLC0415 - drawing needs the group bench, the rest does not
    from matplotlib import pyplot as plt  # noqa: PLC0415

    mpl.use("Agg")
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.5), sharey=True, layout="constrained")
    for axis, guarantee in zip(axes, GUARANTEES, strict=True):
        of = [each for each in result["latencies"] if each["guarantee"] == guarantee]
        rates = [each["events_per_s"] for each in of]
        for name in ("p50", "p99", "p999"):
            axis.plot(rates, [each[name] for each in of], marker="o", label=name)
        axis.set(title=guarantee, xscale="log", yscale="log", xlabel="events/s")
        axis.grid(visible=True, which="both", alpha=0.3)
        axis.legend()
    axes[0].set_ylabel("event to row, ms")
    figure.savefig(path)
    plt.close(figure)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, write the result files and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.latency", description=__doc__)
    parser.add_argument("--rates", type=int, nargs="+", default=[100, 1_000, 5_000, 20_000])
    parser.add_argument("--seconds", type=float, default=30, help="of each run that count")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--live", type=int, default=20_000, help="products that exist at once")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--name", default=f"{today()}-latency", help="of the result files")
    arguments = parser.parse_args(argv)
    arguments.sample_seconds = arguments.seconds
    result = asyncio.run(run(arguments))
    write_result(arguments.name, result, markdown(result))
    plot(result, RESULTS / f"{arguments.name}.svg")


if __name__ == "__main__":
    main()
