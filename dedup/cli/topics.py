"""`dedup topics`: creates and checks the topics without a worker."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from dedup.kafka.topics import TopicFacts
    from dedup.settings import Settings

_EPILOG: Final = """\b
Examples:
  dedup topics create
  KAFKA_BOOTSTRAP_SERVERS=broker:9092 dedup topics check

\b
Exit codes:
  0  the worker can use the topics; stderr names what should still be changed
  1  it can't, or the settings are wrong; stderr says why
"""


@click.group(epilog=_EPILOG)
def topics() -> None:
    """Create or check the topics the worker needs."""


_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


@topics.command()
@_json
def create(as_json: bool) -> None:
    """Create the missing topics, with the settings they need, and check all topics.

    The worker does the same when it starts. New topics have DEDUP_PARTITIONS (4) partitions and
    DEDUP_REPLICATION_FACTOR (1) replicas.
    """
    from dedup.kafka.topics import ensure_topics

    _report(ensure_topics, as_json)


@topics.command()
@_json
def check(as_json: bool) -> None:
    """Check that the worker can use the topics; change nothing.

    The worker checks the same when it starts: partitions, cleanup.policy, max.message.bytes,
    min.insync.replicas and message.timestamp.* of KAFKA_SRC_PRODUCTS_TOPIC and KAFKA_DLQ_TOPIC.
    """
    from dedup.kafka.topics import check_topics

    _report(check_topics, as_json)


def _report(action: Callable[["Settings"], Awaitable["TopicFacts"]], as_json: bool) -> None:
    """Run an action with the settings of the environment, and print the facts of the topics."""
    from dedup.terminal.command import run

    async def act(settings: "Settings") -> tuple["Settings", "TopicFacts"]:
        return settings, await action(settings)

    settings, facts = run(act)
    for warning in facts.warnings:
        click.echo(f"Warning: {warning}", err=True)
    names = settings.KAFKA_PRODUCT_TOPIC, settings.KAFKA_SRC_PRODUCTS_TOPIC
    if as_json:
        topics = {"source": names[0], "states": names[1], "dead_letters": settings.KAFKA_DLQ_TOPIC}
        click.echo(json.dumps({"topics": topics, **asdict(facts)}))
        return
    click.echo(
        f"{' and '.join(names)} have {facts.partitions} partitions, {names[1]} is compacted, "
        f"{settings.KAFKA_DLQ_TOPIC} has {facts.letters_partitions} and takes dead letters of "
        f"{facts.letters_batch_bytes:,} bytes."
    )
