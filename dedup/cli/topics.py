"""`dedup topics`: the topics, made and checked without a worker."""

import asyncio
import logging
import os
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from dedup.settings import Settings
    from dedup.topics import TopicFacts

_EPILOG: Final = """\b
Examples:
  dedup topics create
  KAFKA_BOOTSTRAP_SERVERS=broker:9092 dedup topics check

\b
Exit codes:
  0  the topics can be worked with
  1  they can't, or the settings are wrong; a sentence says why
"""


@click.group(epilog=_EPILOG)
def topics() -> None:
    """Create or check the topics the worker needs."""


@topics.command()
def create() -> None:
    """Make the missing topics, with the settings they need, and check all.

    The worker does the same when it starts. DEDUP_PARTITIONS (4) and DEDUP_REPLICATION_FACTOR (1)
    are those of new topics.
    """
    from dedup.topics import ensure_topics  # noqa: PLC0415 - aiokafka takes longer than --help may

    _report(ensure_topics)


@topics.command()
def check() -> None:
    """Check that the topics exist and can be worked with; change nothing."""
    from dedup.topics import check_topics  # noqa: PLC0415 - as above

    _report(check_topics)


def _report(action: Callable[["Settings"], Awaitable["TopicFacts"]]) -> None:
    """Do it with the settings of the environment; say what was found, or exit with 1."""
    from dedup.settings import SettingsError, load_settings  # noqa: PLC0415 - as above
    from dedup.topics import TopicError  # noqa: PLC0415

    # What goes wrong is said in a sentence; the client's own log would stand beside it.
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())

    async def act(settings: "Settings") -> "TopicFacts":
        return await action(settings)

    try:
        settings = load_settings(os.environ)
        facts = asyncio.run(act(settings))
    except (SettingsError, TopicError) as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(1)
    names = settings.KAFKA_PRODUCT_TOPIC, settings.KAFKA_SRC_PRODUCTS_TOPIC
    click.echo(
        f"{' and '.join(names)} have {facts.partitions} partitions, {names[1]} is compacted, "
        f"{settings.KAFKA_DLQ_TOPIC} is there."
    )
