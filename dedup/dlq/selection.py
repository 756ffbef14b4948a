"""What the commands do: find letters, choose some, have them re-submitted."""

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Collection
from contextlib import aclosing
from dataclasses import dataclass
from time import time

from aiokafka.errors import KafkaError

from dedup.dlq.mending import Mending
from dedup.dlq.originals import whole
from dedup.dlq.placing import Places
from dedup.dlq.record import DeadLetterRecord
from dedup.dlq.replay import Resubmission, replaying
from dedup.dlq.topic import DeadLetters, DlqError, open_dead_letters
from dedup.dlq.trying import Trial, trials
from dedup.kafka.broker_errors import refusal
from dedup.kafka.topic_reader import Spans, partition_count
from dedup.settings import Settings

Position = tuple[int, int]
"""Partition and offset."""


@dataclass(frozen=True)
class Choice:
    """Which letters are meant: these positions, or all with this reason, or simply all."""

    positions: frozenset[Position] = frozenset()
    reason: str | None = None

    def spans(self, there: Spans) -> Spans:
        """Return what has to be read to find them, of what is there."""
        if not self.positions:
            return there
        offsets: dict[int, list[int]] = {}
        for partition, offset in self.positions:
            offsets.setdefault(partition, []).append(offset)
        return {p: range(min(found), max(found) + 1) for p, found in offsets.items()}

    def __contains__(self, letter: DeadLetterRecord) -> bool:
        """Tell whether a letter is one of them."""
        if self.positions:
            return (letter.partition, letter.offset) in self.positions
        return self.reason is None or letter.reason == self.reason


@dataclass(frozen=True)
class Found:
    """What a choice comes to.

    `count` letters are to be re-submitted, of which `again` were before; `left_out` were before and
    are not sent again, for nobody named their positions. All of them stand in `spans`.
    """

    count: int
    again: int
    left_out: int
    spans: Spans


async def newest(
    settings: Settings, reason: str | None, limit: int
) -> tuple[list[DeadLetterRecord], int]:
    """Return the newest letters, the oldest of them first, and how many there are in all."""
    choice = Choice(reason=reason)
    found = 0
    async with open_dead_letters(settings) as letters:
        kept: dict[int, deque[DeadLetterRecord]] = {p: deque(maxlen=limit) for p in letters.spans}
        async for letter in _chosen(letters, choice, letters.spans):
            kept[letter.partition].append(letter.without_value())
            found += 1
    merged = [letters.marked(letter) for partition in kept.values() for letter in partition]
    merged.sort(key=lambda letter: (letter.timestamp_ms, letter.partition, letter.offset))
    return merged[-limit:], found


async def letter_at(settings: Settings, position: Position) -> DeadLetterRecord:
    """Return the letter at a position. Raises DlqError if there is none."""
    choice = Choice(frozenset({position}))
    async with open_dead_letters(settings) as letters:
        spans = _to_the_end(choice.spans(letters.spans), letters.spans)
        found = [letter async for letter in _chosen(letters, choice, spans)]
        if not found:
            raise _missing({position})
        return letters.marked(found[0])


async def find(settings: Settings, choice: Choice) -> Found:
    """Find the letters that are chosen, and which of them were re-submitted before.

    Raises DlqError if a position holds no letter.
    """
    positions = set()
    async with open_dead_letters(settings) as letters:
        spans = choice.spans(letters.spans)
        async for letter in _chosen(letters, choice, _to_the_end(spans, letters.spans)):
            positions.add((letter.partition, letter.offset))
    if missing := choice.positions - positions:
        raise _missing(missing)
    again = len(positions & letters.replayed.keys())
    if choice.positions:
        return Found(len(positions), again, 0, spans)
    return Found(len(positions) - again, 0, again, spans)


async def replay(settings: Settings, choice: Choice, found: Found, mending: Mending) -> int:
    """Re-submit the letters that `find` found, and none that came after; give how many.

    Raises DlqError, before anything is sent, for a letter that can't be re-submitted.
    """
    async for _ in prepared(settings, choice, found, mending, ()):
        pass
    try:
        async with replaying(settings) as replayer:
            done = await _replayed(settings, choice, found)
            async with aclosing(prepared(settings, choice, found, mending, done)) as events:
                return await replayer.send(events)
    except KafkaError as error:
        why = refusal(error, settings, permission="WRITE")
        raise DlqError(f"Nothing can be re-submitted: {why}") from error


async def prepared(
    settings: Settings, choice: Choice, found: Found, mending: Mending, done: Collection[Position]
) -> AsyncGenerator[Resubmission, None]:
    """Return the events as they are re-submitted, but for those of letters that are `done`.

    Raises DlqError for one that can't be.
    """
    topic = settings.KAFKA_PRODUCT_TOPIC
    places = Places(settings, await partition_count(settings, topic, "KAFKA_PRODUCT_TOPIC"))
    async with open_dead_letters(settings) as letters:
        async for letter in _chosen(letters, choice, found.spans):
            if (letter.partition, letter.offset) in done:
                continue
            event = await whole(settings, letter, mending.replaces)
            key, value = mending.apply(event)
            partition = await places.of(event, key)
            yield Resubmission(letter, key, value, event.original_headers, partition)


async def tried(settings: Settings, choice: Choice, found: Found, mending: Mending) -> list[Trial]:
    """Say what would become of the letters if they were re-submitted now; send nothing."""
    done = await _replayed(settings, choice, found)
    now_ms = int(time() * 1000)
    return await trials(settings, lambda: prepared(settings, choice, found, mending, done), now_ms)


async def _replayed(settings: Settings, choice: Choice, found: Found) -> Collection[Position]:
    """Return the letters not to be sent: re-submitted, and not named by their positions."""
    if choice.positions:
        return ()
    async with open_dead_letters(settings) as letters:
        async for _ in letters.read(_to_the_end(found.spans, letters.spans)):
            pass
    return letters.replayed.keys()


def _to_the_end(spans: Spans, there: Spans) -> Spans:
    """Return the stretches that hold the marks too: a mark stands after its letter."""
    return {p: range(span.start, there[p].stop) for p, span in spans.items() if p in there}


async def _chosen(
    letters: DeadLetters, choice: Choice, spans: Spans
) -> AsyncIterator[DeadLetterRecord]:
    async for letter in letters.read(spans):
        if letter in choice:
            yield letter


def _missing(positions: Collection[Position]) -> DlqError:
    named = ", ".join(f"{partition}:{offset}" for partition, offset in sorted(positions))
    return DlqError(f"There is no dead letter at {named}. `dedup dlq list` shows those there are.")
