"""The rules of the decision: the outcome of an event, given the known state of its row.

Pure and total. An event is seen by its time, its kind and the fingerprint of the row it makes;
no field is known here. The rules, in order:

1. An event that can't be read is a **dead letter**: that is decided where events are read.
2. An event of the state's own partition at or before the state's offset was already applied:
   **replayed** - unless it is also newer than the state. Then the topic was recreated and its
   offsets restarted: the rules below apply, and the decision has `offset_regression`. The exception
   is an event that needs a known state to be complete: it may be an old dead letter, read again.
3. In event-time order, an event older than the newest seen of its row is **stale**. Equal times:
   the later offset wins. A delete by null value carries no time and is never stale.
4. A delete is a **tombstone** if the row is known and not deleted, else a **duplicate**. A deletion
   marker is kept for a while, so that a late event can't resurrect the row.
5. Equal fingerprints: a **duplicate**, or a **refresh** if the last emission is too old.
6. Everything else is a **change**.

A row that is too large for the output topic makes its event a dead letter: the broker would always
refuse it, and nothing after it could be processed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal, NamedTuple, Protocol

import msgspec
from msgspec.structs import replace

from dedup.core.dead_letter import DeadLetter, Reason
from dedup.core.normal_event import EventKind
from dedup.core.state import NO_FINGERPRINT, State

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

    Times are in microseconds. `deleted_marker_us`: how long a deletion marker is kept.
    `largest_row_bytes`: the largest row that the output topic accepts; None: any.
    """

    order: Literal["event_time", "arrival"] = "event_time"
    refresh_after_us: int | None = None
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
    """The outcome, the state to keep (None: nothing to keep), and the dead letter if it is one."""

    outcome: Outcome
    state: State | None = None
    dead_letter: DeadLetter | None = None
    offset_regression: bool = False


class Facts(Protocol):
    """What the rules see of an event; who reads events builds it.

    `time` is in microseconds since the epoch, None only for a delete by null value.
    """

    time: int | None
    kind: EventKind

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


# Members of an Enum are looked up slowly, and these are needed for every event.
_DELETE: Final = EventKind.DELETE
_DUPLICATE: Final = Outcome.DUPLICATE
_CHANGE: Final = Outcome.CHANGE
_STALE: Final = Decision(Outcome.STALE)
_REPLAYED: Final = Decision(Outcome.REPLAYED)


def rule(
    facts: Facts, state: State | None, at: Position, clock: ProcessingTime, rules: EventRules
) -> Decision:
    """Decide on one event, given what is known of its row (None: nothing)."""
    time = facts.time
    if state is None or (
        state.row is None and clock.now_us - state.emitted_at > rules.deleted_marker_us
    ):
        return _apply(facts, None, time, at, clock, rules)
    newest = state.event_time
    regression = False
    if state.partition == at.partition and at.offset <= state.offset:
        if time is None or time <= newest:
            return _REPLAYED
        regression = True
    if time is None or time < newest:
        if time is not None and rules.order == "event_time":
            return _STALE
        time = newest
    if regression and facts.kind is EventKind.PARTIAL and facts.lacks:
        # Had it been applied, the state would be at least as new: it was a dead letter.
        return Decision(Outcome.DEAD_LETTER, dead_letter=facts.lacking())
    decision = _apply(facts, state, time, at, clock, rules)
    return replace(decision, offset_regression=True) if regression else decision


def _apply(
    facts: Facts,
    state: State | None,
    time: int | None,
    at: Position,
    clock: ProcessingTime,
    rules: EventRules,
) -> Decision:
    """Apply rules 4 to 6; `time` is the newest event time seen of the row, this event's too."""
    if facts.kind is _DELETE:
        return _delete(state, time, at, clock)
    if time is None:  # only a null value has no time, and that is a delete
        raise AssertionError(facts)
    fingerprint = facts.fingerprint(None if state is None else state.row)
    if isinstance(fingerprint, DeadLetter):
        return Decision(Outcome.DEAD_LETTER, dead_letter=fingerprint)
    duplicates = 0
    outcome = _CHANGE
    if state is not None and state.row is not None:
        duplicates = state.duplicates
        if fingerprint == state.fingerprint or fingerprint == facts.recomputed(state):
            refresh_after = rules.refresh_after_us
            if refresh_after is None or clock.now_us - state.emitted_at < refresh_after:
                emitted_at, row = state.emitted_at, state.row
                known = State(
                    fingerprint, time, at.partition, at.offset, emitted_at, duplicates + 1, row
                )
                return Decision(_DUPLICATE, known)
            outcome = Outcome.REFRESH
    row = facts.row(clock.text)
    limit = rules.largest_row_bytes
    if limit is not None and len(row) > limit:
        return Decision(Outcome.DEAD_LETTER, dead_letter=_row_too_large(len(row), limit))
    return Decision(
        outcome, State(fingerprint, time, at.partition, at.offset, clock.now_us, duplicates, row)
    )


def _row_too_large(size: int, limit: int) -> DeadLetter:
    return DeadLetter(
        Reason.ROW_TOO_LARGE,
        f"The row has {size} bytes, and the output topic accepts at most {limit}. "
        "Raise its max.message.bytes and replay the event.",
    )


def _delete(state: State | None, time: int | None, at: Position, clock: ProcessingTime) -> Decision:
    if state is None:
        if time is None:
            return Decision(Outcome.DUPLICATE)
        # Nothing to delete, but an older event may still arrive.
        marker = State(NO_FINGERPRINT, time, at.partition, at.offset, clock.now_us, 1, None)
        return Decision(Outcome.DUPLICATE, marker)
    newest = state.event_time if time is None else time
    if state.row is None:
        return Decision(
            Outcome.DUPLICATE,
            replace(
                state,
                event_time=newest,
                partition=at.partition,
                offset=at.offset,
                duplicates=state.duplicates + 1,
            ),
        )
    deleted = State(
        NO_FINGERPRINT, newest, at.partition, at.offset, clock.now_us, state.duplicates, None
    )
    return Decision(Outcome.TOMBSTONE, deleted)
