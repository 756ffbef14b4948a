"""What a worker left on its topics, by the event it came from.

A record of `src_products` names its source event, and so does a dead letter. So what became of an
event in the past is a fact wherever one of them still stands there; rules, which may have been
others then, are only needed for the rest. Kept on disk, for topics are large.
"""

import sqlite3
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

from dedup.core.deadletter import DeadLetter, Reason
from dedup.core.decide import Position, Rules
from dedup.core.event import Event
from dedup.core.madeby import rules_of_record
from dedup.core.row import row_event_id
from dedup.core.state import UNKNOWN_SOURCE, State
from dedup.dlq.record import DeadLetterRecord
from dedup.inspection.states import Read

_TABLES: Final = """
create table emission (
    partition integer, source integer, offset integer, product_id integer, fingerprint blob,
    event_time integer, emitted_at integer, value blob, rules integer,
    primary key (partition, source)
) without rowid;
create table home (product_id integer primary key, partition integer) without rowid;
create table letter (
    partition integer, source integer, reason text, message text, digest blob,
    primary key (partition, source)
) without rowid;
pragma journal_mode = off;
pragma synchronous = off;
"""
_COLUMNS: Final = (
    "source, offset, product_id, fingerprint, event_time, emitted_at, value, rules, partition"
)


class Emission(NamedTuple):
    """A record of `src_products`: where it stands, its product, what it tells, its rules."""

    offset: int
    product_id: int
    state: State
    rules: Rules

    def is_of(self, event: Event) -> bool:
        """Tell whether it can be what this event led to: offsets begin anew on a new topic."""
        if event.product_id != self.product_id:
            return False
        if self.state.row is None:
            return event.action == "deleted"
        return row_event_id(self.state.row) == event.event_id


class Window:
    """The emissions of a stretch of events, with the one before it and the one after it."""

    def __init__(self, emissions: Sequence[Emission]) -> None:
        self._emissions = emissions
        self._sources = [emission.state.offset for emission in emissions]

    def of(self, offset: int) -> Emission | None:
        """Return what the event at an offset led to."""
        index = bisect_left(self._sources, offset)
        found = self._sources[index : index + 1] == [offset]
        return self._emissions[index] if found else None

    def around(self, offset: int) -> tuple[Emission | None, Emission | None]:
        """Return the last emission of an event before an offset, and the next one after it."""
        index = bisect_left(self._sources, offset)
        before = self._emissions[index - 1] if index else None
        while index < len(self._sources) and self._sources[index] == offset:
            index += 1
        return before, self._emissions[index] if index < len(self._sources) else None


class Evidence:
    """Emissions and dead letters by source position. `evidence_on_disk` makes one."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.executescript(_TABLES)
        self._numbers: dict[Rules, int] = {}
        self.rules: list[Rules] = []
        """All rules that records were made with, in the order in which they were found."""

        self.sourceless: set[int] = set()
        """Partitions with records that name no source: any event may have led to them."""

        self.letters_complete = False
        """Partitions of the dead-letter topic that still have their first record."""

    def add_emissions(self, reads: Sequence[Read], keep: int | None = None) -> None:
        """Keep records of `src_products`; with `keep` the rows of that product alone."""
        rows = []
        for partition, record, product_id, state, _ in reads:
            if state is None:
                continue
            if state.partition == UNKNOWN_SOURCE:
                self.sourceless.add(partition)
                continue
            if state.partition != partition:
                continue
            rules = self._number(rules_of_record(record.headers))
            value = b"" if keep not in (None, product_id) and state.row is not None else state.row
            rows.append(
                (
                    *(partition, state.offset, record.offset, product_id, state.fingerprint),
                    *(state.event_time, state.emitted_at, value, rules),
                )
            )
        self._add("insert or ignore into emission values (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)

    def add_letters(self, topic: str, letters: Sequence[DeadLetterRecord]) -> None:
        """Keep the dead letters of a topic's events."""
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
        self._add("insert or ignore into letter values (?, ?, ?, ?, ?)", rows)

    def other_homes(self, partition: int, product_ids: Sequence[int]) -> dict[int, int]:
        """Return in which other partition each of these products was seen before, if in any."""
        found = {}
        for product_id in product_ids:
            query = "select partition from home where product_id = ?"
            row = self._db.execute(query, (product_id,)).fetchone()
            if row is not None and row[0] != partition:
                found[product_id] = int(row[0])
        rows = [(product_id, partition) for product_id in product_ids]
        self._add("insert or ignore into home values (?, ?)", rows)
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

    def window(self, partition: int, first: int, last: int) -> Window:
        """Return the emissions of the events from `first` to `last` of a partition."""
        before = self._select("partition = ? and source < ?", partition, first, latest=True)
        among = self._select("partition = ? and source between ? and ?", partition, first, last)
        after = self._select("partition = ? and source > ?", partition, last, limit=1)
        return Window([*before, *among, *after])

    def newest(self, partition: int) -> Emission | None:
        """Return the emission of the last event that led to one."""
        found = self._select("partition = ?", partition, latest=True)
        return found[0] if found else None

    def emitted_later(self, at: Position, product_id: int) -> bool:
        """Tell whether a later event of the product led to a record that still stands there."""
        query = "select 1 from emission where partition = ? and source > ? and product_id = ?"
        row = self._db.execute(query, (at.partition, at.offset, product_id)).fetchone()
        return row is not None

    def letter(self, at: Position, key: bytes | None, value: bytes | None) -> DeadLetter | None:
        """Return what a dead letter says of the event with these bytes; None: there is none."""
        query = "select reason, message, digest from letter where partition = ? and source = ?"
        row = self._db.execute(query, (at.partition, at.offset)).fetchone()
        if row is None or row[2] not in (None, _digest(key, value)):  # None: an excerpt of it
            return None
        return DeadLetter(Reason(row[0]), row[1])

    def _select(
        self, where: str, *values: int, latest: bool = False, limit: int = -1
    ) -> list[Emission]:
        order, limit = ("desc", 1) if latest else ("asc", limit)
        query = f"select {_COLUMNS} from emission where {where} order by source {order} limit ?"  # noqa: S608 - no value is in it
        return [self._emission(row) for row in self._db.execute(query, (*values, limit))]

    def _emission(self, row: Sequence[Any]) -> Emission:
        source, offset, product_id, fingerprint, event_time, emitted_at, value, rules, here = row
        state = State(fingerprint, event_time, here, source, emitted_at, 0, value)
        return Emission(offset, product_id, state, self.rules[rules])

    def close(self) -> None:
        """Close the database."""
        self._db.close()


def _digest(key: bytes | None, value: bytes | None) -> bytes:
    return blake2b(repr((key, value)).encode(), digest_size=16).digest()


@contextmanager
def evidence_on_disk() -> Iterator[Evidence]:
    """Make evidence in a temporary directory that goes with the block."""
    with TemporaryDirectory(prefix="dedup-") as directory:
        evidence = Evidence(Path(directory) / "evidence.sqlite")
        try:
            yield evidence
        finally:
            evidence.close()
