"""Why a cluster can't be used although a bootstrap server answers, and the cure.

Clients also need the advertised addresses, leaders of the partitions, and the internal topics of
groups and transactions. All of it is asked over one connection to a bootstrap server, which needs
none of them.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from aiokafka.admin.config_resource import ConfigResourceType
from aiokafka.conn import AIOKafkaConnection, collect_hosts
from aiokafka.errors import KafkaError, NoError, for_code
from aiokafka.protocol.admin import DescribeConfigsRequest
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.metadata import MetadataRequest

from dedup.kafka.connecting import connected, connection_fault
from dedup.kafka.settings import KafkaSettings
from dedup.settings import Settings

_GROUP, _TRANSACTION = 0, 1
_MIN_ISR: Final = "min.insync.replicas"
_INTERNAL: Final = {
    _GROUP: ("__consumer_offsets", "offsets.topic"),
    _TRANSACTION: ("__transaction_state", "transaction.state.log"),
}
"""The internal topic of each kind of coordinator, and the prefix of its broker settings."""

CREATED_WITHIN_S: Final = 10.0
"""How long the brokers may take to create an internal topic."""


async def diagnose(settings: KafkaSettings, topics: Sequence[str] = ()) -> str | None:
    """Return what keeps clients from using the cluster; None when nothing is found.

    Takes at most some seconds for each broker, and `CREATED_WITHIN_S` for each internal topic.
    """
    fault = await connection_fault(settings)
    if fault is not None:
        return fault.message
    arguments = settings.kafka_client()
    servers = collect_hosts(arguments.pop("bootstrap_servers"), randomize=False)
    for host, port, _ in servers:
        try:
            async with connected(host, port, arguments) as broker:
                return await _unusable(broker, settings, topics)
        except (KafkaError, OSError):  # TimeoutError is an OSError
            continue
    return None


async def _unusable(
    broker: AIOKafkaConnection, settings: KafkaSettings, topics: Sequence[str]
) -> str | None:
    cluster = await broker.send(MetadataRequest(None))
    partitions = {topic: parts for _, topic, _, parts in cluster.topics}
    for topic in topics:
        leaderless = sorted(p[1] for p in partitions.get(topic, ()) if p[2] < 0)
        if leaderless:
            return (
                f"The partitions {leaderless} of {topic} have no leader: the brokers with their "
                "replicas are down. Start those brokers."
            )
    if not isinstance(settings, Settings):  # it has no group and no transactions
        return None
    group = settings.DEDUP_APP_ID
    for kind, key in ((_GROUP, group), (_TRANSACTION, f"{group}-{settings.KAFKA_PRODUCT_TOPIC}-0")):
        if not await _has_coordinator(broker, key, kind):
            return _without_coordinator(kind, len(cluster.brokers))
    return await _unwritable(broker)


async def _has_coordinator(broker: AIOKafkaConnection, key: str, kind: int) -> bool:
    """Return whether a coordinator is found; the first use creates its topic, which takes time."""
    give_up_at = asyncio.get_running_loop().time() + CREATED_WITHIN_S
    while True:
        answer = await broker.send(FindCoordinatorRequest(key, kind))
        if not for_code(answer.error_code).retriable:
            return True  # found, or refused, which is explained elsewhere
        if asyncio.get_running_loop().time() > give_up_at:
            return False
        await asyncio.sleep(0.2)


def _without_coordinator(kind: int, brokers: int) -> str:
    what = "consumer groups" if kind == _GROUP else "transactions"
    topic, setting = _INTERNAL[kind]
    return (
        f"The brokers answer, but have no coordinator for {what}: their internal topic {topic} "
        f"can't be created, or its brokers are down. Live brokers: {brokers}. Set {setting}."
        f"replication.factor to at most that (the default is 3), or start the missing brokers."
    )


async def _unwritable(broker: AIOKafkaConnection) -> str | None:
    """Return why no transaction can be logged: too few replicas are in sync."""
    topic, setting = _INTERNAL[_TRANSACTION]
    resource = (int(ConfigResourceType.TOPIC), topic, [_MIN_ISR])
    ((code, _, _, _, entries),) = (await broker.send(DescribeConfigsRequest([resource]))).resources
    if for_code(code) is not NoError:
        return None  # such as without the permission
    needed = max((int(entry[1]) for entry in entries if entry[0] == _MIN_ISR), default=1)
    ((_, _, _, partitions),) = (await broker.send(MetadataRequest([topic]))).topics
    fewest = min((len(in_sync) for _, _, _, _, in_sync, *_ in partitions), default=needed)
    if fewest >= needed:
        return None
    return (
        f"The brokers answer, but can't log transactions: {topic} has {fewest} replicas in sync "
        f"and {_MIN_ISR}={needed}. Start the missing brokers, or lower {setting}.min.isr of the "
        f"brokers and {_MIN_ISR} of that topic (kafka-configs.sh --alter --entity-type topics "
        f"--entity-name {topic} --add-config {_MIN_ISR}={fewest})."
    )
