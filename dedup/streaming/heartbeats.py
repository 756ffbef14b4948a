"""Lets a consumer notice in time that the coordinator of its group is silent.

aiokafka waits for the answer to a heartbeat as long as for any request. On a connection whose other
end is gone without a word the worker would be no member of the group for all that time: the session
ends after a few seconds.
"""

import asyncio

from aiokafka import AIOKafkaConsumer
from aiokafka.client import ConnectionGroup
from aiokafka.conn import CloseReason


def bound_heartbeats(consumer: AIOKafkaConsumer) -> None:
    """Let a heartbeat fail that has no answer within the session, and renew the connection."""
    coordinator, connections = consumer._coordinator, consumer._client._conns
    beat = coordinator._do_heartbeat

    async def beat_in_time() -> bool:
        node = coordinator.coordinator_id, ConnectionGroup.COORDINATION
        try:
            async with asyncio.timeout(coordinator._session_timeout_ms / 1000):
                return bool(await beat())
        except TimeoutError:
            if node in connections:
                connections[node].close(reason=CloseReason.CONNECTION_TIMEOUT)
            coordinator.coordinator_dead()
            return False

    coordinator._do_heartbeat = beat_in_time
