"""The header `dedup.state` read and written by the layout in docs/events.md, not by our code."""

import struct
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from dedup.core.state import State

LAYOUT: Final = struct.Struct(">B21sqiqI")


class StateHeader(NamedTuple):
    """The fields of the header, in their order."""

    version: int
    fingerprint: bytes
    event_time: int
    partition: int
    offset: int
    duplicates: int

    @property
    def source(self) -> tuple[int, int]:
        """Partition and offset of the event."""
        return self.partition, self.offset

    @property
    def packed(self) -> bytes:
        """Its bytes."""
        return LAYOUT.pack(*self)


def state_header(headers: Iterable[tuple[str, Any]]) -> StateHeader:
    """Read the header of a record of ours; raises KeyError where there is none."""
    return StateHeader(*LAYOUT.unpack(dict(headers)["dedup.state"]))


def text_headers(state: State) -> list[tuple[str, bytes]]:
    """Return the headers that earlier releases wrote for a state."""
    headers = [
        ("dedup.event_time", b"%d" % state.event_time),
        ("dedup.source", b"%d/%d" % (state.partition, state.offset)),
    ]
    if state.row is not None:
        headers.append(("dedup.fingerprint", state.fingerprint.hex().encode()))
    return headers
