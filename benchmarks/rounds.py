"""The rounds of a contender: each one measured, told, and kept, whether it has figures or not."""

import statistics
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

from benchmarks.clock import Figures, RunFailedError
from benchmarks.contender import Contender, CouldNotRunError

Measure = Callable[[Contender], Awaitable[Figures]]
"""Runs a contender once. Raises RunFailedError."""


def say(text: str) -> None:
    """Tell the person who waits."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - this is the output


@dataclass
class Outcome:
    """All rounds of one contender; `failures` say why a round has no figures."""

    name: str
    title: str
    judged_by: str
    versions: Mapping[str, str] = field(default_factory=dict)
    rounds: list[Figures] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    could_not_run: str | None = None

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> Self:
        """Return the outcome that a result file holds."""
        names = (each.name for each in fields(cls) if each.name != "rounds")
        rounds = [Figures(**each) for each in record["rounds"]]
        return cls(**{name: record[name] for name in names}, rounds=rounds)

    def attempts(self) -> int:
        """Return how many rounds it has had, with figures or without."""
        return len(self.rounds) + len(self.failures)

    def record(self) -> dict[str, Any]:
        """Return what a result file holds of it: everything, and the median and range of figures.

        There are none when a round failed: the others would hide it.
        """
        counted = [] if self.failures else self.rounds
        names = [each.name for each in fields(counted[0])] if counted else []
        values = {name: [getattr(r, name) for r in counted] for name in names}
        summary = {
            name: {"median": statistics.median(of), "min": min(of), "max": max(of)}
            for name, of in values.items()
        }
        return {**asdict(self), "summary": summary}


def prepared(contender: Contender) -> Outcome:
    """Prepare a contender; gives the outcome to add rounds to, or that says why it can't run."""
    outcome = Outcome(contender.name, contender.title, contender.judgement.value)
    try:
        outcome.versions = contender.prepare()
    except CouldNotRunError as error:
        outcome.could_not_run = str(error)
        say(f"{contender.name} can't run: {error}")
    return outcome


def resumed(contender: Contender, before: Sequence[Outcome]) -> Outcome:
    """Prepare a contender and take the rounds it had before, if its versions are still those."""
    outcome = prepared(contender)
    for earlier in before:
        if earlier.name == outcome.name and earlier.versions == outcome.versions:
            outcome.rounds, outcome.failures = earlier.rounds, earlier.failures
    return outcome


def _keep_nothing(_: list[Outcome]) -> None:
    return


async def in_turn(
    contenders: Sequence[Contender],
    rounds: int,
    measure: Measure,
    *,
    before: Sequence[Outcome] = (),
    keep: Callable[[list[Outcome]], None] = _keep_nothing,
) -> list[Outcome]:
    """Run everyone in turn; before that the first one, uncounted: the broker is a JVM and cold.

    `before` has rounds of an earlier run, which are not run again. `keep` is called after each run
    with all there is.
    """
    outcomes = {contender.name: resumed(contender, before) for contender in contenders}
    able = [each for each in contenders if outcomes[each.name].could_not_run is None]
    left = [each for each in able if outcomes[each.name].attempts() < rounds]
    if left:
        uncounted = Outcome(left[0].name, "", "")
        await add_round(uncounted, measure(left[0]), f"warming up the broker, {left[0].name}")
        outcomes[left[0].name].failures += uncounted.failures
    for number in range(1, rounds + 1):
        for contender in left:
            outcome = outcomes[contender.name]
            if outcome.attempts() < number:
                await add_round(outcome, measure(contender), f"round {number}, {contender.name}")
                keep(list(outcomes.values()))
    return list(outcomes.values())


async def add_round(outcome: Outcome, measured: Awaitable[Figures], title: str) -> None:
    """Measure a contender once more, tell what came of it, and keep it."""
    try:
        figures = await measured
    except RunFailedError as error:
        outcome.failures.append(f"{title}: {error}")
        say(f"{title}: NO FIGURE, {error}")
        return
    outcome.rounds.append(figures)
    say(
        f"{title}: {figures.events_per_s:,} events/s, {figures.cpu_us_per_event:.1f} µs CPU per "
        f"event, {figures.peak_rss_mib:,} MiB"
    )
