"""A broker that takes connections and never answers holds a client up for a bounded time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.errors import KafkaConnectionError

from dedup.kafka import reconnecting
from dedup.kafka.client import adjust_aiokafka
from dedup.streaming.heartbeats import bound_heartbeats
from tests.broker.faulty import faulty_client
from tests.broker.programs import listening
from tests.support.administration import admin, create

BOUNDED_S = 20
"""Less than aiokafka waits for an answer."""


async def test_a_silent_broker_is_given_up_before_a_request_would_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    adjust_aiokafka()
    monkeypatch.setattr(reconnecting, "CONNECT_WITHIN_S", 0.5)
    with listening() as port:
        client = AIOKafkaClient(bootstrap_servers=f"127.0.0.1:{port}")
        async with asyncio.timeout(BOUNDED_S):
            with pytest.raises(KafkaConnectionError):
                await client.bootstrap()
        await client.close()


class Mute:
    """The writer of a connection that sends nothing any more: no request is answered."""

    def __init__(self, writer: Any) -> None:
        self._writer = writer

    def write(self, _data: bytes) -> None:
        """Drop what is written."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._writer, name)


async def test_a_connection_on_which_metadata_is_not_answered_is_renewed(
    kafka: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Aiokafka keeps it, and waits for the answer to each further request as long."""
    adjust_aiokafka()
    monkeypatch.setattr(reconnecting, "METADATA_WITHIN_S", 0.5)
    client = AIOKafkaClient(bootstrap_servers=kafka)
    await client.bootstrap()
    try:
        assert await client._metadata_update(client.cluster, [])
        silent = list(client._conns.values())
        for connection in silent:
            connection._writer = Mute(connection._writer)
        async with asyncio.timeout(BOUNDED_S):
            assert not await client._metadata_update(client.cluster, [])
            assert await client._metadata_update(client.cluster, [])
        assert not any(connection.connected() for connection in silent)
    finally:
        await client.close()


async def test_after_a_heartbeat_without_answer_the_next_takes_a_new_connection(
    kafka: str,
) -> None:
    """When the session is over; aiokafka's own would wait for the answer as for any request."""
    answered = asyncio.Event()

    async def unanswered(_send: Callable[[], Awaitable[Any]]) -> Any:
        await asyncio.Future()

    async def seen(send: Callable[[], Awaitable[Any]]) -> Any:
        response = await send()
        answered.set()
        return response

    async with admin(kafka) as client:
        await create(client, "silent")
    with faulty_client() as faults:
        consumer = AIOKafkaConsumer(
            "silent",
            bootstrap_servers=kafka,
            group_id="silent",
            session_timeout_ms=6_000,
            heartbeat_interval_ms=500,
        )
        await consumer.start()
        try:
            bound_heartbeats(consumer)
            faults.plan("HeartbeatRequest", unanswered)
            faults.plan("HeartbeatRequest", seen)
            node = consumer._coordinator.coordinator_id, ConnectionGroup.COORDINATION
            before = consumer._client._conns[node]
            async with asyncio.timeout(BOUNDED_S):
                await answered.wait()
            assert not before.connected()
            assert consumer._client._conns[node].connected()
        finally:
            await consumer.stop()
