"""Limits repeated log lines: those of an outage of the brokers, and those that libraries repeat.

aiokafka logs each failed attempt of each client, Faust each round of a check. `RepeatFilter` is a
filter for a log handler. It logs an outage when it starts, then every minute, then its end, and
shows a repeated line once a minute, with a count. A new line is always shown.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from time import monotonic, time
from typing import Final

from dedup.kafka.broker_errors import is_outage
from dedup.kafka.reconnecting import brokers

AGAIN_EVERY_S: Final = 60.0
"""How often an outage that lasts is logged again."""

PASSES_WITHIN_S: Final = 1.0
"""A shorter failure is no outage: a coordinator that moves, a connection that is renewed."""

IN_PART_PASSES_WITHIN_S: Final = 10.0
"""The same while other brokers answer: one restarts, and what it led moves to others."""

OVER_AFTER_S: Final = 3.0
"""How long brokers must have answered without a failure for an outage to be over."""

_TICK_S: Final = 0.5
_REMEMBERED: Final = 1_000
"""How many different lines are remembered at most."""

_LIBRARIES: Final = ("aiokafka", "faust", "mode", "kafka")
_CLIENT: Final = ("aiokafka", "asyncio")
"""Loggers of the client, and of tasks of it whose error nobody retrieved."""

_ORDINARY: Final = (
    "Heartbeat failed for group %s because it is rebalancing",
    "Heartbeat failed for group %s: generation id is not",
    "OffsetCommit failed for group %s due to group error (%s), will rejoin",
    "Missing sensor state for rebalance",
    "is overlapping (interval",
)
"""Warnings of the libraries at any rebalance or slow response: no action is needed."""

_AWAY: Final = (
    "Unable connect to ",
    "Unable to request metadata from ",
    "Unable to update metadata from ",
    "No broker metadata found",
    "Marking the coordinator dead",
    "Heartbeat session expired",
    "Heartbeat failed for group %s: coordinator",
    "Topic %s is not available during auto-create",
)
"""What aiokafka logs about brokers that are away where the record has no error."""

_logger: Final = logging.getLogger(__name__)


@dataclass
class _Outage:
    """Brokers that do not serve: the first error, and the times of the first and last failure.

    `since` is in seconds since the epoch, all other times are of a monotonic clock.
    """

    why: str
    since: float
    began_at: float
    failed_at: float
    logged_at: float | None = None
    failures: int = 1

    def begin(self, *, answered: bool) -> str:
        """Return the line for its start; `answered`: some brokers answer."""
        away = ", ".join(sorted(brokers.unreachable))
        return (
            f"{_what(answered=answered)} since {self._since}"
            f"{f', unreachable: {away}' if away else ''}. Waiting for them and retrying; nothing "
            f"is lost. The first failure: {self.why}"
        )

    def still(self, lasted_s: float, *, answered: bool) -> str:
        """Return the line for an outage that lasts."""
        return (
            f"{_what(answered=answered)}, for {lasted_s:.0f} s since {self._since}; "
            f"{self.failures:,} failures, the first: {self.why}"
        )

    def end(self) -> str:
        """Return the line for its end."""
        lasted = f"after {self.failed_at - self.began_at:.1f} s, since {self._since}"
        why = "" if self.logged_at is not None else f". It was: {self.why}"
        return f"The Kafka brokers serve again, {lasted}{why}"

    @property
    def _since(self) -> str:
        return datetime.fromtimestamp(self.since).astimezone().isoformat(timespec="seconds")


def _what(*, answered: bool) -> str:
    if not answered:
        return "The Kafka brokers do not serve"
    some = "Some Kafka brokers do not serve"
    return some if brokers.unreachable else "The Kafka brokers do not serve all partitions"


@dataclass
class _Repeated:
    """A line that was shown, and how often it was repeated since."""

    record: logging.LogRecord
    shown_at: float
    again: int = 0


class RepeatFilter(logging.Filter):
    """Passes what is new, and logs what lasts every `AGAIN_EVERY_S`.

    It is a filter of a handler, so that it sees the records of every logger. Lines that are logged
    later come from a thread that lives only while there are any.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._lock = threading.Lock()
        self._outage: _Outage | None = None
        self._repeated: dict[tuple[str, int, str], _Repeated] = {}
        self._thread: threading.Thread | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to show a record now."""
        if not logging.WARNING <= record.levelno < logging.CRITICAL or record.name == _logger.name:
            return True
        if any(text in str(record.msg) for text in _ORDINARY):
            record.levelno, record.levelname = logging.INFO, "INFO"
            return logging.getLogger().isEnabledFor(logging.INFO)
        with self._lock:
            show = not self._is_of_an_outage(record) and self._is_new(record)
            if not show and self._thread is None:
                self._thread = threading.Thread(target=self._log_later, daemon=True)
                self._thread.start()
        return show

    def _is_of_an_outage(self, record: logging.LogRecord) -> bool:
        if not says_brokers_are_away(record):
            return False
        now, outage = self._clock(), self._outage
        if outage is None:
            self._outage = _Outage(record.getMessage(), time(), now, now)
        else:
            outage.failed_at = now
            outage.failures += 1
        return True

    def _is_new(self, record: logging.LogRecord) -> bool:
        library = record.name.split(".")[0] in _LIBRARIES
        text = str(record.msg) if library else record.getMessage()
        key = record.name, record.levelno, text
        now, known = self._clock(), self._repeated.get(key)
        if known is None or (not known.again and now - known.shown_at >= AGAIN_EVERY_S):
            if len(self._repeated) >= _REMEMBERED:
                self._repeated.clear()
            self._repeated[key] = _Repeated(record, now)
            return True
        known.record = record
        known.again += 1
        return False

    def _log_later(self) -> None:
        waiting = threading.Event()
        while True:
            waiting.wait(_TICK_S)
            with self._lock:
                lines = [*self._of_the_outage(), *self._of_repeats()]
                ended = self._outage is None and not any(r.again for r in self._repeated.values())
                if ended:
                    self._thread = None
            for level, text in lines:
                _logger.log(level, "%s", text)
            if ended:
                return

    def _of_the_outage(self) -> list[tuple[int, str]]:
        """Return the lines about the outage that are due now; drop an outage that is over."""
        outage, now = self._outage, self._clock()
        if outage is None:
            return []
        answered = brokers.answered_at > outage.failed_at
        if answered and now - outage.failed_at >= OVER_AFTER_S:
            self._outage = None
            return [(logging.INFO, outage.end())]
        lasted = (outage.failed_at if answered else now) - outage.began_at
        in_part = now - brokers.answered_at < PASSES_WITHIN_S
        if lasted < (IN_PART_PASSES_WITHIN_S if in_part else PASSES_WITHIN_S):
            return []
        if outage.logged_at is None:
            text = outage.begin(answered=in_part)
        elif now - outage.logged_at >= AGAIN_EVERY_S:
            text = outage.still(lasted, answered=in_part)
        else:
            return []
        outage.logged_at = now
        return [(logging.WARNING, text)]

    def _of_repeats(self) -> list[tuple[int, str]]:
        """Return the lines that were repeated since they were shown, with a count."""
        now, lines = self._clock(), []
        for key, known in list(self._repeated.items()):
            if now - known.shown_at < AGAIN_EVERY_S:
                continue
            if not known.again:
                del self._repeated[key]
                continue
            text = (
                f"{known.record.name} logged this {known.again:,} more times in "
                f"{now - known.shown_at:.0f} s, the last time: {known.record.getMessage()}"
            )
            lines.append((known.record.levelno, text))
            known.again, known.shown_at = 0, now
        return lines


def says_brokers_are_away(record: logging.LogRecord) -> bool:
    """Return whether a record is about brokers that can't be reached or do not serve for now."""
    client = record.name.split(".")[0] in _CLIENT
    if record.exc_info:
        # What failed in the client is recreated, or ends the process, which is logged.
        return client and any(_is_of_a_connection(e, client=True) for e in _chain(record.exc_info))
    if client and str(record.msg).startswith(_AWAY):
        return True
    arguments = record.args if isinstance(record.args, tuple) else ()
    return any(_is_of_a_connection(argument, client=client) for argument in arguments)


def _chain(exc_info: object) -> Iterator[BaseException]:
    """Return an error and what caused it, and so on."""
    error = exc_info[1] if isinstance(exc_info, tuple) else None
    while error is not None:
        yield error
        error = error.__cause__


def _is_of_a_connection(argument: object, *, client: bool) -> bool:
    kind = argument if isinstance(argument, type) else type(argument)
    return is_outage(kind) or (client and issubclass(kind, OSError))  # TimeoutError is one
