from collections.abc import Iterator

import pytest

from tests.support.postgres import PostgresServer


@pytest.fixture(scope="session")
def shared_server() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


@pytest.fixture
def postgres(shared_server: PostgresServer) -> PostgresServer:
    """A real PostgreSQL without tables."""
    shared_server.ask("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    return shared_server
