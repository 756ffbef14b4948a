"""Compares the worker's output with Flink's: runs the reference, reads both topics, prints."""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import click
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError

from dedup.core.errors import ExplainedError
from dedup.core.row import SOURCE_HEADER
from dedup.demo.topics import read_topic
from dedup.kafka.connecting import connection_fault
from dedup.kafka.offsets import committed_offsets
from dedup.kafka.topics import check_topics
from dedup.parity.compare import Difference, RowHistory, differences, row_histories
from dedup.parity.engine import run_flink
from dedup.settings import Settings

_STATES: Final = "KAFKA_SRC_PRODUCTS_TOPIC"

Offsets = dict[int, int]
"""The offset up to which events are compared, by partition."""


class ParityError(ExplainedError):
    """The topics can't be compared; the text explains why."""


async def compare(settings: Settings, *, show: int, parallelism: int) -> int:
    """Print the products that differ; return their number. Raises ParityError."""
    if (fault := await connection_fault(settings)) is not None:
        raise ParityError(fault.message)
    try:
        return await _compare(settings, show, parallelism)
    except (KafkaError, TimeoutError) as error:
        raise ParityError(f"The topics can't be read: {error or type(error).__name__}") from error


async def _compare(settings: Settings, show: int, parallelism: int) -> int:
    partitions = (await check_topics(settings)).partitions
    settings = settings.model_copy(update={"DEDUP_PARTITIONS": partitions})
    committed = await committed_offsets(settings, partitions)
    until: Offsets = {p: committed.get(p, 0) for p in range(partitions)}
    if not any(until.values()):
        raise ParityError(
            f"The group {settings.DEDUP_APP_ID} has committed no offset of "
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
        flink = row_histories(await read_topic(settings, scratch, _STATES))
    records = await read_topic(settings, settings.KAFKA_SRC_PRODUCTS_TOPIC, _STATES)
    worker = row_histories(record for record in records if _is_before(record.headers, until))
    found = differences(worker, flink, compacted=True)
    _print(found[:show])
    click.echo(
        f"{len(flink):,} products by Flink, {len(worker):,} on "
        f"{settings.KAFKA_SRC_PRODUCTS_TOPIC}: {len(found) or 'none'} of them differ."
    )
    return len(found)


def _is_before(headers: Iterable[tuple[str, bytes]], until: Mapping[int, int]) -> bool:
    """Return whether a record is of an event before these offsets, or names no event."""
    source = dict(headers).get(SOURCE_HEADER)
    if source is None:
        return True
    try:
        partition, offset = map(int, source.split(b"/"))
    except ValueError:  # a header of another program
        return True
    return offset < until.get(partition, 0)


@asynccontextmanager
async def _scratch_topic(settings: Settings) -> AsyncIterator[str]:
    """Create a topic for Flink's output; delete it after the block."""
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
        click.echo(f"  worker  {_text(difference.worker)}")
        click.echo(f"  Flink   {_text(difference.flink)}")


def _text(history: RowHistory) -> str:
    return " | ".join(_row(row) for row in history) or "nothing"


def _row(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return "tombstone"
    return (
        f"{row['last_event_id']}: {row['product_name']}, {row['price']}, "
        f"stock {row['stock_quantity']}, discount {row['discount']}"
    )
