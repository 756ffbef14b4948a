"""What the pages and the API say of the strategy and its window."""

from dataclasses import replace
from typing import Any

import pytest

from dedup.core.decide import Outcome, Position, ProcessingTime, decide
from dedup.core.window import Strategy
from dedup.web.rendering import meanings
from dedup.web.window_view import duplicates_are, remembered_now
from tests.support.products import CODEC, rules
from tests.support.records import event

FIRST_US = 1_767_225_600_000_000
MINUTE_US = 60_000_000
DISTINCT = rules(strategy="distinct", window_us=10 * MINUTE_US)


def known(by: Any, *contents: int) -> Any:
    state = None
    for offset, content in enumerate(contents):
        value = event(number=offset, stock_quantity=content)
        clock = ProcessingTime(FIRST_US, "2026-01-01T00:00:00.000000Z")
        read = CODEC.read(b"1", value)
        state = decide(read, state, Position(0, offset), clock, by).state or state
    return state


def test_what_is_remembered_is_shown_with_its_window() -> None:
    state = known(DISTINCT, 1, 2)
    found = remembered_now(state, DISTINCT, FIRST_US + 3 * MINUTE_US + 1_000_000)
    assert [each.of_row for each in found] == [True, False]
    assert {each.text for each in found} == {"seen 3 min ago, window 10 min"}
    assert all(each.inside for each in found)
    assert [each.seen_at for each in found] == [
        "2026-01-01T00:00:01.000000Z",
        "2026-01-01T00:00:00.000000Z",
    ]
    late = remembered_now(state, DISTINCT, FIRST_US + 10 * MINUTE_US)
    assert [each.inside for each in late] == [True, False]  # the window's end is not part of it


def test_without_a_window_there_is_nothing_to_show() -> None:
    assert remembered_now(known(rules(), 1), rules(), FIRST_US) == []
    refreshing = rules(window_us=MINUTE_US)
    assert len(remembered_now(known(refreshing, 1, 2), refreshing, FIRST_US)) == 1


def test_the_table_may_lag_with_distinct_contents_alone() -> None:
    strategies: tuple[Strategy, ...] = ("latest", "distinct", "event_id")
    shown = {s: duplicates_are(replace(DISTINCT, strategy=s)) for s in strategies}
    assert {s: each.may_lag for s, each in shown.items()} == {
        "latest": False,
        "distinct": True,
        "event_id": False,
    }
    assert {each.window_seconds for each in shown.values()} == {600}
    assert duplicates_are(rules()).window_seconds is None


@pytest.mark.parametrize("strategy", ["latest", "distinct", "event_id"])
def test_every_outcome_has_a_meaning_and_a_dry_run_emits_nothing(strategy: str) -> None:
    real, dry = meanings(strategy, dry_run=False), meanings(strategy, dry_run=True)
    assert real.keys() == dry.keys() == set(Outcome)
    assert not any("would" in text for text in real.values())
    differing = {outcome for outcome in Outcome if real[outcome] != dry[outcome]}
    assert differing == {*(Outcome.CHANGE, Outcome.REFRESH, Outcome.TOMBSTONE, Outcome.DEAD_LETTER)}
    assert real[Outcome.TOMBSTONE] == "{name} deleted; a null value is emitted"
    assert dry[Outcome.TOMBSTONE] == "{name} deleted; a null value would be emitted"


def test_what_a_duplicate_means_depends_on_the_strategy() -> None:
    said = {s: meanings(s, dry_run=False) for s in ("latest", "distinct", "event_id")}
    assert len({each[Outcome.DUPLICATE] for each in said.values()}) == 3
    assert len({each[Outcome.REFRESH] for each in said.values()}) == 3
