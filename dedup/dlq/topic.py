"""Reads the dead-letter topic: all of it as it is now, or some spans of offsets."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from dedup.core.decide import Position
from dedup.dlq.record import DeadLetterRecord, replayed_position
from dedup.kafka.topic_reader import Spans, TopicReader, open_topic
from dedup.settings import Settings


class DeadLetters:
    """The dead-letter topic, open for reading. `open_dead_letters` creates one."""

    def __init__(self, reader: TopicReader) -> None:
        self._reader = reader
        self.replayed: dict[Position, int] = {}
        """When dead letters were re-submitted, by position, from the marks read so far.

        The mark of a dead letter follows it on the same partition.
        """

    @property
    def spans(self) -> Spans:
        """The offsets on the topic when it was opened."""
        return self._reader.spans

    async def read(self, spans: Spans | None = None) -> AsyncIterator[DeadLetterRecord]:
        """Return the dead letters in these spans, by default all: see `TopicReader.read`.

        Replay marks are not returned: `replayed` has them once they are read.
        """
        async for _, records in self._reader.read(spans):
            for record in records:
                position = replayed_position(record.headers)
                if position is None:
                    yield _dead_letter(record)
                else:
                    self.replayed[position] = record.timestamp

    def marked(self, letter: DeadLetterRecord) -> DeadLetterRecord:
        """Return a dead letter with the time it was re-submitted, if its mark was read."""
        return replace(letter, replayed_ms=self.replayed.get(letter.at))


@asynccontextmanager
async def open_dead_letters(settings: Settings) -> AsyncIterator[DeadLetters]:
    """Open the dead-letter topic. Raises ReadError, also for Kafka errors inside the block."""
    topic = settings.KAFKA_DLQ_TOPIC
    permissions = (
        f", and to replay also to write {topic} and {settings.KAFKA_PRODUCT_TOPIC} with the "
        f"transactional id {replay_id(settings)}"
    )
    async with open_topic(settings, topic, "KAFKA_DLQ_TOPIC", permissions=permissions) as reader:
        yield DeadLetters(reader)


def replay_id(settings: Settings) -> str:
    """Return the transactional id of replays: a new replay fences the one before it."""
    return f"{settings.DEDUP_APP_ID}-dlq-replay"


def _dead_letter(record: Any) -> DeadLetterRecord:
    return DeadLetterRecord(
        partition=record.partition,
        offset=record.offset,
        timestamp_ms=record.timestamp,
        key=record.key,
        value=record.value,
        headers=tuple(record.headers),
    )
