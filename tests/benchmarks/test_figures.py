"""README and docs/performance.md say what the result files say, and nothing else."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks.clock import Figures
from benchmarks.documents import DOCUMENTS, PARTS, made_figures, without_figures, written
from benchmarks.figures import NONE_YET, figures
from benchmarks.report import RESULTS, read_results
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


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_a_document_is_what_the_result_files_make(document: Path) -> None:
    text = document.read_text()
    assert any(made_figures(text))
    assert written(document, text, read_results(RESULTS)) == text, "run make docs"


def test_what_is_between_marks_is_replaced_and_nothing_else() -> None:
    mark = "<!-- figures: results, written by make docs -->"
    text = f"before\n{mark}\nold\n<!-- end of figures -->\nafter\n"
    made = written(DOCUMENTS[0], text, {})
    assert made == f"before\n{mark}\n{NONE_YET.strip()}\n\n<!-- end of figures -->\nafter\n"
    assert written(DOCUMENTS[0], made, {}) == made
    assert without_figures(made) == "before\n\nafter\n"


@pytest.mark.parametrize("name", PARTS)
def test_every_part_can_be_made_without_results(name: str) -> None:
    assert PARTS[name]({}, "results")


def test_without_results_there_is_no_figure() -> None:
    assert figures({}) == NONE_YET


def test_sizing_is_reckoned_from_the_result_with_the_most_events() -> None:
    """100,000 events/s measured, 60 % of it used: ten million need 167 workers."""
    text = figures({"small": throughput(1000, 1), "large": throughput(2000, 100_000)})
    assert "Reckoned from `large`" in text
    assert "| 10,000,000 | 167 | 512 | 4,000 | 50 |" in text
    assert "2,000 events of 400 bytes, 20 products (uniform), 30% duplicates" in text
