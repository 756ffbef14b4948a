"""Runs the reference, `deploy/flink/job.py`, in the environment of PyFlink up to given offsets."""

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from dedup.core.errors import ExplainedError
from dedup.localkafka.process import spawn

ROOT: Final = Path(__file__).parents[2]
JOB: Final = ROOT / "deploy" / "flink" / "job.py"
PYTHON: Final = ROOT / ".venv-flink" / "bin" / "python"
_LOG_LINES: Final = 15

Rows = list[dict[str, Any]]


class FlinkError(ExplainedError):
    """The Flink job could not run; the text includes lines of its log."""


def run_flink(
    environ: Mapping[str, str],
    *,
    until: str | None = None,
    sql: Path | None = None,
    queries: Sequence[str] = (),
    options: Sequence[str] = (),
) -> list[Rows]:
    """Run the reference to the end of the source, or `until` offsets; return the rows per query.

    `environ` has the KAFKA_* settings. `sql` is what `dedup flink-sql` printed; None: that of
    products. Raises FlinkError.
    """
    if not PYTHON.exists() or not JOB.exists():
        raise FlinkError(
            f"Flink is not installed: {PYTHON} is missing. It belongs to a clone of the project, "
            "not to the package; `make .venv-flink/flink.installed` in the clone installs it."
        )
    command = [str(PYTHON), str(JOB), *(["--until", until] if until else ["--bounded"])]
    command += ["--sql", str(sql)] if sql else []
    for query in queries:
        command += ["--query", query]
    with tempfile.TemporaryDirectory(prefix="dedup-flink-") as directory:
        output, log = Path(directory) / "output", Path(directory) / "log"
        command += ["--output", str(output), *options]
        process = spawn(command, log, {**os.environ, **environ})
        try:
            code = process.wait()
        finally:
            process.kill()
        if code != 0:
            said = log.read_text(errors="replace")
            raise FlinkError(f"The Flink job failed (exit code {code}). {_excerpt(said)}")
        return _read_output(output.read_text("utf-8")) if queries else []


def _excerpt(log: str) -> str:
    lines = log.splitlines()
    causes = [line for line in lines if "Caused by" in line][-3:]
    return "From its log:\n" + "\n".join([*causes, *lines[-_LOG_LINES:]])


def _read_output(text: str) -> list[Rows]:
    """Read what `--query` prints: lines of JSON, an empty line after each query."""
    tables: list[Rows] = [[]]
    for line in text.splitlines():
        if line:
            tables[-1].append(json.loads(line))
        else:
            tables.append([])
    return tables[:-1]
