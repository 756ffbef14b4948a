"""What the commands do: find letters, choose some, have them re-submitted."""

from collections import deque
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass

from dedup.cli.dlq.replay import resubmit
from dedup.letter import Letter
from dedup.letters import DeadLetters, DlqError, open_dead_letters
from dedup.reading import Spans
from dedup.settings import Settings

Position = tuple[int, int]
"""Partition and offset."""


@dataclass(frozen=True)
class Choice:
    """Which letters are meant: these positions, or all with this reason, or simply all."""

    positions: frozenset[Position] = frozenset()
    reason: str | None = None

    def spans(self, there: Spans) -> Spans:
        """Give what has to be read to find them, of what is there."""
        if not self.positions:
            return there
        offsets: dict[int, list[int]] = {}
        for partition, offset in self.positions:
            offsets.setdefault(partition, []).append(offset)
        return {p: range(min(found), max(found) + 1) for p, found in offsets.items()}

    def __contains__(self, letter: Letter) -> bool:
        """Tell whether a letter is one of them."""
        if self.positions:
            return (letter.partition, letter.offset) in self.positions
        return self.reason is None or letter.reason == self.reason


async def newest(settings: Settings, reason: str | None, limit: int) -> tuple[list[Letter], int]:
    """Give the newest letters, the oldest of them first, and how many there are in all."""
    choice = Choice(reason=reason)
    found = 0
    async with open_dead_letters(settings) as letters:
        kept: dict[int, deque[Letter]] = {p: deque(maxlen=limit) for p in letters.spans}
        async for letter in _chosen(letters, choice):
            kept[letter.partition].append(letter.without_value())
            found += 1
    merged = [letter for partition in kept.values() for letter in partition]
    merged.sort(key=lambda letter: (letter.timestamp_ms, letter.partition, letter.offset))
    return merged[-limit:], found


async def letter_at(settings: Settings, position: Position) -> Letter:
    """Give the letter at a position. Raises DlqError if there is none."""
    async with open_dead_letters(settings) as letters:
        async for letter in _chosen(letters, Choice(frozenset({position}))):
            return letter
    raise _missing({position})


async def find(settings: Settings, choice: Choice) -> tuple[int, Spans]:
    """Give how many letters are chosen, and the stretches of the topic they stand in.

    Raises DlqError if a position holds no letter.
    """
    count = 0
    missing = set(choice.positions)
    async with open_dead_letters(settings) as letters:
        spans = choice.spans(letters.spans)
        async for letter in _chosen(letters, choice):
            missing.discard((letter.partition, letter.offset))
            count += 1
    if missing:
        raise _missing(missing)
    return count, spans


async def replay(settings: Settings, choice: Choice, spans: Spans) -> int:
    """Re-submit the letters that `find` found, and none that came after; give how many."""
    async with open_dead_letters(settings) as letters:
        return await resubmit(settings, _chosen(letters, choice, spans))


async def _chosen(
    letters: DeadLetters, choice: Choice, spans: Spans | None = None
) -> AsyncIterator[Letter]:
    async for letter in letters.read(choice.spans(letters.spans) if spans is None else spans):
        if letter in choice:
            yield letter


def _missing(positions: Collection[Position]) -> DlqError:
    named = ", ".join(f"{partition}:{offset}" for partition, offset in sorted(positions))
    return DlqError(f"There is no dead letter at {named}. `dedup dlq list` shows those there are.")
