"""What brokers list of topics.

Any broker answers, and some hear of a new topic later than others: what is not listed is asked for
again.
"""

import asyncio
from collections.abc import Sequence
from typing import Final, NamedTuple

from aiokafka.admin import AIOKafkaAdminClient

from dedup.kafka.admin import BrokersAwayError

VISIBLE_TIMEOUT_S: Final = 15.0

_LOOKS_AFTER_S: Final = (0.0, 0.2, 0.8)


class Partitions(NamedTuple):
    """The number of a topic's partitions, and of the replicas that each has at least."""

    number: int
    replicas: int


async def partitions_of(admin: AIOKafkaAdminClient, topics: Sequence[str]) -> dict[str, Partitions]:
    """Return the partitions of topics that exist, once they are all listed.

    Raises KafkaError, BrokersAwayError.
    """
    deadline = asyncio.get_running_loop().time() + VISIBLE_TIMEOUT_S
    while True:
        found = {
            topic["topic"]: Partitions(
                len(topic["partitions"]), min(len(each["replicas"]) for each in topic["partitions"])
            )
            for topic in await admin.describe_topics(list(topics))
            if topic["error_code"] == 0
        }
        if set(found) == set(topics):
            return found
        if asyncio.get_running_loop().time() > deadline:
            missing = ", ".join(sorted(set(topics) - set(found)))
            raise BrokersAwayError(f"The cluster does not list the topics {missing}.")
        await asyncio.sleep(0.2)


async def missing_of(admin: AIOKafkaAdminClient, topics: Sequence[str]) -> list[str]:
    """Return which of the topics no answer lists. Raises KafkaError."""
    missing = list(topics)
    for pause_s in _LOOKS_AFTER_S:
        await asyncio.sleep(pause_s)
        existing = await admin.list_topics()
        missing = [topic for topic in missing if topic not in existing]
        if not missing:
            break
    return missing
