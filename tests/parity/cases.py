"""Named cases: short histories of one product each, which distinguish two sets of rules."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

Event = tuple[bytes | None, bytes | None]
"""A record of `products`: key and value."""

Make = Callable[..., Event]
Cases = Callable[[Make], list[Event]]
"""What makes the events of a case."""

DAY: Final = "2026-01-01T"


def event_maker(product_id: int) -> Make:
    """Return a function that makes the next event of a product; every id is new."""
    number = 0

    def make(
        price: object = "10.00",
        *,
        at: str = "10:00:00+00:00",
        action: str = "updated",
        lacking: tuple[str, ...] = (),
        event_id: str | None = None,
        extra: Mapping[str, Any] | None = None,
        **product: Any,
    ) -> Event:
        nonlocal number
        number += 1
        given = {
            "product_id": product_id,
            "product_name": "Lamp",
            "description": None,
            "price": price,
            "stock_quantity": 1,
            "discount": "0.00",
            "created_at": "2026-01-01T00:00:00+00:00",
            "updated_at": None,
        } | product
        event = {
            "event_id": event_id or f"evt_{product_id}_{number}",
            "action": action,
            "timestamp": DAY + at,
            "processed": False,
            "product": {name: given[name] for name in given if name not in lacking},
            "old_price": None,
        } | dict(extra or {})
        return b"%d" % product_id, json.dumps(event, ensure_ascii=False).encode()

    return make


def _times(*at: str) -> Cases:
    """Events of growing price at these times, in this order of arrival."""
    return lambda e: [e(f"{number}.00", at=time) for number, time in enumerate(at, start=1)]


def _prices(*price: object) -> Cases:
    """Events with these prices, all of one time."""
    return lambda e: [e(value) for value in price]


def _redelivered(e: Make) -> list[Event]:
    first, second = e("1.00"), e("2.00", at="10:00:01Z")
    return [first, first, second, second, first]


def _malformed(e: Make) -> list[Event]:
    key, value = e("1.00")
    return [(key, (value or b"")[:-1]), (key, b""), (key, b"[]"), (key, b"\xff"), e("2.00")]


def _wrong_keys(e: Make) -> list[Event]:
    _, value = e("1.00")
    return [(None, value), (b"-1", value), (b"", value), e("2.00")]


GONE: Final[dict[str, Any]] = {"action": "deleted"}

CASES: Final[Mapping[str, Cases]] = {
    "A, A": _prices("1.00", "1.00"),
    "A, B, A": lambda e: [e("1.00"), e("2.00", at="10:00:01Z"), e("1.00", at="10:00:02Z")],
    "A, B, B, A, A": _prices("1.00", "2.00", "2.00", "1.00", "1.00"),
    "late": _times("10:00:00Z", "09:59:59Z", "10:00:01Z"),
    "late by a microsecond": _times("10:00:00.000002Z", "10:00:00.000001Z", "10:00:00.000002Z"),
    "late, beyond any watermark": lambda e: [
        e("1.00"),
        e("2.00", extra={"timestamp": "2020-01-01T00:00:00Z"}),
        e("3.00", at="10:00:01Z"),
    ],
    "late with the known content": _times("10:00:05Z", "10:00:00Z", "10:00:05Z", "10:00:01Z"),
    "a late event moves no time": _times("10:00:05Z", "10:00:01Z", "10:00:03Z", "10:00:05Z"),
    "a duplicate moves the time": lambda e: [
        e("1.00"),
        e("1.00", at="10:00:05Z"),
        e("2.00", at="10:00:03Z"),
    ],
    "ties: the later arrival wins": _prices("1.00", "2.00", "3.00"),
    "exact redelivery": _redelivered,
    "duplicate with new id and time": lambda e: [
        e(at="10:00:00Z"),
        e(at="11:00:00Z", action="stock_updated", updated_at="2026-01-01T11:00:00Z"),
    ],
    "deleted": lambda e: [e(), e(at="10:00:01Z", **GONE)],
    "deleted twice": lambda e: [e(), e(**GONE), e(**GONE)],
    "deleted and re-created": lambda e: [
        e(),
        e(at="10:00:01Z", **GONE),
        e(at="10:00:02Z", action="created"),
        e(at="10:00:03Z"),
    ],
    "deleted, then a late event": lambda e: [
        e(),
        e(at="10:00:05Z", **GONE),
        e("2.00", at="10:00:04Z"),
    ],
    "a late delete": lambda e: [e(), e(at="09:00:00Z", **GONE), e(at="10:00:01Z")],
    "deleted unknown": lambda e: [e(**GONE), e(at="09:00:00Z"), e(at="10:00:01Z")],
    "deleted without content": lambda e: [
        e(),
        e(lacking=("product_name", "price", "stock_quantity", "discount"), **GONE),
    ],
    "discount null, absent, 0.00": lambda e: [
        e(discount=None),
        e(lacking=("discount",)),
        e(discount="0.00"),
        e(discount=0),
        e(discount="0.01"),
        e(lacking=("discount",), action="created"),
    ],
    "stock absent and 0": lambda e: [
        e(stock_quantity=0),
        e(lacking=("stock_quantity",), action="created"),
        e(stock_quantity=5),
    ],
    "price forms": _prices("10.00", "10.0", "10", 10, 10.0, "1e1", "010", "10.0000", "+10", 1e1),
    "price limits": _prices(
        "99999999.99", "100000000", "0", "0.00", "0.01", "0.001", "10.005", "-0.01", "-1", "0.010"
    ),
    "prices that are none": _prices("1.00", "ten", "", "NaN", "Infinity", None, "2.00"),
    "description null, missing, empty": lambda e: [
        e(description=None),
        e(lacking=("description",), action="created"),
        e(description=""),
        e(description="x"),
        e(description=None),
    ],
    "every content field": lambda e: [
        e(),
        e(product_name="lamp"),
        e(product_name="lamp", description="d"),
        e(product_name="lamp", description="d", stock_quantity=2),
        e(product_name="lamp", description="d", stock_quantity=2, discount="1.00"),
        e("11.00", product_name="lamp", description="d", stock_quantity=2, discount="1.00"),
    ],
    "unicode": lambda e: [
        e(product_name="Lämpchen 😀"),
        e(product_name="La\u0308mpchen 😀"),
        e(product_name='"\\,[]', description="\n\t\u2028"),
        e(product_name="\\u0041"),
        e(product_name="A"),
    ],
    "names too long and empty": lambda e: [
        e(product_name="x" * 255),
        e(product_name="x" * 256),
        e(product_name="😀" * 255),
        e(product_name=""),
    ],
    "extra fields": lambda e: [
        e(colour={"red": [1, None]}, extra={"source": {"a": 1}}),
        e(extra={"source": [2]}),
    ],
    "unknown action": lambda e: [e(action="restocked"), e("2.00", action="recounted")],
    "malformed JSON": _malformed,
    "wrong keys": _wrong_keys,
    "timestamps of one instant": lambda e: [
        e(price, at=at)
        for price, at in enumerate(
            ("10:00:00Z", "10:00:00+00:00", "12:00:00+02:00", "04:30:00-05:30", "10:00:00",
             "12:00:00.000000+0200", "12:00:00+02", "10:00:00.0Z", "10:00:00.0000009Z"),
            start=1,
        )
    ],
    "timestamps and their offsets": _times(
        "12:00:00+02:00", "10:30:00Z", "11:59:00+02:00", "05:00:00-05:30", "10:30:00.000001"
    ),
    "microseconds": _times(
        "10:00:00.123456Z", "10:00:00.123455Z", "10:00:00.123457+00:00", "10:00:00.2Z"
    ),
    "timestamps that are none": lambda e: [
        e(),
        e("2.00", extra={"timestamp": "yesterday"}),
        e("2.00", extra={"timestamp": None}),
        e("2.00", extra={"timestamp": "2026-02-30T10:00:00Z"}),
        e("2.00", extra={"timestamp": "2026-01-01T24:00:00Z"}),
    ],
    "created_at is no content": lambda e: [
        e(created_at="2026-01-01T02:00:00+02:00"),
        e(created_at=None, updated_at="2026-01-02T00:00:00.5-01:00"),
        e("11.00", created_at="2025-12-31T23:00:00.000001-01:00"),
    ],
    "old price": lambda e: [e("1.00"), e("2.00", action="price_changed", extra={"old_price": "1"})],
}  # fmt: skip


KNOWN_DIFFERENCES: Final[Mapping[str, Cases]] = {
    "partial events": lambda e: [
        e(description="d", action="created"),
        e("2.00", lacking=("product_name", "description")),
    ],
    "a delete by null value": lambda e: [e(), (e()[0], None)],
    "a number where text belongs": lambda e: [e(), e(product_name=7)],
    "stock_quantity null": lambda e: [e(), e(stock_quantity=None)],
    "a time without seconds": lambda e: [e(), e("2.00", at="10:01Z")],
    "created_at or old_price that is none": lambda e: [
        e(),
        e("2.00", created_at="never"),
        e("3.00", extra={"old_price": "-1"}),
    ],
}
"""What the reference does not do as the worker does; docs/flink.md gives the reasons."""


def named_cases(cases: Mapping[str, Cases], first_id: int) -> dict[int, tuple[str, list[Event]]]:
    """Return each case a product of its own: its name and its events."""
    return {
        product_id: (name, make(event_maker(product_id)))
        for product_id, (name, make) in enumerate(cases.items(), start=first_id)
    }
