"""Which settings of a topic keep a record of the worker's from being written, or lose it. Pure.

Each function looks at settings as Kafka describes them: those of the topic, or the broker's where
the topic has none.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from dedup.core.deadletter import SMALLEST_LIMIT_BYTES

DAY_MS: Final = 24 * 60 * 60 * 1000
DEFAULT_MAX_BYTES: Final = 1_048_588
"""`max.message.bytes` of Kafka."""

RETRIED_FOR_MS: Final = 120_000
"""How long a write is retried with the time it was first tried at."""

_SMALL_TOPIC_BYTES: Final = 64 * 1024 * 1024
_TIME_LIMITS: Final = (
    "message.timestamp.before.max.ms",
    "message.timestamp.after.max.ms",
    "message.timestamp.difference.max.ms",  # of brokers before 4.0
)

Config = Mapping[str, str]


def largest_batch(config: Config) -> int:
    """Return the size of the largest record batch that the topic takes."""
    most = int(config.get("max.message.bytes", DEFAULT_MAX_BYTES))
    return min(most, int(config.get("segment.bytes", most)))


def write_faults(topic: str, config: Config) -> Iterator[str]:
    """Name what makes brokers refuse a record of the worker's on this topic, with the cure."""
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
                "a write that is retried for two minutes, or a clock that differs as much, is "
                "refused then",
                "3600000",
            )


def write_warnings(topic: str, config: Config, replicas: int) -> Iterator[str]:
    """Name what makes some brokers refuse a record of the worker's on this topic.

    Brokers of today take the number of replicas for the smaller of the two; older ones do not.
    """
    insync = int(config.get("min.insync.replicas", 1))
    if insync > replicas:
        why = f"a partition has {replicas} of them, and brokers may acknowledge no write"
        yield _altered(topic, "min.insync.replicas", str(insync), why, str(replicas))


def letter_faults(topic: str, config: Config) -> Iterator[str]:
    """Name what makes brokers refuse a dead letter in particular."""
    policy = config.get("cleanup.policy", "delete")
    if "compact" in policy:
        why = "it refuses events without a key, and keeps of each key only the newest"
        yield _altered(topic, "cleanup.policy", policy, why, "delete")


def letter_warnings(topic: str, config: Config) -> Iterator[str]:
    """Name what takes dead letters off the topic before anybody has looked at them."""
    retention = int(config.get("retention.ms", -1))
    if 0 <= retention < DAY_MS:
        why = "dead letters are gone before a day has passed"
        yield _altered(topic, "retention.ms", str(retention), why, str(14 * DAY_MS))
    size = int(config.get("retention.bytes", -1))
    if 0 <= size < _SMALL_TOPIC_BYTES:
        why = "the oldest dead letters are gone once a partition holds more"
        yield _altered(topic, "retention.bytes", str(size), why, "-1")


def _altered(topic: str, name: str, value: str, why: str, better: str) -> str:
    return (
        f"{topic} has {name}={value}: {why}. Change it: kafka-configs.sh --alter --entity-type "
        f"topics --entity-name {topic} --add-config {name}={better}"
    )
