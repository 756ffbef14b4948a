"""How the worker's process ends after a failure: it logs why, and exits with 1 in bounded time."""

import errno
import logging
import os
import threading
from typing import Any, Final, cast

import click
from click.core import ParameterSource
from faust.types import AppT
from faust.worker import Worker
from mode import get_logger
from mode.utils.logging import level_number

from dedup.observability.logs import logging_config
from dedup.streaming.application import DedupApp, WorkerError, explanation

logger = get_logger(__name__)

EXIT_WITHIN_S: Final = 15.0
"""How long a worker that failed may take to shut down gracefully."""


class DedupWorker(Worker):
    """Faust's worker, which logs why it ends after a failure, and exits with 1.

    After a failure it ends in bounded time, whatever does not stop: everything durable is on Kafka
    or in the databases' logs by then.
    """

    def __init__(self, app: AppT, *services: Any, **options: Any) -> None:
        level = _level(str(options.get("loglevel")))
        as_json = cast("DedupApp", app).settings.DEDUP_LOG_FORMAT == "json"
        config = logging_config(as_json=as_json, level=level)
        options |= {"loglevel": level, "logging_config": config, "quiet": True}
        super().__init__(app, *services, **options)
        self.spinner = None

    async def start(self) -> None:
        """Start everything; a service that can't start ends the worker."""
        app = cast("DedupApp", self.app)
        try:
            await super().start()
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            app.fail(
                WorkerError(
                    f"{app.conf.web_bind}:{app.conf.web_port} is in use by another program. Each "
                    "worker on a machine needs a port of its own: set DEDUP_WEB_PORT."
                )
            )
        except Exception as error:
            self.crash_reason = self.crash_reason or error
            raise

    def _crash(self, reason: BaseException) -> None:
        super()._crash(reason)
        ending = threading.Timer(EXIT_WITHIN_S, self._exit_at_once)
        ending.daemon = True
        ending.start()

    def _exit_at_once(self) -> None:
        self._end_with(cast("DedupApp", self.app).failure or self.crash_reason)
        os._exit(1)

    def _shutdown_loop(self) -> None:
        why = cast("DedupApp", self.app).failure or self.crash_reason
        self.crash_reason = None
        super()._shutdown_loop()
        if why is not None:
            self._end_with(why)
            raise SystemExit(1)

    def _end_with(self, why: BaseException | None) -> None:
        """Log why the worker ends, and nothing after it."""
        if why is not None:
            logger.critical("%s", explanation(why))
        logging.disable()


def _level(name: str) -> int:
    """Return the level that `--loglevel` asks for; without it INFO, where Faust has WARN."""
    context = click.get_current_context(silent=True)
    while context is not None:
        source = context.get_parameter_source("loglevel")
        if source not in (None, ParameterSource.DEFAULT):
            return logging.CRITICAL if name.upper() == "CRIT" else level_number(name)
        context = context.parent
    return logging.INFO
