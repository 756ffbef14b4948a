"""What `verify` and the other commands say of the past, for each strategy and kind of window."""

import asyncio
from collections import Counter
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dedup.core.decide import Rules
from dedup.core.decision import Outcome
from dedup.core.window import Strategy, WindowKind
from dedup.inspection.decided_events import decide_records
from dedup.inspection.resolver import DecisionResolver
from dedup.inspection.states import StatesInMemory, load_states
from dedup.inspection.tail import bring_up_to_date
from tests.support.products import CODEC, rules
from tests.support.records import event
from tests.support.worked_topics import Reader, WorkedTopics, audited, faults

WINDOW_S = 10

Order = Literal["event_time", "arrival"]


class Spoken(NamedTuple):
    """An event of one of three products."""

    row_id: int
    content: int
    time_s: int
    event_id: int
    deletes: bool

    @property
    def recorded(self) -> tuple[int, bytes]:
        action = "deleted" if self.deletes else "updated"
        # Duplicates are equal in every field: what differs else would show them.
        same = {"stock_quantity": self.content, "updated_at": "2026-01-01T00:00:00+00:00"}
        value = event(self.row_id, number=self.time_s, action=action, **same)
        named = b'"evt_%d"' % self.time_s
        return self.row_id, value.replace(named, b'"e%d"' % self.event_id)


def rules_of(
    strategy: Strategy, kind: WindowKind, order: Literal["event_time", "arrival"]
) -> Rules:
    return rules(
        strategy=strategy,
        window_us=WINDOW_S * 1_000_000,
        window_kind=kind,
        order=order,
        window_entries=3,
    )


EVENTS = st.lists(
    st.builds(
        Spoken,
        row_id=st.integers(1, 2),
        content=st.integers(0, 3),
        time_s=st.integers(0, 40),
        event_id=st.integers(0, 5),
        deletes=st.sampled_from([False] * 6 + [True]),
    ),
    min_size=1,
    max_size=30,
)
HAPPENINGS = st.dictionaries(st.integers(0, 29), st.sampled_from(["wipe", "compact", "sleep"]))

each_window = pytest.mark.parametrize("kind", ["fixed", "sliding"])
each_strategy = pytest.mark.parametrize("strategy", ["latest", "distinct", "event_id"])
each_order = pytest.mark.parametrize("order", ["event_time", "arrival"])


def happen(topics: WorkedTopics, what: str | None) -> None:
    match what:
        case "wipe":
            topics.lose_disk()
        case "compact":
            topics.compact()
        case "sleep":
            topics.now_us += WINDOW_S * 1_000_000


@settings(deadline=None, max_examples=60)
@each_strategy
@each_window
@each_order
@given(events=EVENTS, happenings=HAPPENINGS, sizes=st.lists(st.integers(1, 4), min_size=30))
def test_a_correct_topic_has_no_fault_and_its_decisions_are_those_made(
    strategy: Strategy,
    kind: WindowKind,
    order: Any,
    events: list[Spoken],
    happenings: dict[int, str],
    sizes: list[int],
) -> None:
    topics = WorkedTopics(rules_of(strategy, kind, order))
    rest, number = list(events), 0
    while rest:
        batch, rest = rest[: sizes[number]], rest[sizes[number] :]
        topics.take(*(each.recorded for each in batch))
        happen(topics, happenings.get(number))
        number += 1
    result, decided = asyncio.run(audited(topics))
    assert faults(result) == []
    assert sum(check.not_judged for check in result.checks) == 0
    assert Counter(each.decision.outcome for each in decided) == topics.outcomes
    assert all(each.explain().why for each in decided)


def work(topics: WorkedTopics, events: list[Spoken], wrong: int, **how: Any) -> Any:
    """Process one event after the other, one of them wrongly; return what came of that one."""
    found = None
    for number, each in enumerate(events):
        decided = topics.take(each.recorded, **(how if number == wrong else {}))
        if number == wrong:
            found = decided
    return found


@settings(deadline=None, max_examples=60)
@each_strategy
@each_window
@each_order
@given(events=EVENTS, wrong=st.integers(0, 29))
def test_a_duplicate_that_was_emitted_is_found(
    strategy: Strategy, kind: WindowKind, order: Order, events: list[Spoken], wrong: int
) -> None:
    right = rules_of(strategy, kind, order)
    wrong %= len(events)
    topics, control = WorkedTopics(right), WorkedTopics(right)
    emitted = work(topics, events, wrong, rules=replace(right, window_us=0))
    should = work(control, events[: wrong + 1], wrong)
    result, _ = asyncio.run(audited(topics))
    is_wrong = emitted.outcomes != should.outcomes
    assert result.sound is not is_wrong, faults(result)


@settings(deadline=None, max_examples=60)
@each_strategy
@each_window
@each_order
@given(events=EVENTS, wrong=st.integers(0, 29))
def test_an_emission_that_is_missing_is_found_where_it_is_the_last_of_its_row(
    strategy: Strategy, kind: WindowKind, order: Order, events: list[Spoken], wrong: int
) -> None:
    wrong %= len(events)
    events = [e for n, e in enumerate(events) if n <= wrong or e.row_id != events[wrong].row_id]
    topics = WorkedTopics(rules_of(strategy, kind, order))
    lost = work(topics, events, wrong, write=False)
    is_wrong = not {Outcome.CHANGE, Outcome.TOMBSTONE}.isdisjoint(lost.outcomes)
    result, _ = asyncio.run(audited(topics))
    assert result.sound is not is_wrong, faults(result)


def test_tail_knows_of_the_duplicates_that_extended_a_window() -> None:
    """They are on no record: from these alone, the last event would be emitted again."""
    topics = WorkedTopics(rules_of("distinct", "sliding", "event_time"))
    times = (0, 8, 16, 24)
    for second in times[:-1]:
        topics.take(Spoken(1, 1, second, 1, deletes=False).recorded)
    states: Any = StatesInMemory()
    output: Any = Reader(topics.output)
    source: Any = Reader(topics.source)

    async def load() -> None:
        await load_states(output, states, CODEC)
        await bring_up_to_date(source, {0: len(topics.source)}, states, topics.rules)

    asyncio.run(load())
    topics.take(Spoken(1, 1, times[-1], 1, deletes=False).recorded)
    resolver = DecisionResolver(topics.rules)
    (last,) = decide_records(topics.source[-1:], 0, states, resolver)
    assert last.decision.outcome is Outcome.DUPLICATE
    assert topics.outcomes == {Outcome.CHANGE: 1, Outcome.DUPLICATE: 3}
