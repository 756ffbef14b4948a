"""The tables in PostgreSQL: created if missing, refused if they can't hold every row.

The products table has the columns, types and defaults of the seed, with product_id as primary key
(bigint, the range of an event's id). The offsets table has a row for each partition: the offset
after the last record applied. Both are written in one transaction.
"""

import re
from typing import Final, NamedTuple

from psycopg import AsyncConnection
from psycopg.sql import SQL, Composed, Identifier

from dedup.core.errors import ExplainedError

CREATE_PRODUCTS: Final = SQL("""
CREATE TABLE {products} (
    product_id bigint PRIMARY KEY,
    product_name varchar(255) NOT NULL,
    description text,
    price decimal(10, 2) NOT NULL,
    stock_quantity integer NOT NULL DEFAULT 0,
    discount decimal(10, 2) DEFAULT 0,
    created_at timestamp with time zone DEFAULT CURRENT_TIMESTAMP,
    updated_at timestamp with time zone DEFAULT CURRENT_TIMESTAMP
)""")

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
WHERE indrelid = %s::regclass AND attname = 'product_id' AND indnkeyatts = 1
      AND indisunique AND indisvalid AND indimmediate AND indpred IS NULL"""

_KINDS_OF_TABLE: Final = ("r", "p")
_NAME_LENGTH: Final = 255
_PRICE_INTEGER_DIGITS: Final = 8
_PRICE_SCALE: Final = 2


class TableError(ExplainedError):
    """A table can't be used; the message names the column and what to do."""


class Tables(NamedTuple):
    """The names of the two tables, with their schema if one was given."""

    products: str
    offsets: str

    def composed(self, statement: SQL) -> Composed:
        """Return a statement with the quoted names."""
        return statement.format(
            products=Identifier(*self.products.split(".")),
            offsets=Identifier(*self.offsets.split(".")),
        )


def tables_named(table: str) -> Tables:
    """Return the tables of `POSTGRES_TABLE`."""
    return Tables(table, f"{table}_offsets")


class _Wanted(NamedTuple):
    """The requirements of a column: a pattern of its types, and whether it must allow null."""

    types: str
    example: str
    null: bool


_WANTED: Final = {
    "product_id": _Wanted(r"bigint|integer", "bigint", null=False),
    "product_name": _Wanted(
        r"text|character varying(\((?P<length>\d+)\))?", "varchar(255)", null=False
    ),
    "description": _Wanted(r"text|character varying", "text", null=True),
    "price": _Wanted(
        r"numeric(\((?P<precision>\d+),(?P<scale>\d+)\))?", "numeric(10, 2)", null=False
    ),
    "stock_quantity": _Wanted(r"integer|bigint", "integer", null=False),
    "discount": _Wanted(
        r"numeric(\((?P<precision>\d+),(?P<scale>\d+)\))?", "numeric(10, 2)", null=False
    ),
    "created_at": _Wanted(r"timestamp with time zone", "timestamp with time zone", null=True),
    "updated_at": _Wanted(r"timestamp with time zone", "timestamp with time zone", null=True),
}

COLUMNS: Final = tuple(_WANTED)


class _Column(NamedTuple):
    name: str
    type: str
    not_null: bool
    has_default: bool
    computed: bool


async def ensure_tables(connection: AsyncConnection, tables: Tables) -> None:
    """Create missing tables and check existing ones. Raises TableError."""
    async with connection.transaction():
        # Two sinks that start at the same time create the tables once.
        await connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [tables.offsets])
        for name, statement in zip(tables, (CREATE_PRODUCTS, CREATE_OFFSETS), strict=True):
            if await _kind(connection, name) is None:
                await connection.execute(tables.composed(statement))
    await _check(connection, tables.products)


def _quoted(name: str) -> str:
    return ".".join(f'"{part}"' for part in name.split("."))


async def _kind(connection: AsyncConnection, name: str) -> str | None:
    cursor = await connection.execute(
        "SELECT relkind::text FROM pg_class WHERE oid = to_regclass(%s)", [_quoted(name)]
    )
    found = await cursor.fetchone()
    return None if found is None else str(found[0])


async def _check(connection: AsyncConnection, table: str) -> None:
    if await _kind(connection, table) not in _KINDS_OF_TABLE:
        raise TableError(f"{table} is not a table. Set POSTGRES_TABLE to the name of one.")
    cursor = await connection.execute(_COLUMNS_OF, [_quoted(table)])
    columns = {column.name: column for column in map(_Column._make, await cursor.fetchall())}
    for name, wanted in _WANTED.items():
        if name not in columns:
            raise TableError(
                f"{table} has no column {name}. Add it: ALTER TABLE {table} ADD COLUMN {name} "
                f"{wanted.example}"
            )
        if (fault := _fault(columns[name], wanted)) is not None:
            raise TableError(f"{table}.{name} {fault.format(column=f'{table} ALTER {name}')}")
    for column in columns.values():
        if column.name not in _WANTED and column.not_null and not column.has_default:
            raise TableError(
                f"{table}.{column.name} is NOT NULL and has no default, and the topic has no value "
                f"for it. Give it one: ALTER TABLE {table} ALTER {column.name} SET DEFAULT ..."
            )
    cursor = await connection.execute(_UNIQUE_BY_ID, [_quoted(table)])
    if await cursor.fetchone() is None:
        raise TableError(
            f"{table}.product_id is not unique. Make it the key: ALTER TABLE {table} "
            "ADD PRIMARY KEY (product_id)"
        )


def _fault(column: _Column, wanted: _Wanted) -> str | None:
    """Return what is wrong with a column, to follow its name; None if nothing is."""
    found = re.fullmatch(wanted.types, column.type)
    if found is None or not _wide_enough(found.groupdict()):
        return (
            f"is {column.type}, which can't hold every value. Change it: ALTER TABLE {{column}} "
            f"TYPE {wanted.example}"
        )
    if column.computed:
        return "is GENERATED ALWAYS. The sink must be able to write it."
    if wanted.null and column.not_null:
        return "is NOT NULL, but a value may be null. Change it: ALTER TABLE {column} DROP NOT NULL"
    return None


def _wide_enough(limits: dict[str, str | None]) -> bool:
    length, precision, scale = (limits.get(name) for name in ("length", "precision", "scale"))
    if length is not None:
        return int(length) >= _NAME_LENGTH
    if precision is not None and scale is not None:
        return int(scale) >= _PRICE_SCALE and int(precision) - int(scale) >= _PRICE_INTEGER_DIGITS
    return True
