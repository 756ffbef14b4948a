"""An operator's changes to the topics of a broker.

The controller acknowledges a change before the broker shows it (KIP-500: it learns of it from the
metadata log): each function waits until the broker does, so what comes next meets the change.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAlreadyExistsError

WITHIN_S: Final = 60.0
SET_ON_THE_TOPIC: Final = 1
"""The source of a setting that is the topic's own, not the brokers' (KIP-226)."""


@asynccontextmanager
async def admin(kafka: str, **security: str) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=kafka, **security)
    await client.start()
    try:
        yield client
    finally:
        await client.close()


async def create(
    client: AIOKafkaAdminClient, topic: str, partitions: int = 4, /, **config: str
) -> None:
    """Create a topic."""
    response = await client.create_topics([_new(topic, partitions, config)])
    assert response.topic_errors[0][1] == 0, response
    await _until_it_has(client, topic, partitions)


async def recreate(client: AIOKafkaAdminClient, topic: str, **config: str) -> None:
    """Create a topic of four partitions as soon as its name is free: it is being deleted."""
    new = _new(topic, 4, config)
    async with asyncio.timeout(WITHIN_S):
        while (response := await client.create_topics([new])).topic_errors[0][1]:
            assert response.topic_errors[0][1] == TopicAlreadyExistsError.errno, response
            await asyncio.sleep(0.05)
    await _until_it_has(client, topic, 4)


async def delete(client: AIOKafkaAdminClient, topic: str) -> None:
    """Delete a topic: what is written before the broker knows is acknowledged too, and lost."""
    await client.delete_topics([topic])
    async with asyncio.timeout(WITHIN_S):
        while not (await client.describe_topics([topic]))[0]["error_code"]:
            await asyncio.sleep(0.05)


async def grow(client: AIOKafkaAdminClient, topic: str, partitions: int) -> None:
    """Add partitions to a topic until it has so many."""
    await client.create_partitions({topic: NewPartitions(partitions)})
    await _until_it_has(client, topic, partitions)


async def alter(kafka: str, topic: str, **config: str) -> None:
    """Set the settings of a topic; those that are not named become the brokers' own."""
    wanted = _settings(config)
    async with admin(kafka) as client, asyncio.timeout(WITHIN_S):
        await client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, wanted)])
        while await _own_settings(client, topic) != wanted:
            await asyncio.sleep(0.05)


def _settings(config: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "."): value for name, value in config.items()}


def _new(topic: str, partitions: int, config: Mapping[str, str]) -> NewTopic:
    return NewTopic(topic, partitions, 1, topic_configs=_settings(config))


async def _until_it_has(client: AIOKafkaAdminClient, topic: str, partitions: int) -> None:
    async with asyncio.timeout(WITHIN_S):
        while len((await client.describe_topics([topic]))[0]["partitions"]) != partitions:
            await asyncio.sleep(0.05)


async def _own_settings(client: AIOKafkaAdminClient, topic: str) -> dict[str, str]:
    answers: list[Any] = await client.describe_configs(
        [ConfigResource(ConfigResourceType.TOPIC, topic)]
    )
    settings = answers[0].resources[0][4]
    return {name: value for name, value, _, source, *_ in settings if source == SET_ON_THE_TOPIC}
