"""Finds the entity that `DEDUP_ENTITY` names, as Faust finds the app that `-A` names."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Final

from dedup.core.entity import Entity

DEFAULT: Final = "dedup.entities.product:PRODUCT"
_SETTING: Final = "DEDUP_ENTITY"


@lru_cache
def resolve_entity(name: str) -> Entity:
    """Return the entity of `module:ATTRIBUTE`, or of `module` if it has one entity.

    The current directory is searched for the module too, before the installed packages. Raises
    ValueError, which names the setting, what is wrong and what is expected.
    """
    module_name, _, attribute = name.partition(":")
    if not all(part.isidentifier() for part in module_name.split(".")):
        raise ValueError(_refusal(name, "it is no name of a module, such as shop.orders:ORDER"))
    with _current_directory_first():
        try:
            module = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            raise ValueError(_refusal(name, _why_not_found(module_name, error))) from None
        except Exception as error:  # whatever a user's module raises
            raise ValueError(_refusal(name, f"importing it failed: {_told(error)}")) from error
    if attribute:
        found = getattr(module, attribute, None)
        if not isinstance(found, Entity):
            why = f"{module_name} has no {attribute}" if found is None else f"{attribute} is none"
            raise ValueError(_refusal(name, f"{why}; an Entity is expected"))
        return found
    entities = [each for each in vars(module).values() if isinstance(each, Entity)]
    if len(entities) != 1:
        raise ValueError(
            _refusal(name, f"{module_name} has {len(entities)} entities: name one after a colon")
        )
    return entities[0]


@contextmanager
def _current_directory_first() -> Iterator[None]:
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        sys.path.remove(here)


def _refusal(name: str, why: str) -> str:
    return f"{_SETTING}={name} is not accepted: {why}"


def _told(error: Exception) -> str:
    return str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"


def _why_not_found(module_name: str, error: ModuleNotFoundError) -> str:
    if error.name is not None and not f"{module_name}.".startswith(f"{error.name}."):
        return f"importing it failed: {error}"
    return f"there is no module {module_name}, neither in {Path.cwd()} nor installed"
