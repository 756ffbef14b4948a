"""Loads a written module as Python would import it, and holds its entity against records."""

import importlib.util
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from dedup.core.codec import Codec
from dedup.core.dead_letter import DeadLetter
from dedup.core.entity import Entity
from dedup.inference.events import SampledRecord
from dedup.inference.infer import Inferred
from dedup.inference.module import constant_name, module_source


class Refusals(NamedTuple):
    """How many records an entity takes, and of the others the reason, the first and the text."""

    taken: int
    refused: Counter[str]
    first: dict[str, tuple[SampledRecord, str]]


class Written(NamedTuple):
    """The module of an inferred entity, and what its codec makes of the records."""

    source: str
    attribute: str
    refusals: Refusals


def written(inferred: Inferred, name: str, topic: str, records: list[SampledRecord]) -> Written:
    """Write the module of an inferred entity, import it, and hold it against the records."""
    source, attribute = module_source(inferred, name, topic), constant_name(name)
    with TemporaryDirectory(prefix="dedup-") as directory:
        path = Path(directory) / "written.py"
        path.write_text(source, "utf-8")
        entity = load_entity(path, attribute)
    return Written(source, attribute, refusals_of(entity, records))


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
