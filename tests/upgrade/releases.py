"""Earlier releases of the worker, each installed apart: its own tree, its own requirements."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final
from zipfile import ZipFile

ROOT: Final = Path(__file__).parents[2]
CACHE: Final = ROOT / ".cache" / "releases"
UV: Final = ROOT / ".uv" / "bin" / "uv"


class UnavailableError(Exception):
    """The release can't be installed; the text says why and what to do."""


@dataclass(frozen=True)
class Release:
    """A revision that stands for a release."""

    name: str
    revision: str

    def installed(self) -> Path:
        """Return its tree, with the environment `.venv`. The first time it is installed."""
        tree = CACHE / self.revision
        done = tree / "installed"
        if not done.exists():
            shutil.rmtree(tree, ignore_errors=True)
            self._export(tree)
            _install(tree)
            done.touch()
        return tree

    def _export(self, tree: Path) -> None:
        command = ["git", "-C", str(ROOT), "archive", "--format=zip", self.revision]
        try:
            archive = subprocess.run(command, capture_output=True, check=True).stdout
        except (OSError, subprocess.CalledProcessError) as error:
            raise UnavailableError(
                f"Revision {self.revision[:8]} is needed, and git has no such revision here. "
                "In a shallow clone run `git fetch --unshallow`."
            ) from error
        with ZipFile(BytesIO(archive)) as files:
            files.extractall(tree)


LAST_RELEASE: Final = Release("last release", "3cd45b8acaef0cb7da7763c85e309bbfdaa5d9b6")
"""The last revision before the packed header and states written behind (ADR 22, 23): everything
in the formats of 0.1.0. No tag is older."""


def _install(tree: Path) -> None:
    """Make the environment of a tree, by its own locked and hashed requirements."""
    if not UV.exists():
        raise UnavailableError("uv is needed: run `make .venv/dev.installed`.")
    for arguments in (
        ["venv", "--python", sys.executable, ".venv"],
        ["pip", "install", "--require-hashes", "-r", "requirements/local.txt"],
        ["pip", "install", "--no-deps", "--no-build-isolation", "-e", "."],
    ):
        made = subprocess.run(
            [str(UV), *arguments],
            cwd=tree,
            env=os.environ | {"VIRTUAL_ENV": str(tree / ".venv")},
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode != 0:
            raise UnavailableError(f"uv {' '.join(arguments)}: {made.stderr}")
