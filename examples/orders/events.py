"""Generates events of orders: the same for the same seed and the same clock."""

import json
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final, NamedTuple

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND: Final = timedelta(milliseconds=1)
STATUS: Final = ("open", "paid", "sent", "returned")
SHOPS: Final = ("DE", "FR", "Zürich/HB", "São Paulo")
ARTICLES: Final = ("lamp", "kettle", "tent", "jacket", "keyboard")
NOTES: Final = (None, "leave it at the door", "Grüße an die Nachbarn", 'say "hello"')
RECENT: Final = 3_000
"""How many events back one is sent again."""

Order = dict[str, Any]


class Event(NamedTuple):
    """A record of `orders`."""

    key: bytes | None
    value: bytes | None


class Generator(Iterator[Event]):
    """An endless iterator of events about so many orders; `clock` gives the time of the next."""

    def __init__(self, seed: int, orders: int, clock: Callable[[], datetime]) -> None:
        self._random = Random(seed)  # noqa: S311 - reproducible, not secret
        self._ids = [f"{SHOPS[number % len(SHOPS)]}-{number:05}" for number in range(orders)]
        self._clock = clock
        self._now = 0
        self._known: dict[str, Order] = {}
        self._recent: deque[Event] = deque(maxlen=RECENT)

    def __next__(self) -> Event:
        self._now = (self._clock() - EPOCH) // MILLISECOND
        roll = self._random.random()
        order_id = self._random.choice(self._ids)
        known = self._known.get(order_id)
        if roll < 0.02 and self._recent:  # a producer that restarted sends events again
            return self._random.choice(self._recent)
        if roll < 0.03:
            return self._invalid(order_id, known or self._new(order_id))
        if known is None:
            return self._sent(order_id, self._new(order_id))
        if roll < 0.05:
            del self._known[order_id]
            return Event(order_id.encode(), None)
        if roll < 0.36:
            return self._sent(order_id, known)
        return self._sent(order_id, self._changed(known))

    def _sent(self, order_id: str, order: Order) -> Event:
        self._known[order_id] = order = {**order, "updated_at": self._now}
        event = Event(order_id.encode(), self._written(order))
        self._recent.append(event)
        return event

    def _new(self, order_id: str) -> Order:
        return {
            "order_id": order_id,
            "status": "open",
            "total": f"{self._random.randrange(100, 50_000) / 100:.2f}",
            "is_gift": self._random.random() < 0.1,
            "note": self._random.choice(NOTES),
            "items": [{"article": self._random.choice(ARTICLES), "pieces": 1}],
            "updated_at": self._now,
        }

    def _changed(self, order: Order) -> Order:
        """Return an order with a change of one field."""
        match self._random.randrange(4):
            case 0:
                item = {"article": self._random.choice(ARTICLES), "pieces": len(order["items"])}
                return {**order, "items": [*order["items"][:4], item]}
            case 1:
                return {**order, "note": f"call {self._random.randrange(10**6)}"}
            case 2:
                return {**order, "total": f"{self._random.randrange(100, 50_000) / 100:.2f}"}
            case _:
                status = STATUS[(STATUS.index(order["status"]) + 1) % len(STATUS)]
                return {**order, "status": status}

    def _written(self, order: Order) -> bytes:
        """Return an order as JSON: one of several forms that say the same."""
        form = self._random.random()
        if form < 0.1:  # a decimal as a number, and no field that has its default
            order = {n: v for n, v in order.items() if v is not None and v is not False}
            return json.dumps({**order, "total": float(order["total"])}).encode()
        if form < 0.2:  # another order of the members, at each depth
            items = [dict(reversed(item.items())) for item in order["items"]]
            return json.dumps(dict(reversed({**order, "items": items}.items()))).encode()
        return json.dumps(order, ensure_ascii=False, separators=(",", ":")).encode()

    def _invalid(self, order_id: str, order: Order) -> Event:
        """Return an event that does not fit the entity, or is of no order."""
        order, key = {**order, "updated_at": self._now}, order_id.encode()
        whole = json.dumps(order).encode()
        flaws: list[Event] = [
            Event(key, whole[: len(whole) * 2 // 3]),
            Event(key, json.dumps({**order, "status": "lost"}).encode()),
            Event(key, json.dumps({**order, "total": "-1.00"}).encode()),
            Event(key, json.dumps({**order, "total": "12.345"}).encode()),
            Event(key + b"x", whole),
            Event(None, whole),
            Event(key, b"\xff" + whole),
        ]
        return self._random.choice(flaws)
