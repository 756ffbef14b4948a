"""Records of the output topic: the headers of a state, and a state rebuilt from its record."""

from collections.abc import Callable, Iterable
from typing import Final

from dedup.core.dead_letter import Header
from dedup.core.fingerprint import FINGERPRINT_BYTES
from dedup.core.state import NO_EVENT_TIME, NO_FINGERPRINT, UNKNOWN_SOURCE, State

LAST_TIMESTAMP_MS: Final = 2**63 // 1000 - 1
"""The latest record timestamp that a state can hold in microseconds, its negative the earliest."""

FINGERPRINT_HEADER: Final = "dedup.fingerprint"
EVENT_TIME_HEADER: Final = "dedup.event_time"
SOURCE_HEADER: Final = "dedup.source"

RowFacts = Callable[[bytes], tuple[bytes, int | None] | None]
"""Returns the fingerprint of a row and the event time it names; None when it can't be read."""


def output_headers(state: State) -> list[Header]:
    """Return the headers that let a state be rebuilt from its record alone."""
    headers = [
        (EVENT_TIME_HEADER, b"%d" % state.event_time),
        (SOURCE_HEADER, b"%d/%d" % (state.partition, state.offset)),
    ]
    if state.row is not None:
        headers.append((FINGERPRINT_HEADER, state.fingerprint.hex().encode()))
    return headers


def rebuilt_state(
    value: bytes | None, headers: Iterable[Header], timestamp_ms: int, facts: RowFacts
) -> State | None:
    """Rebuild a state from a record of the output topic; None when the row can't be read.

    A record without our headers gets what its row tells, and no source: nothing is ever taken for a
    replay of it.
    """
    emitted_at = max(-LAST_TIMESTAMP_MS, min(timestamp_ms, LAST_TIMESTAMP_MS)) * 1000
    own = _read_headers(headers, value)
    if own is not None:
        return State(*own, emitted_at, 0, value)
    source = (UNKNOWN_SOURCE, UNKNOWN_SOURCE)
    if value is None:
        return State(NO_FINGERPRINT, NO_EVENT_TIME, *source, emitted_at, 0, None)
    known = facts(value)
    if known is None:
        return None
    fingerprint, time = known
    event_time = NO_EVENT_TIME if time is None else time
    return State(fingerprint, event_time, *source, emitted_at, 0, value)


def _read_headers(
    headers: Iterable[Header], value: bytes | None
) -> tuple[bytes, int, int, int] | None:
    """Read fingerprint, event time, partition and offset; None unless all are there and sane."""
    found = dict(headers)
    try:
        event_time = int(found[EVENT_TIME_HEADER])
        partition, offset = map(int, found[SOURCE_HEADER].split(b"/"))
        fingerprint = NO_FINGERPRINT
        if value is not None:
            fingerprint = bytes.fromhex(found[FINGERPRINT_HEADER].decode())
    except (KeyError, ValueError, TypeError, AttributeError):  # Kafka allows null header values
        return None
    sane = (
        len(fingerprint) == FINGERPRINT_BYTES
        and NO_EVENT_TIME <= event_time < 2**63
        and UNKNOWN_SOURCE <= partition < 2**31
        and UNKNOWN_SOURCE <= offset < 2**63
    )
    return (fingerprint, event_time, partition, offset) if sane else None
