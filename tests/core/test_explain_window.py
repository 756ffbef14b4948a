"""What is said of the window is what the next decision makes of it."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from dedup.core.decide import Outcome, Position, ProcessingTime, Rules, decide
from dedup.core.explain import explain
from dedup.core.explain_window import described, is_inside, remembered_of, seen_text
from dedup.core.state import State
from dedup.core.window import Strategy, WindowKind
from tests.support.products import CODEC, rules
from tests.support.records import event

MINUTE_US = 60_000_000
FIRST_US = 1_767_225_600_000_000
CLOCK = ProcessingTime(FIRST_US, "2026-01-01T00:00:00.000000Z")


def rules_of(strategy: Strategy, kind: WindowKind = "fixed") -> Rules:
    return rules(strategy=strategy, window_us=10_000_000, window_kind=kind)


def said(content: int, second: int, event_id: str) -> bytes:
    value = event(number=second, stock_quantity=content)
    return value.replace(b'"evt_%d"' % second, b'"%s"' % event_id.encode())


def apply(events: Sequence[bytes], by: Rules) -> tuple[State, Outcome, str]:
    """Apply events in order; return the state, and the outcome of the last with the reason."""
    state = None
    for offset, value in enumerate(events):
        read, at, before = CODEC.read(b"1", value), Position(0, offset), state
        decision = decide(read, before, at, CLOCK, by)
        state = decision.state or state
    assert state is not None
    return state, decision.outcome, explain(read, before, decision, at, by).why


A, B, C = said(1, 0, "a"), said(2, 2, "b"), said(3, 3, "c")


@pytest.mark.parametrize("kind", ["fixed", "sliding"])
@pytest.mark.parametrize("strategy", ["distinct", "event_id"])
def test_what_is_said_to_be_inside_is_a_duplicate_when_it_comes(
    strategy: Strategy, kind: WindowKind
) -> None:
    """A, B, C, and A again after 5 s: when each comes then, at every second, it is as was said."""
    by = rules_of(strategy, kind)
    again = [*(A, B, C), said(1, 5, "a")]
    state, outcome, _ = apply(again, by)
    assert outcome is Outcome.DUPLICATE
    found = remembered_of(state, by, CODEC)
    assert [entry.is_row for entry in found].count(True) == 1
    contents = {1: "a", 2: "b", 3: "c"}
    number = {FIRST_US: 1, FIRST_US + 5_000_000: 1, FIRST_US + 2_000_000: 2}
    for entry in found:
        content = number.get(entry.seen_at, 3)
        assert entry.is_row is (content == 3)
        for second in range(5, 20):
            _, outcome, _ = apply([*again, said(content, second, contents[content])], by)
            inside = is_inside(entry, state, by, FIRST_US + second * 1_000_000)
            assert (outcome is Outcome.DUPLICATE) is inside, (content, second)


@pytest.mark.parametrize("strategy", ["distinct", "event_id"])
@pytest.mark.parametrize("before", ["latest", "distinct", "event_id"])
def test_a_state_of_another_strategy_remembers_its_row(
    strategy: Strategy, before: Strategy
) -> None:
    state, _, _ = apply([A, B], rules_of(before))
    found = remembered_of(state, rules_of(strategy), CODEC)
    assert (len(found) == 2) is (before == strategy)
    assert found[0].is_row
    assert found[0].seen_at == FIRST_US + 2_000_000


def test_contents_by_other_fields_are_not_those_that_are_compared_now() -> None:
    by_price = replace(rules_of("distinct"), codec=rules(("price",)).codec)
    state, _, _ = apply([A], by_price)
    assert [e.is_row for e in remembered_of(state, rules_of("distinct"), CODEC)] == [True]


def test_a_deleted_row_remembers_event_ids_alone() -> None:
    deleted = event(number=3, action="deleted").replace(b"evt_3", b"d")
    state, _, _ = apply([A, B, deleted], rules_of("distinct"))
    assert remembered_of(state, rules_of("distinct"), CODEC) == []
    state, _, _ = apply([A, B, deleted], rules_of("event_id"))
    found = remembered_of(state, rules_of("event_id"), CODEC)
    assert [entry.is_row for entry in found] == [False] * 3


def test_with_the_latest_state_the_row_is_remembered() -> None:
    by = rules_of("latest", "sliding")
    state, _, _ = apply([A, B, said(2, 7, "x")], by)
    (entry,) = remembered_of(state, by, CODEC)
    assert (entry.seen_at, entry.is_row) == (FIRST_US + 7_000_000, True)
    by = rules_of("latest")
    (entry,) = remembered_of(state, by, CODEC)
    assert entry.seen_at == CLOCK.now_us  # the emission


def test_when_something_was_seen_is_said_in_words() -> None:
    by = replace(rules_of("distinct"), window_us=10 * MINUTE_US)
    state, _, _ = apply([A], by)
    (entry,) = remembered_of(state, by, CODEC)
    assert seen_text(entry, by, FIRST_US + 4 * MINUTE_US - 1) == "seen 3 min ago, window 10 min"
    assert seen_text(entry, by, FIRST_US - MINUTE_US) == "seen 1 min in the future, window 10 min"


def test_a_newer_event_time_than_now_ends_a_window() -> None:
    by = rules_of("distinct")
    state, _, _ = apply([A, said(2, 30, "b")], by)
    (newest, *_) = remembered_of(state, by, CODEC)
    assert is_inside(newest, state, by, FIRST_US)
    old = newest._replace(seen_at=FIRST_US)
    assert not is_inside(old, state, by, FIRST_US + 1)


@pytest.mark.parametrize(
    ("by", "text"),
    [
        (rules(), "A duplicate is an event with the content of the known state of its product."),
        (
            rules_of("latest"),
            (
                "A duplicate is an event with the content of the known state of its product, less "
                "than 10 s after the last emission."
            ),
        ),
        (
            rules_of("distinct"),
            (
                "A duplicate is content that was emitted for its product less than 10 s before, by "
                "event time. At most 64 are remembered for each product."
            ),
        ),
        (
            rules_of("event_id", "sliding"),
            (
                "A duplicate is an event id that was seen for its product less than 10 s before, "
                "by event time; each duplicate begins the window again. At most 64 are "
                "remembered for each product."
            ),
        ),
    ],
)
def test_the_rules_are_described(by: Rules, text: str) -> None:
    assert described(by, "product") == text


@pytest.mark.parametrize(
    ("strategy", "kind", "event_", "outcome", "why"),
    [
        (
            *("distinct", "fixed", said(1, 7, "x"), Outcome.DUPLICATE),
            (
                "The content was emitted at 2026-01-01T00:00:00.000000Z, 7 s before. The window is "
                "10 s."
            ),
        ),
        (
            *("event_id", "fixed", said(9, 7, "b"), Outcome.DUPLICATE),
            (
                "The event id was emitted at 2026-01-01T00:00:02.000000Z, 5 s before. The window "
                "is 10 s."
            ),
        ),
        (
            *("distinct", "sliding", said(2, 13, "x"), Outcome.REFRESH),
            (
                "The content was seen at 2026-01-01T00:00:02.000000Z, 11 s before. That is outside "
                "the window of 10 s."
            ),
        ),
        (
            *("distinct", "fixed", said(1, 11, "x"), Outcome.CHANGE),
            (
                "stock_quantity differs from the known state. The content was emitted at "
                "2026-01-01T00:00:00.000000Z, 11 s before: outside the window of 10 s."
            ),
        ),
        (
            *("event_id", "fixed", said(2, 7, "x"), Outcome.REFRESH),
            "No content field differs, but its event id was not seen within the window.",
        ),
        (
            *("distinct", "fixed", said(3, 7, "x"), Outcome.CHANGE),
            "stock_quantity differs from the known state.",
        ),
    ],
)
def test_the_reason_is_of_the_strategy(
    strategy: Strategy, kind: WindowKind, event_: bytes, outcome: Outcome, why: str
) -> None:
    assert apply([A, B, event_], rules_of(strategy, kind))[1:] == (outcome, why)
