"""Makes stdout and stderr accept any text, and exits quietly when a pipe is closed.

Characters that the encoding of a stream lacks are replaced by ASCII or escapes. When the reader of
a pipe closes it, the command exits as if by SIGPIPE, without a message.
"""

import codecs
import os
import sys
from typing import Final, NoReturn

import click

CLOSED_PIPE: Final = 141
"""The exit code after the reader closed the pipe: 128 and the number of SIGPIPE."""

_PLAIN: Final = {"→": "->", "✔": "ok", "✖": "!!", "…": "...", "·": "-", "•": "*"}
_ERRORS: Final = "dedup.plain"


def write_any_text() -> None:
    """Make stdout and stderr accept every character, whatever their encoding is."""
    codecs.register_error(_ERRORS, _plain)
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors=_ERRORS)


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    text = "".join(_PLAIN.get(c, c.encode("ascii", "backslashreplace").decode()) for c in lacking)
    return text, error.end


def exit_on_closed_pipe() -> NoReturn:
    """Exit after the reader of stdout or stderr has closed it."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # the rest would be flushed at exit, and fail again
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    raise click.exceptions.Exit(CLOSED_PIPE)
