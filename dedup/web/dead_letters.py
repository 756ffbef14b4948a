"""The newest dead letters, read from their topic on request."""

import asyncio
from typing import Final

from aiohttp.web import HTTPServiceUnavailable

from dedup.core.printable import printable
from dedup.dlq.record import DeadLetterRecord
from dedup.dlq.topic import open_dead_letters
from dedup.kafka.topic_reader import ReadError
from dedup.settings import Settings
from dedup.web.dead_letter_models import DeadLetterEntry, DeadLetters
from dedup.web.models import Figures, Unanswered

SHOWN: Final = 50
READ_PER_PARTITION: Final = 200
"""Offsets read at the end of each partition; transaction markers use some of them."""

SHOWN_CHARACTERS: Final = 2_000
READ_WITHIN_S: Final = 10.0


async def read_dead_letters(
    settings: Settings, counted: Figures, unanswered: list[Unanswered]
) -> DeadLetters:
    """Read the newest dead letters. Raises HTTPServiceUnavailable if that fails."""
    try:
        async with asyncio.timeout(READ_WITHIN_S), open_dead_letters(settings) as topic:
            spans = {
                partition: range(max(there.start, there.stop - READ_PER_PARTITION), there.stop)
                for partition, there in topic.spans.items()
            }
            found = [dead_letter async for dead_letter in topic.read(spans)]
            used = sum(len(there) for there in topic.spans.values())
    except ReadError as error:
        raise HTTPServiceUnavailable(text=str(error)) from error
    except TimeoutError:
        raise HTTPServiceUnavailable(
            text=f"{settings.KAFKA_DLQ_TOPIC} could not be read within {READ_WITHIN_S:.0f} s."
        ) from None
    found.sort(key=lambda each: (each.timestamp_ms, each.offset), reverse=True)
    return DeadLetters(
        topic=settings.KAFKA_DLQ_TOPIC,
        on_topic=used,
        counted=counted.dead_letters,
        unanswered=unanswered,
        letters=[_entry(topic.marked(dead_letter)) for dead_letter in found[:SHOWN]],
    )


def _entry(record: DeadLetterRecord) -> DeadLetterEntry:
    partition, offset = record.source_partition, record.source_offset
    value = record.value
    return DeadLetterEntry(
        position=record.position,
        time=record.time,
        reason=record.reason or "unknown",
        message=record.message,
        source=f"{record.source_topic or '?'} {partition}:{offset}",
        key=None if record.key is None else printable(record.key),
        value=None if value is None else printable(value[:SHOWN_CHARACTERS]),
        value_bytes=record.value_size,
        replayed=record.replayed,
    )
