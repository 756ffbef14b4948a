"""Writes to PostgreSQL while the sink reads on: one transaction after the other, in order.

*Guarantees.* A transaction begins when the one before it has committed. What is read meanwhile is
merged to the next one, so transactions grow with the load and a single record does not wait. If a
transaction fails, or another sink has applied its records, then all that was read after it is
dropped as well, and every partition is read again from the offset in the table.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Final
from uuid import UUID

from dedup.core.keys import Id
from dedup.sink.connecting import Connecting
from dedup.sink.database import Database, OffsetRange
from dedup.sink.progress import Progress
from dedup.sink.reading import Values

MAX_ROWS: Final = 10_000
"""Number of rows that wait for the next transaction from which reading waits too."""

logger = logging.getLogger(__name__)


class Writer:
    """Writes what is added. Every method that waits raises the error of a failed transaction once.

    `places` has the offset of each partition at which reading continues; it is emptied when all
    partitions have to be sought again.
    """

    def __init__(
        self,
        topic_id: UUID,
        connecting: Connecting,
        progress: Progress,
        places: dict[int, int],
    ) -> None:
        self.topic_id = topic_id
        self._connecting = connecting
        self._progress = progress
        self._places = places
        self._database: Database | None = None
        self._chunks: dict[int, OffsetRange] = {}
        self._rows: dict[Id, Values | None] = {}
        self._transaction: asyncio.Task[None] | None = None

    @property
    def idle(self) -> bool:
        """Whether everything that was added is applied."""
        return self._transaction is None

    def add(self, chunks: Mapping[int, OffsetRange], rows: Mapping[Id, Values | None]) -> None:
        """Write rows and offsets in the next transaction, and begin that if none is in progress."""
        for partition, chunk in chunks.items():
            begin = self._chunks.get(partition, chunk).begin
            self._chunks[partition] = OffsetRange(begin, chunk.next_offset)
        self._rows.update(rows)
        if self._transaction is None:
            self._transaction = asyncio.ensure_future(self._write())

    async def room(self) -> None:
        """Wait until the next transaction can take more rows."""
        if self._transaction is None:
            return
        if len(self._rows) >= MAX_ROWS or self._transaction.done():  # done: it has failed
            await self._end_of(self._transaction)

    async def settled(self) -> None:
        """Wait until everything that was added is applied."""
        while self._transaction is not None:
            await self._end_of(self._transaction)

    async def connected(self) -> Database:
        """Return the connection. Only for use while the writer is idle."""
        if self._database is None:
            self._database = await self._connecting.connect()
        return self._database

    async def close(self) -> None:
        """Roll back the transaction in progress and close the connection."""
        if self._transaction is not None:
            self._transaction.cancel()
            await asyncio.gather(self._transaction, return_exceptions=True)
            self._transaction = None
        if self._database is not None:
            await self._database.close()
            self._database = None

    async def _end_of(self, transaction: "asyncio.Task[None]") -> None:
        try:
            await transaction
        except BaseException:
            if self._transaction is transaction:
                self._transaction = None
            raise

    async def _write(self) -> None:
        try:
            read = await self._progress.read(self._places)
            chunks, rows = self._chunks, self._rows
            self._chunks, self._rows = {}, {}
            database = await self.connected()
            applied = await database.apply(self.topic_id, chunks, rows)
            self._connecting.works()
            if applied:
                self._progress.wrote(rows)
                self._progress.applied(read)
                await self._progress.commit(chunks)
            else:
                logger.info("Another sink applied these records; continuing at its offsets.")
                self._drop()
        except BaseException:
            self._drop()
            raise
        self._transaction = asyncio.ensure_future(self._write()) if self._chunks else None

    def _drop(self) -> None:
        self._places.clear()
        self._chunks, self._rows = {}, {}
