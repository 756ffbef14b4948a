"""The fields of an entity in Flink SQL: how each is read, checked, compared and written.

Events are read as text, to tell values that break a limit from absent ones. Every function returns
an expression of SQL. `text` is one for the value as the event has it, `name` the typed column.
"""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any, Final, get_args, get_origin

import msgspec

from dedup.core.annotations import DecimalBytes, Epoch, EpochDays, EpochUnit
from dedup.core.errors import ExplainedError
from dedup.core.fields import EntityField
from dedup.core.kinds import MAX_INT64
from dedup.core.times import EPOCH, microseconds, time_text

_WIDEST: Final = 38
_WIDER_PLACES: Final = 18
_FIRST_SECOND: Final = -62_135_596_800
_END_SECOND: Final = 253_402_300_800
_IN_A_SECOND: Final[dict[EpochUnit, int]] = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}

OFFSET: Final = "(?:Z|[+-][0-9]{2}(?::?[0-9]{2})?)"
TIME_PATTERN: Final = (
    "^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ](?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}"
    rf"(?:\.[0-9]+)?{OFFSET}?$"
)
_UUID_PATTERN: Final = "^[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}$"


class FlinkSqlError(ExplainedError):
    """An entity that Flink SQL can't express; the text names the field and the reason."""


def quoted(name: str) -> str:
    """Return an identifier: quoted, because reserved words are names of fields too."""
    return "`" + name.replace("`", "``") + "`"


def literal(text: str) -> str:
    """Return a text as a literal."""
    return "'" + text.replace("'", "''") + "'"


def iso_time(text: str) -> str:
    """Return the TIMESTAMP(6) in UTC of an ISO 8601 text; an unreadable one is null.

    No JSON timestamp type of Flink reads `+00:00`, so the offset is removed and subtracted.
    """
    return f"""TIMESTAMPADD(
        MINUTE,
        -COALESCE(
            60 * CAST(REGEXP_EXTRACT({text}, '([+-][0-9]{{2}})(?::?[0-9]{{2}})?$', 1) AS INT)
            + COALESCE(CAST(
                REGEXP_EXTRACT({text}, '([+-])[0-9]{{2}}:?[0-9]{{2}}$', 1)
                || REGEXP_EXTRACT({text}, '[+-][0-9]{{2}}:?([0-9]{{2}})$', 1) AS INT), 0),
            0),
        TRY_CAST(REPLACE(REGEXP_REPLACE({text}, '{OFFSET}$', ''), 'T', ' ') AS TIMESTAMP(6)))"""


def is_iso_time(text: str) -> list[str]:
    """Return what must hold for an ISO 8601 text to be a time of the calendar."""
    day = f"TRY_CAST(SUBSTRING({text}, 1, 10) AS DATE) IS NOT NULL"
    return [f"REGEXP({text}, {literal(TIME_PATTERN)})", day]


def epoch_time(text: str, unit: EpochUnit) -> str:
    """Return the TIMESTAMP(6) in UTC of an integer since the epoch; an unreadable one is null."""
    number = f"TRY_CAST({text} AS BIGINT)"
    if unit in ("s", "ms"):
        return f"CAST(TO_TIMESTAMP_LTZ({number}, {0 if unit == 's' else 3}) AS TIMESTAMP(6))"
    us = number if unit == "us" else _floor(number, 1000)
    second = f"CAST(CAST(TO_TIMESTAMP_LTZ({_floor(us, 10**6)}, 0) AS TIMESTAMP(0)) AS STRING)"
    fraction = f"LPAD(CAST(MOD(MOD({us}, 1000000) + 1000000, 1000000) AS STRING), 6, '0')"
    return f"TRY_CAST({second} || '.' || {fraction} AS TIMESTAMP(6))"


def _floor(number: str, by: int) -> str:
    """Return a quotient rounded down; Flink's own division of integers rounds towards zero."""
    return f"CAST(FLOOR({number} / CAST({by} AS DECIMAL({len(str(by))}))) AS BIGINT)"


def is_epoch_time(text: str, unit: EpochUnit) -> list[str]:
    """Return what must hold for an integer since the epoch: no fraction, the years 1 to 9999."""
    size = _IN_A_SECOND[unit]
    first, last = max(_FIRST_SECOND * size, -MAX_INT64), min(_END_SECOND * size - 1, MAX_INT64)
    return [_is_integer(text), f"TRY_CAST({text} AS BIGINT) BETWEEN {first} AND {last}"]


def _is_integer(text: str) -> str:
    return rf"REGEXP({text}, '^[+-]?[0-9]+(?:\.0+)?$')"


def typed(field: EntityField, text: str) -> str:
    """Return the typed value of a field. What can't be read is null. Raises FlinkSqlError."""
    mark = field.annotation.limits.mark
    value = text if field.kind.flink == "STRING" else f"TRY_CAST({text} AS {field.kind.flink})"
    match field.kind.name:
        case "time" if isinstance(mark, Epoch):
            value = epoch_time(text, mark.unit)
        case "time":
            value = iso_time(text)
        case "date" if isinstance(mark, EpochDays):
            value = f"TIMESTAMPADD(DAY, TRY_CAST({text} AS INT), DATE '1970-01-01')"
        case "decimal" if isinstance(mark, DecimalBytes):
            raise FlinkSqlError(
                f"field {field.name}: Flink SQL can't read a decimal's bytes; let Debezium write "
                "text (decimal.handling.mode=string)"
            )
        case "boolean":
            value = (
                f"CASE WHEN {text} IN ('true', '1') THEN TRUE "
                f"WHEN {text} IN ('false', '0') THEN FALSE END"
            )
        case "uuid":
            digits = f"LOWER(REPLACE({text}, '-', ''))"  # REGEXP_REPLACE knows no groups
            groups = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
            value = " || '-' || ".join(f"SUBSTRING({digits}, {a}, {n})" for a, n in groups)
    return value


def is_typed(field: EntityField) -> bool:
    """Tell whether the typed value is another than the text itself."""
    return field.kind.flink != "STRING" or field.kind.name == "uuid"


def checks(field: EntityField, name: str, text: str) -> list[str]:
    """Return what must hold for a value that is there. The typed column is null if unreadable."""
    found: list[str] = []
    limits, mark = field.annotation.limits, field.annotation.limits.mark
    match field.kind.name:
        case "text":
            found = _lengths(name, limits.min_length, limits.max_length)
        case "integer":
            found = _bounds(name, limits.ge, limits.le)
            found.append(_is_integer(text))
        case "decimal":
            found = [*_exact(name, text, limits.max_digits, limits.decimal_places)]
            found += _bounds(name, limits.ge, limits.le)
        case "time":
            unit = mark.unit if isinstance(mark, Epoch) else None
            found = is_iso_time(text) if unit is None else is_epoch_time(text, unit)
        case "date" if mark is None:
            found = [f"CAST({name} AS STRING) = {text}"]
        case "date":
            found = [_is_integer(text), f"{name} BETWEEN DATE '0001-01-01' AND DATE '9999-12-31'"]
        case "uuid":
            found = [f"REGEXP({text}, {literal(_UUID_PATTERN)})"]
        case "choice":
            found = [f"{name} IN ({', '.join(_choices(field))})"]
        case "json":
            container = get_origin(field.annotation.type) or field.annotation.type
            found = [f"{name} IS JSON {'OBJECT' if container is dict else 'ARRAY'}"]
    return found


def _lengths(name: str, least: int | None, most: int | None) -> list[str]:
    length = f"CHAR_LENGTH({name})"
    if least is not None and most is not None:
        return [f"{length} BETWEEN {least} AND {most}"]
    return _bounds(length, least or None, most)


def _bounds(value: str, least: Any, most: Any) -> list[str]:
    found = [] if least is None else [f"{value} >= {least}"]
    return found if most is None else [*found, f"{value} <= {most}"]


def _exact(name: str, text: str, digits: Any, places: Any) -> Iterable[str]:
    """A cast to DECIMAL rounds; the comparison with a wider type detects that."""
    wider = max(places, min(_WIDER_PLACES, _WIDEST - (digits - places)))
    if wider > places:
        yield f"{name} = TRY_CAST({text} AS DECIMAL({_WIDEST}, {wider}))"


def _choices(field: EntityField) -> Iterable[str]:
    type_ = field.annotation.type
    members = get_args(type_) or [member.value for member in type_]
    return (literal(each) if isinstance(each, str) else str(each) for each in members)


def compared(field: EntityField, name: str) -> str:
    """Return a value as JSON_ARRAY takes it, for the comparison of contents."""
    return f"CAST({name} AS STRING)" if field.kind.name in ("decimal", "time", "date") else name


def written(field: EntityField, name: str) -> str:
    """Return a value as JSON_OBJECT takes it, for a row."""
    match field.kind.name:
        case "time":
            return written_time(name)
        case "json":
            return f"JSON({name})"
    return compared(field, name)


def written_time(name: str) -> str:
    """Return a TIMESTAMP in UTC as rows have it: ISO 8601 with `Z`."""
    return f"REPLACE(CAST({name} AS STRING), ' ', 'T') || 'Z'"


def default_text(field: EntityField) -> str | None:
    """Return a field's default as an event would carry it; None for null, and without a default."""
    value, mark = field.default, field.annotation.limits.mark
    if value is None:
        return None
    if isinstance(mark, Epoch) and isinstance(value, datetime):
        return str(microseconds(value) * _IN_A_SECOND[mark.unit] // _IN_A_SECOND["us"])
    if isinstance(mark, EpochDays):
        return str((date.fromisoformat(value) - EPOCH.date()).days)
    if isinstance(value, msgspec.Raw):
        return bytes(value).decode()
    if isinstance(value, bool):
        return str(value).lower()
    return time_text(value) if isinstance(value, datetime) else str(value)
