"""Builds the API's results from decisions: the outcome of an event and the reason for it."""

from dedup.core.dead_letter import DeadLetter
from dedup.core.decide import EMITTING, Decision, Position, Rules
from dedup.core.explain import explain, instant
from dedup.core.normal_event import NormalEvent
from dedup.core.state import State
from dedup.observability.decision_log import PastDecision
from dedup.web.entity_models import models_of
from dedup.web.models import CheckResult, Comparison, PastResult


def check_result(
    event: NormalEvent | DeadLetter,
    state: State | None,
    decision: Decision,
    at: Position,
    rules: Rules,
) -> CheckResult:
    """Return a decision with its explanation."""
    explanation = explain(event, state, decision, at, rules)
    known = event if isinstance(event, NormalEvent) else None
    codec, models = rules.codec, models_of(rules.codec.entity)
    return models.of(CheckResult)(
        outcome=decision.outcome,
        why=explanation.why,
        emits=decision.outcome in EMITTING,
        id=None if known is None else known.id,
        event_id=known and codec.event_id(known),
        action=known and codec.action(known),
        event_time=None if known is None or known.time is None else instant(known.time),
        comparisons=[models.of(Comparison)(**each._asdict()) for each in explanation.comparisons],
    )


def past_result(past: PastDecision, rules: Rules) -> PastResult:
    """Return a decision that was made, with its explanation and the position of its event."""
    result = check_result(past.event, past.before, past.decision, past.at, rules)
    return models_of(rules.codec.entity).of(PastResult)(
        **{name: getattr(result, name) for name in CheckResult.model_fields},
        partition=past.at.partition,
        offset=past.at.offset,
        processed_at=past.clock.text or None,
    )
