"""`dedup sink`: tables of other systems, kept in step with `src_products`."""

import asyncio
import os
import signal
import sys
from contextlib import suppress
from typing import Final, NoReturn

import click

_EPILOG: Final = """\b
Examples:
  POSTGRES_DSN=postgresql://sink@db/shop PGPASSWORD=... dedup sink postgres
  dedup sink postgres --once       catch up, and end

\b
Exit codes:
  0  stopped by SIGTERM or Ctrl-C, or caught up
  1  it can't go on; a sentence says why

Settings are read from the environment: POSTGRES_DSN, POSTGRES_TABLE (products), SINK_GROUP
(product-dedup-sink) and the worker's KAFKA_* ones.
"""


@click.group(epilog=_EPILOG)
def sink() -> None:
    """Keep a table of another system in step with src_products."""


@sink.command(epilog=_EPILOG)
@click.option("--once", is_flag=True, help="Stop at the end that the topic has now.")
@click.option("--rebuild", is_flag=True, help="First empty the table and read the topic anew.")
def postgres(*, once: bool, rebuild: bool) -> None:
    """Keep a PostgreSQL table in step: upserts and deletes, each exactly once.

    The table is made if it is missing, and refused if it can't take every row. Several sinks share
    the partitions. PostgreSQL and brokers that go away are waited for.
    """
    try:
        from dedup.sink.consuming import run_sink  # noqa: PLC0415 - see dedup.cli
        from dedup.sink.settings import load_sink_settings  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name != "psycopg":
            raise
        _fail("the PostgreSQL driver is missing. Install it: pip install 'product-dedup[postgres]'")
    from dedup.core.errors import ExplainedError  # noqa: PLC0415
    from dedup.kafka.client import adjust_aiokafka  # noqa: PLC0415
    from dedup.observability.logs import log_to_stderr, write_only_json  # noqa: PLC0415

    async def run() -> None:
        task = asyncio.ensure_future(run_sink(settings, rebuild=rebuild, once=once))
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        with suppress(asyncio.CancelledError):
            await task

    adjust_aiokafka()
    as_json = os.environ.get("DEDUP_LOG_FORMAT") == "json"
    if as_json:
        write_only_json()
    log_to_stderr(as_json=as_json)
    try:
        settings = load_sink_settings(os.environ)
        asyncio.run(run())
    except ExplainedError as error:
        _fail(str(error))


def _fail(sentence: str) -> NoReturn:
    click.echo(f"Error: {sentence}", err=True)
    sys.exit(1)
