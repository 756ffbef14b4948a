"""PgBouncer in transaction mode between sink and PostgreSQL, as managed databases put it there."""

import getpass
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from dedup.localkafka.ports import free_port
from dedup.localkafka.process import spawn
from dedup.sink.connecting import new_connection_cures
from tests.sink.running import running, settings, until_equal
from tests.sink.test_sink import AUDIT, LOSE_CONNECTIONS, written_twice
from tests.support.postgres import PostgresServer
from tests.support.rows import RandomTopic, make_topic, write


@contextmanager
def pooler(postgres: PostgresServer, directory: Path) -> Iterator[str]:
    """PgBouncer that gives each transaction the server connection used longest ago; its DSN."""
    binary = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/bin")
    assert binary is not None, "pgbouncer is missing: `make test` installs it"
    port = free_port()
    (directory / "users").write_text('"sink" ""\n')
    (directory / "ini").write_text(
        f"[databases]\npostgres = host=127.0.0.1 port={postgres.port} user=sink\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nauth_type = trust\n"
        f"auth_file = {directory / 'users'}\nunix_socket_dir =\npool_mode = transaction\n"
        "server_round_robin = 1\nmin_pool_size = 4\n"
    )
    directory.chmod(0o755)
    as_nobody = ["-u", "nobody"] if getpass.getuser() == "root" else []
    process = spawn([binary, *as_nobody, str(directory / "ini")], directory / "log")
    dsn = f"postgresql://sink@127.0.0.1:{port}/postgres"
    try:
        deadline = time.monotonic() + 30
        while True:
            with suppress(psycopg.OperationalError), psycopg.connect(dsn):
                break
            assert time.monotonic() < deadline, (directory / "log").read_text()
            time.sleep(0.05)
        yield dsn
    finally:
        process.terminate()
        process.wait(30)


async def test_each_transaction_may_run_on_another_server_connection(
    kafka: str, postgres: PostgresServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With a statement prepared for one of them, another would not know it."""
    postgres.ask(AUDIT)
    topic, history = await make_topic(kafka), RandomTopic(21)
    with pooler(postgres, tmp_path) as dsn:
        async with running(settings(kafka, postgres, topic, POSTGRES_DSN=dsn)):
            for _ in range(12):
                await write(kafka, topic, history.records(200))
                await until_equal(postgres, history.table)
    assert written_twice(postgres) == []
    assert [r.getMessage() for r in caplog.records if r.levelname == "WARNING"] == []


async def test_server_connections_lost_behind_a_pooler_are_replaced(
    kafka: str, postgres: PostgresServer, tmp_path: Path
) -> None:
    postgres.ask(AUDIT)
    topic, history = await make_topic(kafka), RandomTopic(22)
    with pooler(postgres, tmp_path) as dsn:
        async with running(settings(kafka, postgres, topic, POSTGRES_DSN=dsn)) as sink:
            await write(kafka, topic, history.records(500))
            await until_equal(postgres, history.table)
            postgres.ask(LOSE_CONNECTIONS)
            for _ in range(4):
                await write(kafka, topic, history.records(500))
                await until_equal(postgres, history.table)
            assert not sink.done()
    assert written_twice(postgres) == []


@pytest.mark.parametrize(
    ("error", "cured"),
    [
        (psycopg.errors.InvalidSqlStatementName, True),
        (psycopg.errors.DuplicatePreparedStatement, True),
        (psycopg.errors.ReadOnlySqlTransaction, True),
        (psycopg.errors.IdleInTransactionSessionTimeout, True),
        (psycopg.errors.FeatureNotSupported, True),
        (psycopg.errors.AdminShutdown, True),
        (psycopg.errors.DeadlockDetected, True),
        (psycopg.errors.SerializationFailure, True),
        (psycopg.errors.TooManyConnections, True),
        (psycopg.errors.DiskFull, True),
        (psycopg.InterfaceError, True),
        (psycopg.errors.NumericValueOutOfRange, False),
        (psycopg.errors.UndefinedTable, False),
        (psycopg.errors.InsufficientPrivilege, False),
        (psycopg.errors.CheckViolation, False),
        (psycopg.errors.DataCorrupted, False),
    ],
)
def test_errors_of_a_connection_are_distinguished_from_permanent_ones(
    error: type[psycopg.Error], *, cured: bool
) -> None:
    assert new_connection_cures(error("...")) is cured
