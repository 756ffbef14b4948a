"""Retries with a limit, and what is logged of them.

One line when they begin. One when they succeed, unless the brokers were unavailable: the end of an
outage is logged once for the process, by `dedup.observability.outages`.
"""

import asyncio
import logging
from typing import Final
from weakref import WeakSet

from dedup.kafka.broker_errors import is_outage

GIVE_UP_AFTER_S: Final = 120.0
"""How long a request is retried that the brokers do not fulfil."""

PAUSES_S: Final = (0.1, 0.2, 0.5, 1.0)


_waiting: Final["WeakSet[Patience]"] = WeakSet()


def waits_for_brokers() -> bool:
    """Return whether anything in this process is being retried; the log says what."""
    return bool(_waiting)


class Patience:
    """Retries of one thing; `what` names it in the log.

    The limit counts from the first error. Each try must be bounded: one that takes longer than
    `GIVE_UP_AFTER_S` counts as progress, or as a suspended process.
    """

    def __init__(
        self,
        what: str,
        logger: logging.Logger,
        *,
        give_up_after_s: float = GIVE_UP_AFTER_S,
        level: int = logging.WARNING,
    ) -> None:
        self._what = what
        self._logger = logger
        self._give_up_after_s = give_up_after_s
        self._since = 0.0
        self._level = level
        self._tries = 0
        self._outage = False
        self._failed_at = 0.0
        self._last_at = 0.0

    async def wait(self, error: BaseException) -> None:
        """Pause before the next try; raise `error` when the limit is reached."""
        now = asyncio.get_running_loop().time()
        _waiting.add(self)
        if self._tries == 0:
            self._failed_at = self._since = now
            self._outage = is_outage(type(error))
            self._logger.log(self._level, "%s: waiting for the brokers: %r", self._what, error)
        elif now - self._last_at > GIVE_UP_AFTER_S:
            self._since = now
        elif now - self._since > self._give_up_after_s:
            _waiting.discard(self)
            raise error
        await asyncio.sleep(PAUSES_S[min(self._tries, len(PAUSES_S) - 1)])
        self._tries += 1
        self._last_at = asyncio.get_running_loop().time()

    def over(self) -> None:
        """Note that a try succeeded; the next error begins new retries."""
        if self._tries and not self._outage:
            seconds = asyncio.get_running_loop().time() - self._failed_at
            self._logger.info("%s: the brokers answer again, after %.1f s.", self._what, seconds)
        self._tries = 0
        _waiting.discard(self)
