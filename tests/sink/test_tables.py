"""The tables themselves: what is created, what of an existing one is refused, and the cures."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from pydantic import create_model

from dedup import Entity, Flat
from dedup.entities.product import PRODUCT
from dedup.sink.schema import TableError, ensure_tables
from dedup.sink.statements import Tables, tables_named
from tests.core.orders import WRAPPED
from tests.sink.entities import INTEGER, TEXT, UUIDS
from tests.support.postgres import PostgresServer

PRODUCTS_BEFORE_ENTITIES = """\
CREATE TABLE products (
    product_id bigint PRIMARY KEY,
    product_name varchar(255) NOT NULL,
    description text,
    price decimal(10, 2) NOT NULL,
    stock_quantity integer NOT NULL DEFAULT 0,
    discount decimal(10, 2) DEFAULT 0,
    created_at timestamp with time zone DEFAULT CURRENT_TIMESTAMP,
    updated_at timestamp with time zone DEFAULT CURRENT_TIMESTAMP
)"""

PARCELS = """\
CREATE TABLE "parcels" (
    "key" varchar(64) PRIMARY KEY,
    "size" integer NOT NULL,
    "weight" bigint,
    "user" text NOT NULL,
    "Note" varchar(20),
    "total" decimal(38, 4) NOT NULL,
    "tip" decimal(5, 0),
    "order" boolean NOT NULL,
    "signed" boolean,
    "at" timestamp with time zone NOT NULL,
    "seen" timestamp with time zone,
    "day" date NOT NULL,
    "due" date,
    "customer" uuid NOT NULL,
    "agent" uuid,
    "lines" jsonb NOT NULL,
    "labels" jsonb,
    "status" text NOT NULL,
    "carrier" text,
    "level" bigint NOT NULL,
    "grade" bigint
)"""


@pytest.fixture
async def connection(postgres: PostgresServer) -> AsyncIterator[psycopg.AsyncConnection]:
    async with await psycopg.AsyncConnection.connect(postgres.dsn, autocommit=True) as opened:
        yield opened


async def created(connection: psycopg.AsyncConnection, entity: Entity) -> Tables:
    """Create the tables of an entity, checked as at each start of a sink."""
    tables = tables_named(entity.plural, entity)
    await ensure_tables(connection, tables)
    return tables


def test_the_table_of_products_is_created_by_the_statement_of_before_with_quoted_names() -> None:
    made = tables_named("products", PRODUCT).create().as_string()

    assert made.replace('"', "") == PRODUCTS_BEFORE_ENTITIES
    assert made.count('"') == 2 * (1 + len(PRODUCT.fields))


def test_the_columns_follow_from_the_kinds() -> None:
    assert tables_named("parcels", TEXT).create().as_string() == PARCELS
    for entity, id_type in ((UUIDS, "uuid"), (INTEGER, "bigint")):
        made = tables_named("parcels", entity).create().as_string()
        assert made == PARCELS.replace("varchar(64)", id_type)


async def test_a_row_inserted_by_hand_gets_the_defaults_of_the_model(
    connection: psycopg.AsyncConnection, postgres: PostgresServer
) -> None:
    await created(connection, WRAPPED)
    await created(connection, PRODUCT)
    postgres.ask(
        "INSERT INTO orders (order_id, status, total, customer, placed, updated_at) VALUES "
        "('a', 'open', 1, gen_random_uuid(), '2026-01-01', '2026-01-01')"
    )
    (order,) = postgres.ask("SELECT note, code, channel, is_gift, lines, weight FROM orders")
    assert order == (None, "XX", None, False, [], None)

    postgres.ask("INSERT INTO products (product_id, product_name, price) VALUES (1, 'a', 1)")
    ((stock, discount, updated_at),) = postgres.ask(
        "SELECT stock_quantity, discount, updated_at FROM products"
    )
    assert (stock, discount) == (0, Decimal(0))
    assert abs((datetime.now(UTC) - updated_at).total_seconds()) < 60


@pytest.mark.parametrize("entity", [PRODUCT, WRAPPED, TEXT, UUIDS, INTEGER])
async def test_what_a_sink_creates_the_next_one_accepts(
    connection: psycopg.AsyncConnection, entity: Entity
) -> None:
    for _ in range(2):
        await created(connection, entity)


@pytest.mark.parametrize(
    "change",
    [
        "ALTER key TYPE text",
        "ALTER key TYPE varchar(65)",
        "ALTER key TYPE varchar",
        "ALTER size TYPE bigint",
        "ALTER total TYPE numeric",
        "ALTER total TYPE numeric(40, 6)",
        "ALTER tip TYPE numeric(6, 1)",
        "ALTER lines TYPE json",
        "ALTER status TYPE varchar(4)",
        "ALTER carrier TYPE varchar(13)",
        "ALTER level TYPE integer",
        'ADD mine text, ADD "Yours" integer NOT NULL DEFAULT 7',
        "ALTER weight SET DEFAULT 1, ADD CHECK (size >= -5)",
    ],
)
async def test_a_table_with_room_for_every_row_is_accepted(
    connection: psycopg.AsyncConnection, postgres: PostgresServer, change: str
) -> None:
    await created(connection, TEXT)
    postgres.ask(f"ALTER TABLE parcels {change}")
    await created(connection, TEXT)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("ALTER key TYPE varchar(63)", "key is character varying(63), which can't hold every"),
        ("ALTER key TYPE char(64)", "key is character(64), which can't hold"),
        ("ALTER size TYPE smallint", "size is smallint"),
        ("ALTER weight TYPE integer", "weight is integer"),
        ('ALTER "user" TYPE varchar(255)', "user is character varying(255)"),
        ('ALTER "Note" TYPE varchar(19)', "Note is character varying(19)"),
        ('DROP "Note", ADD note varchar(20)', "has no column Note"),
        ("ALTER total TYPE numeric(37, 4)", "total is numeric(37,4)"),
        ("ALTER total TYPE numeric(38, 5)", "total is numeric(38,5)"),
        ("ALTER tip TYPE numeric(6, -1)", "tip is numeric(6,-1)"),
        ('ALTER "order" TYPE text', "order is text"),
        ("ALTER at TYPE timestamp", "at is timestamp without time zone"),
        ("ALTER seen TYPE timestamptz(3)", "seen is timestamp(3) with time zone"),
        ("ALTER day TYPE text", "day is text"),
        ("ALTER customer TYPE text", "customer is text"),
        ("ALTER labels TYPE text", "labels is text"),
        ("ALTER status TYPE varchar(3)", "status is character varying(3)"),
        ("ALTER carrier TYPE varchar(12)", "carrier is character varying(12)"),
        ("ALTER level TYPE smallint", "level is smallint"),
        ("ALTER agent SET NOT NULL", "agent is NOT NULL, but a value may be null"),
        ("ADD shop int NOT NULL", "shop is NOT NULL and has no default"),
        ("DROP CONSTRAINT parcels_pkey", "key is not unique"),
    ],
)
async def test_a_narrower_table_is_refused_and_the_sentence_has_the_cure(
    connection: psycopg.AsyncConnection, postgres: PostgresServer, change: str, sentence: str
) -> None:
    await created(connection, TEXT)
    postgres.ask(f"ALTER TABLE parcels {change}")
    with pytest.raises(TableError) as refused:
        await created(connection, TEXT)

    assert re.search(rf"^parcels(\.| ){re.escape(sentence)}", str(refused.value))
    cure = re.search(r"ALTER TABLE .*", str(refused.value))
    assert cure is not None
    postgres.ask(cure[0].replace("SET DEFAULT ...", "SET DEFAULT 1"))
    await created(connection, TEXT)


@pytest.mark.parametrize(
    ("entity", "column", "accepted"),
    [
        (INTEGER, "serial", True),
        (INTEGER, "smallserial", False),
        (INTEGER, "bigint", True),
        (INTEGER, "numeric", False),
        (UUIDS, "text", False),
        (TEXT, "uuid", False),
    ],
)
async def test_an_id_has_a_column_of_its_kind(
    connection: psycopg.AsyncConnection,
    postgres: PostgresServer,
    entity: Entity,
    column: str,
    *,
    accepted: bool,
) -> None:
    await created(connection, entity)
    table = entity.plural
    postgres.ask(f"ALTER TABLE {table} DROP key, ADD key {column} PRIMARY KEY")
    if accepted:
        await created(connection, entity)
    else:
        with pytest.raises(TableError, match=f"{table}.key is .*, which can't hold every value"):
            await created(connection, entity)


async def test_a_field_whose_name_no_column_can_have_is_named(
    connection: psycopg.AsyncConnection,
) -> None:
    fields: dict[str, Any] = {"ä" * 32: (str, ...)}
    model = create_model("Long", key=(int, ...), at=(datetime, ...), **fields)
    entity = Entity(name="long", model=model, id="key", envelope=Flat(time="at"))
    with pytest.raises(TableError, match=r"The field ä{32} can't be a column: .* 63 bytes"):
        await created(connection, entity)
