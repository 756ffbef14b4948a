"""Members of groups of the newer kinds, which aiokafka has no requests for.

`consumer`: those of consumers with `group.protocol=consumer` (KIP-848). `share`: share groups
(KIP-932), which a broker has with the feature `share.version=1`.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal
from uuid import uuid4

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

_TEXT = CompactString("utf-8")
_ANSWER = Schema(
    ("throttle_time_ms", Int32),
    ("error_code", Int16),
    ("error_message", _TEXT),
    ("member_id", _TEXT),
    ("member_epoch", Int32),
)
_COORDINATOR_STARTS = (14, 15, 16)


class _ConsumerAnswer(Response):  # type: ignore[misc] # aiokafka ships no types, here and below
    API_KEY = 68
    API_VERSION = 0
    SCHEMA = _ANSWER


class _ConsumerStruct(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = 68
    API_VERSION = 0
    RESPONSE_TYPE = _ConsumerAnswer
    SCHEMA = Schema(
        ("group", _TEXT),
        ("member_id", _TEXT),
        ("member_epoch", Int32),
        ("instance_id", _TEXT),
        ("rack_id", _TEXT),
        ("rebalance_timeout_ms", Int32),
        ("topics", CompactArray(_TEXT)),
        ("assignor", _TEXT),
        ("owned", CompactArray(Int32)),
        ("tags", TaggedFields),
    )


class _ConsumerHeartbeat(Request[_ConsumerStruct]):  # type: ignore[misc]
    API_KEY = 68

    def __init__(self, group: str, topic: str) -> None:
        self._group, self._topic = group, topic

    def build(self, request_struct_class: type[_ConsumerStruct]) -> _ConsumerStruct:
        return request_struct_class(
            self._group, "", 0, None, None, 60_000, [self._topic], None, [], {}
        )


class _ShareAnswer(Response):  # type: ignore[misc]
    API_KEY = 76
    API_VERSION = 1
    SCHEMA = _ANSWER


class _ShareStruct(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = 76
    API_VERSION = 1
    RESPONSE_TYPE = _ShareAnswer
    SCHEMA = Schema(
        ("group", _TEXT),
        ("member_id", _TEXT),
        ("member_epoch", Int32),
        ("rack_id", _TEXT),
        ("topics", CompactArray(_TEXT)),
        ("tags", TaggedFields),
    )


class _ShareHeartbeat(Request[_ShareStruct]):  # type: ignore[misc]
    API_KEY = 76

    def __init__(self, group: str, topic: str) -> None:
        self._group, self._topic, self._member = group, topic, str(uuid4())

    def build(self, request_struct_class: type[_ShareStruct]) -> _ShareStruct:
        return request_struct_class(self._group, self._member, 0, None, [self._topic], {})


@asynccontextmanager
async def member(
    kafka: str, group: str, topic: str, kind: Literal["consumer", "share"]
) -> AsyncIterator[None]:
    """Have a member join; it stays for the session timeout, 45 s, without another heartbeat."""
    heartbeat: Any = (_ConsumerHeartbeat if kind == "consumer" else _ShareHeartbeat)(group, topic)
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        async with asyncio.timeout(30):
            await _join(admin, group, heartbeat)
        yield
    finally:
        await admin.close()


async def _join(admin: AIOKafkaAdminClient, group: str, heartbeat: Any) -> None:
    while True:
        try:
            node = await admin.find_coordinator(group)
        except KafkaError:  # a cluster's first group: its topic is being made
            await asyncio.sleep(0.2)
            continue
        answer = await admin._send_request(heartbeat, node)
        if answer.error_code not in _COORDINATOR_STARTS:
            assert answer.error_code == 0, answer
            return
        await asyncio.sleep(0.2)
