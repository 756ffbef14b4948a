"""The forms in which events carry values: what is taken, what is refused, what is normal."""

import re
from base64 import b64decode
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal
from enum import Enum
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

import msgspec

from dedup.core.annotations import EpochUnit
from dedup.core.canonical_json import canonical_json, canonical_text
from dedup.core.strict_json import read_json
from dedup.core.times import from_microseconds

_DECIMAL_TEXT: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_INTEGER_TEXT: Final = re.compile(r"[+-]?[0-9]+")
_DATE_TEXT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_UUID_TEXT: Final = re.compile(r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}")
_EPOCH_DAY: Final = date(1970, 1, 1)
_LONGEST_BYTES: Final = 64
_DATES_KEPT: Final = 4096
_EXACT: Final = Context(prec=60)
_WIDE: Final = Context(prec=200)
_LARGEST_SCALE: Final = 100

is_uuid_text: Final[Callable[[Any], Any]] = re.compile(
    r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"
).fullmatch


def plain_decimal(value: object) -> object:
    """Refuse what `Decimal()` would take but no table does: `1_0`, other scripts' digits, true."""
    if isinstance(value, bool):
        raise ValueError("a decimal number is expected, not a boolean")  # noqa: TRY004 - pydantic reports ValueError
    if isinstance(value, str) and not _DECIMAL_TEXT.fullmatch(value):
        raise ValueError("a decimal number is expected")
    return value


def plain_integer(value: object) -> object:
    """Refuse what `int()` would take but no table does."""
    if isinstance(value, bool):
        raise ValueError("an integer is expected, not a boolean")  # noqa: TRY004 - as above
    if isinstance(value, str) and not _INTEGER_TEXT.fullmatch(value):
        raise ValueError("an integer is expected")
    return value


def plain_boolean(value: object) -> object:
    """Take true and false, and 0 and 1, which MySQL has for them."""
    if isinstance(value, bool) or (isinstance(value, int) and value in (0, 1)):
        return bool(value)
    raise ValueError("true or false is expected")


def no_boolean(value: object) -> object:
    """Refuse true and false, which Python takes for 1 and 0."""
    if isinstance(value, bool):
        raise ValueError("one of the values is expected, not a boolean")  # noqa: TRY004 - as above
    return value


def plain_date(value: object) -> object:
    """Return the date of an ISO 8601 text; a bare number could be days or seconds."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if isinstance(value, str) and _DATE_TEXT.fullmatch(value):
        return date.fromisoformat(value)
    raise ValueError("an ISO 8601 date is expected, such as 2023-12-01")


def plain_uuid(value: object) -> object:
    """Take a UUID as text, with or without hyphens."""
    if isinstance(value, UUID) or (isinstance(value, str) and _UUID_TEXT.fullmatch(value)):
        return value
    raise ValueError("a UUID is expected, such as 7d444840-9dc0-11d1-b245-5ffdce74fad2")


def checked_json(value: object) -> object:
    """Refuse JSON that has no canonical form."""
    canonical_json(value)
    return value


def json_of_text(value: object) -> object:
    """Return the JSON of a text, as Debezium carries it; an object or a list is taken as it is."""
    if isinstance(value, str):
        try:
            value = read_json(value.encode())
        except ValueError:
            raise ValueError("a text of JSON is expected") from None
    return checked_json(value)


def raw_json(container: type) -> Callable[[msgspec.Raw], msgspec.Raw]:
    """Return the function from the bytes of an object, or a list, to their canonical form."""
    begin = b"[" if container is list else b"{"

    def convert(raw: msgspec.Raw) -> msgspec.Raw:
        canonical = canonical_text(bytes(raw))
        if not canonical.startswith(begin):
            raise ValueError(canonical)
        return msgspec.Raw(canonical)

    return convert


def storable_text(value: str) -> str:
    """Return a text that a database can hold. Raises ValueError for NUL and lone surrogates."""
    if "\x00" in value:
        raise ValueError("the text has the character NUL")
    if not value.isascii():
        value.encode()
    return value


def value_of(member: Any) -> Any:
    """Return the value of an Enum's member; of a Literal it is the value itself."""
    return member.value if isinstance(member, Enum) else member


def is_in_utc(value: Any) -> bool:
    """Tell whether msgspec read a time in UTC."""
    return type(value) is datetime and value.tzinfo is UTC


@lru_cache(_DATES_KEPT)
def is_date_text(value: str) -> bool:
    """Tell whether a text is a date of the calendar, in its one form. May raise ValueError."""
    return _DATE_TEXT.fullmatch(value) is not None and bool(date.fromisoformat(value))


def decimal_text(places: int) -> Callable[[Decimal], str]:
    """Return the function from a decimal to its one text: no exponent, no negative zero."""
    unit = Decimal(1).scaleb(-places)
    return lambda value: f"{_EXACT.plus(value.quantize(unit, context=_EXACT)):f}"


def is_decimal_text(digits: int, places: int, ge: Any, le: Any) -> Callable[[str], object]:
    """Return the test of a text: is it that one text, within the bounds?"""
    whole = digits - places
    zero_or_more = f"(?:0|[1-9][0-9]{{0,{whole - 1}}})" if whole else "0"
    text = zero_or_more + (rf"\.[0-9]{{{places}}}" if places else "")
    if ge is not None and ge == 0 and le is None:
        return re.compile(text).fullmatch
    matches = re.compile(f"-?{text}").fullmatch

    def within(value: str) -> bool:
        if matches(value) is None:
            return False
        number = Decimal(value)
        is_negative_zero = not number and value.startswith("-")
        return (
            not is_negative_zero and (ge is None or number >= ge) and (le is None or number <= le)
        )

    return within


def decimal_of_json(is_plain: Callable[[str], object], places: int) -> Callable[[msgspec.Raw], str]:
    """Return the function from a JSON number, or a text of one, to the one text of a decimal.

    It raises ValueError for any that needs to be looked at more closely.
    """

    def read(raw: msgspec.Raw) -> str:
        text = bytes(raw).decode("ascii")
        if text.startswith('"'):
            text = text[1:-1]
        elif places:
            whole, _, fraction = text.partition(".")
            text = f"{whole}.{fraction:0<{places}}"
        if not is_plain(text):
            raise ValueError(text)
        return text

    return read


def decimal_of_bytes(scale: int | None) -> Callable[[object], object]:
    """Return the function from base64 of unscaled bytes to the decimal, as Connect carries it."""

    def read(value: object) -> object:
        if isinstance(value, Decimal):
            return value
        own = scale
        if own is None and isinstance(value, dict):
            own, value = value.get("scale"), value.get("value")
        if not isinstance(value, str) or len(value) > _LONGEST_BYTES:
            raise ValueError("base64 of a decimal's unscaled bytes is expected")
        if not isinstance(own, int) or abs(own) > _LARGEST_SCALE:
            raise ValueError("the scale of a decimal is expected")
        unscaled = int.from_bytes(b64decode(value, validate=True), "big", signed=True)
        return Decimal(unscaled).scaleb(-own, context=_WIDE)

    return read


def time_since_epoch(unit: EpochUnit) -> Callable[[object], datetime]:
    """Return the function from an integer since the epoch to the time."""

    def read(value: object) -> datetime:
        if isinstance(value, datetime):
            return value
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError(f"an integer is expected: the time since the epoch in {unit}")  # noqa: TRY004 - as above
        return from_microseconds(epoch_microseconds(value, unit))

    return read


def epoch_microseconds(value: int, unit: EpochUnit) -> int:
    """Return microseconds; what is finer is cut off."""
    match unit:
        case "s":
            return value * 1_000_000
        case "ms":
            return value * 1_000
        case "us":
            return value
        case "ns":
            return value // 1_000


def date_of_days(value: object) -> date:
    """Return the date so many days after 1970-01-01."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError("an integer is expected: the days since 1970-01-01")  # noqa: TRY004 - as above
    try:
        return _EPOCH_DAY + timedelta(days=value)
    except OverflowError:
        raise ValueError("the date is outside the years 1 to 9999") from None
