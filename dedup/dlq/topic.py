"""Reads the dead-letter topic: all of it as it stands now, or chosen stretches."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from dedup.dlq.record import DeadLetterRecord, replayed_position
from dedup.kafka.topic_reader import ReadError, Spans, TopicReader, open_topic
from dedup.settings import Settings

DlqError = ReadError
"""The dead letters can't be read or re-submitted; the text is a sentence."""


class DeadLetters:
    """The dead-letter topic, open for reading. `open_dead_letters` makes one."""

    def __init__(self, reader: TopicReader) -> None:
        self._reader = reader
        self.replayed: dict[tuple[int, int], int] = {}
        """When letters were re-submitted, by partition and offset: of those marks that were read.

        The mark of a letter stands after it on the same partition.
        """

    @property
    def spans(self) -> Spans:
        """What stood on the topic when it was opened."""
        return self._reader.spans

    async def read(self, spans: Spans | None = None) -> AsyncIterator[DeadLetterRecord]:
        """Return the letters in these spans, by default all: see `TopicReader.read`.

        Marks of letters that were re-submitted are no letters: `replayed` has them once read.
        """
        async for _, records in self._reader.read(spans):
            for record in records:
                position = replayed_position(record.headers)
                if position is None:
                    yield _letter(record)
                else:
                    self.replayed[position] = record.timestamp

    def marked(self, letter: DeadLetterRecord) -> DeadLetterRecord:
        """Return a letter with what is known by now of its having been re-submitted."""
        return replace(letter, replayed_ms=self.replayed.get((letter.partition, letter.offset)))


@asynccontextmanager
async def open_dead_letters(settings: Settings) -> AsyncIterator[DeadLetters]:
    """Open the dead-letter topic. Raises DlqError; so does what Kafka refuses inside the block."""
    topic = settings.KAFKA_DLQ_TOPIC
    permissions = (
        f", and to replay also to write {topic} and {settings.KAFKA_PRODUCT_TOPIC} with the "
        f"transactional id {replay_id(settings)}"
    )
    async with open_topic(settings, topic, "KAFKA_DLQ_TOPIC", permissions=permissions) as reader:
        yield DeadLetters(reader)


def replay_id(settings: Settings) -> str:
    """Return the transactional id of replays: whoever uses it next ends what is under way."""
    return f"{settings.DEDUP_APP_ID}-dlq-replay"


def _letter(record: Any) -> DeadLetterRecord:
    return DeadLetterRecord(
        partition=record.partition,
        offset=record.offset,
        timestamp_ms=record.timestamp,
        key=record.key,
        value=record.value,
        headers=tuple(record.headers),
    )
