"""What events left behind that emitted nothing: decided on again after a crash.

A duplicate changes its row's state - newest event time, offset, count - and writes no record from
which that could be read back.
"""

from collections.abc import Iterable
from dataclasses import replace

from dedup.core.batch import Record
from dedup.core.dead_letter import DeadLetter
from dedup.core.decide import Rules
from dedup.core.decision import EMITTING, Outcome, Position, ProcessingTime
from dedup.core.facts import decide_on, facts_of
from dedup.core.keys import Id
from dedup.core.state import State


def decide_again(
    records: Iterable[Record],
    known: dict[Id, State],
    partition: int,
    clock: ProcessingTime,
    rules: Rules,
) -> dict[Id, State]:
    """Return the states that the duplicates among processed events lead to; update `known`.

    `known` has what the output topic says, and maybe some of these events already: those up to a
    state's offset are replayed, so doing it twice changes nothing. An event that would emit did
    that under other rules, or not at all; either way the topic is right, and nothing is kept of it.
    The exception is a window that has ended only now, by the clock or because earlier duplicates
    are missing here: what was emitted as it had ended is on the topic, so this was a duplicate.
    """
    endless = replace(rules, window_us=None)
    states: dict[Id, State] = {}
    for record in records:
        facts = facts_of(rules.codec, record.key, record.value, clock.text)
        if isinstance(facts, DeadLetter):
            continue
        at = Position(partition, record.offset)
        state = known.get(facts.id)
        decision = decide_on(facts, state, at, clock, rules)
        if decision.outcome in EMITTING:
            decision = decide_on(facts, state, at, clock, endless)
        if decision.outcome is Outcome.DUPLICATE and decision.state is not None:
            known[facts.id] = states[facts.id] = decision.state
    return states
