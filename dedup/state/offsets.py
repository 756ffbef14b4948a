"""The offsets and the number of rows that the states of a partition correspond to.

They are kept beside the states in RocksDB.
"""

import struct
from typing import Any, Final, NamedTuple

_CHANGELOG_KEY: Final = b"\xffoffset"
_CHANGELOG: Final = struct.Struct(">qq")
_SOURCE_KEY: Final = b"\xffsource"
_SOURCE: Final = struct.Struct(">q")
_ROWS_KEY: Final = b"\xffrows"
_ROWS: Final = struct.Struct(">qq")
"""How many rows there are, and the changelog offset as of which: whoever moves that and does not
count, such as an older version, makes the number void."""


class Progress(NamedTuple):
    """The changelog offset a partition's states correspond to, and when that was written."""

    next_offset: int
    written_at_us: int


class Offsets(NamedTuple):
    """Changelog offset, source offset and number of rows; None for what is not known."""

    changelog: Progress | None
    source: int | None
    rows: int | None = None

    def is_far_from(self, other: "Offsets", limit: int) -> bool:
        """Return whether recovery from `other` would have many events to decide on again.

        Or could not: offsets go back where a source topic was recreated.
        """
        if self.source is None:
            return False
        return other.source is None or not other.source <= self.source < other.source + limit


def read_offsets(db: Any) -> Offsets:
    """Read the offsets of a database."""
    changelog, source, rows = map(db.get, (_CHANGELOG_KEY, _SOURCE_KEY, _ROWS_KEY))
    progress = None if changelog is None else Progress(*_CHANGELOG.unpack(changelog))
    number, as_of = (None, None) if rows is None else _ROWS.unpack(rows)
    return Offsets(
        progress,
        None if source is None else _SOURCE.unpack(source)[0],
        number if progress is not None and progress.next_offset == as_of else None,
    )


def put_offsets(batch: Any, offsets: Offsets) -> None:
    """Add offsets to a batch of writes."""
    if offsets.changelog is not None:
        batch.put(_CHANGELOG_KEY, _CHANGELOG.pack(*offsets.changelog))
        if offsets.rows is not None:
            batch.put(_ROWS_KEY, _ROWS.pack(offsets.rows, offsets.changelog.next_offset))
    if offsets.source is not None:
        batch.put(_SOURCE_KEY, _SOURCE.pack(offsets.source))
