"""What is decided again after a crash brings the states to those of a run without one."""

from typing import Any, Literal, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dedup.core.decide_again import decide_again
from dedup.core.keys import Id
from dedup.core.state import State, decode_state
from tests.core.histories import MANY, History, histories
from tests.core.runs import CLOCK, PARTITION, Run
from tests.support.products import rules


class Record(NamedTuple):
    """A record of the source topic."""

    offset: int
    key: bytes | None
    value: bytes | None


def records_of(history: History, begin: int, end: int) -> list[Record]:
    return [Record(at, history[at].key, history[at].value) for at in range(begin, end)]


def states_of(run: Run) -> dict[Id, State]:
    return {row_id: decode_state(data) for row_id, data in run.states.items()}


def after_a_crash(history: History, flushed: int, killed: int, order: Any) -> tuple[Run, Run]:
    """A run up to the kill; what is known then from disk, as of the flush, and topic."""
    whole, found = Run(rules(order=order)), Run(rules(order=order))
    found.read(history, 0, flushed)
    on_disk = len(found.records)
    whole.read(history, 0, killed)
    found.recover(whole.records[on_disk:])
    return whole, found


@MANY
@given(history=histories(), data=st.data())
@pytest.mark.parametrize("order", ["event_time", "arrival"])
def test_states_after_a_kill_are_those_of_a_run_without_one(
    order: Literal["event_time", "arrival"], history: History, data: st.DataObject
) -> None:
    """Wherever the flush was and the kill, and however much of what the disk has is done again."""
    killed = data.draw(st.integers(0, len(history)), "killed before")
    flushed = data.draw(st.integers(0, killed), "flushed before")
    begin = data.draw(st.integers(0, flushed), "decided again from")
    whole, found = after_a_crash(history, flushed, killed, order)

    known = states_of(found)
    again = records_of(history, begin, killed)
    changed = decide_again(again, known, PARTITION, CLOCK, rules(order=order))

    assert known == states_of(whole)
    assert states_of(found) | changed == known


@MANY
@given(history=histories(), data=st.data())
def test_other_rules_after_a_kill_change_no_row_and_forget_no_time(
    history: History, data: st.DataObject
) -> None:
    """The worker was restarted with other settings: what was decided stays so."""
    flushed = data.draw(st.integers(0, len(history)), "flushed before")
    _, found = after_a_crash(history, flushed, len(history), "event_time")
    before = states_of(found)
    other = rules(content=("price",), order=data.draw(st.sampled_from(["event_time", "arrival"])))

    known = dict(before)
    decide_again(records_of(history, flushed, len(history)), known, PARTITION, CLOCK, other)

    for row_id, state in known.items():
        if row_id in before:
            assert state.row == before[row_id].row
            assert state.event_time >= before[row_id].event_time
        else:
            assert state.row is None  # the marker of a delete of an unknown row
