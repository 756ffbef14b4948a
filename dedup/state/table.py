"""The state table: a Faust table over RocksDB whose changelog is `src_products`.

Faust needs it as a table of the app: it starts and stops the store, assigns the partitions of its
changelog, and lists it (`faust tables`). It is no mapping, although Faust's tables are: the states
of a partition are read and written as a whole batch, after the batch's records are durable on the
changelog. Setting or deleting an item, which Faust would send to the changelog, raises TypeError.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from faust.stores.base import Store
from faust.tables.table import Table
from mode import get_logger

from dedup.core.entity import Entity
from dedup.core.keys import Id
from dedup.core.state import State
from dedup.state.database_files import destroy
from dedup.state.memory import Memory
from dedup.state.row_keys import RowKeys
from dedup.state.store import PartitionStore
from dedup.state.store_errors import DamagedError, StoreError

logger = get_logger(__name__)

STORE_URL: Final = "rocksdb://"

THREAD_FROM: Final = 64
"""Reads from RocksDB that take longer than to hand them to another thread."""

ROOM_EVERY_S: Final = 0.1
"""How often a disk that is behind is given more."""

_READ_ONLY: Final = "the state table is written by the processor, a batch at a time"
_NO_CHANGELOG_EVENTS: Final = "dedup.streaming.recovery applies the changelog, in batches"
_NO_BACKUP: Final = "the changelog topic is the backup of the state table"


class StateStore(Store[Id, State]):
    """The partitions of the table that this worker owns.

    Faust calls `on_stop`, and `reset_state` for `faust reset`. `apply_changelog_batch` and the two
    of backups are abstract in Faust and called by nobody here.
    """

    def __init__(
        self, *args: Any, directory: Callable[[], Path], keys: RowKeys, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._keys = keys
        self._directory = directory
        self._memory = Memory()
        self._partitions: dict[int, PartitionStore] = {}

    def partition(self, partition: int) -> PartitionStore:
        """Return the store of a partition; opened if it is not open. Raises StoreError."""
        store = self._partitions.get(partition)
        if store is None:
            store = self._partitions[partition] = PartitionStore(
                self._path(partition), self._memory, self._keys
            )
        return store

    def _path(self, partition: int) -> Path:
        return self._directory() / f"{self.table_name}-{partition}"

    def open_or_rebuild(self, partition: int) -> PartitionStore:
        """Return the store of a partition; an empty one in place of a damaged one.

        For recovery alone: no event may be decided on with a store that is empty by mistake.
        """
        try:
            return self.partition(partition)
        except DamagedError as error:
            logger.warning(
                "The state in %s is damaged (%s): it is rebuilt from the changelog topic.",
                error.path,
                error.what,
            )
            return self.rebuild(partition)

    def rebuild(self, partition: int) -> PartitionStore:
        """Delete what is known of a partition and return an empty store."""
        self._close((partition,))
        destroy(self._path(partition))
        return self.partition(partition)

    def _close(self, partitions: Iterable[int]) -> None:
        """Close those that are open. They are released even when closing fails."""
        errors: list[StoreError] = []
        for partition in partitions:
            store = self._partitions.pop(partition, None)
            try:
                if store is not None:
                    store.close()
            except StoreError as error:  # what matters is on the changelog
                errors.append(error)
        if errors:
            others = f" The same goes for {len(errors) - 1} other partitions." if errors[1:] else ""
            logger.warning("%s%s", errors[0], others)

    def close_others(self, owned: Iterable[int]) -> None:
        """Close every partition but these: another worker may open them now."""
        self._close(set(self._partitions) - set(owned))

    @property
    def open_partitions(self) -> Sequence[int]:
        """Partitions that are open."""
        return sorted(self._partitions)

    @property
    def rows(self) -> int | None:
        """Rows that are known and not deleted; None until all partitions are counted."""
        counts = [store.row_count.rows for store in self._partitions.values()]
        known = [count for count in counts if count is not None]
        return sum(known) if len(known) == len(counts) else None

    async def on_stop(self) -> None:
        """Close everything."""
        self.close_others(())

    def apply_changelog_batch(self, *_args: Any, **_kwargs: Any) -> None:
        """Refuse: recovery does it."""
        raise NotImplementedError(_NO_CHANGELOG_EVENTS)

    async def backup_partition(self, *_args: Any, **_kwargs: Any) -> None:
        """Refuse: the changelog is the backup."""
        raise NotImplementedError(_NO_BACKUP)

    def restore_backup(self, *_args: Any, **_kwargs: Any) -> None:
        """Refuse: the changelog is the backup."""
        raise NotImplementedError(_NO_BACKUP)

    def reset_state(self) -> None:
        """Delete the databases, as `faust reset` asks."""
        for partition in self.open_partitions:
            self._close((partition,))
            destroy(self._path(partition))


class StateTable(Table[Id, State]):
    """What is known of every row this worker owns."""

    data: StateStore

    def __init__(self, *args: Any, entity: Entity, **kwargs: Any) -> None:
        self.row_keys = RowKeys(entity)
        super().__init__(*args, **kwargs)

    def _new_store(self) -> StateStore:
        return StateStore(
            STORE_URL,
            self.app,
            self,
            table_name=self.name,
            keys=self.row_keys,
            directory=lambda: Path(self.app.conf.tabledir),
        )

    def read(self, partition: int, ids: Sequence[Id]) -> dict[Id, State]:
        """Return the states of those ids of a partition that are known."""
        return self.data.partition(partition).read(ids)

    async def read_many(self, partition: int, ids: Sequence[Id]) -> dict[Id, State]:
        """Return the same as `read`; what takes long is read in another thread."""
        store = self.data.partition(partition)
        states, others = store.in_memory(ids)
        if len(others) >= THREAD_FROM:
            states |= await asyncio.to_thread(store.fetch, others)
        elif others:
            states |= store.fetch(others)
        return states

    def changelog_offset(self, partition: int) -> int:
        """Return the changelog offset up to which a partition's states are known."""
        progress = self.data.partition(partition).progress()
        return 0 if progress is None else progress.next_offset

    def write(
        self,
        partition: int,
        states: Mapping[Id, State],
        *,
        next_offset: int | None,
        now_us: int,
        source_offset: int | None = None,
        rows_added: int = 0,
    ) -> None:
        """Take states of a partition and the offsets after them: see `PartitionStore.write`.

        Raises StoreError when the changelog was recreated: the known states are not on it.
        """
        store = self.data.partition(partition)
        known = store.progress()
        if next_offset is not None and known is not None and next_offset <= known.next_offset:
            raise StoreError(
                f"{self.changelog_topic_name} was recreated: its partition {partition} ends at "
                f"offset {next_offset}, but the local state corresponds to offset "
                f"{known.next_offset}. Restart the worker: it continues with what is on the topic "
                "now. To write the earlier rows again, first reset the offsets of the group "
                f"{self.app.conf.id} to the earliest."
            )
        store.write(
            states,
            next_offset=next_offset,
            now_us=now_us,
            source_offset=source_offset,
            rows_added=rows_added,
        )

    async def room(self, partition: int) -> None:
        """Wait until the store of a partition has room for more states: see `PartitionStore`.

        One that is closed meanwhile is another worker's, and is not opened again.
        """
        data = self.data
        while partition in data.open_partitions and not data.partition(partition).make_room():
            await asyncio.to_thread(data.partition(partition).persist)
            await asyncio.sleep(ROOM_EVERY_S)

    def forget_deleted(self, partition: int, before_us: int) -> None:
        """Remove the deletion markers of a partition that were set before a time."""
        self.data.partition(partition).forget_deleted(before_us)

    def on_key_set(self, key: Id, value: State) -> None:
        """Refuse: Faust calls it before it sets an item, and would send that to the changelog."""
        raise TypeError(_READ_ONLY)

    def on_key_del(self, key: Id) -> None:
        """Refuse, as `on_key_set`."""
        raise TypeError(_READ_ONLY)
