"""Records of the output topic: the header of a state, and a state rebuilt from its record.

A record has one header, `dedup.state`: a version, the fingerprint (zeros on a tombstone), the event
time in microseconds, partition and offset of the event, and the number of duplicates before it;
then the entries of the window (`dedup.core.window`) with a strategy that has some. Numbers are
big-endian. Later additions follow these fields, and what follows them is ignored. A
version that is not known has another meaning: guessing it could take a new event for a replay, so
such a record is read as one without our headers, from its row.

Releases before this header, and the Flink job, write the same in text: `dedup.fingerprint`,
`dedup.event_time` and `dedup.source`. `recorded` reads both. A tombstone has both: these releases
know a row's fingerprint and time by the row, and of a tombstone would know no time.
"""

import struct
from collections.abc import Callable, Collection, Mapping
from typing import Final, NamedTuple

from dedup.core.dead_letter import AnyHeader, Header
from dedup.core.fingerprint import FINGERPRINT_BYTES
from dedup.core.state import (
    MAX_DUPLICATES,
    NO_EVENT_TIME,
    NO_FINGERPRINT,
    UNKNOWN_SOURCE,
    State,
)
from dedup.core.window import leading_entries

LAST_TIMESTAMP_MS: Final = 2**63 // 1000 - 1
"""The latest record timestamp that a state can hold in microseconds, its negative the earliest."""

STATE_HEADER: Final = "dedup.state"
STATE_VERSION: Final = 1

FINGERPRINT_HEADER: Final = "dedup.fingerprint"
EVENT_TIME_HEADER: Final = "dedup.event_time"
SOURCE_HEADER: Final = "dedup.source"

_PACKED: Final = struct.Struct(f">B{FINGERPRINT_BYTES}sqiqI")
_pack: Final = _PACKED.pack
_unpack: Final = _PACKED.unpack_from
_PACKED_BYTES: Final = _PACKED.size

RowFacts = Callable[[bytes], tuple[bytes, int | None] | None]
"""Returns the fingerprint of a row and the event time it names; None when it can't be read."""


class Recorded(NamedTuple):
    """What the headers of a record say; None for what they do not say, or not in a sane way.

    `source` is the partition and offset of the event.
    """

    fingerprint: bytes | None
    event_time: int | None
    source: tuple[int, int] | None
    duplicates: int


def output_headers(state: State) -> list[Header]:
    """Return the headers that let a state be rebuilt from its record alone."""
    duplicates = state.duplicates
    packed = _pack(
        STATE_VERSION,
        NO_FINGERPRINT if state.row is None else state.fingerprint,
        state.event_time,
        state.partition,
        state.offset,
        min(duplicates, MAX_DUPLICATES),
    )
    remembered = state.remembered
    header = (STATE_HEADER, packed + remembered if remembered else packed)
    if state.row is not None:
        return [header]
    return [
        header,
        (EVENT_TIME_HEADER, b"%d" % state.event_time),
        (SOURCE_HEADER, b"%d/%d" % (state.partition, state.offset)),
    ]


def recorded(headers: Collection[AnyHeader]) -> Recorded:
    """Read what the headers of a record say: the first `dedup.state` that is sane, or else text."""
    packed = _packed_in(headers)
    if packed is not None:
        fingerprint, event_time, partition, offset, duplicates, _ = packed
        return Recorded(fingerprint, event_time, (partition, offset), duplicates)
    return _in_text(headers)


def rebuilt_state(
    value: bytes | None, headers: Collection[AnyHeader], timestamp_ms: int, facts: RowFacts
) -> State | None:
    """Rebuild a state from a record of the output topic; None when the row can't be read.

    A record without our headers gets what its row tells, and no source: nothing is ever taken for a
    replay of it.
    """
    if -LAST_TIMESTAMP_MS <= timestamp_ms <= LAST_TIMESTAMP_MS:
        emitted_at = timestamp_ms * 1000
    else:
        emitted_at = (LAST_TIMESTAMP_MS if timestamp_ms > 0 else -LAST_TIMESTAMP_MS) * 1000
    packed = _packed_in(headers)
    if packed is not None:
        fingerprint, event_time, partition, offset, duplicates, remembered = packed
        if value is None:
            fingerprint = NO_FINGERPRINT
        return State(
            fingerprint, event_time, partition, offset, emitted_at, duplicates, value, remembered
        )
    if headers:
        in_text = _in_text(headers)
        found = NO_FINGERPRINT if value is None else in_text.fingerprint
        if found is not None and in_text.event_time is not None and in_text.source is not None:
            return State(found, in_text.event_time, *in_text.source, emitted_at, 0, value)
    nowhere = (UNKNOWN_SOURCE, UNKNOWN_SOURCE)
    if value is None:
        return State(NO_FINGERPRINT, NO_EVENT_TIME, *nowhere, emitted_at, 0, None)
    known = facts(value)
    if known is None:
        return None
    fingerprint, time = known
    event_time = NO_EVENT_TIME if time is None else time
    return State(fingerprint, event_time, *nowhere, emitted_at, 0, value)


def _packed_in(headers: Collection[AnyHeader]) -> tuple[bytes, int, int, int, int, bytes] | None:
    """Read the first packed header that is of this version, whole and sane."""
    for name, data in headers:
        if name != STATE_HEADER or data is None:
            continue
        if len(data) >= _PACKED_BYTES and data[0] == STATE_VERSION:
            _, fingerprint, event_time, partition, offset, duplicates = _unpack(data)
            if partition >= UNKNOWN_SOURCE and offset >= UNKNOWN_SOURCE:
                remembered = leading_entries(data[_PACKED_BYTES:])
                return fingerprint, event_time, partition, offset, duplicates, remembered
    return None


def _in_text(headers: Collection[AnyHeader]) -> Recorded:
    """Read the headers of an earlier release."""
    texts = dict(headers)
    return Recorded(_fingerprint_in(texts), _event_time_in(texts), _source_in(texts), 0)


def _fingerprint_in(texts: Mapping[str, bytes | None]) -> bytes | None:
    try:
        found = bytes.fromhex((texts.get(FINGERPRINT_HEADER) or b"").decode())
    except ValueError:
        return None
    return found if len(found) == FINGERPRINT_BYTES else None


def _event_time_in(texts: Mapping[str, bytes | None]) -> int | None:
    try:
        found = int(texts.get(EVENT_TIME_HEADER) or b"")
    except ValueError:
        return None
    return found if NO_EVENT_TIME <= found < 2**63 else None


def _source_in(texts: Mapping[str, bytes | None]) -> tuple[int, int] | None:
    try:
        partition, offset = map(int, (texts.get(SOURCE_HEADER) or b"").split(b"/"))
    except ValueError:
        return None
    sane = UNKNOWN_SOURCE <= partition < 2**31 and UNKNOWN_SOURCE <= offset < 2**63
    return (partition, offset) if sane else None
