"""An independent implementation of the rules, with a dictionary, for whole histories.

It is deliberately naive and does not use `dedup.core`: it shares no code with the worker it checks.
It reads all events of a history in order, and returns which events must have been emitted for each
product. The demo, the end-to-end tests and the chaos runs compare the topic with it.

What a strategy calls seen before are words of docs/strategies.md: contents since the product was
created, the last of them with `latest`; or ids of events. Its window is by event time.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final

Content = dict[str, Any]

CONTENT: Final = ("product_name", "description", "price", "stock_quantity", "discount")
DEFAULTS: Final[Content] = {"description": None, "stock_quantity": 0, "discount": Decimal(0)}
LONGEST_NAME: Final = 255


class Oracle:
    """Takes records in the order of their partition; the results are `emitted` and `outcomes`."""

    def __init__(
        self,
        strategy: str = "latest",
        window_s: float | None = None,
        window_kind: str = "fixed",
        window_entries: int = 64,
    ) -> None:
        self.emitted: dict[Any, list[Any]] = defaultdict(list)
        self.outcomes: Counter[str] = Counter()
        self._by_id = strategy == "event_id"
        self._only_latest = strategy == "latest"
        self._window = None if window_s is None else timedelta(seconds=window_s)
        self._slides = window_kind == "sliding"
        self._entries = window_entries
        self._content: dict[int, Content | None] = {}
        self._newest: dict[int, datetime] = {}
        self._seen: dict[int, dict[Hashable, datetime]] = defaultdict(dict)

    def feed(self, records: Iterable[tuple[bytes | None, bytes | None]]) -> None:
        """Process records of `products`: key and value."""
        for key, value in records:
            self.outcomes[self.judge(key, value)] += 1

    def judge(self, key: bytes | None, value: bytes | None) -> str:
        """Process a record; return its outcome."""
        try:
            return self._delete(int(key or b"")) if value is None else self._see(key, value)
        except (ValueError, KeyError, TypeError, InvalidOperation):
            return "dead_letter"

    def newest(self, product_id: int) -> datetime | None:
        """Return the newest event time seen of a product."""
        return self._newest.get(product_id)

    def _see(self, key: bytes | None, value: bytes) -> str:
        event = json.loads(value)
        product, action = event["product"], event["action"]
        product_id = product["product_id"]
        if key != str(product_id).encode() or not isinstance(event["event_id"], str):
            raise ValueError(key)
        given = {field: _checked(field, product[field]) for field in CONTENT if field in product}
        if action == "created":
            _ = given["product_name"], given["price"]
        time = datetime.fromisoformat(event["timestamp"])
        time = time.replace(tzinfo=time.tzinfo or UTC)
        if time < self._newest.get(product_id, time):
            return "stale"
        known = self._content.get(product_id)
        content = (known if known and action != "created" else DEFAULTS) | given
        deletes = action == "deleted"
        what: Hashable = None if deletes else frozenset(content.items())
        if self._by_id:
            what = event["event_id"]
        if self._counts(self._seen[product_id].get(what), time):
            self._newest[product_id] = time
            if self._slides:
                self._remember(product_id, what, time)
            return "duplicate"
        if deletes:
            self._newest[product_id] = time
            return self._delete(product_id, what)
        if len(content) < len(CONTENT):
            return "dead_letter"
        self._newest[product_id] = time
        if self._only_latest:
            self._seen[product_id].clear()
        self._remember(product_id, what, time)
        self._content[product_id] = content
        self.emitted[product_id].append(event["event_id"])
        return "refresh" if content == known else "change"

    def _delete(self, product_id: int, event_id: Hashable = None) -> str:
        if self._content.get(product_id) is None:
            return "duplicate"
        if not self._by_id:
            self._seen[product_id].clear()
        elif event_id is not None:
            self._remember(product_id, event_id, self._newest[product_id])
        self._content[product_id] = None
        self.emitted[product_id].append(None)
        return "tombstone"

    def remembered(self, product_id: int, now: datetime) -> dict[Hashable, datetime]:
        """Return what counts as seen of a product at a time, and when it was, the oldest first."""
        seen = self._seen[product_id]
        return {what: at for what, at in seen.items() if self._counts(at, now)}

    def _counts(self, at: datetime | None, now: datetime) -> bool:
        """Return whether a time is in the window of what was seen at an earlier one, if it was."""
        return at is not None and (self._window is None or now - at < self._window)

    def _remember(self, product_id: int, what: Hashable, time: datetime) -> None:
        """Add to what counts as seen; the oldest is forgotten when there is too much."""
        others = self.remembered(product_id, time)
        others.pop(what, None)
        for oldest in list(others)[: max(0, len(others) + 1 - self._entries)]:
            del others[oldest]
        self._seen[product_id] = {**others, what: time}


def _checked(field: str, value: Any) -> Any:
    """Return a comparable value; raise if it exceeds a limit of the products table."""
    if field in ("price", "discount"):
        price = Decimal(str(0 if value is None and field == "discount" else value))
        if not 0 <= price < 10**8 or price != round(price, 2):
            raise ValueError(value)
        return price
    if field == "stock_quantity" and not 0 <= value < 2**31:
        raise ValueError(value)
    if field == "product_name" and not 1 <= len(value + "") <= LONGEST_NAME:
        raise ValueError(value)
    return value
