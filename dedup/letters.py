"""Reads the dead-letter topic: all of it as it stands now, or chosen stretches."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from dedup.letter import Letter
from dedup.reading import ReadError, Spans, TopicReader, open_topic
from dedup.settings import Settings

DlqError = ReadError
"""The dead letters can't be read or re-submitted; the text is a sentence."""


class DeadLetters:
    """The dead-letter topic, open for reading. `open_dead_letters` makes one."""

    def __init__(self, reader: TopicReader) -> None:
        self._reader = reader

    @property
    def spans(self) -> Spans:
        """What stood on the topic when it was opened."""
        return self._reader.spans

    async def read(self, spans: Spans | None = None) -> AsyncIterator[Letter]:
        """Give the letters in these spans, by default all: see `TopicReader.read`."""
        async for _, records in self._reader.read(spans):
            for record in records:
                yield _letter(record)


@asynccontextmanager
async def open_dead_letters(settings: Settings) -> AsyncIterator[DeadLetters]:
    """Open the dead-letter topic. Raises DlqError; so does what Kafka refuses inside the block."""
    rights = f", and to replay also to write {settings.KAFKA_PRODUCT_TOPIC}"
    topic = settings.KAFKA_DLQ_TOPIC
    async with open_topic(settings, topic, "KAFKA_DLQ_TOPIC", rights=rights) as reader:
        yield DeadLetters(reader)


def _letter(record: Any) -> Letter:
    return Letter(
        partition=record.partition,
        offset=record.offset,
        timestamp_ms=record.timestamp,
        key=record.key,
        value=record.value,
        headers=tuple(record.headers),
    )
