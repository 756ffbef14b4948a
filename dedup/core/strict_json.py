"""Reading JSON as JSON: total on any bytes, and without rounding its numbers.

Python's own reader takes a number apart as a float, which silently rounds
10.000000000000000001; as a Decimal, a few bytes such as 1e999999999 cost minutes once they are
turned into an integer - and so do many digits: 1.000...0 with a million of them.
"""

import json
from decimal import Decimal
from typing import Final

LARGEST_EXPONENT: Final = 40
"""Beyond the largest number any field takes (2^63), and small enough to compute with."""

LONGEST_NUMBER: Final = 1_000
"""Characters of a number. The time to turn one into an integer grows with their square: 2.6 s for
300,000."""

_BACKSLASH: Final = ord("\\")


def read_json(data: bytes) -> object:
    """Read a JSON document in UTF-8. Raises ValueError when it is none.

    Numbers with a fraction or an exponent are Decimals. A number too large or too long for any
    field is NaN, which every field refuses and an ignored field ignores.
    """
    text = data.decode("utf-8")
    # `loads` names a byte order mark.
    read = json.loads if text.startswith("\ufeff") else _decode
    try:
        document: object = read(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return document


def _integer(text: str) -> int | float:
    return int(text) if len(text) <= LONGEST_NUMBER else float("nan")


def _number(text: str) -> Decimal | float:
    if len(text) > LONGEST_NUMBER:
        return float("nan")
    try:
        number = Decimal(text)
    except ArithmeticError:
        return float("nan")
    if not number:
        return Decimal(0)
    return number if abs(number.adjusted()) < LARGEST_EXPONENT else float("nan")


_decode: Final = json.JSONDecoder(parse_float=_number, parse_int=_integer).decode
"""`json.loads` would build one for each document."""


def is_plain_text(value: bytes) -> bool:
    """Whether JSON is UTF-8 throughout - msgspec does not look at what it passes over - and no NUL.

    Raises UnicodeDecodeError, a ValueError as msgspec's errors are, when it is not UTF-8.
    """
    if not value.isascii():
        value.decode()
    # An int is found much faster than bytes.
    return not (_BACKSLASH in value and b"\\u0000" in value)
