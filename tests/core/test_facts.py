"""What the rules see of records: decisions on other entities, and on both ways of reading."""

from typing import Final, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dedup.core.codec import Codec
from dedup.core.dead_letter import DeadLetter, Reason
from dedup.core.decide import decide
from dedup.core.decision import Decision, EventRules, Outcome, Position, ProcessingTime
from dedup.core.facts import EntityFacts, decide_on, facts_of
from dedup.core.keys import Id
from dedup.core.state import State
from dedup.entities.product import PRODUCT
from tests.core.histories import MANY, Item, histories
from tests.core.orders import DEBEZIUM, DEBEZIUM_ORDER, EPOCH_ORDER, FLAT, WRAPPED, document_of
from tests.support.products import rules

NOW_US: Final = 1_767_225_600_000_000
CLOCK: Final = ProcessingTime(NOW_US, "2026-01-01T00:00:00.000000Z")
FIELDS: Final = (PRODUCT.content, ("price",), ("discount", "product_name"))


@pytest.mark.parametrize("order", ["event_time", "arrival"])
@pytest.mark.parametrize("unknown", ["update", "dead_letter"])
@given(history=histories(), data=st.data())
@MANY
def test_both_ways_of_reading_lead_to_one_decision(
    order: Literal["event_time", "arrival"],
    unknown: Literal["update", "dead_letter"],
    history: list[Item],
    data: st.DataObject,
) -> None:
    """Also through replays, a change of the content fields, small rows, and expired markers."""
    limit = data.draw(st.sampled_from([None, None, 420]))
    refresh = data.draw(st.sampled_from([None, 0, 10**15]))
    states: dict[Id, State] = {}
    for fields in data.draw(st.lists(st.sampled_from(FIELDS), min_size=1, max_size=2)):
        by = rules(
            fields,
            unknown,
            order=order,
            window_us=refresh,
            deleted_marker_us=data.draw(st.sampled_from([10**12, -1])),
            largest_row_bytes=limit,
        )
        first = data.draw(st.integers(0, max(0, len(history) - 1)))
        for offset in [*range(len(history)), *range(first, len(history))]:
            item, at = history[offset], Position(0, offset)
            event = by.codec.read(item.key, item.value)
            facts = facts_of(by.codec, item.key, item.value, CLOCK.text)
            state = None if isinstance(event, DeadLetter) else states.get(event.id)
            expected = decide(event, state, at, CLOCK, by)
            assert decide_on(facts, state, at, CLOCK, by) == expected
            if expected.state is not None and not isinstance(event, DeadLetter):
                assert not isinstance(facts, DeadLetter)
                assert (facts.id, facts.time) == (event.id, event.time)
                states[event.id] = expected.state


class Worker:
    """Decides on records of one partition."""

    def __init__(self, codec: Codec) -> None:
        self.codec = codec
        self.states: dict[int | str, State] = {}
        self.offset = -1

    def read(self, key: bytes, value: bytes | None, offset: int | None = None) -> Decision:
        self.offset = self.offset + 1 if offset is None else offset
        facts = facts_of(self.codec, key, value, CLOCK.text)
        known = None if isinstance(facts, DeadLetter) else self.states.get(facts.id)
        decision = decide_on(facts, known, Position(0, self.offset), CLOCK, EventRules())
        if decision.state is not None:
            assert not isinstance(facts, DeadLetter)
            self.states[facts.id] = decision.state
        return decision


def flat(updated_at: int, status: str = "open") -> bytes:
    changes = {"updated_at": str(updated_at), "status": f'"{status}"'}
    return document_of(EPOCH_ORDER, changes).encode()


def test_a_flat_row_is_new_then_the_same_then_changed_then_deleted() -> None:
    """`updated_at` alone changes nothing."""
    worker, key = Worker(Codec(FLAT)), b'{"order_id":"AB-1"}'
    assert worker.read(key, flat(1000)).outcome is Outcome.CHANGE
    assert worker.read(key, flat(2000)).outcome is Outcome.DUPLICATE
    assert worker.read(key, flat(1500, "paid")).outcome is Outcome.STALE
    assert worker.read(key, flat(3000, "paid")).outcome is Outcome.CHANGE
    assert worker.read(key, flat(3000, "paid"), offset=3).outcome is Outcome.REPLAYED
    assert worker.read(key, None, offset=4).outcome is Outcome.TOMBSTONE
    assert worker.read(key, None).outcome is Outcome.DUPLICATE
    assert worker.read(key, flat(2500)).outcome is Outcome.STALE
    assert worker.read(key, flat(3001)).outcome is Outcome.CHANGE


def test_a_row_of_debezium_is_deleted_once_and_its_tombstone_says_nothing_new() -> None:
    worker, key = Worker(Codec(DEBEZIUM)), b'{"order_id":"AB-1"}'

    def event(op: str, ts_ms: int) -> bytes:
        after = "null" if op == "d" else document_of(DEBEZIUM_ORDER, {})
        return f'{{"after":{after},"op":"{op}","source":{{"ts_ms":{ts_ms}}}}}'.encode()

    outcomes = [
        worker.read(key, event("r", 1)).outcome,
        worker.read(key, event("u", 2)).outcome,
        worker.read(key, event("d", 3)).outcome,
        worker.read(key, None).outcome,
        worker.read(key, event("c", 4)).outcome,
    ]
    assert outcomes == ["change", "duplicate", "tombstone", "duplicate", "change"]


def test_a_partial_event_over_an_unknown_row_is_a_dead_letter() -> None:
    worker = Worker(Codec(WRAPPED))
    part = b'{"at":1701426600124,"action":"paid","order":{"order_id":"AB-1","status":"paid"}}'
    decision = worker.read(b"AB-1", part)
    assert decision.dead_letter is not None
    assert decision.dead_letter.reason is Reason.PARTIAL_WITHOUT_STATE
    cancelled = b'{"at":5,"action":"cancelled","order":{"order_id":"AB-1"}}'
    assert worker.read(b"AB-1", cancelled).outcome is Outcome.DUPLICATE


def test_facts_name_the_row_on_both_ways() -> None:
    for value in (flat(1), flat(1).replace(b'"120.00"', b'"120.0"')):
        facts = facts_of(Codec(FLAT), b'"AB-1"', value, CLOCK.text)
        assert isinstance(facts, EntityFacts)
        assert (facts.id, facts.time, facts.kind) == ("AB-1", 1000, "upsert")
