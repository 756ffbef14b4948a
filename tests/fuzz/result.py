"""Runs the fuzzer in a process of its own and writes what came of it.

libFuzzer ends its process itself, so nobody in that process could write anything afterwards.
"""

import re
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from tests.support.results import write_result

_STAT: Final = re.compile(r"stat::(\w+):\s+(\d+)")
_FINDING: Final = re.compile(r"^SUMMARY: .*|^Test unit written to .*")


def run_and_record(command: Sequence[str], path: Path, module: str, **about: Any) -> int:
    """Run a fuzzer, show what it says, write the result file; return the fuzzer's exit code."""
    began = time.monotonic()
    stats: dict[str, int] = {}
    findings: list[str] = []
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, errors="replace") as fuzzer:
        assert fuzzer.stderr is not None
        for line in fuzzer.stderr:
            sys.stderr.write(line)
            if stat := _STAT.match(line):
                stats[stat[1]] = int(stat[2])
            elif _FINDING.match(line):
                findings.append(line.strip())
    found = {
        **about,
        "seconds": round(time.monotonic() - began, 1),
        "exit_code": fuzzer.returncode,
        "inputs": stats.get("number_of_executed_units"),
        "findings": findings,
        "libfuzzer": stats,
        "fuzzer_versions": {name: _version(name) for name in ("atheris", "pydantic", "msgspec")},
    }
    what = "coverage-guided fuzzing of the readers, the decision and the reading of the changelog"
    write_result(path, what, module, "nothing of this run", found)
    return fuzzer.returncode


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
