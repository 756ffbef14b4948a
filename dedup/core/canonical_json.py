"""The one form of a JSON value: members sorted by name, numbers by value, no white space."""

from decimal import Context, Decimal
from typing import Any, Final

import msgspec

from dedup.core.strict_json import LONGEST_NUMBER

_encode: Final = msgspec.json.Encoder(decimal_format="number", order="deterministic").encode
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


def _normal(value: object) -> Any:
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
