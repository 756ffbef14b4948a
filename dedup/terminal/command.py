"""Runs the action of a command with the settings of the environment."""

import asyncio
import os
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

import click

from dedup.kafka.client import adjust_aiokafka
from dedup.observability.logs import silence_client
from dedup.settings import Settings, load_settings

T = TypeVar("T")


def run(action: Callable[[Settings], Awaitable[T]], environ: Mapping[str, str] = os.environ) -> T:
    """Return the result of an action. Raises ExplainedError and ClickException for what fails."""
    prepare_client()
    settings = load_settings(environ)

    async def act() -> T:
        return await action(settings)

    try:
        return asyncio.run(act())
    except BrokenPipeError:
        raise
    except (sqlite3.Error, OSError) as error:  # a full disk, no directory for temporary files
        raise click.ClickException(str(error)) from error


def prepare_client() -> None:
    """Adjust aiokafka, and silence its log: a command prints one error, not each retry."""
    adjust_aiokafka()
    silence_client()
