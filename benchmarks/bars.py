"""The bars: what the worker is to reach, held against the result files.

`make bench` prints them at its end; `python -m benchmarks.bars` does so from the files alone. A bar
that compares takes both figures from one file, the newest that has them; the name of the file is
beside the verdict. docs/performance.md has the table.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from benchmarks.bar import (
    CPU,
    RSS,
    Bar,
    Comparison,
    Result,
    Verdict,
    judged,
    known_products,
    latency,
    recovery,
    sink,
    soak,
    throughput,
)
from benchmarks.report import RESULTS, read_results
from benchmarks.rounds import say

AT_LEAST, ABOVE, BELOW = Comparison.AT_LEAST, Comparison.ABOVE, Comparison.BELOW
OURS: Final = "ours-exactly-once"
MEMORY_MIB: Final = 300


def _against(contender: str, what: str, comparison: Comparison, times: float) -> list[Bar]:
    """Return that the default worker is so many times as fast as a contender."""
    return [
        Bar(
            f"default worker, {events:,} events",
            throughput(OURS, events=events),
            comparison,
            times,
            throughput(contender, events=events),
            what,
        )
        for events in (300_000, 1_000_000)
    ]


def _towards(contender: str, what: str) -> Bar:
    figure, other = throughput(OURS), throughput(contender)
    return Bar("default worker", figure, AT_LEAST, 1, other, what, only_towards=True)


def _two_workers(guarantee: str, streams: str, words: str) -> Bar:
    return Bar(
        f"two workers, {words}",
        throughput(f"ours-{guarantee}-2-workers"),
        ABOVE,
        1,
        throughput(f"kafka-streams-{streams}-2-threads-warm"),
        f"Kafka Streams with two threads, {words}, warm",
    )


def _products(products: int, rate: int) -> list[Bar]:
    what = f"default worker, {products:,} products known"
    return [
        Bar(what, known_products(products), AT_LEAST, rate),
        Bar(what, known_products(products, RSS), BELOW, MEMORY_MIB, unit="MiB"),
    ]


def _p99(rate: int) -> Bar:
    what = f"p99 from event to row at {rate:,} events/s, exactly once"
    return Bar(what, latency(rate, "p99"), BELOW, 30, unit="ms")


def _memory(result: Result) -> Sequence[float]:
    """Return the medians of a soak's quarters."""
    of_quarters: Sequence[float] = result["medians_by_quarter"]["rss_mib"]
    return of_quarters


BARS: Final = (
    *(
        Bar(f"default worker, {n:,} events", throughput(OURS, events=n), AT_LEAST, 150_000)
        for n in (300_000, 1_000_000)
    ),
    *_against(
        "kafka-streams-exactly-once-v2-warm", "Kafka Streams, exactly once, warm", AT_LEAST, 1.1
    ),
    _towards("kafka-streams-at-least-once-warm", "Kafka Streams, at least once, warm"),
    *_against("quix-exactly-once", "Quix Streams, exactly once", AT_LEAST, 3.5),
    *_against("quix-at-least-once", "Quix Streams, at least once", AT_LEAST, 3.5),
    *_against("bytewax", "Bytewax", AT_LEAST, 3.5),
    *_against("flink-hashmap-1", "Flink SQL with the same rules, warm", AT_LEAST, 3.5),
    *_against("flink-pass-through-1", "Flink passing through, parallelism 1, warm", ABOVE, 1),
    *_against("flink-pass-through-2", "Flink passing through, parallelism 2, warm", ABOVE, 1),
    *_against("faust-agent", "an idiomatic Faust agent", AT_LEAST, 40),
    Bar(
        "default worker, CPU per event",
        throughput(OURS, CPU),
        BELOW,
        1,
        throughput("kafka-streams-at-least-once-warm", CPU),
        "Kafka Streams, at least once, warm",
    ),
    _two_workers("exactly-once", "exactly-once-v2", "exactly once"),
    _two_workers("at-least-once", "at-least-once", "at least once"),
    Bar(
        "events in other producers' form",
        throughput(f"{OURS}-foreign"),
        AT_LEAST,
        0.8,
        throughput(OURS),
        "those of our own producer",
    ),
    Bar("without a C compiler", throughput(f"{OURS}-pure"), AT_LEAST, 100_000),
    *_products(1_000_000, 90_000),
    *_products(5_000_000, 70_000),
    Bar(
        "recovery of 1,000,000 products",
        recovery(1_000_000, "directory_lost", lambda start: start["rows_per_s"]),
        AT_LEAST,
        200_000,
        unit="rows/s",
    ),
    Bar(
        "rows read after a clean restart with 1,000,000 products",
        recovery(1_000_000, "directory_intact", lambda start: start["rows_read"]),
        BELOW,
        10_000,
        unit="rows",
    ),
    *(_p99(rate) for rate in (100, 1_000, 5_000)),
    Bar(
        "dedup sink postgres",
        sink("ours-sink"),
        AT_LEAST,
        1,
        sink("kafka-connect"),
        "Kafka Connect's JDBC sink into the same table",
    ),
    Bar(
        "memory over a soak of half an hour",
        soak(lambda result: max(_memory(result))),
        BELOW,
        MEMORY_MIB,
        unit="MiB",
    ),
    Bar(
        "memory in the last quarter of a soak, of that in the second",
        soak(lambda result: _memory(result)[3] / _memory(result)[1]),
        BELOW,
        1.1,
        unit="",
    ),
)


def verdicts(results: Mapping[str, Result]) -> list[Verdict]:
    """Hold every bar against the results."""
    return [judged(bar, results) for bar in BARS]


def _word(verdict: Verdict) -> str:
    if verdict.holds is None:
        return "not measured"
    if verdict.bar.only_towards:
        return "reached" if verdict.holds else "not yet"
    return "yes" if verdict.holds else "**no**"


def table(judged_bars: list[Verdict]) -> str:
    """Return the bars as a table: what, the goal, what was measured, whether it holds, the file."""
    lines = ["| what | goal | measured | holds | result file |", "|---|---|---|---|---|"]
    lines += [
        f"| {each.bar.what} | {each.bar.goal} | {each.measured} | {_word(each)} | {each.source} |"
        for each in judged_bars
    ]
    return "\n".join(lines) + "\n"


def counted(judged_bars: list[Verdict]) -> str:
    """Return how many hold, in a sentence."""
    promised = [each.holds for each in judged_bars if not each.bar.only_towards]
    return (
        f"{len(promised)} bars: {promised.count(True)} hold, {promised.count(False)} do not hold, "
        f"{promised.count(None)} were not measured."
    )


def show(results: Mapping[str, Result]) -> None:
    """Print the bars."""
    found = verdicts(results)
    print(table(found))  # noqa: T201 - this is the output
    say(counted(found))


if __name__ == "__main__":
    show(read_results(RESULTS))
