"""Checks records and rows of `src_products` against a replay of the events."""

from dataclasses import replace
from typing import Final

from dedup.core.codec import Codec
from dedup.core.codecs import with_content_of
from dedup.core.decide import Decision, Outcome, ProcessingTime, Rules, decide
from dedup.core.explain import instant
from dedup.core.keys import Id
from dedup.core.state import State
from dedup.inspection.audit_result import Audit
from dedup.inspection.decided_events import DecidedEvent
from dedup.inspection.output_index import Emission, OutputIndex
from dedup.inspection.record_checks import content_of
from dedup.inspection.states import StatesOnDisk
from dedup.state.store import PERSIST_EVERY_EVENTS

_REPEATS_KEPT: Final = 2 * PERSIST_EVERY_EVENTS
"""Events of a partition after which a worker that lost its disk may not know of a duplicate."""


class ReplayChecks:
    """The checks that need the events: of each emission, and then of each row."""

    def __init__(self, result: Audit, rules: Rules, index: OutputIndex) -> None:
        self._result = result
        self._rules = rules
        self._index = index

    def check_emission(self, decided: DecidedEvent) -> None:
        """Compare a record with the result of its event, given the state before it."""
        emission, rules = decided.emission, self._rules
        if emission is None or decided.at.partition in self._result.cut:
            return
        if self._repeats(decided, emission):
            self._fault(decided, emission, "repeats what was emitted within the window")
            return
        others = replace(rules, largest_row_bytes=None)
        if emission.rules.strategy != "latest" or rules.strategy != "latest":
            # What the settings call a duplicate says nothing of a record by another strategy.
            others = emission.rules
        for rules_then in (emission.rules, others):
            decision = _decide_then(decided, emission, decided.before, rules_then)
            if decision.state is not None and _same_row(
                decision.state, emission.state, rules.codec
            ):
                return
            if decision.outcome in (Outcome.STALE, Outcome.REPLAYED):
                # The worker may have lost the times of duplicates; neighbours show the rest.
                return
        self._fault(decided, emission, "is not its row")

    def _fault(self, decided: DecidedEvent, emission: Emission, what: str) -> None:
        at = f"{decided.at.partition}:{decided.at.offset}"
        which = f"{self._rules.codec.entity.name.capitalize()} {emission.row_id}"
        self._result.rows.fault(f"{which}: the record of event {at} {what}.")

    def _repeats(self, decided: DecidedEvent, emission: Emission) -> bool:
        """Return whether the event of a record was a duplicate, and the worker knew that.

        Only if the topic has the record before it, since else the replay had to guess that one.
        Neighbouring records show it where the window is by the clock.
        """
        rules, at = emission.rules, decided.at
        if (rules.strategy, rules.window_kind) == ("latest", "fixed"):
            return False
        if at.partition in self._index.without_source:
            return False
        if not _is_duplicate(decided, emission, decided.before):
            return False
        last = self._index.emission_before(at, emission.row_id)
        if last is None:
            return False
        if rules.window_kind == "sliding" and at.offset - last.state.offset > _REPEATS_KEPT:
            return _is_duplicate(decided, emission, last.state)
        return True

    def compare_rows(
        self, partition: int, span: range, replayed: StatesOnDisk, emitted: StatesOnDisk
    ) -> None:
        """Compare each row of a partition with the result of its events, those of the span."""
        for row_id, row in emitted.items(partition):
            self._compare(partition, span, row_id, row, replayed.read(partition, [row_id]))
        for row_id, replay in replayed.items(partition):
            if replay.row is not None and not emitted.read(partition, [row_id]):
                self._compare(partition, span, row_id, None, {row_id: replay})

    def _compare(
        self, partition: int, span: range, row_id: Id, row: State | None, read: dict[Id, State]
    ) -> None:
        check, rules, replay = self._result.rows, self._rules, read.get(row_id)
        check.looked_at += 1
        used = rules if row is None or row.row is None else _with_content_of(row, rules)
        if content_of(row, used) == content_of(replay, used):
            return
        emitted_since = row is not None and row.offset >= span.stop
        if emitted_since or partition in self._result.cut:
            check.not_judged += 1
            return
        has = "has no row" if row is None or row.row is None else "has another row"
        expected = "none" if replay is None or replay.row is None else f"event {replay.offset}"
        which = f"{rules.codec.entity.name.capitalize()} {row_id}"
        check.fault(f"{which} {has} than its events lead to: {expected}.")


def _decide_then(
    decided: DecidedEvent, emission: Emission, before: State | None, rules: Rules
) -> Decision:
    """Decide on the event of a record when it was emitted, given the state before it."""
    now_us = emission.state.emitted_at
    clock = ProcessingTime(now_us, instant(now_us) or "")
    return decide(decided.event, before, decided.at, clock, rules)


def _is_duplicate(decided: DecidedEvent, emission: Emission, before: State | None) -> bool:
    decision = _decide_then(decided, emission, before, emission.rules)
    return decision.outcome is Outcome.DUPLICATE


def _same_row(one: State, other: State, codec: Codec) -> bool:
    """Return whether two states have the same fields of the entity in their rows, or no row."""
    if one.row is None or other.row is None:
        return one.row is other.row
    first, second = codec.read_row(one.row), codec.read_row(other.row)
    return first is not None and second is not None and first.values == second.values


def _with_content_of(row: State, rules: Rules) -> Rules:
    codec = with_content_of(rules.codec, row.fingerprint)
    return rules if codec is None else replace(rules, codec=codec)
