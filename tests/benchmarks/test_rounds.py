"""Rounds that are done survive: a benchmark that was stopped continues where it was."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from benchmarks.clock import Figures, RunFailedError
from benchmarks.contender import Contender
from benchmarks.rounds import Outcome, in_turn

FIGURES = Figures(1000, 1000, 1.0, 10.0, 5.0, 100, 3.0, 7)


def contender(name: str, version: str = "1") -> Contender:
    """A contender of which nothing is run."""
    versions: Mapping[str, str] = {"it": version}
    return Contender(name, name, lambda _: [], prepare=lambda: versions)


@dataclass
class Machine:
    """Measures until it has measured so many runs, and counts who was run."""

    stops_after: int = 1000
    runs: Counter[str] = field(default_factory=Counter)
    kept: list[Outcome] = field(default_factory=list)

    async def measure(self, each: Contender) -> Figures:
        if self.runs.total() == self.stops_after:
            raise KeyboardInterrupt
        self.runs[each.name] += 1
        return FIGURES

    def keep(self, outcomes: list[Outcome]) -> None:
        self.kept = [Outcome.of_record(outcome.record()) for outcome in outcomes]


BOTH = [contender("a"), contender("b")]


def rounds(outcomes: list[Outcome]) -> dict[str, int]:
    """How many rounds each has."""
    return {outcome.name: len(outcome.rounds) for outcome in outcomes}


async def test_rounds_survive_an_interrupt_and_are_not_run_again() -> None:
    """One run warms up the broker; of three rounds, one and a half were done."""
    first, second = Machine(stops_after=1 + 3), Machine()
    with pytest.raises(KeyboardInterrupt):
        await in_turn(BOTH, 3, first.measure, keep=first.keep)
    assert rounds(first.kept) == {"a": 2, "b": 1}
    outcomes = await in_turn(BOTH, 3, second.measure, before=first.kept, keep=second.keep)
    assert rounds(outcomes) == {"a": 3, "b": 3}
    assert second.runs == {"a": 1 + 1, "b": 2}
    assert second.kept == outcomes


async def test_rounds_of_another_version_are_run_again() -> None:
    machine = Machine()
    before = await in_turn([contender("a")], 2, Machine().measure)
    outcomes = await in_turn([contender("a", "2")], 2, machine.measure, before=before)
    assert rounds(outcomes) == {"a": 2}
    assert machine.runs == {"a": 1 + 2}


async def test_nothing_is_run_when_all_is_done() -> None:
    machine = Machine()
    before = await in_turn(BOTH, 2, Machine().measure)
    assert await in_turn(BOTH, 2, machine.measure, before=before) == before
    assert not machine.runs


async def test_a_wrong_run_that_warms_up_counts_as_a_failure() -> None:
    async def wrong(_: Contender) -> Figures:
        raise RunFailedError("the output is wrong")

    (outcome,) = await in_turn([contender("a")], 1, wrong)
    assert outcome.record()["summary"] == {}
