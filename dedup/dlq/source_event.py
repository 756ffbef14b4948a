"""Reads the event of a dead letter that was too large for its topic from the source topic."""

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from dedup.dlq.record import DeadLetterRecord
from dedup.kafka.topic_reader import ReadError, open_topic
from dedup.settings import Settings


async def with_source_event(
    settings: Settings, letter: DeadLetterRecord, replaced: Collection[str]
) -> DeadLetterRecord:
    """Return the dead letter with its complete event; the parts in `replaced` are not needed.

    Raises ReadError if the source topic no longer has the event.
    """
    if not letter.truncated - set(replaced):
        return letter
    record = await _source_record(settings, letter)
    if record is None or not _is_source_of(letter, record):
        raise ReadError(
            f"The dead letter {letter.position} was too large for {settings.KAFKA_DLQ_TOPIC}, which"
            f" holds its {letter.value_size:,} bytes only in part, and its event is no longer on "
            f"{letter.source_topic or '?'} at {letter.source_partition}:{letter.source_offset}. "
            "Replay the others by their positions, and pass the complete value of this one with "
            "--value FILE."
        )
    added = letter.headers[len(letter.original_headers) :]
    return replace(letter, key=record.key, value=record.value, headers=(*record.headers, *added))


async def _source_record(settings: Settings, letter: DeadLetterRecord) -> Any | None:
    partition, offset = letter.source_partition, letter.source_offset
    if partition is None or offset is None or not letter.source_topic:
        return None
    async with open_topic(settings, letter.source_topic, "KAFKA_PRODUCT_TOPIC") as source:
        async for _, records in source.read({partition: range(offset, offset + 1)}):
            for record in records:
                return record
    return None


def _is_source_of(letter: DeadLetterRecord, record: Any) -> bool:
    """Return whether a record is the event: the topic may have been recreated in between."""
    key, value = letter.key or b"", letter.value or b""
    return (
        (record.key or b"").startswith(key)
        and (record.value or b"").startswith(value)
        and len(record.value or b"") == letter.value_size
    )
