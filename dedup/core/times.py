"""Times: reading them, their one text, and microseconds since the epoch."""

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

import msgspec

MICROSECOND: Final = timedelta(microseconds=1)
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_TIME_TEXT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ](?:[01][0-9]|2[0-3]):[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]+)?)?"
    r"(?:Z|[+-][0-9]{2}(?::?[0-9]{2})?)?"
)
_SECOND: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}"
).fullmatch
_SECOND_CHARS: Final = len("2023-12-01T10:30:00")
_FRACTION_CHARS: Final = 6
_FRACTION_END: Final = len("2023-12-01T10:30:00.123456")
_REST: Final = re.compile(r"(?:\.([0-9]{1,6}))?(?:Z|\+00:00)").fullmatch
_SECOND_JSON: Final = 1 + _SECOND_CHARS
_SECONDS_KEPT: Final = 1024
_encode: Final = msgspec.json.Encoder().encode


def plain_time(value: object) -> object:
    """Return the time of an ISO 8601 text. A bare number could be seconds or milliseconds.

    What is finer than a microsecond is cut off.
    """
    if isinstance(value, datetime):
        return value
    if isinstance(value, str) and _TIME_TEXT.fullmatch(value):
        return datetime.fromisoformat(value)
    raise ValueError("an ISO 8601 date and time is expected, such as 2023-12-01T10:30:00.123456Z")


def time_of_a_row(value: object) -> object:
    """Return the time of a text as msgspec reads it (it rounds to the microsecond), or as above."""
    if isinstance(value, str):
        with suppress(msgspec.ValidationError):
            return msgspec.convert(value, datetime)
    return plain_time(value)


def in_utc(value: datetime) -> datetime:
    """Return the same instant in UTC; without an offset the value is UTC already."""
    if value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("the time is outside the years 1 to 9999 in UTC") from None


def time_text(value: datetime) -> str:
    """Return the one text of an instant: UTC, microseconds, `Z`. The texts sort as the times do."""
    return value.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def written_time(value: datetime) -> datetime | msgspec.Raw:
    """Return what msgspec writes as `time_text` gives a time in UTC.

    That is the time itself, but for one without a fraction: msgspec leaves a fraction of zero out.
    """
    return value if value.microsecond else whole_second(value)


def whole_second(value: datetime) -> msgspec.Raw:
    """Return what `time_text` gives of a time in UTC without a fraction, as JSON."""
    return msgspec.Raw(_encode(value)[:_SECOND_JSON] + b'.000000Z"')


def microseconds(value: datetime) -> int:
    """Return the microseconds from the epoch to an aware time."""
    return (value - EPOCH) // MICROSECOND


def from_microseconds(us: int) -> datetime:
    """Return the time so many microseconds after the epoch. Raises ValueError beyond year 9999."""
    try:
        return EPOCH + timedelta(microseconds=us)
    except OverflowError:
        raise ValueError("the time is outside the years 1 to 9999 in UTC") from None


def read_plain_instant(text: str) -> tuple[int, str] | None:
    """Return the microseconds and the one text of a time in UTC; None in any other form.

    Raises ValueError where the second is in no plain form.
    """
    second = text[:_SECOND_CHARS]
    second_us = _microseconds_to(second)
    zone = text[_FRACTION_END:]
    if (zone == "+00:00" or zone == "Z") and text[_SECOND_CHARS] == ".":  # noqa: PLR1714 - faster
        fraction = text[_SECOND_CHARS + 1 : _FRACTION_END]
        if fraction.isascii() and fraction.isdecimal():
            return second_us + int(fraction), text[:_FRACTION_END] + "Z"
    rest = _REST(text, _SECOND_CHARS)
    if rest is None:
        return None
    fraction = rest[1] or ""
    if len(fraction) < _FRACTION_CHARS:
        fraction = f"{fraction:0<6}"
    return second_us + int(fraction), f"{second}.{fraction}Z"


@lru_cache(_SECONDS_KEPT)
def _microseconds_to(second: str) -> int:
    """Return the microseconds from the epoch to a second in UTC; thousands of events share one."""
    if _SECOND(second) is None:
        raise ValueError(second)
    return microseconds(datetime.fromisoformat(second).replace(tzinfo=UTC))
