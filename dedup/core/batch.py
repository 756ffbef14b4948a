"""The decisions on a batch: one lean pass over the events of one partition.

An event that the codec's fast path recognises, over a known row or over nothing, is decided on
right here, with the strategy `latest`. `decide_on` is asked for everything else: other strategies,
null values, deletes, parts of rows, what may be replayed, late events whose time counts on,
refreshes, fingerprints of other content fields, and rows that may be too large. A property test
holds the pass against `decide_on` alone.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from dedup.core.dead_letter import DeadLetter
from dedup.core.decide import Rules
from dedup.core.decision import EMITTING, Outcome, Position, ProcessingTime
from dedup.core.facts import EntityFacts, RecognisedFacts, decide_on, facts_of_read
from dedup.core.fingerprint import EMPTY_DIGEST
from dedup.core.keys import Id
from dedup.core.state import State

_CHANGE: Final = Outcome.CHANGE
_DUPLICATE: Final = Outcome.DUPLICATE
_STALE: Final = Outcome.STALE
_ANY_SIZE: Final = 2**63
"""In bytes: larger than any row."""


class Record(Protocol):
    """A record of the source topic."""

    @property
    def offset(self) -> int: ...  # noqa: D102 - Kafka's words, as are those below
    @property
    def key(self) -> bytes | None: ...  # noqa: D102
    @property
    def value(self) -> bytes | None: ...  # noqa: D102


class Emission(NamedTuple):
    """What goes to the output topic: the state's row, or a tombstone if it has none."""

    row_id: Id
    state: State


class Rejected(NamedTuple):
    """An event that can't be applied."""

    offset: int
    dead_letter: DeadLetter


@dataclass(slots=True)
class BatchDecisions:
    """What the events of a batch come to, in their order.

    `states` are those that the batch changed, as they are after it. `rows_added` is the change in
    the number of rows that are known and not deleted, `forgotten` the number of entries that
    windows lost because there were too many.
    """

    states: dict[Id, State] = field(default_factory=dict)
    emissions: list[Emission] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    offset_regressions: int = 0
    rows_added: int = 0
    forgotten: int = 0


def decide_batch(  # noqa: C901, PLR0915 - in one pass: a call costs as much as what it would do here
    records: Iterable[Record],
    known: dict[Id, State],
    partition: int,
    clock: ProcessingTime,
    rules: Rules,
) -> BatchDecisions:
    """Decide on records of one partition; `known` is brought up to date."""
    decided = BatchDecisions()
    ask_the_rules = _Rules(known, partition, clock, rules, decided).apply
    states, emit = decided.states, decided.emissions.append
    recognise, prefix = rules.codec.recognise, rules.codec.prefix
    now_us, text = clock
    largest = _ANY_SIZE if rules.largest_row_bytes is None else rules.largest_row_bytes
    if rules.strategy != "latest":
        for record in records:
            ask_the_rules(record, recognise(record.key, record.value, text))
        return decided
    never_refreshes = rules.window_us is None
    drops_late = rules.order == "event_time"
    new_digest = EMPTY_DIGEST.copy  # faster than a new one
    new_emission = tuple.__new__  # a NamedTuple's own is a function in Python
    changes = duplicates = stale = added = 0
    for record in records:
        # Each event is decided on before the next is read: it is still in the CPU's cache.
        recognised = recognise(record.key, record.value, text)
        if recognised is None:
            ask_the_rules(record, None)
            continue
        row_id, time, canonical, row = recognised
        state, offset = known.get(row_id), record.offset
        if state is not None:
            if state.row is None or (offset <= state.offset and state.partition == partition):
                ask_the_rules(record, recognised)
                continue
            if time < state.event_time:
                if drops_late:
                    stale += 1
                    continue
                time = state.event_time
        digest = new_digest()
        digest.update(canonical)
        fingerprint = prefix + digest.digest()
        suppressed = 0
        if state is not None:
            before, suppressed = state.fingerprint, state.duplicates
            if fingerprint == before and never_refreshes:
                duplicates += 1
                known[row_id] = states[row_id] = State(
                    before, time, partition, offset, state.emitted_at, suppressed + 1, state.row
                )
                continue
            if fingerprint == before or not before.startswith(prefix):
                ask_the_rules(record, recognised)
                continue
        if len(row) > largest:
            ask_the_rules(record, recognised)
            continue
        changes += 1
        added += state is None
        state = State(fingerprint, time, partition, offset, now_us, suppressed, row)
        known[row_id] = states[row_id] = state
        emit(new_emission(Emission, (row_id, state)))
    counts = ((_CHANGE, changes), (_DUPLICATE, duplicates), (_STALE, stale))
    decided.outcomes.update({outcome: number for outcome, number in counts if number})
    decided.rows_added += added
    return decided


@dataclass(frozen=True, slots=True)
class _Rules:
    """Decides on the events that the lean pass leaves out, one at a time."""

    known: dict[Id, State]
    partition: int
    clock: ProcessingTime
    rules: Rules
    decided: BatchDecisions

    def apply(self, record: Record, recognised: tuple[Id, int, bytes, bytes] | None) -> None:
        """Decide on an event; `recognised` is what the fast path read of it."""
        codec, decided = self.rules.codec, self.decided
        facts: EntityFacts | DeadLetter
        if recognised is None:
            facts = facts_of_read(codec, codec.read(record.key, record.value))
        else:
            facts = RecognisedFacts(codec, recognised)
        row_id = None if isinstance(facts, DeadLetter) else facts.id
        state = None if row_id is None else self.known.get(row_id)
        at = Position(self.partition, record.offset)
        decision = decide_on(facts, state, at, self.clock, self.rules)
        decided.outcomes[decision.outcome] += 1
        decided.offset_regressions += decision.offset_regression
        decided.forgotten += decision.forgotten
        if decision.dead_letter is not None:
            decided.rejected.append(Rejected(record.offset, decision.dead_letter))
        if decision.state is not None and row_id is not None:
            decided.rows_added += _rows(decision.state) - _rows(state)
            self.known[row_id] = decided.states[row_id] = decision.state
            if decision.outcome in EMITTING:
                decided.emissions.append(Emission(row_id, decision.state))


def _rows(state: State | None) -> int:
    return state is not None and state.row is not None
