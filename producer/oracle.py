"""An independent implementation of the rules, with a dictionary, for whole histories.

It is deliberately naive and does not use `dedup.core`: it shares no code with the worker it checks.
It reads all events of a history in order, and returns which events must have been emitted for each
product. The demo, the end-to-end tests and the chaos runs compare the topic with it.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

Content = dict[str, Any]

CONTENT: Final = ("product_name", "description", "price", "stock_quantity", "discount")
DEFAULTS: Final[Content] = {"description": None, "stock_quantity": 0, "discount": Decimal(0)}
LONGEST_NAME: Final = 255


class Oracle:
    """Takes records in the order of their partition; the results are `emitted` and `outcomes`."""

    def __init__(self) -> None:
        self.emitted: dict[Any, list[Any]] = defaultdict(list)
        self.outcomes: Counter[str] = Counter()
        self._content: dict[int, Content | None] = {}
        self._newest: dict[int, datetime] = {}

    def feed(self, records: Iterable[tuple[bytes | None, bytes | None]]) -> None:
        """Process records of `products`: key and value."""
        for key, value in records:
            try:
                outcome = self._delete(int(key or b"")) if value is None else self._see(key, value)
            except (ValueError, KeyError, TypeError, InvalidOperation):
                outcome = "dead_letter"
            self.outcomes[outcome] += 1

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
        if action == "deleted":
            self._newest[product_id] = time
            return self._delete(product_id)
        known = self._content.get(product_id)
        content = (known if known and action != "created" else DEFAULTS) | given
        if len(content) < len(CONTENT):
            return "dead_letter"
        self._newest[product_id] = time
        if content == known:
            return "duplicate"
        self._content[product_id] = content
        self.emitted[product_id].append(event["event_id"])
        return "change"

    def _delete(self, product_id: int) -> str:
        if self._content.get(product_id) is None:
            return "duplicate"
        self._content[product_id] = None
        self.emitted[product_id].append(None)
        return "tombstone"


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
