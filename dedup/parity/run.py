"""Compares the worker's output with Flink's: runs the reference, reads both topics, prints."""

import asyncio
import os
import tempfile
import uuid
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import click
from aiokafka.errors import KafkaError

from dedup.core.dead_letter import AnyHeader
from dedup.core.entity import Entity
from dedup.core.errors import ExplainedError
from dedup.core.records import recorded
from dedup.demo.topics import read_topic
from dedup.kafka.admin import admin_client
from dedup.kafka.connecting import connection_fault
from dedup.kafka.offsets import committed_offsets
from dedup.kafka.topics import check_topics, create_topic
from dedup.parity.compare import (
    Difference,
    RowHistory,
    differences,
    differing_columns,
    row_histories,
    shown,
)
from dedup.parity.engine import run_flink
from dedup.parity.reference import sql_of
from dedup.settings import Settings

_STATES: Final = "KAFKA_SRC_PRODUCTS_TOPIC"

Offsets = dict[int, int]
"""The offset up to which events are compared, by partition."""


class ParityError(ExplainedError):
    """The topics can't be compared; the text explains why."""


async def compare(settings: Settings, *, show: int, parallelism: int) -> int:
    """Print the rows that differ; return their number. Raises ParityError."""
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
    entity = settings.entity
    async with _scratch_topic(settings) as scratch:
        click.echo(f"Running Flink on {sum(until.values()):,} offsets ...")
        await asyncio.to_thread(_run_reference, settings, scratch, until, parallelism)
        flink = row_histories(entity, await read_topic(settings, scratch, _STATES))
    records = await read_topic(settings, settings.KAFKA_SRC_PRODUCTS_TOPIC, _STATES)
    worker = row_histories(entity, (r for r in records if _is_before(r.headers, until)))
    found = differences(worker, flink, compacted=True)
    _print(entity, found[:show])
    click.echo(
        f"{len(flink):,} {entity.plural} by Flink, {len(worker):,} on "
        f"{settings.KAFKA_SRC_PRODUCTS_TOPIC}: {len(found) or 'none'} of them differ."
    )
    return len(found)


def _run_reference(settings: Settings, output: str, until: Offsets, parallelism: int) -> None:
    """Run the entity's reference on the events before these offsets, into a topic of its own."""
    bound = ";".join(f"partition:{p},offset:{offset}" for p, offset in until.items())
    topics = {
        "KAFKA_BOOTSTRAP_SERVERS": settings.KAFKA_BOOTSTRAP_SERVERS,
        "KAFKA_PRODUCT_TOPIC": settings.KAFKA_PRODUCT_TOPIC,
        "KAFKA_SRC_PRODUCTS_TOPIC": output,
        "FLINK_GROUP_ID": output,
    }
    with tempfile.TemporaryDirectory(prefix="dedup-parity-") as directory:
        sql = Path(directory) / "reference.sql"
        sql.write_text(sql_of(settings), encoding="utf-8")
        options = ("--parallelism", str(parallelism))
        run_flink({**os.environ, **topics}, until=bound, sql=sql, options=options)


def _is_before(headers: Collection[AnyHeader], until: Mapping[int, int]) -> bool:
    """Return whether a record is of an event before these offsets, or names no event."""
    source = recorded(headers).source
    if source is None:
        return True
    partition, offset = source
    return offset < until.get(partition, 0)


@asynccontextmanager
async def _scratch_topic(settings: Settings) -> AsyncIterator[str]:
    """Create a topic for Flink's output; delete it after the block. Raises TopicError."""
    name = f"{settings.KAFKA_SRC_PRODUCTS_TOPIC}.parity-{uuid.uuid4().hex[:8]}"
    async with admin_client(settings) as admin:
        await create_topic(admin, settings, name, settings.DEDUP_PARTITIONS, {})
    try:
        yield name
    finally:
        async with admin_client(settings) as admin:
            await admin.delete_topics([name])


def _print(entity: Entity, found: Iterable[Difference]) -> None:
    for difference in found:
        click.echo(f"{entity.name} {difference.id}")
        columns = _shown_columns(entity, difference)
        click.echo(f"  worker  {_text(difference.worker, columns)}")
        click.echo(f"  Flink   {_text(difference.flink, columns)}")


def _shown_columns(entity: Entity, difference: Difference) -> list[str]:
    """Return the columns to print: the event, the content, and what else differs."""
    first = [n for n in ("last_event_id", "last_event_timestamp") if n in entity.provenance][:1]
    others = differing_columns(difference.worker, difference.flink)
    return list(dict.fromkeys([*first, *entity.content, *sorted(others)]))


def _text(history: RowHistory, columns: list[str]) -> str:
    return " | ".join(shown(row, columns) for row in history) or "nothing"
