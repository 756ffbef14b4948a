"""Which settings of a topic make brokers reject a record of the worker, or delete it early. Pure.

Each function takes a topic's configuration as Kafka describes it: where the topic has no value of
its own, it is the broker's.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from dedup.core.dead_letter import SMALLEST_LIMIT_BYTES

DAY_MS: Final = 24 * 60 * 60 * 1000
DEFAULT_MAX_BYTES: Final = 1_048_588
"""`max.message.bytes` of Kafka."""

RETRIED_FOR_MS: Final = 120_000
"""How long a write is retried with its first timestamp."""

_SMALL_TOPIC_BYTES: Final = 64 * 1024 * 1024
_TIME_LIMITS: Final = (
    "message.timestamp.before.max.ms",
    "message.timestamp.after.max.ms",
    "message.timestamp.difference.max.ms",  # of brokers before 4.0
)

Config = Mapping[str, str]


def largest_batch(config: Config) -> int:
    """Return the size of the largest record batch that the topic accepts."""
    most = int(config.get("max.message.bytes", DEFAULT_MAX_BYTES))
    return min(most, int(config.get("segment.bytes", most)))


def write_faults(topic: str, config: Config) -> Iterator[str]:
    """Return what makes brokers reject the worker's records on this topic, with the cure."""
    if largest_batch(config) < SMALLEST_LIMIT_BYTES:
        yield _altered(
            topic, "max.message.bytes", str(largest_batch(config)), "no record fits", "1048588"
        )
    if config.get("message.timestamp.type") == "LogAppendTime":
        return
    for name in _TIME_LIMITS:
        limit = int(config.get(name, RETRIED_FOR_MS))
        if limit < RETRIED_FOR_MS:
            yield _altered(
                topic,
                name,
                str(limit),
                "brokers reject a write that is retried for two minutes, or comes from a clock "
                "that differs as much",
                "3600000",
            )


def write_warnings(topic: str, config: Config, replicas: int) -> Iterator[str]:
    """Return what makes some brokers reject the worker's records on this topic.

    Current brokers require no more in-sync replicas than there are replicas; older ones do.
    """
    insync = int(config.get("min.insync.replicas", 1))
    if insync > replicas:
        why = f"the replication factor is {replicas}, so brokers may acknowledge no write"
        yield _altered(topic, "min.insync.replicas", str(insync), why, str(replicas))


def dead_letter_faults(topic: str, config: Config) -> Iterator[str]:
    """Return what makes brokers reject dead letters in particular."""
    policy = config.get("cleanup.policy", "delete")
    if "compact" in policy:
        why = "it rejects events without a key, and keeps only the newest of each key"
        yield _altered(topic, "cleanup.policy", policy, why, "delete")


def dead_letter_warnings(topic: str, config: Config) -> Iterator[str]:
    """Return what deletes dead letters before anybody has looked at them."""
    retention = int(config.get("retention.ms", -1))
    if 0 <= retention < DAY_MS:
        why = "dead letters are deleted within a day"
        yield _altered(topic, "retention.ms", str(retention), why, str(14 * DAY_MS))
    size = int(config.get("retention.bytes", -1))
    if 0 <= size < _SMALL_TOPIC_BYTES:
        why = "the oldest dead letters are deleted once a partition holds more"
        yield _altered(topic, "retention.bytes", str(size), why, "-1")


def _altered(topic: str, name: str, value: str, why: str, better: str) -> str:
    return (
        f"{topic} has {name}={value}: {why}. Change it: kafka-configs.sh --alter --entity-type "
        f"topics --entity-name {topic} --add-config {name}={better}"
    )
