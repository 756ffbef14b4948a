"""Questions to the coordinator of the consumer group: may we join, who owns which partition?"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import ConsumerProtocol
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    GroupCoordinatorNotAvailableError,
    KafkaError,
    for_code,
)
from aiokafka.protocol.group import HeartbeatRequest

from dedup.kafka.admin import admin_client, waits_for_brokers
from dedup.kafka.client import adjust_aiokafka
from dedup.settings import Settings

ANSWER_WITHIN_S: Final = 10.0
COORDINATOR_WITHIN_S: Final = 15.0


@waits_for_brokers
async def check_group(settings: Settings) -> None:
    """Check that the user may join the group; aiokafka would retry that for ever, silently.

    Raises TopicError. A heartbeat of an unknown member needs the same permission, and changes
    nothing.
    """
    group = settings.DEDUP_APP_ID
    async with admin_client(settings) as admin:
        deadline = asyncio.get_running_loop().time() + COORDINATOR_WITHIN_S
        while True:
            try:
                node = await admin.find_coordinator(group)
                break
            except GroupCoordinatorNotAvailableError:  # the first group: its topic is created now
                if asyncio.get_running_loop().time() > deadline:
                    raise
                await asyncio.sleep(0.2)
        answer = await admin._send_request(HeartbeatRequest(group, 0, "nobody"), node)  # noqa: SLF001
        if for_code(answer.error_code) is GroupAuthorizationFailedError:
            raise GroupAuthorizationFailedError(group)


async def unowned_partitions(settings: Settings, partitions: int) -> list[int]:
    """Return the partitions of the source topic that no member of a stable group owns.

    Returns none while the group rebalances or the brokers are unavailable: nothing is known then.
    """
    try:
        async with _asked(settings) as admin:
            (answer,) = await admin.describe_consumer_groups([settings.DEDUP_APP_ID])
    except (KafkaError, OSError):  # TimeoutError is an OSError
        return []
    ((error_code, _group, state, _type, _protocol, members, *_rest),) = answer.groups
    if error_code != 0 or state != "Stable":
        return []
    owned: set[int] = set()
    for _id, *_who, assignment in members:
        owned |= _source_partitions(assignment, settings.KAFKA_PRODUCT_TOPIC)
    return sorted(set(range(partitions)) - owned)


async def is_of_another_type(settings: Settings) -> bool:
    """Return whether the group is of a type that a worker can't join.

    Such are share groups, and those of consumers with `group.protocol=consumer`. Brokers list such
    a group, but describe it to this client as one that does not exist.
    """
    group = settings.DEDUP_APP_ID
    try:
        async with _asked(settings) as admin:
            (answer,) = await admin.describe_consumer_groups([group])
            listed = await admin.list_consumer_groups()
    except (KafkaError, OSError):  # TimeoutError is an OSError
        return False
    state = answer.groups[0][2]
    return state == "Dead" and group in {name for name, *_ in listed}


@asynccontextmanager
async def _asked(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    """Connect without retries, for at most `ANSWER_WITHIN_S`. Raises KafkaError, OSError."""
    adjust_aiokafka()
    admin = AIOKafkaAdminClient(**settings.kafka_client())
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            await admin.start()
            yield admin
    finally:
        await admin.close()


def _source_partitions(assignment: bytes, topic: str) -> set[int]:
    """Return the partitions of a topic in the assignment of a member."""
    if not assignment:
        return set()
    assigned = ConsumerProtocol.ASSIGNMENT.decode(assignment).partitions()
    return {tp.partition for tp in assigned if tp.topic == topic}
