"""The explanation of a decision agrees with the decision, on random histories."""

import itertools
import json
from datetime import UTC, datetime, timedelta

import pytest

from dedup.core.codec import Codec
from dedup.core.dead_letter import DeadLetter
from dedup.core.decide import Decision, Outcome, Position, ProcessingTime, Rules, decide
from dedup.core.explain import Explanation, explain, instant
from dedup.core.keys import Id
from dedup.core.normal_event import EventKind
from dedup.core.state import NO_EVENT_TIME, State
from producer.events import EventGenerator, Mix
from tests.core.orders import EPOCH_ORDER, FLAT, document_of
from tests.support.products import CODEC, CONTENT_FIELDS, rules
from tests.support.records import event

CLOCK = ProcessingTime(1_767_225_600_000_000, "2026-01-01T00:00:00.000000Z")


def told(
    *values: bytes | None, by: Rules | None = None, key: bytes = b"1"
) -> tuple[Outcome, Explanation]:
    """Decide on the events of one product in order; explain the last decision."""
    state: State | None = None
    by = by or rules()
    for offset, value in enumerate(values):
        before, read, at = state, CODEC.read(key, value), Position(0, offset)
        decision = decide(read, before, at, CLOCK, by)
        state = decision.state or state
    return decision.outcome, explain(read, before, decision, at, by)


def assert_compared(said: Explanation, before: State | None, after: State | None) -> None:
    """Hold the comparisons against the rows, read with Python's own JSON."""
    rows = [None if s is None or s.row is None else json.loads(s.row) for s in (before, after)]
    for each in said.comparisons:
        if rows[0] is not None:
            assert each.known == rows[0][each.field]
        if rows[1] is not None and each.counts:
            assert each.event == rows[1][each.field]
        assert each.differs == (rows[0] is None or each.known != each.event)


@pytest.mark.parametrize("fields", [("price",), ("product_name", "description", "discount")])
def test_a_counted_field_differs_exactly_when_the_decision_is_a_change(
    fields: tuple[str, ...],
) -> None:
    """On generated histories with late, partial and invalid events, deletes and duplicates."""
    times = (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=n) for n in itertools.count())
    mix = Mix(products=20, late=0.1, partial=0.1, invalid=0.02)
    by = rules(fields)
    known: dict[Id, State] = {}
    seen = set()
    generated = EventGenerator(3, lambda: next(times), mix)
    for offset, each in enumerate(itertools.islice(generated, 3_000)):
        read, at = by.codec.read(each.key, each.value), Position(0, offset)
        state = None if isinstance(read, DeadLetter) else known.get(read.id)
        decision = decide(read, state, at, CLOCK, by)
        explanation = explain(read, state, decision, at, by)
        seen.add(decision.outcome)
        assert explanation.why
        if isinstance(read, DeadLetter):
            assert explanation == Explanation(read.message, ())
            continue
        if decision.state is not None:
            known[read.id] = decision.state
        counted = [c for c in explanation.comparisons if c.differs and c.counts]
        if read.kind is not EventKind.DELETE:
            assert [c.field for c in explanation.comparisons] == [*CONTENT_FIELDS]
            assert [c.field for c in explanation.comparisons if c.counts] == [*fields]
            assert_compared(explanation, state, decision.state)
        if decision.outcome is Outcome.CHANGE:
            assert counted
        elif decision.outcome is Outcome.DUPLICATE:
            assert not counted
    assert seen >= set(Outcome) - {Outcome.REFRESH, Outcome.REPLAYED}


def test_a_change_names_the_fields_that_differ() -> None:
    outcome, said = told(event(number=1), event(number=2, price="12.5", stock_quantity=3))
    assert outcome is Outcome.CHANGE
    assert said.why == "price and stock_quantity differ from the known state."
    assert [(c.field, c.known, c.event) for c in said.comparisons if c.differs] == [
        ("price", "10.00", "12.50"),
        ("stock_quantity", 1, 3),
    ]


def test_a_duplicate_says_what_is_equal_and_what_does_not_count() -> None:
    by = rules(("price", "discount"))
    outcome, said = told(event(number=1), event(number=2, stock_quantity=9), by=by)
    assert outcome is Outcome.DUPLICATE
    assert said.why == (
        "No content field differs from the known state: price and discount are equal; "
        "DEDUP_CONTENT_FIELDS leaves out what differs: stock_quantity."
    )


def test_a_stale_event_says_both_times() -> None:
    outcome, said = told(event(number=5), event(number=4, price="1.00"))
    assert outcome is Outcome.STALE
    assert said.why == (
        "Its time 2026-01-01T00:00:04.000000Z is older than 2026-01-01T00:00:05.000000Z, the "
        "newest event time of this product."
    )


def test_deletes_are_told_apart() -> None:
    assert told(event(), None)[1].why == "This event deletes a known product."
    assert told(event(), None, None)[1].why == "The product is already deleted."
    assert told(None)[1].why.startswith("Nothing is known of this product")
    created = event(number=9, action="created")
    assert told(event(), None, created)[1].why == (
        "The product was deleted, and this event creates it again."
    )


def test_a_part_of_a_row_is_explained_without_the_state_that_completed_it() -> None:
    """As of an emission on the topic whose earlier records compaction has removed."""
    by, at = rules(), Position(0, 7)
    part = event(number=2, price="12.5")
    document = json.loads(part)
    del document["product"]["product_name"]
    read = CODEC.read(b"1", json.dumps(document).encode())
    state = State(b"", 0, 0, 7, 0, 0, b"{}")
    explained = explain(read, None, Decision(Outcome.CHANGE, state), at, by)
    assert explained.why == "Nothing was known of this product: it is new."
    shown = {c.field: c.event for c in explained.comparisons}
    assert (shown["product_name"], shown["price"]) == (None, "12.50")


def test_a_time_that_is_not_known_has_no_text() -> None:
    assert instant(NO_EVENT_TIME) is None
    assert instant(2**63 - 1) is None
    assert instant(0) == "1970-01-01T00:00:00.000000Z"


def test_any_entity_is_explained_by_its_name_and_its_fields() -> None:
    by = Rules(codec=Codec(FLAT, ["status", "lines"]))
    changes = [{}, {"lines": '[{"n":1.0,"sku":"b"}]', "note": '"x"'}, {"is_gift": "true"}]
    state, whys = None, []
    for offset, change in enumerate(changes):
        key, value = b'"AB-1"', document_of(EPOCH_ORDER, change).encode()
        said, at = by.codec.read(key, value), Position(0, offset)
        decision = decide(said, state, at, CLOCK, by)
        explained = explain(said, state, decision, at, by)
        whys.append(explained.why)
        if offset == 1:
            differing = [
                (c.field, c.known, c.event, c.counts) for c in explained.comparisons if c.differs
            ]
            assert differing == [
                ("note", None, "x", False),
                ("lines", '[{"n":1,"sku":"a"}]', '[{"n":1,"sku":"b"}]', True),
            ]
        state = decision.state or state
    assert whys == [
        "Nothing was known of this order: it is new.",
        "lines differs from the known state.",
        "lines differs from the known state.",
    ]
