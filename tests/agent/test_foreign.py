"""Which offsets of the output are not this worker's own: the arithmetic, without a broker."""

from dedup.streaming.foreign import GAPS_KEPT, Gap
from tests.agent.conftest import Bench


def test_a_transaction_marker_between_two_writes_is_no_gap(bench: Bench) -> None:
    """Three records at 10, 11 and 12, the transaction marker at 13, two records at 14 and 15."""
    foreign = bench.app.foreign
    foreign.expect({0: 10})
    foreign.note_written(0, 3, 13)
    foreign.note_written(0, 2, 16)
    assert list(foreign._gaps) == []


def test_what_is_between_two_writes_is_a_gap_of_its_partition(bench: Bench) -> None:
    foreign = bench.app.foreign
    foreign.expect({0: 10, 1: 0})
    foreign.note_written(0, 3, 13)
    foreign.note_written(1, 1, 1)
    foreign.note_written(0, 1, 21)
    assert list(foreign._gaps) == [Gap(0, 14, 20)]


def test_what_was_written_after_recovery_and_before_the_first_write_is_a_gap(bench: Bench) -> None:
    foreign = bench.app.foreign
    foreign.expect({0: 10})
    foreign.note_written(0, 1, 16)
    assert list(foreign._gaps) == [Gap(0, 10, 15)]


def test_an_assignment_forgets_what_the_last_one_expected(bench: Bench) -> None:
    """Another worker of the group wrote meanwhile, and recovery has read that."""
    foreign = bench.app.foreign
    foreign.expect({0: 10})
    foreign.note_written(0, 1, 16)
    foreign.expect({0: 90})
    foreign.note_written(0, 1, 91)
    assert list(foreign._gaps) == []


def test_a_partition_without_state_has_no_expectation(bench: Bench) -> None:
    foreign = bench.app.foreign
    foreign.expect({})
    foreign.note_written(0, 1, 500)
    assert list(foreign._gaps) == []


def test_a_topic_that_was_recreated_is_no_gap(bench: Bench) -> None:
    """Its offsets begin again, below what was expected."""
    foreign = bench.app.foreign
    foreign.expect({0: 500})
    foreign.note_written(0, 1, 1)
    foreign.note_written(0, 1, 3)
    assert list(foreign._gaps) == []


def test_gaps_that_nobody_reads_are_bounded(bench: Bench) -> None:
    foreign = bench.app.foreign
    foreign.expect({0: 0})
    for number in range(1, 1_000):
        foreign.note_written(0, 1, number * 10)
    assert len(foreign._gaps) == GAPS_KEPT


def test_a_write_whose_answer_was_lost_is_not_taken_for_somebody_else_s(bench: Bench) -> None:
    """It is between the offsets that are known, committed by this worker."""
    foreign = bench.app.foreign
    foreign.expect({0: 10})
    foreign.note_written(0, 1, 11)
    foreign.note_written(0, 5, None)
    foreign.note_written(0, 1, 19)
    foreign.note_written(0, 1, 21)
    assert list(foreign._gaps) == []
