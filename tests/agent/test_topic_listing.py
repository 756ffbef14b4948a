"""Brokers that hear of a topic later than others: whichever answers, a topic that exists is found.

The answers are made up: how far a real broker lags can't be chosen.
"""

from collections.abc import Iterator
from typing import Any, cast

from aiokafka.admin import AIOKafkaAdminClient

from dedup.kafka.topic_listing import Partitions, missing_of, partitions_of

UNKNOWN_TOPIC = 3


class Answers:
    """An admin client each of whose answers is another broker's; the last one goes on."""

    def __init__(self, *known: set[str]) -> None:
        self._known = list(known)

    def _next(self) -> set[str]:
        return self._known.pop(0) if len(self._known) > 1 else self._known[0]

    async def list_topics(self) -> list[str]:
        return sorted(self._next())

    async def describe_topics(self, topics: list[str]) -> list[dict[str, Any]]:
        return list(self._described(topics, self._next()))

    @staticmethod
    def _described(topics: list[str], known: set[str]) -> Iterator[dict[str, Any]]:
        for topic in topics:
            if topic in known:
                partitions = [{"replicas": [1, 2, 3]}, {"replicas": [1, 2]}]
                yield {"topic": topic, "error_code": 0, "partitions": partitions}
            else:
                yield {"topic": topic, "error_code": UNKNOWN_TOPIC, "partitions": []}


def admin(*known: set[str]) -> AIOKafkaAdminClient:
    return cast("AIOKafkaAdminClient", Answers(*known))


async def test_the_partitions_of_a_new_topic_are_those_of_a_broker_that_knows_it() -> None:
    found = await partitions_of(admin({"a"}, set(), {"a", "b"}), ["a", "b"])
    assert found == {"a": Partitions(2, 2), "b": Partitions(2, 2)}


async def test_a_topic_is_missing_only_if_no_answer_lists_it() -> None:
    assert await missing_of(admin({"a"}, {"b"}, {"a"}), ["a", "b"]) == []
    assert await missing_of(admin({"a"}, {"a"}, {"a"}), ["a", "b", "c"]) == ["b", "c"]
