"""Runs what a command does with the settings of the environment, or ends with a sentence."""

import asyncio
import logging
import os
import sqlite3
import sys
from collections.abc import Awaitable, Callable
from typing import NoReturn, TypeVar

import click

from dedup.core.errors import ExplainedError
from dedup.kafka.client import adjust_aiokafka
from dedup.settings import Settings, SettingsError, load_settings

T = TypeVar("T")


def fail(error: Exception) -> NoReturn:
    """End with exit code 1; what went wrong stands on stderr."""
    click.echo(f"Error: {error}", err=True)
    sys.exit(1)


def settings_or_exit() -> Settings:
    """Return the settings of the environment; exit with 1 and a sentence for each fault."""
    try:
        return load_settings(os.environ)
    except SettingsError as error:
        fail(error)


def run(action: Callable[[Settings], Awaitable[T]]) -> T:
    """Do it with the settings of the environment, or exit with 1 and a sentence."""
    # What goes wrong is said in a sentence; the client's own log would stand beside it.
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())
    adjust_aiokafka()
    settings = settings_or_exit()

    async def act() -> T:
        return await action(settings)

    try:
        return asyncio.run(act())
    except (ExplainedError, sqlite3.Error) as error:
        fail(error)
    except BrokenPipeError:
        raise
    except OSError as error:  # a full disk, a directory for temporary files that is not there
        fail(error)
