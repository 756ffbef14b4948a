"""A broker for the tests of a module, and fresh topics on it."""

from collections.abc import Iterator

import pytest

from dedup.kafka.topics import ensure_topics
from dedup.localkafka import LocalKafka
from dedup.settings import load_settings
from tests.cli.dead_letters import Dlq


@pytest.fixture(scope="module")
def kafka() -> Iterator[str]:
    with LocalKafka() as broker:
        yield broker.bootstrap_servers


@pytest.fixture
async def dlq(kafka: str) -> Dlq:
    """Fresh topics without records, and no worker."""
    made = Dlq(kafka)
    await ensure_topics(load_settings(made.settings))
    return made
