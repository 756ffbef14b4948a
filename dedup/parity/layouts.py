"""How Flink SQL reads the events of each envelope: the source table, and what it means."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from dedup.core.annotations import Epoch, EpochUnit
from dedup.core.entity import Debezium, Entity, Flat, Wrapped
from dedup.core.fields import EntityField, carried_field
from dedup.parity.columns import (
    checks,
    epoch_time,
    is_epoch_time,
    is_iso_time,
    is_typed,
    iso_time,
    literal,
    quoted,
    typed,
)

_OF_THE_SOURCE: Final = {"record_key", "source_partition", "source_offset", "arrival"}
_OPERATIONS: Final = ("c", "u", "r", "d")


class Names:
    """Names of columns: those that the entity gives, and ours beside them."""

    def __init__(self, entity: Entity) -> None:
        envelope = entity.envelope
        members = [envelope.payload, envelope.time] if isinstance(envelope, Wrapped) else []
        self._taken: Final = {each.name for each in entity.fields} | ({*members} & _OF_THE_SOURCE)

    def own(self, name: str) -> str:
        """Return a name for a column of ours that no field has."""
        while name in self._taken:
            name += "_"
        return name


@dataclass(frozen=True)
class Member:
    """What an event has beside its row and keeps in it, as `last_action` keeps the action."""

    row_name: str
    column: str
    text: str
    field: EntityField | None = None
    """The field that gives it its type; None: it is text."""


@dataclass(frozen=True)
class Layout:
    """What is peculiar to an envelope. Expressions read the source table as `r`.

    `columns` are those of the source table beside ours, `texts` the values of the entity's fields,
    `time` the event's time and `unit` its unit: None where it is an ISO 8601 text.
    """

    columns: Sequence[str]
    texts: Sequence[str]
    time: str
    unit: EpochUnit | None
    members: Sequence[Member] = ()
    deletes: Sequence[str] = ()
    actions: Sequence[str] = ()
    """The only actions there are; none: any is one."""

    @property
    def action(self) -> str | None:
        """Return the column with the action."""
        return next((m.column for m in self.members if m.row_name == "last_action"), None)

    def read_time(self, column: str) -> str:
        """Return the event's time from the column that has it as text."""
        return iso_time(column) if self.unit is None else epoch_time(column, self.unit)

    def must(self, time: str) -> list[str]:
        """Return what every event fulfils, given the column that has its time as text."""
        found = [f"{m.column} IS NOT NULL" for m in self.members if m.field is None]
        if self.actions:
            found.append(f"{self.action} IN ({', '.join(map(literal, self.actions))})")
        return found + (is_iso_time(time) if self.unit is None else is_epoch_time(time, self.unit))


def layout_of(entity: Entity, names: Names) -> Layout:
    """Return the layout of an entity's envelope. Raises FlinkSqlError."""
    envelope = entity.envelope
    if isinstance(envelope, Wrapped):
        return _wrapped(entity, envelope, names)
    if isinstance(envelope, Debezium):
        return _debezium(entity, names)
    return _flat(entity, envelope)


def _row(entity: Entity, margin: str) -> str:
    fields = [f"\n{margin}    {quoted(each.name)} STRING" for each in entity.fields]
    return f"ROW<{','.join(fields)}>"


def _flat(entity: Entity, envelope: Flat) -> Layout:
    mark = entity.field(envelope.time).annotation.limits.mark
    return Layout(
        columns=[f"{quoted(each.name)} STRING" for each in entity.fields],
        texts=[f"r.{quoted(each.name)}" for each in entity.fields],
        time=f"r.{quoted(envelope.time)}",
        unit=mark.unit if isinstance(mark, Epoch) else None,
    )


def _wrapped(entity: Entity, envelope: Wrapped, names: Names) -> Layout:
    payload = quoted(envelope.payload)
    members = [
        Member(row_name, quoted(names.own(name)), f"r.{quoted(member)}")
        for row_name, name, member in (
            ("last_event_id", "event_id", envelope.event_id),
            ("last_action", "action", envelope.action),
        )
        if member is not None
    ]
    for name in envelope.carries:
        old = carried_field(entity.field(name.removeprefix("old_")), name)
        members.append(Member(f"last_{name}", quoted(names.own(name)), f"r.{quoted(name)}", old))
    given = [m.text.removeprefix("r.") for m in members]
    return Layout(
        columns=[
            *(f"{name} STRING" for name in (*given, quoted(envelope.time))),
            f"{payload} {_row(entity, '    ')}",
        ],
        texts=[f"r.{payload}.{quoted(each.name)}" for each in entity.fields],
        time=f"r.{quoted(envelope.time)}",
        unit=envelope.unit,
        members=members,
        deletes=envelope.deletes,
    )


def _debezium(entity: Entity, names: Names) -> Layout:
    """Events with their schema have all of this in `payload`, those without one at the top."""
    event = [
        "`op` STRING",
        "`source` ROW<`ts_ms` STRING, `ts_us` STRING, `ts_ns` STRING>",
    ]
    top = [f"`{part}` {_row(entity, '    ')}" for part in ("before", "after")]
    inner = [f"`{part}` {_row(entity, '        ')}" for part in ("before", "after")]
    payload = ",\n        ".join([*inner, *event])
    ns, us, ms = (
        f"TRY_CAST(COALESCE(r.`source`.`{unit}`, r.`payload`.`source`.`{unit}`) AS BIGINT)"
        for unit in ("ts_ns", "ts_us", "ts_ms")
    )
    op = Member("last_action", quoted(names.own("op")), "COALESCE(r.`op`, r.`payload`.`op`)")
    return Layout(
        columns=[*top, *event, f"`payload` ROW<\n        {payload}>"],
        texts=[_debezium_text(each, is_id=each.name == entity.id) for each in entity.fields],
        time=f"CAST(COALESCE({ns} / 1000, {us}, {ms} * 1000) AS STRING)",
        unit="us",
        members=[op],
        deletes=("d",),
        actions=_OPERATIONS,
    )


def _debezium_text(each: EntityField, *, is_id: bool) -> str:
    rows = ["r.`after`", "r.`payload`.`after`"]
    rows += ["r.`before`", "r.`payload`.`before`"] if is_id else []
    return f"COALESCE({', '.join(f'{row}.{quoted(each.name)}' for row in rows)})"


def key_names(entity: Entity, key: str, name: str) -> str:
    """Return the condition that a record's key names the id in this column."""
    ours = entity.fields[0]
    text = key
    if entity.key_form == "json":
        path = [f"$.payload.{ours.name}", f"$.{ours.name}", "$.payload", "$"]
        text = f"COALESCE({', '.join(f'JSON_VALUE({key}, {literal(each)})' for each in path)})"
    if ours.kind.name == "uuid":
        text = typed(ours, text)
    return f"{text} = {name if ours.kind.flink == 'STRING' else f'CAST({name} AS STRING)'}"


def conditions(
    entity: Entity, layout: Layout, names: "FieldNames", unchecked: Collection[str]
) -> list[str]:
    """Return what an event must fulfil, as conditions on the typed columns."""
    found, needed = [], []
    for each in entity.fields:
        name, text = names.typed(each), names.text(each)
        valid = checks(each, name, text)
        if not valid and is_typed(each):
            valid = [f"{name} IS NOT NULL"]
        if each.name in unchecked:
            continue
        if each.required and each.name != entity.id:
            needed.append(f"{text} IS NOT NULL")
        is_there = (each.required and not layout.deletes) or each.default is not None
        if is_there or each.name == entity.id:
            found += valid
        elif valid:
            found.append(f"({text} IS NULL OR ({' AND '.join(valid)}))")
    if layout.deletes and layout.action is not None and needed:
        gone = f"{layout.action} IN ({', '.join(map(literal, layout.deletes))})"
        needed = [f"({gone} OR ({' AND '.join(needed)}))"]
    return [*needed, *found]


class FieldNames:
    """The columns of each field: the typed one has its name, the text another."""

    def __init__(self, entity: Entity, names: Names) -> None:
        self._texts: Final = {
            each.name: quoted(names.own(f"{each.name}_text") if is_typed(each) else each.name)
            for each in entity.fields
        }

    def typed(self, each: EntityField) -> str:
        """Return the column with the typed value."""
        return quoted(each.name)

    def text(self, each: EntityField) -> str:
        """Return the column with the value as text."""
        return self._texts[each.name]
