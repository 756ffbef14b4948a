"""The command `product-producer`."""

import asyncio
import io
import os
import random
import sys
from datetime import UTC, datetime
from functools import partial
from typing import Any, get_args

import click

from dedup.core.errors import ExplainedError
from dedup.observability.logs import silence_client
from producer.events import EventGenerator, Mix
from producer.kafka import Partitioner
from producer.running import Pace, run
from producer.settings import load_settings

_FRACTION = click.FloatRange(0, 1)
_EPILOG = """\b
Examples:
  product-producer                            one event every 1-3 seconds
  product-producer --count 20000 --rate 0     20,000 events as fast as possible
  product-producer --rate 50 --late 0.1 --invalid 0.05
  product-producer --rate 50 --redeliveries 0.1 --reverts 0.1
  product-producer --count 1000 --rate 0 --seed 7 --products 500 --duplicates 0.5

\b
Settings are read from the environment: KAFKA_BOOTSTRAP_SERVERS (localhost:9092),
KAFKA_PRODUCT_TOPIC (products), KAFKA_USER, KAFKA_PASSWORD, KAFKA_SECURITY_PROTOCOL
(PLAINTEXT), KAFKA_SASL_MECHANISM (PLAIN), KAFKA_CERT. A missing topic is created with
DEDUP_PARTITIONS (4) partitions and DEDUP_REPLICATION_FACTOR (1) replicas.
"""


@click.command(epilog=_EPILOG, context_settings={"max_content_width": 100})
@click.option("--count", type=click.IntRange(min=1), help="Stop after this many events.")
@click.option(
    "--rate",
    type=click.FloatRange(min=0),
    metavar="EVENTS_PER_S",
    help="Send at this rate instead of pausing 1-3 seconds; 0 is as fast as possible.",
)
@click.option(
    "--duplicates",
    type=_FRACTION,
    default=Mix().duplicates,
    show_default=True,
    help="Share of events that repeat what is known.",
)
@click.option("--seed", type=int, help="Same seed, same sequence of events; random by default.")
@click.option(
    "--products",
    type=click.IntRange(min=1),
    default=Mix().products,
    show_default=True,
    help="Number of products.",
)
@click.option("--late", type=_FRACTION, default=0.0, help="Share of outdated events sent again.")
@click.option(
    "--deletes", type=_FRACTION, help="Share of deletes; by default one of five new events."
)
@click.option(
    "--partial", type=_FRACTION, default=0.0, help="Share of events with only changed fields."
)
@click.option("--invalid", type=_FRACTION, default=0.0, help="Share of events that are invalid.")
@click.option(
    "--redeliveries",
    type=_FRACTION,
    default=0.0,
    help="Share of events sent again later with the same event_id and a new time.",
)
@click.option(
    "--reverts",
    type=_FRACTION,
    default=0.0,
    help="Share of updates back to an earlier content (A, B, A).",
)
@click.option(
    "--partitioner",
    type=click.Choice(get_args(Partitioner)),
    default="murmur2",
    show_default=True,
    help="How keys are partitioned: as by Kafka's own clients, or by librdkafka's (crc32).",
)
@click.option("--quiet", is_flag=True, help="A progress bar instead of a line per event.")
def main(
    *,
    count: int | None,
    rate: float | None,
    seed: int | None,
    partitioner: Partitioner,
    quiet: bool,
    **mix: Any,
) -> None:
    """Send product events with intentional duplicates to Kafka, until Ctrl-C or --count."""
    _make_output_robust()
    silence_client()
    try:
        chosen = Mix(**mix)
    except ValueError as error:
        raise click.UsageError(f"{error}.") from None
    if seed is None:
        seed = random.SystemRandom().getrandbits(32)
    generator = EventGenerator(seed, partial(datetime.now, UTC), chosen)
    pauses = random.Random(seed)  # noqa: S311 - lengths of pauses
    try:
        settings = load_settings(os.environ)
        asyncio.run(run(settings, generator, Pace(count, rate, quiet), pauses, partitioner))
    except ExplainedError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(1)
    except asyncio.CancelledError:
        click.echo("Error: stopped before every event was delivered.", err=True)
        sys.exit(1)


def _make_output_robust() -> None:
    # A terminal that can't show an emoji must not fail the run.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


if __name__ == "__main__":
    main()
