"""The kinds of fields: the one table of what a type means, from an event to a database's column.

A kind knows how pydantic is to read a value (`before`, `constraints`), the normal form of what it
read (`normal`), how msgspec recognises a value that is in normal form already (`Form`), and the
types of Flink and PostgreSQL. Values in normal form are what msgspec writes into a row.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Final, Literal, get_args, get_origin
from uuid import UUID

import msgspec
from msgspec import Meta
from pydantic import AfterValidator, Field, StringConstraints

from dedup.core import wire_forms as wire
from dedup.core.annotations import Annotation, DecimalBytes, Epoch, EpochDays, JsonText
from dedup.core.canonical_json import canonical_json
from dedup.core.times import in_utc, time_of_a_row

MAX_INT64: Final = 2**63 - 1
_MAX_INT32: Final = 2**31 - 1
_MAX_DIGITS: Final = 38
"""Flink's DECIMAL takes no more."""

Alignment = Literal["left", "right"]


class UnsupportedTypeError(ValueError):
    """A type that no kind is for, or that says too little; the message continues `field x: `."""


@dataclass(frozen=True)
class Form:
    """How msgspec reads a field on the fast path.

    `plain` tells whether what it read is in normal form, unless it is null (None: it always is);
    `convert` returns the normal form instead. Either may raise ValueError: then pydantic reads the
    whole event.
    """

    type: Any
    plain: Callable[[Any], object] | None = None
    convert: Callable[[Any], Any] | None = None
    digits: tuple[int, int] | None = None
    """Of a decimal of at least 0, whose test is no more than that: those before and after the
    point. Compiled code tests it so."""


@dataclass(frozen=True)
class Kind:
    """What values of one type are: how they are read, compared, written and shown."""

    name: str
    form: Form | None
    """None: pydantic alone can read it."""

    before: Callable[[object], object]
    normal: Callable[[Any], Any]
    flink: str
    postgres: str
    align: Alignment = "left"
    lenient: Form | None = None
    """Reads more forms than `form` does, at a price; None: `form` is all there is."""

    constraints: tuple[Any, ...] = ()


def kind_of(field: Annotation) -> Kind:
    """Return the kind of a field. Raises UnsupportedTypeError for a type that has none."""
    if get_origin(field.type) is Literal:
        return _choice(get_args(field.type))
    if isinstance(field.type, type) and issubclass(field.type, Enum):
        return _choice([member.value for member in field.type])
    builder = _KINDS.get(get_origin(field.type) or field.type)
    if builder is None:
        hint = _HINTS.get(field.type, "")
        raise UnsupportedTypeError(f"the type {_name(field.type)} is not supported{hint}")
    return builder(field)


def _name(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)


def _refuse_mark(field: Annotation, *taken: type) -> None:
    mark = field.limits.mark
    if mark is not None and not isinstance(mark, taken):
        raise UnsupportedTypeError(f"{type(mark).__name__} does not go with {_name(field.type)}")


def _itself(value: Any) -> Any:
    return value


def _integer(field: Annotation) -> Kind:
    _refuse_mark(field)
    limits = field.limits
    least = -(2**63) if limits.ge is None else limits.ge
    most = MAX_INT64 if limits.le is None else limits.le
    if least < -(2**63) or most > MAX_INT64:
        raise UnsupportedTypeError("an integer has at most 64 bits: its bounds must be within them")
    small = least >= -_MAX_INT32 - 1 and most <= _MAX_INT32
    form = Form(Annotated[int, Meta(ge=least, le=most)])
    return Kind(
        "integer",
        form,
        wire.plain_integer,
        _itself,
        "INT" if small else "BIGINT",
        "integer" if small else "bigint",
        "right",
        constraints=(Field(ge=least, le=most),) if limits.ge is None or limits.le is None else (),
    )


# PostgreSQL text can hold anything but NUL. The pattern also refuses lone surrogates, which have no
# form in UTF-8.
_NO_NUL: Final = StringConstraints(pattern=r"^[^\x00]*$")


def _text(field: Annotation) -> Kind:
    _refuse_mark(field)
    limits = field.limits
    form = Form(Annotated[str, Meta(min_length=limits.min_length, max_length=limits.max_length)])
    longest = limits.max_length
    postgres = "text" if longest is None else f"varchar({longest})"
    # A pattern of the model's own would be replaced by ours.
    guard: Any = AfterValidator(wire.storable_text) if limits.opaque else _NO_NUL
    return Kind("text", form, _itself, wire.storable_text, "STRING", postgres, constraints=(guard,))


def _decimal(field: Annotation) -> Kind:
    _refuse_mark(field, DecimalBytes)
    limits, mark = field.limits, field.limits.mark
    digits, places = limits.max_digits, limits.decimal_places
    if digits is None or places is None or not 0 <= places <= digits <= _MAX_DIGITS:
        raise UnsupportedTypeError(
            "a Decimal needs its digits and places, 38 at most: "
            "Annotated[Decimal, Field(max_digits=12, decimal_places=2)]"
        )
    is_plain = wire.is_decimal_text(digits, places, limits.ge, limits.le)
    unsigned = limits.ge is not None and limits.ge == 0 and limits.le is None
    form: Form | None = Form(str, is_plain, digits=(digits - places, places) if unsigned else None)
    lenient: Form | None = Form(msgspec.Raw, convert=wire.decimal_of_json(is_plain, places))
    before: Callable[[object], object] = wire.plain_decimal
    if isinstance(mark, DecimalBytes):
        form, lenient, before = None, None, wire.decimal_of_bytes(mark.scale)
    name = f"({digits}, {places})"
    return Kind(
        "decimal",
        form,
        before,
        wire.decimal_text(places),
        f"DECIMAL{name}",
        f"decimal{name}",
        "right",
        lenient,
    )


def _boolean(field: Annotation) -> Kind:
    _refuse_mark(field)
    lenient = Form(bool | Literal[0, 1], convert=bool)
    return Kind(
        "boolean", Form(bool), wire.plain_boolean, _itself, "BOOLEAN", "boolean", lenient=lenient
    )


def _time(field: Annotation) -> Kind:
    _refuse_mark(field, Epoch)
    mark = field.limits.mark
    form = Form(datetime, wire.is_in_utc)
    before: Callable[[object], object] = time_of_a_row
    if isinstance(mark, Epoch):
        before = wire.time_since_epoch(mark.unit)
        form = Form(int, convert=before)
    return Kind(
        "time",
        form,
        before,
        _itself,
        "TIMESTAMP_LTZ(6)",
        "timestamp with time zone",
        constraints=(AfterValidator(in_utc),),
    )


def _date(field: Annotation) -> Kind:
    _refuse_mark(field, EpochDays)
    form, before = Form(str, wire.is_date_text), wire.plain_date
    if field.limits.mark is not None:
        before = wire.date_of_days
        form = Form(int, convert=lambda days: wire.date_of_days(days).isoformat())
    return Kind("date", form, before, date.isoformat, "DATE", "date")


def _uuid(field: Annotation) -> Kind:
    _refuse_mark(field)
    return Kind("uuid", Form(str, wire.is_uuid_text), wire.plain_uuid, str, "STRING", "uuid")


def _json(field: Annotation) -> Kind:
    _refuse_mark(field, JsonText)
    container = get_origin(field.type) or field.type
    parts = get_args(field.type)
    if parts not in ((), (Any,), (str, Any)):
        raise UnsupportedTypeError(
            f"of {container.__name__} only dict[str, Any] and list[Any] are supported"
        )
    form: Form | None = Form(msgspec.Raw, convert=wire.raw_json(container))
    before = wire.checked_json
    if field.limits.mark is not None:
        form, before = None, wire.json_of_text
    return Kind("json", form, before, _raw, "STRING", "jsonb")


def _raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(canonical_json(value))


def _choice(members: Any) -> Kind:
    values = tuple(members)
    types = {type(value) for value in values}
    if types not in ({str}, {int}):
        raise UnsupportedTypeError(
            "the values of a Literal or an Enum are all text or all integers"
        )
    text = types == {str}
    return Kind(
        "choice",
        Form(Literal[values]),
        wire.no_boolean,
        wire.value_of,
        "STRING" if text else "BIGINT",
        "text" if text else "bigint",
        "left" if text else "right",
    )


_KINDS: Final[dict[Any, Callable[[Annotation], Kind]]] = {
    int: _integer,
    str: _text,
    Decimal: _decimal,
    bool: _boolean,
    datetime: _time,
    date: _date,
    UUID: _uuid,
    dict: _json,
    list: _json,
}
_HINTS: Final[dict[Any, str]] = {
    float: "; use Decimal with max_digits and decimal_places, which is exact",
    bytes: "; carry bytes as text",
}
