"""A right the broker does not give: a sentence that names the topic or group and the right."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.admin import CreateAclsRequest

from dedup.kafka import topics
from dedup.localkafka import LocalKafka
from dedup.settings import load_settings
from tests.support.administration import WITHIN_S, admin
from tests.support.records import event
from tests.support.topics import produce
from tests.support.workers import Names, WorkerProcess

TOPIC, GROUP, TRANSACTIONAL_ID = 2, 3, 5
ANY, READ, WRITE, CREATE, DESCRIBE_CONFIGS = 2, 3, 4, 5, 10
DENY, ALLOW = 2, 3
LITERAL, PREFIXED = 3, 4

_JAAS = "org.apache.kafka.common.security.plain.PlainLoginModule required"
_USERS = 'username="admin" password="admin" user_admin="admin" user_worker="worker";'

Right = tuple[int, str, int, int]


@pytest.fixture(scope="module")
def guarded() -> Iterator[str]:
    """A broker that lets admin do everything, and others what the rules say."""
    properties = {
        "listener.security.protocol.map": "CLIENT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
        "sasl.enabled.mechanisms": "PLAIN",
        "sasl.mechanism.inter.broker.protocol": "PLAIN",
        "listener.name.client.plain.sasl.jaas.config": f"{_JAAS} {_USERS}",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:admin;User:ANONYMOUS",
    }
    with LocalKafka(properties=properties) as broker:
        yield broker.bootstrap_servers


def login(user: str) -> dict[str, str]:
    """The worker's settings that log a user in."""
    return {
        "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "KAFKA_USER": user,
        "KAFKA_PASSWORD": user,
    }


def client(user: str) -> dict[str, Any]:
    """The arguments of a client that log a user in."""
    return {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "PLAIN",
        "sasl_plain_username": user,
        "sasl_plain_password": user,
    }


async def _rule(kafka: str, kind: int, name: str, pattern: int, right: int, rule: int) -> None:
    request = CreateAclsRequest(kind, name, pattern, "User:worker", "*", right, rule)
    async with admin(kafka, **client("admin")) as operator:
        response = await operator._send_to_controller(request)
    assert [code for code, _ in response.creation_responses] == [0]


async def _everything_but(kafka: str, names: Names, kind: int, name: str, right: int) -> None:
    """Make the topics, and give the worker every right on them, the group and its ids but one."""
    await topics.ensure_topics(
        load_settings({"KAFKA_BOOTSTRAP_SERVERS": kafka, **names.settings, **login("admin")})
    )
    for topic in (names.source, names.states, names.dead_letters):
        await _rule(kafka, TOPIC, topic, LITERAL, ANY, ALLOW)
    await _rule(kafka, GROUP, names.group, LITERAL, ANY, ALLOW)
    await _rule(kafka, TRANSACTIONAL_ID, names.group, PREFIXED, ANY, ALLOW)
    pattern = PREFIXED if kind == TRANSACTIONAL_ID else LITERAL
    await _rule(kafka, kind, name, pattern, right, DENY)
    async with admin(kafka, **client("worker")) as worker, asyncio.timeout(WITHIN_S):
        while names.dead_letters not in await worker.list_topics():
            await asyncio.sleep(0.05)  # the broker hears of the rules after the controller


@pytest.mark.parametrize(
    ("kind", "attribute", "right", "name_of_right"),
    [
        (TOPIC, "source", READ, "READ"),
        (TOPIC, "states", READ, "READ"),
        (TOPIC, "states", WRITE, "WRITE"),
        (TOPIC, "states", DESCRIBE_CONFIGS, "DESCRIBE_CONFIGS"),
        (TOPIC, "dead_letters", WRITE, "WRITE"),
        (GROUP, "group", READ, "READ"),
        (TRANSACTIONAL_ID, "group", WRITE, "WRITE"),
    ],
)
async def test_a_missing_right_is_named_and_the_worker_ends(
    guarded: str, tmp_path: Path, kind: int, attribute: str, right: int, name_of_right: str
) -> None:
    names = Names.fresh()
    name = getattr(names, attribute)
    await _everything_but(guarded, names, kind, name, right)
    for topic in (names.source, names.states):
        await produce(guarded, [(b"1", event()), (b"1", b"junk")], topic, **client("admin"))
    settings = {**names.settings, **login("worker")}
    with WorkerProcess(guarded, tmp_path / "state", settings) as worker:
        assert worker.wait() == 1

    log = worker.log()
    assert "the user worker lacks the permission " + name_of_right in log
    assert name in log.partition("lacks the permission")[2].partition("\n")[0]
    assert "Traceback" not in log


async def test_a_topic_that_the_broker_has_not_heard_of_needs_no_right_to_create_it(
    guarded: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Topics made just before a worker starts; here the first list leaves one of them out."""
    names = Names.fresh()
    await _everything_but(guarded, names, TOPIC, names.source, CREATE)
    listed = AIOKafkaAdminClient.list_topics
    left_out = [names.source]

    async def unheard_of_at_first(self: AIOKafkaAdminClient) -> list[str]:
        found: list[str] = await listed(self)
        if left_out:
            found.remove(left_out.pop())
        return found

    monkeypatch.setattr(AIOKafkaAdminClient, "list_topics", unheard_of_at_first)
    facts = await topics.ensure_topics(
        load_settings({"KAFKA_BOOTSTRAP_SERVERS": guarded, **names.settings, **login("worker")})
    )
    assert facts.partitions == 4
    assert not left_out
