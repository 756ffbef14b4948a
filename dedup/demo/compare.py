"""Compares the output of the worker with the oracle."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from dedup.demo.oracle import History, Oracle, differences

COMPARED_OUTCOMES: Final = ("change", "duplicate", "stale", "tombstone", "dead_letter")
"""The outcomes of the oracle. A replayed event was read twice, and is counted once already."""

Record = tuple[bytes | None, bytes | None]
"""Key and value."""


class Expectation:
    """The expected output for the produced events: the oracle, and the dead letters it found."""

    def __init__(self) -> None:
        self.oracle = Oracle()
        self.dead_letters: Counter[Record] = Counter()

    def add(self, record: Record) -> None:
        """Add the next produced record."""
        before = self.oracle.outcomes["dead_letter"]
        self.oracle.feed([record])
        if self.oracle.outcomes["dead_letter"] > before:
            self.dead_letters[record] += 1


@dataclass(frozen=True)
class WorkerOutput:
    """The output of the worker: emitted event ids by product, current rows, and dead letters."""

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


def count_products(history: History) -> int:
    """Return the number of products whose last emission is not a tombstone."""
    return sum(ids[-1] is not None for ids in history.values() if ids)


def disagreements(
    expected: Expectation, output: WorkerOutput, outcomes: Mapping[str, int]
) -> list[str]:
    """Return where topics or counters differ from the oracle; empty if they agree."""
    oracle = expected.oracle
    found = differences(oracle.emitted, output.emitted)
    for name in COMPARED_OUTCOMES:
        want, have = oracle.outcomes[name], outcomes.get(name, 0)
        if want != have:
            found.append(f"outcome {name}: expected {want:,} events, the worker counted {have:,}")
    missing = (expected.dead_letters - output.dead_letters).total()
    extra = (output.dead_letters - expected.dead_letters).total()
    if missing or extra:
        found.append(f"dead letters: {missing} missing, {extra} unexpected")
    return found
