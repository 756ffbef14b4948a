"""Deduplicate product-change events on Kafka: `faust -A dedup worker`.

Importing the package loads nothing else: `app`, the Faust application configured from the
environment, is made when it is first asked for (PEP 562).
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dedup.streaming.application import DedupApp

    app: DedupApp

__all__ = ["__version__", "app"]

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    if name == "app":
        from dedup.streaming.worker import app  # noqa: PLC0415 - the point is to load Faust only now

        return app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
