"""Values of fields in a form that the model could take, and how it would have to say so."""

from collections.abc import Callable
from typing import Any, Final, TypeGuard

from pydantic import ValidationError

from dedup.core.annotations import Epoch, EpochUnit
from dedup.core.entity import Debezium, Entity, Wrapped
from dedup.core.fields import EntityField
from dedup.core.shapes import IN_ENTITY
from dedup.core.times import plain_time
from dedup.core.wire_forms import plain_date, plain_decimal

_LEAST_TIME: Final = 10**8
"""A smaller number is hardly a time: in seconds it would be one before 1973."""

_MOST_OF_UNIT: Final[tuple[tuple[int, EpochUnit], ...]] = (
    (10**11, "s"),
    (10**14, "ms"),
    (10**17, "us"),
    (10**20, "ns"),
)


def field_hint(error: ValidationError, entity: Entity) -> str | None:
    """Return a hint on the first value that another annotation of its field would take."""
    envelope = entity.envelope
    fields = {field.name: field for field in entity.fields}
    depth = 2 if isinstance(envelope, Wrapped) else 1
    for fault in error.errors(include_url=False, include_context=False):
        place, value = fault["loc"], fault["input"]
        hint = None
        if isinstance(envelope, Wrapped) and place == (envelope.time,):
            hint = _of_event_time(envelope, value)
        elif len(place) == depth and (field := fields.get(str(place[-1]))) is not None:
            hint = _of_field(field, entity, value)
        if hint is not None:
            return f"{place[-1]} {hint}"
    return None


def _of_event_time(envelope: Wrapped, value: object) -> str | None:
    unit = _unit(value)
    if unit is not None and unit != envelope.unit:
        return f'looks like a time in {unit}: set unit="{unit}" of the envelope {IN_ENTITY}.'
    if envelope.unit is not None and _is_time_text(value):
        return f"is a text: leave out unit of the envelope {IN_ENTITY}."
    return None


def _of_field(field: EntityField, entity: Entity, value: object) -> str | None:
    mark = field.annotation.limits.mark
    match field.kind.name:
        case "time" | "date":
            instead = _time_annotation(field, value)
        case "decimal" if mark is None and isinstance(entity.envelope, Debezium):
            instead = _decimal_annotation(value)
            if instead is not None:
                return (
                    f"looks like a decimal in bytes: set decimal.handling.mode=string in the "
                    f"connector, or annotate it as {instead} {IN_ENTITY}."
                )
        case "json" if mark is None and isinstance(value, str) and value[:1] in ("{", "["):
            instead = "Annotated[..., JsonText()]"
        case "integer" if field.name == entity.id and isinstance(value, str):
            instead = "str"
        case "text" if field.name == entity.id and _is_integer(value):
            instead = "int"
        case _:
            return None
    if instead is None:
        return None
    what = "text" if isinstance(value, str) else "number"
    return f"is a {what}: annotate it as {instead} {IN_ENTITY}."


def _time_annotation(field: EntityField, value: object) -> str | None:
    mark, is_date = field.annotation.limits.mark, field.kind.name == "date"
    unit = _unit(value)
    if unit is not None and not (isinstance(mark, Epoch) and mark.unit == unit):
        return f'Annotated[datetime, Epoch("{unit}")]'
    if is_date and mark is None and _is_integer(value):
        return "Annotated[date, EpochDays()]"
    if is_date and mark is not None and _is_date_text(value):
        return "date"
    return "datetime" if (is_date or mark is not None) and _is_time_text(value) else None


def _decimal_annotation(value: Any) -> str | None:
    if isinstance(value, dict) and value.keys() == {"scale", "value"}:
        return "Annotated[Decimal, DecimalBytes(), ...]"
    if isinstance(value, str) and value and not _takes(plain_decimal, value):
        return "Annotated[Decimal, DecimalBytes(2), ...]"
    return None


def _unit(value: object) -> EpochUnit | None:
    """Return the unit in which a number is a time of our days; None where it is none in any."""
    if not _is_integer(value) or abs(value) < _LEAST_TIME:
        return None
    return next((unit for most, unit in _MOST_OF_UNIT if abs(value) < most), None)


def _is_integer(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_time_text(value: object) -> bool:
    return isinstance(value, str) and _takes(plain_time, value)


def _is_date_text(value: object) -> bool:
    return isinstance(value, str) and _takes(plain_date, value)


def _takes(read: Callable[[object], object], value: object) -> bool:
    try:
        read(value)
    except ValueError:
        return False
    return True
