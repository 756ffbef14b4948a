"""Explains the window: what a duplicate is by the rules, and what is remembered of a row."""

from typing import Final, NamedTuple

from dedup.core.codec import Codec
from dedup.core.decision import EventRules
from dedup.core.explain import span
from dedup.core.fingerprint import SCHEME_BYTES
from dedup.core.rows import row_event_id
from dedup.core.state import NO_EVENT_TIME, State
from dedup.core.window import Entries, event_id_digest, is_open, unpack_entries

LAGS: Final = (
    "The table may lag behind the latest state: content that comes back within the window is not "
    "emitted."
)
"""What the strategy `distinct` means for the table, for people who read it."""


_UNITS_US: Final = (86_400_000_000, 3_600_000_000, 60_000_000)


class Remembered(NamedTuple):
    """Something that is a duplicate when it comes again: a content or an event id.

    `digest` is all that is kept of it. `is_row`: it is that of the row. `seen_at`: when its window
    began, in microseconds; by event time, but by the clock with the strategy `latest` and a fixed
    window.
    """

    digest: bytes
    seen_at: int
    is_row: bool


def described(rules: EventRules, name: str) -> str:
    """Return what a duplicate is, as a sentence; `name` is the word for what rows are of."""
    window = span(rules.window_us)
    if rules.strategy == "latest":
        text = f"an event with the content of the known state of its {name}"
        if rules.window_us is None:
            return f"A duplicate is {text}."
        since = "the last emission"
        if rules.window_kind == "sliding":
            since = f"the newest event of the {name} before it, by event time"
        return f"A duplicate is {text}, less than {window} after {since}."
    what = "an event id" if rules.strategy == "event_id" else "content"
    seen = "emitted" if rules.window_kind == "fixed" else "seen"
    ends = "" if rules.window_kind == "fixed" else "; each duplicate begins the window again"
    entries = f"At most {rules.window_entries} are remembered for each {name}"
    return (
        f"A duplicate is {what} that was {seen} for its {name} less than {window} before, by event "
        f"time{ends}. {entries}."
    )


def remembered_of(state: State, rules: EventRules, codec: Codec) -> list[Remembered]:
    """Return what is remembered of a row, the newest first.

    A state of another strategy or of other content fields remembers its own row, as the decision on
    the next event does.
    """
    if rules.strategy == "latest":
        if state.row is None:
            return []
        is_fixed = rules.window_kind == "fixed"
        seen_at = state.emitted_at if is_fixed else state.event_time
        return [Remembered(state.fingerprint[SCHEME_BYTES:], seen_at, is_row=True)]
    if rules.strategy == "event_id":
        event_id = None if state.row is None else row_event_id(state.row)
        of_row = None if event_id is None else event_id_digest(event_id)
        is_same = True
    else:
        fingerprint = None if state.row is None else codec.row_fingerprint(state.row)
        of_row = None if fingerprint is None else fingerprint[SCHEME_BYTES:]
        is_same = state.fingerprint.startswith(codec.prefix)
    entries = unpack_entries(rules.strategy, state.remembered) if is_same else None
    if entries is None:
        entries = _entries_of_row(state, of_row, codec)
    return [Remembered(*entry, is_row=entry[0] == of_row) for entry in reversed(entries.items())]


def _entries_of_row(state: State, of_row: bytes | None, codec: Codec) -> Entries:
    row = None if state.row is None else codec.read_row(state.row)
    if of_row is None or row is None:
        return {}
    return {of_row: state.event_time if row.time is None else row.time}


def is_inside(entry: Remembered, state: State, rules: EventRules, now_us: int) -> bool:
    """Return whether it is a duplicate when it comes now: no event time is newer than now.

    An event with a newer time, or one of the row that was, ends windows before the clock does.
    """
    now_us = max(now_us, state.event_time) if state.event_time != NO_EVENT_TIME else now_us
    return is_open(entry.seen_at, now_us, rules.window_us)


def seen_text(entry: Remembered, rules: EventRules, now_us: int) -> str:
    """Return when something remembered was seen and its window: `seen 3 min ago, window 10 min`."""
    ago = now_us - entry.seen_at
    when = f"seen {_whole(ago)} ago" if ago >= 0 else f"seen {_whole(-ago)} in the future"
    return f"{when}, window {span(rules.window_us)}"


def _whole(us: int) -> str:
    """Return a duration in whole units: what is shown live does not change all the time."""
    unit_us = next((unit for unit in _UNITS_US if us >= unit), 1_000_000)
    return span(us // unit_us * unit_us)
