"""What a row's window remembers: which contents or event ids were emitted, and when.

The strategies `distinct` and `event_id` ask for more than the latest state. Of each row they keep
entries, a digest with an event time, the oldest first. The entries are part of the state and
travel in the header of the row's last record, so they survive whatever the state survives.

Times are the newest event time seen of the row when the entry was made or, with a sliding window,
seen again. That time only grows, so an entry outside the window never comes back.

Layout, big-endian: strategy (u8), number of entries (u16), then of each entry the digest (16 bytes)
and the time in microseconds (i64).
"""

import struct
from functools import lru_cache
from itertools import chain
from typing import Final, Literal

from dedup.core.fingerprint import FINGERPRINT_BYTES, SCHEME_BYTES, fingerprint_of

Strategy = Literal["latest", "distinct", "event_id"]
WindowKind = Literal["fixed", "sliding"]

Entries = dict[bytes, int]
"""Event times by digest, the oldest first."""

DIGEST_BYTES: Final = FINGERPRINT_BYTES - SCHEME_BYTES
_ENTRY: Final = struct.Struct(f">{DIGEST_BYTES}sq")
ENTRY_BYTES: Final = _ENTRY.size
_HEAD: Final = struct.Struct(">BH")
_CODES: Final = {"distinct": 1, "event_id": 2}


@lru_cache
def _all(number: int) -> struct.Struct:
    """Return the layout of so many entries: one call for all is several times faster."""
    return struct.Struct(_HEAD.format + f"{DIGEST_BYTES}sq" * number)


def event_id_digest(event_id: str) -> bytes:
    """Return the digest by which an event id is remembered."""
    return fingerprint_of(b"", event_id.encode())


def pack_entries(strategy: Strategy, entries: Entries) -> bytes:
    """Return entries as bytes; none for no entries."""
    if not entries:
        return b""
    return _all(len(entries)).pack(_CODES[strategy], len(entries), *chain(*entries.items()))


def unpack_entries(strategy: Strategy, data: bytes) -> Entries | None:
    """Read the entries of a strategy; None when there are none of it."""
    if not data or data[0] != _CODES.get(strategy):
        return None
    return dict(_ENTRY.iter_unpack(memoryview(data)[_HEAD.size :]))


def leading_entries(data: bytes) -> bytes:
    """Return the entries that bytes begin with; nothing if they begin with something else."""
    if len(data) < _HEAD.size:
        return b""
    strategy, number = _HEAD.unpack_from(data)
    size = _HEAD.size + number * ENTRY_BYTES
    return data[:size] if strategy in _CODES.values() and number and len(data) >= size else b""


def is_open(seen_at: int | None, time: int, window_us: int | None) -> bool:
    """Return whether a time is in the window of what was seen at an earlier one.

    The window's end is not part of it. None for `window_us`: there is no end.
    """
    return seen_at is not None and (window_us is None or time - seen_at < window_us)


def see_again(entries: Entries, digest: bytes, time: int) -> None:
    """Set the time of an entry to a newer one and move it to the end."""
    del entries[digest]
    entries[digest] = time


def remember(entries: Entries, digest: bytes, time: int, window_us: int | None, most: int) -> int:
    """Add an entry and remove those outside the window, and the oldest beyond a number of them.

    Return how many were removed inside the window: what they stand for is emitted again when it
    comes again.
    """
    entries.pop(digest, None)
    entries[digest] = time
    forgotten = 0
    while entries:
        oldest = next(iter(entries))
        if is_open(entries[oldest], time, window_us):
            if len(entries) <= most:
                break
            forgotten += 1
        del entries[oldest]
    return forgotten
