"""A figure counts only if the output is right: what the judge finds, on workloads made by hand."""

from dataclasses import replace

import orjson
import pytest

from benchmarks.clock import Figures, RunFailedError, Samples
from benchmarks.contender import Judgement
from benchmarks.measuring import progress
from benchmarks.workload import Emission, Workload, new_workload
from dedup.demo.example import Choice
from producer.events import Mix
from tests.support.records import event, record

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


def test_each_strategy_is_judged_by_its_own_oracle() -> None:
    """A, B, A by new ids: `latest` emits all, `distinct` the first two; A again by its id none."""
    back = event(1, number=4, stock_quantity=1)
    distinct = workload(A, B, back).judged_by(Choice("distinct", 600))
    assert distinct.expected_records == 2
    assert distinct.faults([row(A), row(B)], Judgement.SEQUENCE) == []
    assert distinct.faults([row(A), row(B), row(back)], Judgement.SEQUENCE)
    by_id = workload(A, A_AGAIN, A_AGAIN).judged_by(Choice("event_id", 600))
    assert by_id.faults([row(A), row(A_AGAIN)], Judgement.SEQUENCE) == []
    assert by_id.faults([row(A)], Judgement.SEQUENCE)


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
    """A second of CPU a second, half of it for the broker, sampled now and then."""
    return Samples([0.0, 4000.0, 20_000.0], [0.0, 4.0, 20.0], [0.0, 2.0, 10.0], 2**20)


def figures(
    output: list[Emission], workload: Workload, samples: Samples, begun_ms: float
) -> Figures:
    """The figures of a run with this output."""
    return progress(output, workload).figures(samples, begun_ms, len(output))


def steady(first: int, begin_ms: int, events: int = 20) -> tuple[list[bytes], list[Emission]]:
    """Changes only: the first ones at once, then one every 100 ms."""
    values = [event(1, number=n, stock_quantity=n) for n in range(events)]
    stamps = [begin_ms + 100 * max(0, n - first + 1) for n in range(events)]
    return values, [row(value, stamp) for value, stamp in zip(values, stamps, strict=True)]


@pytest.mark.parametrize("first", [1, 2, 5, 8])
def test_a_large_first_batch_and_a_late_start_count_for_nobody(first: int) -> None:
    """However many come at once and however late, it is ten a second from then on."""
    values, output = steady(first, begin_ms=3000)
    found = figures(output, workload(*values), samples(), begun_ms=1000)
    assert (found.events_per_s, found.second_half_events_per_s) == (10, 10)
    assert found.cpu_us_per_event == 100_000
    assert found.broker_cpu_us_per_event == 50_000
    assert (found.records, found.seconds_to_first_record) == (20, 2.0)


def test_the_window_is_from_a_tenth_to_nine_tenths() -> None:
    values, output = steady(1, begin_ms=0)
    assert figures(output, workload(*values), samples(), begun_ms=0).seconds == 1.6


def test_the_second_half_is_that_of_the_events() -> None:
    """Half of the events in steps of 100 ms, the others in steps of 50 ms."""
    values, output = steady(1, begin_ms=0)
    faster = [
        each._replace(stamp_ms=900 + 50 * (n - 9)) if n > 9 else each
        for n, each in enumerate(output)
    ]
    assert figures(faster, workload(*values), samples(), begun_ms=0).second_half_events_per_s == 20


def test_the_window_of_a_populated_workload_is_of_what_comes_after() -> None:
    values, output = steady(1, begin_ms=0, events=30)
    judge = workload(*values, populated=10)
    assert figures(output, judge, samples(), begun_ms=0).seconds == 1.6


def test_an_output_written_in_few_steps_has_no_figure() -> None:
    values, output = steady(19, begin_ms=0)
    with pytest.raises(RunFailedError, match="take more events"):
        figures(output, workload(*values), samples(), begun_ms=0)


def test_progress_is_over_all_partitions() -> None:
    one = workload(A)
    other = record(0, event(2, number=2), b"2", partition=1)
    both = new_workload("products", Mix(), 1, 0, {**one.source, 1: [other]})
    output = [row(A, 1000), row(other.value or b"", 2000)]
    found = progress(output, replace(both, seed=2))
    assert (found.stamps_ms, found.done) == ([1000, 2000], [1, 2])
