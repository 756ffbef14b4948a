"""Waiting for what time cures: one log line when it begins, one when it ends, and a limit."""

import asyncio
import logging
from typing import Final

GIVE_UP_AFTER_S: Final = 120.0
"""How long brokers that do not do what they are asked are waited for."""

PAUSES_S: Final = (0.1, 0.2, 0.5, 1.0)


class Patience:
    """A wait that may take several tries; `what` names in the log what is waiting.

    The time runs from the first error. Each try has to be bounded: one that lasts longer than
    `GIVE_UP_AFTER_S` is taken for progress, or for a suspended process.
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
        self._failed_at = 0.0
        self._last_at = 0.0

    async def wait(self, error: BaseException) -> None:
        """Pause before the next try; raise `error` when the time is up."""
        now = asyncio.get_running_loop().time()
        if self._tries == 0:
            self._failed_at = self._since = now
            self._logger.log(self._level, "%s: waiting for the brokers: %r", self._what, error)
        elif now - self._last_at > GIVE_UP_AFTER_S:
            self._since = now
        elif now - self._since > self._give_up_after_s:
            raise error
        await asyncio.sleep(PAUSES_S[min(self._tries, len(PAUSES_S) - 1)])
        self._tries += 1
        self._last_at = asyncio.get_running_loop().time()

    def over(self) -> None:
        """Log how long the wait took, if there was one; the next one begins with its own error."""
        if self._tries:
            seconds = asyncio.get_running_loop().time() - self._failed_at
            self._logger.info("%s: the brokers answer again, after %.1f s.", self._what, seconds)
        self._tries = 0
