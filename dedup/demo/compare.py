"""Compares the output of the worker with the oracle."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from dedup.demo.example import Example, History, differences

COMPARED_OUTCOMES: Final = (
    *("change", "refresh", "duplicate", "stale", "tombstone", "dead_letter"),
)
"""The outcomes of the oracle. A replayed event was read twice, and is counted once already."""

Record = tuple[bytes | None, bytes | None]
"""Key and value."""


class Expectation:
    """The expected output for the produced events: the oracle, and the dead letters it found."""

    def __init__(self, example: Example) -> None:
        self.example = example
        self.oracle = example.oracle()
        self.others = {name: oracle() for name, oracle in example.others.items()}
        self.dead_letters: Counter[Record] = Counter()

    def add(self, record: Record) -> None:
        """Add the next produced record."""
        before = self.oracle.outcomes["dead_letter"]
        for oracle in (self.oracle, *self.others.values()):
            oracle.feed([record])
        if self.oracle.outcomes["dead_letter"] > before:
            self.dead_letters[record] += 1


@dataclass(frozen=True)
class WorkerOutput:
    """The output of the worker: emissions by id, current rows, and dead letters."""

    emitted: History
    rows: Mapping[Any, Mapping[str, Any]]
    dead_letters: Counter[Record]


def read_output(
    example: Example, states: Iterable[Any], dead_letters: Iterable[Any]
) -> WorkerOutput:
    """Read the records of the output topic and of the topic of dead letters."""
    emitted: History = defaultdict(list)
    rows: dict[Any, Mapping[str, Any]] = {}
    id_name = example.entity.id
    for record in states:
        row_id = json.loads(record.key)[id_name]
        if record.value is None:
            emitted[row_id].append(None)
            rows.pop(row_id, None)
        else:
            rows[row_id] = json.loads(record.value)
            emitted[row_id].append(example.emission(rows[row_id]))
    return WorkerOutput(
        emitted, rows, Counter((letter.key, letter.value) for letter in dead_letters)
    )


def count_rows(history: History) -> int:
    """Return the number of rows whose last emission is not a tombstone."""
    return sum(ids[-1] is not None for ids in history.values() if ids)


def disagreements(
    expected: Expectation, output: WorkerOutput, outcomes: Mapping[str, int]
) -> list[str]:
    """Return where topics or counters differ from the oracle; empty if they agree."""
    oracle = expected.oracle
    found = differences(oracle.emitted, output.emitted, expected.example.entity.name)
    for name in COMPARED_OUTCOMES:
        want, have = oracle.outcomes[name], outcomes.get(name, 0)
        if want != have:
            found.append(f"outcome {name}: expected {want:,} events, the worker counted {have:,}")
    missing = (expected.dead_letters - output.dead_letters).total()
    extra = (output.dead_letters - expected.dead_letters).total()
    if missing or extra:
        found.append(f"dead letters: {missing} missing, {extra} unexpected")
    return found
