"""What a field of an entity's model says of itself: its type, its limits and its marks."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import StringConstraints
from pydantic.fields import FieldInfo

EpochUnit = Literal["s", "ms", "us", "ns"]


@dataclass(frozen=True)
class Epoch:
    """Marks a time that events carry as an integer since the epoch: `Annotated[datetime, Epoch("ms")]`."""  # noqa: E501 - the example is one

    unit: EpochUnit


@dataclass(frozen=True)
class EpochDays:
    """Marks a date that events carry as days since 1970-01-01, as Debezium sends it."""


@dataclass(frozen=True)
class DecimalBytes:
    """Marks a decimal that events carry as base64 of its unscaled bytes, as Kafka Connect does.

    Without a scale each value has its own: `{"scale":2,"value":"BNI="}`.
    """

    scale: int | None = None


@dataclass(frozen=True)
class JsonText:
    """Marks a JSON field that events carry as text, as Debezium sends `json` and `jsonb`."""


@dataclass(frozen=True)
class NullAsDefault:
    """Marks a field whose null in an event means its default."""


Mark = Epoch | EpochDays | DecimalBytes | JsonText
_MARKS: Final = (Epoch, EpochDays, DecimalBytes, JsonText)


@dataclass(frozen=True)
class Limits:
    """What a model says of the values of a field. `opaque`: only pydantic can tell what fits."""

    ge: Any = None
    le: Any = None
    min_length: int | None = None
    max_length: int | None = None
    max_digits: int | None = None
    decimal_places: int | None = None
    mark: Mark | None = None
    null_is_default: bool = False
    opaque: bool = False


@dataclass(frozen=True)
class Annotation:
    """A field's type without `None` and `Annotated`, and what stood in them."""

    type: Any
    nullable: bool
    limits: Limits
    kept: tuple[Any, ...] = field(default=())
    """What pydantic is to check: everything that is no mark of ours."""


def read_annotation(info: FieldInfo) -> Annotation:
    """Return what a field of a pydantic model says of its values."""
    metadata: list[Any] = list(info.metadata)
    base, nullable = _unwrap(info.annotation, metadata)
    limits = Limits()
    kept = []
    for item in metadata:
        if isinstance(item, _MARKS):
            limits = replace(limits, mark=item)
        elif isinstance(item, NullAsDefault):
            limits = replace(limits, null_is_default=True)
        else:
            kept.append(item)
            limits = _limited(limits, item, base)
    return Annotation(base, nullable, limits, tuple(kept))


def _unwrap(annotation: Any, metadata: list[Any]) -> tuple[Any, bool]:
    """Return a type without `Annotated` and `None`, and collect the metadata on the way."""
    nullable = False
    while True:
        origin = get_origin(annotation)
        if origin is Annotated:
            annotation, *found = get_args(annotation)
            for item in found:
                metadata.extend(item.metadata if isinstance(item, FieldInfo) else [item])
        elif origin in (Union, UnionType):
            some = [each for each in get_args(annotation) if each is not NoneType]
            nullable = len(some) < len(get_args(annotation))
            if len(some) != 1 or not nullable:
                return annotation, nullable
            annotation = some[0]
        else:
            return annotation, nullable


def _limited(limits: Limits, item: Any, base: Any) -> Limits:
    """Return the limits with those of one piece of metadata."""
    said = _said(item, base)
    if said is None:
        return replace(limits, opaque=True)
    ours = {name: value for name, value in said.items() if name in _NAMES}
    return replace(limits, **ours, opaque=limits.opaque or len(ours) < len(said))


_NAMES: Final = {each.name for each in fields(Limits)}


def _said(item: Any, base: Any) -> dict[str, Any] | None:
    """Return what a constraint says, by the names of `Limits`; None for one that has none."""
    match item:
        case annotated_types.Gt(gt=int(bound)) if base is int:
            return {"ge": bound + 1}
        case annotated_types.Lt(lt=int(bound)) if base is int:
            return {"le": bound - 1}
        case annotated_types.Ge() | annotated_types.Le():
            return _set(item)
        case annotated_types.MinLen() | annotated_types.MaxLen() | StringConstraints():
            return _set(item)
    return _set(item) if type(item).__name__ == "_PydanticGeneralMetadata" else None


def _set(item: Any) -> dict[str, Any]:
    """Return what is set of a constraint."""
    names = getattr(item, "__dict__", None) or {n: getattr(item, n) for n in item.__slots__}
    return {name: value for name, value in names.items() if value is not None}


def listed(names: Sequence[str]) -> str:
    """Return names as a list in a text."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
