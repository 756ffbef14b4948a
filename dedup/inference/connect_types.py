"""The type of a field by the schema of Kafka Connect that events of Debezium may carry."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from dedup.core.annotations import DecimalBytes, Epoch, EpochDays
from dedup.inference.observed import Observed
from dedup.inference.types import FieldType, Typed, type_of

_NAMED: Final[Mapping[str, FieldType]] = {
    "io.debezium.time.Timestamp": FieldType("time", mark=Epoch("ms")),
    "io.debezium.time.MicroTimestamp": FieldType("time", mark=Epoch("us")),
    "io.debezium.time.NanoTimestamp": FieldType("time", mark=Epoch("ns")),
    "org.apache.kafka.connect.data.Timestamp": FieldType("time", mark=Epoch("ms")),
    "io.debezium.time.ZonedTimestamp": FieldType("time"),
    "io.debezium.time.IsoTimestamp": FieldType("time"),
    "io.debezium.time.Date": FieldType("date", mark=EpochDays()),
    "org.apache.kafka.connect.data.Date": FieldType("date", mark=EpochDays()),
    "io.debezium.data.Uuid": FieldType("uuid"),
}
_TYPES: Final[Mapping[str, FieldType]] = {
    **dict.fromkeys(("int8", "int16", "int32", "int64"), FieldType("integer")),
    "boolean": FieldType("boolean"),
    "bytes": FieldType("text"),
    "struct": FieldType("object"),
    "map": FieldType("object"),
    "array": FieldType("list"),
}
_DECIMAL: Final = "org.apache.kafka.connect.data.Decimal"
_VARIABLE_DECIMAL: Final = "io.debezium.data.VariableScaleDecimal"
_JSON: Final = "io.debezium.data.Json"
_ENUM: Final = "io.debezium.data.Enum"
_MOST_DIGITS: Final = 38
_ROOM_DIGITS: Final = 12
_VARIABLE_PLACES: Final = 10


def described_members(schema: object) -> list[dict[str, Any]]:
    """Return what a schema says of the members of the row after the change; empty for no schema."""
    for side in _of_list(schema, "fields"):
        if side.get("field") == "after":
            return _of_list(side, "fields")
    return []


def _of_list(of: object, name: str) -> list[dict[str, Any]]:
    found = of.get(name) if isinstance(of, dict) else None
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def type_by_schema(name: str, described: Mapping[str, Any], seen: Observed) -> Typed:
    """Return the type that a schema says; where it says only string or float, by the values."""
    semantic, type_ = str(described.get("name")), str(described.get("type"))
    raw = described.get("parameters")
    parameters: Mapping[str, Any] = raw if isinstance(raw, dict) else {}
    if semantic == _DECIMAL:
        return _decimal(parameters)
    if semantic == _VARIABLE_DECIMAL:
        told = f"decimals with a scale of their own; {_VARIABLE_PLACES} places are assumed"
        kind = FieldType("decimal", _MOST_DIGITS, _VARIABLE_PLACES, DecimalBytes())
        return Typed(kind, (told,))
    if semantic == _ENUM and parameters.get("allowed"):
        return Typed(FieldType("choice", choices=_allowed(str(parameters["allowed"]))))
    is_text = type_ == "string" and (semantic not in {"None", _JSON} or not seen.count)
    said = _NAMED.get(semantic) or (FieldType("text") if is_text else _TYPES.get(type_))
    return type_of(name, seen, in_debezium=True) if said is None else Typed(said)


def _allowed(text: str) -> tuple[str, ...]:
    values: Sequence[str] = text.split(",")
    return tuple(dict.fromkeys(value.strip().strip("'") for value in values))


def _decimal(parameters: Mapping[str, Any]) -> Typed:
    try:
        places = int(str(parameters.get("scale")))
    except ValueError:
        return Typed(None, ("the schema of the decimal names no scale",))
    try:
        digits = int(str(parameters.get("connect.decimal.precision")))
    except ValueError:
        digits = min(_MOST_DIGITS, places + _ROOM_DIGITS)
        told = f"the schema names no precision; decimal({digits}, {places}) is assumed"
        return Typed(FieldType("decimal", digits, places, DecimalBytes(places)), (told,))
    if not 0 <= places <= digits <= _MOST_DIGITS:
        return Typed(None, (f"decimal({digits}, {places}) is beyond {_MOST_DIGITS} digits",))
    return Typed(FieldType("decimal", digits, places, DecimalBytes(places)))
