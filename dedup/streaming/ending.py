"""How the worker's process ends: with a sentence, exit code 1, and in bounded time."""

import errno
import os
import threading
from typing import Final, cast

from faust.worker import Worker

from dedup.streaming.application import DedupApp, WorkerError

EXIT_WITHIN_S: Final = 15.0
"""How long a worker that failed may take to stop in order."""


class DedupWorker(Worker):
    """Faust's worker, which says in a sentence why it ends, and exits with 1 then.

    After a failure it ends in bounded time, whatever does not stop: all that counts is on Kafka or
    in the databases' logs by then.
    """

    async def start(self) -> None:
        """Start everything; what can't be started ends the worker."""
        app = cast("DedupApp", self.app)
        try:
            await super().start()
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            app.fail(
                WorkerError(
                    f"{app.conf.web_bind}:{app.conf.web_port} is taken by another program. Each "
                    "worker on a machine needs a port of its own: set DEDUP_WEB_PORT."
                )
            )

    def _crash(self, reason: BaseException) -> None:
        super()._crash(reason)
        ending = threading.Timer(EXIT_WITHIN_S, os._exit, (1,))
        ending.daemon = True
        ending.start()

    def _shutdown_loop(self) -> None:
        failure = cast("DedupApp", self.app).failure
        if failure is not None:
            self.crash_reason = None
        super()._shutdown_loop()
        if failure is not None:
            raise SystemExit(1)
