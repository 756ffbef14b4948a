"""Events with the decisions on them."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from dedup.core.dead_letter import DeadLetter
from dedup.core.decide import EMITTING, Decision, Position, Rules
from dedup.core.explain import Explanation, explain, instant
from dedup.core.keys import Id
from dedup.core.normal_event import NormalEvent
from dedup.core.state import State
from dedup.inspection.output_index import Emission
from dedup.inspection.resolver import DecisionResolver
from dedup.inspection.states import States


class DecidedEvent(NamedTuple):
    """An event, the state before it, the decision on it, and the rules of that decision.

    `emission` is the record of `src_products` that the event led to, if there is one on the topic.
    """

    record: Any
    event: NormalEvent | DeadLetter
    before: State | None
    decision: Decision
    at: Position
    rules: Rules
    emission: Emission | None

    @property
    def row_id(self) -> Id | None:
        """The id of the event's row; None if the event can't be read."""
        return self.event.id if isinstance(self.event, NormalEvent) else None

    def explain(self) -> Explanation:
        """Explain the decision."""
        return explain(self.event, self.before, self.decision, self.at, self.rules)


def decide_records(
    records: Sequence[Any], partition: int, states: States, resolver: DecisionResolver
) -> Iterator[DecidedEvent]:
    """Return the decisions on records of a partition, in order, and store the new states."""
    if not records:
        return
    read = resolver.rules.codec.read
    events = [read(record.key, record.value) for record in records]
    ids = {event.id for event in events if isinstance(event, NormalEvent)}
    known = states.read(partition, list(ids))
    emissions = resolver.emissions(partition, records[0].offset, records[-1].offset)
    for event, record in zip(events, records, strict=True):
        before = known.get(event.id) if isinstance(event, NormalEvent) else None
        at = Position(partition, record.offset)
        decision, rules, emission = resolver.resolve(event, before, at, record, emissions)
        if decision.state is not None and isinstance(event, NormalEvent):
            known[event.id] = decision.state
        yield DecidedEvent(record, event, before, decision, at, rules, emission)
    states.write(partition, known)


def decision_json(decided: DecidedEvent) -> dict[str, Any]:
    """Return a decided event as the commands print it with `--json`."""
    explanation = decided.explain()
    event = decided.event if isinstance(decided.event, NormalEvent) else None
    codec = decided.rules.codec
    letter = decided.decision.dead_letter
    return {
        "partition": decided.at.partition,
        "offset": decided.at.offset,
        "outcome": decided.decision.outcome,
        "reason": letter and letter.reason,
        "why": explanation.why,
        "emits": decided.decision.outcome in EMITTING,
        codec.entity.id: event and event.id,
        "event_id": event and codec.event_id(event),
        "action": event and codec.action(event),
        "event_time": event and event.time and instant(event.time),
        "comparisons": [comparison._asdict() for comparison in explanation.comparisons],
    }
