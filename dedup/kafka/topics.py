"""The topics: made with the right settings when missing, refused when they can't work."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    GroupCoordinatorNotAvailableError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    for_code,
)
from aiokafka.protocol.group import HeartbeatRequest

from dedup.kafka.admin import (
    CONNECT_TIMEOUT_S,
    BrokersAwayError,
    TopicError,
    admin_client,
    waits_for_brokers,
)
from dedup.kafka.broker_errors import brokers_away, refusal
from dedup.kafka.topic_checks import (
    DAY_MS,
    largest_batch,
    letter_faults,
    letter_warnings,
    write_faults,
    write_warnings,
)
from dedup.kafka.topic_identity import topic_id_of
from dedup.settings import Settings

DLQ_RETENTION_MS: Final = 14 * DAY_MS
VISIBLE_TIMEOUT_S: Final = 15.0

# A row can be longer than the event it comes from, a dead letter is by its headers.
STATE_MAX_BYTES: Final = 2 * 1024 * 1024
_DEAD_LETTER_MAX_BYTES: Final = 16 * 1024 * 1024


@dataclass(frozen=True)
class TopicFacts:
    """What the worker has to know of its topics.

    `delete_retention_ms`: how long a tombstone is kept. `states_batch_bytes` and
    `letters_batch_bytes`: the largest record batch that the output topic and the dead-letter topic
    take. `warnings`: what an operator should change, in sentences.
    """

    cluster_id: str | None
    partitions: int
    delete_retention_ms: int
    states_batch_bytes: int
    letters_batch_bytes: int
    letters_partitions: int
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class StatesTopic:
    """What a reader of the output topic has to know: its identity, and how long tombstones stay."""

    topic_id: UUID
    delete_retention_ms: int


def topic_configs(settings: Settings) -> dict[str, dict[str, str]]:
    """Return the settings of each topic the worker makes, in the order it makes them."""
    return {
        settings.KAFKA_PRODUCT_TOPIC: {"cleanup.policy": "delete"},
        settings.KAFKA_SRC_PRODUCTS_TOPIC: {
            "cleanup.policy": "compact",
            "max.message.bytes": str(STATE_MAX_BYTES),
        },
        settings.KAFKA_DLQ_TOPIC: {
            "cleanup.policy": "delete",
            "retention.ms": str(DLQ_RETENTION_MS),
            "max.message.bytes": str(_DEAD_LETTER_MAX_BYTES),
        },
    }


@waits_for_brokers
async def ensure_topics(settings: Settings) -> TopicFacts:
    """Make what is missing and check what is there. Raises TopicError with a sentence."""
    async with admin_client(settings) as admin:
        await _create_missing(admin, settings)
        return await _check(admin, settings)


@waits_for_brokers
async def check_topics(settings: Settings) -> TopicFacts:
    """Check what is there and change nothing. Raises TopicError with a sentence."""
    async with admin_client(settings) as admin:
        missing = set(topic_configs(settings)) - set(await admin.list_topics())
        if missing:
            raise TopicError(
                f"Missing at KAFKA_BOOTSTRAP_SERVERS={settings.KAFKA_BOOTSTRAP_SERVERS}: "
                f"{', '.join(sorted(missing))}. `dedup topics create` makes them."
            )
        return await _check(admin, settings)


@waits_for_brokers
async def describe_states_topic(settings: Settings) -> StatesTopic:
    """Find the output topic for a reader of it. Raises TopicError with a sentence."""
    name = settings.KAFKA_SRC_PRODUCTS_TOPIC
    async with admin_client(settings) as admin:
        topic_id = await topic_id_of(admin._client, name)  # noqa: SLF001
        if topic_id is None:
            raise TopicError(
                f"There is no topic KAFKA_SRC_PRODUCTS_TOPIC={name} at KAFKA_BOOTSTRAP_SERVERS="
                f"{settings.KAFKA_BOOTSTRAP_SERVERS}, or it is not to be seen. `dedup topics "
                "create` makes it; the worker does too when it starts."
            )
        config = await _states_config(admin, settings)
        return StatesTopic(topic_id, int(config.get("delete.retention.ms", DAY_MS)))


@waits_for_brokers
async def check_group(settings: Settings) -> None:
    """Refuse a group the user may not join: aiokafka would try that for ever, in silence.

    Raises TopicError. A heartbeat of nobody needs the same right, and changes nothing.
    """
    group = settings.DEDUP_APP_ID
    async with admin_client(settings) as admin:
        deadline = asyncio.get_running_loop().time() + VISIBLE_TIMEOUT_S
        while True:
            try:
                node = await admin.find_coordinator(group)
                break
            except GroupCoordinatorNotAvailableError:  # a cluster's first: its topic is being made
                if asyncio.get_running_loop().time() > deadline:
                    raise
                await asyncio.sleep(0.2)
        answer = await admin._send_request(HeartbeatRequest(group, 0, "nobody"), node)  # noqa: SLF001
        if for_code(answer.error_code) is GroupAuthorizationFailedError:
            raise GroupAuthorizationFailedError(group)


async def missing_topics(settings: Settings) -> list[str]:
    """Return our topics that the cluster does not have; none when it can't be asked now."""
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S), admin_client(settings) as admin:
            existing = await admin.list_topics()
    except (TopicError, TimeoutError):
        return []
    return [name for name in topic_configs(settings) if name not in existing]


async def _create_missing(admin: AIOKafkaAdminClient, settings: Settings) -> None:
    existing = await admin.list_topics()
    source = settings.KAFKA_PRODUCT_TOPIC
    partitions = settings.DEDUP_PARTITIONS
    if source in existing:
        partitions = (await _partition_counts(admin, [source]))[source]
    for name, config in topic_configs(settings).items():
        if name in existing:
            continue
        new = NewTopic(name, partitions, settings.DEDUP_REPLICATION_FACTOR, topic_configs=config)
        response = await admin.create_topics([new])
        _, code, *reason = response.topic_errors[0]
        error = for_code(code)
        if error is TopicAuthorizationFailedError:
            why = refusal(error(name), settings, right="DESCRIBE")
            raise TopicError(f"Topic {name} is not there or not to be seen: {why} (and CREATE).")
        if code != 0 and error is not TopicAlreadyExistsError:
            if brokers_away(error(name)):
                raise error(name)
            raise TopicError(
                f"Topic {name} can't be made with {partitions} partitions and "
                f"DEDUP_REPLICATION_FACTOR={settings.DEDUP_REPLICATION_FACTOR}: "
                f"{error.__name__} {reason[0] if reason and reason[0] else ''}".rstrip()
            )


async def _partition_counts(admin: AIOKafkaAdminClient, names: list[str]) -> dict[str, int]:
    """Return the partition count of each topic; waits until the cluster shows them all."""
    deadline = asyncio.get_running_loop().time() + VISIBLE_TIMEOUT_S
    while True:
        described = await admin.describe_topics(names)
        counts = {t["topic"]: len(t["partitions"]) for t in described if t["error_code"] == 0}
        if set(counts) == set(names):
            return counts
        if asyncio.get_running_loop().time() > deadline:
            missing = ", ".join(sorted(set(names) - set(counts)))
            raise BrokersAwayError(f"The cluster does not show the topics {missing}.")
        await asyncio.sleep(0.2)


async def _check(admin: AIOKafkaAdminClient, settings: Settings) -> TopicFacts:
    source, states = settings.KAFKA_PRODUCT_TOPIC, settings.KAFKA_SRC_PRODUCTS_TOPIC
    counts = await _partition_counts(admin, list(topic_configs(settings)))
    if counts[source] != counts[states]:
        raise TopicError(
            f"{states} has {counts[states]} partitions and {source} has {counts[source]}. They "
            "must be equal, for the state of a product is kept in the partition of its events. "
            f"Set KAFKA_SRC_PRODUCTS_TOPIC to a new name (it is then made with "
            f"{counts[source]} partitions) or make {states} anew."
        )
    config = await _states_config(admin, settings)
    letters = settings.KAFKA_DLQ_TOPIC
    letters_config = await _readable(admin, letters, settings)
    faults = [
        *write_faults(states, config),
        *letter_faults(letters, letters_config),
        *write_faults(letters, letters_config),
    ]
    if faults:
        raise TopicError(" ".join(faults))
    cluster = await admin.describe_cluster()
    return TopicFacts(
        cluster_id=cluster.get("cluster_id"),
        partitions=counts[source],
        delete_retention_ms=int(config.get("delete.retention.ms", DAY_MS)),
        states_batch_bytes=largest_batch(config),
        letters_batch_bytes=largest_batch(letters_config),
        letters_partitions=counts[letters],
        warnings=(
            *write_warnings(states, config, await _replicas(admin, states)),
            *write_warnings(letters, letters_config, await _replicas(admin, letters)),
            *letter_warnings(letters, letters_config),
        ),
    )


async def _replicas(admin: AIOKafkaAdminClient, topic: str) -> int:
    """Return the replicas of a topic, of the partition that has the fewest."""
    (described,) = await admin.describe_topics([topic])
    return min(len(partition["replicas"]) for partition in described["partitions"])


async def _states_config(admin: AIOKafkaAdminClient, settings: Settings) -> Mapping[str, str]:
    """Return the settings of the output topic, which must be compacted."""
    states = settings.KAFKA_SRC_PRODUCTS_TOPIC
    config = await _readable(admin, states, settings)
    policy = config.get("cleanup.policy", "")
    if policy != "compact":
        raise TopicError(
            f"{states} has cleanup.policy={policy}. It must be compact, or states would be lost "
            f"with time. Change it: kafka-configs.sh --alter --entity-type topics --entity-name "
            f"{states} --add-config cleanup.policy=compact"
        )
    return config


async def _readable(
    admin: AIOKafkaAdminClient, topic: str, settings: Settings
) -> Mapping[str, str]:
    """Return the settings of a topic. Raises TopicError when we may not see them."""
    try:
        return await _config(admin, topic)
    except TopicAuthorizationFailedError as error:
        why = refusal(error, settings, right="DESCRIBE_CONFIGS")
        raise TopicError(f"The settings of a topic can't be read: {why}") from error


async def _config(admin: AIOKafkaAdminClient, topic: str) -> Mapping[str, str]:
    resource = ConfigResource(ConfigResourceType.TOPIC, topic)
    responses: list[Any] = await admin.describe_configs([resource])
    entries: dict[str, str] = {}
    for response in responses:
        for code, message, _type, _name, configs in response.resources:
            error = for_code(code)
            if error is TopicAuthorizationFailedError:
                raise error(topic)
            if code != 0 and brokers_away(error(topic)):
                raise error(topic)
            if code != 0:
                raise TopicError(f"The settings of {topic} can't be read: {message}")
            entries |= {entry[0]: entry[1] for entry in configs}
    return entries
