"""A broker for the benchmark's own tests."""

from collections.abc import Iterator

import pytest

from dedup.localkafka import LocalKafka


@pytest.fixture(scope="module")
def kafka() -> Iterator[LocalKafka]:
    """A broker, one for the module."""
    with LocalKafka() as broker:
        yield broker
