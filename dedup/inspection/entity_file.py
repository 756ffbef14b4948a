"""Loads a written module as Python would import it, and holds its entity against records."""

import importlib.util
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from dedup.core.codec import Codec
from dedup.core.dead_letter import DeadLetter
from dedup.core.entity import Entity
from dedup.inference.events import SampledRecord


class Refusals(NamedTuple):
    """How many records an entity takes, and of the others the reason, the first and the text."""

    taken: int
    refused: Counter[str]
    first: dict[str, tuple[SampledRecord, str]]


def load_entity(path: Path, attribute: str) -> Entity:
    """Return the entity of a module in a file. Raises ValueError when it is none."""
    name = f"dedup_written_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ValueError(f"{path} is no file of Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # pydantic looks types up there
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules[name]
    entity = getattr(module, attribute, None)
    if not isinstance(entity, Entity):
        raise ValueError(f"{path} has no entity {attribute}")  # noqa: TRY004 - as of a bad model
    return entity


def refusals_of(entity: Entity, records: Iterable[SampledRecord]) -> Refusals:
    """Return which records the codec of an entity takes."""
    codec = Codec(entity)
    taken, refused = 0, Counter[str]()
    first: dict[str, tuple[SampledRecord, str]] = {}
    for record in records:
        said = codec.read(record.key, record.value)
        if isinstance(said, DeadLetter):
            refused[said.reason] += 1
            first.setdefault(said.reason, (record, said.message))
        else:
            taken += 1
    return Refusals(taken, refused, first)
