"""Times: reading them, their one text, and microseconds since the epoch."""

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
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
_POINT_END: Final = _SECOND_CHARS + 1
_MILLISECONDS_END: Final = len("2023-12-01T10:30:00.123")
_MICROSECONDS_END: Final = len("2023-12-01T10:30:00.123456")
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
    # Most times have microseconds or milliseconds, and are read without a regular expression.
    zone = text[_MICROSECONDS_END:]
    if zone == "+00:00" or zone == "Z":  # noqa: PLR1714 - faster
        fraction = text[_POINT_END:_MICROSECONDS_END]
        if fraction.isascii() and fraction.isdecimal():
            return _seconds[text[:_POINT_END]] + int(fraction), text[:_MICROSECONDS_END] + "Z"
        return None
    zone = text[_MILLISECONDS_END:]
    if zone == "+00:00" or zone == "Z":  # noqa: PLR1714 - faster
        fraction = text[_POINT_END:_MILLISECONDS_END]
        if fraction.isascii() and fraction.isdecimal():
            us = _seconds[text[:_POINT_END]] + int(fraction) * 1000
            return us, text[:_MILLISECONDS_END] + "000Z"
        return None
    rest = _REST(text, _SECOND_CHARS)
    if rest is None:
        return None
    fraction = f"{rest[1] or '':0<{_FRACTION_CHARS}}"
    second = text[:_SECOND_CHARS]
    return _seconds[second] + int(fraction), f"{second}.{fraction}Z"


class _Seconds(dict[str, int]):
    """The microseconds from the epoch to seconds in UTC, by their text, and that with a point.

    Thousands of events share a second, and a dictionary is faster than a cached function.
    """

    def __missing__(self, text: str) -> int:
        second = text.removesuffix(".")
        if _SECOND(second) is None:
            raise ValueError(text)
        if len(self) >= _SECONDS_KEPT:
            self.clear()
        us = self[text] = microseconds(datetime.fromisoformat(second).replace(tzinfo=UTC))
        return us


_seconds: Final = _Seconds()
