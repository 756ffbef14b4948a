"""The worker's app, configured from the environment: what `faust -A dedup` runs."""

import os
from typing import Final

from dedup.settings import SettingsError, load_settings
from dedup.streaming.application import DedupApp
from dedup.wiring import build_app


def _app_from_environment() -> DedupApp:
    try:
        return build_app(load_settings(os.environ))
    except SettingsError as error:
        raise SystemExit(str(error)) from None


app: Final = _app_from_environment()
