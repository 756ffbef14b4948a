"""Whole histories: the core against two independent judges, through replays and rebuilds."""

import json
from collections import Counter
from decimal import Decimal
from itertools import pairwise
from typing import Any, Literal

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from dedup.demo.example import Choice
from producer.example import oracle_of
from tests.core.histories import FLAWS, MANY, Content, Item, Meaning, histories
from tests.core.runs import (
    Emitted,
    Model,
    Run,
    judged,
    rules_of,
    without_forgotten_times,
)
from tests.support.products import rules

Order = Literal["event_time", "arrival"]
orders = pytest.mark.parametrize("order", ["event_time", "arrival"])


def emitted(run: Run) -> Emitted:
    """What the records of a run say, read by nothing of the core."""
    found: Emitted = {}
    for record in run.records:
        product_id = json.loads(record.key)["product_id"]
        row = None if record.value is None else json.loads(record.value)
        entry = None if row is None else (row["last_event_id"], content(row))
        found.setdefault(product_id, []).append(entry)
    return found


def content(row: dict[str, Any]) -> Content:
    return {
        "product_name": row["product_name"],
        "description": row["description"],
        "price": int(Decimal(row["price"]) * 100),
        "stock_quantity": row["stock_quantity"],
        "discount": int(Decimal(row["discount"]) * 100),
    }


@orders
@given(history=histories())
@MANY
def test_every_event_has_the_outcome_and_the_row_the_model_says(
    order: Order, history: list[Item]
) -> None:
    run, model = Run(rules(order=order)), Model(order)
    expected = [model.judge(item) for item in history]
    found: list[str] = []
    for offset in range(len(history)):
        run.outcomes.clear()
        run.read(history, offset, offset + 1)
        found += run.outcomes
    for outcome in set(expected):
        event(outcome)
    assert found == expected
    assert emitted(run) == model.emitted


CHOICES = [
    Choice(),
    Choice("latest", 60, "sliding"),
    *(
        Choice(strategy, 60, kind, entries)
        for strategy in ("distinct", "event_id")
        for kind in ("fixed", "sliding")
        for entries in (2, 64)
    ),
]


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: f"{choice}, {choice.window_entries}")
@given(history=histories(FLAWS))
@MANY
def test_the_oracle_of_the_demo_agrees(choice: Choice, history: list[Item]) -> None:
    run, oracle = Run(rules_of(choice)), oracle_of(choice)
    run.read(history)
    oracle.feed((item.key, item.value) for item in history)
    ids = {
        product_id: [None if entry is None else entry[0] for entry in entries]
        for product_id, entries in emitted(run).items()
    }
    assert ids == oracle.emitted
    assert run.outcomes == oracle.outcomes


@orders
@given(history=histories())
@MANY
def test_no_record_repeats_the_one_before_it(order: Order, history: list[Item]) -> None:
    """Neither a row with the content of the last, nor a tombstone of what is not there."""
    run = Run(rules(order=order))
    run.read(history)
    for entries in emitted(run).values():
        contents = [None if entry is None else entry[1] for entry in entries]
        assert contents[0] is not None
        assert all(this != last for last, this in pairwise(contents))


def journeys(length: int, *, committing: bool = False) -> st.SearchStrategy[list[tuple[int, int]]]:
    """How a history is read with crashes: how far each life gets, and where the next begins.

    Every life begins where an earlier one has been - `committing`: and not before that one, as
    commits never go back; the last one reads to the end.
    """
    lives = st.lists(st.tuples(st.integers(0, length), st.integers(0, length)), max_size=4)
    return lives.map(_journey(length, committing))


def _journey(length: int, committing: bool) -> Any:
    def build(lives: list[tuple[int, int]]) -> list[tuple[int, int]]:
        journey, start, reached = [], 0, 0
        for ahead, back in lives:
            stop = min(length, start + ahead)
            journey.append((start, stop))
            reached = max(reached, stop)
            start = max(start if committing else 0, min(reached, back))
        return [*journey, (start, length)]

    return build


@orders
@given(history=histories(), data=st.data())
@MANY
def test_a_replay_from_any_point_emits_nothing_new(
    order: Order, history: list[Item], data: st.DataObject
) -> None:
    """With the states kept, as often as one likes: rule 2."""
    once, again = Run(rules(order=order)), Run(rules(order=order))
    once.read(history)
    journey = data.draw(journeys(len(history)))
    for start, stop in journey:
        again.read(history, start, stop)
    assert again.sequences() == once.sequences()
    assert emitted(again) == judged(history, order).emitted


@orders
@given(history=histories(), data=st.data())
@MANY
def test_a_rebuild_from_the_topic_alone_goes_on_as_if_nothing_had_happened(
    order: Order, history: list[Item], data: st.DataObject
) -> None:
    """Each life loses its disk, and begins at a point committed before: section 4.

    Late events are older than the last emission: the exception is the next test but one.
    """
    if order == "event_time":
        history = without_forgotten_times(history)
    once, topic = Run(rules(order=order)), Run(rules(order=order))
    once.read(history)
    for start, stop in data.draw(journeys(len(history), committing=True)):
        topic.states.clear()
        topic.recover(topic.records)
        topic.read(history, start, stop)
    assert topic.sequences() == once.sequences()


@given(history=histories(), data=st.data())
@MANY
def test_a_crash_before_the_states_are_written_changes_nothing(
    history: list[Item], data: st.DataObject
) -> None:
    """The states of an earlier moment, brought up to date from what the topic has beyond them."""
    history = without_forgotten_times(history)
    run, once = Run(), Run()
    once.read(history)
    committed, written, published = sorted(
        data.draw(st.tuples(*[st.integers(0, len(history))] * 3))
    )
    run.read(history, 0, written)
    states, known_records = dict(run.states), len(run.records)
    run.read(history, written, published)
    run.states = states
    run.recover(run.records[known_records:])
    run.read(history, committed)
    assert run.sequences() == once.sequences()


def product_event(time: int, *, action: str = "updated", **fields: str) -> Item:
    """An event of product 1, `time` seconds after noon."""
    document = {
        "event_id": f"at {time}",
        "action": action,
        "timestamp": f"2024-01-01T12:00:{time:02d}Z",
        "product": {"product_id": 1, **fields},
    }
    return Item(b"1", json.dumps(document).encode(), Meaning(1, action, time, f"at {time}", {}))


LAMP = {"product_name": "Lamp", "price": "10.00"}
DEAR_LAMP = {"product_name": "Lamp", "price": "99.00"}


def test_a_rebuild_knows_the_time_of_the_last_emission_only() -> None:
    """Rule 5: a duplicate's time is remembered in RocksDB, not in the topic."""
    history = [
        product_event(10, **LAMP),
        product_event(30, **LAMP),
        product_event(20, **DEAR_LAMP),
    ]
    run = Run()
    run.read(history)
    assert run.outcomes == Counter(change=1, duplicate=1, stale=1)
    rebuilt = Run()
    rebuilt.recover(run.records)
    rebuilt.read(history, 2)
    assert rebuilt.outcomes == Counter(change=1)


def test_a_refused_partial_update_stays_refused_when_replayed() -> None:
    """Section 4: a crash emits nothing that a run without it does not emit.

    The refused one is newer than the creation after it, and before the state's offset when it
    comes again: that is not a recreated topic.
    """
    history = [
        product_event(30, price="99.00"),
        product_event(10, action="created", **LAMP),
    ]
    run = Run()
    run.read(history)
    assert run.outcomes == Counter(dead_letter=1, change=1)
    before = run.sequences()
    run.read(history)
    assert run.sequences() == before
