"""What must come out for orders: a dictionary, written without `dedup`."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
STATUS: Final = ("open", "paid", "sent", "returned")


class Oracle:
    """Takes the records of a partition in their order."""

    def __init__(self) -> None:
        self.emitted: dict[Any, list[Any]] = defaultdict(list)
        self.outcomes: Counter[str] = Counter()
        self._known: dict[str, Any] = {}
        self._newest: dict[str, datetime] = {}

    def feed(self, records: Iterable[tuple[bytes | None, bytes | None]]) -> None:
        """Process records: key and value."""
        for key, value in records:
            try:
                outcome = self._see((key or b"").decode(), value)
            except (ValueError, KeyError, TypeError, InvalidOperation):
                outcome = "dead_letter"
            self.outcomes[outcome] += 1

    def _see(self, order_id: str, value: bytes | None) -> str:
        if not order_id:
            raise ValueError(order_id)
        if value is None:
            known = self._known.pop(order_id, None)
            if known is not None:
                self.emitted[order_id].append(None)
            return "duplicate" if known is None else "tombstone"
        time, content = _checked(json.loads(value), order_id)
        if time < self._newest.get(order_id, time):
            return "stale"
        self._newest[order_id] = time
        if content == self._known.get(order_id):
            return "duplicate"
        self._known[order_id] = content
        self.emitted[order_id].append((time, content))
        return "change"


def _checked(order: Any, order_id: str) -> tuple[datetime, Any]:
    """Return the time of an order and what it says; raise if it is no valid order."""
    total = Decimal(str(order["total"]))
    valid = order["order_id"] == order_id and order["status"] in STATUS
    if not valid or not 0 <= total < 10**10 or total != round(total, 2):
        raise ValueError(order)
    return EPOCH + timedelta(milliseconds=order["updated_at"]), _content(order)


def _content(order: Mapping[str, Any]) -> Any:
    gift, note = order.get("is_gift", False), order.get("note")
    return (order["status"], Decimal(str(order["total"])), gift, note, order["items"])


def emission(row: Mapping[str, Any]) -> Any:
    """Return what a row of `src_orders` says, to be compared with the oracle's."""
    return datetime.fromisoformat(row["updated_at"]), _content(row)
