"""How long from an event to its row? `make bench-latency`.

One worker, a steady feed at several rates, both guarantees in turn. Latency is from the event's own
time, taken when the feed makes the event, to the moment a `read_committed` consumer of
`src_products` has the row, which names that time. Feed, worker, broker and consumer are processes
of their own on one machine with one clock. The first seconds of each run are warming up and not
counted. Every output is held against the oracle before its latencies count.

So that the measuring is not mistaken for the worker, beside the latency is what others took of it:
the feed's own lateness, the time until the source topic had acknowledged the event, and how late
timers of the consumer were.
"""

import argparse
import asyncio
import gc
import json
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple

from benchmarks.feed import shares_of
from benchmarks.reader import Reader
from benchmarks.report import RESULTS, command_text, machine, today, write_result
from benchmarks.rounds import say
from benchmarks.soak import PARTITIONS, faults
from benchmarks.soak_report import percentiles
from dedup.localkafka import OPTIMISED, LocalKafka
from dedup.localkafka.process import spawn
from tests.support.topics import wait_until_done
from tests.support.workers import Names, WorkerProcess

GUARANTEES: Final = ("exactly_once", "at_least_once")
WARM_UP_S: Final = 5.0
LOW_PAUSE: Final = ("-XX:-UseSerialGC", "-XX:+UseZGC", "-Xms1024m")
"""The broker's collector: the pauses of the embedded broker's usual one, which starts faster, would
be the 99th percentile."""

BROKER_WARM_UP_S: Final = 30.0
BROKER_WARM_UP_RATE: Final = 5_000
"""Of a run before all others: the broker is a JVM, and cold."""


class Taken(NamedTuple):
    """The latencies of a run in microseconds, how late the reader was, and what the feed said."""

    latencies_us: list[int]
    reader_late_us: list[int]
    feed: Mapping[str, Any]


async def _run(servers: str, guarantee: str, rate: int, arguments: argparse.Namespace) -> Taken:
    """Measure once; exits with 1 when the output is wrong."""
    directory = Path(tempfile.mkdtemp(prefix="latency-"))
    names = Names.fresh()
    settings = {**names.settings, "DEDUP_GUARANTEE": guarantee}
    try:
        with WorkerProcess(servers, directory / "state", settings) as worker:
            worker.wait_until_ready()
            reader = Reader(servers, names.states, PARTITIONS)
            reading = asyncio.ensure_future(reader.read())
            gc.collect()
            gc.disable()
            said = await _feed(servers, names.source, rate, directory, arguments)
            late_us = list(reader.late_us)
            gc.enable()
            await wait_until_done(servers, names)
            await _catch_up(reader, reading)
            if wrong := await faults(servers, names):
                sys.exit(f"{guarantee} at {rate} events/s: the output is wrong: {wrong[0]}")
            return Taken(reader.latencies_us(said["counted_from_us"]), late_us, said)
    finally:
        gc.enable()
        shutil.rmtree(directory)


async def _feed(
    servers: str, topic: str, rate: int, directory: Path, arguments: argparse.Namespace
) -> Mapping[str, Any]:
    """Let the feed run in a process of its own; gives what it says."""
    result, log = directory / "feed.json", directory / "feed.log"
    command = [sys.executable, "-m", "benchmarks.feed", servers, topic, str(result)]
    options = {
        "--rate": rate,
        "--warm-up": WARM_UP_S,
        "--seconds": arguments.seconds,
        "--live": arguments.live,
        "--seed": arguments.seed,
    }
    command += [str(word) for option in options.items() for word in option]
    process = spawn(command, log)
    try:
        await asyncio.to_thread(process.wait)
    finally:
        process.kill()
    if process.returncode:
        sys.exit(f"the feed ended with {process.returncode}: {log.read_text()[-2000:]}")
    said: Mapping[str, Any] = json.loads(result.read_text())
    return said


async def _catch_up(reader: Reader, reading: asyncio.Future[None]) -> None:
    """Let the reader have the last rows, then end it."""
    before = -1
    while reader.count > before:
        before = reader.count
        await asyncio.sleep(0.5)
    reading.cancel()
    (ended,) = await asyncio.gather(reading, return_exceptions=True)
    if isinstance(ended, Exception):
        raise ended


async def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure; gives what the result file holds."""
    about = machine()
    taken: dict[tuple[str, int], list[Taken]] = {}
    with LocalKafka(heap_mib=1024, jvm_options=(*OPTIMISED, *LOW_PAUSE)) as kafka:
        warming_up = argparse.Namespace(**{**vars(arguments), "seconds": BROKER_WARM_UP_S})
        say(f"Warming up the broker for {BROKER_WARM_UP_S:.0f} s")
        await _run(kafka.bootstrap_servers, GUARANTEES[0], BROKER_WARM_UP_RATE, warming_up)
        for number in range(1, arguments.rounds + 1):
            for rate in arguments.rates:
                for guarantee in GUARANTEES:
                    this = await _run(kafka.bootstrap_servers, guarantee, rate, arguments)
                    taken.setdefault((guarantee, rate), []).append(this)
                    p99 = percentiles(this.latencies_us, 0.99)[0]
                    say(f"round {number}, {guarantee}, {rate:,} events/s: p99 {p99} ms")
    return {
        "kind": "latency",
        "what": "milliseconds from an event's time to its row at a read_committed consumer",
        "command": command_text("benchmarks.latency"),
        "date": today(),
        "machine": about,
        "seconds": arguments.seconds,
        "live_products": arguments.live,
        "latencies": [summary(*key, rounds) for key, rounds in taken.items()],
    }


def summary(guarantee: str, rate: int, rounds: Sequence[Taken]) -> dict[str, Any]:
    """Return the percentiles over all rounds, and p99 of each round of all that took part."""
    together = [latency for each in rounds for latency in each.latencies_us]
    return {
        "guarantee": guarantee,
        "events_per_s": rate,
        "events_per_s_fed": min(each.feed["events_per_s"] for each in rounds),
        "rows": len(together),
        **shares_of(together),
        "p99_of_rounds": [percentiles(each.latencies_us, 0.99)[0] for each in rounds],
        "p99_acknowledged": [each.feed["acknowledged_ms"]["p99"] for each in rounds],
        "p99_feed_late": [each.feed["late_ms"]["p99"] for each in rounds],
        "p99_reader_late": [percentiles(each.reader_late_us, 0.99)[0] for each in rounds],
    }


_OTHERS: Final = {
    "p99_acknowledged": "source acknowledged, p99",
    "p99_feed_late": "feed late, p99",
    "p99_reader_late": "reader late, p99",
}


def markdown(result: Mapping[str, Any]) -> str:
    """Return the table of a latency result; older ones lack what others took."""
    entries = result["latencies"]
    others = {name: title for name, title in _OTHERS.items() if name in entries[0]}
    titles = ["guarantee", "events/s asked", "fed", "p50, ms", "p99, ms (rounds)", "p99.9, ms"]
    titles += ["max, ms", *(f"{title}, ms" for title in others.values())]
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for each in entries:
        rounds = each["p99_of_rounds"]
        cells = [
            each["guarantee"],
            f"{each['events_per_s']:,}",
            f"{each['events_per_s_fed']:,}",
            f"{each['p50']:.1f}",
            f"{each['p99']:.1f} ({min(rounds):.1f}-{max(rounds):.1f})",
            f"{each['p999']:.1f}",
            f"{each['max']:.1f}",
            *(f"{median(each[name]):.1f}" for name in others),
        ]
        lines.append(f"| {' | '.join(cells)} |")
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
    result = asyncio.run(run(arguments))
    write_result(arguments.name, result, markdown(result))
    plot(result, RESULTS / f"{arguments.name}.svg")


if __name__ == "__main__":
    main()
