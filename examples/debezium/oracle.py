"""What must come out of the changes of the products table: a dictionary, without `dedup`."""

import json
from base64 import b64decode
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
UNCHANGED: Final = "__debezium_unavailable_value"


class Oracle:
    """Takes the records of a partition in their order."""

    def __init__(self) -> None:
        self.emitted: dict[Any, list[Any]] = defaultdict(list)
        self.outcomes: Counter[str] = Counter()
        self._known: dict[int, Any] = {}
        self._newest: dict[int, datetime] = {}

    def feed(self, records: Iterable[tuple[bytes | None, bytes | None]]) -> None:
        """Process records: key and value."""
        for key, value in records:
            try:
                product_id = _payload(key)["product_id"]
                outcome = (
                    self._delete(product_id)
                    if value is None
                    else self._see(product_id, _payload(value))
                )
            except (ValueError, KeyError, TypeError, InvalidOperation):
                outcome = "dead_letter"
            self.outcomes[outcome] += 1

    def _see(self, product_id: int, event: Any) -> str:
        op, row = event["op"], event["after"]
        time = EPOCH + timedelta(microseconds=event["source"]["ts_us"])
        if op not in "crud" or (row or event["before"])["product_id"] != product_id:
            raise ValueError(event)
        content = None if op == "d" else _checked(row)
        if time < self._newest.get(product_id, time):
            return "stale"
        self._newest[product_id] = time
        if content is None:
            return self._delete(product_id)
        known = self._known.get(product_id)
        if content[1] == UNCHANGED:
            content = (content[0], known and known[1], *content[2:])
        if content == known:
            return "duplicate"
        self._known[product_id] = content
        self.emitted[product_id].append((time, op, content))
        return "change"

    def _delete(self, product_id: int) -> str:
        if self._known.pop(product_id, None) is None:
            return "duplicate"
        self.emitted[product_id].append(None)
        return "tombstone"


def _payload(data: bytes | None) -> Any:
    document = json.loads(data or b"")
    return document.get("payload", document)


def _checked(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what a row says; raise if it breaks a limit of the table."""
    content = _content(row)
    if not row["product_name"] or not 0 <= content[2] < 10**8:
        raise ValueError(row)
    return content


def _content(row: Mapping[str, Any]) -> tuple[Any, ...]:
    price, discount = _decimal(row["price"]), row["discount"]
    discount = None if discount is None else _decimal(discount)
    return (row["product_name"], row["description"], price, row["stock_quantity"], discount)


def _decimal(value: str) -> Decimal:
    """Return a decimal from its text, or from base64 of its bytes with two places."""
    if "." in value:
        return Decimal(value)
    return Decimal(int.from_bytes(b64decode(value, validate=True), "big", signed=True)) / 100


def emission(row: Mapping[str, Any]) -> Any:
    """Return what a row of `src_shop_products` says, to be compared with the oracle's."""
    return datetime.fromisoformat(row["last_event_timestamp"]), row["last_action"], _content(row)
