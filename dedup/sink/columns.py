"""The columns of an entity's table: their types in PostgreSQL, and the types that can hold a field.

The columns are the fields of the entity's model. What a row says of the event that it comes from
has no column, and fields that the model does not name have none either.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any, Final, get_args

import msgspec
from psycopg.sql import SQL, Composable, Identifier, Literal

from dedup.core.entity import Entity
from dedup.core.fields import EntityField
from dedup.sink.arrays import Array

_TYPE: Final = re.compile(r"(?P<name>[a-z ]+?)(?:\((?P<first>\d+)(?:,(?P<second>\d+))?\))?")
_INTEGERS: Final = ("integer", "bigint")
_MAX_INT32: Final = 2**31 - 1
_HOLDERS: Final = {
    "boolean": ("boolean",),
    "time": ("timestamp with time zone",),
    "date": ("date",),
    "uuid": ("uuid",),
    "json": ("jsonb", "json"),
}
"""The types that hold a kind whose types have no limits."""

_ELEMENTS: Final = {
    "boolean": "bool",
    "integer": "int4",
    "bigint": "int8",
    "timestamp with time zone": "timestamptz",
}
"""The types whose values are sent as such; those of others are sent as text."""


@dataclass(frozen=True)
class Column:
    """A column of an entity's table."""

    name: str
    type: str
    nullable: bool
    definition: Composable
    """As in CREATE TABLE."""

    placeholder: SQL
    """In a statement that has the values of many rows as parameters."""

    holds: Callable[[str], bool]
    """Tells whether a column of this type, as `format_type` writes it, can hold every value."""

    parameter: Callable[[Sequence[Any]], Array]
    """Returns the parameter for values in normal form."""


def columns_of(entity: Entity) -> tuple[Column, ...]:
    """Return the columns of an entity's table, its id first."""
    return tuple(_column(field, entity) for field in entity.fields)


def _column(field: EntityField, entity: Entity) -> Column:
    column_type = field.kind.postgres.replace("decimal", "numeric")
    base = field.kind.postgres.partition("(")[0]
    element = _ELEMENTS.get(base, "text")
    return Column(
        field.name,
        column_type,
        field.nullable,
        SQL(" ").join([Identifier(field.name), SQL(field.kind.postgres), *_rest(field, entity)]),
        SQL(f"%b::{element}[]::{base}[]"),
        partial(_holds, field, is_id=field.name == entity.id),
        _json_array if field.kind.name == "json" else partial(Array, element),
    )


def _rest(field: EntityField, entity: Entity) -> list[Composable]:
    """Return what a definition says after the type."""
    if field.name == entity.id:
        return [SQL("PRIMARY KEY")]
    rest: list[Composable] = []
    if not field.nullable and not field.annotation.limits.null_is_default:
        rest.append(SQL("NOT NULL"))
    if field.default is not None:
        rest += [SQL("DEFAULT"), _literal(field)]
    elif field.kind.name == "time" and field.nullable and field.name in entity.metadata:
        # For rows that are inserted by hand; the sink itself writes every column.
        rest += [SQL("DEFAULT"), SQL("CURRENT_TIMESTAMP")]
    return rest


def _literal(field: EntityField) -> Composable:
    default = field.default
    if field.kind.name == "decimal":
        return SQL(f"{Decimal(default).normalize():f}")
    return Literal(bytes(default).decode() if isinstance(default, msgspec.Raw) else default)


def _json_array(values: Sequence[Any]) -> Array:
    texts = [None if value is None else bytes(value).decode() for value in values]
    return Array("text", texts)


def _holds(field: EntityField, column_type: str, *, is_id: bool) -> bool:
    found = _TYPE.fullmatch(column_type)
    if found is None:
        return False
    name = found["name"]
    sizes = [int(size) for size in (found["first"], found["second"]) if size is not None]
    kind, limits = field.kind, field.annotation.limits
    choices = get_args(kind.form.type) if kind.name == "choice" and kind.form else ()
    if kind.name == "decimal":
        digits, places = limits.max_digits or 0, limits.decimal_places or 0
        return name == "numeric" and (
            not sizes or (sizes[1] >= places and sizes[0] - sizes[1] >= digits - places)
        )
    if kind.postgres in _INTEGERS:
        small = kind.postgres == "integer" or (choices and max(map(abs, choices)) <= _MAX_INT32)
        # An id may be the `serial` of an existing table: few have more than 2^31 rows.
        return name == "bigint" or (name == "integer" and bool(small or is_id))
    if kind.name in ("text", "choice"):
        longest = max(map(len, choices)) if choices else limits.max_length
        return name == "text" or (
            name == "character varying" and (not sizes or sizes[0] >= (longest or sizes[0] + 1))
        )
    return name in _HOLDERS[kind.name] and not sizes
