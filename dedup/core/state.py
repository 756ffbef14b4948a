"""What is known of one product, and its bytes in RocksDB.

Layout 1, big-endian: layout version (u8), flags (u8; bit 0: deleted), fingerprint (21 bytes; zeros
when deleted), newest event time seen in microseconds (i64), source partition (i32), source offset
(i64), time of the last emission in microseconds (i64), duplicates suppressed so far (u32), then
the row as it stands on `src_products` (nothing when deleted).
"""

import struct
from typing import Final

import msgspec

from dedup.core.fingerprint import FINGERPRINT_BYTES

LAYOUT: Final = 1
UNKNOWN_SOURCE: Final = -1
"""Partition and offset of a state whose record on `src_products` named no source."""

NO_EVENT_TIME: Final = -(2**63)
"""Event time of a state whose record on `src_products` named none: older than any event."""

_HEAD: Final = struct.Struct(f">BB{FINGERPRINT_BYTES}sqiqqI")
_DELETED: Final = 1
_MAX_DUPLICATES: Final = 2**32 - 1


class State(msgspec.Struct, frozen=True, gc=False):
    """The latest known state of one product.

    `row` is the value of its record on `src_products`, None for the marker of a deleted product.
    `event_time` is the newest seen, also on events that emitted nothing; `offset` is that of the
    last event applied. Times are in microseconds since the epoch.
    """

    fingerprint: bytes
    event_time: int
    partition: int
    offset: int
    emitted_at: int
    duplicates: int
    row: bytes | None


def with_known_time(state: State, known: State | None) -> State:
    """Return a state that names no event time with the time known before.

    Such is that of a tombstone by a Flink job.
    """
    if state.event_time != NO_EVENT_TIME or known is None:
        return state
    return msgspec.structs.replace(state, event_time=known.event_time)


class UnknownLayoutError(ValueError):
    """State bytes that this version does not know: written by a newer one, or damaged."""


def encode_state(state: State) -> bytes:
    """Return the bytes of a state."""
    row = state.row
    return _HEAD.pack(
        LAYOUT,
        _DELETED if row is None else 0,
        state.fingerprint,
        state.event_time,
        state.partition,
        state.offset,
        state.emitted_at,
        min(state.duplicates, _MAX_DUPLICATES),
    ) + (row or b"")


def decode_state(data: bytes) -> State:
    """Read the bytes of a state. Raises UnknownLayoutError when they are none."""
    if len(data) < _HEAD.size or data[0] != LAYOUT:
        raise UnknownLayoutError(f"state bytes begin {data[:1]!r}, layout {LAYOUT} is expected")
    if data[1] & ~_DELETED or (data[1] and len(data) > _HEAD.size):
        raise UnknownLayoutError(f"state bytes have flags {data[1]} and {len(data)} bytes")
    _, flags, fingerprint, event_time, partition, offset, emitted_at, duplicates = (
        _HEAD.unpack_from(data)
    )
    row = None if flags & _DELETED else data[_HEAD.size :]
    return State(fingerprint, event_time, partition, offset, emitted_at, duplicates, row)


def marks_deleted(data: bytes) -> bool:
    """Tell from the bytes of a state, without reading all of them, whether it marks a deletion."""
    return bool(data[1] & _DELETED)
