"""The words of a decision: what it depends on, what it sees of an event, and what comes of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal, NamedTuple, Protocol

import msgspec

from dedup.core.dead_letter import DeadLetter
from dedup.core.normal_event import EventKind
from dedup.core.state import State
from dedup.core.window import Strategy, WindowKind

DAY_US: Final = 24 * 60 * 60 * 1_000_000


class Outcome(StrEnum):
    """The outcome of an event. The values are metric labels."""

    CHANGE = "change"
    REFRESH = "refresh"
    TOMBSTONE = "tombstone"
    DUPLICATE = "duplicate"
    STALE = "stale"
    REPLAYED = "replayed"
    DEAD_LETTER = "dead_letter"

    __hash__ = str.__hash__  # Enum's own is a function in Python, called for every event


EMITTING: Final = frozenset({Outcome.CHANGE, Outcome.REFRESH, Outcome.TOMBSTONE})
"""Outcomes that write a record to the output topic: the state's row, or null for a tombstone."""


@dataclass(frozen=True)
class EventRules:
    """What a decision depends on beside the event, the known state and the clock.

    Times are in microseconds. `window_us` None: the window has no end. `window_entries`: how many
    contents or event ids of a row are remembered. `deleted_marker_us`: how long a deletion marker
    is kept. `largest_row_bytes`: the largest row that the output topic accepts; None: any.
    """

    order: Literal["event_time", "arrival"] = "event_time"
    strategy: Strategy = "latest"
    window_us: int | None = None
    window_kind: WindowKind = "fixed"
    window_entries: int = 64
    deleted_marker_us: int = DAY_US
    largest_row_bytes: int | None = None


class Position(msgspec.Struct, frozen=True, gc=False):
    """The position of an event on the source topic."""

    partition: int
    offset: int


class ProcessingTime(NamedTuple):
    """The processing time of a batch: microseconds since the epoch, and its text for rows."""

    now_us: int
    text: str


class Decision(msgspec.Struct, frozen=True, gc=False):
    """The outcome, the state to keep (None: nothing to keep), and the dead letter if it is one.

    `forgotten`: how many entries the window lost because there were too many.
    """

    outcome: Outcome
    state: State | None = None
    dead_letter: DeadLetter | None = None
    offset_regression: bool = False
    forgotten: int = 0


class Facts(Protocol):
    """What the rules see of an event; who reads events builds it.

    `time` is in microseconds since the epoch, None only for a delete by null value.
    """

    time: int | None
    kind: EventKind

    @property
    def event_id(self) -> str | None:
        """Return the id of the event, None where it has none."""

    @property
    def lacks(self) -> Sequence[str]:
        """Return the names of required fields without which it means nothing of an unknown row."""

    def lacking(self) -> DeadLetter:
        """Return the dead letter of an event that lacks fields which nothing can complete."""

    def fingerprint(self, known_row: bytes | None) -> bytes | DeadLetter:
        """Return the fingerprint of the whole row after the event, over the known row."""

    def row(self, processing_time: str) -> bytes:
        """Return the row whose fingerprint was returned last."""

    def recomputed(self, state: State) -> bytes | None:
        """Return the known row's fingerprint in today's scheme; None where it is that already."""

    def last_event(self, row: bytes) -> tuple[str | None, int | None]:
        """Return the id and the time of the event that a known row names as its last."""
