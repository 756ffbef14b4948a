"""Generates the changes of a products table: the same for the same seed and the same clock."""

from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any, Final, NamedTuple

from examples.debezium.connect import Connect

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)
UNCHANGED: Final = "__debezium_unavailable_value"
"""What the connector writes for a large value that an update did not change."""

THINGS: Final = ("Lamp", "Kettle", "Tent", "Jacket", "Café table", "Keyboard")
RECENT: Final = 3_000
"""How many events back one is sent again."""

Row = dict[str, Any]


class Event(NamedTuple):
    """A record of `shop.public.products`."""

    key: bytes | None
    value: bytes | None


class Generator(Iterator[Event]):
    """An endless iterator of events; `clock` gives the time of the next.

    The connector begins with a snapshot of half the products. In what follows, 30 % of the updates
    touch a row and change nothing but `updated_at`.
    """

    def __init__(
        self,
        seed: int,
        products: int,
        clock: Callable[[], datetime],
        connect: Connect = Connect(),  # noqa: B008 - it is immutable
    ) -> None:
        self._random = Random(seed)  # noqa: S311 - reproducible, not secret
        self._products = products
        self._clock = clock
        self._connect = connect
        self._rows: dict[int, Row] = {}
        self._recent: deque[Event] = deque(maxlen=RECENT)
        self._now = EPOCH
        self._lsn = 24_023_128
        self._events = self._all()

    def __next__(self) -> Event:
        return next(self._events)

    def _all(self) -> Iterator[Event]:
        for product_id in range(1, self._products // 2 + 1):
            self._now = self._clock()
            yield self._upsert("r", self._new(product_id))
        while True:
            self._now = self._clock()
            yield from self._next()

    def _next(self) -> list[Event]:
        roll = self._random.random()
        product_id = self._random.randrange(1, self._products + 1)
        row = self._rows.get(product_id)
        if roll < 0.02 and self._recent:  # a connector that restarted sends events again
            return [self._random.choice(self._recent)]
        if roll < 0.03:
            return [self._invalid(row or self._new(product_id))]
        if row is None:
            return [self._upsert("c", self._new(product_id))]
        if roll < 0.05:
            return self._delete(product_id)
        if roll < 0.35:
            return [self._upsert("u", row)]
        return [self._upsert("u", self._changed(row), large=self._random.random() > 0.1)]

    def _new(self, product_id: int) -> Row:
        return {
            "product_id": product_id,
            "product_name": f"{self._random.choice(THINGS)} {product_id}",
            "description": f"It {'lasts and ' * self._random.randrange(9, 20)}lasts",
            "price": Decimal(self._random.randrange(100, 200_000)) / 100,
            "stock_quantity": self._random.randrange(300),
            "discount": self._random.choice((None, Decimal("0.00"), Decimal("5.00"))),
            "created_at": self._now.isoformat().replace("+00:00", "Z"),
        }

    def _changed(self, row: Row) -> Row:
        """Return a row with a change of one column."""
        match self._random.randrange(3):
            case 0:
                return {**row, "price": Decimal(self._random.randrange(100, 200_000)) / 100}
            case 1:
                return {**row, "stock_quantity": self._random.randrange(300)}
            case _:
                cents = self._random.choice((None, *range(100, 900)))
                return {**row, "discount": None if cents is None else Decimal(cents) / 100}

    def _upsert(self, op: str, row: Row, *, large: bool = True) -> Event:
        """Return the event of a row that was written; `large`: with its description."""
        self._rows[row["product_id"]] = row
        after = self._written(row)
        if not large:
            after["description"] = UNCHANGED
        return self._event(op, row["product_id"], None, after)

    def _delete(self, product_id: int) -> list[Event]:
        """Return the event of a delete, in which only the key is filled, and its tombstone."""
        before = dict.fromkeys(self._written(self._rows.pop(product_id)))
        before |= {"product_id": product_id, "product_name": "", "stock_quantity": 0}
        deleted = self._event("d", product_id, before, None)
        return [deleted, Event(deleted.key, None)]

    def _written(self, row: Row) -> Row:
        decimals = {name: self._connect.decimal(row[name]) for name in ("price", "discount")}
        return {**row, **decimals, "updated_at": (self._now - EPOCH) // MICROSECOND}

    def _event(self, op: str, product_id: int, before: Row | None, after: Row | None) -> Event:
        value = self._connect.value(
            {"before": before, "after": after, "source": self._source(op), "op": op}
        )
        event = Event(self._connect.key(product_id), value)
        self._recent.append(event)
        return event

    def _source(self, op: str) -> Row:
        time = (self._now - EPOCH) // MICROSECOND
        self._lsn += 56
        return {
            "version": "3.0.0.Final",
            "connector": "postgresql",
            "name": "shop",
            "ts_ms": time // 1000,
            "snapshot": "true" if op == "r" else "false",
            "db": "shop",
            "schema": "public",
            "table": "products",
            "ts_us": time,
            "txId": self._lsn // 56,
            "lsn": self._lsn,
        }

    def _invalid(self, row: Row) -> Event:
        """Return an event that is of no row, or of one that does not fit the entity."""
        product_id, written = row["product_id"], self._written(row)
        good = self._connect.value({"before": None, "after": written, "source": {}, "op": "u"})
        key, other = self._connect.key(product_id), self._connect.key(product_id + 1)
        negative = {**written, "price": self._connect.decimal(Decimal("-1.00"))}
        unnamed = {n: v for n, v in written.items() if n != "product_name"}
        return self._random.choice(
            [
                Event(None, self._change("t", None)),
                Event(None, self._change("m", None)),
                Event(key, self._change("u", negative)),
                Event(key, self._change("u", unnamed)),
                Event(key, self._change("x", written)),
                Event(other, self._change("u", written)),
                Event(None, self._change("u", written)),
                Event(key, good),
                Event(key, good[:-20]),
            ]
        )

    def _change(self, op: str, after: Row | None) -> bytes:
        return self._connect.value(
            {"before": None, "after": after, "source": self._source(op), "op": op}
        )
