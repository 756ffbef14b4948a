"""What docs/entities.md says of kinds, forms and refusals is what the code does."""

import json
import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import pytest
from pydantic import BaseModel, Field, create_model

import dedup
from dedup import DecimalBytes, Entity, Epoch, EpochDays, Flat, JsonText, Wrapped
from dedup.core import kinds
from dedup.core.codec import Codec, Whole
from dedup.core.normal_event import NormalEvent
from tests.docs.blocks import ROOT, blocks

PAGE: Final = (ROOT / "docs" / "entities.md").read_text("utf-8")
NAMES: Final[dict[str, Any]] = {
    "Annotated": Annotated,
    "Any": Any,
    "Decimal": Decimal,
    "DecimalBytes": DecimalBytes,
    "Epoch": Epoch,
    "EpochDays": EpochDays,
    "Field": Field,
    "JsonText": JsonText,
    "Literal": Literal,
    "UUID": UUID,
    "date": date,
    "datetime": datetime,
}


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the first table after a heading, without its first row."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    table = re.search(r"(?:^\|.*\n)+", section, re.MULTILINE)
    assert table is not None
    lines = table[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def codes(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


KINDS: Final = rows("Kinds of fields")


class Base(BaseModel):
    """The other fields of a row."""

    id: int
    at: datetime


def entity_of(annotation: Any) -> Entity:
    model = create_model("Row", __base__=Base, value=(annotation, ...))
    return Entity("row", model, "id", Flat(time="at"))


@pytest.mark.parametrize("row", KINDS, ids=lambda row: row[1])
def test_a_kind_is_as_it_is_listed(row: list[str]) -> None:
    name, annotation, forms, in_row, flink, postgres = row
    entity = entity_of(eval(codes(annotation)[0], NAMES))  # noqa: S307 - the page's own
    kind = entity.field("value").kind
    assert (kind.name, kind.flink, kind.postgres) == (name, flink, postgres)
    codec = Codec(entity)
    for form in codes(forms):
        value = f'{{"id":1,"value":{form},"at":"2026-01-01T00:00:00Z"}}'.encode()
        event = codec.read(b"1", value)
        assert isinstance(event, NormalEvent), (form, event)
        whole = codec.whole(event, None)
        assert isinstance(whole, Whole)
        written = codec.row(event, whole, "now").decode()
        assert f'"value":{codes(in_row)[0]},"last' in written, written


def test_every_kind_is_listed() -> None:
    types = {annotation.split("[")[0] for row in KINDS for annotation in codes(row[1])}
    built: set[str] = {t.__name__ for t in kinds._KINDS}
    listed = types | {match for row in KINDS for match in re.findall(r"Annotated\[(\w+)", row[1])}
    assert built <= listed
    assert {row[0] for row in KINDS} == {
        *("integer", "text", "decimal", "boolean", "time", "date", "uuid", "choice", "json")
    }


Money = Annotated[Decimal, Field(ge=0, max_digits=12, decimal_places=2)]


def order(**fields: Any) -> type[BaseModel]:
    known: dict[str, Any] = {
        "order_id": (str, ...),
        "total": (Money, ...),
        "updated_at": (datetime, ...),
    }
    return create_model("Order", **{**known, **fields})


def entity(model: type[BaseModel], **arguments: Any) -> Entity:
    given = {"id": "order_id", "envelope": Flat(time="updated_at"), **arguments}
    return Entity(name="order", model=model, **given)


REFUSED: Final[dict[str, Callable[[], Entity]]] = {
    "a type without a kind": lambda: entity(order(weight=(float, ...))),
    "a decimal without limits": lambda: entity(order(total=(Decimal, ...))),
    "no such id": lambda: entity(order(), id="number"),
    "an id that may be null": lambda: entity(order(order_id=(str | None, ...))),
    "an event time that may be null": lambda: entity(order(updated_at=(datetime | None, ...))),
    "nothing to compare": lambda: entity(order(), metadata=("total", "updated_at")),
    "an alias": lambda: entity(order(total=(Money, Field(alias="sum")))),
    "a field of the row's own": lambda: entity(order(processing_time=(datetime, ...))),
}


@pytest.mark.parametrize("row", rows("What is refused at start"), ids=lambda row: row[0])
def test_a_refusal_is_said_as_it_is_listed(row: list[str]) -> None:
    what, message = row
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - the message is compared
        REFUSED[what]()
    assert str(raised.value) == codes(message)[0]


def test_every_refusal_that_is_tried_is_listed() -> None:
    assert [row[0] for row in rows("What is refused at start")] == list(REFUSED)


def test_the_tables_of_arguments_are_those_of_the_code() -> None:
    arguments = [codes(row[0])[0] for row in rows("Entity")]
    parameters = [n for n, f in Entity.__dataclass_fields__.items() if f.init]
    assert sorted(arguments) == sorted(parameters)
    table = PAGE.split("The other arguments of `Wrapped`")[1].split("\n## ")[0]
    named = {
        name
        for line in table.splitlines()
        if line.startswith("| `")
        for name in codes(line.split("|")[1])
    }
    assert named == set(Wrapped.__dataclass_fields__) - {"payload", "time"}
    envelopes = {codes(row[0])[0].partition("(")[0] for row in rows("Envelopes")}
    assert envelopes == {"Wrapped", "Flat", "Debezium"}
    assert envelopes < set(dedup.__all__)


def test_the_module_of_the_tutorial_is_an_entity() -> None:
    (block,) = (b for b in blocks() if b.page == "docs/entities.md" and b.language == "python")
    names: dict[str, Any] = {**NAMES, "BaseModel": BaseModel, "Entity": Entity, "Flat": Flat}
    source = "\n".join(block.lines)
    exec(compile(source, "shop_orders", "exec", dont_inherit=True), names)  # noqa: S102 - the page's own
    codec = Codec(names["ORDER"])
    order = {"order_id": "AB-1", "status": "open", "total": 12.5, "items": []}
    value = json.dumps({**order, "updated_at": 1763996400000}).encode()
    assert isinstance(codec.read(b"AB-1", value), NormalEvent)
