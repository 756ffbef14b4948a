"""Decisions on the events of a file, without a broker."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from dedup.core.decide import Rules
from dedup.core.keys import key_named_in
from dedup.inspection.decided_events import DecidedEvent, decide_records
from dedup.inspection.resolver import DecisionResolver
from dedup.inspection.states import StatesInMemory

_PARTITION: Final = 0


class _Line(NamedTuple):
    """A line as a record of `products`. Its offset is the line number."""

    offset: int
    timestamp: int
    key: bytes
    value: bytes


def decide_lines(
    lines: Iterable[bytes], rules: Rules, key: bytes | None = None
) -> Iterator[DecidedEvent]:
    """Return the decisions on all lines that are not empty, in order, with no known states.

    `key` is the record key of all of them; None: each has the id in the event.
    """
    states = StatesInMemory()
    now_ms = time.time_ns() // 1_000_000
    resolver = DecisionResolver(rules)
    for number, text in enumerate(lines, start=1):
        value = text.strip()
        if value:
            line = _Line(
                number,
                now_ms,
                key_named_in(rules.codec.entity, value) if key is None else key,
                value,
            )
            yield from decide_records([line], _PARTITION, states, resolver)


def summary(outcomes: Counter[str]) -> str:
    """Return the number of events with each outcome as text."""
    counts = ", ".join(f"{number:,} {outcome}" for outcome, number in outcomes.most_common())
    return f"{outcomes.total():,} events: {counts}" if outcomes else "0 events"
