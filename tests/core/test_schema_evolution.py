"""Schema evolution: what earlier versions wrote is read, and what later ones add is ignored."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from msgspec import structs

from dedup.core.dead_letter import Reason
from dedup.core.decide import Outcome, Position, decide
from dedup.core.fingerprint import VERSION
from dedup.core.normal_event import NormalEvent
from dedup.core.records import output_headers
from dedup.core.state import LAYOUT, State, decode_state, encode_state
from tests.core.records import event_json
from tests.core.runs import CLOCK
from tests.golden.files import Golden, golden, state_document, versions
from tests.golden.write import EVENTS_VERSION, RECORDS_VERSION, produced
from tests.support.products import (
    ACTIONS,
    CODEC,
    CONTENT_FIELDS,
    fingerprint,
    read_product,
    read_product_event,
    rules,
)

EVENTS = golden("events")
VALUES = [event for event in EVENTS if event.document["value"] is not None]
RECORDS = golden("records")
ROWS = [record for record in RECORDS if record.document["value"] is not None]
STATES = golden("states")
FOREIGN_ROWS = [record for record in ROWS if not record.headers]

ADDED = ("1", "null", '"text"', "[1,[2]]", '{"a":{"b":[null]}}', "1e400", '"\\ud800"')
"""Values of a field that a later version may add."""


def by_path(file: Golden) -> str:
    return f"{file.version}/{file.name}"


def each(files: list[Golden]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("file", files, ids=by_path)


def rebuilt(file: Golden, value: bytes | None) -> State | None:
    """The state of a record, its value exchanged."""
    return CODEC.state_from_record(value, file.headers, file.document["timestamp_ms"])


def reversed_members(document: Any) -> Any:
    """The same JSON with the members of every object in the opposite order."""
    if isinstance(document, dict):
        return {name: reversed_members(document[name]) for name in reversed(document)}
    return document


def with_added(document: dict[str, Any], place: str, name: str, first: bool) -> dict[str, Any]:
    """A copy with one more member, whose value stands for a token put in its place later."""
    if place:
        nested = with_added(document[place], "", name, first)
        return document | {place: nested}
    return {name: "ADDED"} | document if first else document | {name: "ADDED"}


# --- What earlier versions wrote -----------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "version"),
    [("events", EVENTS_VERSION), ("records", RECORDS_VERSION), ("states", LAYOUT)],
)
def test_every_version_there_ever_was_has_golden_files(kind: str, version: int) -> None:
    """Whoever raises a version runs `python -m tests.golden.write` and keeps the old."""
    assert versions(kind) == list(range(1, version + 1))


@each(EVENTS)
def test_an_event_of_every_version_means_what_it_meant(file: Golden) -> None:
    assert read_product_event(file.bytes("key"), file.bytes("value")) == file.event


@each(RECORDS)
def test_a_record_of_every_version_gives_the_state_it_gave(file: Golden) -> None:
    """Its fingerprint too - unless it has to be computed, then by the version of today."""
    assert CODEC.keys.read_output(file.bytes("key")) == file.document["product_id"]
    state = rebuilt(file, file.bytes("value"))
    assert state is not None
    if file.state.row is not None and file.state.fingerprint[0] != VERSION:
        state = structs.replace(state, fingerprint=file.state.fingerprint)
    assert state == file.state


@each(STATES)
def test_state_bytes_of_every_layout_decode_to_the_state_they_were(file: Golden) -> None:
    data = file.bytes("bytes")
    assert data is not None
    assert decode_state(data) == file.state


def test_the_producer_writes_events_in_the_form_of_the_newest_golden_files() -> None:
    """Another form is a new EVENTS_VERSION: the files of the old one stay."""
    newest = {f.name: f.bytes("value") for f in VALUES if f.version == EVENTS_VERSION}
    assert {name: event.value for name, event in produced().items()} == newest


@each([record for record in RECORDS if record.version == RECORDS_VERSION and record.headers])
def test_the_headers_written_today_are_those_of_the_newest_golden_files(file: Golden) -> None:
    assert output_headers(file.state) == file.headers


@each([file for file in ROWS if file.state.fingerprint[0] == VERSION])
def test_a_fingerprint_of_this_version_is_what_it_was(file: Golden) -> None:
    """Else every product would change once, without any new content."""
    product = read_product(file.bytes("value") or b"")
    assert product is not None
    assert fingerprint(product) == file.state.fingerprint


@each([state for state in STATES if state.version == LAYOUT])
def test_the_state_bytes_written_today_are_those_of_the_newest_golden_files(file: Golden) -> None:
    """Another layout is a new LAYOUT number: bytes of the old one stay on the disks."""
    assert encode_state(file.state) == file.bytes("bytes")


@each([file for file in [*RECORDS, *STATES] if file.document["means"]["row"] is not None])
def test_an_event_that_repeats_an_old_state_is_a_duplicate(file: Golden) -> None:
    known = read_product(file.state.row or b"")
    assert known is not None
    fields = {field: known[field] for field in CONTENT_FIELDS}
    product_id = json.loads(file.state.row or b"")["product_id"]
    event = {
        "event_id": "evt_later",
        "action": "updated",
        "timestamp": "2100-01-01T00:00:00Z",
        "product": {"product_id": product_id, **fields},
    }
    read = CODEC.read(b"%d" % product_id, json.dumps(event).encode())
    decision = decide(read, file.state, Position(0, 0), CLOCK, rules())
    assert decision.outcome is Outcome.DUPLICATE


def test_a_state_document_keeps_every_field_of_a_state() -> None:
    """The golden files would hold for nothing if they forgot one."""
    assert set(state_document(STATES[0].state)) == set(State.__struct_fields__)


# --- What later versions may add -----------------------------------------------------------


@pytest.mark.parametrize("token", ADDED)
@pytest.mark.parametrize("place", ["", "product"])
@pytest.mark.parametrize("first", [True, False])
@each(VALUES)
def test_an_added_field_changes_nothing(file: Golden, first: bool, place: str, token: str) -> None:
    document = with_added(json.loads(file.bytes("value") or b""), place, "added_later", first)
    value = json.dumps(document).replace('"ADDED"', token).encode()
    assert token.encode() in value
    assert read_product_event(file.bytes("key"), value) == file.event


@each(VALUES)
def test_the_order_of_the_fields_changes_nothing(file: Golden) -> None:
    document = json.loads(file.bytes("value") or b"")
    turned = json.dumps(reversed_members(document)).encode()
    assert list(json.loads(turned)) == list(document)[::-1]
    assert read_product_event(file.bytes("key"), turned) == file.event


@pytest.mark.parametrize("field", ["processed", "old_price"])
@each([file for file in VALUES if file.event.old_price is None])
def test_a_field_that_an_older_producer_did_not_write_is_not_missed(
    file: Golden, field: str
) -> None:
    document = json.loads(file.bytes("value") or b"")
    del document[field]
    assert read_product_event(file.bytes("key"), json.dumps(document).encode()) == file.event


def _later_row(value: bytes) -> bytes:
    """A row with one more column in front; the text of its numbers is kept."""
    return b'{"added_later":{"a":[1]},' + value[1:-1] + b',"last":1e400}'


def _reordered_row(value: bytes) -> bytes:
    pairs = json.loads(value, object_pairs_hook=lambda found: found, parse_float=str)
    return json.dumps(dict(reversed(pairs))).encode()


@pytest.mark.parametrize("change", [_later_row, _reordered_row])
@each(FOREIGN_ROWS)
def test_a_row_of_a_job_may_have_more_columns_in_any_order(
    file: Golden, change: Callable[[bytes], bytes]
) -> None:
    value = change(file.bytes("value") or b"")
    assert rebuilt(file, value) == structs.replace(file.state, row=value)


@each([record for record in RECORDS if record.headers])
def test_headers_that_others_add_change_nothing(file: Golden) -> None:
    more = [("traceparent", b"00-1"), *reversed(file.headers), ("dedup.added_later", b"\xff")]
    timestamp = file.document["timestamp_ms"]
    state = CODEC.state_from_record(file.bytes("value"), more, timestamp)
    assert state == file.state


# --- Actions of tomorrow -------------------------------------------------------------------

STRICT = rules(unknown_actions="dead_letter")
UNKNOWN = ['"restocked"', '"Updated"', '"DELETED"', '"deleted "', '""', '"\\u00e4"']


def read(changes: dict[str, str | None] | None = None) -> NormalEvent:
    event = CODEC.read(b"1", event_json(changes))
    assert isinstance(event, NormalEvent)
    return event


@pytest.mark.parametrize("action", UNKNOWN)
def test_an_unknown_action_is_applied_as_an_update(action: str) -> None:
    at = Position(0, 0)
    decision = decide(read({"action": action}), None, at, CLOCK, rules())
    update = decide(read({"action": '"updated"'}), None, at, CLOCK, rules())
    assert decision.outcome is update.outcome is Outcome.CHANGE
    assert decision.state is not None
    assert update.state is not None
    assert structs.replace(decision.state, row=None) == structs.replace(update.state, row=None)
    written = json.loads(decision.state.row or b"")
    assert written.pop("last_action") == json.loads(action)
    updated = json.loads(update.state.row or b"")
    assert written == {name: updated[name] for name in written}


def test_an_unknown_action_may_be_partial_as_an_update_may() -> None:
    known = decide(read(), None, Position(0, 0), CLOCK, rules()).state
    partial = read(
        {
            "action": '"restocked"',
            "timestamp": '"2023-12-02T00:00:00Z"',
            "product.price": None,
            "product.stock_quantity": "99",
        }
    )
    decision = decide(partial, known, Position(0, 1), CLOCK, rules())
    assert decision.outcome is Outcome.CHANGE
    assert decision.state is not None
    row = json.loads(decision.state.row or b"")
    assert (row["price"], row["stock_quantity"]) == ("1299.99", 99)


@pytest.mark.parametrize("action", UNKNOWN)
def test_an_unknown_action_is_a_dead_letter_where_that_is_configured(action: str) -> None:
    known = decide(read(), None, Position(0, 5), CLOCK, STRICT).state
    for state, offset in ((None, 0), (known, 6), (known, 3)):
        decision = decide(read({"action": action}), state, Position(0, offset), CLOCK, STRICT)
        assert (decision.outcome, decision.state) == (Outcome.DEAD_LETTER, None)
        assert decision.dead_letter is not None
        assert decision.dead_letter.reason is Reason.UNKNOWN_ACTION
        assert "updated" in decision.dead_letter.message


@pytest.mark.parametrize("action", ACTIONS)
def test_a_known_action_is_none_of_its_business(action: str) -> None:
    for state in (None, decide(read(), None, Position(0, 0), CLOCK, rules()).state):
        event = read({"action": f'"{action}"', "timestamp": '"2023-12-02T00:00:00Z"'})
        at = Position(0, 1)
        assert decide(event, state, at, CLOCK, STRICT) == decide(event, state, at, CLOCK, rules())


def test_a_delete_by_null_value_is_a_known_action() -> None:
    known = decide(read(), None, Position(0, 0), CLOCK, STRICT).state
    deletion = CODEC.read(b"1", None)
    decision = decide(deletion, known, Position(0, 1), CLOCK, STRICT)
    assert decision.outcome is Outcome.TOMBSTONE
