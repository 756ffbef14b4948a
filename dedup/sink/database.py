"""Writes batches of rows and their offsets to PostgreSQL, each in one transaction.

*Guarantees.* A batch is applied if and only if it begins at the offset in the offsets table, whose
row is locked during the transaction. So a record takes effect exactly once: after a crash, with a
second sink or a suspended one on the same partition, and after a commit without an answer.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.sql import SQL

from dedup.core.keys import Id
from dedup.sink.arrays import Array, ArrayDumper
from dedup.sink.reading import Values
from dedup.sink.statements import Tables

CONNECT_WITHIN_S: Final = 10

_LOCK: Final = SQL("""
SELECT partition, next_offset FROM {offsets}
WHERE topic = %s AND topic_id = %s AND partition = ANY(%s) ORDER BY partition FOR UPDATE""")

_ADVANCE: Final = SQL("""
UPDATE {offsets} SET next_offset = new.next_offset, read_at = now()
FROM unnest(%s::integer[], %s::bigint[]) AS new(partition, next_offset)
WHERE topic = %s AND {offsets}.partition = new.partition""")

_BEGIN: Final = SQL("""
INSERT INTO {offsets} (topic, partition, topic_id, next_offset)
SELECT %s, unnest(%s::integer[]), %s, 0 ON CONFLICT DO NOTHING""")

_POSITIONS: Final = SQL("""
SELECT partition, topic_id, next_offset, now() - read_at FROM {offsets}
WHERE topic = %s AND partition = ANY(%s)""")

_FOREIGN_ROWS: Final = SQL("""
SELECT EXISTS (SELECT FROM {table}) AND NOT EXISTS (SELECT FROM {offsets} WHERE topic = %s)""")


class OffsetRange(NamedTuple):
    """A range of one partition: its first offset, and the offset after its last."""

    begin: int
    next_offset: int


class AppliedOffset(NamedTuple):
    """The next offset to apply, the topic it belongs to, and the time since it was last updated."""

    topic_id: UUID
    next_offset: int
    age: timedelta


class Database:
    """A connection to PostgreSQL and the two tables. Every method raises psycopg.Error."""

    def __init__(self, connection: AsyncConnection, tables: Tables, topic: str) -> None:
        self.connection = connection
        self.tables = tables
        self._topic = topic
        self._upsert = tables.upsert()
        self._delete = tables.delete()

    @classmethod
    async def connect(cls, dsn: str, tables: Tables, topic: str) -> "Database":
        """Connect; if the DSN names several servers, to the one that accepts writes."""
        connection = await AsyncConnection.connect(
            dsn,
            autocommit=True,
            connect_timeout=CONNECT_WITHIN_S,
            target_session_attrs="read-write",
            application_name="product-dedup-sink",
            prepare_threshold=None,  # a pooler gives each transaction another server connection
            tcp_user_timeout=30_000,  # milliseconds until an unreachable server is detected
        )
        connection.adapters.register_dumper(Array, ArrayDumper)
        return cls(connection, tables, topic)

    async def close(self) -> None:
        """Close the connection, even if it is broken."""
        await self.connection.close()

    async def has_foreign_rows(self) -> bool:
        """Whether the table has rows although no record of the topic was ever applied."""
        cursor = await self.connection.execute(self.tables.composed(_FOREIGN_ROWS), [self._topic])
        found = await cursor.fetchone()
        return bool(found and found[0])

    async def forget(self) -> None:
        """Empty the table and its offsets, so that the whole topic is read again."""
        async with self.connection.transaction():
            for statement in (
                SQL("LOCK TABLE {offsets} IN EXCLUSIVE MODE"),
                SQL("DELETE FROM {table}"),
                SQL("DELETE FROM {offsets}"),
            ):
                await self.connection.execute(self.tables.composed(statement))

    async def positions(self, partitions: list[int], topic_id: UUID) -> dict[int, AppliedOffset]:
        """Return the next offset of each partition; 0 for those never applied."""
        begin = [self._topic, partitions, topic_id]
        await self.connection.execute(self.tables.composed(_BEGIN), begin)
        cursor = await self.connection.execute(
            self.tables.composed(_POSITIONS), [self._topic, partitions]
        )
        return {partition: AppliedOffset(*rest) for partition, *rest in await cursor.fetchall()}

    async def apply(
        self,
        topic_id: UUID,
        chunks: Mapping[int, OffsetRange],
        rows: Mapping[Id, Values | None],
    ) -> bool:
        """Write rows, delete those that are None, and advance the offsets, atomically.

        Returns False and writes nothing if a chunk does not begin at the stored offset.
        """
        async with self.connection.transaction():
            cursor = await self.connection.execute(
                self.tables.composed(_LOCK), [self._topic, topic_id, list(chunks)]
            )
            if dict(await cursor.fetchall()) != {p: chunk.begin for p, chunk in chunks.items()}:
                return False
            await self._write(rows)
            ends = [chunk.next_offset for chunk in chunks.values()]
            await self.connection.execute(
                self.tables.composed(_ADVANCE), [list(chunks), ends, self._topic]
            )
        return True

    async def _write(self, rows: Mapping[Id, Values | None]) -> None:
        # Ordered by id, so that two sinks with an id in common wait but never deadlock.
        kept = {row_id: values for row_id, values in rows.items() if values is not None}
        gone = sorted(rows.keys() - kept.keys())
        if kept:
            ids = sorted(kept)
            _, *others = zip(*(kept[row_id] for row_id in ids), strict=True)
            columns = zip(self.tables.columns, [ids, *others], strict=True)
            parameters = [column.parameter(values) for column, values in columns]
            await self.connection.execute(self._upsert, parameters)
        if gone:
            await self.connection.execute(self._delete, [self.tables.id.parameter(gone)])
