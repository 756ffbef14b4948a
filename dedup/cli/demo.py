"""`dedup demo`: the whole system on this machine, in a minute, compared with an oracle."""

from typing import Final

import click

_EPILOG: Final = """\b
Examples:
  dedup demo
  dedup demo --events 300000 --products 20000 --seed 7
  dedup demo --events 0 --follow
  dedup demo --example examples.orders.demo

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
    help="How many products, or rows of the example, the events are about.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Same seed, same counts.")
@click.option("--follow", is_flag=True, help="Then send one event every 1-3 s, until Ctrl-C.")
@click.option(
    "--example",
    default="producer.example:PRODUCTS",
    show_default=True,
    help="Which entity, events and oracle: MODULE or MODULE:ATTRIBUTE.",
)
def demo(events: int, products: int, seed: int, follow: bool, example: str) -> None:
    """Run the whole system on this machine, and check its result.

    Starts a Kafka broker, produces events (some of them late, partial, invalid, or deletes), runs
    the worker in its own process, reads the output topic and compares it with an oracle: a
    dictionary over the produced events that shares no code with the worker. Needs the extra
    'local', but no Docker and no Java. Leaves nothing behind; the first run downloads Kafka (43
    MB).
    """
    if events == 0 and not follow:
        raise click.UsageError("--events 0 shows nothing without --follow.")
    from dedup.demo.example import resolve_example
    from dedup.demo.run import Demo, Plan
    from dedup.terminal.command import prepare_client

    try:
        chosen = resolve_example(example)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    prepare_client()
    if not Demo(Plan(events, products, seed, follow), chosen).run():
        raise click.exceptions.Exit(1)
