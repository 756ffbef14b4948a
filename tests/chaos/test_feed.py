"""The feed of chaos tells the strategies apart, and finds a worker that forgets."""

from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import combinations, islice, product

import pytest

from dedup.core.window import Strategy
from dedup.demo.example import LATEST, Choice, History
from producer.example import oracle_of
from tests.chaos.plan import WINDOW_ENTRIES, WINDOWS_S, choice_by, products_in_chaos
from tests.core.histories import Item
from tests.core.runs import Run, rules_of

PRODUCTS = 60
EVENTS = 6_000
STEP = 100
APART = timedelta(milliseconds=11)
"""As many events of a product in a second as in a run of chaos."""

CHOICES = [
    LATEST,
    Choice("latest", 3, "sliding"),
    Choice("distinct", 3, "fixed"),
    Choice("distinct", 3, "sliding"),
    Choice("event_id", 3, "fixed"),
    Choice("event_id", 3, "sliding"),
]


@cache
def feed() -> list[Item]:
    times = (datetime(2026, 1, 1, tzinfo=UTC) + n * APART for n in range(2 * EVENTS))
    generated = products_in_chaos(LATEST).generate(7, PRODUCTS, times.__next__)
    return [Item(event.key, event.value, None) for event in islice(generated, EVENTS)]


@cache
def expected(choice: Choice) -> History:
    oracle = oracle_of(choice)
    oracle.feed((item.key, item.value) for item in feed())
    return oracle.emitted


@pytest.mark.parametrize(("one", "other"), list(combinations(CHOICES, 2)), ids=str)
def test_each_strategy_and_kind_emits_something_else(one: Choice, other: Choice) -> None:
    assert expected(one) != expected(other)


@pytest.mark.parametrize("choice", CHOICES[1:], ids=str)
def test_windows_end_within_a_run(choice: Choice) -> None:
    long = Choice(choice.strategy, 3_600, choice.window_kind)
    assert sum(map(len, expected(choice).values())) > sum(map(len, expected(long).values()))


@pytest.mark.parametrize("strategy", ["distinct", "event_id"])
def test_few_entries_forget_something(strategy: Strategy) -> None:
    few, many = (Choice(strategy, max(WINDOWS_S), "fixed", number) for number in WINDOW_ENTRIES)
    assert expected(few) != expected(many)


@pytest.mark.parametrize("choice", CHOICES, ids=str)
def test_the_core_emits_what_the_oracle_expects(choice: Choice) -> None:
    oracle, run = oracle_of(choice), Run(rules_of(choice))
    oracle.feed((item.key, item.value) for item in feed())
    run.read(feed())
    assert run.outcomes == oracle.outcomes
    expected_at_least = {"change", "duplicate", "stale", "tombstone", "dead_letter"}
    assert set(oracle.outcomes) >= expected_at_least


@pytest.mark.parametrize("choice", CHOICES, ids=str)
def test_a_worker_that_knows_only_what_the_topic_says_is_found_out(choice: Choice) -> None:
    """Where duplicates count for something: with a sliding window they extend it."""
    run = Run(rules_of(choice))
    for begin in range(0, EVENTS, STEP):
        run.states.clear()
        run.recover(run.records)
        run.read(feed(), begin, begin + STEP)
    forgets = sum(map(len, run.sequences().values())) > sum(map(len, expected(choice).values()))
    assert forgets is (choice.window_kind == "sliding")


def test_six_seeds_in_a_row_have_every_strategy_and_kind() -> None:
    for first in (0, 1, 100):
        chosen = [choice_by(seed) for seed in range(first, first + 6)]
        kinds = {(choice.strategy, choice.window_kind) for choice in chosen}
        assert kinds == {(choice.strategy, choice.window_kind) for choice in CHOICES}
    every = {choice_by(seed) for seed in range(36)}
    for strategy in ("distinct", "event_id"):
        found = {(c.window_s, c.window_entries) for c in every if c.strategy == strategy}
        assert found == set(product(WINDOWS_S, WINDOW_ENTRIES))
