"""The members of an event beside its row: its time, its id, its action; and the time of a row."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Final, NamedTuple

from dedup.core.annotations import EpochUnit
from dedup.inference.events import InferenceError
from dedup.inference.observed import Observed, shown
from dedup.inference.types import epoch_unit, says_time, words

_MOST_ACTIONS: Final = 20
_MOSTLY: Final = 0.9
_ACTION_WORDS: Final = frozenset({"action", "op", "operation", "verb"})
_CREATED: Final = frozenset({"created", "create", "inserted", "insert"})
_DELETED: Final = frozenset({"deleted", "delete", "removed", "remove"})
_CHANGED: Final = frozenset(
    {"updated", "update", "changed", "change", "upsert", "upserted", "modified"}
)
_FILL: Final = frozenset({"event", "row", "record", "v"})
_ID_WORDS: Final = frozenset({"id", "uuid", "guid"})
_BEST_TIMES: Final = (
    frozenset({"timestamp", "ts", "time", "occurred", "event"}),
    frozenset({"updated", "modified", "changed"}),
)
_CREATION: Final = frozenset({"created", "start", "started", "valid", "since"})


class EventTime(NamedTuple):
    """The member with the event time; `unit` is that of an integer, None for a text."""

    name: str
    unit: EpochUnit | None
    doubts: tuple[str, ...]


def event_time(members: Mapping[str, Observed], events: int, holder: str) -> EventTime:
    """Return the member that holds a time in every event. Raises InferenceError without one.

    `holder` says what these are members of.
    """
    units: dict[str, EpochUnit | None] = {}
    by_number_alone: dict[str, EpochUnit | None] = {}
    for name, seen in members.items():
        unit = epoch_unit(seen)
        if seen.count < events or seen.nulls:
            continue
        if set(seen.forms) == {"time"} and set(seen.types) == {"text"}:
            units[name] = None
        elif unit is not None and says_time(name):
            units[name] = unit
        elif unit is not None and unit != "s":
            by_number_alone[name] = unit
    doubts = []
    if not units and by_number_alone:
        units = by_number_alone
        doubts.append("the event time, by the size of its numbers alone")
    if not units:
        raise InferenceError(_no_time(members, events, holder))
    ranked = sorted(units, key=_rank)
    if len(ranked) > 1:
        doubts.append(f"the event time; {', '.join(ranked[1:])} could be it too")
    return EventTime(ranked[0], units[ranked[0]], tuple(doubts))


def _rank(name: str) -> int:
    found = words(name)
    for rank, best in enumerate(_BEST_TIMES):
        if found & best and not found & _CREATION:
            return rank
    return len(_BEST_TIMES) + bool(found & _CREATION)


def _no_time(members: Mapping[str, Observed], events: int, holder: str) -> str:
    partly = [
        f"{name} has one in {seen.forms['time'] or seen.count:,}"
        for name, seen in members.items()
        if seen.forms["time"] or (says_time(name) and epoch_unit(seen) is not None)
    ]
    closest = f" The closest: {', '.join(partly)}." if partly else ""
    return (
        f"No member of {holder} has a time in all of {events:,} events (ISO 8601 text, or an "
        f"integer since the epoch), and events are put in order by it.{closest} Have the producer "
        "add one."
    )


class Actions(NamedTuple):
    """The member that says what an event does, and which values create or delete a row."""

    name: str | None = None
    creates: tuple[str, ...] = ()
    deletes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()


def actions(members: Mapping[str, Observed], events: int, things: set[str]) -> Actions:
    """Return the member with the action, if there is one.

    `things` are words for what a row is of: `order_deleted` deletes an order, `item_deleted` may
    well be a change of it.
    """
    best: Actions = Actions()
    free = {*things, *(f"{thing}s" for thing in things), *_FILL}
    for name, seen in members.items():
        if seen.count < events or set(seen.types) != {"text"} or len(seen.distinct) > _MOST_ACTIONS:
            continue
        values = sorted(str(value) for value in seen.distinct)
        creates = tuple(v for v in values if _is_only(v, _CREATED, free))
        deletes = tuple(v for v in values if _is_only(v, _DELETED, free))
        says_action = bool(words(name) & _ACTION_WORDS)
        known = creates or deletes or any(words(v) & _CHANGED for v in values)
        if not (says_action or known) or (best.name is not None and not says_action):
            continue
        others = [v for v in values if v not in {*creates, *deletes}]
        doubt = (
            f"taken for what an event does: {_listed(creates)} describe whole rows, "
            f"{_listed(deletes)} delete, {_listed(others)} may lack fields"
        )
        best = Actions(name, creates, deletes, (doubt,))
    return best


def _is_only(action: str, verbs: AbstractSet[str], free: AbstractSet[str]) -> bool:
    """Tell whether an action is one of the verbs, of nothing but the row."""
    found = words(action)
    return bool(found & verbs) and found - free <= verbs


def _listed(values: tuple[str, ...] | list[str]) -> str:
    return ", ".join(map(shown, values)) or "none"


def event_id(members: Mapping[str, Observed], events: int, taken: set[str]) -> str | None:
    """Return the text that is another one in (nearly) every event, if there is one."""
    found = [
        name
        for name, seen in members.items()
        if name not in taken
        and seen.count == events
        and set(seen.types) == {"text"}
        and words(name) & _ID_WORDS
        and (not seen.has_few_values or len(seen.distinct) >= _MOSTLY * events)
    ]
    return min(found, key=lambda name: "event" not in words(name), default=None)
