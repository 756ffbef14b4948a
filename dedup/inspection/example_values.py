"""A value of each kind of field, as an event carries it and within the limits of the model."""

from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Final, get_args, get_origin

import msgspec
from pydantic import TypeAdapter

from dedup.core.annotations import DecimalBytes, Epoch, EpochDays, JsonText
from dedup.core.entity import Entity
from dedup.core.fields import EntityField

_TIME: Final = datetime(2023, 12, 1, 10, 30, tzinfo=UTC)
_TIME_TEXT: Final = "2023-12-01T10:30:00.000000Z"
_DATE_TEXT: Final = "2023-12-01"
_DAYS: Final = 19692
_UUID: Final = "7d444840-9dc0-11d1-b245-5ffdce74fad2"
_INTEGERS: Final = (1, 5, 10, 100, 0, -1)
_DECIMALS: Final = ("12.5", "1.5", "0.5", "10", "1", "0", "-1")
_TEXTS: Final = (
    *("example", "EX", "AB-1", "A", "AB", "ABC", "ABCD", "a", "ab", "abc", "1", "12", "123"),
    *("12345", "1234567890", "a@example.com", "https://example.com/", "+15550100", "1.0.0", ""),
)
_SECONDS_TO: Final = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def example_value(entity: Entity, field: EntityField) -> Any:
    """Return a value of a field as an event of the entity carries it; plain JSON.

    The model's own `examples` come first. Raises ValueError when nothing fits.
    """
    adapter = TypeAdapter[Any](field.pydantic_type())
    for value in _candidates(entity, field):
        try:
            adapter.validate_python(value)
            msgspec.json.encode(value)
        except (ValueError, TypeError):  # pydantic's ValidationError is a ValueError
            continue
        return value
    raise ValueError(
        f"field {field.name}: no example fits its limits; give the model one: Field(examples=[...])"
    )


def _candidates(entity: Entity, field: EntityField) -> Iterator[Any]:
    info = entity.model.model_fields[field.name]
    yield from info.examples or ()
    yield from _of_kind(field)
    if not field.required and field.annotation.limits.mark is None:
        yield field.default
    if field.nullable:
        yield None


def _of_kind(field: EntityField) -> Iterator[Any]:
    match field.kind.name:
        case "integer":
            yield from _bounded(field, _INTEGERS)
        case "decimal":
            yield from _decimals(field)
        case "text":
            yield from _texts(field)
        case "choice":
            yield _first_choice(field.annotation.type)
        case "boolean":
            yield True
        case "uuid":
            yield _UUID
        case "time" | "date" | "json":
            yield _marked(field)


def _marked(field: EntityField) -> Any:
    """Return a time, a date or JSON as its mark says that events carry it."""
    mark = field.annotation.limits.mark
    match mark:
        case Epoch(unit):
            return int(_TIME.timestamp()) * _SECONDS_TO[unit]
        case EpochDays():
            return _DAYS
        case JsonText():
            return msgspec.json.encode(_json(field)).decode()
    if field.kind.name == "json":
        return _json(field)
    return _TIME_TEXT if field.kind.name == "time" else _DATE_TEXT


def _json(field: EntityField) -> Any:
    container = get_origin(field.annotation.type) or field.annotation.type
    return {"key": "value"} if container is dict else ["value"]


def _first_choice(choices: Any) -> Any:
    if isinstance(choices, type) and issubclass(choices, Enum):
        return next(iter(choices)).value
    return get_args(choices)[0]


def _texts(field: EntityField) -> Iterator[str]:
    limits = field.annotation.limits
    most = limits.max_length
    for text in (f"{field.name}-1" if field.name.endswith("id") else f"a {field.name}", *_TEXTS):
        yield text if most is None else text[:most]
    yield "x" * (limits.min_length or 1)


def _bounded(field: EntityField, numbers: tuple[Any, ...]) -> Iterator[Any]:
    limits = field.annotation.limits
    yield from numbers
    yield from (bound for bound in (limits.ge, limits.le) if bound is not None)


def _decimals(field: EntityField) -> Iterator[Any]:
    limits = field.annotation.limits
    places = limits.decimal_places or 0
    whole = (limits.max_digits or 0) - places
    for number in _bounded(field, tuple(Decimal(text) for text in _DECIMALS)):
        value = round(Decimal(number), places)
        if value.adjusted() >= whole and value:
            continue
        if isinstance(limits.mark, DecimalBytes):
            yield _unscaled(value, places, limits.mark.scale)
        else:
            yield field.marked(None).normal(value)


def _unscaled(value: Decimal, places: int, scale: int | None) -> Any:
    """Return base64 of a decimal's unscaled bytes; without a scale of its own, beside it."""
    of = places if scale is None else scale
    number = int(value.scaleb(of))
    size = (number.bit_length() + 8) // 8
    text = b64encode(number.to_bytes(size, "big", signed=True)).decode()
    return {"scale": of, "value": text} if scale is None else text
