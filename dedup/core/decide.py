"""The decision: the outcome of an event, given the known state of its product.

Pure and total. The rules, in order:

1. An event that can't be read is a **dead letter**. So is one with an unknown action if the rules
   say so; by default it is applied as an update.
2. An event of the state's own partition at or before the state's offset was already applied:
   **replayed** - unless it is also newer than the state. Then the topic was recreated and its
   offsets restarted: the rules below apply, and the decision has `offset_regression`. The exception
   is an event that needs a known state to be complete: it may be an old dead letter, read again.
3. In event-time order, an event older than the newest seen of its product is **stale**. Equal
   times: the later offset wins. A delete by null value carries no time and is never stale.
4. A delete is a **tombstone** if the product is known and not deleted, else a **duplicate**. A
   deletion marker is kept for a while, so that a late event can't resurrect the product.
5. Equal fingerprints: a **duplicate**, or a **refresh** if the last emission is too old.
6. Everything else is a **change**.

A row that is too large for the output topic makes its event a dead letter: the broker would always
refuse it, and nothing after it could be processed.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Literal, NamedTuple

import msgspec
from msgspec.structs import replace

from dedup.core.deadletter import DeadLetter, Reason
from dedup.core.event import ACTIONS, REQUIRED_FIELDS, Event, NormalProduct
from dedup.core.fingerprint import FingerprintScheme
from dedup.core.row import NO_FINGERPRINT, encode_row, read_product
from dedup.core.state import State

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
"""Outcomes that write a record to `src_products`: the state's row, or null for a tombstone."""


@dataclass(frozen=True)
class Rules:
    """Everything that a decision depends on beside the event, the known state and the clock.

    Times are in microseconds. `deleted_marker_us`: how long a deletion marker is kept.
    `largest_row_bytes`: the largest row that the output topic accepts; None: any.
    """

    scheme: FingerprintScheme = field(default_factory=FingerprintScheme)
    order: Literal["event_time", "arrival"] = "event_time"
    refresh_after_us: int | None = None
    deleted_marker_us: int = DAY_US
    unknown_actions: Literal["update", "dead_letter"] = "update"
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


_KNOWN_ACTIONS: Final = frozenset(ACTIONS)
_STALE: Final = Decision(Outcome.STALE)
_REPLAYED: Final = Decision(Outcome.REPLAYED)


def decide(
    event: Event | DeadLetter,
    state: State | None,
    at: Position,
    clock: ProcessingTime,
    rules: Rules,
) -> Decision:
    """Decide on one event, given what is known of its product (None: nothing)."""
    if rules.unknown_actions == "dead_letter":
        event = _with_known_action(event)
    if isinstance(event, DeadLetter):
        return Decision(Outcome.DEAD_LETTER, dead_letter=event)
    time = event.event_time
    if state is None or (
        state.row is None and clock.now_us - state.emitted_at > rules.deleted_marker_us
    ):
        return _apply(event, None, time, at, clock, rules)
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
    if regression and not _describes_itself(event):
        # Had it been applied, the state would be at least as new: it was a dead letter.
        return Decision(Outcome.DEAD_LETTER, dead_letter=_partial_without_state(event))
    decision = _apply(event, state, time, at, clock, rules)
    return replace(decision, offset_regression=True) if regression else decision


def _describes_itself(event: Event) -> bool:
    """Whether an event needs no known state to be applied."""
    return event.action == "deleted" or event.product.given().keys() >= REQUIRED_FIELDS


def _partial_without_state(event: Event) -> DeadLetter:
    missing = sorted(REQUIRED_FIELDS - event.product.given().keys(), reverse=True)
    return DeadLetter(
        Reason.PARTIAL_WITHOUT_STATE,
        f"The event lacks {' and '.join(missing)}, and no state of product "
        f"{event.product_id} is known to complete it from.",
    )


def _with_known_action(event: Event | DeadLetter) -> Event | DeadLetter:
    if isinstance(event, DeadLetter) or event.action in _KNOWN_ACTIONS:
        return event
    return DeadLetter(
        Reason.UNKNOWN_ACTION,
        f"The action {event.action[:40]!r} is not one of {', '.join(ACTIONS)}.",
    )


def _apply(
    event: Event,
    state: State | None,
    time: int | None,
    at: Position,
    clock: ProcessingTime,
    rules: Rules,
) -> Decision:
    """Apply rules 4 to 6; `time` is the newest event time seen of the product, this event's too."""
    if event.action == "deleted":
        return _delete(state, time, at, clock)
    if time is None:  # only a null value has no time, and that is a delete
        raise AssertionError(event)
    product = event.product if event.complete else _merge(event, state)
    if isinstance(product, DeadLetter):
        return Decision(Outcome.DEAD_LETTER, dead_letter=product)
    fingerprint = rules.scheme.fingerprint(product)
    duplicates = 0
    outcome = Outcome.CHANGE
    if state is not None and state.row is not None:
        duplicates = state.duplicates
        if fingerprint == state.fingerprint or (
            not rules.scheme.matches(state.fingerprint)
            and fingerprint == _fingerprint_of_today(state.row, rules.scheme)
        ):
            refresh_after = rules.refresh_after_us
            if refresh_after is None or clock.now_us - state.emitted_at < refresh_after:
                emitted_at, row = state.emitted_at, state.row
                known = State(
                    fingerprint, time, at.partition, at.offset, emitted_at, duplicates + 1, row
                )
                return Decision(Outcome.DUPLICATE, known)
            outcome = Outcome.REFRESH
    row = encode_row(event, product, clock.text)
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


def _merge(event: Event, state: State | None) -> NormalProduct | DeadLetter:
    """Complete a product from the known state, or from the defaults if nothing is known.

    A created event describes a new product: missing fields get the defaults, whatever is known.
    """
    if event.action != "created" and state is not None and state.row is not None:
        known = read_product(state.row)
        if known is not None:
            return replace(known, **event.product.given())
    if not _describes_itself(event):
        return _partial_without_state(event)
    return replace(NormalProduct.default(event.product_id), **event.product.given())


def _fingerprint_of_today(row: bytes, scheme: FingerprintScheme) -> bytes | None:
    """Return the fingerprint of a row in the current scheme; None if it can't be read."""
    known = read_product(row)
    return None if known is None else scheme.fingerprint(known)
