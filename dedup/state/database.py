"""The RocksDB of a partition, written so that a slow disk holds up nobody.

rocksdict holds Python's lock while it writes: a write that waits for the disk stops the heartbeats
of the worker. So `write` goes to RocksDB's memory, without a log, and is refused where there is no
room. What touches the disk runs without Python's lock: RocksDB's own threads when its memory is
full, and `persist`, in a thread of ours (ADR 25).

A damaged database is never used. Whatever finds the damage leaves a mark (`.damaged`) beside the
directory; opening it again raises DamagedError, whether RocksDB would notice or not.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import cast

from rocksdict import AccessType, Rdict, WriteBatch

from dedup.state.database_files import complete_tables, damage_mark
from dedup.state.log_files import make_readable
from dedup.state.memory import Memory, options, write_options
from dedup.state.offsets import Offsets, read_offsets
from dedup.state.store_errors import DamagedError, StoreError, explain

_NO_ROOM = "write stall"


class Database:
    """Opening creates the database when there is none.

    Every method raises StoreError when the disk can't be used, DamagedError when the database can't
    be trusted any more. All are called by one thread, but `get` and `persist` may run in others.
    """

    def __init__(self, path: Path, memory: Memory) -> None:
        self.path = path
        self._refusing = memory.refusing
        self._failed: StoreError | None = None
        self._errors = 0
        self._is_closed = False
        self._in_get = Lock()
        self._in_persist = Lock()
        self._persisting_since: float | None = None
        with self.explained():
            if damage_mark(path).exists():
                raise DamagedError(path, "found when it was read")
            path.parent.mkdir(parents=True, exist_ok=True)
            make_readable(path)
            files = complete_tables(path)
            chosen = options(memory, path.parent)
            # Without column families, rocksdict opens a database that is there with most of the
            # options of its own file, which has no filter and no cache.
            families = {"default": chosen}
            mode = AccessType.read_write()
            self._rocksdb = Rdict(str(path), chosen, families, mode)
            try:
                self._rocksdb.set_write_options(write_options())
                self._refuse_if_files_are_lost(files)
                self.offsets_at_start: Offsets = read_offsets(self._rocksdb)
            except Exception:
                self._rocksdb.close()
                raise

    def _refuse_if_files_are_lost(self, files: set[str]) -> None:
        """Raise DamagedError if there was a complete table file that RocksDB does not list.

        A MANIFEST that lost its end makes RocksDB lose states and keep an older offset, without an
        error. A kill just after a file was finished looks the same; one while it was written does
        not.
        """
        live = {str(file["name"]).lstrip("/") for file in self._rocksdb.live_files()}
        if files - live:
            raise DamagedError(self.path, f"{min(files - live)} is not part of it any more")

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turn whatever RocksDB and the disk raise into a StoreError; mark damage."""
        try:
            yield
        except Exception as error:  # rocksdict raises plain Exception
            explained = error if isinstance(error, StoreError) else explain(self.path, error)
            if isinstance(explained, DamagedError):
                with suppress(OSError):  # the error is what matters; the disk may be gone
                    damage_mark(self.path).touch()
            if explained is error:
                raise
            raise explained from error

    @property
    def is_refusing(self) -> bool:
        """Whether the last write was refused, and RocksDB has written nothing to the disk since."""
        return self.path in self._refusing

    @property
    def has_failed(self) -> bool:
        """Whether a write failed: RocksDB takes no more."""
        return self._failed is not None

    def write(self, batch: WriteBatch) -> bool:
        """Write a batch to RocksDB's memory, at once and in one step; False if it has no room.

        Once a write failed, raise the same error again: RocksDB refuses later ones with what looks
        like damage.
        """
        with self._failing():
            try:
                self._rocksdb.write(batch)
            except Exception as error:
                if _NO_ROOM not in str(error).lower():
                    raise
                self._refusing.add(self.path)
                return False
        self._refusing.discard(self.path)
        return True

    def has_new_errors(self) -> bool:
        """Return whether RocksDB's own threads failed to write; `persist` raises why."""
        if self._is_closed:
            return False
        before = self._errors
        self._errors = int(self._rocksdb.property_int_value("rocksdb.background-errors") or 0)
        return self._errors > before

    def persist(self) -> None:
        """Write what is in RocksDB's memory to the disk, and wait for it; in any thread."""
        with self._in_persist:
            if self._is_closed:
                return
            self._persisting_since = monotonic()
            try:
                with self._failing():
                    self._rocksdb.flush()
            finally:
                self._persisting_since = None
            self._refusing.discard(self.path)

    def persisting_for(self) -> float:
        """Return for how many seconds the disk has been taking what `persist` writes."""
        since = self._persisting_since
        return 0.0 if since is None else monotonic() - since

    def ensure_sound(self) -> None:
        """Raise the error of the write that failed, if one did."""
        if self._failed is not None:
            raise self._failed

    @contextmanager
    def _failing(self) -> Iterator[None]:
        self.ensure_sound()
        try:
            with self.explained():
                yield
        except StoreError as error:
            self._failed = error
            raise

    def get(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the values of keys; in any thread. RocksDB reads without Python's lock."""
        with self._in_get, self.explained():
            if self._is_closed:
                raise StoreError(f"The state in {self.path} was closed before it was read.")
            return cast("list[bytes | None]", self._rocksdb.get(list(keys)))

    def items(self, from_key: bytes | None, *, backwards: bool) -> Iterator[tuple[bytes, bytes]]:
        """Return keys and values as of now, by key."""
        found = self._rocksdb.items(backwards=backwards, from_key=from_key)
        return cast("Iterator[tuple[bytes, bytes]]", found)

    def keys(self, from_key: bytes) -> Iterator[bytes]:
        """Return the keys from one on as of now."""
        return cast("Iterator[bytes]", self._rocksdb.keys(from_key=from_key))

    def size_bytes(self) -> int:
        """Return the size of the table files and the write buffers."""
        names = ("rocksdb.total-sst-files-size", "rocksdb.cur-size-all-mem-tables")
        with self.explained():
            return sum(int(self._rocksdb.property_int_value(name) or 0) for name in names)

    def close(self) -> None:
        """Write everything to the disk and close; waits for reads and writes in other threads."""
        with self._in_get, self._in_persist:
            self._is_closed = True
            self._refusing.discard(self.path)
            # RocksDB repeats the failure of a write when it is closed, as if it were damage.
            with suppress(Exception) if self.has_failed else self.explained():
                self._rocksdb.close()
