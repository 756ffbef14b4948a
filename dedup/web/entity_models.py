"""The models of the API for an entity, built once, when the worker starts.

A model whose words, types or members depend on the entity is replaced by a subclass, in which they
are filled in: for orders `EntityLine.id` is `OrderLine.order_id` in JSON and in its schema.
"""

from functools import lru_cache, reduce
from operator import or_
from types import UnionType
from typing import Annotated, Any, Final, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from pydantic import Field, create_model

from dedup.core.entity import Entity
from dedup.web.models import ID, VALUE, ApiModel

Model = TypeVar("Model", bound=ApiModel)


class Wording:
    """The words of an entity, for texts with `{name}`, `{names}` and the like."""

    def __init__(self, entity: Entity) -> None:
        name, names = entity.name.replace("_", " "), entity.plural.replace("_", " ")
        article = "an" if name[0] in "aeio" else "a"
        self.words: Final = {
            "id": entity.id,
            "name": name,
            "names": names,
            "Name": capitalised(name),
            "Names": capitalised(names),
            "a_name": f"{article} {name}",
            "A_name": f"{article.capitalize()} {name}",
            "output": f"src_{entity.plural}",
        }

    def fill(self, text: str) -> str:
        """Return a text with the entity's words in place of their names in braces."""
        for name, word in self.words.items():
            text = text.replace(f"{{{name}}}", word)
        return text


def capitalised(text: str) -> str:
    """Return a text with its first letter as a capital one."""
    return text[:1].upper() + text[1:]


@lru_cache
def models_of(entity: Entity) -> "EntityModels":
    """Return the models of an entity, which are built once."""
    return EntityModels(entity)


class EntityModels:
    """The models of the API for one entity."""

    def __init__(self, entity: Entity) -> None:
        self.entity: Final = entity
        self.wording: Final = Wording(entity)
        self._prefix: Final = "".join(map(capitalised, entity.name.split("_")))
        self._names: Final = {"id": entity.id, "rows": entity.plural}
        has_booleans = any(field.kind.name == "boolean" for field in entity.fields)
        self._types: Final[dict[str, Any]] = {
            ID: int if entity.fields[0].kind.name == "integer" else str,
            VALUE: str | int | bool | None if has_booleans else str | int | None,
        }
        self._made: Final[dict[type[ApiModel], type[ApiModel]]] = {}

    def of(self, model: type[Model]) -> type[Model]:
        """Return a model for the entity; the model itself if nothing in it depends on that."""
        if model not in self._made:
            self._made[model] = self._derived(model)
        return cast("type[Model]", self._made[model])

    def _derived(self, model: type[Model]) -> type[Model]:
        hints = get_type_hints(model, include_extras=True)
        types = {name: self._type(hints[name]) for name in model.model_fields}
        title = model.__name__.replace("Entity", self._prefix)
        texts = [model.__doc__ or "", *(f.description or "" for f in model.model_fields.values())]
        same = (
            all(types[name] is hints[name] for name in types)
            and not types.keys() & self._names.keys()
            and all(self.wording.fill(text) == text for text in texts)
        )
        if same and title == model.__name__:
            return model
        fields: dict[str, Any] = {name: (types[name], self._field(model, name)) for name in types}
        return create_model(title, __base__=model, __doc__=self.wording.fill(texts[0]), **fields)

    def _field(self, model: type[ApiModel], name: str) -> Any:
        """Return the field of a member, with its name in JSON: its own if another has that."""
        info = model.model_fields[name]
        options: dict[str, Any] = {}
        if info.description is not None:
            options["description"] = self.wording.fill(info.description)
        alias = self._names.get(name)
        if alias is not None and alias not in model.model_fields:
            options["alias"] = alias
        return Field(info.default, **options)

    def _type(self, hint: Any) -> Any:
        """Return a type with what is of the entity in it; the same object if there is nothing."""
        if isinstance(hint, type) and issubclass(hint, ApiModel):
            return self.of(hint)
        origin, parts = get_origin(hint), get_args(hint)
        if origin is Annotated:
            mark = next((each for each in parts[1:] if isinstance(each, str)), None)
            return hint if mark is None else self._types[mark]
        filled = [self._type(part) for part in parts]
        if all(new is old for new, old in zip(filled, parts, strict=True)):
            return hint
        if origin in (Union, UnionType):
            return reduce(or_, filled)
        return origin[tuple(filled)]
