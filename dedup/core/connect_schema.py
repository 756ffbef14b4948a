"""What the schema of an event of Kafka Connect says of how its fields are written."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from dedup.core.annotations import DecimalBytes, Epoch, EpochDays, JsonText, Mark
from dedup.core.fields import EntityField

_MARKS: Final[Mapping[str, Mark]] = {
    "io.debezium.time.Timestamp": Epoch("ms"),
    "io.debezium.time.MicroTimestamp": Epoch("us"),
    "io.debezium.time.NanoTimestamp": Epoch("ns"),
    "org.apache.kafka.connect.data.Timestamp": Epoch("ms"),
    "io.debezium.time.Date": EpochDays(),
    "org.apache.kafka.connect.data.Date": EpochDays(),
    "io.debezium.data.Json": JsonText(),
}
_DECIMAL: Final = "org.apache.kafka.connect.data.Decimal"
_VARIABLE_DECIMAL: Final = "io.debezium.data.VariableScaleDecimal"
_MARKED_KINDS: Final[Mapping[type, str]] = {
    Epoch: "time",
    EpochDays: "date",
    DecimalBytes: "decimal",
    JsonText: "json",
}
_TYPES: Final[Mapping[type, Sequence[str]]] = {
    Epoch: ("int32", "int64"),
    EpochDays: ("int32", "int64"),
    DecimalBytes: ("bytes", "struct"),
    JsonText: ("string",),
}


def fields_by_schema(fields: Sequence[EntityField], schema: object) -> list[EntityField]:
    """Return the fields as the schema of a change event says that they are written.

    A field that the schema does not describe is left as it is, and so is one with a mark of its own
    on a plain integer: a column of integers may well hold times. Where the schema says otherwise,
    the field loses its mark, and pydantic says what is wrong.
    """
    described = {str(member.get("field")): member for member in _members(schema)}
    return [
        _as_written(field, described[field.name]) if field.name in described else field
        for field in fields
    ]


def _members(schema: object) -> Iterator[Mapping[str, Any]]:
    """Yield what a schema says of the members of the row after the change."""
    for side in _of_list(schema, "fields"):
        if side.get("field") == "after":
            yield from _of_list(side, "fields")


def _of_list(of: object, name: str) -> list[dict[str, Any]]:
    found = of.get(name) if isinstance(of, dict) else None
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _as_written(field: EntityField, described: Mapping[str, Any]) -> EntityField:
    name, own = described.get("name"), field.annotation.limits.mark
    if name is None:
        written_so = own is not None and described.get("type") in _TYPES[type(own)]
        return field if written_so else field.marked(None)
    mark = _mark(str(name), described)
    fits = mark is not None and _MARKED_KINDS[type(mark)] == field.kind.name
    return field.marked(mark if fits else None)


def _mark(name: str, described: Mapping[str, Any]) -> Mark | None:
    if name == _VARIABLE_DECIMAL:
        return DecimalBytes(None)
    if name != _DECIMAL:
        return _MARKS.get(name)
    parameters = described.get("parameters")
    scale = parameters.get("scale") if isinstance(parameters, dict) else None
    try:
        return DecimalBytes(int(str(scale)))
    except ValueError:
        return None
