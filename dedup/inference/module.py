"""The Python module of an inferred entity: importable, typed, and formatted."""

from collections.abc import Iterator
from dataclasses import MISSING, fields
from typing import Any, Final

from dedup.core.annotations import DecimalBytes, Epoch, EpochDays
from dedup.core.entity import Envelope
from dedup.inference.infer import Inferred, InferredField
from dedup.inference.names import IMPORTED
from dedup.inference.types import FieldType

_WIDTH: Final = 88
_MIXED_CASE: Final = "# ruff: noqa: N815 - the fields have the names that events give them\n"
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


def module_source(inferred: Inferred, name: str, topic: str) -> str:
    """Return the source of a module with the model and the entity, in the format of ruff."""
    aliases: dict[str, str] = {}
    lines = [_field(field, class_name(name), aliases) for field in inferred.fields]
    uses = "\n".join([*aliases.values(), *lines])
    mixed = [_MIXED_CASE] if any(map(_is_mixed, inferred.fields)) else []
    parts = [
        f'"""The events of {_said(topic)}, as dedup reads them."""',
        "",
        *mixed,
        *_imports(inferred, uses),
        "",
    ]
    for alias, source in aliases.items():
        parts.append(_assignment(alias, source))
    parts += [""] if aliases else []
    parts += [
        "",
        f"class {class_name(name)}(BaseModel):",
        f'    """A row of {_said(topic)}."""',
        "",
    ]
    parts += lines
    parts += ["", "", *_entity(inferred, name)]
    return "\n".join(parts) + "\n"


def _is_mixed(field: InferredField) -> bool:
    return field.name[0].islower() and not field.name.islower()


def _said(topic: str) -> str:
    return f"the topic {topic}"


def class_name(name: str) -> str:
    """Return the name of the model's class."""
    camel = "".join(word.capitalize() for word in name.split("_"))
    return f"{camel}Row" if camel in IMPORTED else camel


def constant_name(name: str) -> str:
    """Return the name of the entity in the module."""
    constant = name.upper()
    return (
        f"{constant}_ENTITY" if constant in IMPORTED or constant == class_name(name) else constant
    )


def _imports(inferred: Inferred, uses: str) -> Iterator[str]:
    if "dt." in uses:
        yield "import datetime as dt"
    if "Decimal," in uses:
        yield "from decimal import Decimal"
    typing = [word for word in ("Annotated", "Any", "Literal") if word in _words(uses)]
    if typing:
        yield f"from typing import {', '.join(typing)}"
    if "UUID" in _words(uses):
        yield "from uuid import UUID"
    if typing or "dt." in uses or "UUID" in _words(uses):
        yield ""
    yield f"from pydantic import BaseModel{', Field' if 'Field(' in uses else ''}"
    yield ""
    ours = [word for word in ("DecimalBytes", "Epoch", "EpochDays") if f"{word}(" in uses]
    names = sorted([type(inferred.envelope).__name__, "Entity", *ours])
    yield f"from dedup import {', '.join(names)}"


def _words(source: str) -> set[str]:
    return set("".join(c if c.isalnum() or c == "_" else " " for c in source).split())


def _field(field: InferredField, model: str, aliases: dict[str, str]) -> str:
    source = _type(field, model, aliases)
    null = " | None" if field.nullable else ""
    default = " = None" if field.has_default else ""
    return f"    {field.name}: {source}{null}{default}"


def _type(field: InferredField, model: str, aliases: dict[str, str]) -> str:
    """Return a type by its name; of those with limits or marks the name stands for them."""
    kind = field.type
    if kind.kind == "choice":
        camel = "".join(word[:1].upper() + word[1:] for word in field.name.split("_"))
        return _named(aliases, f"{model}{camel}", _choices(kind.choices))
    if kind.kind == "decimal":
        return _decimal(kind, aliases)
    match kind.mark:
        case Epoch(unit):
            return _named(
                aliases, f"Epoch{unit.capitalize()}", f'Annotated[dt.datetime, Epoch("{unit}")]'
            )
        case EpochDays():
            return _named(aliases, "EpochDay", "Annotated[dt.date, EpochDays()]")
    return _PLAIN[kind.kind]


def _named(aliases: dict[str, str], name: str, source: str) -> str:
    while aliases.get(name, source) != source or name in IMPORTED:
        name += "Value"
    aliases[name] = source
    return name


def _choices(choices: tuple[str, ...]) -> str:
    return f"Literal[{', '.join(map(_text, choices))}]"


def _decimal(kind: FieldType, aliases: dict[str, str]) -> str:
    limits = f"Field(max_digits={kind.digits}, decimal_places={kind.places})"
    name = f"Decimal{kind.digits}Scale{kind.places}"
    if isinstance(kind.mark, DecimalBytes):
        scale = "" if kind.mark.scale is None else kind.mark.scale
        name = f"{name}{'Bytes' if scale else 'Variable'}"
        return _named(aliases, name, f"Annotated[Decimal, {limits}, DecimalBytes({scale})]")
    return _named(aliases, name, f"Annotated[Decimal, {limits}]")


def _assignment(name: str, source: str) -> str:
    line = f"{name} = {source}"
    if len(line) <= _WIDTH:
        return line
    opening, _, inner = source.partition("[")
    parts = _split(inner[:-1])
    return "\n".join([f"{name} = {opening}[", *(f"    {part}," for part in parts), "]"])


def _split(inner: str) -> list[str]:
    """Return the members of a list in source text; those of calls and texts stay together."""
    parts, depth, quoted, start = [], 0, False, 0
    for at, character in enumerate(inner):
        if character == '"' and inner[at - 1] != "\\":
            quoted = not quoted
        elif not quoted:
            depth += (character in "([") - (character in ")]")
            if character == "," and not depth:
                parts.append(inner[start:at].strip())
                start = at + 1
    return [*parts, inner[start:].strip()]


def _entity(inferred: Inferred, name: str) -> Iterator[str]:
    yield f"{constant_name(name)} = Entity("
    yield f"    name={_text(name)},"
    yield f"    model={class_name(name)},"
    yield f"    id={_text(inferred.id)},"
    if inferred.metadata:
        yield from _argument("    ", "metadata", inferred.metadata)
    if inferred.key is not None:
        yield f"    key={_text(inferred.key)},"
    yield from _envelope(inferred.envelope)
    yield ")"


def _envelope(envelope: Envelope) -> Iterator[str]:
    given = [
        (each.name, getattr(envelope, each.name))
        for each in fields(envelope)
        if each.default is MISSING or getattr(envelope, each.name) != each.default
    ]
    kind = type(envelope).__name__
    if len(given) <= 1:
        inner = ", ".join(f"{name}={_literal(value)}" for name, value in given)
        yield f"    envelope={kind}({inner}),"
        return
    yield f"    envelope={kind}("
    for name, value in given:
        yield from _argument("        ", name, value)
    yield "    ),"


def _argument(indent: str, name: str, value: Any) -> Iterator[str]:
    """Return an argument on one line; of a long tuple each member on its own."""
    line = f"{indent}{name}={_literal(value)},"
    if len(line) <= _WIDTH or not isinstance(value, tuple):
        yield line
        return
    yield f"{indent}{name}=("
    yield from (f"{indent}    {_text(each)}," for each in value)
    yield f"{indent}),"


def _literal(value: Any) -> str:
    return _tuple(value) if isinstance(value, tuple) else _text(value)


def _tuple(values: tuple[str, ...]) -> str:
    inner = ", ".join(map(_text, values))
    return f"({inner},)" if len(values) == 1 else f"({inner})"


def _text(value: str) -> str:
    """Return a text as ruff writes it: in double quotes unless that needs more escapes."""
    plain = repr(value)
    if plain.startswith('"') or '"' in value:
        return plain
    return f'"{plain[1:-1]}"'
