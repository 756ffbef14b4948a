"""A figure counts only if the output is right: what the judge finds, on workloads made by hand."""

from dataclasses import replace

import orjson
import pytest

from benchmarks.contender import Judgement
from benchmarks.measuring import RunFailedError, Samples, figures, progress
from benchmarks.workload import Emission, Workload, new_workload
from producer.events import Mix
from tests.records import event, record

A, A_AGAIN, B = (
    event(1, number=1, stock_quantity=1),
    event(1, number=2, stock_quantity=1),
    event(1, number=3, stock_quantity=2),
)
GONE = event(1, number=4, action="deleted")


def workload(*values: bytes, populated: int = 0) -> Workload:
    """Events of product 1 on partition 0."""
    source = {0: [record(offset, value) for offset, value in enumerate(values)]}
    return new_workload("products", Mix(), 1, populated, source)


def row(value: bytes, stamp_ms: int = 0) -> Emission:
    """The right row of an event."""
    document = orjson.loads(value)
    product = document["product"]
    content = Workload.content(product)
    return Emission(product["product_id"], document["event_id"], content, stamp_ms)


TOMBSTONE = Emission(1, None, None, 0)


@pytest.mark.parametrize("judgement", [Judgement.SEQUENCE, Judgement.FINAL_STATE])
def test_the_right_output_has_no_faults(judgement: Judgement) -> None:
    judge = workload(A, A_AGAIN, B, GONE)
    assert judge.faults([row(A), row(B), TOMBSTONE], judgement) == []


@pytest.mark.parametrize(
    "output",
    [
        [row(A)],
        [row(B)],
        [row(A), row(A_AGAIN), row(B)],
        [row(B), row(A)],
        [row(A), row(B), TOMBSTONE],
        [],
    ],
    ids=["one missing", "first missing", "one too many", "order", "deleted", "nothing"],
)
def test_another_sequence_is_a_fault(output: list[Emission]) -> None:
    assert workload(A, A_AGAIN, B).faults(output, Judgement.SEQUENCE)


def test_a_final_state_may_come_from_any_event_of_its_content() -> None:
    judge = workload(A, A_AGAIN)
    assert judge.faults([row(A_AGAIN)], Judgement.FINAL_STATE) == []
    assert judge.faults([row(A_AGAIN)], Judgement.SEQUENCE)


def test_another_final_state_is_a_fault() -> None:
    judge = workload(A, B)
    assert judge.faults([row(A)], Judgement.FINAL_STATE)
    assert judge.faults([row(A), row(B), TOMBSTONE], Judgement.FINAL_STATE)


@pytest.mark.parametrize("judgement", [Judgement.SEQUENCE, Judgement.FINAL_STATE])
def test_a_row_that_differs_from_its_event_is_a_fault(judgement: Judgement) -> None:
    wrong = row(B)._replace(content=row(A).content)
    assert workload(A, B).faults([row(A), wrong], judgement)


def test_passing_through_needs_every_event() -> None:
    judge = workload(A, A_AGAIN)
    assert judge.faults([row(A), row(A_AGAIN)], Judgement.EVERY_EVENT) == []
    assert judge.faults([row(A)], Judgement.EVERY_EVENT)


def samples() -> Samples:
    """One second of CPU a second from the start on, sampled at 0 s, 4 s and 10 s."""
    return Samples([0.0, 4000.0, 10_000.0], [0.0, 4.0, 10.0], [0.0, 2.0, 5.0], 2**20)


def test_what_was_done_when_the_clock_began_does_not_count() -> None:
    """Three of four events in a first batch at 1 s, the last one at 3 s: one event in 2 s."""
    fourth = event(1, number=4, stock_quantity=3)
    judge = workload(A, A_AGAIN, B, fourth)
    output = [row(A, 1000), row(B, 1000), row(fourth, 3000)]
    assert progress(output, judge) == ([1000, 3000], [3, 4])
    found = figures(output, judge, samples(), begun_ms=0)
    assert (found.seconds, found.records, found.seconds_to_first_record) == (2.0, 3, 1.0)
    assert found.cpu_us_per_event == 2_000_000
    assert found.broker_cpu_us_per_event == 1_000_000
    assert found.events_per_s == round(1 / 2)


def test_the_clock_of_a_populated_workload_begins_when_every_product_is_there() -> None:
    judge = workload(A, B, event(1, number=4, stock_quantity=3), populated=1)
    output = [row(A, 1000), row(B, 5000), row(event(1, number=4, stock_quantity=3), 6000)]
    assert figures(output, judge, samples(), begun_ms=0).seconds == 1.0


def test_an_output_written_at_once_has_no_figure() -> None:
    with pytest.raises(RunFailedError, match="no time to measure"):
        figures([row(A, 1000), row(B, 1000)], workload(A, B), samples(), begun_ms=0)


def test_progress_is_over_all_partitions() -> None:
    one = workload(A)
    other = record(0, event(2, number=2), b"2", partition=1)
    both = new_workload("products", Mix(), 1, 0, {**one.source, 1: [other]})
    output = [row(A, 1000), row(other.value or b"", 2000)]
    assert progress(output, replace(both, seed=2)) == ([1000, 2000], [1, 2])
