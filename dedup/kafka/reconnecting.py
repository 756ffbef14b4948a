"""Connects, reconnects and asks for metadata in bounded time and with pauses.

aiokafka reconnects at once where a connection failed: thousands of attempts a second while a broker
is down, each a line in the log. While a partition has no leader it asks the other brokers for
metadata as often. A broker that does not answer at all, such as one whose host is down, is waited
for as long as for a request, while the client connects to no other. There is no setting for any of
it, so `client.adjust_aiokafka` wraps what is here around parts of aiokafka, once for all clients of
the process. It also notes which brokers are unreachable, and when one last answered.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from functools import wraps
from time import monotonic
from typing import Any, Final
from weakref import WeakKeyDictionary

from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError, KafkaError
from aiokafka.protocol.metadata import MetadataRequest

FIRST_PAUSE_S: Final = 0.05
LONGEST_PAUSE_S: Final = 1.0
"""As of Kafka's own clients: `reconnect.backoff.ms` and `reconnect.backoff.max.ms`."""

METADATA_PAUSE_S: Final = 0.1
"""As of Kafka's own clients: `retry.backoff.ms`."""

CONNECT_WITHIN_S: Final = 10.0
"""How long a broker may take to accept a connection and to answer on it.

As of Kafka's own clients: `socket.connection.setup.timeout.ms`.
"""

METADATA_WITHIN_S: Final = 10.0
"""How long a broker may take to answer a request for metadata. Then another one is asked.

And how long a client that starts waits for metadata that lists a broker.
"""


@dataclass
class Brokers:
    """What the clients of this process know of the brokers."""

    unreachable: set[str] = field(default_factory=set)
    """`host:port` of each that could not be connected to at the last attempt."""

    answered_at: float = field(default_factory=monotonic)
    """When one of them answered last, on the monotonic clock."""


brokers: Final = Brokers()

_failed: Final[WeakKeyDictionary[AIOKafkaClient, dict[Any, tuple[int, float]]]] = (
    WeakKeyDictionary()
)
"""By client and broker: how many attempts failed in a row, and the earliest time of the next."""


def pausing(connect: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Return `AIOKafkaClient._get_conn` with a growing pause after each failed attempt."""

    @wraps(connect)
    async def connect_after_a_pause(client: AIOKafkaClient, node_id: Any, **options: Any) -> Any:
        failed = _failed.setdefault(client, {})
        attempts, earliest = failed.get(node_id, (0, 0.0))
        if (pause := earliest - monotonic()) > 0:
            await asyncio.sleep(pause)
        connection = await connect(client, node_id, **options)
        broker = client.cluster.broker_metadata(node_id)
        name = f"{broker.host}:{broker.port}" if broker is not None else None
        if connection is not None:
            failed.pop(node_id, None)
            brokers.unreachable.discard(name or "")
            return connection
        pause = min(FIRST_PAUSE_S * 2 ** min(attempts, 10), LONGEST_PAUSE_S)
        failed[node_id] = (attempts + 1, monotonic() + pause)
        if name is not None:
            brokers.unreachable.add(name)
        return None

    return connect_after_a_pause


def asking(update: Callable[..., Awaitable[bool]]) -> Callable[..., Awaitable[bool]]:
    """Return `AIOKafkaClient._metadata_update` with a pause after one that will be repeated."""

    @wraps(update)
    async def update_and_pause(client: AIOKafkaClient, cluster: Any, topics: Any) -> bool:
        updated = await update(client, cluster, topics)
        if not updated or _lacks_a_leader(cluster, topics):
            await asyncio.sleep(METADATA_PAUSE_S)
        return updated

    return update_and_pause


def _lacks_a_leader(cluster: Any, topics: Collection[str] | None) -> bool:
    """Return whether a topic is unknown, or a partition of one has no leader."""
    for topic in topics or cluster.topics():
        partitions = cluster.partitions_for_topic(topic)
        leaders = (cluster.leader_for_partition(TopicPartition(topic, p)) for p in partitions or ())
        if partitions is None or -1 in leaders:
            return True
    return False


def listing(bootstrap: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """Return `AIOKafkaClient.bootstrap`, which waits for metadata that lists a broker.

    The metadata of a broker that has just started may list none, not even itself. aiokafka accepts
    it, and `coordinator_lookup` then raises AssertionError. Raises KafkaConnectionError after
    `METADATA_WITHIN_S`.
    """

    @wraps(bootstrap)
    async def bootstrap_and_wait(client: AIOKafkaClient) -> None:
        await bootstrap(client)
        until = monotonic() + METADATA_WITHIN_S
        while not client.cluster.brokers():
            if monotonic() > until:
                await client.close()
                raise KafkaConnectionError(f"The metadata of {client.hosts} lists no broker")
            await client.force_metadata_update()

    return bootstrap_and_wait


def bounded(create: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Return `create_conn`, which raises TimeoutError after `CONNECT_WITHIN_S`."""

    @wraps(create)
    async def create_in_time(*address: Any, **options: Any) -> Any:
        async with asyncio.timeout(CONNECT_WITHIN_S):
            return await create(*address, **options)

    return create_in_time


def refreshing(ask: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Return `Fetcher._proc_offset_request`, which asks for metadata when a leader has moved.

    aiokafka asks the broker that led the partition again and again, and fetches nothing from it
    meanwhile: until it asks for metadata anyway, which is every five minutes.
    """

    @wraps(ask)
    async def ask_and_refresh(fetcher: Any, node_id: Any, topics: Any) -> Any:
        try:
            return await ask(fetcher, node_id, topics)
        except KafkaError as error:
            if error.invalid_metadata:
                fetcher._client.force_metadata_update()  # noqa: SLF001 - there is no seam
            raise

    return ask_and_refresh


def giving_up(send: Callable[..., Any]) -> Callable[..., Any]:
    """Return `AIOKafkaConnection.send`, which renews a connection that is silent about metadata.

    aiokafka waits for 40 s, keeps the connection, and knows of no new leader meanwhile.
    """

    @wraps(send)
    def send_in_time(
        connection: AIOKafkaConnection, request: Any, expect_response: bool = True
    ) -> Any:
        answer = send(connection, request, expect_response)
        return _in_time(connection, answer) if isinstance(request, MetadataRequest) else answer

    return send_in_time


async def _in_time(connection: AIOKafkaConnection, answer: Awaitable[Any]) -> Any:
    try:
        async with asyncio.timeout(METADATA_WITHIN_S):
            return await answer
    except TimeoutError:
        connection.close(reason=CloseReason.CONNECTION_TIMEOUT)
        raise


def noting(handle: Callable[..., Any]) -> Callable[..., Any]:
    """Return `AIOKafkaConnection._handle_frame`, which notes the time of each answer too."""

    @wraps(handle)
    def handle_and_note(connection: AIOKafkaConnection, response: bytes) -> Any:
        brokers.answered_at = monotonic()
        return handle(connection, response)

    return handle_and_note
