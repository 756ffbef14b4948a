"""Three embedded brokers: what one of them loses, the others have."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import CoordinatorNotAvailableError, KafkaError

from dedup.localkafka import Broker, LocalKafka, LocalKafkaError
from dedup.localkafka.ports import HOST, free_port
from tests.broker.transactions import producing
from tests.support.administration import admin
from tests.support.topics import read_topic

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ALL = {1, 2, 3}
WITHIN_S = 60.0


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalKafka]:
    with LocalKafka(brokers=3) as kafka:
        yield kafka


async def create(kafka: LocalKafka, topic: NewTopic) -> None:
    async with admin(kafka.bootstrap_servers) as client:
        response = await client.create_topics([topic])
        assert response.topic_errors[0][1] == 0, response
    await wait_for(kafka, topic.name, lambda p: len(p["replicas"]) > 0)


def as_by_default(name: str, partitions: int) -> NewTopic:
    """A topic whose creator leaves the number of replicas to the brokers."""
    topic = NewTopic(name, partitions, 1)
    topic.replication_factor = -1
    return topic


async def partitions_of(kafka: LocalKafka, topic: str) -> list[dict[str, Any]]:
    async with admin(kafka.bootstrap_servers) as client:
        (found,) = await client.describe_topics([topic])
    return list(found["partitions"])


async def wait_for(kafka: LocalKafka, topic: str, holds: Any) -> list[dict[str, Any]]:
    """Wait until something holds of each partition of a topic, and there is one."""
    async with asyncio.timeout(WITHIN_S):
        while not ((found := await partitions_of(kafka, topic)) and all(map(holds, found))):
            await asyncio.sleep(0.1)
    return found


async def leader_of(kafka: LocalKafka, topic: str) -> Broker:
    (partition,) = await wait_for(kafka, topic, lambda p: p["leader"] > 0)
    return kafka.brokers[int(partition["leader"]) - 1]


async def min_insync_of(kafka: LocalKafka, topic: str) -> str:
    wanted = ConfigResource(ConfigResourceType.TOPIC, topic, {"min.insync.replicas": None})
    async with admin(kafka.bootstrap_servers) as client:
        ((answer,),) = [r.resources for r in await client.describe_configs([wanted])]
    ((_, value, *_),) = answer[4]
    return str(value)


async def test_topics_are_replicated_and_led_by_all_three(cluster: LocalKafka) -> None:
    """The user's topics and the internal ones, where a third of the coordinators is on each."""
    await create(cluster, as_by_default("spread", 3))
    async with producing(cluster.bootstrap_servers, "spread") as producer, producer.transaction():
        await producer.send_and_wait("spread", b"value")
    groups = [f"group-{n}" for n in range(30)]
    async with admin(cluster.bootstrap_servers) as client:
        async with asyncio.timeout(WITHIN_S):  # the first one creates the topic
            while await coordinators(client, groups, of=0) != ALL:
                await asyncio.sleep(0.1)
        assert await coordinators(client, groups, of=1) == ALL
    for topic in ("spread", "__consumer_offsets", "__transaction_state"):
        found = await wait_for(cluster, topic, lambda p: len(p["isr"]) == 3)
        assert {p["leader"] for p in found} == ALL, topic
        assert {frozenset(p["replicas"]) for p in found} == {frozenset(ALL)}, topic
        assert await min_insync_of(cluster, topic) == "2", topic


async def coordinators(client: Any, names: list[str], *, of: int) -> set[int]:
    """The coordinators of groups (0) or transactional ids (1); empty while one has none."""
    try:
        return {await client.find_coordinator(name, of) for name in names}
    except CoordinatorNotAvailableError:
        return set()


async def test_a_transaction_survives_the_sigkill_of_the_leader_which_then_rejoins(
    cluster: LocalKafka,
) -> None:
    """Same port, other process; after a while it leads again what it led."""
    await create(cluster, as_by_default("killed", 1))
    leader = await leader_of(cluster, "killed")
    address, pid = leader.bootstrap_servers, leader.pid
    async with producing(cluster.bootstrap_servers, "killed") as producer:
        async with producer.transaction():
            await producer.send_and_wait("killed", b"before")
        leader.kill()
        try:
            assert not leader.running
            assert await values(cluster, "killed") == [b"before"]
            async with producer.transaction():
                await producer.send_and_wait("killed", b"meanwhile")
            assert await values(cluster, "killed") == [b"before", b"meanwhile"]
            (partition,) = await partitions_of(cluster, "killed")
            assert len(partition["isr"]) == 2
        finally:
            await asyncio.to_thread(leader.start)
    assert (leader.bootstrap_servers, leader.pid != pid) == (address, True)
    await wait_for(cluster, "killed", lambda p: set(p["isr"]) == ALL)
    assert await wait_for(cluster, "killed", lambda p: cluster.brokers[p["leader"] - 1] is leader)
    assert await values(cluster, "killed") == [b"before", b"meanwhile"]


async def values(kafka: LocalKafka, topic: str) -> list[bytes]:
    return [record.value for record in (await read_topic(kafka.bootstrap_servers, topic, 1))[0]]


async def test_below_the_minimum_in_sync_a_write_is_refused_until_the_broker_is_back(
    cluster: LocalKafka, caplog: pytest.LogCaptureFixture
) -> None:
    """Two replicas of three brokers, as of two out of three the controllers have no majority."""
    await create(cluster, NewTopic("few", -1, -1, replica_assignments={0: [1, 2]}))
    producer = AIOKafkaProducer(
        bootstrap_servers=cluster.bootstrap_servers, enable_idempotence=True
    )
    await producer.start()
    try:
        await producer.send_and_wait("few", b"accepted", partition=0)
        await asyncio.to_thread(cluster.brokers[1].stop)
        try:
            await wait_for(cluster, "few", lambda p: p["isr"] == [1])
            caplog.set_level(logging.WARNING, "aiokafka")
            sending = asyncio.create_task(producer.send_and_wait("few", b"refused", partition=0))
            async with asyncio.timeout(WITHIN_S):
                while "NotEnoughReplicas" not in caplog.text:
                    await asyncio.sleep(0.05)
            assert not sending.done()
            assert await values(cluster, "few") == [b"accepted"]
        finally:
            await asyncio.to_thread(cluster.brokers[1].start)
        assert (await asyncio.wait_for(sending, WITHIN_S)).offset == 1
    finally:
        await producer.stop()
    assert await values(cluster, "few") == [b"accepted", b"refused"]


async def test_a_paused_broker_is_replaced_and_comes_back(cluster: LocalKafka) -> None:
    await create(cluster, as_by_default("paused", 1))
    leader = await leader_of(cluster, "paused")
    leader.pause()
    try:
        async with asyncio.timeout(WITHIN_S):
            while await leader_now(cluster, "paused") in {None, leader}:
                await asyncio.sleep(0.1)
    finally:
        leader.resume()
    await wait_for(cluster, "paused", lambda p: set(p["isr"]) == ALL)


async def leader_now(kafka: LocalKafka, topic: str) -> Broker | None:
    """The leader, asked of any broker; None when that was the paused one."""
    client = AIOKafkaAdminClient(
        bootstrap_servers=kafka.bootstrap_servers, request_timeout_ms=1_000
    )
    try:
        await client.start()
        (found,) = await client.describe_topics([topic])
    except KafkaError:
        return None
    finally:
        await client.close()
    (partition,) = found["partitions"]
    return kafka.brokers[int(partition["leader"]) - 1] if partition["leader"] > 0 else None


def test_what_only_one_of_three_can_answer_is_asked_of_each(cluster: LocalKafka) -> None:
    pids = {broker.pid for broker in cluster.brokers}
    assert len(pids) == 3
    with pytest.raises(LocalKafkaError, match=r"brokers\[0\]\.pid"):
        _ = cluster.pid
    assert cluster.bootstrap_servers.split(",") == [b.bootstrap_servers for b in cluster.brokers]
    assert {broker.log_path.parent.parent for broker in cluster.brokers} == {cluster.data_dir}


def test_a_broker_that_does_not_start_is_named_with_its_log(tmp_path: Path) -> None:
    """The others did start, and are ended with it."""
    meta = tmp_path / "broker-2" / "data" / "meta.properties"
    meta.parent.mkdir(parents=True)
    meta.write_text("version=1\ncluster.id=AAAAAAAAAAAAAAAAAAAAAA\nnode.id=7\n")
    kafka = LocalKafka(brokers=3, data_dir=tmp_path)
    with pytest.raises(LocalKafkaError, match=r"Broker 2 at 127\.0\.0\.1:\d+: .*(\n.*)* 7 "):
        kafka.start()
    assert not kafka.running
    assert all((tmp_path / f"broker-{n}" / "kafka.log").exists() for n in (1, 2, 3))


def test_the_last_of_three_ports_is_refused_by_name_when_it_is_taken() -> None:
    port = free_port()
    with socket.socket() as other:
        other.bind((HOST, port + 2))
        other.listen()
        kafka = LocalKafka(brokers=3, port=port)
        with pytest.raises(LocalKafkaError, match=f"Port {port + 2} .* is taken"):
            kafka.start()
    assert not kafka.running


def test_two_brokers_are_refused() -> None:
    with pytest.raises(LocalKafkaError, match="1 broker or 3, not 2"):
        LocalKafka(brokers=2)


@pytest.mark.parametrize(("brokers", "made", "had"), [(1, "broker-1", 3), (3, "data", 1)])
def test_the_data_of_another_number_of_brokers_is_refused(
    brokers: int, made: str, had: int, tmp_path: Path
) -> None:
    """It would not be found: the broker would start empty beside it."""
    (tmp_path / made).mkdir()
    with pytest.raises(LocalKafkaError, match=rf"data of {had} broker.* not of {brokers}"):
        LocalKafka(brokers=brokers, data_dir=tmp_path).start()
