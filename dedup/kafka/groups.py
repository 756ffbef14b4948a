"""Who owns which partitions in a consumer group, as its coordinator says."""

import asyncio

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import ConsumerProtocol
from aiokafka.errors import KafkaError

from dedup.settings import Settings

ANSWER_WITHIN_S = 10.0


async def unowned_partitions(settings: Settings, partitions: int) -> list[int]:
    """Return the partitions of the source topic that no member of a stable group owns.

    None are returned while the group rebalances or can't be asked: nothing is known then.
    """
    group = settings.DEDUP_APP_ID
    admin = AIOKafkaAdminClient(**settings.kafka_client())
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            await admin.start()
            (answer,) = await admin.describe_consumer_groups([group])
    except (KafkaError, OSError):  # TimeoutError is an OSError
        return []
    finally:
        await admin.close()
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
    a group, and describe it to this client as one that is not there.
    """
    group = settings.DEDUP_APP_ID
    admin = AIOKafkaAdminClient(**settings.kafka_client())
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            await admin.start()
            (answer,) = await admin.describe_consumer_groups([group])
            listed = await admin.list_consumer_groups()
    except (KafkaError, OSError):  # TimeoutError is an OSError
        return False
    finally:
        await admin.close()
    state = answer.groups[0][2]
    return state == "Dead" and group in {name for name, *_ in listed}


def _source_partitions(assignment: bytes, topic: str) -> set[int]:
    """Return the partitions of a topic in the assignment of a member."""
    if not assignment:
        return set()
    assigned = ConsumerProtocol.ASSIGNMENT.decode(assignment).partitions()
    return {tp.partition for tp in assigned if tp.topic == topic}
