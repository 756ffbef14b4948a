"""The states of a worker's rows in RocksDB: one database per partition.

Keys are the ids as `RowKeys` writes them, so iteration goes by id; values are `dedup.core.state`
bytes. Keys that begin with 0xff are about the partition itself, those with 0xfe
are the deletion markers by the time after which they may be removed.

Guarantees: `write` is atomic, so states and the changelog offset they correspond to never
disagree; what was written survives the death of the process. The database never has what is not on
the changelog, so it may be deleted at any time: it is rebuilt from there.

A damaged database is never used. Whatever finds the damage leaves a mark (`.damaged`) beside the
directory; opening it again raises DamagedError, whether RocksDB would notice or not.

Memory is bounded: for all partitions together by one block cache and one budget of write buffers,
for each by the states it keeps in memory (`RECENT_STATES`). Those are the ones written last:
rows with frequent events need no read of RocksDB.
"""

import shutil
import struct
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Final, cast

from rocksdict import (
    AccessType,
    Rdict,
    WriteBatch,
)

from dedup.core.keys import Id
from dedup.core.state import State, decode_state, encode_state, marks_deleted
from dedup.state.log_files import make_readable
from dedup.state.memory import Memory, options
from dedup.state.row_keys import FIRST_OTHER_KEY, RowKeys
from dedup.state.store_errors import DamagedError, StoreError, explain

RECENT_STATES: Final = 8_192
"""States of a partition that are kept in memory: some 7 MiB."""

_EXPIRY_HEAD: Final = struct.Struct(">Bq")
_EXPIRY_PREFIX: Final = 0xFE
_OFFSET_KEY: Final = b"\xffoffset"
_OFFSET: Final = struct.Struct(">qq")

_TABLE_END: Final = (0x88E241B785F4CFF7).to_bytes(8, "little")  # RocksDB's block-based tables
_AWAY: Final = ".away"
_DAMAGED: Final = ".damaged"


class Progress:
    """The changelog offset a partition's database corresponds to, and when it was written."""

    def __init__(self, next_offset: int, written_at_us: int) -> None:
        self.next_offset = next_offset
        self.written_at_us = written_at_us


class PartitionStore:
    """The states of one partition. Opening creates the database when there is none.

    Every method raises StoreError when the disk can't be used, DamagedError when the database can't
    be trusted any more.
    """

    def __init__(self, path: Path, memory: Memory, keys: RowKeys) -> None:
        self.path = path
        self._keys = keys
        self._recent: OrderedDict[Id, State] = OrderedDict()
        self._counted = 0
        self._to_count: Iterator[tuple[bytes, bytes]] | None = None
        self._all_counted = False
        with self._explained():
            if _damage_mark(path).exists():
                raise DamagedError(path, "found when it was read")
            path.parent.mkdir(parents=True, exist_ok=True)
            make_readable(path)
            files = {file.name for file in path.glob("*.sst") if _complete(file)}
            self._db = Rdict(str(path), options(memory), access_type=AccessType.read_write())
            self._refuse_if_files_are_lost(files)

    def _refuse_if_files_are_lost(self, files: set[str]) -> None:
        """Raise DamagedError if there was a complete table file that RocksDB does not list.

        A MANIFEST that lost its end makes RocksDB lose states and keep the offset, which is in the
        log, without an error. A kill just after a file was finished looks the same; one while it
        was written does not.
        """
        live = {str(file["name"]).lstrip("/") for file in self._db.live_files()}
        if files - live:
            self._db.close()
            raise DamagedError(self.path, f"{min(files - live)} is not part of it any more")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn whatever RocksDB and the disk raise into a StoreError; mark damage."""
        try:
            yield
        except Exception as error:  # rocksdict raises plain Exception
            explained = error if isinstance(error, StoreError) else explain(self.path, error)
            if isinstance(explained, DamagedError):
                with suppress(OSError):  # the error is what matters; the disk may be gone
                    _damage_mark(self.path).touch()
            if explained is error:
                raise
            raise explained from error

    def close(self) -> None:
        """Close the database; what was written stays."""
        self.recount()
        with self._explained():
            self._db.close()

    def read(self, ids: Sequence[Id]) -> dict[Id, State]:
        """Return the states of those ids that are known."""
        recent = self._recent
        states = {i: recent[i] for i in ids if i in recent}
        others = [i for i in ids if i not in states]
        if others:
            with self._explained():
                found = cast(
                    "list[bytes | None]", self._db.get([self._keys.write(i) for i in others])
                )
                for row_id, data in zip(others, found, strict=True):
                    if data is not None:
                        states[row_id] = decode_state(data)
        return states

    def write(self, states: Mapping[Id, State], *, next_offset: int | None, now_us: int) -> None:
        """Write states, and the changelog offset after them, in one atomic step.

        `next_offset` None leaves the offset as it is: nothing was emitted.
        """
        batch = WriteBatch(raw_mode=True)
        write_key = self._keys.write
        for row_id, state in states.items():
            key = write_key(row_id)
            batch.put(key, encode_state(state))
            if state.row is None:
                batch.put(_EXPIRY_HEAD.pack(_EXPIRY_PREFIX, state.emitted_at) + key, b"")
        if next_offset is not None:
            batch.put(_OFFSET_KEY, _OFFSET.pack(next_offset, now_us))
        with self._explained():
            self._db.write(batch)
        self._keep_recent(states)

    def _keep_recent(self, states: Mapping[Id, State]) -> None:
        recent = self._recent
        for row_id, state in states.items():
            recent[row_id] = state
            recent.move_to_end(row_id)
        while len(recent) > RECENT_STATES:
            recent.popitem(last=False)

    def progress(self) -> Progress | None:
        """Return the changelog offset this corresponds to; None for an empty database."""
        with self._explained():
            data = self._db.get(_OFFSET_KEY)
            return None if data is None else Progress(*_OFFSET.unpack(data))

    def forget_deleted(self, before_us: int) -> int:
        """Remove the deletion markers set before a time. Return how many."""
        batch = WriteBatch(raw_mode=True)
        forgotten = 0
        for key in cast("Iterator[bytes]", self._db.keys(from_key=bytes([_EXPIRY_PREFIX]))):
            if key[0] != _EXPIRY_PREFIX:
                break
            _, deleted_at = _EXPIRY_HEAD.unpack_from(key)
            if deleted_at >= before_us:
                break
            batch.delete(key)
            row_key = key[_EXPIRY_HEAD.size :]
            row_id = self._keys.read(row_key)
            state = self.read([row_id]).get(row_id)
            if state is not None and state.row is None and state.emitted_at == deleted_at:
                batch.delete(row_key)
                self._recent.pop(row_id, None)
                forgotten += 1
        if not batch.is_empty():
            with self._explained():
                self._db.write(batch)
        return forgotten

    @property
    def rows(self) -> int | None:
        """How many rows are known and not deleted; None until `count_some` has seen all."""
        return self._counted if self._all_counted else None

    def recount(self) -> None:
        """Discard the count: what is written next is not added by `add_rows`."""
        self._counted, self._to_count, self._all_counted = 0, None, False

    def count_some(self, limit: int) -> None:
        """Count up to `limit` more entries, of those that existed when counting started."""
        if self._all_counted:
            return
        if self._to_count is None:
            self._to_count = cast("Iterator[tuple[bytes, bytes]]", self._db.items())
        seen = 0
        for key, data in islice(self._to_count, limit):
            if key >= FIRST_OTHER_KEY:
                break
            self._counted += not marks_deleted(data)
            seen += 1
        if seen == limit:
            return
        self._to_count, self._all_counted = None, True

    def add_rows(self, number: int) -> None:
        """Add the change of a write to the number of rows."""
        if self._all_counted or self._to_count is not None:
            self._counted += number

    def size_bytes(self) -> int:
        """Return the size of the table files and the write buffers."""
        names = ("rocksdb.total-sst-files-size", "rocksdb.cur-size-all-mem-tables")
        with self._explained():
            return sum(int(self._db.property_int_value(name) or 0) for name in names)

    def scan(self, row_id: Id, *, backwards: bool = False) -> Iterator[tuple[Id, bytes | None]]:
        """Return ids and rows by id, from an id on or from it back; None for deleted ones.

        Use it up at once: an iterator that is kept keeps a closed database open.
        """
        start = self._keys.write(row_id)
        found = self._db.items(backwards=backwards, from_key=start)
        for key, data in cast("Iterator[tuple[bytes, bytes]]", found):
            if key >= FIRST_OTHER_KEY:
                return
            yield self._keys.read(key), decode_state(data).row

    def items(self) -> Iterator[tuple[Id, State]]:
        """Return the states by id, deleted ones included."""
        found = self._db.items(from_key=self._keys.first)
        for key, data in cast("Iterator[tuple[bytes, bytes]]", found):
            if key >= FIRST_OTHER_KEY:
                return
            with self._explained():
                state = decode_state(data)
            yield self._keys.read(key), state
        # RocksDB's iterator ends at a damaged block as it ends at the last key; but the last keys
        # are never those of states once the changelog is followed.
        if self.progress() is not None:
            with self._explained():
                raise DamagedError(self.path, "it can't be read to its end")


def destroy(path: Path) -> None:
    """Delete a closed database, whatever its condition. Raises StoreError.

    It is renamed first: half a database, left by a kill, must not be mistaken for a whole one.
    """
    away = path.with_name(path.name + _AWAY)
    try:
        if away.exists():
            shutil.rmtree(away)
        if path.exists():
            path.rename(away)
            shutil.rmtree(away)
        _damage_mark(path).unlink(missing_ok=True)
    except OSError as error:
        raise explain(path, error) from error


def _complete(table: Path) -> bool:
    """Return whether a table file was written to its end."""
    with table.open("rb") as file:
        file.seek(max(0, table.stat().st_size - len(_TABLE_END)))
        return file.read() == _TABLE_END


def _damage_mark(path: Path) -> Path:
    return path.with_name(path.name + _DAMAGED)
