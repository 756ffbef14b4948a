"""Reconnects with growing pauses; notes which brokers are unreachable and when one last answered.

aiokafka reconnects at once where a connection failed: thousands of attempts a second while a broker
is down, each a line in the log. It has no setting for it, so `client.adjust_aiokafka` wraps two of
its methods with what is here, once for all clients of the process.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import wraps
from time import monotonic
from typing import Any, Final
from weakref import WeakKeyDictionary

from aiokafka.client import AIOKafkaClient
from aiokafka.conn import AIOKafkaConnection

FIRST_PAUSE_S: Final = 0.05
LONGEST_PAUSE_S: Final = 1.0
"""As of Kafka's own clients: `reconnect.backoff.ms` and `reconnect.backoff.max.ms`."""


@dataclass
class Brokers:
    """What the clients of this process know of the brokers."""

    unreachable: set[str] = field(default_factory=set)
    """`host:port` of each that could not be connected to at the last attempt."""

    answered_at: float = field(default_factory=monotonic)
    """When one of them answered last, on the monotonic clock."""


brokers: Final = Brokers()

_failed: Final[WeakKeyDictionary[AIOKafkaClient, dict[Any, tuple[int, float]]]] = (
    WeakKeyDictionary()
)
"""By client and broker: how many attempts failed in a row, and the earliest time of the next."""


def pausing(connect: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Return `AIOKafkaClient._get_conn` with a growing pause after each failed attempt."""

    @wraps(connect)
    async def connect_after_a_pause(client: AIOKafkaClient, node_id: Any, **options: Any) -> Any:
        failed = _failed.setdefault(client, {})
        attempts, earliest = failed.get(node_id, (0, 0.0))
        if (pause := earliest - monotonic()) > 0:
            await asyncio.sleep(pause)
        connection = await connect(client, node_id, **options)
        broker = client.cluster.broker_metadata(node_id)
        name = f"{broker.host}:{broker.port}" if broker is not None else None
        if connection is not None:
            failed.pop(node_id, None)
            brokers.unreachable.discard(name or "")
            return connection
        pause = min(FIRST_PAUSE_S * 2 ** min(attempts, 10), LONGEST_PAUSE_S)
        failed[node_id] = (attempts + 1, monotonic() + pause)
        if name is not None:
            brokers.unreachable.add(name)
        return None

    return connect_after_a_pause


def noting(handle: Callable[..., Any]) -> Callable[..., Any]:
    """Return `AIOKafkaConnection._handle_frame`, which notes the time of each answer too."""

    @wraps(handle)
    def handle_and_note(connection: AIOKafkaConnection, response: bytes) -> Any:
        brokers.answered_at = monotonic()
        return handle(connection, response)

    return handle_and_note
