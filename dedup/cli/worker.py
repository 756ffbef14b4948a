"""`dedup worker`: runs the worker."""

import os
import sys
from typing import Final

import click

_EPILOG: Final = """\b
Example:
  KAFKA_BOOTSTRAP_SERVERS=broker:9092 DEDUP_DATA_DIR=/var/lib/dedup dedup worker

\b
Other arguments are passed to Faust: `faust -A dedup worker --help` lists them.
"""


@click.command(
    epilog=_EPILOG,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def worker(arguments: tuple[str, ...]) -> None:
    """Run the worker until SIGTERM or Ctrl-C.

    It replaces this process with `faust -A dedup worker`: signals and the exit code are those of
    the worker.
    """
    command = [sys.executable, "-m", "faust", "-A", "dedup", "worker"]
    os.execv(sys.executable, [*command, *arguments])  # noqa: S606 - no shell is needed
