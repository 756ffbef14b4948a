"""An operator's changes to the topics of a broker."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAlreadyExistsError


@asynccontextmanager
async def admin(kafka: str) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await client.start()
    try:
        yield client
    finally:
        await client.close()


async def delete(client: AIOKafkaAdminClient, topic: str) -> None:
    """Delete a topic, and wait until the broker no longer has it.

    The deletion is acknowledged before that: what is written meanwhile is acknowledged too, and
    lost.
    """
    await client.delete_topics([topic])
    async with asyncio.timeout(60):
        while not (await client.describe_topics([topic]))[0]["error_code"]:
            await asyncio.sleep(0.05)


async def recreate(client: AIOKafkaAdminClient, topic: str, **configs: str) -> None:
    """Create a topic that is being deleted as soon as its name is free."""
    new = NewTopic(topic, 4, 1, topic_configs={k.replace("_", "."): v for k, v in configs.items()})
    async with asyncio.timeout(60):
        while (response := await client.create_topics([new])).topic_errors[0][1]:
            assert response.topic_errors[0][1] == TopicAlreadyExistsError.errno, response
            await asyncio.sleep(0.05)


async def alter(kafka: str, topic: str, **config: str) -> None:
    """Set the settings of a topic; those that are not named become the brokers' own."""
    configs = {name.replace("_", "."): value for name, value in config.items()}
    async with admin(kafka) as client:
        await client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs)])
