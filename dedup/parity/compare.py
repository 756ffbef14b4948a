"""Compares the rows of each id on two topics, column by column: their order, and the last one."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple

from dedup.core.canonical_json import canonical_json
from dedup.core.entity import Entity
from dedup.core.keys import Id, Keys
from dedup.core.printable import printable
from dedup.core.strict_json import read_json

Row = Mapping[str, Any]
"""The values of a row that are compared, by column; equal ones are equal in value, not in text."""

RowHistory = Sequence[Row | None]
"""The rows of an id as they were emitted; None is a tombstone."""

NOT_COMPARED: Final = "processing_time"
_UNREADABLE: Final = "what the record holds"


class Difference(NamedTuple):
    """An id whose histories differ."""

    id: Id
    worker: RowHistory
    flink: RowHistory


def row_kinds(entity: Entity) -> dict[str, str]:
    """Return the compared columns of an entity's rows, and the kind of each."""
    kinds = {each.name: each.kind.name for each in entity.fields}
    for name in entity.provenance:
        carried = name.removeprefix("last_old_")
        kinds[name] = kinds[carried] if name.startswith("last_old_") else "text"
    kinds["last_event_timestamp"] = "time"
    del kinds[NOT_COMPARED]
    return kinds


def row_histories(entity: Entity, records: Iterable[Any]) -> dict[Id, list[Row | None]]:
    """Return the histories in the records of an output topic, in order of each partition."""
    keys, kinds = Keys(entity), row_kinds(entity)
    found: dict[Id, list[Row | None]] = defaultdict(list)
    for record in records:
        row_id = keys.read_output(record.key)
        if row_id is not None:
            found[row_id].append(None if record.value is None else _read(record.value, kinds))
    return found


def _read(value: bytes, kinds: Mapping[str, str]) -> Row:
    """Return a comparable row; for one that can't be read, its text."""
    try:
        row: Any = read_json(value)
        return {name: comparable(kind, row.get(name)) for name, kind in kinds.items()}
    except (ValueError, TypeError, AttributeError, ArithmeticError, RecursionError):
        return dict.fromkeys(kinds) | {_UNREADABLE: printable(value)}


def comparable(kind: str, value: Any) -> Any:
    """Return a value of a row so that equal ones compare equal, however they are written."""
    if value is None:
        return None
    convert = _BY_VALUE.get(kind)
    return canonical_json(value).decode() if convert is None else convert(str(value))


def _instant(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


_BY_VALUE: Final[Mapping[str, Callable[[str], Any]]] = {"decimal": Decimal, "time": _instant}


def differences(
    worker: Mapping[Id, RowHistory], flink: Mapping[Id, RowHistory], *, compacted: bool = False
) -> list[Difference]:
    """Return the ids whose histories differ, in order.

    With `compacted`, the worker's topic may lack rows that later ones of the id replaced: the
    remaining rows must be in Flink's history in the same order, and the last row must be equal. An
    id that is deleted on both sides is equal, even if compaction has removed its tombstone.
    """
    found = []
    for row_id in sorted(worker.keys() | flink.keys()):
        of_worker, of_flink = worker.get(row_id, ()), flink.get(row_id, ())
        equal = _is_compaction_of(of_worker, of_flink) if compacted else of_worker == of_flink
        if not equal:
            found.append(Difference(row_id, of_worker, of_flink))
    return found


def _is_compaction_of(compacted: RowHistory, complete: RowHistory) -> bool:
    rest = iter(complete)
    same_end = (compacted[-1] if compacted else None) == (complete[-1] if complete else None)
    return same_end and all(row in rest for row in compacted)


def differing_columns(worker: RowHistory, flink: RowHistory) -> set[str]:
    """Return the columns in which rows at the same place of two histories differ."""
    pairs = zip(worker, flink, strict=False)
    rows = [(a, b) for a, b in pairs if a is not None and b is not None]
    return {name for a, b in rows for name in a.keys() | b.keys() if a.get(name) != b.get(name)}


def shown(row: Row | None, columns: Iterable[str]) -> str:
    """Return a row as text: those of its columns that have a value."""
    if row is None:
        return "tombstone"
    names = [name for name in (*columns, _UNREADABLE) if row.get(name) is not None]
    return ", ".join(f"{name} {_text(row[name])}" for name in names) or "an empty row"


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
