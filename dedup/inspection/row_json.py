"""An inspected row as `dedup inspect --json` prints it."""

import time
from typing import Any

from dedup.core.codec import Codec
from dedup.core.explain import instant
from dedup.core.explain_window import is_inside, remembered_of, seen_text
from dedup.core.printable import printable
from dedup.core.state import UNKNOWN_SOURCE
from dedup.inspection.decided_events import decision_json
from dedup.inspection.headers import shown_headers
from dedup.inspection.row import RowInspection, emitted_at
from dedup.inspection.states import StateRecord


def inspection_json(row: RowInspection, limit: int) -> dict[str, Any]:
    """Return the row with its newest records and events, the newest last."""
    codec = row.codec
    return {
        codec.entity.id: row.row_id,
        "partition": row.partition,
        "partitions": row.partitions,
        "row": row_json(row.records[-1], codec) if row.records else None,
        "strategy": row.rules.strategy,
        "remembered": remembered_json(row),
        "fingerprint_matches": row.fingerprint_matches(),
        "fingerprint_fields": row.fingerprint_fields(),
        "notes": row.notes,
        "events_complete": row.complete,
        "history": [record_json(record, codec) for record in row.records[-limit:]],
        "events": [
            decision_json(event) | {"emitted_at": emitted_at(event)}
            for event in row.events[-limit:]
        ],
    }


def remembered_json(row: RowInspection) -> list[dict[str, Any]]:
    """Return what the window remembers of a row, as of now, the newest first."""
    state, rules = row.state, row.rules
    if state is None or (rules.strategy == "latest" and rules.window_us is None):
        return []
    now_us = time.time_ns() // 1000
    return [
        {
            "digest": each.digest.hex(),
            "of_row": each.is_row,
            "seen_at": instant(each.seen_at),
            "inside": is_inside(each, state, rules, now_us),
            "text": seen_text(each, rules, now_us),
        }
        for each in remembered_of(state, rules, row.codec)
    ]


def record_json(record: StateRecord, codec: Codec) -> dict[str, Any]:
    """Return a record of `src_products`: its position, source event, headers and row."""
    state = record.state
    source = None
    if state is not None and state.partition != UNKNOWN_SOURCE:
        source = f"{state.partition}:{state.offset}"
    return {
        "partition": record.partition,
        "offset": record.record.offset,
        "time": instant(record.record.timestamp * 1000),
        "source": source,
        "event_time": None if state is None else instant(state.event_time),
        "headers": shown_headers(record.record.headers),
        "row": row_json(record, codec),
    }


def row_json(record: StateRecord, codec: Codec) -> dict[str, Any] | None:
    """Return the row of a record; its text if it can't be read, None for a tombstone."""
    value = record.record.value
    if value is None:
        return None
    return codec.readable_row(value) or {"unreadable": printable(value)}
