"""Verdicts on events in a file, without a broker."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from dedup.core.decide import Rules
from dedup.core.strict_json import key_named_in
from dedup.inspection.states import StatesInMemory
from dedup.inspection.telling import Teller
from dedup.inspection.verdicts import Verdict, judge

PARTITION: Final = 0


class Line(NamedTuple):
    """A line of the file, as the record of `products` it would be. Its number is its offset."""

    offset: int
    timestamp: int
    key: bytes
    value: bytes


def verdicts_on(lines: Iterable[bytes], rules: Rules) -> Iterator[Verdict]:
    """Return the verdict on each line that is not empty, in order, from an empty state on."""
    states = StatesInMemory()
    now_ms = int(time.time() * 1000)
    teller = Teller(rules)
    for number, text in enumerate(lines, start=1):
        value = text.strip()
        if value:
            line = Line(number, now_ms, key_named_in(value), value)
            yield from judge([line], PARTITION, states, teller)


def summary(outcomes: Counter[str]) -> str:
    """Say how many events have which outcome."""
    counts = ", ".join(f"{number:,} {outcome}" for outcome, number in outcomes.most_common())
    return f"{outcomes.total():,} events: {counts}" if outcomes else "0 events"
