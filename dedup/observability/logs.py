"""The form of log lines, and the configuration of a process's log."""

import atexit
import io
import json
import logging
import logging.config
import sys
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, TextIO

from dedup.observability.outages import RepeatFilter

_CHATTY: Final = ("mode.timers", "aiokafka.consumer.subscription_state")
"""Loggers of libraries that repeat themselves in normal operation."""


_logger: Final = logging.getLogger(__name__)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message and, where there is one, the error."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def logging_config(
    *, as_json: bool, level: int = logging.INFO, libraries: int = logging.INFO
) -> dict[str, Any]:
    """Return the configuration of a process's log, for `logging.config.dictConfig`.

    `level` is that of our own lines; below INFO it is not that of the libraries: what aiokafka logs
    at DEBUG includes the credentials it sends.
    """
    formatter: dict[str, Any] = {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}
    if as_json:
        formatter = {"()": JsonFormatter}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"default": formatter},
        "filters": {"repeats": {"()": RepeatFilter}},
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "formatter": "default",
                "filters": ["repeats"],
                "level": level,
                "stream": "ext://sys.__stderr__",
            }
        },
        "loggers": {name: {"level": "WARNING"} for name in _CHATTY} | {"dedup": {"level": level}},
        "root": {"handlers": ["stderr"], "level": libraries},
    }


def log_to_stderr(*, as_json: bool = False) -> None:
    """Log to stderr while a command runs: our own lines, and the libraries' warnings."""
    logging.config.dictConfig(logging_config(as_json=as_json, libraries=logging.WARNING))


def silence_client() -> None:
    """Keep the client's log off stderr, unless `log_to_stderr` asks for it.

    For commands: they say themselves, in one line, what went wrong.
    """
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())


class JsonLines(io.TextIOBase):
    """A text stream that makes a JSON object of each line: for what is written past the log."""

    def __init__(self, out: TextIO, name: str, level: int) -> None:
        self._out = out
        self._name = name
        self._level = level
        self._partial = ""

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, text: str) -> int:
        """Write the lines that are complete; keep what is not."""
        *lines, self._partial = (self._partial + text).split("\n")
        for line in filter(str.strip, lines):
            record = logging.LogRecord(self._name, self._level, "", 0, line, None, None)
            self._out.write(JsonFormatter().format(record) + "\n")
        self._out.flush()
        return len(text)

    def finish(self) -> None:
        """Write the last line if it is not complete."""
        if self._partial:
            self.write("\n")


def write_only_json() -> None:
    """Make every line of this process JSON, from now on: errors, warnings and prints too."""
    logging.config.dictConfig(logging_config(as_json=True))
    logging.captureWarnings(capture=True)
    sys.excepthook = _log_uncaught
    for name, level in (("stdout", logging.INFO), ("stderr", logging.ERROR)):
        stream = JsonLines(getattr(sys, f"__{name}__"), name, level)
        setattr(sys, name, stream)
        atexit.register(stream.finish)


def _log_uncaught(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    _logger.critical("The process ends because of %r", error, exc_info=(kind, error, traceback))
