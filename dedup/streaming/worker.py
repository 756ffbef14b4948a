"""The worker's app, configured from the environment: what `faust -A dedup` runs."""

import logging
import os
from typing import Final

from faust.cli.worker import worker as worker_command

from dedup.core.errors import ExplainedError
from dedup.observability.logs import write_only_json
from dedup.settings import load_settings
from dedup.streaming.application import DedupApp
from dedup.streaming.wiring import build_app

logger = logging.getLogger(__name__)


def _app_from_environment() -> DedupApp:
    as_json = os.environ.get("DEDUP_LOG_FORMAT") == "json"
    if as_json:
        write_only_json()
        setattr(worker_command, "on_worker_created", _print_nothing)  # noqa: B010 - for mypy
    try:
        return build_app(load_settings(os.environ))
    except ExplainedError as error:
        if not as_json:
            raise SystemExit(str(error)) from None
        logger.critical("%s", error)
        raise SystemExit(1) from None


def _print_nothing(_command: worker_command, _worker: object) -> None:
    """Take the place of what prints Faust's banner."""


app: Final = _app_from_environment()
