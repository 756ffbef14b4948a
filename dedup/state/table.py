"""The state table: a Faust table over RocksDB whose changelog is `src_products`.

Read it as any Faust table (`table[product_id]`, `.items()`); the values are `State`s. It is
written by the agent alone, a batch at a time, after the batch's records are durable on the
changelog - so setting an item raises TypeError.
"""

from collections.abc import (
    Callable,
    ItemsView,
    Iterable,
    Iterator,
    KeysView,
    Mapping,
    Sequence,
    ValuesView,
)
from pathlib import Path
from typing import Any, Final

from faust.stores.base import Store
from faust.tables.table import Table
from faust.types import TP
from mode import get_logger

from dedup.core.state import State
from dedup.state.memory import Memory
from dedup.state.store import PartitionStore, destroy
from dedup.state.store_errors import DamagedError, StoreError

logger = get_logger(__name__)

STORE_URL: Final = "rocksdb://"
_READ_ONLY: Final = "the state table is written by the agent, a batch at a time"


class StateStore(Store[int, State]):
    """The partitions of the table that this worker owns."""

    def __init__(self, *args: Any, directory: Callable[[], Path], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._directory = directory
        self._memory = Memory()
        self._partitions: dict[int, PartitionStore] = {}

    def partition(self, partition: int) -> PartitionStore:
        """Return the store of a partition; opened if it is not open. Raises StoreError."""
        store = self._partitions.get(partition)
        if store is None:
            store = self._partitions[partition] = PartitionStore(
                self._path(partition), self._memory
            )
        return store

    def _path(self, partition: int) -> Path:
        return self._directory() / f"{self.table_name}-{partition}"

    def open_or_rebuild(self, partition: int) -> PartitionStore:
        """Return the store of a partition; an empty one in place of a damaged one.

        For recovery alone: whoever decides on events must not find an empty store unawares.
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
        """Throw away what is known of a partition and give an empty store."""
        self._close(partition)
        destroy(self._path(partition))
        return self.partition(partition)

    def _close(self, partition: int) -> None:
        """Close a store if it is open. It is released even when closing fails."""
        store = self._partitions.pop(partition, None)
        if store is None:
            return
        try:
            store.close()
        except StoreError as error:  # what matters is on the changelog
            logger.warning("%s", error)

    def close_others(self, owned: Iterable[int]) -> None:
        """Close every partition but these: another worker may open them now."""
        for partition in set(self._partitions) - set(owned):
            self._close(partition)

    @property
    def open_partitions(self) -> Sequence[int]:
        """Partitions that are open."""
        return sorted(self._partitions)

    @property
    def products(self) -> int | None:
        """Products that are known and not deleted; None until all partitions are counted."""
        counts = [store.products for store in self._partitions.values()]
        known = [count for count in counts if count is not None]
        return sum(known) if len(known) == len(counts) else None

    async def on_stop(self) -> None:
        """Close everything."""
        self.close_others(())

    def persisted_offset(self, tp: TP) -> int | None:
        """Return the last changelog offset that is in the store."""
        progress = self.partition(tp.partition).progress()
        return None if progress is None else progress.next_offset - 1

    def __getitem__(self, product_id: int) -> State:
        for store in self._partitions.values():
            state = store.read([product_id]).get(product_id)
            if state is not None:
                return state
        raise KeyError(product_id)

    def __contains__(self, product_id: object) -> bool:
        return isinstance(product_id, int) and self.get(product_id) is not None

    def __iter__(self) -> Iterator[int]:
        for partition in self.open_partitions:
            yield from (product_id for product_id, _ in self._partitions[partition].items())

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def keys(self) -> KeysView[int]:
        """View the ids of all products; mode's own view needs a dict."""
        return KeysView(self)

    def values(self) -> ValuesView[State]:
        """View all states."""
        return ValuesView(self)

    def items(self) -> ItemsView[int, State]:
        """View all products with their states."""
        return ItemsView(self)

    def __setitem__(self, product_id: int, state: State) -> None:
        raise TypeError(_READ_ONLY)

    def __delitem__(self, product_id: int) -> None:
        raise TypeError(_READ_ONLY)

    def apply_changelog_batch(self, *_args: Any, **_kwargs: Any) -> None:
        """Refuse: `dedup.streaming.recovery` applies the changelog."""
        raise TypeError(_READ_ONLY)

    async def backup_partition(self, *_args: Any, **_kwargs: Any) -> None:
        """Refuse: the changelog is the backup."""
        raise NotImplementedError("the changelog topic is the backup of the state table")

    def restore_backup(self, *_args: Any, **_kwargs: Any) -> None:
        """Refuse: the changelog is the backup."""
        raise NotImplementedError("the changelog topic is the backup of the state table")

    def reset_state(self) -> None:
        """Delete the databases, as `faust reset` asks."""
        for partition in self.open_partitions:
            self._close(partition)
            destroy(self._path(partition))


class StateTable(Table[int, State]):
    """What is known of every product this worker owns, by product_id."""

    data: StateStore

    def _new_store(self) -> StateStore:
        return StateStore(
            STORE_URL,
            self.app,
            self,
            table_name=self.name,
            directory=lambda: Path(self.app.conf.tabledir),
        )

    def read(self, partition: int, product_ids: Sequence[int]) -> dict[int, State]:
        """Return the states of those products of a partition that are known."""
        return self.data.partition(partition).read(product_ids)

    def changelog_offset(self, partition: int) -> int:
        """Return the changelog offset up to which a partition's states are known."""
        progress = self.data.partition(partition).progress()
        return 0 if progress is None else progress.next_offset

    def write(
        self,
        partition: int,
        states: Mapping[int, State],
        *,
        next_offset: int | None,
        now_us: int,
    ) -> None:
        """Write states and changelog offset of a partition in one atomic step.

        Raises StoreError when the changelog was made anew: the known states are not on it.
        """
        store = self.data.partition(partition)
        known = store.progress()
        if next_offset is not None and known is not None and next_offset <= known.next_offset:
            raise StoreError(
                f"{self.changelog_topic_name} was made anew: its partition {partition} ends at "
                f"offset {next_offset}, and the known states follow it to {known.next_offset}. "
                "Start the worker again: it goes on with what is on the topic now. To have there "
                f"what was on it before, reset the offsets of the group {self.app.conf.id} to the "
                "earliest first."
            )
        store.write(states, next_offset=next_offset, now_us=now_us)

    def forget_deleted(self, partition: int, before_us: int) -> None:
        """Drop the markers of products of a partition that were deleted before a time."""
        self.data.partition(partition).forget_deleted(before_us)

    def on_key_set(self, key: int, value: State) -> None:
        """Refuse: see the class."""
        raise TypeError(_READ_ONLY)

    def on_key_del(self, key: int) -> None:
        """Refuse: see the class."""
        raise TypeError(_READ_ONLY)
