"""The result of an audit: a check after the other, with its faults."""

from dataclasses import dataclass, field
from typing import Final

_NAMED: Final = 20
"""Faults of each check that are reported as text; the others are only counted."""


@dataclass
class Check:
    """One check, and its result. The fields are the keys of `dedup verify --json`."""

    title: str
    looked_at: int = 0
    faults: int = 0
    not_judged: int = 0
    named: list[str] = field(default_factory=list)

    def fault(self, message: str) -> None:
        """Count a fault, and keep its text if there are few."""
        self.faults += 1
        if len(self.named) < _NAMED:
            self.named.append(message)


@dataclass
class Audit:
    """The results of all checks.

    `cut`: partitions of `products` whose first events were removed. `notes`: how the settings
    differ from those the newest record was made with.
    """

    settings: Check = field(default_factory=lambda: Check("topic settings"))
    records: Check = field(default_factory=lambda: Check("keys, rows, partitions, fingerprints"))
    neighbours: Check = field(default_factory=lambda: Check("neighbouring records differ"))
    rows: Check = field(default_factory=lambda: Check("rows against a replay of the events"))
    cut: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def checks(self) -> tuple[Check, ...]:
        """All checks, in the order they are done."""
        return self.settings, self.records, self.neighbours, self.rows

    @property
    def sound(self) -> bool:
        """Whether no check found a fault."""
        return not any(check.faults for check in self.checks)
