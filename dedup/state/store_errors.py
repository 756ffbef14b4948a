"""What an error of the state's database means: damage, a disk that does not let us, a lock."""

from pathlib import Path
from typing import Any, Final

from dedup.core.errors import ExplainedError


class StoreError(ExplainedError):
    """The data directory can't be used; the text says which and what to do."""


class DamagedError(StoreError):
    """The database can't be trusted: it has to be thrown away and rebuilt from the changelog."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(
            f"The state in {path} is damaged ({what}). Start the worker again: it rebuilds that "
            "state from the changelog topic. If it happens again, look after the disk."
        )
        self.path = path
        self.what = what


_NOT_DAMAGE: Final = {
    "no space left": "Its disk is full: free some space, or set DEDUP_DATA_DIR to another disk.",
    "quota exceeded": "Its quota is used up: raise it, or set DEDUP_DATA_DIR to another disk.",
    "file too large": "A file may not grow further: raise the limit (ulimit -f) of the worker.",
    "read-only file system": "Its disk is read-only: mount it for writing, or set DEDUP_DATA_DIR.",
    "permission denied": "Give the worker's user the right to write there, or set DEDUP_DATA_DIR.",
    "too many open files": "Raise the limit of open files (ulimit -n) of the worker.",
    "input/output error": "Its disk fails: set DEDUP_DATA_DIR to another one.",
}
"""Texts of errors that say nothing against the database, and what to do."""


def explain(path: Path, error: Any) -> StoreError:
    """Say what an error means for the state in a directory."""
    text = " ".join(str(error).split())
    lower = text.lower()
    for sign, cure in _NOT_DAMAGE.items():
        if sign in lower:
            return StoreError(
                f"The state in {path} can't be used ({text}). {cure} Nothing is lost: a worker "
                "that starts again goes on from there."
            )
    if "while lock file" in lower or "lock hold" in lower:
        return StoreError(
            f"The state in {path} is locked by another process. Each worker needs a data directory "
            "of its own: set DEDUP_DATA_DIR."
        )
    return DamagedError(path, text)
