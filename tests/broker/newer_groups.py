"""Members of groups of the newer kinds, which aiokafka has no requests for.

`consumer`: those of consumers with `group.protocol=consumer` (KIP-848). `share`: share groups
(KIP-932), which a broker has with the feature `share.version=1`.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal
from uuid import uuid4

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.protocol.types import CompactArray, Int16, Int32

from dedup.kafka.requests import TEXT, OneVersion, declare

_ANSWER = (
    ("throttle_time_ms", Int32),
    ("error_code", Int16),
    ("error_message", TEXT),
    ("member_id", TEXT),
    ("member_epoch", Int32),
)
_CONSUMER_HEARTBEAT = declare(
    68,
    0,
    request=(
        ("group", TEXT),
        ("member_id", TEXT),
        ("member_epoch", Int32),
        ("instance_id", TEXT),
        ("rack_id", TEXT),
        ("rebalance_timeout_ms", Int32),
        ("topics", CompactArray(TEXT)),
        ("assignor", TEXT),
        ("owned", CompactArray(Int32)),
    ),
    response=_ANSWER,
)
_SHARE_HEARTBEAT = declare(
    76,
    1,
    request=(
        ("group", TEXT),
        ("member_id", TEXT),
        ("member_epoch", Int32),
        ("rack_id", TEXT),
        ("topics", CompactArray(TEXT)),
    ),
    response=_ANSWER,
)
_COORDINATOR_STARTS = (14, 15, 16)


def _heartbeat(group: str, topic: str, kind: Literal["consumer", "share"]) -> OneVersion:
    if kind == "consumer":
        values = [group, "", 0, None, None, 60_000, [topic], None, []]
        return OneVersion(_CONSUMER_HEARTBEAT, *values)
    return OneVersion(_SHARE_HEARTBEAT, group, str(uuid4()), 0, None, [topic])


@asynccontextmanager
async def member(
    kafka: str, group: str, topic: str, kind: Literal["consumer", "share"]
) -> AsyncIterator[None]:
    """Have a member join; it stays for the session timeout, 45 s, without another heartbeat."""
    heartbeat = _heartbeat(group, topic, kind)
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        async with asyncio.timeout(30):
            await _join(admin, group, heartbeat)
        yield
    finally:
        await admin.close()


async def _join(admin: AIOKafkaAdminClient, group: str, heartbeat: OneVersion) -> None:
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
