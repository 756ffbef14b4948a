"""aiokafka: a client that starts while its broker lists no brokers yet fails an assertion.

The metadata of a broker that has just started may list none, not even itself. `bootstrap` keeps the
connection for that case and returns. What comes next looks for a coordinator: `get_random_node`
returns None, and `coordinator_lookup` raises AssertionError, "Did we not perform bootstrap?".

Exits with 0 while aiokafka has the fault, with 1 when it has not. Needs no broker.
"""

import asyncio
import sys
from typing import Any, Final

from aiokafka import client as of_clients
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.coordination import FindCoordinatorResponse_v0
from aiokafka.protocol.metadata import MetadataResponse_v0

WITHOUT_BROKERS: Final = 2
"""So many answers list no broker. A real one goes on for some tenths of a second."""

BROKER: Final = (1, "127.0.0.1", 9092)


class Connection:
    """A connection to a broker that has just started."""

    answered = 0

    def connected(self) -> bool:
        return True

    def close(self, **_: Any) -> "asyncio.Future[None]":
        closed = asyncio.get_running_loop().create_future()
        closed.set_result(None)
        return closed

    async def send(self, request: Any, **_: Any) -> Any:
        if "FindCoordinator" in type(request).__name__:
            return FindCoordinatorResponse_v0(0, *BROKER)
        Connection.answered += 1
        listed = [BROKER] if Connection.answered > WITHOUT_BROKERS else []
        return MetadataResponse_v0(listed, [])


async def connect(*_: Any, **__: Any) -> Connection:
    """Stand in for `aiokafka.client.create_conn`."""
    return Connection()


async def main() -> int:
    """Return the exit status."""
    of_clients.create_conn = connect
    client = AIOKafkaClient()
    await client.bootstrap()
    try:
        coordinator = await client.coordinator_lookup(0, "orders")
    except AssertionError as error:
        print(f"AssertionError: {error}")
        return 0
    finally:
        await client.close()
    print(f"The coordinator is broker {coordinator}.")
    return 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
