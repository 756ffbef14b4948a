"""What the strategies do with an event that is neither stale nor replayed: rules 4 to 6.

`ruling.py` has the rules in their order.
"""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from msgspec.structs import replace

from dedup.core.dead_letter import DeadLetter, Reason
from dedup.core.decision import Decision, EventRules, Facts, Outcome, Position, ProcessingTime
from dedup.core.fingerprint import SCHEME_BYTES
from dedup.core.normal_event import EventKind
from dedup.core.state import NO_FINGERPRINT, State
from dedup.core.window import (
    Entries,
    Strategy,
    event_id_digest,
    is_open,
    pack_entries,
    remember,
    see_again,
    unpack_entries,
)

# Members of an Enum are looked up slowly, and these are needed for every event.
_DELETE: Final = EventKind.DELETE
_DUPLICATE: Final = Outcome.DUPLICATE
_CHANGE: Final = Outcome.CHANGE


class Case(NamedTuple):
    """An event, what is known of its row (None: nothing), and what else the decision depends on.

    `time` is the newest event time seen of the row, this event's too; it is None only for a delete
    by null value of an unknown row.
    """

    facts: Facts
    state: State | None
    time: int | None
    at: Position
    clock: ProcessingTime
    rules: EventRules


def _latest(case: Case) -> Decision:
    facts, state, _, at, clock, rules = case
    if facts.kind is _DELETE:
        return _delete(case)
    fingerprint = facts.fingerprint(None if state is None else state.row)
    if isinstance(fingerprint, DeadLetter):
        return Decision(Outcome.DEAD_LETTER, dead_letter=fingerprint)
    time = _time_of(case)
    if state is not None and state.row is not None and _is_same(facts, fingerprint, state):
        since, now = state.emitted_at, clock.now_us
        if rules.window_kind == "sliding":
            since, now = state.event_time, time
        if is_open(since, now, rules.window_us):
            row, duplicates = state.row, state.duplicates + 1
            known = State(
                fingerprint, time, at.partition, at.offset, state.emitted_at, duplicates, row
            )
            return Decision(_DUPLICATE, known)
    return _emit(case, fingerprint)


def _distinct(case: Case) -> Decision:
    facts, state = case.facts, case.state
    if facts.kind is _DELETE:
        return _delete(case)
    fingerprint = facts.fingerprint(None if state is None else state.row)
    if isinstance(fingerprint, DeadLetter):
        return Decision(Outcome.DEAD_LETTER, dead_letter=fingerprint)
    digest, time = fingerprint[SCHEME_BYTES:], _time_of(case)
    entries: Entries = {}
    if state is not None and state.row is not None:
        state, found = _emitted_contents(facts, state, time)
        if state.fingerprint[:SCHEME_BYTES] == fingerprint[:SCHEME_BYTES]:
            entries = found
        if is_open(entries.get(digest), time, case.rules.window_us):
            return _seen_before(case, state, entries, digest, time)
    return _emit(case, fingerprint, entries, digest)


def _emitted_contents(facts: Facts, state: State, time: int) -> tuple[State, Entries]:
    """Return what was emitted of a row, and its state with the fingerprint in today's scheme.

    A record of another strategy, of other content fields or of a Flink job says it of its own row.
    """
    recomputed = facts.recomputed(state)
    if recomputed is None:
        found = unpack_entries("distinct", state.remembered)
        if found is not None:
            return state, found
    else:
        state = replace(state, fingerprint=recomputed)
    _, emitted = (None, None) if state.row is None else facts.last_event(state.row)
    return state, {state.fingerprint[SCHEME_BYTES:]: time if emitted is None else emitted}


def _by_event_id(case: Case) -> Decision:
    facts, state, time = case.facts, case.state, case.time
    entries: Entries = {}
    event_id = facts.event_id
    digest = None if event_id is None else event_id_digest(event_id)
    if state is not None and time is not None:
        entries = _emitted_events(facts, state, time)
        if digest is not None and is_open(entries.get(digest), time, case.rules.window_us):
            return _seen_before(case, state, entries, digest, time)
    if facts.kind is _DELETE:
        return _delete(case, entries, digest)
    fingerprint = facts.fingerprint(None if state is None else state.row)
    if isinstance(fingerprint, DeadLetter):
        return Decision(Outcome.DEAD_LETTER, dead_letter=fingerprint)
    return _emit(case, fingerprint, entries, digest)


def _emitted_events(facts: Facts, state: State, time: int) -> Entries:
    """Return the event ids that were emitted of a row; of one by another strategy, its last."""
    found = unpack_entries("event_id", state.remembered)
    if found is not None:
        return found
    if state.row is None:
        return {}
    event_id, emitted = facts.last_event(state.row)
    if event_id is None:
        return {}
    return {event_id_digest(event_id): time if emitted is None else emitted}


def seen_at(facts: Facts, state: State, rules: EventRules) -> int | None:
    """Return when what an event repeats was last seen: the time its window begins; None if never.

    Of the strategies `distinct` and `event_id`: `latest` compares with the known state alone.
    """
    if rules.strategy == "event_id":
        entries = _emitted_events(facts, state, state.event_time)
        return entries.get(event_id_digest(facts.event_id)) if facts.event_id else None
    fingerprint = facts.fingerprint(state.row)
    if isinstance(fingerprint, DeadLetter) or state.row is None:
        return None
    _, entries = _emitted_contents(facts, state, state.event_time)
    return entries.get(fingerprint[SCHEME_BYTES:])


APPLY: Final[Mapping[Strategy, Callable[[Case], Decision]]] = {
    "latest": _latest,
    "distinct": _distinct,
    "event_id": _by_event_id,
}
"""Returns the decision on a case, by strategy."""


def _time_of(case: Case) -> int:
    if case.time is None:  # only a null value has no time, and that is a delete
        raise AssertionError(case)
    return case.time


def _is_same(facts: Facts, fingerprint: bytes, state: State) -> bool:
    return fingerprint == state.fingerprint or fingerprint == facts.recomputed(state)


def _seen_before(case: Case, state: State, entries: Entries, digest: bytes, time: int) -> Decision:
    rules, remembered = case.rules, state.remembered
    if rules.window_kind == "sliding":
        see_again(entries, digest, time)
        remembered = pack_entries(rules.strategy, entries)
    elif unpack_entries(rules.strategy, remembered) is None:
        remembered = pack_entries(rules.strategy, entries)
    known = State(
        *(state.fingerprint, time, case.at.partition, case.at.offset, state.emitted_at),
        duplicates=state.duplicates + 1,
        row=state.row,
        remembered=remembered,
    )
    return Decision(_DUPLICATE, known)


def _emit(
    case: Case, fingerprint: bytes, entries: Entries | None = None, digest: bytes | None = None
) -> Decision:
    """Emit the row of an event, unless it is too large, and remember the digest with the entries.

    A row that is too large for the output topic makes its event a dead letter: the broker would
    always refuse it, and nothing after it could be processed.
    """
    facts, state, _, at, clock, rules = case
    row, time = facts.row(clock.text), _time_of(case)
    limit = rules.largest_row_bytes
    if limit is not None and len(row) > limit:
        return Decision(Outcome.DEAD_LETTER, dead_letter=_row_too_large(len(row), limit))
    outcome, duplicates = _CHANGE, 0
    if state is not None and state.row is not None:
        duplicates = state.duplicates
        if _is_same(facts, fingerprint, state):
            outcome = Outcome.REFRESH
    remembered, forgotten = _with(entries, digest, time, rules)
    new = State(
        fingerprint, time, at.partition, at.offset, clock.now_us, duplicates, row, remembered
    )
    return Decision(outcome, new, forgotten=forgotten)


def _row_too_large(size: int, limit: int) -> DeadLetter:
    return DeadLetter(
        Reason.ROW_TOO_LARGE,
        f"The row has {size} bytes, and the output topic accepts at most {limit}. "
        "Raise its max.message.bytes and replay the event.",
    )


def _with(
    entries: Entries | None, digest: bytes | None, time: int, rules: EventRules
) -> tuple[bytes, int]:
    """Return entries with a new one as bytes, and how many were forgotten for it."""
    if entries is None:
        return b"", 0
    forgotten = 0
    if digest is not None:
        forgotten = remember(entries, digest, time, rules.window_us, rules.window_entries)
    return pack_entries(rules.strategy, entries), forgotten


def _delete(case: Case, entries: Entries | None = None, digest: bytes | None = None) -> Decision:
    """Delete a row; the digest is remembered with the entries if that emits a tombstone."""
    _, state, time, at, clock, rules = case
    if state is None:
        if time is None:
            return Decision(_DUPLICATE)
        # Nothing to delete, but an older event may still arrive.
        marker = State(NO_FINGERPRINT, time, at.partition, at.offset, clock.now_us, 1, None)
        return Decision(_DUPLICATE, marker)
    newest = state.event_time if time is None else time
    if state.row is None:
        duplicates = state.duplicates + 1
        again = replace(
            state,
            event_time=newest,
            partition=at.partition,
            offset=at.offset,
            duplicates=duplicates,
        )
        return Decision(_DUPLICATE, again)
    remembered, forgotten = _with(entries, digest, newest, rules)
    deleted = State(
        *(NO_FINGERPRINT, newest, at.partition, at.offset, clock.now_us, state.duplicates),
        row=None,
        remembered=remembered,
    )
    return Decision(Outcome.TOMBSTONE, deleted, forgotten=forgotten)
