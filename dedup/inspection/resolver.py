"""Finds the decision on an event: from what the worker left on the topics, else by its rules.

For an event that the worker has done, in this order:

1. A record of `src_products` names it: it was emitted, with the state of that record.
2. A dead letter names it and has its bytes: it is a dead letter.
3. Neither: it emitted nothing, or compaction has removed the record. The decision is recomputed
   with the rules of the emissions before and after it in its partition, and a processing time
   between theirs. If that decision would have left a record which is missing, the other rules found
   on the topic are tried. So a changed setting does not change the decisions of the past.

Any other event is decided on with the rules of the settings, at the current time.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple

from dedup.core.dead_letter import DeadLetter, Reason
from dedup.core.decide import EMITTING, Decision, Outcome, Position, ProcessingTime, Rules, decide
from dedup.core.explain import instant
from dedup.core.normal_event import NormalEvent
from dedup.core.records import LAST_TIMESTAMP_MS
from dedup.core.state import State
from dedup.inspection.output_index import Emission, EmissionRange, OutputIndex

_NEXT_TRANSACTION: Final = 2
"""Offsets from the last record of a transaction to the next record: the commit marker takes one."""


class ResolvedDecision(NamedTuple):
    """A decision, its rules, and the record of `src_products` that proves it, if there is one."""

    decision: Decision
    rules: Rules
    emission: Emission | None = None


class DecisionResolver:
    """Finds the decisions on events. Without an `index` it decides on all of them now."""

    def __init__(
        self,
        rules: Rules,
        index: OutputIndex | None = None,
        done: Mapping[int, int] | None = None,
    ) -> None:
        """`done`: the offset of each partition up to which the worker has done all events."""
        self.rules = rules
        self._index = index
        self._done = done or {}

    def emissions(self, partition: int, first: int, last: int) -> EmissionRange:
        """Return the emissions that are needed to decide on a range of events."""
        if self._index is None:
            return EmissionRange([])
        return self._index.emissions(partition, first, last)

    def resolve(
        self,
        event: NormalEvent | DeadLetter,
        before: State | None,
        at: Position,
        record: Any,
        emissions: EmissionRange,
    ) -> ResolvedDecision:
        """Return the decision on an event, given the state before it."""
        index = self._index
        if index is None:
            return self._decide_now(event, before, at)
        emission = emissions.of(at.offset)
        if (
            emission is not None
            and isinstance(event, NormalEvent)
            and emission.is_of(event, self.rules.codec)
        ):
            decision = _decision_of_emission(emission, before, at)
            return ResolvedDecision(decision, emission.rules, emission)
        dead_letter = index.dead_letter(at, record.key, record.value)
        if dead_letter is not None:
            decision = Decision(Outcome.DEAD_LETTER, dead_letter=dead_letter)
            return ResolvedDecision(decision, self.rules)
        if at.offset >= self._done.get(at.partition, 0):
            return self._decide_now(event, before, at)
        first: ResolvedDecision | None = None
        for rules, clock in self._candidates(at, record, emissions):
            resolved = ResolvedDecision(decide(event, before, at, clock, rules), rules)
            if self._is_possible(resolved.decision, event, at, emissions):
                return resolved
            first = first or resolved
        if first is None:
            raise AssertionError(at)  # the rules of the settings are always a candidate
        return first

    def _decide_now(
        self, event: NormalEvent | DeadLetter, before: State | None, at: Position
    ) -> ResolvedDecision:
        now_us = _now_us()
        clock = ProcessingTime(now_us, instant(now_us) or "")
        return ResolvedDecision(decide(event, before, at, clock, self.rules), self.rules)

    def _candidates(
        self, at: Position, record: Any, emissions: EmissionRange
    ) -> Iterator[tuple[Rules, ProcessingTime]]:
        """Return the rules and times the worker may have used, the most likely first."""
        before, after = emissions.around(at.offset)
        earliest = before.state.emitted_at if before else -LAST_TIMESTAMP_MS * 1000
        latest = after.state.emitted_at if after else _now_us()
        appended = max(-LAST_TIMESTAMP_MS, min(record.timestamp, LAST_TIMESTAMP_MS)) * 1000
        estimate = max(earliest, min(appended, latest))
        near = [e.rules for e in (before, after) if e is not None]
        if after is None:
            near.append(self.rules)
        others = self._index.rules if self._index else []
        limit = self.rules.largest_row_bytes
        tried = set()
        for rules in (*near, *others, self.rules):
            complete = replace(rules, largest_row_bytes=limit)
            for us in (estimate, earliest):
                if (complete, us) not in tried:
                    tried.add((complete, us))
                    yield complete, ProcessingTime(us, instant(us) or "")

    def _is_possible(
        self,
        decision: Decision,
        event: NormalEvent | DeadLetter,
        at: Position,
        emissions: EmissionRange,
    ) -> bool:
        """Return whether the worker may have decided so although no record shows it."""
        index = self._index
        if index is None or not isinstance(event, NormalEvent):
            return True
        letter = decision.dead_letter
        if letter is not None:
            by_rules = letter.reason in (Reason.UNKNOWN_ACTION, Reason.ROW_TOO_LARGE)
            return not by_rules or not index.dead_letters_complete
        if decision.outcome not in EMITTING or at.partition in index.without_source:
            return True
        before, after = emissions.around(at.offset)
        if after is not None and not _may_have_compacted_between(before, after):
            return False
        if decision.outcome is Outcome.TOMBSTONE:  # compaction removes it after delete.retention.ms
            return True
        return index.emitted_later(at, event.id)


def _may_have_compacted_between(before: Emission | None, after: Emission) -> bool:
    """Return whether the offsets leave room for a record that compaction has removed."""
    if before is None:
        return after.offset > 0
    distance = after.offset - before.offset
    next_batch = after.state.emitted_at != before.state.emitted_at
    return distance > (_NEXT_TRANSACTION if next_batch else 1)


def _decision_of_emission(emission: Emission, before: State | None, at: Position) -> Decision:
    """Return the decision that a record of `src_products` proves."""
    state = emission.state
    if state.row is None:
        outcome = Outcome.TOMBSTONE
    else:
        compute = emission.rules.codec.row_fingerprint
        known = None if before is None or before.row is None else compute(before.row)
        same = known is not None and known == compute(state.row)
        outcome = Outcome.REFRESH if same else Outcome.CHANGE
    regression = (
        before is not None and before.partition == at.partition and at.offset <= before.offset
    )
    return Decision(outcome, state, offset_regression=regression)


def _now_us() -> int:
    return time.time_ns() // 1000
