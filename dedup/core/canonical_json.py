"""The one form of a JSON value: members sorted by name, numbers by value, no white space."""

import re
from decimal import Context, Decimal
from typing import Any, Final

import msgspec

from dedup.core.strict_json import LONGEST_NUMBER, read_json

_encode: Final = msgspec.json.Encoder(decimal_format="number", order="deterministic").encode
_SHALLOW: Final = 100
"""Brackets and braces of a document that no reader takes for nested too deeply."""

_is_long: Final = re.compile(b"[0-9]{%d}" % LONGEST_NUMBER).search
_EXACT: Final = Context(prec=LONGEST_NUMBER + 100)


def canonical_json(value: object) -> bytes:
    """Return the canonical text of a value that `read_json` read. Raises ValueError for no JSON.

    Two values have the same text exactly when they are equal as JSON: `{"a":1.0,"b":2}` and
    `{"b":2,"a":1}` do. NUL and lone surrogates are refused, as PostgreSQL refuses them.
    """
    try:
        text = _encode(_normal(value))
    except (RecursionError, OverflowError):
        raise ValueError("it is nested too deeply or has too large a number") from None
    except TypeError:
        raise ValueError("it is no JSON value") from None
    if b"\\u0000" in text.replace(b"\\\\", b""):
        raise ValueError("it has the character NUL")
    return text


def canonical_text(text: bytes) -> bytes:
    """Return the canonical text of a JSON document. Raises ValueError for none."""
    return _plain_text(text) or canonical_json(read_json(text))


def _plain_text(text: bytes) -> bytes | None:
    """Return what `canonical_text` does, by msgspec alone; None where that may be something else.

    That is with numbers that have a fraction, an exponent or very many digits, with deep nesting,
    and with NUL.
    """
    if text.count(b"[") + text.count(b"{") > _SHALLOW or (
        len(text) > LONGEST_NUMBER and _is_long(text)
    ):
        return None
    try:
        canonical = _encode(_decode_plain(text))
    except (ValueError, OverflowError):  # msgspec's errors are ValueErrors
        return None
    return None if b"\\u0000" in canonical else canonical


def _refuse(number: str) -> None:
    raise ValueError(number)


_decode_plain: Final = msgspec.json.Decoder(float_hook=_refuse).decode


def _normal(value: object) -> Any:
    if isinstance(value, str):  # the commonest
        return value
    if isinstance(value, dict):
        return {name: _normal(member) for name, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [_normal(member) for member in value]
    if isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):  # noqa: PLR0124 - NaN
            raise ValueError("a number in it is too large")
        value = Decimal(repr(value))
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise ValueError("a number in it is too large")
        whole = value.to_integral_value(context=_EXACT)
        return _integer(int(whole)) if whole == value else _EXACT.normalize(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return _integer(value)
    return value


def _integer(value: int) -> int | Decimal:
    """Return an integer as msgspec can write it: beyond 64 bits as a Decimal."""
    return value if -(2**63) <= value < 2**63 else Decimal(value)
