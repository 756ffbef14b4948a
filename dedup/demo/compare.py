"""Whether the worker did what the oracle says it must have done."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from dedup.demo.oracle import History, Oracle, differences

JUDGED: Final = ("change", "duplicate", "stale", "tombstone", "dead_letter")
"""The outcomes the oracle knows. A replayed event is one that was read twice: no outcome."""

Record = tuple[bytes | None, bytes | None]
"""Key and value."""


class Expectation:
    """What must come of the produced events: the oracle, and the dead letters it found."""

    def __init__(self) -> None:
        self.oracle = Oracle()
        self.dead_letters: Counter[Record] = Counter()

    def see(self, record: Record) -> None:
        """Take the next produced record."""
        before = self.oracle.outcomes["dead_letter"]
        self.oracle.feed([record])
        if self.oracle.outcomes["dead_letter"] > before:
            self.dead_letters[record] += 1


@dataclass(frozen=True)
class WorkerOutput:
    """What the worker wrote: emitted event ids by product, the last rows, and the dead letters."""

    emitted: History
    rows: Mapping[int, Mapping[str, Any]]
    dead_letters: Counter[Record]


def read_output(states: Iterable[Any], dead_letters: Iterable[Any]) -> WorkerOutput:
    """Read the records of `src_products` and `products.dlq`."""
    emitted: History = defaultdict(list)
    rows: dict[int, Mapping[str, Any]] = {}
    for record in states:
        product_id = json.loads(record.key)["product_id"]
        if record.value is None:
            emitted[product_id].append(None)
            rows.pop(product_id, None)
        else:
            rows[product_id] = json.loads(record.value)
            emitted[product_id].append(rows[product_id]["last_event_id"])
    return WorkerOutput(
        emitted, rows, Counter((letter.key, letter.value) for letter in dead_letters)
    )


def alive(history: History) -> int:
    """Products whose last emission is no tombstone."""
    return sum(ids[-1] is not None for ids in history.values() if ids)


def disagreements(
    expected: Expectation, output: WorkerOutput, outcomes: Mapping[str, int]
) -> list[str]:
    """Say where topics or counters differ from the oracle; empty when it agrees."""
    oracle = expected.oracle
    found = differences(oracle.emitted, output.emitted)
    for name in JUDGED:
        want, have = oracle.outcomes[name], outcomes.get(name, 0)
        if want != have:
            found.append(f"outcome {name}: expected {want:,} events, the worker counted {have:,}")
    missing = (expected.dead_letters - output.dead_letters).total()
    extra = (output.dead_letters - expected.dead_letters).total()
    if missing or extra:
        found.append(f"dead letters: {missing} missing, {extra} that nobody expected")
    return found
