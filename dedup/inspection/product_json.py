"""An inspected product as `dedup inspect --json` prints it."""

from typing import Any

from dedup.core.explain import instant
from dedup.core.printable import printable
from dedup.core.row import readable_row
from dedup.core.state import UNKNOWN_SOURCE
from dedup.inspection.decided_events import decision_json
from dedup.inspection.product import ProductInspection, emitted_at
from dedup.inspection.states import StateRecord


def product_json(product: ProductInspection, limit: int) -> dict[str, Any]:
    """Return the product with its newest records and events, the newest last."""
    return {
        "product_id": product.product_id,
        "partition": product.partition,
        "partitions": product.partitions,
        "row": row_json(product.records[-1]) if product.records else None,
        "fingerprint_matches": product.fingerprint_matches(),
        "fingerprint_fields": product.fingerprint_fields(),
        "notes": product.notes,
        "events_complete": product.complete,
        "history": [record_json(record) for record in product.records[-limit:]],
        "events": [
            decision_json(event) | {"emitted_at": emitted_at(event)}
            for event in product.events[-limit:]
        ],
    }


def record_json(record: StateRecord) -> dict[str, Any]:
    """Return a record of `src_products`: its position, source event, headers and row."""
    state = record.state
    source = None
    if state is not None and state.partition != UNKNOWN_SOURCE:
        source = f"{state.partition}:{state.offset}"
    headers = record.record.headers
    return {
        "partition": record.partition,
        "offset": record.record.offset,
        "time": instant(record.record.timestamp * 1000),
        "source": source,
        "event_time": None if state is None else instant(state.event_time),
        "headers": {printable(name.encode()): printable(value) for name, value in headers},
        "row": row_json(record),
    }


def row_json(record: StateRecord) -> dict[str, Any] | None:
    """Return the row of a record; its text if it can't be read, None for a tombstone."""
    value = record.record.value
    if value is None:
        return None
    return readable_row(value) or {"unreadable": printable(value)}
