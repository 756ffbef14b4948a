"""The codec of a second entity, in every envelope: the fast path and pydantic agree."""

import json
import os
from collections import Counter
from typing import Annotated, Any, Final

import pytest
from msgspec import UNSET
from pydantic import BaseModel, Field, field_validator, model_validator

from dedup.core.codec import Codec
from dedup.core.dead_letter import DeadLetter, Reason
from dedup.core.entity import Entity, Wrapped
from dedup.core.normal_event import EventKind, NormalEvent
from tests.core.agreement import NOW, agree, said_by, whole_of
from tests.core.orders import (
    DEBEZIUM,
    DEBEZIUM_ORDER,
    EPOCH_ORDER,
    FLAT,
    ORDER,
    WRAPPED,
    document_of,
    mutated,
)

NAMES: Final = {id(WRAPPED): "wrapped", id(FLAT): "flat", id(DEBEZIUM): "debezium"}
each_entity = pytest.mark.parametrize(
    "entity", [WRAPPED, FLAT, DEBEZIUM], ids=lambda it: NAMES[id(it)]
)


def wrapped_event(action: str = "updated", **changes: str | None) -> bytes:
    order = document_of(ORDER, changes)
    return f'{{"at":1701426600123,"action":"{action}","order":{order}}}'.encode()


@each_entity
@pytest.mark.parametrize("unknown", ["drop", "pass"])
def test_the_fast_path_and_pydantic_agree(entity: Entity, unknown: Any) -> None:
    events = int(os.environ.get("DEDUP_DIFFERENTIAL", "4000"))
    codec = Codec(entity, unknown_fields=unknown)
    seen = Counter(agree(codec, key, value) for key, value in mutated(entity, events, 3))
    assert {"upsert", "delete", "key_missing", "key_mismatch", "invalid_event"} <= seen.keys()
    assert "invalid_json" in seen
    assert ("partial" in seen) == (entity is not FLAT)
    assert (seen["recognised"] > events / 20) == (unknown == "drop")


def test_an_order_is_a_row_in_normal_form() -> None:
    codec = Codec(WRAPPED)
    value = wrapped_event(
        total="120",
        attributes='{"b":1.0,"a":[1e0,2]}',
        customer='"7D444840-9DC0-11D1-B245-5FFDCE74FAD2"',
        updated_at='"2023-12-01T11:30:00.123+01:00"',
    )
    said = said_by(codec, b"AB-1", value)
    row = codec.row(said, whole_of(codec, said), NOW)
    recognised = codec.recognise(b"AB-1", wrapped_event(), NOW)
    assert recognised is not None
    assert row == recognised[3]
    assert json.loads(row) == {
        **ORDER,
        "last_action": "updated",
        "last_event_timestamp": "2023-12-01T10:30:00.123000Z",
        "last_old_total": None,
        "processing_time": NOW,
    }


@pytest.mark.parametrize(
    ("entity", "key", "order"),
    [(FLAT, b'"AB-1"', EPOCH_ORDER), (DEBEZIUM, b'{"order_id":"AB-1"}', DEBEZIUM_ORDER)],
    ids=["flat", "debezium"],
)
def test_numbers_and_texts_of_an_envelope_come_to_the_same_content(
    entity: Entity, key: bytes, order: dict[str, Any]
) -> None:
    """What is compared does not depend on how it came."""
    event = document_of(order, {})
    if entity is DEBEZIUM:
        event = f'{{"before":null,"after":{event},"op":"c","source":{{"ts_ms":1701426600123}}}}'
    found = Codec(entity).recognise(key, event.encode(), NOW)
    same = Codec(WRAPPED).recognise(b"AB-1", wrapped_event(), NOW)
    assert found is not None
    assert same is not None
    assert found[:3] == same[:3]


@pytest.mark.parametrize(
    ("number", "text"),
    [("120", "120.00"), ("120.5", "120.50"), ("-3.25", "-3.25"), ("0", "0.00"), ("0.1", "0.10")],
)
def test_the_fast_path_of_rows_takes_decimals_as_numbers(number: str, text: str) -> None:
    codec = Codec(FLAT)
    as_number = document_of(EPOCH_ORDER, {"total": number}).encode()
    as_text = document_of(EPOCH_ORDER, {"total": f'"{text}"'}).encode()
    found = codec.recognise(b'"AB-1"', as_number, NOW)
    assert found is not None
    assert found == codec.recognise(b'"AB-1"', as_text, NOW)


@pytest.mark.parametrize("number", ["1e2", "120.505", "-0", "1000000.01", "01", "-1000.01"])
def test_the_fast_path_leaves_other_numbers_to_pydantic(number: str) -> None:
    event = document_of(EPOCH_ORDER, {"total": number}).encode()
    assert Codec(FLAT).recognise(b'"AB-1"', event, NOW) is None


def test_metadata_is_in_the_row_but_not_compared() -> None:
    codec = Codec(WRAPPED)
    one = codec.recognise(b"AB-1", wrapped_event(), NOW)
    two = codec.recognise(b"AB-1", wrapped_event(updated_at='"2024-01-01T00:00:00Z"'), NOW)
    assert one is not None
    assert two is not None
    assert one[2] == two[2]
    assert b'"updated_at":"2024-01-01T00:00:00.000000Z"' in two[3]


def test_a_partial_event_is_completed_from_the_known_row() -> None:
    codec = Codec(WRAPPED)
    known = codec.recognise(b"AB-1", wrapped_event(), NOW)
    assert known is not None
    part = b'{"at":1701426600124,"action":"paid","order":{"order_id":"AB-1","status":"paid"}}'
    said = said_by(codec, b"AB-1", part)
    assert said.kind is EventKind.PARTIAL
    assert said.lacks == ("total", "customer", "placed", "updated_at")
    whole = whole_of(codec, said, known[3])
    expected = codec.recognise(b"AB-1", wrapped_event(status='"paid"'), NOW)
    assert expected is not None
    assert whole.canonical == expected[2]
    assert codec.whole(said, None) == DeadLetter(
        Reason.PARTIAL_WITHOUT_STATE,
        "The event lacks total, customer, placed and updated_at, and no state of order "
        "AB-1 is known to complete it from.",
    )


def test_a_created_event_has_the_defaults_of_what_it_lacks() -> None:
    codec = Codec(WRAPPED)
    said = said_by(codec, b"AB-1", wrapped_event("created", code=None, lines=None, note=None))
    assert said.kind is EventKind.UPSERT
    assert UNSET not in said.values
    assert codec.row(said, whole_of(codec, said), NOW).find(b'"code":"XX"') > 0
    lacking = codec.read(b"AB-1", wrapped_event("created", total=None))
    assert lacking == (Reason.INVALID_EVENT, "order: a created event lacks total.")


def test_a_field_that_the_model_does_not_name_is_dropped_or_kept_and_compared() -> None:
    value = wrapped_event(color='{"b":1.0,"a":2}', processing_time='"mine"')
    dropped = Codec(WRAPPED).recognise(b"AB-1", value, NOW)
    assert dropped is not None
    assert b"color" not in dropped[3]
    codec = Codec(WRAPPED, unknown_fields="pass")
    said = said_by(codec, b"AB-1", value)
    row = codec.row(said, whole_of(codec, said), NOW)
    assert json.loads(row) == {**json.loads(dropped[3]), "color": {"a": 2, "b": 1}}
    comparing = Codec(WRAPPED, ["color", "status"], unknown_fields="pass")
    assert comparing.content == ("status", "color")
    assert whole_of(comparing, said).canonical == b'["open",{"a":2,"b":1}]'
    partial = b'{"at":1,"action":"x","order":{"order_id":"AB-1","status":"paid"}}'
    merged = whole_of(comparing, said_by(comparing, b"AB-1", partial), row)
    assert merged.canonical == b'["paid",{"a":2,"b":1}]'


def test_members_of_an_envelope_may_have_any_name() -> None:
    envelope = Wrapped("__row", "event-time", "json", "schema", deletes=("gone",), unit="s")
    codec = Codec(Entity("plain", Plain, "key", envelope))
    value = b'{"event-time":1,"json":"e","schema":"%b","__row":{"key":7,"model":"x"}}'
    found = codec.recognise(b"7", value % b"new", NOW)
    said = said_by(codec, b"7", value % b"new")
    assert found is not None
    assert found[3] == codec.row(said, whole_of(codec, said), NOW)
    assert said_by(codec, b"7", value % b"gone").kind is EventKind.DELETE
    refused = codec.read(b"7", b'{"event-time":"x","json":1,"schema":"","__row":{"key":"y"}}')
    assert isinstance(refused, DeadLetter)
    assert refused.message.partition(". ")[0].split("; ") == [
        "json: Input should be a valid string",
        "event-time: Value error, an integer is expected: the time since the epoch in s",
        "__row.key: Value error, an integer is expected",
    ]


@pytest.mark.parametrize("token", ['"\\u0000":1', '"x":["\\u0000"]', '"x":1e400'])
def test_an_unknown_field_without_a_plain_form_is_refused_where_it_is_kept(token: str) -> None:
    value = document_of(EPOCH_ORDER, {})[:-1] + f",{token}}}"
    refused = Codec(FLAT, unknown_fields="pass").read(b'"AB-1"', value.encode())
    assert isinstance(refused, DeadLetter)
    assert refused.message.startswith("a field that the model does not name has no plain form: ")
    assert isinstance(Codec(FLAT).read(b'"AB-1"', value.encode()), NormalEvent)


class Plain(BaseModel):
    """A row with an integer for an id."""

    key: int
    model: str


class Judging(BaseModel):
    """A model with code of its own."""

    order_id: str
    low: int
    high: int
    name: str = ""
    at: Annotated[str, Field(min_length=1)] = "-"

    @field_validator("name")
    @classmethod
    def _lower(cls, value: str) -> str:
        return value.lower()

    @model_validator(mode="after")
    def _in_order(self) -> "Judging":
        if self.low > self.high:
            raise ValueError("low is above high")
        return self


def test_the_validators_of_a_model_judge_whole_rows() -> None:
    """They see what an event and the known row make together, and the fast path is off."""
    envelope = Wrapped(payload="row", time="time", unit="s")
    codec = Codec(Entity("judging", Judging, "order_id", envelope))
    value = b'{"time":1,"row":{"order_id":"1","low":1,"high":%d,"name":"ABC","at":"x"}}'
    assert not codec.is_fast
    assert codec.recognise(b"1", value % 2, NOW) is None
    said = said_by(codec, b"1", value % 2)
    row = codec.row(said, whole_of(codec, said), NOW)
    assert b'"name":"abc"' in row
    assert codec.whole(said_by(codec, b"1", value % 0), None) == (
        Reason.INVALID_EVENT,
        "event: Value error, low is above high",
    )
    partial = said_by(codec, b"1", b'{"time":1,"row":{"order_id":"1","low":3}}')
    assert isinstance(codec.whole(partial, row), DeadLetter)


def test_flat_takes_a_time_with_and_without_a_fraction() -> None:
    codec = Codec(FLAT)
    found = codec.recognise(b'"AB-1"', document_of(EPOCH_ORDER, {"updated_at": "0"}).encode(), NOW)
    assert found is not None
    assert found[1] == 0
    assert b'"updated_at":"1970-01-01T00:00:00.000000Z"' in found[3]
