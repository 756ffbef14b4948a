"""Getting to PostgreSQL, and saying in a sentence why it does not do what it is asked."""

import asyncio
import logging
from typing import Final

from psycopg import Error, OperationalError

from dedup.sink.database import Database
from dedup.sink.schema import tables_named
from dedup.sink.settings import SinkSettings

START_WITHIN_S: Final = 30.0
PAUSES_S: Final = (0.2, 0.5, 1, 2, 5)

logger = logging.getLogger(__name__)


class SinkError(Exception):
    """The sink can't go on; the text is a sentence with the cure."""


def refused(error: Error, table: str) -> str:
    """Say what PostgreSQL does not do for us, in its own words."""
    named = error.diag.message_primary or (str(error).splitlines() or [type(error).__name__])[0]
    detail = f" ({error.diag.message_detail})" if error.diag.message_detail else ""
    hint = ""
    if error.sqlstate == "42501":
        hint = (
            f" Grant it: GRANT SELECT, INSERT, UPDATE, DELETE ON {table}, {table}_offsets TO the "
            "user; and CREATE on the schema if the tables are to be made."
        )
    return f"PostgreSQL refuses to write {table}: {named}{detail}.{hint}"


class Connecting:
    """Connects to PostgreSQL: at the start within `START_WITHIN_S`, later as soon as it can."""

    def __init__(self, settings: SinkSettings) -> None:
        self._settings = settings

    async def first(self) -> Database:
        """Connect; wait for a server that is being started. Raises SinkError."""
        try:
            async with asyncio.timeout(START_WITHIN_S):
                return await self.again(quiet=True)
        except TimeoutError:
            raise SinkError(
                f"PostgreSQL can't be connected to ({self._why}). Start it, or correct "
                "POSTGRES_DSN (its password may stand in PGPASSWORD)."
            ) from None

    async def again(self, *, quiet: bool = False) -> Database:
        """Connect, however long it takes; tell each reason once."""
        self._why = "no answer"
        attempt = 0
        while True:
            try:
                return await Database.connect(
                    self._settings.POSTGRES_DSN.get_secret_value(),
                    tables_named(self._settings.POSTGRES_TABLE),
                    self._settings.KAFKA_SRC_PRODUCTS_TOPIC,
                )
            except OperationalError as error:
                why = (str(error).splitlines() or ["no answer"])[0]
                if not quiet and why != self._why:
                    logger.warning("PostgreSQL can't be connected to (%s); waiting.", why)
                self._why = why
            await asyncio.sleep(PAUSES_S[min(attempt, len(PAUSES_S) - 1)])
            attempt += 1
