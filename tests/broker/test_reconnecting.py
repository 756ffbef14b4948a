"""Clients ask for metadata with pauses while a partition has no leader, although brokers answer."""

import asyncio
from time import monotonic
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.cluster import ClusterMetadata
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.metadata import MetadataRequest, MetadataResponse_v0

from dedup.kafka import reconnecting
from dedup.kafka.client import adjust_aiokafka
from dedup.kafka.reconnecting import METADATA_PAUSE_S, _lacks_a_leader
from tests.support.administration import admin, create
from tests.support.polling import until

REQUESTS = 10


def times_of_updates(client: Any) -> list[float]:
    """Return a list that gets the time of each update of a client's metadata."""
    update, begun = client._metadata_update, []

    async def noted(*arguments: Any) -> bool:
        begun.append(monotonic())
        return bool(await update(*arguments))

    client._metadata_update = noted
    return begun


async def test_a_topic_that_is_missing_is_asked_for_with_pauses(kafka: str) -> None:
    """And found once it is there."""
    adjust_aiokafka()
    topic = f"later-{uuid4().hex}"
    async with (
        AIOKafkaConsumer(bootstrap_servers=kafka, auto_offset_reset="earliest") as consumer,
        AIOKafkaProducer(bootstrap_servers=kafka) as producer,
    ):
        begun = times_of_updates(consumer._client)
        consumer.assign([TopicPartition(topic, 0)])
        read = asyncio.ensure_future(consumer.getone())
        await until(lambda: len(begun) > REQUESTS)
        assert begun[REQUESTS] - begun[0] >= REQUESTS * METADATA_PAUSE_S
        async with admin(kafka) as client:
            await create(client, topic, 1)
        await producer.send_and_wait(topic, b"found", partition=0)
        assert (await read).value == b"found"


def list_no_brokers(monkeypatch: pytest.MonkeyPatch, answers: int) -> None:
    """Let the metadata of so many answers list no broker, as where one has just started."""
    send, left = AIOKafkaConnection.send, iter(range(answers))

    async def emptied(connection: AIOKafkaConnection, request: Any, **options: Any) -> Any:
        answer = await send(connection, request, **options)
        if isinstance(request, MetadataRequest) and next(left, None) is not None:
            answer.brokers.clear()
        return answer

    monkeypatch.setattr(AIOKafkaConnection, "send", emptied)


async def test_a_client_waits_for_metadata_that_lists_a_broker(
    kafka: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    adjust_aiokafka()
    list_no_brokers(monkeypatch, answers=3)
    client = AIOKafkaClient(bootstrap_servers=kafka)
    await client.bootstrap()
    try:
        assert client.get_random_node() is not None  # whom coordinators are asked of
    finally:
        await client.close()


async def test_metadata_that_never_lists_a_broker_is_a_failed_connection(
    kafka: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    adjust_aiokafka()
    monkeypatch.setattr(reconnecting, "METADATA_WITHIN_S", 0.5)
    list_no_brokers(monkeypatch, answers=1_000_000)
    with pytest.raises(KafkaConnectionError, match=r"metadata of .+ lists no broker"):
        await AIOKafkaClient(bootstrap_servers=kafka).bootstrap()


@pytest.mark.parametrize(
    ("asked_for", "lacks"),
    [({"led"}, False), ({"leaderless"}, True), ({"led", "missing"}, True), (None, True)],
)
def test_a_partition_without_a_leader_and_a_missing_topic_lack_one(
    asked_for: set[str] | None, *, lacks: bool
) -> None:
    cluster = ClusterMetadata()
    topics = [
        (0, "led", [(0, 0, 1, [1], [1])]),
        (0, "leaderless", [(0, 0, 1, [1], [1]), (0, 1, -1, [1], [1])]),
    ]
    cluster.update_metadata(MetadataResponse_v0([(1, "broker", 9092)], topics))
    assert _lacks_a_leader(cluster, asked_for) is lacks
