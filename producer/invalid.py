"""Invalid records: a valid event, and the ways to break it."""

from collections.abc import Callable
from random import Random
from typing import Final, NamedTuple

_LONG_NAME: Final = b'"product_name":"' + b"x" * 300 + b'","product_name_was":'


class Record(NamedTuple):
    """Key and value of a record, and the id of the product it is about."""

    key: bytes | None
    value: bytes
    product_id: int


def _broken_json(record: Record, _random: Random) -> Record:
    return record._replace(value=record.value[: len(record.value) * 2 // 3])


def _wrong_type(record: Record, _random: Random) -> Record:
    spoiled = record.value.replace(b'"stock_quantity":', b'"stock_quantity":"many","stock_was":', 1)
    return record._replace(value=spoiled)


def _negative_price(record: Record, _random: Random) -> Record:
    return record._replace(value=record.value.replace(b'"price":"', b'"price":"-', 1))


def _long_name(record: Record, _random: Random) -> Record:
    return record._replace(value=record.value.replace(b'"product_name":', _LONG_NAME, 1))


def _missing_key(record: Record, _random: Random) -> Record:
    return record._replace(key=None)


def _foreign_key(record: Record, _random: Random) -> Record:
    return record._replace(key=b"%d" % (record.product_id + 1))


def _junk(record: Record, random: Random) -> Record:
    return record._replace(value=b"\xff" + random.randbytes(63))  # 0xff begins no UTF-8 text


FLAWS: Final[dict[str, Callable[[Record, Random], Record]]] = {
    "broken JSON": _broken_json,
    "text instead of a number": _wrong_type,
    "negative price": _negative_price,
    "name of 300 characters": _long_name,
    "no key": _missing_key,
    "key of another product": _foreign_key,
    "junk bytes": _junk,
}
"""What can be wrong with a record; the generator cycles through them in this order."""
