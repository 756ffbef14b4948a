"""An entity that can't work is refused when it is built, with the field and the reason."""

import enum
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import pytest
from pydantic import BaseModel, ConfigDict, Field, RootModel

from dedup.core.annotations import DecimalBytes, Epoch, EpochDays, JsonText
from dedup.core.entity import Debezium, Entity, Envelope, Flat, Wrapped
from dedup.entities.product import PRODUCT
from tests.core.orders import DEBEZIUM, FLAT, WRAPPED

PLAIN: Final = Wrapped(payload="row", time="time")


class Row(BaseModel):
    """A small row."""

    id: str
    name: str = ""
    at: datetime


def model(**fields: Any) -> type[BaseModel]:
    """Return a model with the fields of Row and others; a pair is a type and a default."""
    given = {n: f if isinstance(f, tuple) else (f, ...) for n, f in fields.items()}
    body = {n: f[1] for n, f in given.items() if f[1] is not ...}
    annotations = {"id": str, **{n: f[0] for n, f in given.items()}}
    return type(
        "Made", (BaseModel,), {"__annotations__": annotations, **body, "__module__": __name__}
    )


def entity(of: Any = Row, envelope: Envelope = PLAIN, **changes: Any) -> Entity:
    return Entity(**{"name": "row", "model": of, "id": "id", "envelope": envelope, **changes})


class Colour(enum.Enum):
    """Values of two types."""

    RED = "red"
    TWO = 2


class Rooted(RootModel[int]):
    """No row."""


class Strict(Row):
    """A strict model."""

    model_config = ConfigDict(strict=True)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (float, "field x: the type float is not supported; use Decimal with max_digits and"),
        (bytes, "field x: the type bytes is not supported; carry bytes as text"),
        (Row, "field x: the type Row is not supported"),
        (set[str], r"field x: the type set\[str\] is not supported"),
        (int | str, r"field x: the type int \| str is not supported"),
        (Any, "field x: the type (typing.)?Any is not supported"),
        (Decimal, "field x: a Decimal needs its digits and places, 38 at most"),
        (
            Annotated[Decimal, Field(max_digits=39, decimal_places=2)],
            "field x: a Decimal needs its",
        ),
        (Annotated[int, Field(ge=0, le=2**63)], "field x: an integer has at most 64 bits"),
        (dict[str, int], r"field x: of dict only dict\[str, Any\] and list\[Any\] are supported"),
        (Literal["a", 1], "field x: the values of a Literal or an Enum are all text or all int"),
        (Colour, "field x: the values of a Literal or an Enum are all text or all integers"),
        (Annotated[int, Epoch("ms")], "field x: Epoch does not go with int"),
        (Annotated[date, Epoch("ms")], "field x: Epoch does not go with date"),
        (Annotated[datetime, EpochDays()], "field x: EpochDays does not go with datetime"),
        (Annotated[str, JsonText()], "field x: JsonText does not go with str"),
        (Annotated[UUID, DecimalBytes(2)], "field x: DecimalBytes does not go with UUID"),
        (Annotated[str, Field(alias="y")], "field x: an alias is not supported"),
        ((int, None), "field x: its default does not fit its type: Input should be a valid int"),
        ((Annotated[int, Field(ge=1)], 0), "field x: its default does not fit its type: Input"),
        ((int, Field(default_factory=int)), "field x: a default_factory is not supported"),
    ],
)
def test_a_type_that_can_not_work_is_refused(kind: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        entity(model(x=kind))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "Row"}, "the name 'Row' is not of small letters, digits and _"),
        ({"name": "x" * 41}, "the name 'x+' is not of"),
        ({"id": "key"}, "id: Row has no field 'key'"),
        ({"id": "at"}, "field at: an id is an integer, a text or a UUID"),
        ({"id": "name"}, "field name: an id is always there and never null"),
        ({"of": Rooted}, "the model must be a subclass of pydantic.BaseModel with fields"),
        ({"of": Strict}, "a strict model is not supported"),
        ({"metadata": ("name", "x")}, "metadata: Row has no field 'x'"),
        ({"metadata": ("id",)}, "metadata: id is the id"),
        ({"metadata": ("name", "at")}, "no field is left as content"),
        ({"envelope": Flat(time="x")}, "time: Row has no field 'x'"),
        ({"envelope": Flat(time="name")}, "field name: the event time must be a datetime"),
        ({"of": model(at=datetime | None, a=int), "envelope": Flat(time="at")}, "field at: the ev"),
        ({"envelope": Wrapped("row", "row")}, "the envelope names a member twice: row and row"),
        ({"envelope": Wrapped("row", "t", deletes=("d",))}, "names actions, but not the member"),
        (
            {"envelope": Wrapped("row", "t", action="a", creates=("c",), deletes=("c",))},
            "the action 'c' both creates and deletes",
        ),
        (
            {"envelope": Wrapped("row", "t", action="a", creates=("c",), actions=("d",))},
            "actions must name those of creates and deletes too",
        ),
        ({"envelope": Wrapped("row", "t", carries=("was",))}, "carries: 'was' is not old_ and"),
        ({"envelope": Wrapped("row", "t", carries=("old_x",))}, "carries: 'old_x' is not old_"),
        ({"of": model(processing_time=str)}, "field processing_time: the row has a field of this"),
        (
            {"of": model(last_action=str), "envelope": Debezium()},
            "field last_action: the row has a field of this name already",
        ),
    ],
)
def test_an_entity_that_can_not_work_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        entity(**changes)


def test_content_is_all_but_the_id_and_the_metadata() -> None:
    assert PRODUCT.content == (
        *("product_name", "description", "price", "stock_quantity", "discount"),
    )
    assert "updated_at" not in WRAPPED.content
    assert "order_id" not in WRAPPED.content


def test_the_id_comes_first_wherever_the_model_has_it() -> None:
    class Late(BaseModel):
        name: str
        key: int

    assert [field.name for field in entity(Late, id="key").fields] == ["key", "name"]


def test_keys_of_debezium_are_json_unless_said_otherwise() -> None:
    assert (DEBEZIUM.key_form, FLAT.key_form, WRAPPED.key_form) == ("json", "json", "text")
    assert entity(envelope=Debezium(), key="text").key_form == "text"


def test_an_entity_is_a_value() -> None:
    assert entity() == entity()
    assert entity() != entity(metadata=("at",))
    with pytest.raises(AttributeError):
        entity().name = "x"  # type: ignore[misc]


def test_provenance_follows_from_the_envelope() -> None:
    assert PRODUCT.provenance == (
        *("last_event_id", "last_action", "last_event_timestamp", "last_old_price"),
        "processing_time",
    )
    assert FLAT.provenance == ("last_event_timestamp", "processing_time")
    assert DEBEZIUM.provenance == ("last_action", "last_event_timestamp", "processing_time")


COLUMNS: Final = {
    "order_id": ("STRING", "varchar(20)", "left"),
    "status": ("STRING", "text", "left"),
    "total": ("DECIMAL(12, 2)", "decimal(12, 2)", "right"),
    "customer": ("STRING", "uuid", "left"),
    "placed": ("DATE", "date", "left"),
    "note": ("STRING", "text", "left"),
    "code": ("STRING", "text", "left"),
    "channel": ("STRING", "text", "left"),
    "is_gift": ("BOOLEAN", "boolean", "left"),
    "lines": ("STRING", "jsonb", "left"),
    "attributes": ("STRING", "jsonb", "left"),
    "weight": ("INT", "integer", "right"),
    "updated_at": ("TIMESTAMP_LTZ(6)", "timestamp with time zone", "left"),
}


def test_kinds_know_the_types_of_flink_and_postgresql() -> None:
    for of in (WRAPPED, FLAT):
        kinds = {field.name: field.kind for field in of.fields}
        assert {n: (k.flink, k.postgres, k.align) for n, k in kinds.items()} == COLUMNS


def test_the_columns_of_products_are_those_of_the_sink_and_of_flink() -> None:
    kinds = [field.kind for field in PRODUCT.fields]
    assert [kind.flink for kind in kinds] == [
        *("BIGINT", "STRING", "STRING", "DECIMAL(10, 2)", "INT", "DECIMAL(10, 2)"),
        *("TIMESTAMP_LTZ(6)", "TIMESTAMP_LTZ(6)"),
    ]
    assert [kind.postgres for kind in kinds] == [
        *("bigint", "varchar(255)", "text", "decimal(10, 2)", "integer", "decimal(10, 2)"),
        *("timestamp with time zone", "timestamp with time zone"),
    ]
