"""The states of a worker's rows in RocksDB: one database per partition, written behind.

Keys are the ids as `RowKeys` writes them, so iteration goes by id; values are `dedup.core.state`
bytes. Keys that begin with 0xff are about the partition itself, those with 0xfe
are the deletion markers by the time after which they may be removed.

What `write` takes is kept in memory as *pending* and goes to RocksDB with the next flush: once a
second, or when there is much of it. A product with frequent events is then written once for many of
them (ADR 23). RocksDB has it in memory too, until that is much or `persist` is called (ADR 25).

Guarantees: a flush is atomic, so states, the changelog offset and the source offset they correspond
to never disagree; what was persisted survives the death of the process. What was not is on the
changelog, or follows from the events since the persisted source offset: recovery decides on them
again. The database never has what is not on the changelog, so it may be deleted at any time: it is
rebuilt from there.

`write` and `flush` never wait for the disk. What RocksDB has no room for stays pending, and
`make_room` says when no more should be written.

Memory is bounded for all partitions together: by one block cache, one budget of write buffers, and
one of states in memory (`Memory`). The states flushed last stay in memory too, so rows with
frequent events need no read of RocksDB.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import Any, Final, cast

from rocksdict import WriteBatch

from dedup.core.keys import Id
from dedup.core.state import State, decode_state, encode_state
from dedup.state.database import Database
from dedup.state.memory import Memory, mean_bytes
from dedup.state.offsets import Progress, put_offsets
from dedup.state.overlay import overlaid
from dedup.state.row_count import RowCount
from dedup.state.row_keys import FIRST_OTHER_KEY, RowKeys
from dedup.state.store_errors import DamagedError

FLUSH_EVERY_S: Final = 1.0

PERSIST_EVERY_S: Final = 300.0
"""Each time RocksDB has one more file to merge into all the others."""

PERSIST_EVERY_EVENTS: Final = 100_000
"""Of one partition: what recovery may have to decide on again after a kill, but for what is
processed while the disk takes them."""

UNPERSISTED_EVENTS: Final = PERSIST_EVERY_EVENTS * 3 // 2
"""How many events a partition may be ahead of a disk that takes nothing."""

_EXPIRY_HEAD: Final = struct.Struct(">Bq")
_EXPIRY_PREFIX: Final = 0xFE


class PartitionStore:
    """The states of one partition. Opening creates the database when there is none.

    Every method raises StoreError when the disk can't be used, DamagedError when the database can't
    be trusted any more. All are called by one thread, but `fetch` and `persist` may run in others.
    """

    def __init__(self, path: Path, memory: Memory, keys: RowKeys) -> None:
        self.path = path
        self._keys = keys
        self._memory = memory
        self._pending: dict[Id, State] = {}
        self._flushed: dict[Id, State] = {}
        self._state_bytes = 1
        self._flushed_at = self._persisted_at = monotonic()
        self._db = Database(path, memory)
        self._offsets = self._flushed_offsets = self._persisted_offsets = self._db.offsets_at_start
        self.row_count = RowCount(self._entries, self._offsets.rows)
        memory.partitions += 1

    def close(self) -> None:
        """Flush, unless a write failed before, and close in any case; waits for the disk."""
        if self.row_count.rows is None:
            self.row_count.restart()  # its iterator would keep the database open
        self._memory.partitions -= 1
        try:
            if not self._db.has_failed and not self.flush():
                self.persist()
                self.flush()
        finally:
            self._db.close()

    def in_memory(self, ids: Sequence[Id]) -> tuple[dict[Id, State], list[Id]]:
        """Return the states of those ids that are in memory, and the other ids, for `fetch`."""
        pending, flushed = self._pending.get, self._flushed.get
        states: dict[Id, State] = {}
        others = []
        for row_id in ids:
            state = pending(row_id) or flushed(row_id)
            if state is None:
                others.append(row_id)
            else:
                states[row_id] = state
        return states, others

    def fetch(self, ids: Sequence[Id]) -> dict[Id, State]:
        """Return the states of those ids that RocksDB has; in any thread."""
        by_key = sorted(cast("Any", ids))
        found = self._db.get(list(map(self._keys.write, by_key)))
        with self._db.explained():
            return {
                row_id: decode_state(data)
                for row_id, data in zip(by_key, found, strict=True)
                if data is not None
            }

    def read(self, ids: Sequence[Id]) -> dict[Id, State]:
        """Return the states of those ids that are known."""
        states, others = self.in_memory(ids)
        return states | self.fetch(others) if others else states

    def write(
        self,
        states: Mapping[Id, State],
        *,
        next_offset: int | None,
        now_us: int,
        source_offset: int | None = None,
        rows_added: int = 0,
    ) -> None:
        """Take states and the offsets after them, and flush if that is due.

        `next_offset` is that of the changelog; None leaves it as it is: nothing was emitted.
        `source_offset` is that of the events that led to the states, None where there are none,
        `rows_added` the change in the number of rows that are known and not deleted.
        """
        self.row_count.add(rows_added)
        self._pending.update(states)
        self._state_bytes = max(self._state_bytes, mean_bytes(states.values()))
        if next_offset is not None:
            self._offsets = self._offsets._replace(changelog=Progress(next_offset, now_us))
        if source_offset is not None:
            self._offsets = self._offsets._replace(source=source_offset)
        self.flush_if_due()

    @property
    def _limit(self) -> int:
        """How many states may be kept in memory."""
        most = self._memory.state_bytes_of_partition // self._state_bytes
        return min(self._memory.states_of_partition, most)

    def make_room(self) -> bool:
        """Flush if much is pending; return whether more may be written before `persist`."""
        if (self._offsets.source or 0) - (self._persisted_offsets.source or 0) > UNPERSISTED_EVENTS:
            self.flush()  # for `persist` to take it
            return False
        return len(self._pending) < self._limit or (not self._db.is_refusing and self.flush())

    def flush_if_due(self) -> None:
        """Flush if the last flush is a while ago, or much is pending."""
        is_old = monotonic() - self._flushed_at >= FLUSH_EVERY_S
        is_due = (is_old or len(self._pending) >= self._limit) and not self._db.is_refusing
        if is_due or self._db.has_failed:
            self.flush()

    def flush(self) -> bool:
        """Write what is pending to RocksDB's memory, with its offsets, in one atomic step.

        Return False when RocksDB has no room: all of it stays pending.
        """
        self._db.ensure_sound()
        self._flushed_at = monotonic()
        pending = self._pending
        offsets = self._offsets._replace(rows=self.row_count.rows)
        if not pending and offsets == self._flushed_offsets:
            return True
        batch = WriteBatch(raw_mode=True)
        put, size = batch.put, 0
        for key, data in self._pending_entries():
            put(key, data)
            size += len(data)
        put_offsets(batch, offsets)
        if not self._db.write(batch):
            return False
        self._flushed_offsets = offsets
        if pending:
            self._state_bytes = max(1, size // len(pending))
        if len(self._flushed) + len(pending) > self._limit:
            self._flushed = pending
        else:
            self._flushed.update(pending)
        self._pending = {}
        return True

    def _pending_entries(self) -> Iterator[tuple[bytes, bytes]]:
        """Return keys and values of what is pending, by id: RocksDB inserts them with less work."""
        write_key, pending = self._keys.write, self._pending
        for row_id in sorted(cast("Any", pending)):
            state = pending[row_id]
            key = write_key(row_id)
            yield key, encode_state(state)
            if state.row is None:
                yield _EXPIRY_HEAD.pack(_EXPIRY_PREFIX, state.emitted_at) + key, b""

    @property
    def should_persist(self) -> bool:
        """Return whether much is in RocksDB's memory alone, or what is there is old."""
        ahead = self._flushed_offsets
        return bool(self._memory.refusing or self._db.has_new_errors()) or (
            ahead != self._persisted_offsets
            and (
                monotonic() - self._persisted_at >= PERSIST_EVERY_S
                or ahead.is_far_from(self._persisted_offsets, PERSIST_EVERY_EVENTS)
            )
        )

    def persist(self) -> None:
        """Write what was flushed to the disk, and wait for it; in any thread."""
        offsets, self._persisted_at = self._flushed_offsets, monotonic()
        self._db.persist()
        self._persisted_offsets = offsets

    def persisting_for(self) -> float:
        """Return for how many seconds the disk has been taking what `persist` writes."""
        return self._db.persisting_for()

    def progress(self) -> Progress | None:
        """Return the changelog offset this corresponds to; None for an empty database."""
        return self._offsets.changelog

    @property
    def source_offset(self) -> int | None:
        """The source offset that the states correspond to; None if it is not known."""
        return self._offsets.source

    def forget_deleted(self, before_us: int) -> int:
        """Remove the deletion markers set before a time. Return how many; 0 if there is no room."""
        if not self.flush():
            return 0
        batch = WriteBatch(raw_mode=True)
        forgotten = []
        for key in self._db.keys(bytes([_EXPIRY_PREFIX])):
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
                forgotten.append(row_id)
        if batch.is_empty() or not self._db.write(batch):
            return 0
        for row_id in forgotten:
            self._flushed.pop(row_id, None)
        return len(forgotten)

    def size_bytes(self) -> int:
        """Return the size of the table files and the write buffers."""
        return self._db.size_bytes()

    def scan(self, row_id: Id, *, backwards: bool = False) -> Iterator[tuple[Id, bytes | None]]:
        """Return ids and rows by id, from an id on or from it back; None for deleted ones.

        Use it up at once: an iterator that is kept keeps a closed database open.
        """
        for key, data in self._entries(self._keys.write(row_id), backwards=backwards):
            if key >= FIRST_OTHER_KEY:
                return
            yield self._keys.read(key), decode_state(data).row

    def items(self) -> Iterator[tuple[Id, State]]:
        """Return the states by id, deleted ones included."""
        for key, data in self._entries(self._keys.first):
            if key >= FIRST_OTHER_KEY:
                return
            with self._db.explained():
                state = decode_state(data)
            yield self._keys.read(key), state
        # RocksDB's iterator ends at a damaged block as it ends at the last key; but the last keys
        # are never those of states once the changelog is followed.
        if self.progress() is not None:
            with self._db.explained():
                raise DamagedError(self.path, "it can't be read to its end")

    def _entries(
        self, from_key: bytes | None = None, *, backwards: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Return keys and values as of now."""
        is_flushed = self.flush()
        found = self._db.items(from_key, backwards=backwards)
        if is_flushed:
            return found
        pending = dict(self._pending_entries())
        return overlaid(found, pending, from_key, backwards=backwards)
