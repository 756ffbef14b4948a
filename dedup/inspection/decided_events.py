"""Events with the decisions on them."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from dedup.core.dead_letter import DeadLetter
from dedup.core.decide import EMITTING, Decision, Position, Rules
from dedup.core.event import Event
from dedup.core.explain import Explanation, explain
from dedup.core.read import read_event
from dedup.core.state import State
from dedup.inspection.output_index import Emission
from dedup.inspection.resolver import DecisionResolver
from dedup.inspection.states import States


class DecidedEvent(NamedTuple):
    """An event, the state before it, the decision on it, and the rules of that decision.

    `emission` is the record of `src_products` that the event led to, if there is one on the topic.
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
        """The product; None if the event can't be read."""
        return self.event.product_id if isinstance(self.event, Event) else None

    def explain(self) -> Explanation:
        """Explain the decision."""
        return explain(self.event, self.before, self.decision, self.at, self.rules)


def decide_records(
    records: Sequence[Any], partition: int, states: States, resolver: DecisionResolver
) -> Iterator[DecidedEvent]:
    """Return the decisions on records of a partition, in order, and store the new states."""
    if not records:
        return
    events = [read_event(record.key, record.value) for record in records]
    ids = {event.product_id for event in events if isinstance(event, Event)}
    known = states.read(partition, list(ids))
    emissions = resolver.emissions(partition, records[0].offset, records[-1].offset)
    for event, record in zip(events, records, strict=True):
        before = known.get(event.product_id) if isinstance(event, Event) else None
        at = Position(partition, record.offset)
        decision, rules, emission = resolver.resolve(event, before, at, record, emissions)
        if decision.state is not None and isinstance(event, Event):
            known[event.product_id] = decision.state
        yield DecidedEvent(record, event, before, decision, at, rules, emission)
    states.write(partition, known)


def decision_json(decided: DecidedEvent) -> dict[str, Any]:
    """Return a decided event as the commands print it with `--json`."""
    explanation = decided.explain()
    event = decided.event if isinstance(decided.event, Event) else None
    letter = decided.decision.dead_letter
    return {
        "partition": decided.at.partition,
        "offset": decided.at.offset,
        "outcome": decided.decision.outcome,
        "reason": letter and letter.reason,
        "why": explanation.why,
        "emits": decided.decision.outcome in EMITTING,
        "product_id": event and event.product_id,
        "event_id": event and event.event_id,
        "action": event and event.action,
        "event_time": event and event.timestamp,
        "comparisons": [comparison._asdict() for comparison in explanation.comparisons],
    }
