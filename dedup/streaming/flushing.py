"""Writes the states to RocksDB and to the disk that no further batch brings there."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from mode import Service, get_logger

from dedup.state.store import PartitionStore
from dedup.state.store_errors import StoreError
from dedup.state.table import StateTable

LOOK_EVERY_S: Final = 0.25

SLOW_AFTER_S: Final = 10.0
"""How long the disk may take for states before the log says so: as long as a session lasts."""

logger = get_logger(__name__)


class Flushing(Service):
    """Flushes each partition whose flush is due, a batch does that too, and persists it if due."""

    def __init__(
        self, table: StateTable, on_error: Callable[[StoreError], None], **kwargs: Any
    ) -> None:
        """Take the table, and what to call when a partition can't be written."""
        super().__init__(**kwargs)
        self._table = table
        self._on_error = on_error
        self._slow_for = 0.0

    def _stores(self) -> list[PartitionStore]:
        data = self._table.data
        return [data.partition(partition) for partition in data.open_partitions]

    @Service.task
    async def _flush_periodically(self) -> None:
        while not self.should_stop:
            await self.sleep(LOOK_EVERY_S)
            try:
                for store in self._stores():
                    store.flush_if_due()
            except StoreError as error:
                self._on_error(error)
                return
            self._report(max((s.persisting_for() for s in self._stores()), default=0.0))

    @Service.task
    async def _persist_periodically(self) -> None:
        """Persist each partition that should be, one after the other: they share the disk."""
        while not self.should_stop:
            await self.sleep(LOOK_EVERY_S)
            try:
                for store in self._stores():
                    if store.should_persist:
                        await asyncio.to_thread(store.persist)
            except StoreError as error:
                self._on_error(error)
                return

    def _report(self, waits_s: float) -> None:
        """Log once that the disk takes no states, and once that it takes them again."""
        if waits_s > SLOW_AFTER_S:
            if not self._slow_for:
                logger.warning(
                    "The disk of %s has not taken the states of a partition for %.0f s. The worker "
                    "remains a member of its group and keeps states in memory; when that is full, "
                    "it waits. Nothing is lost. Check the disk.",
                    self._table.app.conf.datadir,
                    waits_s,
                )
            self._slow_for = waits_s
        elif self._slow_for:
            logger.warning("The disk takes states again, after %.0f s.", self._slow_for)
            self._slow_for = 0.0
