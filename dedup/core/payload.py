"""The fields of a row inside an event or a row: read by msgspec, or by pydantic."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import UNSET
from pydantic import BaseModel, ConfigDict, create_model

from dedup.core.canonical_json import canonical_json
from dedup.core.dead_letter import DeadLetter
from dedup.core.entity import Entity
from dedup.core.faults import invalid
from dedup.core.fields import EntityField
from dedup.core.kinds import Form
from dedup.core.wire_forms import is_in_utc


class PlainPayload:
    """The fast path of the fields: a msgspec type, and what makes its values normal.

    An event that lacks a field is not plain, unless the field has a default and `defaults` says
    that it counts. `lenient` takes more forms, such as decimals as JSON numbers. `more` names
    members that the reader sets: with those of its row, a payload is that row.
    """

    def __init__(
        self,
        fields: Sequence[EntityField],
        *,
        lenient: bool = False,
        defaults: bool = False,
        more: Sequence[str] = (),
    ) -> None:
        forms = [(field, field.form(lenient=lenient)) for field in fields]
        self.forms: Final = forms
        members: list[Any] = [
            (field.name, form.type, field.default if form.convert is None else ABSENT)
            if defaults and not field.required
            else (field.name, form.type)
            for field, form in forms
        ]
        members += [(name, Any, None) for name in more]
        self.type = msgspec.defstruct("Payload", members, gc=False, kw_only=True)
        self.parts: Final = _parts(forms)
        """How a value is made normal: the times, the tests and the conversions of its fields."""
        self.normalise: Final = _normaliser(self.parts)
        """Brings what msgspec read into normal form; False, or ValueError, when it is not plain."""


class Parts(NamedTuple):
    """What makes the fields of a payload normal."""

    times_of: Callable[[Any], tuple[Any, ...]]
    tests: Sequence[tuple[Callable[[Any], object], Callable[[Any], tuple[Any, ...]]]]
    """Tests, and the function to the values that each is for."""

    converters: Sequence[tuple[str, Callable[[Any], Any], Any]]
    """The name of a field, the function to its normal form, and its default."""


def _parts(forms: Sequence[tuple[EntityField, Form]]) -> Parts:
    times_of = values_of([field.name for field, form in forms if form.plain is is_in_utc])
    named: dict[Callable[[Any], object], list[str]] = {}  # fields with one test share a loop
    for field, form in forms:
        if form.plain is not None and form.plain is not is_in_utc:
            named.setdefault(form.plain, []).append(field.name)
    tests = [(is_plain, values_of(names)) for is_plain, names in named.items()]
    converters = [(f.name, form.convert, f.default) for f, form in forms if form.convert]
    return Parts(times_of, tests, converters)


def _normaliser(parts: Parts) -> Callable[[Any], bool]:
    """Return the function that brings what msgspec read into normal form.

    A closure: the names of a function are found faster than the attributes of an object.
    """
    times_of, tests, converters = parts

    def normalise(payload: Any) -> bool:
        for time in times_of(payload):  # the commonest test, so it is spelled out here
            if time is not None and time.tzinfo is not UTC:
                return False
        for is_plain, tested_of in tests:
            for value in tested_of(payload):
                if value is not None and not is_plain(value):
                    return False
        for name, convert, default in converters:
            value = getattr(payload, name)
            setattr(payload, name, default if value is ABSENT else convert(value))
        return True

    return normalise


def values_of(names: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    """Return the function to the members of these names, as a tuple however many they are."""
    if len(names) > 1:
        return attrgetter(*names)
    if not names:
        return lambda _payload: ()
    get = attrgetter(names[0])
    return lambda payload: (get(payload),)


ABSENT: Final = msgspec.Raw(b"")
"""Stands where a field is absent whose values are converted."""


class PydanticPayload:
    """The fields as pydantic reads them: a model that mirrors the entity's, without its methods."""

    def __init__(
        self,
        entity: Entity,
        *,
        partial: bool,
        keep_unknown: bool,
        fields: Sequence[EntityField] | None = None,
        null_is_default: bool = False,
        more: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        self.fields: Final = entity.fields if fields is None else tuple(fields)
        fields = self.fields
        types = [f.pydantic_type(null_is_default=null_is_default) for f in fields]
        named: Any = {
            field.name: (type_, ... if _is_required(field, entity, partial=partial) else None)
            for field, type_ in zip(fields, types, strict=True)
        }
        self.model: type[BaseModel] = create_model(
            f"{'Partial' if partial else ''}{entity.model.__name__}",
            __config__=ConfigDict(extra="allow" if keep_unknown else "ignore"),
            **named,
            **more,
        )

    def values(self, read: BaseModel) -> tuple[Any, ...]:
        """Return the values in normal form, UNSET for what was not there."""
        given = read.model_fields_set
        return tuple(
            field.normal(getattr(read, field.name)) if field.name in given else UNSET
            for field in self.fields
        )

    def unknown_fields(
        self, read: BaseModel, taken: Sequence[str]
    ) -> dict[str, msgspec.Raw] | DeadLetter:
        """Return what the model does not name, as canonical JSON; but not names that are taken."""
        unknown: Mapping[str, Any] = read.model_extra or {}
        try:
            return {
                name: msgspec.Raw(canonical_json(value))
                for name, value in sorted(unknown.items())
                if name not in taken and canonical_json(name)
            }
        except ValueError as error:
            return invalid(f"a field that the model does not name has no plain form: {error}")


def _is_required(field: EntityField, entity: Entity, *, partial: bool) -> bool:
    return field.name == entity.id or (field.required and not partial)


def completed(
    fields: Sequence[EntityField], values: Sequence[Any], known: Sequence[Any] | None
) -> tuple[Any, ...]:
    """Return values with those of a known row, or the defaults, where they are UNSET."""
    rest = [field.default for field in fields] if known is None else known
    return tuple(r if v is UNSET else v for v, r in zip(values, rest, strict=True))
