"""What an error of the state's database means: damage, a disk that can't be written, a lock."""

from pathlib import Path
from typing import Any, Final

from dedup.core.errors import ExplainedError


class StoreError(ExplainedError):
    """The data directory can't be used; the text names it and says what to do."""


class DamagedError(StoreError):
    """The database can't be trusted: it has to be deleted and rebuilt from the changelog."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(
            f"The state in {path} is damaged ({what}). Restart the worker: it rebuilds that "
            "state from the changelog topic. If it happens again, check the disk."
        )
        self.path = path
        self.what = what


_NOT_DAMAGE: Final = {
    "no space left": "Its disk is full: free some space, or set DEDUP_DATA_DIR to another disk.",
    "quota exceeded": "Its quota is used up: raise it, or set DEDUP_DATA_DIR to another disk.",
    "file too large": "A file may not grow further: raise the limit (ulimit -f) of the worker.",
    "read-only file system": "Its disk is read-only: mount it for writing, or set DEDUP_DATA_DIR.",
    "permission denied": "Give the worker's user write permission there, or set DEDUP_DATA_DIR.",
    "too many open files": "Raise the limit of open files (ulimit -n) of the worker.",
    "input/output error": "Its disk fails: set DEDUP_DATA_DIR to another one.",
}
"""Errors that are no sign of damage, and what to do."""


def explain(path: Path, error: Any) -> StoreError:
    """Return what an error means for the state in a directory."""
    text = " ".join(str(error).split())
    lower = text.lower()
    for sign, cure in _NOT_DAMAGE.items():
        if sign in lower:
            return StoreError(
                f"The state in {path} can't be used ({text}). {cure} Nothing is lost: "
                "restart the worker, it continues from there."
            )
    if "while lock file" in lower or "lock hold" in lower:
        return StoreError(
            f"The state in {path} is locked by another process. Each worker needs a data directory "
            "of its own: set DEDUP_DATA_DIR."
        )
    return DamagedError(path, text)
