"""What is known of one product, and its bytes in RocksDB.

Layout 1, big-endian: layout version (u8), flags (u8; bit 0: deleted, bit 1: entries of the window
follow), fingerprint (21 bytes; zeros when deleted), newest event time seen in microseconds (i64),
source partition (i32), source offset (i64), time of the last emission in microseconds (i64),
duplicates suppressed so far (u32), the entries of the window after their size in bytes (u32) if
there are any, then the row as it is on `src_products` (nothing when deleted).
"""

import struct
from typing import Final

import msgspec

from dedup.core.fingerprint import FINGERPRINT_BYTES
from dedup.core.window import leading_entries

LAYOUT: Final = 1
UNKNOWN_SOURCE: Final = -1
"""Partition and offset of a state whose record on `src_products` named no source."""

NO_EVENT_TIME: Final = -(2**63)
"""Event time of a state whose record on `src_products` named none: older than any event."""

NO_FINGERPRINT: Final = bytes(FINGERPRINT_BYTES)
"""Fingerprint of a state without a row."""

_HEAD: Final = struct.Struct(f">BB{FINGERPRINT_BYTES}sqiqqI")
_pack: Final = _HEAD.pack
_DELETED: Final = 1
_REMEMBERS: Final = 2
_SIZE: Final = struct.Struct(">I")
MAX_DUPLICATES: Final = 2**32 - 1


class State(msgspec.Struct, frozen=True, gc=False):
    """The latest known state of one product.

    `row` is the value of its record on `src_products`, None in a deletion marker.
    `event_time` is the newest seen, also on events that emitted nothing; `offset` is that of the
    last event applied. Times are in microseconds since the epoch. `remembered` are the entries of
    the window (`dedup.core.window`), nothing with the strategy `latest`.
    """

    fingerprint: bytes
    event_time: int
    partition: int
    offset: int
    emitted_at: int
    duplicates: int
    row: bytes | None
    remembered: bytes = b""


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
    row, duplicates, remembered = state.row, state.duplicates, state.remembered
    head = _pack(
        LAYOUT,
        (_DELETED if row is None else 0) | (_REMEMBERS if remembered else 0),
        state.fingerprint,
        state.event_time,
        state.partition,
        state.offset,
        state.emitted_at,
        min(duplicates, MAX_DUPLICATES),
    )
    if remembered:
        head += _SIZE.pack(len(remembered)) + remembered
    return head + (row or b"")


def decode_state(data: bytes) -> State:
    """Read the bytes of a state. Raises UnknownLayoutError when they are none."""
    if len(data) < _HEAD.size or data[0] != LAYOUT:
        raise UnknownLayoutError(f"state bytes begin {data[:1]!r}, layout {LAYOUT} is expected")
    _, flags, fingerprint, event_time, partition, offset, emitted_at, duplicates = (
        _HEAD.unpack_from(data)
    )
    row_at, remembered = _HEAD.size, b""
    if flags & _REMEMBERS and len(data) >= row_at + _SIZE.size:
        (size,) = _SIZE.unpack_from(data, row_at)
        row_at += _SIZE.size + size
        remembered = leading_entries(data[row_at - size : row_at])
    if (
        flags & ~(_DELETED | _REMEMBERS)
        or (len(data) > row_at if flags & _DELETED else len(data) < row_at)
        or bool(flags & _REMEMBERS) != bool(remembered)
    ):
        raise UnknownLayoutError(f"state bytes have flags {flags} and {len(data)} bytes")
    row = None if flags & _DELETED else data[row_at:]
    return State(
        fingerprint, event_time, partition, offset, emitted_at, duplicates, row, remembered
    )


def marks_deleted(data: bytes) -> bool:
    """Tell from the bytes of a state, without reading all of them, whether it marks a deletion."""
    return bool(data[1] & _DELETED)
