"""Deduplicate product-change events on Kafka: `faust -A dedup worker`.

Importing the package loads nothing else (PEP 562): `app`, the Faust application configured from
the environment, is made when it is first asked for, and so are the names that describe an entity.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dedup.core.annotations import DecimalBytes, Epoch, EpochDays, JsonText, NullAsDefault
    from dedup.core.entity import Debezium, Entity, Flat, Wrapped
    from dedup.streaming.application import DedupApp

    app: DedupApp

__all__ = [
    "Debezium",
    "DecimalBytes",
    "Entity",
    "Epoch",
    "EpochDays",
    "Flat",
    "JsonText",
    "NullAsDefault",
    "Wrapped",
    "__version__",
    "app",
]

__version__ = "0.1.0"

_MODULES = {
    "dedup.core.annotations": ("DecimalBytes", "Epoch", "EpochDays", "JsonText", "NullAsDefault"),
    "dedup.core.entity": ("Debezium", "Entity", "Flat", "Wrapped"),
}


def __getattr__(name: str) -> object:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(module), name)
    if name == "app":
        from dedup.streaming.worker import app  # noqa: PLC0415 - the point is to load Faust only now

        return app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
