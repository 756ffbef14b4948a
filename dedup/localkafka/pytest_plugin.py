"""A pytest plugin: the fixture `local_kafka`, one real Kafka broker for a whole test session.

pytest imports this module in every session of an environment that has this package. So it imports
nothing but pytest, and the broker only when a test asks for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from dedup.localkafka import LocalKafka


@pytest.fixture(scope="session")
def local_kafka() -> Iterator[LocalKafka]:
    """A real Kafka broker on 127.0.0.1, from the first test that asks for it to the end."""
    from dedup.localkafka import LocalKafka  # noqa: PLC0415 - only tests that use it pay for it

    with LocalKafka() as broker:
        yield broker
