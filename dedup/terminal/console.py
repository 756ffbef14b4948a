"""What commands print on stdout: rich's console."""

import sys
from typing import Final

from rich.console import Console

_UNBOUNDED: Final = 1_000_000


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Raise BrokenPipeError, as `click.echo` does."""
        raise BrokenPipeError


def console() -> Console:
    """Stdout; lines of a pipe are never broken, for other programs read them."""
    return _Console(width=None if sys.stdout.isatty() else _UNBOUNDED, highlight=False)
