"""The newest dead letters, read from their topic when somebody looks."""

import asyncio
from typing import Final

from aiohttp.web import HTTPServiceUnavailable

from dedup.core.printable import printable
from dedup.dlq.record import DeadLetterRecord
from dedup.dlq.topic import DlqError, open_dead_letters
from dedup.settings import Settings
from dedup.web.models import DeadLetterEntry, DeadLetters, Figures, Unanswered

SHOWN: Final = 50
READ_PER_PARTITION: Final = 200
"""Offsets looked at from the end of each partition; transactions put markers among the letters."""

SHOWN_CHARACTERS: Final = 2_000
READ_WITHIN_S: Final = 10.0


async def newest_dead_letters(
    settings: Settings, counted: Figures, unanswered: list[Unanswered]
) -> DeadLetters:
    """Read them. Raises HTTPServiceUnavailable when the brokers do not give them."""
    try:
        async with asyncio.timeout(READ_WITHIN_S), open_dead_letters(settings) as topic:
            spans = {
                partition: range(max(there.start, there.stop - READ_PER_PARTITION), there.stop)
                for partition, there in topic.spans.items()
            }
            letters = [letter async for letter in topic.read(spans)]
            used = sum(len(there) for there in topic.spans.values())
    except DlqError as error:
        raise HTTPServiceUnavailable(text=str(error)) from error
    except TimeoutError:
        raise HTTPServiceUnavailable(
            text=f"{settings.KAFKA_DLQ_TOPIC} could not be read within {READ_WITHIN_S:.0f} s."
        ) from None
    letters.sort(key=lambda letter: (letter.timestamp_ms, letter.offset), reverse=True)
    return DeadLetters(
        topic=settings.KAFKA_DLQ_TOPIC,
        on_topic=used,
        counted=counted.dead_letters,
        unanswered=unanswered,
        letters=[_shown(topic.marked(letter)) for letter in letters[:SHOWN]],
    )


def _shown(letter: DeadLetterRecord) -> DeadLetterEntry:
    partition, offset = letter.source_partition, letter.source_offset
    value = letter.value
    return DeadLetterEntry(
        position=letter.position,
        time=letter.time,
        reason=letter.reason or "unknown",
        message=letter.message,
        source=f"{letter.source_topic or '?'} {partition}:{offset}",
        key=None if letter.key is None else printable(letter.key),
        value=None if value is None else printable(value[:SHOWN_CHARACTERS]),
        value_bytes=letter.value_size,
        replayed=letter.replayed,
    )
