"""What an event is: its example is taken by the codec, its schema says how values are written."""

import json
from base64 import b64decode
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from enum import IntEnum
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import pytest
from pydantic import BaseModel, Field, create_model

from dedup import Debezium, DecimalBytes, Entity, Epoch, EpochDays, Flat, JsonText, Wrapped
from dedup.core.codec import Codec
from dedup.core.entity import Envelope
from dedup.core.normal_event import EventKind, NormalEvent
from dedup.entities.product import PRODUCT
from dedup.inspection.event_schema import event_schema, example_event, row_columns
from tests.core.orders import DEBEZIUM, FLAT, WRAPPED

NOW: Final = "2026-01-01T00:00:00.000000Z"


class Size(IntEnum):
    """A choice of integers."""

    SMALL = 1
    LARGE = 2


KINDS: Final[dict[str, Any]] = {
    "integer": int,
    "a_range": Annotated[int, Field(ge=200, lt=300)],
    "below_zero": Annotated[int, Field(le=-5)],
    "multiple": Annotated[int, Field(multiple_of=7, ge=0)],
    "text": str,
    "short": Annotated[str, Field(min_length=1, max_length=2)],
    "long": Annotated[str, Field(min_length=50)],
    "pattern": Annotated[str, Field(pattern="^[A-Z]{2}$")],
    "given": Annotated[str, Field(pattern="^x-[0-9]{9}$", examples=["x-123456789"])],
    "decimal": Annotated[Decimal, Field(max_digits=10, decimal_places=2)],
    "whole": Annotated[Decimal, Field(max_digits=3, decimal_places=0)],
    "fraction": Annotated[Decimal, Field(max_digits=2, decimal_places=2)],
    "large": Annotated[Decimal, Field(max_digits=12, decimal_places=2, ge=1000)],
    "of_bytes": Annotated[Decimal, Field(max_digits=9, decimal_places=3), DecimalBytes(3)],
    "of_any_bytes": Annotated[Decimal, Field(max_digits=9, decimal_places=3), DecimalBytes()],
    "boolean": bool,
    "time": datetime,
    "seconds": Annotated[datetime, Epoch("s")],
    "millis": Annotated[datetime, Epoch("ms")],
    "micros": Annotated[datetime, Epoch("us")],
    "nanos": Annotated[datetime, Epoch("ns")],
    "day": date,
    "days": Annotated[date, EpochDays()],
    "uuid": UUID,
    "literal": Literal["a", "b"],
    "size": Size,
    "object": dict[str, Any],
    "list": list[Any],
    "json_text": Annotated[dict[str, Any], JsonText()],
}
IDS: Final[dict[str, Any]] = {
    "integer": int,
    "text": str,
    "short": Annotated[str, Field(max_length=3)],
    "uuid": UUID,
}
WRAPPED_IN_MILLIS: Final = Wrapped(
    payload="row", time="at", event_id="event", action="action", deletes=("created",), unit="ms"
)


def entities() -> Iterator[Any]:
    """Return an entity of every kind in every envelope, then one for every id and form of key."""
    envelopes: tuple[Envelope, ...] = (
        Flat(time="time"),
        Wrapped("row", "at"),
        WRAPPED_IN_MILLIS,
        Debezium(),
    )
    named: dict[str, Any] = {
        **{name: (kind, ...) for name, kind in KINDS.items()},
        **{f"{name}_or_null": (kind | None, None) for name, kind in KINDS.items()},
    }
    every_kind = create_model("Row", row_id=(int, ...), **named)
    for number, envelope in enumerate(envelopes):
        yield pytest.param(Entity("row", every_kind, "row_id", envelope), id=f"kinds-{number}")
    for name, kind in IDS.items():
        model = create_model("Row", row_id=(kind, ...), time=(datetime, ...), text=(str, ...))
        keys: tuple[Literal["text", "json"], ...] = ("text", "json")
        for number, envelope in enumerate(envelopes):
            for key in keys:
                entity = Entity("row", model, "row_id", envelope, key=key)
                yield pytest.param(entity, id=f"id-{name}-{number}-{key}")


ENTITIES: Final = [PRODUCT, WRAPPED, FLAT, DEBEZIUM, *entities()]


@pytest.mark.parametrize("entity", ENTITIES)
def test_the_example_is_an_event_that_the_fast_path_takes(entity: Entity) -> None:
    key, value = example_event(entity)
    codec = Codec(entity)
    said = codec.read(key, value)
    assert isinstance(said, NormalEvent), said
    assert said.kind is EventKind.UPSERT
    recognised = codec.recognise(key, value, NOW)
    assert recognised is not None
    assert recognised[0] == said.id


@pytest.mark.parametrize("entity", ENTITIES)
def test_the_example_has_the_members_of_the_schema(entity: Entity) -> None:
    schema = event_schema(entity)
    event = json.loads(example_event(entity)[1])
    assert set(schema["required"]) <= event.keys() <= schema["properties"].keys()
    agree(schema, event, schema)


def agree(schema: dict[str, Any], value: Any, root: dict[str, Any]) -> None:
    """Hold a value against what a schema says of types and members, and all below."""
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        found = [s for s in schema["anyOf"] if is_of(s, value, root)]
        assert found, (schema, value)
        agree(found[0], value, root)
        return
    assert is_of(schema, value, root), (schema, value)
    assert value in schema.get("enum", [value])
    if isinstance(value, dict) and "properties" in schema:
        assert set(schema.get("required", ())) <= value.keys()
        for name, member in value.items():
            agree(schema["properties"][name], member, root)
    if schema.get("contentEncoding") == "base64":
        b64decode(value, validate=True)


def is_of(schema: dict[str, Any], value: Any, root: dict[str, Any]) -> bool:
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    types: dict[str, Any] = {
        "object": dict,
        "array": list,
        "string": str,
        "integer": int,
        "number": (int, float),
        "boolean": bool,
        "null": type(None),
    }
    return isinstance(value, types[schema["type"]])


def test_the_schema_says_how_events_write_what_a_mark_means() -> None:
    rows = event_schema(FLAT)["properties"]
    assert rows["updated_at"]["type"] == "integer"
    assert rows["updated_at"]["description"] == "time since the epoch in ms"
    assert rows["placed"]["description"] == "days since 1970-01-01"
    assert rows["total"]["description"] == "at most 12 digits, 2 of them decimal places"
    after = event_schema(DEBEZIUM)["$defs"]["EpochOrder"]["properties"]
    assert after["lines"]["type"] == "string"


def test_the_columns_are_those_of_a_row_in_its_order() -> None:
    for entity in (PRODUCT, WRAPPED, FLAT, DEBEZIUM):
        codec = Codec(entity)
        recognised = codec.recognise(*example_event(entity), NOW)
        assert recognised is not None
        assert [c.name for c in row_columns(entity)] == list(json.loads(recognised[3]))
    columns = {column.name: column for column in row_columns(WRAPPED)}
    assert columns["last_old_total"].postgres == "decimal(12, 2)"
    assert columns["last_old_total"].nullable
    assert not columns["order_id"].nullable
    assert columns["attributes"].postgres == "jsonb"


def test_a_field_that_nothing_known_fits_asks_for_an_example() -> None:
    class Guarded(BaseModel):
        """A row with a pattern of its own."""

        row_id: int
        code: Annotated[str, Field(pattern="^x-[0-9]{9}$")]

    entity = Entity("row", Guarded, "row_id", Wrapped("row", "at"))
    with pytest.raises(ValueError, match=r"field code: no example fits its limits.*\(examples="):
        example_event(entity)
