"""Checks records of `src_products`, each by itself and against the one before it."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, Final

from dedup.core.codec import Codec
from dedup.core.codecs import with_content_of
from dedup.core.decide import Rules
from dedup.core.fingerprint import SCHEME_BYTES, VERSION
from dedup.core.keys import Id
from dedup.core.rows import row_event_id
from dedup.core.rules_header import rules_of_record
from dedup.core.state import UNKNOWN_SOURCE, State
from dedup.core.window import event_id_digest, is_open, unpack_entries
from dedup.inspection.audit_result import Audit
from dedup.inspection.output_index import OutputIndex
from dedup.inspection.states import StateRecord, StatesOnDisk
from dedup.kafka.partitioning import how_placed

_ROWS_AT_ONCE: Final = 1_000


class RecordChecks:
    """The checks of records as they are read."""

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
            elif _repeats(before, state, rules):
                neighbours.fault(
                    f"{position}: {name} {row_id} repeats what was emitted within the window."
                )


def _rules_used(record: Any, state: State, rules: Rules) -> Rules:
    """Return the rules a record was made with; `rules` if it names no source event.

    A record without a window may be of an older worker, which did not write it.
    """
    if state.partition == UNKNOWN_SOURCE:
        return rules
    used = rules_of_record(record.headers, rules.codec.entity)
    return used if used.window_us else replace(used, window_us=rules.window_us)


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
    """Return whether a row is that of the record before, and not emitted again as a refresh."""
    if content_of(before, rules) != content_of(state, rules):
        return False
    if before.row is None or state.row is None:
        return True
    if rules.strategy != "latest":
        return False  # see `_repeats`
    since, now = before.event_time, state.event_time
    if rules.window_kind == "fixed":
        since, now = before.emitted_at, state.emitted_at
    return is_open(since, now, rules.window_us)


def _repeats(before: State, state: State, rules: Rules) -> bool:
    """Return whether the record before remembers what a row is of, inside the window.

    With a sliding window duplicates after that record may extend it: a replay knows them. Records
    of another strategy or of other content fields remember nothing of these.
    """
    remembered = unpack_entries(rules.strategy, before.remembered)
    if remembered is None or state.row is None:
        return False
    if rules.strategy == "event_id":
        event_id = row_event_id(state.row)
        digest = None if event_id is None else event_id_digest(event_id)
    else:
        same = before.fingerprint[:SCHEME_BYTES] == state.fingerprint[:SCHEME_BYTES]
        digest = state.fingerprint[SCHEME_BYTES:] if same else None
    seen_at = None if digest is None else remembered.get(digest)
    return is_open(seen_at, state.event_time, rules.window_us)


def content_of(state: State | None, rules: Rules) -> bytes | None:
    """Return the fingerprint by which these rules compare a state; None without a row."""
    row = None if state is None else state.row
    return None if row is None else rules.codec.row_fingerprint(row)


def check_partitions(
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
