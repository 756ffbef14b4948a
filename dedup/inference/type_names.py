"""The types of a written module: those with limits or marks have names, which fields share."""

from collections.abc import Collection, Iterator
from typing import Final, NamedTuple

from dedup.core.annotations import DecimalBytes, Epoch, EpochDays
from dedup.inference.names import IMPORTED
from dedup.inference.types import FieldType

WIDTH: Final = 88
"""Characters of a line, by default, for ruff."""

_PLAIN: Final = {
    "integer": "int",
    "text": "str",
    "boolean": "bool",
    "time": "dt.datetime",
    "date": "dt.date",
    "uuid": "UUID",
    "object": "dict[str, Any]",
    "list": "list[Any]",
}


class _Generic(NamedTuple):
    """A type in square brackets."""

    of: str
    parts: tuple[str, ...]

    @property
    def source(self) -> str:
        return f"{self.of}[{', '.join(self.parts)}]"


class TypeNames:
    """The names of types in a module. `taken` are names that stand for something else in it."""

    def __init__(self, model: str, taken: Collection[str]) -> None:
        self._model: Final = model
        self._taken: Final = {*taken, model, *IMPORTED}
        self._named: dict[str, _Generic] = {}

    def name_of(self, field: str, kind: FieldType) -> str:
        """Return the name of a field's type."""
        if kind.kind == "choice":
            camel = "".join(word[:1].upper() + word[1:] for word in field.split("_"))
            literal = _Generic("Literal", tuple(map(text_source, kind.choices)))
            return self._name(f"{self._model}{camel}", literal)
        if kind.kind == "decimal":
            return self._decimal(kind)
        match kind.mark:
            case Epoch(unit):
                epoch = _Generic("Annotated", ("dt.datetime", f'Epoch("{unit}")'))
                return self._name(f"Epoch{unit.capitalize()}", epoch)
            case EpochDays():
                return self._name("EpochDay", _Generic("Annotated", ("dt.date", "EpochDays()")))
        return _PLAIN[kind.kind]

    def sources(self) -> Iterator[str]:
        """Return the types that have names."""
        return (generic.source for generic in self._named.values())

    def assignments(self) -> Iterator[str]:
        """Return the lines that name them, in the format of ruff for any width."""
        for name, generic in self._named.items():
            line = f"{name} = {generic.source}"
            if len(line) > WIDTH:
                parts = [f"    {part}," for part in generic.parts]
                line = "\n".join([f"{name} = {generic.of}[", *parts, "]"])
            yield line

    def _decimal(self, kind: FieldType) -> str:
        limits = f"Field(max_digits={kind.digits}, decimal_places={kind.places})"
        name = f"Decimal{kind.digits}Scale{kind.places}"
        if not isinstance(kind.mark, DecimalBytes):
            return self._name(name, _Generic("Annotated", ("Decimal", limits)))
        scale = kind.mark.scale
        mark = f"DecimalBytes({'' if scale is None else scale})"
        own = "Variable" if scale is None else "Bytes"
        return self._name(f"{name}{own}", _Generic("Annotated", ("Decimal", limits, mark)))

    def _name(self, name: str, generic: _Generic) -> str:
        while name in self._taken or self._named.get(name, generic) != generic:
            name += "Value"
        self._named[name] = generic
        return name


def text_source(value: str) -> str:
    """Return a text as ruff writes it: in double quotes unless that needs more escapes."""
    plain = repr(value)
    if plain.startswith('"') or '"' in value:
        return plain
    return f'"{plain[1:-1]}"'
