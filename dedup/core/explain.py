"""Explains a decision: the reason as text, and the comparison of the content fields."""

from collections.abc import Container, Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from dedup.core.annotations import listed
from dedup.core.codec import Codec
from dedup.core.dead_letter import DeadLetter
from dedup.core.decide import Rules
from dedup.core.decision import Decision, EventRules, Outcome, Position
from dedup.core.facts import facts_of_read
from dedup.core.normal_event import EventKind, NormalEvent
from dedup.core.payload import completed
from dedup.core.state import State
from dedup.core.strategies import seen_at
from dedup.core.times import EPOCH, time_text

Value = str | int | None


class Comparison(NamedTuple):
    """One content field: its value in the known state and in the event, both in normal form.

    `counts` is whether a difference makes the event a change (`DEDUP_CONTENT_FIELDS`).
    """

    field: str
    known: Value
    event: Value
    differs: bool
    counts: bool


class Explanation(NamedTuple):
    """The reason for a decision, and the comparison of all content fields that were compared."""

    why: str
    comparisons: tuple[Comparison, ...]


class _Seen(NamedTuple):
    """What an explanation names of an event: its entity, its time, and whether it deletes.

    `before`: when what it repeats was last seen, with the strategies that remember it.
    """

    entity: str
    time: int | None
    deletes: bool
    before: int | None


def explain(
    event: NormalEvent | DeadLetter,
    state: State | None,
    decision: Decision,
    at: Position,
    rules: Rules,
) -> Explanation:
    """Explain a decision on an event, given the known state of its row."""
    if decision.dead_letter is not None:
        return Explanation(decision.dead_letter.message, ())
    if isinstance(event, DeadLetter):
        raise TypeError(event)
    codec = rules.codec
    seen = _Seen(
        codec.entity.name, event.time, event.kind is EventKind.DELETE, _before(event, state, rules)
    )
    comparisons = () if seen.deletes else _compare_values(codec, event, state)
    return _explained(seen, state, decision, at, comparisons, rules)


def _explained(
    seen: _Seen,
    state: State | None,
    decision: Decision,
    at: Position,
    comparisons: tuple[Comparison, ...],
    rules: EventRules,
) -> Explanation:
    why = _why(seen, state, decision, at, comparisons, rules)
    if decision.offset_regression:
        why += " Its offset had been seen before: the source topic was recreated."
    return Explanation(why, comparisons)


def _before(event: NormalEvent, state: State | None, rules: Rules) -> int | None:
    if rules.strategy == "latest" or state is None:
        return None
    facts = facts_of_read(rules.codec, event)
    return None if isinstance(facts, DeadLetter) else seen_at(facts, state, rules)


def instant(us: int) -> str | None:
    """Return a time in microseconds as text; None if it is not known."""
    try:
        return time_text(EPOCH + timedelta(microseconds=us))
    except OverflowError:  # NO_EVENT_TIME too
        return None


def _compare_values(
    codec: Codec, event: NormalEvent, state: State | None
) -> tuple[Comparison, ...]:
    """Compare the content of an event with the known row, field by field, in normal form."""
    row = None if state is None else state.row
    known, whole = None if row is None else codec.read_row(row), codec.whole(event, row)
    if isinstance(whole, DeadLetter):  # the state that completed it then is no longer known
        values, extra = completed(codec.entity.fields, event.values, None), event.extra
    else:
        values, extra = whole.values, whole.extra
    before = None if known is None else codec.shown(known.values, known.extra)
    after = codec.shown(values, extra)
    names = [*codec.entity.content, *(n for n in codec.content if n not in codec.entity.content)]
    return _comparisons(names, before, after, codec.content)


def _comparisons(
    names: Sequence[str],
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any],
    compared: Container[str],
) -> tuple[Comparison, ...]:
    """Compare fields by name; without a known row (None) each of them changes."""
    old = before or {}
    return tuple(
        Comparison(
            name,
            old.get(name),
            after.get(name),
            before is None or old.get(name) != after.get(name),
            name in compared,
        )
        for name in names
    )


def _why(
    seen: _Seen,
    state: State | None,
    decision: Decision,
    at: Position,
    comparisons: tuple[Comparison, ...],
    rules: EventRules,
) -> str:
    match decision.outcome:
        case Outcome.CHANGE:
            return _why_changed(seen, state, comparisons) + _why_again(seen, rules)
        case Outcome.DUPLICATE:
            return _why_duplicate(seen, state, comparisons, rules)
        case Outcome.STALE if state is not None:
            return (
                f"Its time {instant(seen.time or 0)} is older than "
                f"{instant(state.event_time)}, the newest event time of this {seen.entity}."
            )
        case Outcome.REPLAYED if state is not None:
            return (
                f"Offset {at.offset} of partition {at.partition} was already applied: the state "
                f"includes all events up to offset {state.offset}."
            )
        case Outcome.TOMBSTONE:
            return f"This event deletes a known {seen.entity}."
        case Outcome.REFRESH if state is not None:
            return _why_refreshed(seen, state, rules)
        case _:
            raise AssertionError(decision)


def _why_changed(seen: _Seen, state: State | None, comparisons: tuple[Comparison, ...]) -> str:
    if state is None:
        return f"Nothing was known of this {seen.entity}: it is new."
    if state.row is None:
        return f"The {seen.entity} was deleted, and this event creates it again."
    names = [c.field for c in comparisons if c.differs and c.counts]
    if not names:
        return "A record was emitted; the state before it is no longer known."
    return f"{listed(names)} {'differs' if len(names) == 1 else 'differ'} from the known state."


def _why_again(seen: _Seen, rules: EventRules) -> str:
    """Return why a change is one although it repeats an earlier emission; empty if it does not."""
    if seen.before is None:
        return ""
    repeated = _repeated(seen, rules).removesuffix(".")
    return f" {repeated}: outside the window of {span(rules.window_us)}."


def _why_refreshed(seen: _Seen, state: State, rules: EventRules) -> str:
    if rules.strategy == "event_id":
        return "No content field differs, but its event id was not seen within the window."
    if seen.before is not None:
        return f"{_repeated(seen, rules)} That is outside the window of {span(rules.window_us)}."
    last = f"the last emission, at {instant(state.emitted_at)}"
    if rules.window_kind == "sliding":
        last = f"the last event, at {instant(state.event_time)}"
    if rules.window_us is None:  # of a record without the rules it was made with
        return f"No content field differs, but {last}, is older than the window was then."
    return f"No content field differs, but {last}, is older than {span(rules.window_us)}."


def _repeated(seen: _Seen, rules: EventRules) -> str:
    """Return what an event repeats, and since when, in a sentence."""
    what = "The event id" if rules.strategy == "event_id" else "The content"
    verb = "was emitted" if rules.window_kind == "fixed" else "was seen"
    at = seen.before or 0
    ago = "" if seen.time is None or seen.time <= at else f", {span(seen.time - at)} before"
    return f"{what} {verb} at {instant(at)}{ago}."


def span(us: int | None) -> str:
    """Return a duration in microseconds as text: `10 min`."""
    if us is None:
        return "without an end"
    seconds = us / 1_000_000
    for unit_s, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= unit_s:
            return f"{seconds / unit_s:.3g} {name}"
    return f"{seconds:.3g} s"


def _why_duplicate(
    seen: _Seen, state: State | None, comparisons: tuple[Comparison, ...], rules: EventRules
) -> str:
    if seen.before is not None and (rules.strategy == "event_id" or not seen.deletes):
        return f"{_repeated(seen, rules)} The window is {span(rules.window_us)}."
    if seen.deletes:
        if state is None:
            return f"Nothing is known of this {seen.entity}, so there is nothing to delete."
        return f"The {seen.entity} is already deleted."
    names = [c.field for c in comparisons if c.counts]
    ignored = [c.field for c in comparisons if c.differs and not c.counts]
    be = "is" if len(names) == 1 else "are"
    why = f"No content field differs from the known state: {listed(names)} {be} equal"
    if not ignored:
        return f"{why}."
    return f"{why}; DEDUP_CONTENT_FIELDS leaves out what differs: {listed(ignored)}."
