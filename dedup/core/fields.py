"""A field of an entity: its kind, its default, and how pydantic and msgspec read it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final

import msgspec
from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from dedup.core.annotations import Annotation, Mark, read_annotation
from dedup.core.kinds import Form, Kind, UnsupportedTypeError, kind_of
from dedup.core.strict_json import read_json

_NULL: Final = b"null"
_annotated: Final[Any] = Annotated  # with metadata that is only known here


@dataclass(frozen=True)
class EntityField:
    """One field of an entity's model. `default` is in normal form; a required field has none."""

    name: str
    annotation: Annotation
    kind: Kind
    required: bool
    default: Any = None

    @property
    def nullable(self) -> bool:
        """Tell whether null is a value of it."""
        return self.annotation.nullable

    def marked(self, mark: Mark | None) -> "EntityField":
        """Return the field as it is when events carry it so; without a mark, as rows carry it."""
        limits = replace(self.annotation.limits, mark=mark)
        annotation = replace(self.annotation, limits=limits)
        return replace(self, annotation=annotation, kind=kind_of(annotation))

    def pydantic_type(self, *, null_is_default: bool = False) -> Any:
        """Return the type by which pydantic reads a value of the field."""
        kept = (*self.annotation.kept, *self.kind.constraints, BeforeValidator(self.kind.before))
        kind = _annotated[(self.annotation.type, *kept)]
        whole: Any = kind | None if self.nullable else kind
        if self.annotation.limits.null_is_default or (null_is_default and not self.required):
            return Annotated[whole, BeforeValidator(self._default_for_null)]
        return whole

    def normal(self, value: Any) -> Any:
        """Return the normal form of what pydantic read."""
        return None if value is None else self.kind.normal(value)

    def form(self, *, lenient: bool = False) -> Form:
        """Return how msgspec reads the field on the fast path.

        `lenient` takes more forms, such as decimals as JSON numbers, and takes longer for each.
        """
        form = (lenient and self.kind.lenient) or self.kind.form
        form = None if self.annotation.limits.opaque else form
        if form is None:
            return Form(msgspec.Raw, convert=self._through_pydantic())
        if not self.nullable:
            return form
        if form.type is msgspec.Raw:
            return replace(form, convert=_unless_null(form.convert))
        return replace(form, type=form.type | None, convert=_or_none(form.convert))

    def _default_for_null(self, value: object) -> object:
        return self.default if value is None and not self.nullable else value

    def _through_pydantic(self) -> Callable[[Any], Any]:
        validate = TypeAdapter[Any](self.pydantic_type()).validate_python
        return lambda raw: self.normal(validate(read_json(bytes(raw))))


def _or_none(function: Callable[[Any], Any] | None) -> Callable[[Any], Any] | None:
    if function is None:
        return None
    return lambda value: None if value is None else function(value)


def _unless_null(convert: Callable[[Any], Any] | None) -> Callable[[Any], Any]:
    if convert is None:
        raise AssertionError
    return lambda raw: None if bytes(raw) == _NULL else convert(raw)


def entity_field(name: str, info: FieldInfo, *, is_id: bool) -> EntityField:
    """Return a field of a model. Raises ValueError, with field and type, for what can't work."""
    if info.alias is not None or info.validation_alias is not None:
        raise ValueError(f"field {name}: an alias is not supported; name the field as events do")
    annotation = read_annotation(info)
    if is_id and annotation.type is str and not annotation.limits.min_length:
        annotation = replace(
            annotation,
            limits=replace(annotation.limits, min_length=1),
            kept=(*annotation.kept, Field(min_length=1)),
        )
    try:
        field = EntityField(name, annotation, kind_of(annotation), info.is_required())
    except UnsupportedTypeError as error:
        raise ValueError(f"field {name}: {error}") from None
    return field if field.required else replace(field, default=_default(field, info))


def _default(field: EntityField, info: FieldInfo) -> Any:
    if info.default_factory not in (None, list, dict):
        raise ValueError(f"field {field.name}: a default_factory is not supported; give a default")
    default = info.get_default(call_default_factory=True)
    unmarked = replace(field.annotation, limits=replace(field.annotation.limits, mark=None))
    as_in_rows = replace(field, annotation=unmarked, kind=kind_of(unmarked), required=True)
    plain = replace(unmarked, limits=replace(unmarked.limits, null_is_default=False))
    as_in_rows = replace(as_in_rows, annotation=plain)
    try:
        return as_in_rows.normal(
            TypeAdapter[Any](as_in_rows.pydantic_type()).validate_python(default)
        )
    except ValidationError as error:
        why = error.errors(include_url=False)[0]["msg"]
        raise ValueError(f"field {field.name}: its default does not fit its type: {why}") from None


def carried_field(field: EntityField, name: str) -> EntityField:
    """Return the field of an event that carries an earlier value of a field; it may lack it."""
    limits = replace(field.annotation.limits, null_is_default=False)
    annotation = replace(field.annotation, nullable=True, limits=limits)
    return replace(field, name=name, annotation=annotation, required=False, default=None)
