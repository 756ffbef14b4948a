"""Finds the entity that `DEDUP_ENTITY` names, as Faust finds the app that `-A` names."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Final, TypeVar

from dedup.core.entity import Entity

DEFAULT: Final = "dedup.entities.product:PRODUCT"
_SETTING: Final = "DEDUP_ENTITY"

T = TypeVar("T")


@lru_cache
def resolve_entity(name: str) -> Entity:
    """Return the entity of `module:ATTRIBUTE`, or of `module` if it has one entity.

    The current directory is searched for the module too, before the installed packages. Raises
    ValueError, which names the setting, what is wrong and what is expected.
    """
    return resolve(name, _SETTING, Entity)


def resolve(name: str, setting: str, kind: type[T]) -> T:
    """Return the value of a kind that a setting names, as `resolve_entity` does for entities."""
    module_name, _, attribute = name.partition(":")
    try:
        module = _imported(module_name)
        if attribute:
            return _of_kind(getattr(module, attribute, None), attribute, module_name, kind)
        found = [each for each in vars(module).values() if isinstance(each, kind)]
        if len(found) != 1:
            many = f"{len(found)} of {kind.__name__}"
            raise ValueError(f"{module_name} has {many}: name one after a colon")  # noqa: TRY301
    except ValueError as error:
        raise ValueError(f"{setting}={name} is not accepted: {error}") from error.__cause__
    return found[0]


def _of_kind(found: object, attribute: str, module_name: str, kind: type[T]) -> T:
    if not isinstance(found, kind):
        why = f"{module_name} has no {attribute}" if found is None else f"{attribute} is none"
        article = "an" if kind.__name__[0] in "AEIOU" else "a"
        raise ValueError(f"{why}; {article} {kind.__name__} is expected")  # noqa: TRY004 - as the others
    return found


def _imported(module_name: str) -> ModuleType:
    if not all(part.isidentifier() for part in module_name.split(".")):
        raise ValueError("it is no name of a module, such as shop.orders:ORDER")
    with _current_directory_first():
        try:
            return importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            raise ValueError(_why_not_found(module_name, error)) from None
        except Exception as error:  # whatever a user's module raises
            raise ValueError(f"importing it failed: {_told(error)}") from error


@contextmanager
def _current_directory_first() -> Iterator[None]:
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        sys.path.remove(here)


def _told(error: Exception) -> str:
    return str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"


def _why_not_found(module_name: str, error: ModuleNotFoundError) -> str:
    if error.name is not None and not f"{module_name}.".startswith(f"{error.name}."):
        return f"importing it failed: {error}"
    return f"there is no module {module_name}, neither in {Path.cwd()} nor installed"
