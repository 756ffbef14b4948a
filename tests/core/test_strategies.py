"""The strategies, held against a dictionary model of each on random histories."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dedup.core.batch import decide_batch
from dedup.core.codecs import codec_for
from dedup.core.decide import ProcessingTime, Rules
from dedup.core.decide_again import decide_again
from dedup.core.decision import Outcome
from dedup.core.keys import Id
from dedup.core.records import output_headers
from dedup.core.state import State, decode_state, encode_state
from dedup.core.window import Strategy, WindowKind
from dedup.entities.product import PRODUCT
from tests.support.records import event, record
from tests.support.strategies import Event, Model

Order = Literal["event_time", "arrival"]
CODEC = codec_for(PRODUCT, None)
NOW = ProcessingTime(10**15, "2026-01-01T00:00:00Z")
WINDOW_S = 10


def rules_of(
    strategy: Strategy, kind: WindowKind = "fixed", order: Order = "event_time", entries: int = 64
) -> Rules:
    return replace(
        Rules(codec=CODEC, strategy=strategy, window_us=WINDOW_S * 1_000_000, window_kind=kind),
        order=order,
        window_entries=entries,
    )


EVENTS = st.lists(
    st.builds(
        Event,
        content=st.sampled_from("ABC"),
        time_s=st.integers(0, 40),
        event_id=st.sampled_from([f"e{i}" for i in range(6)]),
        deletes=st.sampled_from([False, False, False, False, True]),
    ),
    max_size=25,
)
LATER = [Event("A", 0, "e0"), Event("B", 1, "e1"), Event("A", 9, "e2"), Event("A", 10, "e0")]

DELETED_AGAIN = [
    Event("A", 0, "e0"),
    Event("A", 1, "e1", deletes=True),
    Event("A", 12, "e1", deletes=True),  # of a deleted row: emits nothing, is no sighting
    Event("B", 13, "e2"),
    Event("B", 14, "e1", deletes=True),
]


def recorded(event_: Event) -> bytes:
    action = "deleted" if event_.deletes else "created"
    value = event(number=event_.time_s, action=action, product_name=event_.content)
    return value.replace(b"evt_%d" % event_.time_s, event_.event_id.encode())


class Worker:
    """The core as a worker uses it; `lose` what a crash may take from it."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.known: dict[Id, State] = {}
        self.emitted: list[str | None] = []
        self.topic: State | None = None
        self.read: list[Event] = []

    def take(self, event_: Event) -> None:
        source = record(len(self.read), recorded(event_))
        self.read.append(event_)
        decided = decide_batch([source], self.known, 0, NOW, self.rules)
        for _, state in decided.emissions:
            self.emitted.append(None if state.row is None else state.row.decode())
            self.topic = state

    def lose(self, what: str) -> None:
        """Rebuild the state: from RocksDB, or from the topic and the events."""
        if what == "restart":
            self.known = {i: decode_state(encode_state(s)) for i, s in self.known.items()}
        elif what == "wipe":
            self.known = {}
            if self.topic is not None:
                headers = output_headers(self.topic)
                rebuilt = CODEC.state_from_record(
                    self.topic.row, headers, self.topic.emitted_at // 1000
                )
                assert rebuilt is not None
                self.known = {1: rebuilt}
            events = [record(i, recorded(e)) for i, e in enumerate(self.read)]
            decide_again(events, self.known, 0, NOW, self.rules)


def contents(rows: Sequence[str | None]) -> list[str | None]:
    names = (CODEC.readable_row(row.encode()) if row is not None else None for row in rows)
    return [None if row is None else row["product_name"] for row in names]


@settings(deadline=None)
@pytest.mark.parametrize("kind", ["fixed", "sliding"])
@pytest.mark.parametrize("strategy", ["latest", "distinct", "event_id"])
@pytest.mark.parametrize("order", ["event_time", "arrival"])
@given(
    events=EVENTS, crashes=st.dictionaries(st.integers(0, 24), st.sampled_from(["restart", "wipe"]))
)
@example(events=LATER, crashes={})
@example(events=DELETED_AGAIN, crashes={2: "wipe"})
def test_what_is_emitted_is_what_the_model_emits_whatever_is_lost(
    strategy: Strategy, kind: WindowKind, order: Order, events: list[Event], crashes: dict[int, str]
) -> None:
    if (strategy, kind) == ("latest", "fixed"):
        kind = "sliding"  # a fixed one of `latest` is by the clock: tests/core/test_decide.py
    worker = Worker(rules_of(strategy, kind, order))
    model = Model(strategy, WINDOW_S, kind, in_order=order == "event_time")
    for number, event_ in enumerate(events):
        worker.take(event_)
        model.take(event_)
        assert contents(worker.emitted) == model.emitted
        worker.lose(crashes.get(number, ""))


@pytest.mark.parametrize("strategy", ["distinct", "event_id"])
def test_the_oldest_entries_are_forgotten_first_and_counted(strategy: Strategy) -> None:
    rules = rules_of(strategy, entries=2)
    known: dict[Id, State] = {}
    events = [Event(c, 0, f"e{i}") for i, c in enumerate("ABC")]
    forgotten = [
        decide_batch([record(i, recorded(e))], known, 0, NOW, rules).forgotten
        for i, e in enumerate(events)
    ]
    assert forgotten == [0, 0, 1]
    repeats = [replace(events[i], time_s=1) for i in (1, 2, 0)]
    found = [
        next(iter(decide_batch([record(9 + i, recorded(e))], known, 0, NOW, rules).outcomes))
        for i, e in enumerate(repeats)
    ]
    assert found == [Outcome.DUPLICATE, Outcome.DUPLICATE, Outcome.CHANGE]


@pytest.mark.parametrize("strategy", ["latest", "distinct", "event_id"])
@pytest.mark.parametrize("before", ["latest", "distinct", "event_id"])
def test_a_changed_strategy_starts_from_what_the_records_say(
    before: Strategy, strategy: Strategy
) -> None:
    """The event that wrote the row is a duplicate at once: nothing is emitted a second time."""
    known: dict[Id, State] = {}
    first = Event("A", 0, "e0")
    decide_batch([record(0, recorded(first))], known, 0, NOW, rules_of(before, "sliding"))
    repeated = record(1, recorded(replace(first, time_s=WINDOW_S - 1)))
    decided = decide_batch([repeated], known, 0, NOW, rules_of(strategy, "sliding"))
    assert decided.outcomes == {Outcome.DUPLICATE: 1}
    late = record(2, recorded(replace(first, time_s=2 * WINDOW_S - 1)))
    decided = decide_batch([late], known, 0, NOW, rules_of(strategy, "sliding"))
    assert decided.outcomes == {Outcome.REFRESH: 1}
