"""Runs the commands of README and docs from a clean clone: `make test-docs`.

Each block is one shell. A real broker and a real PostgreSQL stand for the reader's own; what can't
run here is listed with the reason. Exits with 1 if a block fails, after all of them.
"""

import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

import click

from dedup.localkafka import LocalKafka
from tests.docs.blocks import ELSEWHERE, ROOT, SERVES, STANDS_FOR, Block, blocks, matching
from tests.support.postgres import PostgresServer

SHELL: Final = r"""
set -euo pipefail
serve() {  # serve PATTERN COMMAND: run until it says the pattern, then press Ctrl-C
  local said; said="$(mktemp)"
  setsid bash -c "exec env $2" > "$said" 2>&1 < /dev/null &
  local process=$! left=1200
  until grep -qF -- "$1" "$said"; do
    if ! kill -0 $process 2> /dev/null || [ $((left -= 1)) = 0 ]; then
      cat "$said"; echo "It never said: $1"; kill -KILL $process 2> /dev/null; return 1
    fi
    sleep 0.1
  done
  kill -INT $process
  local code=0; wait $process || code=$?
  case $code in 0|130) ;; *) tail -20 "$said"; echo "It ended with $code"; return 1 ;; esac
}
"""


def shell_script(block: Block) -> str:
    """Write a block as a script that stops at the first command that fails."""
    lines = [SHELL]
    for command in block.commands:
        lines.append(f"echo {shlex.quote(f'  $ {command}')}")
        if (reason := matching(ELSEWHERE, command)) is not None:
            lines.append(f"echo {shlex.quote(f'    not run: {reason}')}")
            continue
        for placeholder, value in STANDS_FOR.items():
            command = command.replace(placeholder, value)  # noqa: PLW2901 - one after the other
        serves = matching(SERVES, command) or matching(SERVES, _as_written(command))
        lines.append(
            command if serves is None else f"serve {shlex.quote(serves)} {shlex.quote(command)}"
        )
    return "\n".join(lines)


def _as_written(command: str) -> str:
    for placeholder, value in STANDS_FOR.items():
        command = command.replace(value, placeholder)
    return command


def run(block: Block, clone: Path, environ: dict[str, str]) -> bool:
    """Run a block in the clone; its output is shown when it fails."""
    click.echo(f"{block.page}:{block.line}")
    done = subprocess.run(
        ["bash", "-c", shell_script(block)],  # noqa: S607 - the user's
        cwd=clone,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=900,
    )
    shown = (
        done.stdout
        if done.returncode
        else "\n".join(
            line for line in done.stdout.splitlines() if line.startswith(("  $ ", "    not run"))
        )
    )
    click.echo(shown)
    return done.returncode == 0


def main() -> int:
    """Run every block; return the exit code."""
    with tempfile.TemporaryDirectory(prefix="docs-") as name, LocalKafka() as kafka:
        directory, environment = Path(name), Path(name) / "venv"
        clone = directory / "clone"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)  # noqa: S607
        subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
        with PostgresServer() as postgres:
            unset = ("DEDUP_", "KAFKA_", "VIRTUAL_ENV", "PYTHONPATH", "UV_PROJECT_ENVIRONMENT")
            environ = {n: v for n, v in os.environ.items() if not n.startswith(unset)} | {
                "PATH": f"{environment}/bin:{ROOT}/.uv/bin:{os.environ['PATH']}",
                "BROKERS": kafka.bootstrap_servers,
                "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
                "DSN": postgres.dsn,
                "POSTGRES_DSN": postgres.dsn,
                "DEDUP_DATA_DIR": str(directory / "state"),
            }
            shells = [block for block in blocks() if block.language in ("sh", "console")]
            failed = [block for block in shells if not run(block, clone, environ)]
    for block in failed:
        click.echo(f"A command failed in the block {block.page}:{block.line}.")
    if not failed:
        click.echo("Every command of README and docs was run, but for those named.")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
