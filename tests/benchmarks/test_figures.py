"""docs/performance.md says what the result files say, and nothing else."""

from typing import Any

from benchmarks.clock import Figures
from benchmarks.figures import BEGIN, DOCUMENT, END, NONE_YET, figures, results
from benchmarks.report import RESULTS
from benchmarks.rounds import Outcome


def throughput(events: int, rate: int) -> dict[str, Any]:
    """A result in which the default worker has one round."""
    ours = Outcome("ours-exactly-once", "ours", "")
    ours.rounds = [Figures(rate, rate, 1.0, 10.0, 5.0, 100, 3.0, 7)]
    workload = {
        "events": events,
        "bytes_per_event": 400,
        "products": 20,
        "duplicates": 0.3,
        "zipf": None,
    }
    machine = {"cores": 2, "processor": "a processor", "python": "3", "kafka": "4"}
    return {
        "kind": "throughput",
        "command": "python -m benchmarks",
        "date": "2026-01-01",
        "machine": machine,
        "workload": workload,
        "contenders": [ours.record()],
    }


def test_the_document_is_what_the_result_files_make() -> None:
    written = DOCUMENT.read_text().partition(BEGIN)[2].partition(END)[0]
    assert written.strip() == figures(results(RESULTS)).strip(), "run make docs"


def test_without_results_there_is_no_figure() -> None:
    assert figures({}) == NONE_YET


def test_the_worker_is_held_against_its_goals() -> None:
    result = throughput(1000, 60_000)
    for name, rate in (("quix-at-least-once", 20_000), ("raw-aiokafka", 100_000), ("other", 1)):
        peer = Outcome(name, f"peer {name}", "")
        peer.rounds = [Figures(rate, rate, 1.0, 10.0, 5.0, 100, 3.0, 7)]
        result["contenders"].append(peer.record())
    text = figures({"a": result})
    assert "| peer quix-at-least-once | 3.00 | 2.5 | yes |" in text
    assert "| peer raw-aiokafka | 0.60 | 0.85 | no |" in text
    assert "| peer other | 0" not in text
    assert "against" not in figures({"b": throughput(1000, 1)})


def test_sizing_is_reckoned_from_the_result_with_the_most_events() -> None:
    """100,000 events/s measured, 60 % of it used: ten million need 167 workers."""
    text = figures({"small": throughput(1000, 1), "large": throughput(2000, 100_000)})
    assert "Reckoned from `large`" in text
    assert "| 10,000,000 | 167 | 512 | 4,000 | 50 |" in text
    assert "2,000 events of 400 bytes, 20 products (uniform), 30% duplicates" in text
