"""Audits `src_products`: its settings, its records, and its rows against `products`.

What it proves: each record is a row of its product, in the partition of the event that its headers
name, with the fingerprint in its headers; no product has rows in two partitions; no two consecutive
records of a product have equal content, except for a refresh; and, where `products` still has all
events of a partition, each record is the result of its event, and each row that of all its events.
A record is checked with the settings in its headers, which it was made with.

What it can't prove: the sequence of emissions that compaction has removed; and, where retention has
removed events, whether a row differs because of a removed event: such rows are counted as not
judged. The decisions are those of the worker's own core, so an error in the rules is not found (the
oracle of the tests looks for those).

Events are replayed up to the committed offsets of the group DEDUP_APP_ID, so the lag of a worker is
not a fault. Memory does not grow with the topics: states are on disk.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Final

from dedup.core.codec import Codec
from dedup.core.codecs import with_content_of
from dedup.core.decide import Outcome, ProcessingTime, Rules, decide
from dedup.core.explain import instant
from dedup.core.fingerprint import VERSION
from dedup.core.keys import Id
from dedup.core.rules_header import rules_of_record
from dedup.core.state import UNKNOWN_SOURCE, State
from dedup.inspection.decided_events import DecidedEvent, decide_records
from dedup.inspection.output_index import OutputIndex
from dedup.inspection.recorded_output import open_recorded_output
from dedup.inspection.states import StateRecord, StatesOnDisk, states_on_disk
from dedup.kafka.admin import TopicError
from dedup.kafka.partitioning import how_placed
from dedup.kafka.topic_reader import Spans, open_topic
from dedup.kafka.topics import check_topics
from dedup.rules import rules_of
from dedup.settings import Settings

_ROWS_AT_ONCE: Final = 1_000
_NAMED: Final = 20
"""Faults of each check that are reported as text; the others are only counted."""


@dataclass
class Check:
    """One check, and its result. The fields are the keys of `dedup verify --json`."""

    title: str
    looked_at: int = 0
    faults: int = 0
    not_judged: int = 0
    named: list[str] = field(default_factory=list)

    def fault(self, message: str) -> None:
        """Count a fault, and keep its text if there are few."""
        self.faults += 1
        if len(self.named) < _NAMED:
            self.named.append(message)


@dataclass
class Audit:
    """The results of all checks.

    `cut`: partitions of `products` whose first events were removed. `notes`: how the settings
    differ from those the newest record was made with.
    """

    settings: Check = field(default_factory=lambda: Check("topic settings"))
    records: Check = field(default_factory=lambda: Check("keys, rows, partitions, fingerprints"))
    neighbours: Check = field(default_factory=lambda: Check("neighbouring records differ"))
    rows: Check = field(default_factory=lambda: Check("rows against a replay of the events"))
    cut: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def checks(self) -> tuple[Check, ...]:
        """All checks, in the order they are done."""
        return self.settings, self.records, self.neighbours, self.rows

    @property
    def sound(self) -> bool:
        """Whether no check found a fault."""
        return not any(check.faults for check in self.checks)


async def audit(settings: Settings) -> Audit:
    """Do all checks on the topics as they are now. Raises ReadError, and TopicError if missing."""
    result = Audit()
    rules = rules_of(settings)
    result.settings.looked_at = 1
    try:
        rules = rules_of(settings, await check_topics(settings))
    except TopicError as error:
        result.settings.fault(str(error))
    source = settings.KAFKA_PRODUCT_TOPIC
    entity = settings.entity
    with states_on_disk(entity) as replayed, states_on_disk(entity) as emitted:
        check_records = _RecordAudit(result, rules).check
        async with (
            open_recorded_output(settings, rules, emitted, on_records=check_records) as output,
            open_topic(settings, source, "KAFKA_PRODUCT_TOPIC") as events,
        ):
            result.notes = output.notes
            result.cut = [partition for partition, span in events.spans.items() if span.start > 0]
            spans = _done(output.committed, events.spans)
            _check_partitions(emitted, output.index, len(events.spans), rules.codec, result)
            async for partition, batch in events.read(spans):
                for decided in decide_records(batch, partition, replayed, output.resolver):
                    _check_emission(decided, rules, result)
        for partition, span in spans.items():
            _compare_rows(partition, span, replayed, emitted, rules, result)
    return result


def _done(committed: Mapping[int, int], there: Spans) -> Spans:
    """Return the events the worker's group has committed; all, if it has committed nothing."""
    if not committed:
        return there
    return {p: range(span.start, committed.get(p, span.start)) for p, span in there.items()}


class _RecordAudit:
    """Checks the records of `src_products`, each by itself and against the one before it."""

    def __init__(self, result: Audit, rules: Rules) -> None:
        self._result = result
        self._rules = rules

    def check(self, records: Sequence[StateRecord]) -> None:
        """Check records of one partition, in order."""
        records_check, neighbours = self._result.records, self._result.neighbours
        name = self._rules.codec.entity.name
        for partition, record, row_id, state, before in records:
            records_check.looked_at += 1
            position = f"{record.topic} {partition}:{record.offset}"
            if row_id is None or state is None:
                records_check.fault(f"{position} is not a {name} row.")
                continue
            rules = _rules_used(record, state, self._rules)
            for fault in _faults(state, f"{name} {row_id}", row_id, partition, rules.codec):
                records_check.fault(f"{position}: {fault}")
            neighbours.looked_at += 1
            if before is None:
                continue
            if _went_back(before, state):
                neighbours.fault(
                    f"{position}: {name} {row_id} has the record of event {state.partition}:"
                    f"{state.offset} after that of event {before.partition}:{before.offset}."
                )
            elif _equal_neighbours(before, state, rules):
                neighbours.fault(f"{position}: {name} {row_id} is the same as before.")


def _rules_used(record: Any, state: State, rules: Rules) -> Rules:
    """Return the rules a record was made with; `rules` if it names no source event.

    A record without a refresh time may be of an older worker, which did not write it.
    """
    if state.partition == UNKNOWN_SOURCE:
        return rules
    used = rules_of_record(record.headers, rules.codec.entity)
    return used if used.refresh_after_us else replace(used, refresh_after_us=rules.refresh_after_us)


def _faults(state: State, which: str, row_id: Id, partition: int, codec: Codec) -> Iterator[str]:
    """Return the faults of a record; `which` names its row, `codec` made it by its headers."""
    if state.partition not in (UNKNOWN_SOURCE, partition):
        yield f"the event of {which} came from partition {state.partition}."
    if state.row is None:
        return
    row, made_by = codec.read_row(state.row), with_content_of(codec, state.fingerprint)
    if row is None:
        yield f"the row of {which} can't be read."
    elif row.values[0] != row_id:
        yield f"the key is that of {which}, the row that of {row.values[0]}."
    elif made_by is None:
        if state.fingerprint[0] == VERSION:
            yield f"the fingerprint of {which} names no content fields."
    elif made_by.row_fingerprint(state.row) != state.fingerprint:
        yield f"the fingerprint in the headers is not that of {which}'s row."


def _went_back(before: State, state: State) -> bool:
    """Return whether the record before came from a later event."""
    same_partition = UNKNOWN_SOURCE != state.partition == before.partition
    return (
        same_partition and state.offset <= before.offset and state.event_time <= before.event_time
    )


def _equal_neighbours(before: State, state: State, rules: Rules) -> bool:
    if _content(before, rules) != _content(state, rules):
        return False
    refresh_after = rules.refresh_after_us
    refreshed = refresh_after is not None and state.emitted_at - before.emitted_at >= refresh_after
    return state.row is None or not refreshed


def _content(state: State | None, rules: Rules) -> bytes | None:
    """Return the fingerprint by which these rules compare a state; None without a row."""
    row = None if state is None else state.row
    return None if row is None else rules.codec.row_fingerprint(row)


def _check_partitions(
    emitted: StatesOnDisk, index: OutputIndex, partitions: int, codec: Codec, result: Audit
) -> None:
    """Find ids that have rows in several partitions."""
    for partition in emitted.partitions:
        with_row = (i for i, state in emitted.items(partition) if state.row is not None)
        while some := list(islice(with_row, _ROWS_AT_ONCE)):
            for row_id, other in index.in_other_partitions(partition, some).items():
                key = codec.keys.of_events(row_id)
                first, second = (
                    f"{p} ({how_placed(key, p, partitions)})" for p in (other, partition)
                )
                result.records.fault(
                    f"{codec.entity.name.capitalize()} {row_id} has rows in the partitions {first} "
                    f"and {second}: its producers partition differently. Let all use the same "
                    "partitioner."
                )


def _check_emission(decided: DecidedEvent, rules: Rules, result: Audit) -> None:
    """Compare a record with the result of its event, given the state before it."""
    emission = decided.emission
    if emission is None or decided.at.partition in result.cut:
        return
    state = emission.state
    clock = ProcessingTime(state.emitted_at, instant(state.emitted_at) or "")
    for rules_then in (emission.rules, replace(rules, largest_row_bytes=None)):
        decision = decide(decided.event, decided.before, decided.at, clock, rules_then)
        if decision.state is not None and _same_row(decision.state, state, rules.codec):
            return
        if decision.outcome in (Outcome.STALE, Outcome.REPLAYED):
            return  # the worker may have lost the times of duplicates; `_went_back` finds the rest
    at = f"{decided.at.partition}:{decided.at.offset}"
    which = f"{rules.codec.entity.name.capitalize()} {emission.row_id}"
    result.rows.fault(f"{which}: the record of event {at} is not its row.")


def _same_row(one: State, other: State, codec: Codec) -> bool:
    """Return whether two states have the same fields of the entity in their rows, or no row."""
    if one.row is None or other.row is None:
        return one.row is other.row
    first, second = codec.read_row(one.row), codec.read_row(other.row)
    return first is not None and second is not None and first.values == second.values


def _with_content_of(row: State, rules: Rules) -> Rules:
    codec = with_content_of(rules.codec, row.fingerprint)
    return rules if codec is None else replace(rules, codec=codec)


def _compare_rows(
    partition: int,
    span: range,
    replayed: StatesOnDisk,
    emitted: StatesOnDisk,
    rules: Rules,
    result: Audit,
) -> None:
    """Compare each row with the result of its events."""

    def compare(row_id: Id, row: State | None, replay: State | None) -> None:
        check = result.rows
        check.looked_at += 1
        used = rules if row is None or row.row is None else _with_content_of(row, rules)
        if _content(row, used) == _content(replay, used):
            return
        emitted_since = row is not None and row.offset >= span.stop
        if emitted_since or partition in result.cut:
            check.not_judged += 1
            return
        has = "has no row" if row is None or row.row is None else "has another row"
        expected = "none" if replay is None or replay.row is None else f"event {replay.offset}"
        which = f"{rules.codec.entity.name.capitalize()} {row_id}"
        check.fault(f"{which} {has} than its events lead to: {expected}.")

    for row_id, row in emitted.items(partition):
        compare(row_id, row, replayed.read(partition, [row_id]).get(row_id))
    for row_id, replay in replayed.items(partition):
        if replay.row is not None and not emitted.read(partition, [row_id]):
            compare(row_id, None, replay)
