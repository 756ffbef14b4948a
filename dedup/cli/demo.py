"""`dedup demo`: the whole system on this machine, in a minute, compared with an oracle."""

from typing import Final

import click

_EPILOG: Final = """\b
Examples:
  dedup demo
  dedup demo --events 300000 --products 20000 --seed 7
  dedup demo --events 0 --follow

\b
Exit codes:
  0    the oracle agrees (with --follow: after Ctrl-C)
  1    it disagrees, or something failed; stderr says what
  2    wrong usage
  130  stopped by Ctrl-C before the result
"""


@click.command(epilog=_EPILOG)
@click.option(
    "--events",
    type=click.IntRange(min=0),
    default=20_000,
    show_default=True,
    help="How many events to produce and check.",
)
@click.option(
    "--products",
    type=click.IntRange(min=1),
    default=1_000,
    show_default=True,
    help="How many products the events are about.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Same seed, same counts.")
@click.option("--follow", is_flag=True, help="Then send one event every 1-3 s, until Ctrl-C.")
def demo(events: int, products: int, seed: int, follow: bool) -> None:
    """Run the whole system on this machine, and check its result.

    Starts a Kafka broker, produces events (some of them late, partial, invalid, or deletes), runs
    the worker in its own process, reads src_products and compares it with an oracle: a dictionary
    over the produced events that shares no code with the worker. Needs the extra 'local', but no
    Docker and no Java. Leaves nothing behind; the first run downloads Kafka (43 MB).
    """
    if events == 0 and not follow:
        raise click.UsageError("--events 0 shows nothing without --follow.")
    from dedup.demo.run import Demo, Plan
    from dedup.terminal.command import prepare_client

    prepare_client()
    if not Demo(Plan(events, products, seed, follow)).run():
        raise click.exceptions.Exit(1)
