"""The Python module of an inferred entity: importable, typed, and formatted."""

from collections.abc import Iterator
from dataclasses import MISSING, fields
from typing import Any, Final

from dedup.core.entity import Envelope
from dedup.inference.infer import Inferred, InferredField
from dedup.inference.names import IMPORTED
from dedup.inference.type_names import WIDTH, TypeNames, text_source

_LONGEST_SHOWN: Final = 45
_MIXED_CASE: Final = "# ruff: noqa: N815 - the fields have the names that events give them\n"


def module_source(inferred: Inferred, name: str, topic: str) -> str:
    """Return the source of a module with the model and the entity, in the format of ruff."""
    taken = {field.name for field in inferred.fields} | {constant_name(name)}
    types = TypeNames(class_name(name), taken)
    lines = [_field(field, types) for field in inferred.fields]
    uses = "\n".join([*types.sources(), *lines])
    mixed = [_MIXED_CASE] if any(map(_is_mixed, inferred.fields)) else []
    parts = [
        f'"""The events of {_said(topic)}, as dedup reads them."""',
        "",
        *mixed,
        *_imports(inferred, uses),
        "",
    ]
    assignments = list(types.assignments())
    parts += [*assignments, *([""] if assignments else [])]
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
    """Return the topic for a docstring, which is one line."""
    return f"the topic {topic}" if len(topic) <= _LONGEST_SHOWN else "a topic"


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


def _field(field: InferredField, types: TypeNames) -> str:
    null = " | None" if field.nullable else ""
    default = " = None" if field.has_default else ""
    return f"    {field.name}: {types.name_of(field.name, field.type)}{null}{default}"


def _entity(inferred: Inferred, name: str) -> Iterator[str]:
    yield f"{constant_name(name)} = Entity("
    yield f"    name={text_source(name)},"
    yield f"    model={class_name(name)},"
    yield f"    id={text_source(inferred.id)},"
    if inferred.metadata:
        yield from _argument("    ", "metadata", inferred.metadata)
    if inferred.key is not None:
        yield f"    key={text_source(inferred.key)},"
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
    if len(line) <= WIDTH or not isinstance(value, tuple):
        yield line
        return
    yield f"{indent}{name}=("
    yield from (f"{indent}    {text_source(each)}," for each in value)
    yield f"{indent}),"


def _literal(value: Any) -> str:
    return _tuple(value) if isinstance(value, tuple) else text_source(value)


def _tuple(values: tuple[str, ...]) -> str:
    inner = ", ".join(map(text_source, values))
    return f"({inner},)" if len(values) == 1 else f"({inner})"
