"""Sends events of an example to Kafka: `python -m examples.send orders --count 5000`.

The brokers are those of the `KAFKA_*` variables, as of the worker.
"""

import asyncio
import os
from datetime import UTC, datetime
from functools import partial
from itertools import islice

import click

from dedup.core.errors import ExplainedError
from dedup.demo.example import resolve_example
from dedup.settings import load_settings
from dedup.terminal.command import prepare_client
from producer.kafka import produce
from producer.settings import load_settings as load_producer_settings


@click.command()
@click.argument("name", type=click.Choice(["orders", "debezium"]))
@click.option("--count", type=click.IntRange(min=1), default=5_000, show_default=True)
@click.option("--rows", type=click.IntRange(min=1), default=500, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
def send(name: str, count: int, rows: int, seed: int) -> None:
    """Send events of the example NAME to its topic, which is created if it is missing."""
    prepare_client()
    example = resolve_example(f"examples.{name}.demo")
    chosen = {"DEDUP_ENTITY": example.entity_name, **example.settings}
    topic = load_settings({**chosen, **os.environ}).KAFKA_PRODUCT_TOPIC
    events = example.generate(seed, rows, partial(datetime.now, UTC))
    settings = load_producer_settings({**os.environ, "KAFKA_PRODUCT_TOPIC": topic})
    try:
        sent = asyncio.run(produce(islice(events, count), settings))
    except ExplainedError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"Sent {sent:,} events to {topic}.")


if __name__ == "__main__":
    send()
