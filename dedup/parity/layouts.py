"""How Flink SQL reads the events of each envelope: the source table, and what it means."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from dedup.core.entity import Debezium, Entity, Flat, Wrapped
from dedup.core.fields import EntityField, carried_field
from dedup.parity.columns import (
    checks,
    epoch_time,
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


Member = tuple[str, str, str, EntityField | None]


@dataclass(frozen=True)
class Layout:
    """What is peculiar to an envelope. Expressions read the source table as `r`.

    `columns` are those of the source table beside ours. `members` are what an event has beside its
    row, by their names in a row (`last_action`): the name of the column, its expression and the
    field that gives it its type. `time` is the event's time, `must` what every event fulfils.
    """

    columns: Sequence[str]
    texts: Sequence[str]
    """The value of each field of the entity as text, in their order."""

    time: str
    members: Sequence[Member] = ()
    must: Sequence[str] = ()
    deletes: Sequence[str] = ()
    action: str | None = None


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
    texts = [f"r.{quoted(each.name)}" for each in entity.fields]
    at = [each.name for each in entity.fields].index(envelope.time)
    return Layout(
        columns=[f"{quoted(each.name)} STRING" for each in entity.fields],
        texts=texts,
        time=typed(entity.fields[at], texts[at]),
    )


def _wrapped(entity: Entity, envelope: Wrapped, names: Names) -> Layout:
    payload, time = quoted(envelope.payload), f"r.{quoted(envelope.time)}"
    columns: list[str] = []
    members: list[Member] = []
    must: list[str] = []
    action = None
    if envelope.event_id is not None:
        columns.append(f"{quoted(envelope.event_id)} STRING")
        own = quoted(names.own("event_id"))
        members.append(("last_event_id", own, f"r.{quoted(envelope.event_id)}", None))
        must.append(f"r.{quoted(envelope.event_id)} IS NOT NULL")
    if envelope.action is not None:
        columns.append(f"{quoted(envelope.action)} STRING")
        action = quoted(names.own("action"))
        members.append(("last_action", action, f"r.{quoted(envelope.action)}", None))
        must.append(f"r.{quoted(envelope.action)} IS NOT NULL")
    columns += [f"{quoted(envelope.time)} STRING", f"{payload} {_row(entity, '    ')}"]
    for name in envelope.carries:
        old = carried_field(entity.field(name.removeprefix("old_")), name)
        columns.append(f"{quoted(name)} STRING")
        member = typed(old, f"r.{quoted(name)}")
        members.append((f"last_{name}", quoted(names.own(name)), member, old))
    unit = envelope.unit
    return Layout(
        columns=columns,
        texts=[f"r.{payload}.{quoted(each.name)}" for each in entity.fields],
        time=iso_time(time) if unit is None else epoch_time(f"TRY_CAST({time} AS BIGINT)", unit),
        members=members,
        must=[*must, *(is_iso_time(time) if unit is None else ())],
        deletes=envelope.deletes,
        action=action,
    )


def _debezium(entity: Entity, names: Names) -> Layout:
    """Events with their schema have all of this in `payload`, those without one at the top."""
    event = [
        f"`before` {_row(entity, '        ')}",
        f"`after` {_row(entity, '        ')}",
        "`op` STRING",
        "`source` ROW<`ts_ms` STRING, `ts_us` STRING, `ts_ns` STRING>",
    ]
    inner = ",\n        ".join(event)
    op = "COALESCE(r.`op`, r.`payload`.`op`)"
    at = [
        f"TRY_CAST(COALESCE(r.`source`.`{unit}`, r.`payload`.`source`.`{unit}`) AS BIGINT)"
        for unit in ("ts_ns", "ts_us", "ts_ms")
    ]
    us = f"COALESCE({at[0]} / 1000, {at[1]}, {at[2]} * 1000)"
    action = quoted(names.own("op"))
    return Layout(
        columns=[*event, f"`payload` ROW<\n        {inner}>"],
        texts=[_debezium_text(each, is_id=each.name == entity.id) for each in entity.fields],
        time=epoch_time(us, "us"),
        members=[("last_action", action, op, None)],
        must=[f"{op} IN ({', '.join(map(literal, _OPERATIONS))})"],
        deletes=("d",),
        action=action,
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
