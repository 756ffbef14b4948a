from collections.abc import Iterator

import pytest

from dedup.localkafka import LocalKafka


@pytest.fixture(scope="session")
def kafka() -> Iterator[str]:
    """The addresses of a real broker that the tests of this folder share."""
    with LocalKafka() as broker:
        yield broker.bootstrap_servers
