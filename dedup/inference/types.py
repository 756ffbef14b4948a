"""The type of a field by the values that were seen of it."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from dedup.core.annotations import DecimalBytes, Epoch, EpochDays, EpochUnit, Mark
from dedup.core.kinds import MAX_INT64
from dedup.inference.observed import Observed, shown

_MOST_DIGITS: Final = 38
_MOST_CHOICES: Final = 10
_LEAST_OF_EACH: Final = 5
_LEAST_FOR_CHOICE: Final = 300
_LONGEST_CHOICE: Final = 40
_USUAL_PLACES: Final = (0, 2, 4, 6)
_USUAL_WHOLE: Final = 10
_ROOM_DIGITS: Final = 2
_Y2000_S: Final = 946_684_800
_Y2100_S: Final = 4_102_444_800
_DAY_S: Final = 86_400
_PER_SECOND: Final[dict[EpochUnit, int]] = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_TIME_WORDS: Final = frozenset(
    {
        "at",
        "time",
        "timestamp",
        "ts",
        "date",
        "datetime",
        "on",
        "when",
        "since",
        "until",
        "created",
        "updated",
        "modified",
        "changed",
        "expires",
        "expiry",
        "valid",
        "start",
        "started",
        "end",
        "ended",
    }
)
_DAY_WORDS: Final = frozenset({"date", "day", "on", "birthday", "dob"})
_WORD: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]{2,22}={0,2}")


@dataclass(frozen=True)
class FieldType:
    """A type that a model can have; `mark` says how events write it."""

    kind: str
    """integer, text, decimal, boolean, time, date, uuid, object, list or choice."""

    digits: int = 0
    places: int = 0
    mark: Mark | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Typed:
    """A type, None where none fits, and what is not sure of it."""

    type: FieldType | None
    doubts: tuple[str, ...] = ()


def words(name: str) -> set[str]:
    """Return the words of a name in snake or camel case, in small letters."""
    return {word.lower() for word in _WORD.findall(name)}


def says_time(name: str) -> bool:
    """Tell whether a name is one that times have."""
    return bool(words(name) & _TIME_WORDS)


def epoch_unit(seen: Observed) -> EpochUnit | None:
    """Return the unit in which every integer is a time of the years 2000 to 2100, if there is."""
    if set(seen.types) != {"integer"} or seen.least is None or seen.most is None:
        return None
    for unit, factor in _PER_SECOND.items():
        if _Y2000_S * factor <= seen.least and seen.most <= _Y2100_S * factor:
            return unit
    return None


def type_of(name: str, seen: Observed, *, in_debezium: bool = False) -> Typed:
    """Return the type of a field, wide enough for every value seen."""
    types = set(seen.types)
    if not types:
        return Typed(FieldType("text"), ("only null was seen; text is assumed",))
    if types == {"integer"}:
        return _integer(name, seen, in_debezium=in_debezium)
    if types == {"text"}:
        return _text(name, seen, in_debezium=in_debezium)
    if types == {"object"} and in_debezium and seen.variable_scale == seen.count:
        return Typed(_decimal(20, 10, DecimalBytes()), ("decimals with a scale of their own",))
    if types <= {"integer", "number"}:
        return _number(seen)
    return _mixed(seen)


def _mixed(seen: Observed) -> Typed:
    types = set(seen.types)
    if len(types) == 1 and types <= {"boolean", "object", "list"}:
        return Typed(FieldType(min(types)))
    if types == {"boolean", "integer"} and (seen.least, seen.most) in {(0, 0), (0, 1), (1, 1)}:
        return Typed(FieldType("boolean"), (f"{_counted(seen)}; 0 and 1 are read as booleans",))
    if types == {"integer", "text"} and set(seen.forms) == {"integer"}:
        return Typed(FieldType("integer"), (f"{_counted(seen)}; all are read as integers",))
    if types <= {"integer", "number", "text"} and set(seen.forms) <= {"integer", "decimal"}:
        found = _number(seen)
        return Typed(found.type, (f"{_counted(seen)}; all are read as decimals", *found.doubts))
    why = "a number is too large for any type" if "huge" in types else "no type takes all of them"
    return Typed(None, (f"{_counted(seen)}; {why}",))


def _counted(seen: Observed) -> str:
    counts = [
        f"{number:,} {kind} ({seen.example(kind)})" for kind, number in seen.types.most_common()
    ]
    return "mixed values: " + ", ".join(counts)


def _integer(name: str, seen: Observed, *, in_debezium: bool) -> Typed:
    unit = epoch_unit(seen)
    if unit is not None and says_time(name):
        first = f"{seen.least} is {_time_of(seen.least or 0, unit)}"
        return Typed(
            FieldType("time", mark=Epoch(unit)),
            (f"taken for the time since the epoch in {unit}: {first}",),
        )
    least, most = seen.least or 0, seen.most or 0
    if in_debezium and words(name) & _DAY_WORDS and _are_days(least, most):
        day = _time_of(least * _DAY_S, "s")[:10]
        return Typed(
            FieldType("date", mark=EpochDays()),
            (f"taken for days since 1970-01-01: {least} is {day}",),
        )
    if least < -MAX_INT64 - 1 or most > MAX_INT64:
        found = _number(seen)
        return Typed(
            found.type, ("integers of more than 64 bits are read as decimals", *found.doubts)
        )
    mixed = unit is None and says_time(name) and most >= _Y2000_S
    if unit in {"ms", "us"}:
        hint = f'Annotated[dt.datetime, Epoch("{unit}")]'
        told = f"taken for an integer; {least} could be {_time_of(least, unit)}: then use {hint}"
        return Typed(FieldType("integer"), (told,))
    doubts = (f"integers from {least} to {most}: no times in one unit",) if mixed else ()
    return Typed(FieldType("integer"), doubts)


def _are_days(least: int, most: int) -> bool:
    return least >= _Y2000_S // _DAY_S and most <= _Y2100_S // _DAY_S


def _time_of(value: int, unit: EpochUnit) -> str:
    return datetime.fromtimestamp(value // _PER_SECOND[unit], UTC).isoformat()


def _number(seen: Observed) -> Typed:
    places = max(seen.places, default=0)
    usual = next((each for each in _USUAL_PLACES if each >= places), places)
    whole = max(_USUAL_WHOLE, seen.whole + _ROOM_DIGITS)
    if usual + whole > _MOST_DIGITS:
        usual, whole = places, max(seen.whole, 1)
    if usual + whole > _MOST_DIGITS:
        return Typed(None, (f"numbers of more than {_MOST_DIGITS} digits: no type takes them",))
    told = f"decimal({usual + whole}, {usual}) is assumed, {places} places were seen at most"
    return Typed(_decimal(usual + whole, usual), (f"{told}; a value with more is refused",))


def _decimal(digits: int, places: int, mark: Mark | None = None) -> FieldType:
    return FieldType("decimal", digits=digits, places=places, mark=mark)


def _text(name: str, seen: Observed, *, in_debezium: bool) -> Typed:
    forms = set(seen.forms)
    if len(forms) == 1 and forms <= {"time", "date", "uuid"}:
        return Typed(FieldType(min(forms)))
    if in_debezium and len(forms) == 1 and forms <= {"object", "list"}:
        return Typed(FieldType(min(forms)), ("texts of JSON, taken for a json column",))
    if forms == {"decimal"} and len(seen.places) == 1:
        found = _number(seen)
        return Typed(found.type, ("texts of numbers, taken for decimals", *found.doubts))
    choices = _choices(seen)
    if choices and forms == {"text"}:
        told = (
            f"only {', '.join(map(shown, choices))} in {seen.count:,} values; any other is refused"
        )
        return Typed(FieldType("choice", choices=choices), (told,))
    return Typed(FieldType("text"), _text_doubts(seen, name, in_debezium=in_debezium))


def _text_doubts(seen: Observed, name: str, *, in_debezium: bool) -> tuple[str, ...]:
    forms = dict(seen.forms.most_common())
    number = forms.get("integer", 0) + forms.get("decimal", 0)
    if number == seen.count:
        return (f"texts of numbers ({seen.example('text')}), taken for text",)
    for form in ("time", "date", "uuid", "decimal"):
        if forms.get(form, 0) > seen.count // 2:
            other = seen.count - forms[form]
            return (f"{other:,} of {seen.count:,} values are no {form}, so text is assumed",)
    encoded = [v for v in seen.distinct if isinstance(v, str) and _BASE64.fullmatch(v)]
    padded = any(value.endswith("=") for value in encoded)
    if in_debezium and padded and len(encoded) == len(seen.distinct):
        hint = "Annotated[Decimal, Field(max_digits=…, decimal_places=…), DecimalBytes(scale)]"
        return (f"{name} could be decimals as base64 ({seen.example('text')}): then use {hint}",)
    return ()


def _choices(seen: Observed) -> tuple[str, ...]:
    """Return the values of a text of which there are few in many events."""
    if seen.count < _LEAST_FOR_CHOICE or not 1 < len(seen.distinct) <= _MOST_CHOICES:
        return ()
    if min(seen.distinct.values()) < _LEAST_OF_EACH:
        return ()
    values = sorted(value for value in seen.distinct if isinstance(value, str))
    fits = all(0 < len(value) <= _LONGEST_CHOICE and value.isprintable() for value in values)
    return tuple(values) if fits else ()
