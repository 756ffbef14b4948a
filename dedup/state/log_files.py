"""Looks through RocksDB's log files before it reads them: some damage makes it read for ever.

A header that is none of those that RocksDB wrote can send its reader into an endless loop, in every
recovery mode, where other damage ends the log (facebook/rocksdb#13333 and #11968, RocksDB 9.8). The
format: blocks of 32 KiB with records, each a header of 7 bytes and its data; a record does not
cross the end of its block (db/log_format.h).
"""

import os
import struct
from pathlib import Path
from typing import Final

from dedup.state.store_errors import DamagedError

_BLOCK_BYTES: Final = 32 * 1024
_HEADER: Final = struct.Struct("<IHB")
"""Checksum, size of the data, type."""

_UNUSED: Final = bytes(_HEADER.size)
_WRITTEN: Final = range(1, 5)
"""Full, first, middle and last. Others are for logs that are reused or compressed: ours are not."""


def make_readable(path: Path) -> None:
    """Cut off what RocksDB can't read of the write-ahead logs of a database: nothing of it counts.

    Raises DamagedError when that is in a MANIFEST: without its end, states would be missing.
    """
    for manifest in path.glob("MANIFEST-*"):
        if _first_unknown(manifest.read_bytes()) is not None:
            raise DamagedError(path, f"{manifest.name} has what RocksDB did not write")
    for log in path.glob("*.log"):
        end = _first_unknown(log.read_bytes())
        if end is not None:
            os.truncate(log, end)


def _first_unknown(data: bytes) -> int | None:
    """Return the offset of the first header that RocksDB did not write; None without one."""
    at = 0
    while at + _HEADER.size <= len(data):
        left = _BLOCK_BYTES - at % _BLOCK_BYTES
        if left < _HEADER.size:
            at += left
            continue
        _, size, kind = _HEADER.unpack_from(data, at)
        if data[at : at + _HEADER.size] == _UNUSED:  # allocated in advance, and the end
            return None
        if kind not in _WRITTEN or _HEADER.size + size > left:
            return at
        at += _HEADER.size + size
    return None
