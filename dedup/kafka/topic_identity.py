"""The id of a topic: it changes when the topic is deleted and recreated under the same name.

aiokafka speaks a version of Kafka's metadata request that has no ids (KIP-516). Version 12 is
declared here; brokers since 3.1 answer it.
"""

from io import BytesIO
from typing import Final
from uuid import UUID

from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.abstract import AbstractType
from aiokafka.protocol.types import Boolean, CompactArray, Int16, Int32

from dedup.kafka.requests import TAGS, TEXT, OneVersion, declare

_NO_ID: Final = UUID(int=0)
_UUID_BYTES: Final = 16


class _Uuid(AbstractType[UUID]):  # type: ignore[misc]
    @classmethod
    def encode(cls, value: UUID) -> bytes:
        return value.bytes

    @classmethod
    def decode(cls, data: BytesIO) -> UUID:
        return UUID(bytes=data.read(_UUID_BYTES))


_INTEGERS: Final = CompactArray(Int32)
_PARTITION: Final = (
    ("error_code", Int16),
    ("partition", Int32),
    ("leader", Int32),
    ("leader_epoch", Int32),
    ("replicas", _INTEGERS),
    ("isr", _INTEGERS),
    ("offline_replicas", _INTEGERS),
    TAGS,
)
_TOPIC: Final = (
    ("error_code", Int16),
    ("topic", TEXT),
    ("topic_id", _Uuid),
    ("is_internal", Boolean),
    ("partitions", CompactArray(*_PARTITION)),
    ("authorized_operations", Int32),
    TAGS,
)
_BROKER: Final = (("node_id", Int32), ("host", TEXT), ("port", Int32), ("rack", TEXT), TAGS)
_METADATA: Final = declare(
    3,
    12,
    request=(
        ("topics", CompactArray(("topic_id", _Uuid), ("topic", TEXT), TAGS)),
        ("allow_auto_topic_creation", Boolean),
        ("include_topic_authorized_operations", Boolean),
    ),
    response=(
        ("throttle_time_ms", Int32),
        ("brokers", CompactArray(*_BROKER)),
        ("cluster_id", TEXT),
        ("controller_id", Int32),
        ("topics", CompactArray(*_TOPIC)),
    ),
)


async def topic_id_of(client: AIOKafkaClient, topic: str) -> UUID | None:
    """Return the id of a topic; None when there is none of that name. Raises KafkaError."""
    request = OneVersion(_METADATA, [(_NO_ID, topic, {})], False, False)
    response = await client.send(client.get_random_node(), request)
    ((error_code, _, topic_id, *_rest),) = response.topics
    return topic_id if error_code == 0 else None
