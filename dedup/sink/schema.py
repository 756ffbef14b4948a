"""The tables in PostgreSQL: created if missing, refused if they can't hold every row.

The table of rows has a column for each field of the entity, and its id as the primary key. The
offsets table has a row for each partition: the offset after the last record applied. Both are
written in one transaction.
"""

from typing import Final, NamedTuple

from psycopg import AsyncConnection
from psycopg.sql import SQL

from dedup.core.errors import ExplainedError
from dedup.sink.columns import Column
from dedup.sink.statements import Tables

CREATE_OFFSETS: Final = SQL("""
CREATE TABLE {offsets} (
    topic text NOT NULL,
    partition integer NOT NULL,
    topic_id uuid NOT NULL,
    next_offset bigint NOT NULL,
    read_at timestamp with time zone NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, partition)
)""")

_COLUMNS_OF: Final = """
SELECT attname, format_type(atttypid, atttypmod), attnotnull,
       atthasdef OR attidentity <> '', attidentity = 'a' OR attgenerated <> ''
FROM pg_attribute
WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped"""

_UNIQUE_BY_ID: Final = """
SELECT 1 FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]
WHERE indrelid = %s::regclass AND attname = %s AND indnkeyatts = 1
      AND indisunique AND indisvalid AND indimmediate AND indpred IS NULL"""

_KINDS_OF_TABLE: Final = ("r", "p")
_NAME_BYTES: Final = 63


class TableError(ExplainedError):
    """A table can't be used; the message names the column and what to do."""


class _Found(NamedTuple):
    """A column of an existing table."""

    name: str
    type: str
    not_null: bool
    has_default: bool
    computed: bool


async def ensure_tables(connection: AsyncConnection, tables: Tables) -> None:
    """Create missing tables and check existing ones. Raises TableError."""
    for column in tables.columns:
        if len(column.name.encode()) > _NAME_BYTES:
            raise TableError(
                f"The field {column.name} can't be a column: its name has more than {_NAME_BYTES} "
                "bytes. Rename it."
            )
    async with connection.transaction():
        # Two sinks that start at the same time create the tables once.
        await connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [tables.offsets])
        if await _kind(connection, tables.rows) is None:
            await connection.execute(tables.create())
        if await _kind(connection, tables.offsets) is None:
            await connection.execute(tables.composed(CREATE_OFFSETS))
    await _check(connection, tables)


def _quoted(name: str) -> str:
    return ".".join(f'"{part}"' for part in name.split("."))


async def _kind(connection: AsyncConnection, name: str) -> str | None:
    cursor = await connection.execute(
        "SELECT relkind::text FROM pg_class WHERE oid = to_regclass(%s)", [_quoted(name)]
    )
    found = await cursor.fetchone()
    return None if found is None else str(found[0])


async def _check(connection: AsyncConnection, tables: Tables) -> None:
    table, id_name = tables.rows, tables.id.name
    if await _kind(connection, table) not in _KINDS_OF_TABLE:
        raise TableError(f"{table} is not a table. Set POSTGRES_TABLE to the name of one.")
    cursor = await connection.execute(_COLUMNS_OF, [_quoted(table)])
    found = {column.name: column for column in map(_Found._make, await cursor.fetchall())}
    for column in tables.columns:
        if column.name not in found:
            raise TableError(
                f"{table} has no column {column.name}. Add it: ALTER TABLE {_quoted(table)} "
                f'ADD COLUMN "{column.name}" {column.type}'
            )
        if (fault := _fault(found.pop(column.name), column)) is not None:
            alter = f'ALTER TABLE {_quoted(table)} ALTER "{column.name}"'
            raise TableError(f"{table}.{column.name} {fault.format(alter=alter)}")
    for other in found.values():
        if other.not_null and not other.has_default:
            raise TableError(
                f"{table}.{other.name} is NOT NULL and has no default, and the topic has no value "
                f'for it. Give it one: ALTER TABLE {_quoted(table)} ALTER "{other.name}" SET '
                "DEFAULT ..."
            )
    cursor = await connection.execute(_UNIQUE_BY_ID, [_quoted(table), id_name])
    if await cursor.fetchone() is None:
        raise TableError(
            f"{table}.{id_name} is not unique. Make it the key: ALTER TABLE {_quoted(table)} "
            f'ADD PRIMARY KEY ("{id_name}")'
        )


def _fault(found: _Found, column: Column) -> str | None:
    """Return what is wrong with a column, to follow its name; None if nothing is."""
    if not column.holds(found.type):
        return (
            f"is {found.type}, which can't hold every value. Change it: {{alter}} TYPE "
            f'{column.type} USING "{column.name}"::{column.type}'
        )
    if found.computed:
        return "is GENERATED ALWAYS. The sink must be able to write it."
    if column.nullable and found.not_null:
        return "is NOT NULL, but a value may be null. Change it: {alter} DROP NOT NULL"
    return None
