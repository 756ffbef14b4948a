"""The decision on events of an entity: the rules it depends on, and the codec that reads them.

The rules themselves are those of `ruling.py`, which knows no field.
"""

from dataclasses import dataclass

from dedup.core.codec import Codec
from dedup.core.dead_letter import DeadLetter
from dedup.core.decision import (
    DAY_US,
    EMITTING,
    Decision,
    EventRules,
    Outcome,
    Position,
    ProcessingTime,
)
from dedup.core.facts import decide_on, facts_of_read
from dedup.core.normal_event import NormalEvent
from dedup.core.state import State

__all__ = [
    "DAY_US",
    "EMITTING",
    "Decision",
    "Outcome",
    "Position",
    "ProcessingTime",
    "Rules",
    "decide",
]


@dataclass(frozen=True, kw_only=True)
class Rules(EventRules):
    """Everything that a decision depends on beside the event, the known state and the clock."""

    codec: Codec
    """What reads events, and says which fields are compared and which actions are known."""


def decide(
    event: NormalEvent | DeadLetter,
    state: State | None,
    at: Position,
    clock: ProcessingTime,
    rules: Rules,
) -> Decision:
    """Decide on an event that the rules' codec read, given what is known of its row."""
    return decide_on(facts_of_read(rules.codec, event), state, at, clock, rules)
