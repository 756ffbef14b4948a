"""The tables of README and of the summary, by results made up here."""

from collections import defaultdict
from typing import Any

from benchmarks.chaos import chaos
from benchmarks.clock import Figures
from benchmarks.rounds import Outcome
from benchmarks.tables import NONE_YET, comparison, growth, inputs, latencies, readme, soak

OURS, QUIX = "ours-exactly-once", "quix-at-least-once"


def outcome(name: str, *rates: int) -> dict[str, Any]:
    """A contender with a round for each rate."""
    rounds = [Figures(rate, rate, 1.0, 10.0, 5.0, 100, 3.0, 7) for rate in rates]
    return Outcome(name, f"the {name}", "", rounds=rounds).record()


def result(*contenders: dict[str, Any], date: str = "2026-01-01", **workload: Any) -> Any:
    """A throughput result, of the usual input but for what is named."""
    usual = {
        "events": 300_000,
        "products": 20_000,
        "duplicates": 0.3,
        "zipf": None,
        "bytes_per_event": 400,
    }
    return {
        "kind": "throughput",
        "date": date,
        "machine": {"cores": 2},
        "workload": usual | workload,
        "contenders": list(contenders),
    }


def test_the_comparison_has_those_that_are_compared_fastest_first() -> None:
    raw = outcome("raw-aiokafka", 9)
    text = comparison({"a": result(outcome(QUIX, 1000), outcome(OURS, 5000, 9000, 7000), raw)}, "r")
    rows = [line for line in text.splitlines() if line.startswith("| the")]
    assert rows == [
        f"| the {OURS} | 7,000 (5,000-9,000) | 10.0 | 100 |",
        f"| the {QUIX} | 1,000 (1,000-1,000) | 10.0 | 100 |",
    ]
    assert "median and range of 3 rounds ([result file](r/a.md))" in text


def test_the_table_of_the_readme_is_a_part_of_the_comparison() -> None:
    results = {"a": result(outcome(OURS, 5000), outcome("ours-at-least-once", 9000))}
    rows = [line for line in readme(results, "r").splitlines() if line.startswith("| the")]
    assert rows == [f"| the {OURS} | 5,000 (5,000-5,000) | 10.0 | 100 |"]
    assert rows[0] in comparison(results, "r")


def test_who_has_no_figure_is_in_the_comparison_with_the_reason() -> None:
    absent = Outcome(QUIX, "quix", "", could_not_run="no environment\nand more").record()
    assert "| quix | no figure: no environment | | |" in comparison({"a": result(absent)}, "r")


def test_the_comparison_is_of_the_widest_finished_result_then_of_the_newest() -> None:
    both = (outcome(OURS, 1), outcome(QUIX, 1))
    results = {
        "narrow": result(outcome(OURS, 1), date="2026-01-04"),
        "old": result(*both, date="2026-01-01"),
        "new": result(*both, date="2026-01-02"),
        "unfinished": {**result(*both, date="2026-01-03"), "finished": False},
        "other": result(*both, date="2026-01-05", zipf=1.0),
    }
    assert "(r/new.md)" in comparison(results, "r")


def test_every_input_that_was_measured_is_a_column() -> None:
    results = {
        "a": result(outcome(OURS, 5000), outcome(QUIX, 1000)),
        "b": result(outcome(OURS, 7000), zipf=1.0),
        "c": result({**outcome(OURS), "failures": ["wrong"]}, duplicates=0.9),
    }
    head, _, *rows = inputs(results, "r").splitlines()
    assert head == "| events/s | [usual](r/a.md) | [Zipf](r/b.md) | [90 % duplicates](r/c.md) |"
    assert rows == [f"| the {OURS} | 5,000 | 7,000 | no figure |", f"| the {QUIX} | 1,000 |  |  |"]


def test_latency_and_growth_are_of_the_newest_result() -> None:
    p99 = {"events_per_s": 100, "guarantee": "exactly_once", "p50": 1.0, "p99": 2.0, "p999": 3.0}
    each = {"kind": "latency", "latencies": [p99, {**p99, "guarantee": "at_least_once"}]}
    results = {"old": {**each, "date": "2026-01-01"}, "new": {**each, "date": "2026-01-02"}}
    text = latencies(results, "r")
    assert "(r/new.md)" in text
    assert text.count("| 100 | 1.0 | 2.0 | 3.0 |") == 1
    point = {"products": 1000, **outcome(OURS, 5000)}
    recovery = {"products": 7000, "directory_lost": [{"rows_per_s": 3000}]}
    scale = {"kind": "scale", "date": "2026-01-01", "products": [point], "recovery": recovery}
    text = growth({"a": scale}, "r")
    assert "| 1,000 | 5,000 | 10.0 | 100 |" in text
    assert "7,000 products from `src_products` at 3,000 rows/s" in text


def test_the_soak_has_its_quarters_and_its_faults() -> None:
    medians = defaultdict(lambda: [0.0] * 4, {"rss_mib": [170.0, 171.5, 172.0, 173.0]})
    result = {
        "date": "2026-01-01",
        "arguments": {"seconds": 1800},
        "events": 9_000_000,
        "faults": 0,
        "medians_by_quarter": medians,
    }
    text = soak({"soak-a": result}, "r")
    assert "9,000,000 events in 30 minutes ([result file](r/soak-a.json)" in text
    assert "no growth" in text
    assert "| memory, MiB | 170.0 | 171.5 | 172.0 | 173.0 |" in text
    assert "2 faults" in soak({"soak-a": {**result, "faults": 2}}, "r")


def test_without_results_there_is_no_table() -> None:
    assert {made({}, "r") for made in (readme, comparison, inputs, latencies, growth, soak)} == {
        NONE_YET
    }


def test_the_table_of_chaos_has_a_row_for_each_file_with_what_was_found_and_done() -> None:
    runs = [{"brokers": 3, "longest_stall_s": 12.4}, {"brokers": 3, "longest_stall_s": 31.6}]
    sums: dict[str, Any] = {
        "events": 120_000,
        "expected": 90_000,
        "missing": 1,
        "extra": 2,
        "wrong_final": 3,
    }
    sums |= {"uncommitted": 4, "wrong_states": 5, "done": {"kill": 6, "roll": 7}}
    results: dict[str, Any] = {
        "chaos-cluster": {"kind": "chaos", "date": "2026-01-01", "runs": runs, "sums": sums},
        "a-soak": {"kind": "soak", "date": "2026-01-02"},
    }
    found = "| 3 | 2 | 120,000 | 90,000 | 1 | 2 | 3 | 4 | 5 | 32 s |"
    assert f"{found} [chaos-cluster](there/chaos-cluster.json) |" in (
        lines := chaos(results, "there").splitlines()
    )
    assert lines[-1] == "* 3 broker(s): kill 6, roll 7."
