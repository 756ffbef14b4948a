"""What a group has committed, once no transaction is pending on it.

aiokafka speaks a version of Kafka's request that may answer with the offset from before a
transaction that has just ended (KIP-447), so that request stands here in version 7, which brokers
since 2.5 answer. Ignored types are aiokafka's, which ships none.
"""

import asyncio
from collections.abc import Collection
from typing import Final

from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.errors import GroupAuthorizationFailedError, for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Int64,
    Schema,
    TaggedFields,
)

UNSTABLE: Final = 88
"""The code that says that a transaction on a partition's offset is not over yet."""

ASK_AGAIN_S: Final = 0.02

_TEXT: Final = CompactString("utf-8")
_PARTITION: Final = (
    ("partition", Int32),
    ("offset", Int64),
    ("leader_epoch", Int32),
    ("metadata", _TEXT),
    ("error_code", Int16),
    ("tags", TaggedFields),
)
_FOUND: Final = (
    ("topic", _TEXT),
    ("partitions", CompactArray(*_PARTITION)),
    ("tags", TaggedFields),
)
_ASKED: Final = (("topic", _TEXT), ("partitions", CompactArray(Int32)), ("tags", TaggedFields))


class _OffsetFetchResponse(Response):  # type: ignore[misc]
    API_KEY = 9
    API_VERSION = 7
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("topics", CompactArray(*_FOUND)),
        ("error_code", Int16),
        ("tags", TaggedFields),
    )


class _OffsetFetchStruct(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = 9
    API_VERSION = 7
    RESPONSE_TYPE = _OffsetFetchResponse
    SCHEMA = Schema(
        ("group", _TEXT),
        ("topics", CompactArray(*_ASKED)),
        ("require_stable", Boolean),
        ("tags", TaggedFields),
    )


class _OffsetFetchRequest(Request[_OffsetFetchStruct]):  # type: ignore[misc]
    API_KEY = 9

    def __init__(self, group: str, topic: str, partitions: Collection[int]) -> None:
        self._group = group
        self._topics: list[tuple[str, list[int], dict[int, bytes]]] = [
            (topic, sorted(partitions), {})
        ]

    def build(self, request_struct_class: type[_OffsetFetchStruct]) -> _OffsetFetchStruct:
        return request_struct_class(self._group, self._topics, True, {})


async def stable_offsets(
    client: AIOKafkaClient, group: str, topic: str, partitions: Collection[int]
) -> dict[int, int]:
    """Return what the group has committed; partitions without it are left out.

    Waits while a transaction is pending on one of them. Raises KafkaError.
    """
    node = await client.coordinator_lookup(CoordinationType.GROUP, group)
    while True:
        response = await client.send(node, _OffsetFetchRequest(group, topic, partitions))
        found = [entry for _, entries, _ in response.topics for entry in entries]
        codes = {response.error_code, *(code for *_, code, _ in found)} - {0}
        if not codes:
            return {partition: offset for partition, offset, *_ in found if offset >= 0}
        if codes != {UNSTABLE}:
            error = for_code((codes - {UNSTABLE}).pop())
            raise error(group) if error is GroupAuthorizationFailedError else error()
        await asyncio.sleep(ASK_AGAIN_S)
