"""`dedup parity`: the worker's output on your own topics, held against Flink's."""

import asyncio
import logging
import os
import sys
from typing import Final

import click

_EPILOG: Final = """\b
Examples:
  dedup parity
  KAFKA_BOOTSTRAP_SERVERS=broker:9092 dedup parity --show 50

\b
Exit codes:
  0  no product differs
  1  products differ, or it could not be done; a sentence says why
"""


@click.command(epilog=_EPILOG)
@click.option(
    "--show",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    help="How many differing products to print.",
)
@click.option(
    "--parallelism",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Of the Flink job.",
)
def parity(show: int, parallelism: int) -> None:
    """Compare src_products with what the Flink reference makes of the same events.

    Reads `products` up to what the worker has committed now, runs the reference in this machine's
    PyFlink into a scratch topic that is removed afterwards, and prints the products whose rows
    differ, with both histories. Nothing else is written; the worker may run on.
    """
    from dedup.core.errors import ExplainedError  # noqa: PLC0415 - --help needs none of it
    from dedup.parity.run import compare  # noqa: PLC0415
    from dedup.settings import load_settings  # noqa: PLC0415

    logging.getLogger("aiokafka").addHandler(logging.NullHandler())
    try:
        settings = load_settings(os.environ)
        differing = asyncio.run(compare(settings, show=show, parallelism=parallelism))
    except ExplainedError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(1)
    sys.exit(1 if differing else 0)
