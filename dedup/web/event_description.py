"""Describes what an event is, for people who are about to send some."""

import json
from collections.abc import Container
from enum import Enum
from typing import Any, get_args

from dedup.core.entity import Debezium, Entity, Flat
from dedup.core.fields import EntityField
from dedup.inspection.event_schema import event_schema, example_event, row_columns
from dedup.web.event_models import EventColumn, EventDescription


def describe_event(entity: Entity, content: Container[str]) -> EventDescription:
    """Return what an event of an entity is; `content` are the fields that are compared."""
    key, example = _example(entity)
    limits = {field.name: limits_text(field) for field in entity.fields}
    return EventDescription(
        entity=entity.name,
        envelope=_envelope(entity),
        key=_key(entity),
        deletes=_deletes(entity),
        event_schema=event_schema(entity),
        example_key=key,
        example=example,
        columns=[
            EventColumn(
                name=column.name,
                kind=column.kind,
                nullable=column.nullable,
                limits=limits.get(column.name, ""),
                content=column.name in content,
                flink=column.flink,
                postgres=column.postgres,
            )
            for column in row_columns(entity)
        ],
    )


def _example(entity: Entity) -> tuple[str | None, dict[str, object] | None]:
    try:
        key, value = example_event(entity)
    except ValueError:  # a limit of the model that only its own code knows
        return None, None
    return key.decode(), json.loads(value)


def limits_text(field: EntityField) -> str:
    """Return what the values of a field must be, as people say it; empty if any fits."""
    limits = field.annotation.limits
    if field.kind.name == "decimal":
        digits = f"{limits.max_digits} digits, {limits.decimal_places} of them decimal places"
        return ", ".join(filter(None, [digits, _range(limits.ge, limits.le)]))
    if field.kind.name == "integer":
        return _range(limits.ge, limits.le)
    if field.kind.name == "choice":
        return f"one of {', '.join(map(str, _choices(field.annotation.type)))}"
    if field.kind.name == "text":
        length = _range(limits.min_length, limits.max_length)
        return f"{length} characters" if length else ""
    return ""


def _range(least: Any, most: Any) -> str:
    if least is not None and most is not None:
        return f"{least} to {most}"
    if least is not None:
        return f"at least {least}"
    return "" if most is None else f"at most {most}"


def _choices(annotation: Any) -> list[object]:
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return [member.value for member in annotation]
    return [*get_args(annotation)]


def _envelope(entity: Entity) -> str:
    envelope = entity.envelope
    if isinstance(envelope, Flat):
        return f"The event is the row; `{envelope.time}` is the event time."
    if isinstance(envelope, Debezium):
        return (
            "A change event of Debezium, with or without `schema` and `payload`: `after` is the "
            "row, and the event time is that of `source`."
        )
    members = [f"the row is in `{envelope.payload}`, the event time in `{envelope.time}`"]
    members += [f"the action in `{envelope.action}`"] if envelope.action else []
    members += [f"the id of the event in `{envelope.event_id}`"] if envelope.event_id else []
    text = f"{', '.join(members)}."
    return text[0].upper() + text[1:]


def _key(entity: Entity) -> str:
    if entity.key_form == "text":
        return f"The {entity.id} as text."
    return (
        f"The {entity.id} as JSON, alone or in an object, with or without `schema` and `payload`."
    )


def _deletes(entity: Entity) -> str:
    null = "A null value"
    envelope = entity.envelope
    if isinstance(envelope, Debezium):
        return f"{null}, or op `d`."
    deletes = () if isinstance(envelope, Flat) else envelope.deletes
    if not deletes:
        return f"{null}."
    return f"{null}, or the action {' or '.join(f'`{action}`' for action in deletes)}."
