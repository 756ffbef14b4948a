"""The lean pass over a batch against the rules asked one event at a time, on whole histories."""

from collections import Counter
from typing import Any, Final, Literal, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dedup.core.batch import BatchDecisions, Emission, Rejected, decide_batch
from dedup.core.codecs import codec_for
from dedup.core.decide import Rules
from dedup.core.decision import EMITTING, Position, ProcessingTime
from dedup.core.facts import decide_on, facts_of
from dedup.core.keys import Id
from dedup.core.normal_event import EventKind, NormalEvent
from dedup.core.state import State
from dedup.entities.product import PRODUCT
from tests.core.histories import MANY, Item, histories
from tests.core.orders import EPOCH_ORDER, FLAT, document_of
from tests.core.records import event_json

NOW_US: Final = 1_767_225_600_000_000
CLOCK: Final = ProcessingTime(NOW_US, "2026-01-01T00:00:00.000000Z")
PARTITION: Final = 2


class Record(NamedTuple):
    """A record of the source topic."""

    offset: int
    key: bytes | None
    value: bytes | None


def one_by_one(
    records: list[Record], known: dict[Id, State], clock: ProcessingTime, rules: Rules
) -> BatchDecisions:
    """The same batch, each event decided on by the rules alone."""
    decided = BatchDecisions(rows_added=-living(known))
    for record in records:
        facts = facts_of(rules.codec, record.key, record.value, clock.text)
        row_id = getattr(facts, "id", None)
        at = Position(PARTITION, record.offset)
        decision = decide_on(facts, known.get(row_id or 0), at, clock, rules)
        decided.outcomes[decision.outcome] += 1
        decided.offset_regressions += decision.offset_regression
        if decision.dead_letter is not None:
            decided.rejected.append(Rejected(record.offset, decision.dead_letter))
        if decision.state is not None and row_id is not None:
            known[row_id] = decided.states[row_id] = decision.state
            if decision.outcome in EMITTING:
                decided.emissions.append(Emission(row_id, decision.state))
    decided.rows_added += living(known)
    return decided


def living(known: dict[Id, State]) -> int:
    return sum(state.row is not None for state in known.values())


def rules_for(draw: Any, content: tuple[str, ...] | None, **changes: Any) -> Rules:
    entity = changes.pop("entity")
    return Rules(
        codec=codec_for(entity, content),
        window_us=draw(st.sampled_from([None, 0, 10, 10**15])),
        deleted_marker_us=draw(st.sampled_from([10**12, 5, -1])),
        largest_row_bytes=draw(st.sampled_from([None, None, 420])),
        **changes,
    )


def agree(records: list[Record], batches: list[Rules], draw: Any) -> None:
    """Split a history into batches with their rules, and compare all that comes of each."""
    ours: dict[Id, State] = {}
    theirs: dict[Id, State] = {}
    start, now_us = 0, NOW_US
    for rules in batches:
        stop = draw(st.integers(start, len(records)))
        back = draw(st.integers(0, start))
        now_us += draw(st.integers(0, 20))
        clock = ProcessingTime(now_us, CLOCK.text)
        batch = records[back:stop]
        lean = decide_batch(batch, ours, PARTITION, clock, rules)
        assert lean == one_by_one(batch, theirs, clock, rules)
        assert ours == theirs
        assert lean.outcomes.total() == len(batch)
        start = stop


@pytest.mark.parametrize("order", ["event_time", "arrival"])
@given(history=histories(), data=st.data())
@MANY
def test_the_pass_over_products_agrees_with_the_rules(
    order: Literal["event_time", "arrival"], history: list[Item], data: st.DataObject
) -> None:
    """Through late, partial and invalid events, replays, and changed content fields."""
    records = [Record(n, item.key, item.value) for n, item in enumerate(history)]
    fields = [None, ("price",), ("discount", "product_name")]
    batches = [
        rules_for(data.draw, data.draw(st.sampled_from(fields)), order=order, entity=PRODUCT)
        for _ in range(4)
    ]
    agree(records, batches, data.draw)


@given(history=histories())
@MANY
def test_a_delete_in_normal_form_is_read_as_pydantic_reads_it(history: list[Item]) -> None:
    codec = codec_for(PRODUCT)
    for item in history:
        found = codec._recognised_delete(item.value or b"")
        if found is not None and item.key is not None and item.value is not None:
            assert found == codec._read_by_pydantic(item.key, item.value)


def test_deletes_in_normal_form_need_no_pydantic(monkeypatch: pytest.MonkeyPatch) -> None:
    codec = codec_for(PRODUCT)
    monkeypatch.setattr(codec, "_read_by_pydantic", None)
    event = codec.read(b"1", event_json({"action": '"deleted"'}))
    assert isinstance(event, NormalEvent)
    assert (event.id, event.kind, codec.action(event)) == (1, EventKind.DELETE, "deleted")


@st.composite
def flat_records(draw: Any) -> list[Record]:
    """Rows of two orders, some of them late, in another form, deleted or damaged."""
    records: list[Record] = []
    offset = 0
    for _ in range(draw(st.integers(0, 12))):
        offset = draw(st.sampled_from([offset + 1, offset + 1, offset + 7, 0]))  # 0: recreated
        key = draw(st.sampled_from(["AB-1", "é/2"]))
        changes: dict[str, str | None] = {
            "order_id": f'"{key}"',
            "updated_at": str(draw(st.integers(1, 9))),
            "status": draw(st.sampled_from(['"open"', '"paid"', '"sent"'])),
            "total": draw(st.sampled_from(['"120.00"', "120", "1.5"])),
        }
        value = draw(st.sampled_from([document_of(EPOCH_ORDER, changes).encode(), None, b"{"]))
        records.append(Record(offset, f'"{key}"'.encode(), value))
    return records


@pytest.mark.parametrize("order", ["event_time", "arrival"])
@given(records=flat_records(), data=st.data())
@MANY
def test_the_pass_over_flat_rows_agrees_with_the_rules(
    order: Literal["event_time", "arrival"], records: list[Record], data: st.DataObject
) -> None:
    fields = [None, ("status",), ("total", "note")]
    batches = [
        rules_for(data.draw, data.draw(st.sampled_from(fields)), order=order, entity=FLAT)
        for _ in range(3)
    ]
    agree(records, batches, data.draw)


def test_new_changed_equal_and_late_rows_are_decided_on_without_asking_the_rules(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the agreement shows would be nothing if the rules were asked for all."""
    monkeypatch.setattr("dedup.core.batch.decide_on", None)
    rows = [("1", '"open"'), ("2", '"open"'), ("3", '"paid"'), ("2", '"sent"')]
    records = [
        Record(n, b'"AB-1"', document_of(EPOCH_ORDER, {"updated_at": at, "status": to}).encode())
        for n, (at, to) in enumerate(rows)
    ]
    decided = decide_batch(records, {}, PARTITION, CLOCK, Rules(codec=codec_for(FLAT)))
    assert decided.outcomes == Counter(change=2, duplicate=1, stale=1)
