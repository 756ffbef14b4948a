"""What commands print on stdout: rich's console, and texts that do nothing to a terminal."""

import sys
from typing import Final

from rich.console import Console

from dedup.letter import printable

_UNBOUNDED: Final = 1_000_000


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Raise BrokenPipeError, as `click.echo` does."""
        raise BrokenPipeError


def console() -> Console:
    """Stdout; lines of a pipe are never broken, for other programs read them."""
    return _Console(width=None if sys.stdout.isatty() else _UNBOUNDED, highlight=False)


def harmless(value: object) -> str:
    """Give the text of a value that came with an event; what a terminal would obey is escaped."""
    return "-" if value is None else printable(str(value).encode("utf-8", "backslashreplace"))
