"""Explains a decision: the reason as text, and the comparison of the content fields."""

from datetime import timedelta
from typing import NamedTuple

from dedup.core.deadletter import DeadLetter
from dedup.core.decide import Decision, Outcome, Position, Rules
from dedup.core.event import CONTENT_FIELDS, EPOCH, Event, NormalProduct, time_text
from dedup.core.row import read_product
from dedup.core.state import State

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


def explain(
    event: Event | DeadLetter, state: State | None, decision: Decision, at: Position, rules: Rules
) -> Explanation:
    """Explain a decision on an event, given the known state of its product."""
    if decision.dead_letter is not None:
        return Explanation(decision.dead_letter.message, ())
    if isinstance(event, DeadLetter):
        raise TypeError(event)
    comparisons = _compare(event, state, rules)
    why = _why(event, state, decision, at, comparisons, rules)
    if decision.offset_regression:
        why += " Its offset had been seen before: the source topic was recreated."
    return Explanation(why, comparisons)


def instant(us: int) -> str | None:
    """Return a time in microseconds as text; None if it is not known."""
    try:
        return time_text(EPOCH + timedelta(microseconds=us))
    except OverflowError:  # NO_EVENT_TIME too
        return None


def _compare(event: Event, state: State | None, rules: Rules) -> tuple[Comparison, ...]:
    if event.action == "deleted":
        return ()
    known = None if state is None or state.row is None else read_product(state.row)
    before = {} if known is None else known.given()
    said = event.product.given()
    if event.action == "created" or known is None:
        said = NormalProduct.default(event.product_id).given() | said
    return tuple(
        Comparison(
            field,
            before.get(field),
            said.get(field, before.get(field)),
            known is None or said.get(field, before.get(field)) != before.get(field),
            field in rules.scheme.fields,
        )
        for field in CONTENT_FIELDS
    )


def _why(
    event: Event,
    state: State | None,
    decision: Decision,
    at: Position,
    comparisons: tuple[Comparison, ...],
    rules: Rules,
) -> str:
    match decision.outcome:
        case Outcome.CHANGE:
            return _why_changed(state, comparisons)
        case Outcome.DUPLICATE:
            return _why_duplicate(event, state, comparisons)
        case Outcome.STALE if state is not None:
            return (
                f"Its time {instant(event.event_time or 0)} is older than "
                f"{instant(state.event_time)}, the newest event time of this product."
            )
        case Outcome.REPLAYED if state is not None:
            return (
                f"Offset {at.offset} of partition {at.partition} was already applied: the state "
                f"includes all events up to offset {state.offset}."
            )
        case Outcome.TOMBSTONE:
            return "This event deletes a known product."
        case Outcome.REFRESH if state is not None:
            return _why_refreshed(state, rules)
        case _:
            raise AssertionError(decision)


def _why_changed(state: State | None, comparisons: tuple[Comparison, ...]) -> str:
    if state is None:
        return "Nothing was known of this product: it is new."
    if state.row is None:
        return "The product was deleted, and this event creates it again."
    names = [c.field for c in comparisons if c.differs and c.counts]
    if not names:
        return "A record was emitted; the state before it is no longer known."
    return f"{_listed(names)} {'differs' if len(names) == 1 else 'differ'} from the known state."


def _why_refreshed(state: State, rules: Rules) -> str:
    last = f"No content field differs, but the last emission, at {instant(state.emitted_at)}, is "
    if rules.refresh_after_us is None:  # of a record without the rules it was made with
        return f"{last}older than DEDUP_REFRESH_AFTER, as set at that time."
    return f"{last}older than DEDUP_REFRESH_AFTER={rules.refresh_after_us / 1_000_000:g} s."


def _why_duplicate(event: Event, state: State | None, comparisons: tuple[Comparison, ...]) -> str:
    if event.action == "deleted":
        if state is None:
            return "Nothing is known of this product, so there is nothing to delete."
        return "The product is already deleted."
    names = [c.field for c in comparisons if c.counts]
    ignored = [c.field for c in comparisons if c.differs and not c.counts]
    be = "is" if len(names) == 1 else "are"
    why = f"No content field differs from the known state: {_listed(names)} {be} equal"
    if not ignored:
        return f"{why}."
    return f"{why}; DEDUP_CONTENT_FIELDS leaves out what differs: {_listed(ignored)}."


def _listed(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
