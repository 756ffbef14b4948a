"""How the worker's process ends: in bounded time, and after a failure with the reason and 1."""

import errno
import logging
import os
import signal
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

STOP_WITHIN_S: Final = 20.0
"""How long a worker that is asked to stop may take; Kubernetes kills it after 30 s."""


class DedupWorker(Worker):
    """Faust's worker, which logs why it ends after a failure, and exits with 1.

    It ends in bounded time, whatever does not stop, such as a client whose brokers are away:
    everything that is done is on Kafka by then.
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
        self._exit_after(EXIT_WITHIN_S)

    def _schedule_shutdown(self, signal: signal.Signals) -> None:
        if not self._signal_stop_time:
            self._exit_after(STOP_WITHIN_S)
        super()._schedule_shutdown(signal)

    def _exit_after(self, seconds: float) -> None:
        ending = threading.Timer(seconds, self._exit_at_once)
        ending.daemon = True
        ending.start()

    def _exit_at_once(self) -> None:
        why = cast("DedupApp", self.app).failure or self.crash_reason
        if why is None:
            logger.warning("The worker did not stop within %.0f s and ends now.", STOP_WITHIN_S)
        self._end_with(why)
        os._exit(0 if why is None else 1)

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
