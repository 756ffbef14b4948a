"""`dedup sink`: copies the output topic to tables of other systems."""

import asyncio
import os
import signal
from contextlib import suppress
from typing import Final

import click

_EPILOG: Final = """\b
Examples:
  POSTGRES_DSN=postgresql://sink@db/shop PGPASSWORD=... dedup sink postgres
  dedup sink postgres --once       catch up, and exit

\b
Exit codes:
  0  stopped by SIGTERM or Ctrl-C, or caught up
  1  it failed; stderr says why

Settings are read from the environment: POSTGRES_DSN, POSTGRES_TABLE (products), SINK_GROUP
(product-dedup-sink), DEDUP_ENTITY, which the defaults of the others are named after, and the
worker's KAFKA_* ones.
"""

_DRIVER_MISSING: Final = (
    "the PostgreSQL driver is missing. Install it: pip install 'product-dedup[postgres]'"
)


@click.group(epilog=_EPILOG)
def sink() -> None:
    """Copy src_products to a table of another system."""


@sink.command(epilog=_EPILOG)
@click.option("--once", is_flag=True, help="Stop at the current end of the topic.")
@click.option("--rebuild", is_flag=True, help="First empty the table, then read the whole topic.")
def postgres(*, once: bool, rebuild: bool) -> None:
    """Copy src_products to a PostgreSQL table: upserts and deletes, each exactly once.

    A missing table is created; a table that can't hold every row is refused. Several sinks share
    the partitions. While PostgreSQL or the brokers are unreachable, the sink retries.
    """
    try:
        from dedup.sink.consuming import run_sink
        from dedup.sink.settings import load_sink_settings
    except ModuleNotFoundError as error:
        if error.name != "psycopg":
            raise
        raise click.ClickException(_DRIVER_MISSING) from error
    from dedup.kafka.client import adjust_aiokafka
    from dedup.observability.logs import log_to_stderr, write_only_json

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
    settings = load_sink_settings(os.environ)
    asyncio.run(run())
