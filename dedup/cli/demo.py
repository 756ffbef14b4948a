"""`dedup demo`: everything this project does, on this machine, in a minute, with proof."""

import io
import logging
import sys
from typing import Final

import click

_EPILOG: Final = """\b
Examples:
  dedup demo
  dedup demo --events 300000 --products 20000 --seed 7
  dedup demo --events 0 --follow

\b
Exit codes:
  0    the oracle agrees (with --follow: and Ctrl-C came)
  1    it disagrees, or something failed; a sentence says what
  2    wrong usage
  130  stopped by Ctrl-C before the result was there
"""


@click.command(epilog=_EPILOG)
@click.option(
    "--events",
    type=click.IntRange(min=0),
    default=20_000,
    show_default=True,
    help="How many to produce and judge.",
)
@click.option(
    "--products",
    type=click.IntRange(min=1),
    default=1_000,
    show_default=True,
    help="How many products they are about.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Same seed, same counts.")
@click.option("--follow", is_flag=True, help="Then go on with one event every 1-3 s, until Ctrl-C.")
def demo(events: int, products: int, seed: int, follow: bool) -> None:
    """Show the whole system on this machine, and prove its result.

    Starts a Kafka broker, produces events - late, deleted, partial and invalid ones among them -
    runs the worker as its own process, reads src_products back and compares it with an oracle: a
    dictionary over the produced events that shares no code with the worker. Needs no Docker and no
    Java, but the extra 'local'. Leaves nothing behind; the first run fetches Kafka (43 MB).
    """
    if events == 0 and not follow:
        raise click.UsageError("--events 0 shows nothing without --follow.")
    _prepare_output()
    # Only now: what a run needs takes longer to import than --help may.
    from dedup.core.errors import ExplainedError  # noqa: PLC0415
    from dedup.demo.run import Demo, Plan  # noqa: PLC0415

    try:
        agreed = Demo(Plan(events, products, seed, follow)).run()
    except ExplainedError as error:
        click.echo(f"Error: {error}", err=True)
        raise click.exceptions.Exit(1) from error
    if not agreed:
        raise click.exceptions.Exit(1)


def _prepare_output() -> None:
    # A terminal that can't show an emoji must not end the run.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    # What goes wrong is said in a sentence; the client's own log would stand beside it.
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())
