"""The versions of what runs, as its own interpreter knows them."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from benchmarks.contender import CouldNotRunError

_ASK: Final = (
    "import json, sys; from importlib.metadata import version; "
    "print(json.dumps({name: version(name) for name in sys.argv[1:]}))"
)


def versions_of(python: Path, packages: Sequence[str]) -> Mapping[str, str]:
    """Ask an interpreter for its packages. Raises CouldNotRunError when it or one is missing."""
    environment = python.parent.parent.name
    if not python.exists():
        raise CouldNotRunError(f"{environment} is missing; make bench makes it")
    answer = subprocess.run(  # noqa: S603 - our own interpreter
        [str(python), "-c", _ASK, *packages], capture_output=True, check=False, text=True
    )
    if answer.returncode:
        last = answer.stderr.strip().splitlines()[-1]
        raise CouldNotRunError(f"{environment} lacks a package on this Python: {last}")
    versions: dict[str, str] = json.loads(answer.stdout)
    return versions
