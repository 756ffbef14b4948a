"""The console of rich that commands print to."""

import sys
from typing import Final

from rich.console import Console

_UNBOUNDED: Final = 1_000_000


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Raise BrokenPipeError, as `click.echo` does."""
        raise BrokenPipeError


def console() -> Console:
    """Return a console on stdout; it never wraps lines for a pipe, as other programs read them."""
    return _Console(width=None if sys.stdout.isatty() else _UNBOUNDED, highlight=False)
