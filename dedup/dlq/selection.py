"""Finds dead letters, selects some of them, and re-submits their events."""

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Collection
from contextlib import aclosing
from dataclasses import dataclass

from aiokafka.errors import KafkaError

from dedup.core.decide import Position
from dedup.dlq.correction import Correction
from dedup.dlq.record import DeadLetterRecord
from dedup.dlq.replay import Resubmission, open_replayer
from dedup.dlq.source_event import with_source_event
from dedup.dlq.target_partition import TargetPartitions
from dedup.dlq.topic import DeadLetters, open_dead_letters
from dedup.kafka.broker_errors import refusal
from dedup.kafka.topic_reader import ReadError, Spans, partition_count
from dedup.settings import Settings


@dataclass(frozen=True)
class Selection:
    """Dead letters: those at these positions, or all with this reason, or all."""

    positions: frozenset[Position] = frozenset()
    reason: str | None = None

    def spans(self, there: Spans) -> Spans:
        """Return the spans that have to be read to find them."""
        if not self.positions:
            return there
        offsets: dict[int, list[int]] = {}
        for at in self.positions:
            offsets.setdefault(at.partition, []).append(at.offset)
        return {p: range(min(found), max(found) + 1) for p, found in offsets.items()}

    def __contains__(self, letter: DeadLetterRecord) -> bool:
        """Return whether a dead letter is selected."""
        if self.positions:
            return letter.at in self.positions
        return self.reason is None or letter.reason == self.reason


@dataclass(frozen=True)
class Found:
    """The dead letters on the topic that a selection matches.

    `count` of them are to be re-submitted, `again` of these for the second time; `left_out` were
    re-submitted before and are skipped, as nobody named their positions. All are in `spans`.
    """

    count: int
    again: int
    left_out: int
    spans: Spans


async def newest(
    settings: Settings, reason: str | None, limit: int
) -> tuple[list[DeadLetterRecord], int]:
    """Return the newest dead letters, oldest first, and how many there are in total."""
    selection = Selection(reason=reason)
    found = 0
    async with open_dead_letters(settings) as topic:
        kept: dict[int, deque[DeadLetterRecord]] = {p: deque(maxlen=limit) for p in topic.spans}
        async for letter in _selected(topic, selection, topic.spans):
            kept[letter.partition].append(letter.without_value())
            found += 1
    merged = [topic.marked(letter) for partition in kept.values() for letter in partition]
    merged.sort(key=lambda letter: (letter.timestamp_ms, letter.partition, letter.offset))
    return merged[-limit:], found


async def dead_letter_at(settings: Settings, position: Position) -> DeadLetterRecord:
    """Return the dead letter at a position. Raises ReadError if there is none."""
    selection = Selection(frozenset({position}))
    async with open_dead_letters(settings) as topic:
        spans = _to_the_end(selection.spans(topic.spans), topic.spans)
        found = [letter async for letter in _selected(topic, selection, spans)]
        if not found:
            raise _missing({position})
        return topic.marked(found[0])


async def find(settings: Settings, selection: Selection) -> Found:
    """Find the selected dead letters, and which of them were re-submitted before.

    Raises ReadError if there is no dead letter at a position.
    """
    positions = set()
    async with open_dead_letters(settings) as topic:
        spans = selection.spans(topic.spans)
        async for letter in _selected(topic, selection, _to_the_end(spans, topic.spans)):
            positions.add(letter.at)
    if missing := selection.positions - positions:
        raise _missing(missing)
    again = len(positions & topic.replayed.keys())
    if selection.positions:
        return Found(len(positions), again, 0, spans)
    return Found(len(positions) - again, 0, again, spans)


async def replay(
    settings: Settings, selection: Selection, found: Found, correction: Correction
) -> int:
    """Re-submit the dead letters that `find` found, and no later ones; return how many.

    Raises ReadError, before anything is sent, for a dead letter that can't be re-submitted.
    """
    async for _ in resubmissions(settings, selection, found, correction, ()):
        pass
    try:
        async with open_replayer(settings) as replayer:
            done = await positions_to_skip(settings, selection, found)
            events = resubmissions(settings, selection, found, correction, done)
            async with aclosing(events):
                return await replayer.send(events)
    except KafkaError as error:
        why = refusal(error, settings, permission="WRITE")
        raise ReadError(f"Nothing can be re-submitted: {why}") from error


async def resubmissions(
    settings: Settings,
    selection: Selection,
    found: Found,
    correction: Correction,
    skipped: Collection[Position],
) -> AsyncGenerator[Resubmission, None]:
    """Return the events to re-submit, except those of the `skipped` dead letters.

    Raises ReadError for one that can't be re-submitted.
    """
    topic = settings.KAFKA_PRODUCT_TOPIC
    count = await partition_count(settings, topic, "KAFKA_PRODUCT_TOPIC")
    targets = TargetPartitions(settings, count)
    async with open_dead_letters(settings) as letters:
        async for letter in _selected(letters, selection, found.spans):
            if letter.at in skipped:
                continue
            event = await with_source_event(settings, letter, correction.replaces)
            key, value = correction.apply(event)
            partition = await targets.find(event, key)
            yield Resubmission(letter, key, value, event.original_headers, partition)


async def positions_to_skip(
    settings: Settings, selection: Selection, found: Found
) -> Collection[Position]:
    """Return the dead letters that were re-submitted before and are not named by position."""
    if selection.positions:
        return ()
    async with open_dead_letters(settings) as topic:
        async for _ in topic.read(_to_the_end(found.spans, topic.spans)):
            pass
    return topic.replayed.keys()


def _to_the_end(spans: Spans, there: Spans) -> Spans:
    """Return spans that include the replay marks, which follow their dead letters."""
    return {p: range(span.start, there[p].stop) for p, span in spans.items() if p in there}


async def _selected(
    topic: DeadLetters, selection: Selection, spans: Spans
) -> AsyncIterator[DeadLetterRecord]:
    async for letter in topic.read(spans):
        if letter in selection:
            yield letter


def _missing(positions: Collection[Position]) -> ReadError:
    ordered = sorted(positions, key=lambda at: (at.partition, at.offset))
    named = ", ".join(f"{at.partition}:{at.offset}" for at in ordered)
    return ReadError(f"There is no dead letter at {named}. `dedup dlq list` shows those there are.")
