"""Stdout and stderr of a command, which no text and no reader makes fail.

A stream writes any text: what its encoding lacks stands as plain signs or as an escape. A pipe that
its reader has closed ends a command as the signal would, without a word.
"""

import codecs
import os
import sys
from typing import Final, NoReturn

import click

CLOSED_PIPE: Final = 141
"""The exit code of a command whose output nobody reads any more: 128 and SIGPIPE's number."""

_PLAIN: Final = {"→": "->", "✔": "ok", "✖": "!!", "…": "...", "·": "-", "•": "*"}
_ERRORS: Final = "dedup.plain"


def write_any_text() -> None:
    """Make stdout and stderr take every character, whatever their encoding is."""
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


def end_of_pipe() -> NoReturn:
    """End a command whose output nobody reads any more."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # what is left would be flushed at exit, and fail once more
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    raise click.exceptions.Exit(CLOSED_PIPE)
