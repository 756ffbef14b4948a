"""Verdicts of the core on records, and how they are told: as a line, or as JSON."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from rich.text import Text

from dedup.core.deadletter import DeadLetter
from dedup.core.decide import EMITTING, Decision, Outcome, Position, Rules
from dedup.core.event import Event
from dedup.core.explain import Explanation, explain
from dedup.core.printable import harmless
from dedup.core.read import read_event
from dedup.core.state import State
from dedup.inspection.evidence import Emission
from dedup.inspection.states import States
from dedup.inspection.telling import Teller

COLOURS: Final[Mapping[Outcome, str]] = {
    Outcome.CHANGE: "green",
    Outcome.REFRESH: "cyan",
    Outcome.TOMBSTONE: "magenta",
    Outcome.DUPLICATE: "dim",
    Outcome.STALE: "yellow",
    Outcome.REPLAYED: "blue",
    Outcome.DEAD_LETTER: "red",
}
_OUTCOME_WIDTH: Final = max(map(len, Outcome))


class Verdict(NamedTuple):
    """A record, what was known before it, what became of it, and by which rules.

    `emission` is the record of `src_products` that it led to, where one shows it.
    """

    record: Any
    event: Event | DeadLetter
    before: State | None
    decision: Decision
    at: Position
    rules: Rules
    emission: Emission | None

    @property
    def product_id(self) -> int | None:
        """The product; None when the event can't be read."""
        return self.event.product_id if isinstance(self.event, Event) else None

    def explain(self) -> Explanation:
        """Say why."""
        return explain(self.event, self.before, self.decision, self.at, self.rules)


def judge(
    records: Sequence[Any], partition: int, states: States, teller: Teller
) -> Iterator[Verdict]:
    """Tell what became of records of a partition, in order, and keep what is known then."""
    if not records:
        return
    events = [read_event(record.key, record.value) for record in records]
    ids = {event.product_id for event in events if isinstance(event, Event)}
    known = states.read(partition, list(ids))
    window = teller.window(partition, records[0].offset, records[-1].offset)
    for event, record in zip(events, records, strict=True):
        before = known.get(event.product_id) if isinstance(event, Event) else None
        at = Position(partition, record.offset)
        decision, rules, emission = teller.tell(event, before, at, record, window)
        if decision.state is not None and isinstance(event, Event):
            known[event.product_id] = decision.state
        yield Verdict(record, event, before, decision, at, rules, emission)
    states.write(partition, known)


def as_json(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict as the commands' `--json` prints it."""
    explanation = verdict.explain()
    event = verdict.event if isinstance(verdict.event, Event) else None
    letter = verdict.decision.dead_letter
    return {
        "partition": verdict.at.partition,
        "offset": verdict.at.offset,
        "outcome": verdict.decision.outcome,
        "reason": letter and letter.reason,
        "why": explanation.why,
        "emits": verdict.decision.outcome in EMITTING,
        "product_id": event and event.product_id,
        "event_id": event and event.event_id,
        "action": event and event.action,
        "event_time": event and event.timestamp,
        "comparisons": [comparison._asdict() for comparison in explanation.comparisons],
    }


def as_line(verdict: Verdict, *, place: str) -> Text:
    """Return a verdict as a coloured line: place, product, outcome, action, difference or why."""
    outcome = verdict.decision.outcome
    event = verdict.event
    product = harmless(event.product_id) if isinstance(event, Event) else "?"
    action = harmless(event.action) if isinstance(event, Event) else "-"
    return Text.assemble(
        (f"{place:>10}  ", "dim"),
        (f"{product:>7}  ", "bold"),
        (f"{outcome:<{_OUTCOME_WIDTH}}  ", COLOURS[outcome]),
        f"{action:<13}  ",
        told(verdict),
    )


def told(verdict: Verdict) -> str:
    """Say what is different where something was known and is changed, else why."""
    explanation = verdict.explain()
    differing = [c for c in explanation.comparisons if c.differs]
    known = verdict.before is not None and verdict.before.row is not None
    if verdict.decision.outcome is Outcome.CHANGE and known:
        return ", ".join(f"{c.field} {harmless(c.known)} → {harmless(c.event)}" for c in differing)
    letter = verdict.decision.dead_letter
    return harmless(explanation.why if letter is None else f"{letter.reason}: {letter.message}")
