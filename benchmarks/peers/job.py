"""The job every Python peer does with one event: the rules of the deduplicator, and no more.

A late event is stale, a delete is a tombstone, content that is known is a duplicate, anything else
is a change. Nothing is validated or brought into normal form: that would only slow the peers, and
the benchmark's input needs none of it.

A state is a text: the digest of the content (32 digits, zeros for a deleted product), then the
newest event time seen. These texts sort as the times do. A duplicate renews the time, so that an
older event that comes after it is stale.
"""

from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import orjson

CONTENT: Final = ("product_name", "description", "price", "stock_quantity", "discount")
_DIGITS: Final = 32
_DELETED: Final = "0" * _DIGITS


class Decision(NamedTuple):
    """The state to keep, whether to emit, and the row to emit; None is a tombstone."""

    state: str
    emit: bool = False
    row: dict[str, Any] | None = None


def decide(event: dict[str, Any], known: str | None, processing_time: str) -> Decision | None:
    """Decide on an event; None when it is stale."""
    timestamp = event["timestamp"]
    if known is not None and timestamp < known[_DIGITS:]:
        return None
    digest = None if known is None else known[:_DIGITS]
    if event["action"] == "deleted":
        return Decision(_DELETED + timestamp, emit=digest not in (None, _DELETED))
    product = event["product"]
    content = orjson.dumps([product[field] for field in CONTENT])
    new = blake2b(content, digest_size=_DIGITS // 2).hexdigest()
    if new == digest:
        return Decision(new + timestamp)
    return Decision(new + timestamp, emit=True, row=_row(event, product, processing_time))


def _row(event: dict[str, Any], product: dict[str, Any], processing_time: str) -> dict[str, Any]:
    return {
        **product,
        "last_event_id": event["event_id"],
        "last_action": event["action"],
        "last_event_timestamp": event["timestamp"],
        "last_old_price": event["old_price"],
        "processing_time": processing_time,
    }


def output_key(product_id: int) -> bytes:
    """Return the key of a record of the output."""
    return b'{"product_id":%d}' % product_id


def now_text() -> str:
    """Return the time now as rows carry it."""
    return datetime.now(UTC).isoformat(timespec="microseconds")
