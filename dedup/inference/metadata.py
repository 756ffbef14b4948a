"""Fields that change with every event and say nothing new: times of updates, versions."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from dedup.inference.types import FieldType, words

_UPDATED: Final = frozenset({"updated", "modified", "changed", "processed", "ingested", "synced"})
_VERSION: Final = frozenset({"version", "revision", "rev", "seq", "sequence", "lsn"})
_LEAST_CHANGES: Final = 10
_ALWAYS: Final = 0.9


class Changes(NamedTuple):
    """How often an event differed from the one before of its id, and in which fields."""

    compared: Counter[str]
    """Of each field the pairs of events that differ and both have it."""

    by_field: Counter[str]

    def always(self, name: str) -> bool:
        """Tell whether a field changes (nearly) whenever anything does."""
        compared = self.compared[name]
        return compared >= _LEAST_CHANGES and self.by_field[name] >= _ALWAYS * compared

    def counted(self, name: str) -> str:
        """Return how often a field changed, for people."""
        return (
            f"changed in {self.by_field[name]:,} of {self.compared[name]:,} events that "
            "changed anything"
        )


def changes_of(rows: Iterable[Mapping[str, Any]], row_id: str) -> Changes:
    """Return what changed between the rows of one id, in the order of the topic."""
    last: dict[Any, Mapping[str, Any]] = {}
    compared: Counter[str] = Counter()
    by_field: Counter[str] = Counter()
    for row in rows:
        key = row.get(row_id)
        if not isinstance(key, (int, str)):
            continue
        before = last.get(key)
        last[key] = row
        if before is None:
            continue
        common = [name for name in row if name in before]
        changed = [name for name in common if row[name] != before[name]]
        by_field.update(changed)
        compared.update(common if changed else ())
    return Changes(compared, by_field)


def metadata_of(
    types: Mapping[str, FieldType], row_id: str, time: str | None, changes: Changes
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the fields to keep out of the content, and what is not sure of any field.

    `time` is the field with the event time, which is never content.
    """
    chosen: list[str] = []
    doubts: dict[str, str] = {}
    for name, kind in types.items():
        if name == row_id:
            continue
        always, told = changes.always(name), changes.counted(name)
        is_time = kind.kind == "time"
        is_version = kind.kind == "integer" and bool(words(name) & _VERSION)
        if name == time:
            chosen.append(name)
            doubts[name] = "the event time, and so metadata: it is not compared"
        elif (always and (is_time or is_version)) or (is_time and words(name) & _UPDATED):
            chosen.append(name)
            doubts[name] = f"metadata, so a change of it alone is a duplicate; it {told}"
        elif always:
            doubts[name] = f"{told}; if such a change says nothing, add it to metadata"
    return tuple(chosen), doubts
