"""The fields of a row inside an event or a row: read by msgspec, or by pydantic."""

from collections.abc import Mapping, Sequence
from datetime import UTC
from types import MappingProxyType
from typing import Any, Final

import msgspec
from msgspec import UNSET
from msgspec.structs import astuple
from pydantic import BaseModel, ConfigDict, create_model

from dedup.core.canonical_json import canonical_json
from dedup.core.dead_letter import DeadLetter
from dedup.core.entity import Entity
from dedup.core.faults import invalid
from dedup.core.fields import EntityField
from dedup.core.wire_forms import is_in_utc


class PlainPayload:
    """The fast path of the fields: a msgspec type, and what makes its values normal.

    An event that lacks a field is not plain, unless the field has a default and `defaults` says
    that it counts. `lenient` takes more forms, such as decimals as JSON numbers.
    """

    def __init__(
        self, fields: Sequence[EntityField], *, lenient: bool = False, defaults: bool = False
    ) -> None:
        forms = [(field, field.form(lenient=lenient)) for field in fields]
        members: list[Any] = [
            (field.name, form.type, field.default if form.convert is None else _ABSENT)
            if defaults and not field.required
            else (field.name, form.type)
            for field, form in forms
        ]
        self.type = msgspec.defstruct("Payload", members, gc=False, kw_only=True)
        indexed = list(enumerate(form for _, form in forms))
        self._times: Final = [i for i, f in indexed if f.plain is is_in_utc]
        self._tests: Final = [
            (i, f.plain) for i, f in indexed if f.plain is not None and f.plain is not is_in_utc
        ]
        self._converters: Final = [(i, f.convert) for i, f in indexed if f.convert is not None]
        self._defaults: Final = {i: f.default for i, (f, _) in enumerate(forms) if defaults}

    def normal(self, payload: Any) -> list[Any] | None:
        """Return a payload's values in normal form; None, or ValueError, when not plain."""
        return self.in_normal_form(list(astuple(payload)))

    def in_normal_form(self, values: list[Any]) -> list[Any] | None:
        """Return values that msgspec read in normal form; None, or ValueError, when not plain."""
        for index in self._times:  # the commonest test, so it is spelled out here
            value = values[index]
            if value is not None and value.tzinfo is not UTC:
                return None
        for index, is_plain in self._tests:
            value = values[index]
            if value is not None and not is_plain(value):
                return None
        for index, convert in self._converters:
            value = values[index]
            values[index] = self._defaults[index] if value is _ABSENT else convert(value)
        return values


_ABSENT: Final = msgspec.Raw(b"")
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
