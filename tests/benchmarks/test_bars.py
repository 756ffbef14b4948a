"""A bar holds, does not, or was not measured: by results made up here."""

from typing import Any

import pytest

from benchmarks.bar import (
    Bar,
    Comparison,
    judged,
    known_products,
    latency,
    recovery,
    sink,
    soak,
    throughput,
)
from benchmarks.bars import BARS, counted, table, verdicts

WORKLOAD = {"events": 300_000, "zipf": None, "duplicates": 0.3, "products": 20_000}
RATE = Bar("rate", throughput("ours"), Comparison.AT_LEAST, 100)
TWICE = Bar("twice", throughput("ours"), Comparison.AT_LEAST, 2, throughput("peer"), "the peer")


def contenders(**rates: float | None) -> list[dict[str, Any]]:
    """Contenders with a median rate; None: no figures."""
    return [
        {
            "name": name,
            "summary": {} if rate is None else {"events_per_s": {"median": rate}},
        }
        for name, rate in rates.items()
    ]


def throughputs(date: str = "2026-01-01", **rates: float | None) -> dict[str, Any]:
    """A result of the usual input."""
    workload = dict(WORKLOAD)
    made = contenders(**rates)
    return {"kind": "throughput", "date": date, "workload": workload, "contenders": made}


@pytest.mark.parametrize(("rate", "holds"), [(99, False), (100, True), (101, True)])
def test_a_bar_holds_from_its_limit_on(rate: float, holds: bool) -> None:
    verdict = judged(RATE, {"a": throughputs(ours=rate)})
    assert (verdict.holds, verdict.value, verdict.source) == (holds, rate, "a")


@pytest.mark.parametrize(
    ("comparison", "value", "holds"),
    [
        (Comparison.ABOVE, 100, False),
        (Comparison.ABOVE, 101, True),
        (Comparison.BELOW, 100, False),
        (Comparison.BELOW, 99, True),
    ],
)
def test_above_and_below_leave_out_the_limit(
    comparison: Comparison, value: float, holds: bool
) -> None:
    bar = Bar("rate", throughput("ours"), comparison, 100)
    assert judged(bar, {"a": throughputs(ours=value)}).holds is holds


def test_a_multiple_is_of_the_other_figure() -> None:
    verdict = judged(TWICE, {"a": throughputs(ours=300, peer=150)})
    assert verdict.holds
    assert verdict.measured == "2.00 times: 300 to 150"
    assert TWICE.goal == "at least 2 times the peer"
    assert judged(TWICE, {"a": throughputs(ours=299, peer=150)}).holds is False


def test_both_figures_come_from_one_file() -> None:
    """The newer file has only one of them; then the older one counts, or nothing does."""
    newer = throughputs("2026-01-02", ours=1000)
    older = throughputs("2026-01-01", ours=100, peer=100)
    assert judged(TWICE, {"newer": newer, "older": older}).source == "older"
    assert judged(TWICE, {"newer": newer, "other": throughputs(peer=1)}).holds is None


def test_the_newest_file_counts_and_an_unfinished_one_does_not() -> None:
    results = {
        "z": throughputs("2026-01-01", ours=1),
        "b": throughputs("2026-01-02", ours=100),
        "c": {**throughputs("2026-01-03", ours=1), "finished": False},
    }
    assert judged(RATE, results).source == "b"


def test_without_figures_a_bar_was_not_measured() -> None:
    for results in ({}, {"a": throughputs(peer=1)}, {"a": throughputs(ours=None)}):
        assert judged(RATE, results).holds is None


@pytest.mark.parametrize(
    "other", [{"events": 20_000}, {"zipf": 1.0}, {"duplicates": 0.9}, {"products": 8}]
)
def test_another_input_does_not_count(other: dict[str, Any]) -> None:
    result = throughputs(ours=1000)
    result["workload"] |= other
    assert judged(RATE, {"a": result}).holds is None


def test_each_kind_of_result_gives_its_figures() -> None:
    scale = {
        "kind": "scale",
        "date": "2026-01-01",
        "products": [{"products": 7, "summary": {"events_per_s": {"median": 5}}}],
        "recovery": {
            "products": 7,
            "directory_lost": [{"rows_per_s": 1}, {"rows_per_s": 30}, {"rows_per_s": 2}],
        },
    }
    slow = {"guarantee": "exactly_once", "events_per_s": 100, "p99": 40.0}
    other = {"guarantee": "at_least_once", "events_per_s": 100, "p99": 4.0}
    results: dict[str, dict[str, Any]] = {
        "scale": scale,
        "latency": {"kind": "latency", "date": "2026-01-01", "latencies": [other, slow]},
        "sink": {"kind": "sink", "date": "2026-01-01", "contenders": contenders(ours=9)},
        "soak-1": {"arguments": {"seconds": 1800}, "date": "2026-01-01", "memory": 6},
        "soak-2": {"arguments": {"seconds": 60}, "date": "2026-01-02", "memory": 7},
    }
    figures = [
        known_products(7),
        recovery(7, "directory_lost", lambda start: start["rows_per_s"]),
        latency(100, "p99"),
        sink("ours"),
        soak(lambda result: result["memory"]),
    ]
    bars = [Bar("", figure, Comparison.ABOVE, 0) for figure in figures]
    assert [judged(bar, results).value for bar in bars] == [5, 2, 40.0, 9, 6]
    assert judged(Bar("", known_products(8), Comparison.ABOVE, 0), results).value is None


def test_without_results_no_bar_was_measured() -> None:
    found = verdicts({})
    assert len(found) == len(BARS)
    assert "yes" not in table(found)
    assert ": 0 hold, 0 do not hold, " in counted(found)


def test_the_table_says_which_hold() -> None:
    aim = Bar("aim", throughput("ours"), Comparison.AT_LEAST, 1000, only_towards=True)
    results = {"a": throughputs(ours=100)}
    lines = table([judged(bar, results) for bar in (RATE, TWICE, aim)]).splitlines()[2:]
    assert lines[0] == "| rate | at least 100 events/s | 100 | yes | a |"
    assert lines[1] == "| twice | at least 2 times the peer |  | not measured |  |"
    assert lines[2] == "| aim | at least 1,000 events/s | 100 | not yet | a |"
    found = [judged(bar, results) for bar in (RATE, TWICE, aim)]
    assert counted(found) == "2 bars: 1 hold, 0 do not hold, 1 were not measured."
