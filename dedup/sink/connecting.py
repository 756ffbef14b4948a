"""Getting to PostgreSQL, and saying in a sentence why it does not do what it is asked."""

import asyncio
import logging
from math import inf
from time import monotonic
from typing import Final

from psycopg import Error, InterfaceError, OperationalError

from dedup.core.errors import ExplainedError
from dedup.sink.database import Database
from dedup.sink.metrics import SinkMetrics
from dedup.sink.schema import TableError, ensure_tables, tables_named
from dedup.sink.settings import SinkSettings

START_WITHIN_S: Final = 30.0
PAUSES_S: Final = (0.2, 0.5, 1, 2, 5)
REMIND_EVERY_S: Final = 60.0

_STATES_OF_A_CONNECTION: Final = (
    "25",  # of its transaction; 25006: it leads to a server that became a replica
    "26",  # a statement prepared on another server connection of a pooler
    "42P05",  # the same, prepared twice
    "0A000",  # a cached plan that no longer fits the table
)
"""SQLSTATEs, by their beginning, of errors that are no `OperationalError` and end with the
connection they come on (PostgreSQL's Appendix A)."""

logger = logging.getLogger(__name__)


class SinkError(ExplainedError):
    """The sink can't go on; the text is a sentence with the cure."""


def new_connection_cures(error: Error) -> bool:
    """Whether to connect and try again: the fault is the connection's or the server's now."""
    return isinstance(error, OperationalError | InterfaceError) or (
        error.sqlstate or ""
    ).startswith(_STATES_OF_A_CONNECTION)


def refused(error: Error, table: str) -> str:
    """Say what PostgreSQL does not do for us, in its own words."""
    detail = f" ({error.diag.message_detail})" if error.diag.message_detail else ""
    hint = ""
    if error.sqlstate == "42501":
        hint = (
            f" Grant it: GRANT SELECT, INSERT, UPDATE, DELETE ON {table}, {table}_offsets TO the "
            "user; and CREATE on the schema if the tables are to be made."
        )
    return f"PostgreSQL refuses to write {table}: {_reason(error)}{detail}.{hint}"


class Connecting:
    """Connects to PostgreSQL as often as it takes. An outage is logged once, then once a minute."""

    def __init__(self, settings: SinkSettings, metrics: SinkMetrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._why: str | None = None
        self._since = self._reminded_at = 0.0

    def lost(self, error: Error) -> None:
        """Log that PostgreSQL does not answer, or not as it should; not again for the same."""
        now, why = monotonic(), _reason(error)
        if self._why is None:
            self._since = now
            self._metrics.postgres_up.set(0)
        elif why == self._why and now - self._reminded_at < REMIND_EVERY_S:
            return
        logger.warning(
            "PostgreSQL is not available (%s); retrying%s.",
            why,
            f", for {now - self._since:.0f} s now" if self._why is not None else "",
        )
        self._why, self._reminded_at = why, now

    def works(self) -> None:
        """Log that the outage is over, if there was one."""
        self._metrics.postgres_up.set(1)
        if self._why is not None:
            self._why = None
            logger.info("PostgreSQL works again after %.0f s.", monotonic() - self._since)

    async def connect(self, give_up_at: float = inf) -> Database:
        """Return a connection. Raises SinkError after `give_up_at`, of the monotonic clock."""
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
            tables_named(self._settings.POSTGRES_TABLE),
            self._settings.KAFKA_SRC_PRODUCTS_TOPIC,
        )

    async def prepare_tables(self, *, rebuild: bool) -> None:
        """Create or check the tables; empty them when they are to be rebuilt.

        A server that is starting is waited for, `START_WITHIN_S`. Raises SinkError.
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
                f"PostgreSQL can't be connected to ({self._why}). Start it, or correct "
                "POSTGRES_DSN (its password may stand in PGPASSWORD)."
            )


async def _prepare(database: Database, settings: SinkSettings, *, rebuild: bool) -> None:
    table = settings.POSTGRES_TABLE
    await ensure_tables(database.connection, database.tables)
    if rebuild:
        await database.forget()
        logger.info("%s is empty now; it is filled from the topic's beginning.", table)
    elif await database.has_foreign_rows():
        raise SinkError(
            f"{table} has rows that do not come from {settings.KAFKA_SRC_PRODUCTS_TOPIC}. Set "
            "POSTGRES_TABLE to another name, or start once with --rebuild, which deletes them."
        )


def _reason(error: Error) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return error.diag.message_primary or (lines or [type(error).__name__])[0]
