"""Verdicts: what became of an event, or would become of it, and why."""

from dedup.core.deadletter import DeadLetter
from dedup.core.decide import EMITTING, Decision, Position, Rules
from dedup.core.event import Event
from dedup.core.explain import explain
from dedup.core.state import State
from dedup.observability.decision_log import PastDecision
from dedup.web.models import CheckResult, Comparison, PastResult


def verdict(
    event: Event | DeadLetter, state: State | None, decision: Decision, at: Position, rules: Rules
) -> CheckResult:
    """Put a decision into words."""
    explanation = explain(event, state, decision, at, rules)
    known = event if isinstance(event, Event) else None
    return CheckResult(
        outcome=decision.outcome,
        why=explanation.why,
        emits=decision.outcome in EMITTING,
        product_id=known and known.product_id,
        event_id=known and known.event_id,
        action=known and known.action,
        event_time=known and known.timestamp,
        comparisons=[Comparison(**each._asdict()) for each in explanation.comparisons],
    )


def past_verdict(told: PastDecision, rules: Rules) -> PastResult:
    """Put a decision of the past into words."""
    words = verdict(told.event, told.before, told.decision, told.at, rules)
    return PastResult(
        **words.model_dump(),
        partition=told.at.partition,
        offset=told.at.offset,
        processed_at=told.clock.text or None,
    )
