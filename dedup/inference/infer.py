"""Infers an entity from the events of a sample, and says what is not sure of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from dedup.core.annotations import Epoch, EpochUnit
from dedup.core.debezium import UNAVAILABLE
from dedup.core.entity import Debezium, Envelope, Flat, Wrapped
from dedup.inference.connect_types import described_members, type_by_schema
from dedup.inference.events import (
    Events,
    InferenceError,
    SampledEvent,
    SampledRecord,
    is_debezium,
    read_events,
)
from dedup.inference.identity import Identity, KeyForm, find_identity
from dedup.inference.members import Actions, actions, event_id, event_time
from dedup.inference.metadata import changes_of, metadata_of
from dedup.inference.names import unusable
from dedup.inference.observed import Observed, observe, shown
from dedup.inference.types import FieldType, Typed, type_of, words

_SAMPLE_TOO_SMALL: Final = 100


@dataclass(frozen=True)
class InferredField:
    """A field of the model; one that some events lack has null for a default."""

    name: str
    type: FieldType
    nullable: bool
    has_default: bool


@dataclass(frozen=True)
class Inferred:
    """An entity as the events show it. Each doubt begins with what it is about."""

    id: str
    envelope: Envelope
    key: KeyForm | None
    """None where it is the envelope's usual one."""

    fields: tuple[InferredField, ...]
    metadata: tuple[str, ...]
    doubts: tuple[str, ...]


class _Shape(NamedTuple):
    """An envelope, the rows in it (UNAVAILABLE values included), and those that are whole."""

    envelope: Envelope
    rows: list[dict[str, Any]]
    whole: list[dict[str, Any]]
    doubts: list[str]
    time_unit: EpochUnit | None = None
    schema: Sequence[dict[str, Any]] = ()


def infer(records: Sequence[SampledRecord], wanted_id: str | None = None) -> Inferred:
    """Infer an entity. `wanted_id` is the field that the user says is the id.

    Raises InferenceError, with what is missing and what to do.
    """
    read = read_events(records)
    doubts = _about_records(read)
    changes = [each for each in read.events if is_debezium(each.body)]
    if len(changes) * 2 > len(read.events):
        identity, shape = _debezium(changes, wanted_id)
        doubts += _others(len(read.events) - len(changes), "no change events of Debezium")
    else:
        identity, shape = _row_or_wrapped(read.events, wanted_id)
    doubts += [*_about_keys(identity), *shape.doubts]
    fields, told = _fields(shape, identity.field)
    types = {field.name: field.type for field in fields}
    time = shape.envelope.time if isinstance(shape.envelope, Flat) else None
    metadata, about = metadata_of(
        types, identity.field, time, changes_of(shape.rows, identity.field)
    )
    doubts += told + [f"{name}: {text}" for name, text in about.items()]
    if len(metadata) + 1 >= len(fields):
        raise InferenceError(
            f"Beside the id {identity.field} the events hold only times and versions "
            f"({', '.join(metadata)}): there is nothing to compare."
        )
    usual = "json" if isinstance(shape.envelope, Debezium) else "text"
    key = None if identity.form == usual else identity.form
    return Inferred(identity.field, shape.envelope, key, fields, metadata, tuple(doubts))


def _about_records(read: Events) -> list[str]:
    doubts = [
        f"values: {count:,} are {what} (first at {read.examples[what]}); they were left out"
        for what, count in read.others.items()
    ]
    events = len(read.events)
    if events < _SAMPLE_TOO_SMALL:
        doubts.append(f"sample: only {events:,} events; run it again when there are more")
    return doubts


def _others(count: int, what: str) -> list[str]:
    return [f"envelope: {count:,} events are {what}"] if count else []


def _about_keys(identity: Identity) -> list[str]:
    doubts = []
    if identity.matches < identity.keyed:
        doubts.append(
            f"{identity.field}: equals the record key in {identity.matches:,} of "
            f"{identity.keyed:,} events; the others would be refused"
        )
    if identity.without_key:
        doubts.append(f"keys: {identity.without_key:,} records have none and would be refused")
    return doubts


def _debezium(events: list[SampledEvent], wanted: str | None) -> tuple[Identity, _Shape]:
    rows, holders = [], []
    for event in events:
        row = event.body.get("after") or event.body.get("before")
        if isinstance(row, dict):
            rows.append(row)
            holders.append(event)
    after = [e.body["after"] for e in holders if isinstance(e.body.get("after"), dict)]
    if not after:
        raise InferenceError("No event of Debezium has a row in `after`: only deletes were read.")
    top = [{n: v for n, v in row.items() if not isinstance(v, dict)} for row in rows]
    identity = find_identity(holders, top, wanted, usual="json")
    schemas = [members for e in events if (members := described_members(e.schema))]
    doubts = []
    if schemas and len(schemas) < len(events):
        doubts.append(f"envelope: only {len(schemas):,} of {len(events):,} events have a schema")
    return identity, _Shape(Debezium(), after, after, doubts, None, schemas[-1] if schemas else ())


def _row_or_wrapped(events: list[SampledEvent], wanted: str | None) -> tuple[Identity, _Shape]:
    bodies = [event.body for event in events]
    with_schema = sum(event.schema is not None for event in events)
    if with_schema * 2 > len(events):
        raise InferenceError(
            f"{with_schema:,} of {len(events):,} events carry the schema of Kafka Connect, and are "
            "no change events of Debezium; only those are read with a schema. Set "
            "value.converter.schemas.enable=false in the connector."
        )
    identity = find_identity(events, bodies, wanted)
    if identity.payload is None:
        return identity, _flat(bodies, identity.field)
    return identity, _wrapped(bodies, identity, identity.payload)


def _flat(bodies: list[dict[str, Any]], row_id: str) -> _Shape:
    rows = [body for body in bodies if row_id in body]
    time = event_time(observe(rows), len(rows), "the events")
    doubts = [f"{time.name}: {text}" for text in time.doubts]
    doubts += _others(len(bodies) - len(rows), f"without {row_id}")
    return _Shape(Flat(time=time.name), rows, rows, doubts, time.unit)


def _wrapped(bodies: list[dict[str, Any]], identity: Identity, payload: str) -> _Shape:
    wrapping = [body for body in bodies if isinstance(body.get(payload), dict)]
    rows = [body[payload] for body in wrapping]
    members = observe({n: v for n, v in body.items() if n != payload} for body in wrapping)
    time = event_time(members, len(wrapping), f"the events beside {payload!r}")
    others = {name: seen for name, seen in members.items() if name != time.name}
    things = words(payload) | words(identity.field) - {"id"}
    does = actions(others, len(wrapping), things)
    taken = {time.name, identity.field, *([does.name] if does.name else [])}
    fields = {name for row in rows for name in row}
    carries = tuple(
        name for name in members if name.startswith("old_") and name.removeprefix("old_") in fields
    )
    envelope = Wrapped(
        payload=payload,
        time=time.name,
        event_id=event_id(members, len(wrapping), taken),
        action=does.name,
        creates=does.creates,
        deletes=does.deletes,
        carries=carries,
        unit=time.unit,
    )
    doubts = [f"{time.name}: {text}" for text in time.doubts]
    if time.unit is not None:
        doubts.append(f"{time.name}: taken for the time since the epoch in {time.unit}")
    doubts += [f"{does.name}: {text}" for text in does.doubts]
    doubts += _others(len(bodies) - len(wrapping), f"without an object {payload!r}")
    if identity.also_at_top:
        doubts.append(f"envelope: {identity.field} is in the event itself too; Wrapped is assumed")
    used = {payload, time.name, envelope.event_id, does.name, *carries}
    unused = [name for name in members if name not in used]
    if unused:
        doubts.append(
            f"envelope: these members beside {payload!r} are not used: {', '.join(unused)}"
        )
    rows += _earlier_values(wrapping, carries)
    return _Shape(envelope, rows, _whole(wrapping, payload, does), doubts)


def _earlier_values(wrapping: list[dict[str, Any]], carries: Sequence[str]) -> list[dict[str, Any]]:
    """Return what events carry of earlier values, as rows: the types have to take them too."""
    return [
        {name.removeprefix("old_"): body[name]}
        for body in wrapping
        for name in carries
        if body.get(name) is not None
    ]


def _whole(wrapping: list[dict[str, Any]], payload: str, does: Actions) -> list[dict[str, Any]]:
    """Return the rows of events that create, or, where there are none, that do not delete."""
    if does.name is None:
        return [body[payload] for body in wrapping]
    creating = [body[payload] for body in wrapping if body[does.name] in does.creates]
    return creating or [body[payload] for body in wrapping if body[does.name] not in does.deletes]


def _fields(shape: _Shape, row_id: str) -> tuple[tuple[InferredField, ...], list[str]]:
    """Return the fields of the model, the id first, and what is not sure of them."""
    available = [{n: v for n, v in row.items() if v != UNAVAILABLE} for row in shape.rows]
    seen = observe(available)
    described = {str(each.get("field")): each for each in shape.schema}
    carries = shape.envelope.carries if isinstance(shape.envelope, Wrapped) else ()
    fields: list[InferredField] = []
    doubts: list[str] = []
    for name in [row_id, *(n for n in [*seen, *described] if n != row_id)]:
        if any(field.name == name for field in fields):
            continue
        of = seen.get(name, Observed())
        why = unusable(name, carries)
        typed = Typed(None, (why,)) if why else _typed(shape, name, of, described, row_id)
        doubts += [f"{name}: {text}" for text in typed.doubts]
        if typed.type is None:
            if name == row_id:
                raise InferenceError(f"The id {name} can't be used: {'; '.join(typed.doubts)}.")
            doubts[-1] += "; the field is left out"
            continue
        field, told = _field(shape, name, of, typed.type)
        optional = name != row_id and described.get(name, {}).get("optional") is True
        fields.append(replace(field, nullable=field.nullable or optional))
        doubts += told
    return tuple(fields), doubts


def _typed(
    shape: _Shape, name: str, seen: Observed, described: dict[str, dict[str, Any]], row_id: str
) -> Typed:
    if name == row_id:
        return _id_type(seen)
    envelope = shape.envelope
    if isinstance(envelope, Flat) and envelope.time == name and shape.time_unit is not None:
        kind = FieldType("time", mark=Epoch(shape.time_unit))
        return Typed(kind, type_of(name, seen).doubts)
    if name in described:
        return type_by_schema(name, described[name], seen)
    return type_of(name, seen, in_debezium=isinstance(envelope, Debezium))


def _id_type(seen: Observed) -> Typed:
    types = set(seen.types)
    if types == {"integer"}:
        found = type_of("id", seen).type
        if found is None or found.kind != "integer":
            return Typed(None, ("it has integers of more than 64 bits",))
        return Typed(FieldType("integer"))
    if types == {"text"}:
        return Typed(FieldType("uuid" if set(seen.forms) == {"uuid"} else "text"))
    held = ", ".join(f"{n:,} {kind} ({seen.example(kind)})" for kind, n in seen.types.items())
    return Typed(None, (f"it has to be integers or texts throughout, and holds {held or 'null'}",))


def _field(
    shape: _Shape, name: str, seen: Observed, kind: FieldType
) -> tuple[InferredField, list[str]]:
    lacking = sum(name not in row for row in shape.whole)
    nullable = seen.nulls > 0 or not seen.count
    doubts = []
    if lacking:
        doubts.append(
            f"{name}: {lacking:,} of {len(shape.whole):,} rows lack it; null is the default"
        )
    elif nullable and seen.count:
        first = next(iter(seen.examples.values()))
        doubts.append(f"{name}: null in {seen.nulls:,} events, such as {shown(first)} in others")
    return InferredField(name, kind, nullable or bool(lacking), bool(lacking)), doubts
