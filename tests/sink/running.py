"""Sinks that run in the test's process or in their own."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier

from dedup import Entity
from dedup.sink.consuming import run_sink
from dedup.sink.settings import SinkSettings, load_sink_settings
from tests.support.postgres import PostgresServer
from tests.support.rows import Table

Rows = dict[Any, tuple[Any, ...]]
"""The rows of a table by their id."""


def environ(kafka: str, postgres: PostgresServer, topic: str, **more: str) -> dict[str, str]:
    return {
        "KAFKA_BOOTSTRAP_SERVERS": kafka,
        "KAFKA_SRC_PRODUCTS_TOPIC": topic,
        "POSTGRES_DSN": postgres.dsn,
        "SINK_GROUP": f"sink-{topic}",
        **more,
    }


def settings(kafka: str, postgres: PostgresServer, topic: str, **more: str) -> SinkSettings:
    return load_sink_settings(environ(kafka, postgres, topic, **more))


def table(postgres: PostgresServer) -> Table:
    """Return the rows of the table."""
    found = postgres.ask(
        "SELECT product_id, product_name, description, price, stock_quantity, discount, "
        "created_at, updated_at FROM products"
    )
    return {product_id: tuple(rest) for product_id, *rest in found}


def rows_of(postgres: PostgresServer, entity: Entity) -> Rows:
    """Return the rows of an entity's table, read by the driver's own types."""
    names = SQL(", ").join(Identifier(field.name) for field in entity.fields)
    statement = SQL("SELECT {} FROM {}").format(names, Identifier(entity.plural))
    return {row_id: tuple(rest) for row_id, *rest in postgres.ask(statement.as_string())}


@asynccontextmanager
async def running(settings: SinkSettings) -> AsyncIterator["asyncio.Task[None]"]:
    """Run a sink in this process; an error that ended it is raised at the end of the block."""
    task = asyncio.ensure_future(run_sink(settings))
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def locked_rows(postgres: PostgresServer) -> AsyncIterator[None]:
    """Hold every row of the table, so that a transaction of a sink stops between two statements."""
    connection = await psycopg.AsyncConnection.connect(postgres.dsn)
    async with connection:
        await connection.execute("SELECT FROM products FOR UPDATE")
        yield
        await connection.rollback()


async def until_equal(postgres: PostgresServer, expected: Table, timeout_s: float = 60) -> None:
    """Wait until the table is what it must become."""
    deadline = time.monotonic() + timeout_s
    while True:
        with suppress(psycopg.errors.UndefinedTable, psycopg.OperationalError):
            found = await asyncio.to_thread(table, postgres)
            if found == expected:
                return
            assert time.monotonic() < deadline, _differences(expected, found)
        await asyncio.sleep(0.1)


def _differences(expected: Table, found: Table) -> str:
    wrong = [i for i in expected.keys() | found.keys() if expected.get(i) != found.get(i)]
    shown = [(i, expected.get(i), found.get(i)) for i in sorted(wrong)[:3]]
    return f"{len(wrong)} products differ; expected and found: {shown}"


@contextmanager
def process(environ: dict[str, str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Run `dedup sink postgres` as a process, killed at the end of the block."""
    own = {n: v for n, v in os.environ.items() if not n.startswith(("DEDUP_", "KAFKA_", "PG"))}
    with log.open("ab") as output:
        child = subprocess.Popen(
            [sys.executable, "-c", "from dedup.cli import cli; cli()", "sink", "postgres"],
            env=own | environ,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        yield child
    finally:
        child.kill()
        child.wait()
