"""Connects to PostgreSQL, retries during an outage, and explains what PostgreSQL refuses."""

import asyncio
import logging
from math import inf
from time import monotonic
from typing import Final

from psycopg import Error, InterfaceError, OperationalError

from dedup.core.errors import ExplainedError
from dedup.sink.database import Database
from dedup.sink.metrics import SinkMetrics
from dedup.sink.schema import TableError, ensure_tables
from dedup.sink.settings import SinkSettings
from dedup.sink.statements import tables_named

START_WITHIN_S: Final = 30.0
PAUSES_S: Final = (0.2, 0.5, 1, 2, 5)
REMIND_EVERY_S: Final = 60.0

_STATES_OF_A_CONNECTION: Final = (
    "25",  # state of the transaction; 25006: the server became a replica
    "26",  # statement prepared on another server connection of a pooler
    "42P05",  # the same statement prepared twice
    "0A000",  # cached plan that no longer matches the table
)
"""Prefixes of the SQLSTATEs that a new connection cures, beside `OperationalError` (PostgreSQL's
Appendix A)."""

logger = logging.getLogger(__name__)


class SinkError(ExplainedError):
    """The sink can't continue; the message says why and what to do."""


def new_connection_cures(error: Error) -> bool:
    """Whether to reconnect and retry: the error is one of the connection or the server."""
    return isinstance(error, OperationalError | InterfaceError) or (
        error.sqlstate or ""
    ).startswith(_STATES_OF_A_CONNECTION)


def refused(error: Error, table: str) -> str:
    """Return what PostgreSQL refuses, in its own words, and what to do."""
    detail = f" ({error.diag.message_detail})" if error.diag.message_detail else ""
    hint = ""
    if error.sqlstate == "42501":
        hint = (
            f" Grant it: GRANT SELECT, INSERT, UPDATE, DELETE ON {table}, {table}_offsets TO the "
            "user, and CREATE on the schema if the sink is to create the tables."
        )
    return f"PostgreSQL refuses to write {table}: {_reason(error)}{detail}.{hint}"


class Connecting:
    """Connects to PostgreSQL and retries. An outage is logged at its start, then once a minute."""

    def __init__(self, settings: SinkSettings, metrics: SinkMetrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._why: str | None = None
        self._since = self._reminded_at = 0.0

    def lost(self, error: Error) -> None:
        """Log an outage of PostgreSQL, unless the same one was logged within the last minute."""
        now, why = monotonic(), _reason(error)
        if self._why is None:
            self._since = now
            self._metrics.postgres_up.set(0)
        elif why == self._why and now - self._reminded_at < REMIND_EVERY_S:
            return
        logger.warning(
            "PostgreSQL is not available (%s); retrying%s.",
            why,
            f" for {now - self._since:.0f} s" if self._why is not None else "",
        )
        self._why, self._reminded_at = why, now

    def works(self) -> None:
        """Log the end of an outage, if there was one."""
        self._metrics.postgres_up.set(1)
        if self._why is not None:
            self._why = None
            logger.info("PostgreSQL is available again after %.0f s.", monotonic() - self._since)

    async def connect(self, give_up_at: float = inf) -> Database:
        """Return a connection. Raises SinkError after `give_up_at` on the monotonic clock."""
        attempt = 0
        while True:
            try:
                return await self._connect()
            except OperationalError as error:
                self.lost(error)
            self._give_up_after(give_up_at)
            await asyncio.sleep(PAUSES_S[min(attempt, len(PAUSES_S) - 1)])
            attempt += 1

    async def _connect(self) -> Database:
        return await Database.connect(
            self._settings.POSTGRES_DSN.get_secret_value(),
            tables_named(self._settings.POSTGRES_TABLE, self._settings.entity),
            self._settings.KAFKA_SRC_PRODUCTS_TOPIC,
        )

    async def prepare_tables(self, *, rebuild: bool) -> None:
        """Create or check the tables; with `rebuild`, empty them.

        Retries for `START_WITHIN_S` while the server starts. Raises SinkError.
        """
        give_up_at = monotonic() + START_WITHIN_S
        while True:
            database = await self.connect(give_up_at)
            try:
                await _prepare(database, self._settings, rebuild=rebuild)
            except TableError as error:
                raise SinkError(str(error)) from error
            except Error as error:
                if not new_connection_cures(error):
                    raise SinkError(refused(error, self._settings.POSTGRES_TABLE)) from error
                self.lost(error)
                self._give_up_after(give_up_at)
                await asyncio.sleep(PAUSES_S[0])
            else:
                return self.works()
            finally:
                await database.close()

    def _give_up_after(self, give_up_at: float) -> None:
        if monotonic() > give_up_at:
            raise SinkError(
                f"Can't connect to PostgreSQL ({self._why}). Start it, or correct "
                "POSTGRES_DSN (the password can be set in PGPASSWORD)."
            )


async def _prepare(database: Database, settings: SinkSettings, *, rebuild: bool) -> None:
    table = settings.POSTGRES_TABLE
    await ensure_tables(database.connection, database.tables)
    if rebuild:
        await database.forget()
        logger.info("%s is empty now and will be filled from the beginning of the topic.", table)
    elif await database.has_foreign_rows():
        raise SinkError(
            f"{table} has rows that do not come from {settings.KAFKA_SRC_PRODUCTS_TOPIC}. Set "
            "POSTGRES_TABLE to another name, or start once with --rebuild, which deletes them."
        )


def _reason(error: Error) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return error.diag.message_primary or (lines or [type(error).__name__])[0]
