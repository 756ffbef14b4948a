"""Fresh topics for dead letters."""

import pytest

from dedup.kafka.topics import ensure_topics
from dedup.settings import load_settings
from tests.cli.dead_letters import Dlq


@pytest.fixture
async def dlq(kafka: str) -> Dlq:
    """Fresh topics without records, and no worker."""
    made = Dlq(kafka)
    await ensure_topics(load_settings(made.settings))
    return made
