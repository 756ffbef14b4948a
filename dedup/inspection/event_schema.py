"""What an event of an entity is: its JSON Schema, an example, and the columns of its row."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, create_model

from dedup.core.annotations import DecimalBytes, Epoch, EpochDays, EpochUnit, JsonText
from dedup.core.entity import Debezium, Entity, Flat, Wrapped
from dedup.core.fields import EntityField, carried_field
from dedup.inspection.example_values import example_value

_TIME: Final = {"type": "string", "format": "date-time"}
_annotated: Final[Any] = Annotated  # with metadata that is only known here
_ROWS: Final = {
    "text": ("text", "STRING", "text"),
    "time": ("time", "TIMESTAMP_LTZ(6)", "timestamp with time zone"),
}
_EXAMPLE_TIME_US: Final = 1_701_426_600_000_000
_PER_UNIT: Final[dict[EpochUnit, int]] = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


@dataclass(frozen=True)
class Column:
    """A column of a row: its kind, and its types in Flink and PostgreSQL."""

    name: str
    kind: str
    nullable: bool
    flink: str
    postgres: str


def event_schema(entity: Entity) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of an event that describes a whole row."""
    return _event_model(entity).model_json_schema(by_alias=True)


def example_event(entity: Entity) -> tuple[bytes, bytes]:
    """Return key and value of an event that the codec of the entity reads.

    Raises ValueError for a field whose limits only pydantic knows and which has neither `examples`
    nor a default.
    """
    row = {field.name: example_value(entity, field) for field in event_fields(entity)}
    return _key(entity, row[entity.id]), msgspec.json.encode(_example(entity, row))


def row_columns(entity: Entity) -> list[Column]:
    """Return the columns of a row in their order: those of the model, then of the event."""
    columns = [
        Column(f.name, f.kind.name, f.nullable, f.kind.flink, f.kind.postgres)
        for f in entity.fields
    ]
    for name in entity.provenance:
        carried = name.removeprefix("last_old_")
        if carried != name:
            kind = entity.field(carried).kind
            columns.append(Column(name, kind.name, True, kind.flink, kind.postgres))
        else:
            is_time = name in {"last_event_timestamp", "processing_time"}
            columns.append(
                Column(name, _ROWS["time"][0], name != "processing_time", *_ROWS["time"][1:])
                if is_time
                else Column(name, _ROWS["text"][0], True, *_ROWS["text"][1:])
            )
    return columns


def event_fields(entity: Entity) -> Sequence[EntityField]:
    """Return the fields as events carry them: of Debezium, JSON comes as text."""
    if not isinstance(entity.envelope, Debezium):
        return entity.fields
    return [
        f.marked(f.annotation.limits.mark or JsonText()) if f.kind.name == "json" else f
        for f in entity.fields
    ]


def _event_model(entity: Entity) -> type[BaseModel]:
    envelope = entity.envelope
    rows = _row_model(entity)
    if isinstance(envelope, Flat):
        return rows
    name = f"{entity.model.__name__}Event"
    if isinstance(envelope, Debezium):
        times: Any = {f"ts_{unit}": (int | None, None) for unit in ("ms", "us", "ns")}
        source = create_model("Source", **times)
        members: dict[str, Any] = {
            "op": (Literal["c", "u", "r", "d"], ...),
            "before": (rows | None, None),
            "after": (rows | None, None),
            "source": (source, ...),
        }
        return create_model(name, **members)
    return create_model(name, **_wrapped_members(entity, envelope, rows))


def _wrapped_members(entity: Entity, envelope: Wrapped, rows: type[BaseModel]) -> dict[str, Any]:
    action: Any = str
    if envelope.actions:
        action = _annotated[(str, Field(examples=list(envelope.actions)))]
    time: Any = (
        Annotated[str, WithJsonSchema(_TIME)]
        if envelope.unit is None
        else _epoch_type(envelope.unit)
    )
    members = {
        envelope.event_id: (str, ...),
        envelope.action: (action, ...),
        envelope.time: (time, ...),
        envelope.payload: (rows, ...),
    }
    carried = {
        name: (_type(carried_field(entity.field(name.removeprefix("old_")), name)), None)
        for name in envelope.carries
    }
    return {name: type_ for name, type_ in members.items() if name is not None} | carried


def _row_model(entity: Entity) -> type[BaseModel]:
    fields = {
        field.name: (_type(field), ... if field.required else _shown_default(entity, field))
        for field in event_fields(entity)
    }
    config = ConfigDict(title=entity.model.__name__)
    named: Any = fields
    model: type[BaseModel] = create_model(entity.model.__name__, __config__=config, **named)
    model.__doc__ = entity.model.__doc__
    return model


def _shown_default(entity: Entity, field: EntityField) -> Any:
    """Return the model's default; a mark means that events write it in another way."""
    if field.annotation.limits.mark is not None:
        return None
    return entity.model.model_fields[field.name].get_default(call_default_factory=True)


def _type(field: EntityField) -> Any:
    """Return a type with the JSON Schema of what events carry, whatever the row has."""
    schema = _marked_schema(field)
    limits = field.annotation.limits
    if schema is None and field.kind.name == "decimal":
        text = f"at most {limits.max_digits} digits, {limits.decimal_places} of them decimal places"
        return _annotated[(field.pydantic_type(), Field(description=text))]
    if schema is None:
        return field.pydantic_type()
    kind: Any = Annotated[Any, WithJsonSchema(schema)]
    return kind | None if field.nullable else kind


def _marked_schema(field: EntityField) -> dict[str, Any] | None:
    match field.annotation.limits.mark:
        case Epoch(unit):
            return _epoch_schema(unit)
        case EpochDays():
            return {"type": "integer", "description": "days since 1970-01-01"}
        case DecimalBytes(scale):
            return _decimal_bytes_schema(scale)
        case JsonText():
            return {"type": "string", "contentMediaType": "application/json"}
    return None


def _epoch_schema(unit: EpochUnit) -> dict[str, Any]:
    return {"type": "integer", "description": f"time since the epoch in {unit}"}


def _epoch_type(unit: EpochUnit) -> Any:
    return Annotated[int, WithJsonSchema(_epoch_schema(unit))]


def _decimal_bytes_schema(scale: int | None) -> dict[str, Any]:
    value = {"type": "string", "contentEncoding": "base64"}
    if scale is not None:
        return {**value, "description": f"unscaled bytes of a decimal with {scale} places"}
    return {
        "type": "object",
        "properties": {"scale": {"type": "integer"}, "value": value},
        "required": ["scale", "value"],
    }


def _example(entity: Entity, row: dict[str, Any]) -> dict[str, Any]:
    envelope = entity.envelope
    if isinstance(envelope, Flat):
        return row
    if isinstance(envelope, Debezium):
        source = {"ts_ms": _EXAMPLE_TIME_US // 1000}
        return {"before": None, "after": row, "source": source, "op": "c"}
    unit = envelope.unit
    time = (
        "2023-12-01T10:30:00.000000Z"
        if unit is None
        else _EXAMPLE_TIME_US * _PER_UNIT[unit] // 10**6
    )
    members: dict[str | None, Any] = {
        envelope.event_id: "2b9c4a50-5d6e-4f7a-8b90-1c2d3e4f5a6b",
        envelope.action: _action(envelope),
        envelope.time: time,
        envelope.payload: row,
    }
    return {name: value for name, value in members.items() if name is not None}


def _action(envelope: Wrapped) -> str:
    known = [*envelope.creates, *(a for a in envelope.actions if a not in envelope.deletes)]
    free = [each for each in ("created", "updated") if each not in envelope.deletes]
    return [*known, *free, "changed"][0]


def _key(entity: Entity, row_id: Any) -> bytes:
    if entity.key_form == "json":
        return msgspec.json.encode({entity.id: row_id})
    return str(row_id).encode()
