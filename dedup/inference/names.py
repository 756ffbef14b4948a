"""Names: of an entity by its topic, and of fields that a model can have."""

import keyword
import re
import unicodedata
from collections.abc import Sequence
from typing import Final

from pydantic import BaseModel

IMPORTED: Final = frozenset(
    {
        "Annotated",
        "Any",
        "Debezium",
        "Decimal",
        "DecimalBytes",
        "Entity",
        "Epoch",
        "EpochDays",
        "Field",
        "Flat",
        "Literal",
        "UUID",
        "Wrapped",
        "BaseModel",
        "bool",
        "dict",
        "dt",
        "int",
        "list",
        "str",
    }
)
"""What a written module uses; a field of such a name would hide it."""

_PROVENANCE: Final = ("last_event_id", "last_action", "last_event_timestamp", "processing_time")
_LONGEST_NAME: Final = 40
_OTHER_CHARACTERS: Final = re.compile(r"[^a-z0-9]+")


def unusable(name: str, carries: Sequence[str]) -> str | None:
    """Return why a model can't have a field of this name; None when it can."""
    is_of_pydantic = hasattr(BaseModel, name) or name.startswith(("model_validate", "model_dump"))
    of_the_row = {*_PROVENANCE, *(f"last_{each}" for each in carries)}
    faults = {
        "not a name that Python accepts": not name.isidentifier() or keyword.iskeyword(name),
        "Python reads the name as another one": unicodedata.normalize("NFKC", name) != name,
        "pydantic takes names with a leading underscore for private": name.startswith("_"),
        "pydantic has an attribute of this name": is_of_pydantic,
        "the name is that of a type in the module": name in IMPORTED,
        "the row has a field of this name of its own": name in of_the_row,
    }
    return next((why for why, is_so in faults.items() if is_so), None)


def entity_name(topic: str) -> str:
    """Return the name of an entity by its topic: `order` for `shop.public.Orders`."""
    last = topic.rstrip(".").rpartition(".")[2]
    name = _OTHER_CHARACTERS.sub("_", last.lower()).strip("_").lstrip("0123456789_")
    if name.endswith("ies"):
        name = f"{name[:-3]}y"
    elif name.endswith("s") and not name.endswith("ss"):
        name = name[:-1]
    return name[:_LONGEST_NAME].strip("_") or "row"
