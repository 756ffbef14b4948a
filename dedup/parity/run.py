"""What `dedup parity` does: bound, run the reference, read both topics, compare, print."""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import click
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError

from dedup.core.errors import ExplainedError
from dedup.core.row import SOURCE_HEADER
from dedup.demo.topics import read_topic
from dedup.kafka.connecting import connection_fault
from dedup.kafka.consumer import committed_consumer
from dedup.kafka.topics import check_topics
from dedup.parity.compare import Difference, Story, differences, stories
from dedup.parity.engine import run_flink
from dedup.settings import Settings

Offsets = dict[int, int]
"""The offset after the last event that counts, by partition."""


class ParityError(ExplainedError):
    """The topics can't be compared; the text is a sentence."""


async def compare(settings: Settings, *, show: int, parallelism: int) -> int:
    """Compare and print; give the number of products that differ. Raises ParityError."""
    if (fault := await connection_fault(settings)) is not None:
        raise ParityError(fault.sentence)
    try:
        return await _compare(settings, show, parallelism)
    except (KafkaError, TimeoutError) as error:
        raise ParityError(f"The topics can't be read: {error or type(error).__name__}") from error


async def _compare(settings: Settings, show: int, parallelism: int) -> int:
    partitions = (await check_topics(settings)).partitions
    settings = settings.model_copy(update={"DEDUP_PARTITIONS": partitions})
    until = await _committed(settings, partitions)
    if not any(until.values()):
        raise ParityError(
            f"The group {settings.DEDUP_APP_ID} has committed nothing of "
            f"{settings.KAFKA_PRODUCT_TOPIC}: run the worker first, or set "
            "DEDUP_APP_ID to its group."
        )
    async with _scratch_topic(settings) as scratch:
        click.echo(f"Running Flink on {sum(until.values()):,} offsets ...")
        bound = ";".join(f"partition:{p},offset:{offset}" for p, offset in until.items())
        await asyncio.to_thread(
            run_flink,
            {**os.environ, "KAFKA_SRC_PRODUCTS_TOPIC": scratch, "FLINK_GROUP_ID": scratch},
            until=bound,
            options=("--parallelism", str(parallelism)),
        )
        flink = stories(await read_topic(settings, scratch))
    records = await read_topic(settings, settings.KAFKA_SRC_PRODUCTS_TOPIC)
    worker = stories(record for record in records if _counts(record.headers, until))
    found = differences(worker, flink, compacted=True)
    _print(found[:show])
    click.echo(
        f"{len(flink):,} products by Flink, {len(worker):,} on "
        f"{settings.KAFKA_SRC_PRODUCTS_TOPIC}: {len(found) or 'none'} of them differ."
    )
    return len(found)


async def _committed(settings: Settings, partitions: int) -> Offsets:
    """Return what the worker's group has done of each partition of the source."""
    async with committed_consumer(settings, group_id=settings.DEDUP_APP_ID) as consumer:
        topic = settings.KAFKA_PRODUCT_TOPIC
        return {
            partition: await consumer.committed(TopicPartition(topic, partition)) or 0
            for partition in range(partitions)
        }


def _counts(headers: Iterable[tuple[str, bytes]], until: Mapping[int, int]) -> bool:
    """Whether a record comes of an event before the bound; one without a source does."""
    source = dict(headers).get(SOURCE_HEADER)
    if source is None:
        return True
    try:
        partition, offset = map(int, source.split(b"/"))
    except ValueError:  # somebody else's header
        return True
    return offset < until.get(partition, 0)


@asynccontextmanager
async def _scratch_topic(settings: Settings) -> AsyncIterator[str]:
    """A topic for Flink's output, removed in the end."""
    name = f"{settings.KAFKA_SRC_PRODUCTS_TOPIC}.parity-{uuid.uuid4().hex[:8]}"
    admin = AIOKafkaAdminClient(**settings.kafka_client())
    await admin.start()
    try:
        await admin.create_topics(
            [NewTopic(name, settings.DEDUP_PARTITIONS, settings.DEDUP_REPLICATION_FACTOR)]
        )
        try:
            yield name
        finally:
            await admin.delete_topics([name])
    finally:
        await admin.close()


def _print(found: Iterable[Difference]) -> None:
    for difference in found:
        click.echo(f"product {difference.product_id}")
        click.echo(f"  worker  {_told(difference.worker)}")
        click.echo(f"  Flink   {_told(difference.flink)}")


def _told(story: Story) -> str:
    return " | ".join(_row(row) for row in story) or "nothing"


def _row(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return "tombstone"
    return (
        f"{row['last_event_id']}: {row['product_name']}, {row['price']}, "
        f"stock {row['stock_quantity']}, discount {row['discount']}"
    )
