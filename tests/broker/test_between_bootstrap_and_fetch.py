"""A broker answers, and still nothing can be read or written: a sentence says why."""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dedup.kafka import admin, diagnosis, groups, topics
from dedup.kafka.admin import TopicError
from dedup.kafka.diagnosis import diagnose
from dedup.kafka.topic_reader import ReadError, open_topic
from dedup.localkafka import LocalKafka
from dedup.localkafka.ports import free_port
from dedup.settings import Settings, load_settings
from producer.connect import ProducerError, open_producer
from producer.settings import load_settings as load_producer_settings
from tests.support.workers import Names

BIN = Path(sys.executable).parent


def settings_of(kafka: LocalKafka) -> Settings:
    return load_settings(
        {"KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers, **Names.fresh().settings}
    )


def run(command: list[str], settings: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BIN / "dedup", *command],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


async def test_a_cluster_that_can_be_used_has_no_fault(kafka: str) -> None:
    """Topics that are not there are no fault of the brokers."""
    settings = load_settings({"KAFKA_BOOTSTRAP_SERVERS": kafka, **Names.fresh().settings})

    assert await diagnose(settings, list(topics.topic_configs(settings))) is None


async def test_an_advertised_name_that_nobody_knows_is_told_by_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Worker, commands and producer say the address and the cure, and blame no permission."""
    monkeypatch.setattr(admin, "CONNECT_TIMEOUT_S", 1.0)
    told = re.compile(
        r"The broker 127\.0\.0\.1:\d+ of KAFKA_BOOTSTRAP_SERVERS answered, but it advertises the "
        r"address nowhere\.invalid:9092, which clients connect to: its name is unknown\. Set "
        r"advertised\.listeners"
    )
    with LocalKafka(properties={"advertised.listeners": "CLIENT://nowhere.invalid:9092"}) as kafka:
        settings = settings_of(kafka)
        for asks in (topics.ensure_topics, topics.check_topics, groups.check_group):
            with pytest.raises(TopicError, match=told):
                await asks(settings)
        with pytest.raises(ReadError, match=told):
            async with open_topic(settings, settings.KAFKA_DLQ_TOPIC, "KAFKA_DLQ_TOPIC"):
                pass
        servers = {"KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers}
        with pytest.raises(ProducerError, match=told):
            await open_producer(load_producer_settings(servers))
        for command in (["dlq", "list"], ["inspect", "1"]):
            done = await asyncio.to_thread(run, command, servers)
            assert done.returncode == 1
            assert told.search(done.stderr), done.stderr
            assert "Traceback" not in done.stderr
            assert "allowed" not in done.stderr


async def test_an_advertised_port_where_nothing_listens_is_named() -> None:
    port = free_port()
    with LocalKafka(properties={"advertised.listeners": f"CLIENT://127.0.0.1:{port}"}) as kafka:
        found = await diagnose(settings_of(kafka))

    assert f"advertises the address 127.0.0.1:{port}, which clients connect to: nothing" in str(
        found
    )


async def test_an_advertised_port_that_speaks_something_else_is_named() -> None:
    """Such as a listener for TLS, or no Kafka at all: it closes the connection."""

    async def close(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(close, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        with LocalKafka(properties={"advertised.listeners": f"CLIENT://127.0.0.1:{port}"}) as kafka:
            found = await diagnose(settings_of(kafka))

    assert f"advertises the address 127.0.0.1:{port}, which clients connect to: it" in str(found)


async def test_groups_without_a_coordinator_are_told_with_the_broker_s_setting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One broker can't make a topic with three replicas, and never answers who coordinates."""
    for module, name in ((admin, "CONNECT_TIMEOUT_S"), (groups, "COORDINATOR_WITHIN_S")):
        monkeypatch.setattr(module, name, 1.0)
    monkeypatch.setattr(diagnosis, "CREATED_WITHIN_S", 3.0)
    with (
        LocalKafka(properties={"offsets.topic.replication.factor": "3"}) as kafka,
        pytest.raises(TopicError) as refused,
    ):
        await groups.check_group(settings_of(kafka))

    sentence = str(refused.value)
    assert "have no coordinator for consumer groups" in sentence
    assert "__consumer_offsets can't be created" in sentence
    assert "Live brokers: 1. Set offsets.topic.replication.factor to at most that" in sentence


async def test_transactions_without_a_coordinator_are_told_with_the_broker_s_setting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(diagnosis, "CREATED_WITHIN_S", 3.0)
    with LocalKafka(properties={"transaction.state.log.replication.factor": "3"}) as kafka:
        found = await diagnose(settings_of(kafka))

    assert "__transaction_state can't be created" in str(found)
    assert "Set transaction.state.log.replication.factor" in str(found)


async def test_transactions_that_want_more_replicas_than_there_are_are_told() -> None:
    """The topic is made, and the coordinator found; but nothing can be written there."""
    with LocalKafka(properties={"transaction.state.log.min.isr": "2"}) as kafka:
        found = await diagnose(settings_of(kafka))

    assert "__transaction_state has 1 replicas in sync and min.insync.replicas=2" in str(found)
    assert "lower transaction.state.log.min.isr" in str(found)
