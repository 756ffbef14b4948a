"""The rules of the deduplicator as Flink SQL, for any entity: the parity reference.

The text of the script is in `template.py`; here its gaps are filled from the entity.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from dedup.core.entity import Debezium, Entity
from dedup.core.fields import EntityField
from dedup.parity.columns import (
    FlinkSqlError,
    compared,
    default_text,
    is_typed,
    iso_time,
    literal,
    quoted,
    typed,
    written,
    written_time,
)
from dedup.parity.decisions import Rule
from dedup.parity.layouts import FieldNames, Names, conditions, key_names, layout_of
from dedup.parity.template import SCRIPT

_OURS: Final = (
    *("source_partition", "source_offset", "arrival", "late", "content", "known_content"),
    *("outcome", "deletes", "last_seen", "is_marker"),
)
"""The columns of the views that the entity does not name."""

_TIME_TYPE: Final = "TIMESTAMP_LTZ(6)"

LATEST: Final = Rule()


@dataclass(frozen=True)
class Endpoints:
    """Where the script reads and writes."""

    servers: str
    source: str
    output: str
    group: str


def reference_sql(
    entity: Entity, content: Sequence[str], at: Endpoints, rule: Rule = LATEST
) -> str:
    """Return the script of an entity: tables, views and one INSERT. Raises FlinkSqlError."""
    unknown = [name for name in content if name not in entity.content]
    if unknown:
        raise FlinkSqlError(
            f"DEDUP_CONTENT_FIELDS names {unknown[0]}, which the model of {entity.name} does not: "
            "Flink SQL reads the fields of the model only"
        )
    gaps = _Script(entity, content).gaps(rule)
    return SCRIPT.substitute(
        gaps,
        decision=rule.decision().substitute(gaps),
        statistics=rule.statistics().substitute(gaps),
        servers=literal(at.servers),
        source=literal(at.source),
        output=literal(at.output),
        group=literal(at.group),
    )


class _Script:
    """The gaps of the script's text."""

    def __init__(self, entity: Entity, content: Sequence[str]) -> None:
        self._entity: Final = entity
        self._content: Final = [entity.field(name) for name in entity.content if name in content]
        self._names: Final = Names(entity)
        self._layout: Final = layout_of(entity, self._names)
        self._fields: Final = FieldNames(entity, self._names)
        self._late: Final = frozenset(each.name for each in entity.fields if self._is_late(each))
        self._time: Final = quoted(self._names.own("event_timestamp"))
        self._time_text: Final = quoted(self._names.own("event_time_text"))

    def _is_late(self, each: EntityField) -> bool:
        """Tell whether a field is typed after the decision: it is not compared and may be null."""
        is_time = each.kind.name == "time" and each.annotation.limits.mark is None
        return is_time and each.nullable and each.name in self._entity.metadata

    def gaps(self, rule: Rule) -> dict[str, str]:
        """Return each gap's text."""
        key = self._own("record_key")
        return {
            **{name: self._own(name) for name in _OURS},
            **self._of_rule(rule),
            "name": self._entity.name,
            "plural": self._entity.plural,
            "id": quoted(self._entity.id),
            "key": key,
            "key_name": literal(self._names.own("record_key")),
            "time": self._time,
            "left_out": "".join(f"-- {line}\n" for line in left_out(self._entity)),
            "source_columns": _lines(self._layout.columns),
            "text_columns": _lines(self._text_columns()),
            "typed_columns": _lines(self._typed_columns()),
            "must": _all(self._layout.must(self._time_text)),
            "valid": _all(self._valid(key)),
            "columns": _lines(self._columns()),
            "content_value": self._content_value(),
            "emitted_columns": _lines(self._emitted_columns()),
            "row_columns": _lines(self._row_columns()),
            "row_names": ", ".join(self._row_names()),
            "output_key": self._output_key(),
            "row_values": ",\n        ".join(self._row_values()),
        }

    def _of_rule(self, rule: Rule) -> dict[str, str]:
        """Return the gaps that the strategy fills."""
        # MATCH_RECOGNIZE returns these in the order that they have in its input, whatever is named.
        repeated = [quoted(self._entity.id), self._own("content"), self._own("deletes")]
        if rule.strategy == "event_id":
            # Text beside the row, and always the first of the layout's members.
            repeated = [self._members()[0], quoted(self._entity.id)]
        ours = (self._own(name) for name in ("source_partition", "source_offset", "content"))
        kept = [name for name in (*self._columns(), *ours) if name not in repeated]
        return {
            "repeated": ", ".join(repeated),
            "repeated_words": "event id" if rule.strategy == "event_id" else "content",
            "measures": ",\n        ".join(f"C.{name} AS {name}" for name in kept),
            "window": rule.interval(),
            "head": rule.head(),
            "options": rule.options(),
            "emitted": rule.emitted(),
            "has_row": rule.has_row(self._own("outcome")),
        }

    def _own(self, name: str) -> str:
        found = self._names.own(name)
        return found if found == name else quoted(found)

    def _text_columns(self) -> list[str]:
        found = [f"{member.text} AS {member.column}" for member in self._layout.members]
        found.append(f"{self._layout.time} AS {self._time_text}")
        for each, text in zip(self._entity.fields, self._layout.texts, strict=True):
            default = default_text(each)
            given = text if default is None else f"COALESCE({text}, {literal(default)})"
            found.append(f"{given} AS {self._fields.typed(each)}")
        return found

    def _typed_columns(self) -> list[str]:
        found = [
            column if field is None else f"{typed(field, column)} AS {column}"
            for column, field in ((m.column, m.field) for m in self._layout.members)
        ]
        found.append(f"{self._layout.read_time(self._time_text)} AS {self._time}")
        for each in self._entity.fields:
            name = self._fields.typed(each)
            if each.name in self._late or not is_typed(each):
                found.append(name)
            else:
                found += [f"{name} AS {self._fields.text(each)}", f"{typed(each, name)} AS {name}"]
        return found

    def _valid(self, key: str) -> list[str]:
        names_id = key_names(self._entity, key, quoted(self._entity.id))
        rest = conditions(self._entity, self._layout, self._fields, self._late)
        return [names_id, f"{self._time} IS NOT NULL", *rest]

    def _members(self) -> list[str]:
        return [member.column for member in self._layout.members]

    def _columns(self) -> list[str]:
        fields = [self._fields.typed(each) for each in self._entity.fields]
        return [*self._members(), self._time, *fields]

    def _content_value(self) -> str:
        values = [compared(each, self._fields.typed(each)) for each in self._content]
        array = f"JSON_ARRAY(\n        {', '.join(values)}\n        NULL ON NULL)"
        if not self._layout.deletes:
            return array
        gone = ", ".join(map(literal, self._layout.deletes))
        return f"CASE WHEN {self._layout.action} NOT IN ({gone}) THEN {array} END"

    def _emitted_columns(self) -> list[str]:
        found = [*self._members(), self._time]
        for each in self._entity.fields:
            name = self._fields.typed(each)
            found.append(f"{iso_time(name)} AS {name}" if each.name in self._late else name)
        return found

    def _row_names(self) -> list[str]:
        return [quoted(each.name) for each in self._entity.fields] + [
            name for name in self._entity.provenance if name != "processing_time"
        ]

    def _row_columns(self) -> list[str]:
        types = {member.row_name: member.field for member in self._layout.members}
        found = [f"{quoted(each.name)} {each.kind.flink}" for each in self._entity.fields]
        for name in self._entity.provenance:
            if name in types:
                old = types[name]
                found.append(f"{name} {'STRING' if old is None else old.kind.flink}")
            else:
                found.append(f"{name} {_TIME_TYPE}")
        return found

    def _output_key(self) -> str:
        ours = self._entity.fields[0]
        name = quoted(ours.name)
        if ours.kind.name == "integer":
            start = literal('{"' + ours.name + '":')
            return f"{start} || CAST({name} AS STRING) || '}}'"
        return f"JSON_OBJECT(KEY {literal(ours.name)} VALUE {name})"

    def _row_values(self) -> list[str]:
        values = {each.name: written(each, quoted(each.name)) for each in self._entity.fields}
        for member in self._layout.members:
            column, old = member.column, member.field
            values[member.row_name] = column if old is None else written(old, column)
        values["last_event_timestamp"] = written_time(self._time)
        arrival = self._own("arrival")
        values["processing_time"] = written_time(f"CAST({arrival} AS TIMESTAMP(3))")
        order = [*(each.name for each in self._entity.fields), *self._entity.provenance]
        return [f"KEY {literal(name)} VALUE {values[name]}" for name in order]


def left_out(entity: Entity) -> list[str]:
    """Return what the worker does for this entity and the SQL does not, as sentences."""
    found = []
    opaque = [each.name for each in entity.fields if each.annotation.limits.opaque]
    if opaque:
        found.append(f"Not checked here: limits of {', '.join(opaque)} that SQL can't express.")
    if entity.has_validators:
        found.append("Not checked here: the validators of the model.")
    if isinstance(entity.envelope, Debezium):
        found.append("Fields are read as the model marks them; the schema of an event is ignored.")
    return found


def _lines(columns: Sequence[str]) -> str:
    return ",\n    ".join(columns)


def _all(conditions: Sequence[str]) -> str:
    return "\n    AND ".join(conditions)
