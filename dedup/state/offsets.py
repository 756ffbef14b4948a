"""The offsets that the states of a partition correspond to, kept beside them in RocksDB."""

import struct
from typing import Any, Final, NamedTuple

_CHANGELOG_KEY: Final = b"\xffoffset"
_CHANGELOG: Final = struct.Struct(">qq")
_SOURCE_KEY: Final = b"\xffsource"
_SOURCE: Final = struct.Struct(">q")


class Progress(NamedTuple):
    """The changelog offset a partition's states correspond to, and when that was written."""

    next_offset: int
    written_at_us: int


class Offsets(NamedTuple):
    """Changelog offset and source offset; None for what is not known."""

    changelog: Progress | None
    source: int | None

    def is_far_from(self, other: "Offsets", limit: int) -> bool:
        """Return whether recovery from `other` would have many events to decide on again.

        Or could not: offsets go back where a source topic was recreated.
        """
        if self.source is None:
            return False
        return other.source is None or not other.source <= self.source < other.source + limit


def read_offsets(db: Any) -> Offsets:
    """Read the offsets of a database."""
    changelog, source = db.get(_CHANGELOG_KEY), db.get(_SOURCE_KEY)
    return Offsets(
        None if changelog is None else Progress(*_CHANGELOG.unpack(changelog)),
        None if source is None else _SOURCE.unpack(source)[0],
    )


def put_offsets(batch: Any, offsets: Offsets) -> None:
    """Add offsets to a batch of writes."""
    if offsets.changelog is not None:
        batch.put(_CHANGELOG_KEY, _CHANGELOG.pack(*offsets.changelog))
    if offsets.source is not None:
        batch.put(_SOURCE_KEY, _SOURCE.pack(offsets.source))
