"""`dedup parity`: compares the worker's output on your topics with that of Flink."""

import sys
from typing import Final

import click

_EPILOG: Final = """\b
Examples:
  dedup parity
  KAFKA_BOOTSTRAP_SERVERS=broker:9092 dedup parity --show 50

\b
Exit codes:
  0  no row differs
  1  rows differ, or it failed; the output says why
"""


@click.command(epilog=_EPILOG)
@click.option(
    "--show",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    help="How many of the differing rows to print.",
)
@click.option(
    "--parallelism",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="The parallelism of the Flink job; distinct and event_id always run at 1.",
)
def parity(show: int, parallelism: int) -> None:
    """Compare the output topic with the output of Flink.

    Runs the Flink reference of the entity in use (`dedup flink-sql`) with the PyFlink of this
    machine on the events that the worker has committed, into a temporary topic that is deleted
    afterwards, and prints the rows that differ, with both histories. Nothing else is written, and
    the worker can keep running.
    """
    from dedup.parity.run import compare
    from dedup.terminal.command import run

    differing = run(lambda settings: compare(settings, show=show, parallelism=parallelism))
    sys.exit(1 if differing else 0)
