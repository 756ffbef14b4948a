"""What a run of many seeds or inputs leaves behind: a JSON file, the source of its figures."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import psutil

from dedup.localkafka.jars import kafka_version

PACKAGES: Final = ("faust-streaming", "aiokafka", "rocksdict", "pydantic", "msgspec")


def environment(shared_with: str) -> dict[str, Any]:
    """Return what a result was measured on: the machine and the versions."""
    return {
        "machine": {
            "cores": psutil.cpu_count(),
            "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
            "shared_with": shared_with,
            "platform": platform.platform(),
            "load_average": [round(load, 2) for load in os.getloadavg()],
        },
        "versions": {
            "python": platform.python_version(),
            "kafka": kafka_version(),
            **{name: version(name) for name in PACKAGES},
        },
    }


def commit() -> str:
    """Return the commit that is checked out, and whether files differ from it."""
    command = ["git", "describe", "--always", "--abbrev=12", "--dirty"]
    try:
        said = subprocess.run(
            command, capture_output=True, text=True, check=True, cwd=Path(__file__).parent
        )
    except (OSError, subprocess.CalledProcessError):  # an archive without its history
        return "unknown"
    return said.stdout.strip()


def write_result(
    path: Path, what: str, module: str, shared_with: str, found: Mapping[str, Any]
) -> None:
    """Write a result file: what was run, by which command, on what, and what was found."""
    result = {
        "what": what,
        "command": " ".join([f"python -m {module}", *sys.argv[1:]]),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        **environment(shared_with),
        **found,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n")
