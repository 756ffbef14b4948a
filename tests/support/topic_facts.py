"""What a worker finds of its topics, for apps that are built without a broker."""

from dataclasses import replace
from typing import Any, Final

from dedup.core.decide import DAY_US
from dedup.kafka.topics import STATE_MAX_BYTES, TopicFacts

_AS_CREATED: Final = TopicFacts(
    cluster_id="cluster",
    partitions=4,
    delete_retention_ms=DAY_US // 1000,
    states_batch_bytes=STATE_MAX_BYTES,
    letters_batch_bytes=16 * 1024 * 1024,
    letters_partitions=4,
)


def topic_facts(**changes: Any) -> TopicFacts:
    """Return the facts of topics as the worker creates them, but for these changes."""
    return replace(_AS_CREATED, **changes)
