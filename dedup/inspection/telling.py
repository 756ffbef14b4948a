"""What became of an event: what the topics say the worker did, else what its rules say.

An event that was done is told in this order:

1. A record of `src_products` names it: it was emitted, with the state the record holds.
2. A dead letter holds its bytes and names it: it is a dead letter.
3. Neither: it emitted nothing, or compaction has removed the record. It is decided on by the rules
   of the emissions before and after it in its partition, at a time between theirs; where these say
   that a record must stand there that does not, other rules seen on the topic are asked. So a
   setting that was changed later does not change what is told of before.

Any other event is decided on by the rules of the settings, at the time it is now.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple

from dedup.core.deadletter import DeadLetter, Reason
from dedup.core.decide import EMITTING, Decision, Outcome, Position, ProcessingTime, Rules, decide
from dedup.core.event import Event
from dedup.core.explain import instant
from dedup.core.row import LAST_TIMESTAMP_MS, read_product
from dedup.core.state import State
from dedup.inspection.evidence import Emission, Evidence, Window

_MARKER: Final = 2
"""Offsets from a transaction's last record to the first of the next: its marker takes one."""


class ProvenDecision(NamedTuple):
    """A decision, the rules it was made by, and the record that proves it."""

    decision: Decision
    rules: Rules
    emission: Emission | None = None


class Teller:
    """Tells what became of events. Without `evidence` it is what becomes of them now."""

    def __init__(
        self,
        rules: Rules,
        evidence: Evidence | None = None,
        done: Mapping[int, int] | None = None,
    ) -> None:
        """`done`: the offset of each partition before which the worker has done all events."""
        self.rules = rules
        self._evidence = evidence
        self._done = done or {}

    def window(self, partition: int, first: int, last: int) -> Window:
        """Return what is needed to tell the events of a stretch."""
        if self._evidence is None:
            return Window([])
        return self._evidence.window(partition, first, last)

    def tell(
        self,
        event: Event | DeadLetter,
        before: State | None,
        at: Position,
        record: Any,
        window: Window,
    ) -> ProvenDecision:
        """Tell what became of an event, given what was known before it."""
        evidence = self._evidence
        if evidence is None:
            return self._now(event, before, at)
        emission = window.of(at.offset)
        if emission is not None and isinstance(event, Event) and emission.is_of(event):
            return ProvenDecision(_emitted(emission, before, at), emission.rules, emission)
        letter = evidence.letter(at, record.key, record.value)
        if letter is not None:
            return ProvenDecision(Decision(Outcome.DEAD_LETTER, dead_letter=letter), self.rules)
        if at.offset >= self._done.get(at.partition, 0):
            return self._now(event, before, at)
        first: ProvenDecision | None = None
        for rules, clock in self._possible(at, record, window):
            told = ProvenDecision(decide(event, before, at, clock, rules), rules)
            if self._may_be(told.decision, event, at, window):
                return told
            first = first or told
        if first is None:
            raise AssertionError(at)  # its own rules are among the possible ones
        return first

    def _now(self, event: Event | DeadLetter, before: State | None, at: Position) -> ProvenDecision:
        now_us = _now_us()
        clock = ProcessingTime(now_us, instant(now_us) or "")
        return ProvenDecision(decide(event, before, at, clock, self.rules), self.rules)

    def _possible(
        self, at: Position, record: Any, window: Window
    ) -> Iterator[tuple[Rules, ProcessingTime]]:
        """Return rules and times that the worker may have decided by, the likeliest first."""
        before, after = window.around(at.offset)
        earliest = before.state.emitted_at if before else -LAST_TIMESTAMP_MS * 1000
        latest = after.state.emitted_at if after else _now_us()
        appended = max(-LAST_TIMESTAMP_MS, min(record.timestamp, LAST_TIMESTAMP_MS)) * 1000
        estimate = max(earliest, min(appended, latest))
        near = [e.rules for e in (before, after) if e is not None]
        if after is None:
            near.append(self.rules)
        others = self._evidence.rules if self._evidence else []
        limit = self.rules.largest_row_bytes
        tried = set()
        for rules in (*near, *others, self.rules):
            complete = replace(rules, largest_row_bytes=limit)
            for us in (estimate, earliest):
                if (complete, us) not in tried:
                    tried.add((complete, us))
                    yield complete, ProcessingTime(us, instant(us) or "")

    def _may_be(
        self, decision: Decision, event: Event | DeadLetter, at: Position, window: Window
    ) -> bool:
        """Tell whether an event may have been decided on like this though nothing shows it."""
        evidence = self._evidence
        if evidence is None or not isinstance(event, Event):
            return True
        letter = decision.dead_letter
        if letter is not None:
            telling = letter.reason in (Reason.UNKNOWN_ACTION, Reason.ROW_TOO_LARGE)
            return not telling or not evidence.letters_complete
        if decision.outcome not in EMITTING or at.partition in evidence.sourceless:
            return True
        before, after = window.around(at.offset)
        if after is not None and not _may_have_stood_between(before, after):
            return False
        if decision.outcome is Outcome.TOMBSTONE:  # it goes when delete.retention.ms is over
            return True
        return evidence.emitted_later(at, event.product_id)


def _may_have_stood_between(before: Emission | None, after: Emission) -> bool:
    """Tell whether compaction may have removed a record between two, by their offsets."""
    if before is None:
        return after.offset > 0
    distance = after.offset - before.offset
    another_batch = after.state.emitted_at != before.state.emitted_at
    return distance > (_MARKER if another_batch else 1)


def _emitted(emission: Emission, before: State | None, at: Position) -> Decision:
    """Return the decision that a record shows."""
    state = emission.state
    if state.row is None:
        outcome = Outcome.TOMBSTONE
    else:
        scheme = emission.rules.scheme
        known = None if before is None or before.row is None else read_product(before.row)
        row = read_product(state.row)
        same = known and row and scheme.fingerprint(known) == scheme.fingerprint(row)
        outcome = Outcome.REFRESH if same else Outcome.CHANGE
    regression = (
        before is not None and before.partition == at.partition and at.offset <= before.offset
    )
    return Decision(outcome, state, offset_regression=regression)


def _now_us() -> int:
    return time.time_ns() // 1000
