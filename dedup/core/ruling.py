"""The rules of the decision: the outcome of an event, given the known state of its row.

Pure and total. An event is seen by its time, its kind and the fingerprint of the row it makes;
no field is known here. The rules, in order:

1. An event that can't be read is a **dead letter**: that is decided where events are read.
2. An event of the state's own partition at or before the state's offset was already applied:
   **replayed** - unless it is also newer than the state. Then the topic was recreated and its
   offsets restarted: the rules below apply, and the decision has `offset_regression`. The exception
   is an event that needs a known state to be complete: it may be an old dead letter, read again.
3. In event-time order, an event older than the newest seen of its row is **stale**. Equal times:
   the later offset wins. A delete by null value carries no time and is never stale.
4. A delete is a **tombstone** if the row is known and not deleted, else a **duplicate**. A deletion
   marker is kept for a while, so that a late event can't resurrect the row.
5. What the strategy calls seen before is a **duplicate**, while the window lasts:

   * `latest`: the fingerprint of the known state. A fixed window is from the emission on, by the
     clock; a sliding one from the newest event time seen.
   * `distinct`: the fingerprint of any row emitted since the row was created.
   * `event_id`: the id of any event emitted, deletes too; this one rule comes before 4.

   The windows of the last two are by event time, from the emission on (fixed) or from the last time
   it was seen (sliding). See `window.py`.
6. Everything else is emitted: a **refresh** if its fingerprint is that of the known state, else a
   **change**.
"""

from typing import Final

from msgspec.structs import replace

from dedup.core.decision import Decision, EventRules, Facts, Outcome, Position, ProcessingTime
from dedup.core.normal_event import EventKind
from dedup.core.state import State
from dedup.core.strategies import APPLY, Case

# An Outcome each time is slower, and these are needed for every event.
_STALE: Final = Decision(Outcome.STALE)
_REPLAYED: Final = Decision(Outcome.REPLAYED)


def rule(
    facts: Facts, state: State | None, at: Position, clock: ProcessingTime, rules: EventRules
) -> Decision:
    """Decide on one event, given what is known of its row (None: nothing)."""
    apply = APPLY[rules.strategy]
    time = facts.time
    if state is None or (
        state.row is None and clock.now_us - state.emitted_at > rules.deleted_marker_us
    ):
        return apply(Case(facts, None, time, at, clock, rules))
    newest = state.event_time
    regression = False
    if state.partition == at.partition and at.offset <= state.offset:
        if time is None or time <= newest:
            return _REPLAYED
        regression = True
    if time is None or time < newest:
        if time is not None and rules.order == "event_time":
            return _STALE
        time = newest
    if regression and facts.kind is EventKind.PARTIAL and facts.lacks:
        # Had it been applied, the state would be at least as new: it was a dead letter.
        return Decision(Outcome.DEAD_LETTER, dead_letter=facts.lacking())
    decision = apply(Case(facts, state, time, at, clock, rules))
    return replace(decision, offset_regression=True) if regression else decision
