"""The topics: created with the right settings if missing, refused if they can't work."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    NoError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    for_code,
)

from dedup.kafka.admin import (
    CONNECT_TIMEOUT_S,
    TopicError,
    admin_client,
    waits_for_brokers,
)
from dedup.kafka.broker_errors import brokers_away, refusal
from dedup.kafka.settings import KafkaSettings
from dedup.kafka.topic_checks import (
    DAY_MS,
    dead_letter_faults,
    dead_letter_warnings,
    largest_batch,
    write_faults,
    write_warnings,
)
from dedup.kafka.topic_identity import topic_id_of
from dedup.kafka.topic_listing import missing_of, partitions_of
from dedup.settings import Settings

DLQ_RETENTION_MS: Final = 14 * DAY_MS

# A row can be longer than the event it comes from, a dead letter is by its headers.
STATE_MAX_BYTES: Final = 2 * 1024 * 1024
_DEAD_LETTER_MAX_BYTES: Final = 16 * 1024 * 1024
_SOURCE_CONFIG: Final = {"cleanup.policy": "delete"}


@dataclass(frozen=True)
class TopicFacts:
    """What the worker has to know of its topics.

    `delete_retention_ms`: how long a tombstone is kept. `states_batch_bytes` and
    `letters_batch_bytes`: the largest record batch that the output topic and the dead-letter topic
    accept. `warnings`: what an operator should change.
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
    """What a reader of the output topic has to know: its id, and how long tombstones are kept."""

    topic_id: UUID
    delete_retention_ms: int


def topic_configs(settings: Settings) -> dict[str, dict[str, str]]:
    """Return the configuration of each topic that the worker creates, in this order."""
    return {
        settings.KAFKA_PRODUCT_TOPIC: _SOURCE_CONFIG,
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
    """Create the missing topics and check the others. Raises TopicError."""
    async with admin_client(settings) as admin:
        await _create_missing(admin, settings)
        return await _check(admin, settings)


@waits_for_brokers
async def check_topics(settings: Settings) -> TopicFacts:
    """Check the topics and change nothing. Raises TopicError."""
    async with admin_client(settings) as admin:
        missing = await missing_of(admin, list(topic_configs(settings)))
        if missing:
            raise TopicError(
                f"Missing at KAFKA_BOOTSTRAP_SERVERS={settings.KAFKA_BOOTSTRAP_SERVERS}: "
                f"{', '.join(sorted(missing))}. `dedup topics create` creates them."
            )
        return await _check(admin, settings)


@waits_for_brokers
async def describe_states_topic(settings: Settings) -> StatesTopic:
    """Return what a reader has to know of the output topic. Raises TopicError."""
    name = settings.KAFKA_SRC_PRODUCTS_TOPIC
    async with admin_client(settings) as admin:
        topic_id = await topic_id_of(admin._client, name)  # noqa: SLF001
        if topic_id is None:
            raise TopicError(
                f"There is no topic KAFKA_SRC_PRODUCTS_TOPIC={name} at KAFKA_BOOTSTRAP_SERVERS="
                f"{settings.KAFKA_BOOTSTRAP_SERVERS}, or it is not visible. `dedup topics "
                "create` creates it; so does the worker when it starts."
            )
        config = await _states_config(admin, settings)
        return StatesTopic(topic_id, int(config.get("delete.retention.ms", DAY_MS)))


async def ensure_source_topic(settings: KafkaSettings) -> None:
    """Create the topic of events if it is missing. Raises TopicError, BrokersAwayError."""
    topic = settings.KAFKA_PRODUCT_TOPIC
    async with admin_client(settings) as admin:
        if topic not in await admin.list_topics():
            await create_topic(admin, settings, topic, settings.DEDUP_PARTITIONS, _SOURCE_CONFIG)


async def missing_topics(settings: Settings) -> list[str]:
    """Return our topics that do not exist; none when the brokers are unavailable."""
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S), admin_client(settings) as admin:
            return await missing_of(admin, list(topic_configs(settings)))
    except (TopicError, TimeoutError):
        return []


async def _create_missing(admin: AIOKafkaAdminClient, settings: Settings) -> None:
    """Create the missing topics, with the partitions that the source topic has.

    It is created first, with those of the output topic if there is one, and then asked for its
    partitions: a broker may not have heard yet of a source topic that exists.
    """
    existing = await admin.list_topics()
    (source, config), *others = topic_configs(settings).items()
    if source not in existing:
        states, number = settings.KAFKA_SRC_PRODUCTS_TOPIC, settings.DEDUP_PARTITIONS
        if states in existing:
            number = (await partitions_of(admin, [states]))[states].number
        await create_topic(admin, settings, source, number, config)
    partitions = (await partitions_of(admin, [source]))[source].number
    for name, config in others:
        if name not in existing:
            await create_topic(admin, settings, name, partitions, config)


async def create_topic(
    admin: AIOKafkaAdminClient,
    settings: KafkaSettings,
    name: str,
    partitions: int,
    config: Mapping[str, str],
) -> None:
    """Create a topic, unless somebody else does meanwhile. Raises TopicError, KafkaError."""
    replicas = settings.DEDUP_REPLICATION_FACTOR
    new = NewTopic(name, partitions, replicas, topic_configs=dict(config))
    response = await admin.create_topics([new])
    _, code, *reason = response.topic_errors[0]
    error = for_code(code)
    if error in (NoError, TopicAlreadyExistsError):
        return
    if error is TopicAuthorizationFailedError:
        if not await missing_of(admin, [name]):
            return  # it exists, and the broker had not heard of it
        why = refusal(error(name), settings, permission="DESCRIBE")
        raise TopicError(f"Topic {name} does not exist or is not visible: {why} (and CREATE).")
    if brokers_away(error(name)):
        raise error(name)
    raise TopicError(
        f"Topic {name} can't be created with {partitions} partitions and "
        f"DEDUP_REPLICATION_FACTOR={replicas}: {error.__name__} "
        f"{reason[0] if reason and reason[0] else ''}".rstrip()
    )


async def _check(admin: AIOKafkaAdminClient, settings: Settings) -> TopicFacts:
    source, states = settings.KAFKA_PRODUCT_TOPIC, settings.KAFKA_SRC_PRODUCTS_TOPIC
    partitions = await partitions_of(admin, list(topic_configs(settings)))
    number = partitions[source].number
    if number != partitions[states].number:
        raise TopicError(
            f"{states} has {partitions[states].number} partitions and {source} has {number}. They "
            "must be equal: a product's state is kept in the partition of its events. Set "
            f"KAFKA_SRC_PRODUCTS_TOPIC to a new name (it is then created with {number} "
            f"partitions) or recreate {states}."
        )
    config = await _states_config(admin, settings)
    letters = settings.KAFKA_DLQ_TOPIC
    letters_config = await _readable_config(admin, letters, settings)
    faults = [
        *write_faults(states, config),
        *dead_letter_faults(letters, letters_config),
        *write_faults(letters, letters_config),
    ]
    if faults:
        raise TopicError(" ".join(faults))
    cluster = await admin.describe_cluster()
    return TopicFacts(
        cluster_id=cluster.get("cluster_id"),
        partitions=number,
        delete_retention_ms=int(config.get("delete.retention.ms", DAY_MS)),
        states_batch_bytes=largest_batch(config),
        letters_batch_bytes=largest_batch(letters_config),
        letters_partitions=partitions[letters].number,
        warnings=(
            *write_warnings(states, config, partitions[states].replicas),
            *write_warnings(letters, letters_config, partitions[letters].replicas),
            *dead_letter_warnings(letters, letters_config),
        ),
    )


async def _states_config(admin: AIOKafkaAdminClient, settings: Settings) -> Mapping[str, str]:
    """Return the configuration of the output topic, which must be compacted."""
    states = settings.KAFKA_SRC_PRODUCTS_TOPIC
    config = await _readable_config(admin, states, settings)
    policy = config.get("cleanup.policy", "")
    if policy != "compact":
        raise TopicError(
            f"{states} has cleanup.policy={policy}. It must be compact, or states expire. "
            f"Change it: kafka-configs.sh --alter --entity-type topics --entity-name "
            f"{states} --add-config cleanup.policy=compact"
        )
    return config


async def _readable_config(
    admin: AIOKafkaAdminClient, topic: str, settings: Settings
) -> Mapping[str, str]:
    """Return the configuration of a topic. Raises TopicError without the permission."""
    try:
        return await _config(admin, topic)
    except TopicAuthorizationFailedError as error:
        why = refusal(error, settings, permission="DESCRIBE_CONFIGS")
        raise TopicError(f"The configuration of a topic can't be read: {why}") from error


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
                raise TopicError(f"The configuration of {topic} can't be read: {message}")
            entries |= {entry[0]: entry[1] for entry in configs}
    return entries
