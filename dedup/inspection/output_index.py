"""Indexes what a worker wrote - rows and dead letters - by the position of the source event.

A record of `src_products` names its source event, and so does a dead letter. Where one of them is
still on its topic, the decision on the event is a fact; rules, which may have changed since, are
only needed for the other events. The index is on disk, as topics are large.
"""

import sqlite3
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

from dedup.core.codec import Codec
from dedup.core.dead_letter import DeadLetter, Reason
from dedup.core.decide import Position, Rules
from dedup.core.entity import Entity
from dedup.core.keys import Id
from dedup.core.normal_event import EventKind, NormalEvent
from dedup.core.rows import row_event_id
from dedup.core.rules_header import rules_of_record
from dedup.core.state import UNKNOWN_SOURCE, State
from dedup.dlq.record import DeadLetterRecord
from dedup.inspection.states import StateRecord

_TABLES: Final = """
create table emission (
    partition integer, source integer, offset integer, row_id, fingerprint blob,
    event_time integer, emitted_at integer, value blob, rules integer, remembered blob,
    primary key (partition, source)
) without rowid;
create table row (row_id primary key, partition integer) without rowid;
create table dead_letter (
    partition integer, source integer, reason text, message text, digest blob,
    primary key (partition, source)
) without rowid;
pragma journal_mode = off;
pragma synchronous = off;
"""
_COLUMNS: Final = (
    "source, offset, row_id, fingerprint, event_time, emitted_at, value, rules, remembered, "
    "partition"
)


class Emission(NamedTuple):
    """A record of `src_products`: its offset, id, state, and the rules that made it."""

    offset: int
    row_id: Id
    state: State
    rules: Rules

    def is_of(self, event: NormalEvent, codec: Codec) -> bool:
        """Return whether this event can have led to it: offsets of a recreated topic repeat."""
        if event.id != self.row_id:
            return False
        if self.state.row is None:
            return event.kind is EventKind.DELETE
        return row_event_id(self.state.row) == codec.event_id(event)


class EmissionRange:
    """The emissions of a range of events, with the ones before and after the range."""

    def __init__(self, emissions: Sequence[Emission]) -> None:
        self._emissions = emissions
        self._sources = [emission.state.offset for emission in emissions]

    def of(self, offset: int) -> Emission | None:
        """Return the emission of the event at an offset."""
        index = bisect_left(self._sources, offset)
        found = self._sources[index : index + 1] == [offset]
        return self._emissions[index] if found else None

    def around(self, offset: int) -> tuple[Emission | None, Emission | None]:
        """Return the last emission before an event, and the first one after it."""
        index = bisect_left(self._sources, offset)
        before = self._emissions[index - 1] if index else None
        while index < len(self._sources) and self._sources[index] == offset:
            index += 1
        return before, self._emissions[index] if index < len(self._sources) else None


class OutputIndex:
    """Emissions and dead letters by source position. `output_index_on_disk` creates one."""

    def __init__(self, path: Path, entity: Entity) -> None:
        self._entity = entity
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.executescript(_TABLES)
        self._numbers: dict[Rules, int] = {}
        self.rules: list[Rules] = []
        """All rules that records were made with, in the order of the records."""

        self.without_source: set[int] = set()
        """Partitions with records that name no source event: any event may have led to them."""

        self.dead_letters_complete = False
        """Whether the dead-letter topic still has the first record of every partition."""

    def add_emissions(self, records: Sequence[StateRecord], rows_of: Id | None = None) -> None:
        """Index records of `src_products`; `rows_of` limits the stored rows to those of one id."""
        rows = []
        for partition, record, row_id, state, _ in records:
            if state is None:
                continue
            if state.partition == UNKNOWN_SOURCE:
                self.without_source.add(partition)
                continue
            if state.partition != partition:
                continue
            rules = self._number(rules_of_record(record.headers, self._entity))
            value, remembered = state.row, state.remembered
            if rows_of not in (None, row_id):
                value, remembered = (None if value is None else b""), b""
            rows.append(
                (
                    *(partition, state.offset, record.offset, row_id, state.fingerprint),
                    *(state.event_time, state.emitted_at, value, rules, remembered),
                )
            )
        self._add("insert or ignore into emission values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)

    def add_dead_letters(self, topic: str, letters: Sequence[DeadLetterRecord]) -> None:
        """Index the dead letters of the events of a source topic."""
        rows = [
            (
                *(letter.source_partition, letter.source_offset, letter.reason, letter.message),
                None if letter.truncated else _digest(letter.key, letter.value),
            )
            for letter in letters
            if letter.source_topic == topic
            and letter.source_partition is not None
            and letter.source_offset is not None
            and max(letter.source_partition, letter.source_offset) < 2**63
            and letter.reason in list(Reason)
        ]
        self._add("insert or ignore into dead_letter values (?, ?, ?, ?, ?)", rows)

    def in_other_partitions(self, partition: int, ids: Sequence[Id]) -> dict[Id, int]:
        """Return the ids that an earlier call named with another partition, and that one."""
        found = {}
        for row_id in ids:
            query = "select partition from row where row_id = ?"
            row = self._db.execute(query, (row_id,)).fetchone()
            if row is not None and row[0] != partition:
                found[row_id] = int(row[0])
        rows = [(row_id, partition) for row_id in ids]
        self._add("insert or ignore into row values (?, ?)", rows)
        return found

    def _number(self, rules: Rules) -> int:
        if rules not in self._numbers:
            self._numbers[rules] = len(self.rules)
            self.rules.append(rules)
        return self._numbers[rules]

    def _add(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
        self._db.execute("begin")
        self._db.executemany(statement, rows)
        self._db.execute("commit")

    def emissions(self, partition: int, first: int, last: int) -> EmissionRange:
        """Return the emissions of the events from `first` to `last` of a partition."""
        before = self._select("partition = ? and source < ?", partition, first, latest=True)
        among = self._select("partition = ? and source between ? and ?", partition, first, last)
        after = self._select("partition = ? and source > ?", partition, last, limit=1)
        return EmissionRange([*before, *among, *after])

    def emitted_later(self, at: Position, row_id: Id) -> bool:
        """Return whether a later event of the id has an emission on the topic."""
        query = "select 1 from emission where partition = ? and source > ? and row_id = ?"
        row = self._db.execute(query, (at.partition, at.offset, row_id)).fetchone()
        return row is not None

    def emission_before(self, at: Position, row_id: Id) -> Emission | None:
        """Return the last emission of the id before an event, if it is on the topic."""
        where = "partition = ? and source < ? and row_id = ?"
        return next(iter(self._select(where, at.partition, at.offset, row_id, latest=True)), None)

    def dead_letter(
        self, at: Position, key: bytes | None, value: bytes | None
    ) -> DeadLetter | None:
        """Return the dead letter of the event at a position with these bytes, if there is one."""
        query = "select reason, message, digest from dead_letter where partition = ? and source = ?"
        row = self._db.execute(query, (at.partition, at.offset)).fetchone()
        if row is None or row[2] not in (None, _digest(key, value)):  # None: it is truncated
            return None
        return DeadLetter(Reason(row[0]), row[1])

    def _select(
        self, where: str, *values: Id, latest: bool = False, limit: int = -1
    ) -> list[Emission]:
        order, limit = ("desc", 1) if latest else ("asc", limit)
        query = f"select {_COLUMNS} from emission where {where} order by source {order} limit ?"  # noqa: S608 - values are parameters
        return [self._emission(row) for row in self._db.execute(query, (*values, limit))]

    def _emission(self, row: Sequence[Any]) -> Emission:
        source, offset, row_id, fingerprint, event_time, emitted_at, value, rules, *rest = row
        remembered, here = rest
        state = State(fingerprint, event_time, here, source, emitted_at, 0, value, remembered)
        return Emission(offset, row_id, state, self.rules[rules])

    def close(self) -> None:
        """Close the database."""
        self._db.close()


def _digest(key: bytes | None, value: bytes | None) -> bytes:
    return blake2b(repr((key, value)).encode(), digest_size=16).digest()


@contextmanager
def output_index_on_disk(entity: Entity) -> Iterator[OutputIndex]:
    """Create an index in a temporary directory, which is removed after the block."""
    with TemporaryDirectory(prefix="dedup-") as directory:
        index = OutputIndex(Path(directory) / "index.sqlite", entity)
        try:
            yield index
        finally:
            index.close()
