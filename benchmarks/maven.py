"""Builds the Maven projects beside this file: contenders that are written in Java."""

import shutil
import subprocess
from pathlib import Path
from typing import Final

from benchmarks.contender import ROOT, CouldNotRunError

_LOG_LINES: Final = 15


def package(project: Path) -> Path:
    """Build a project; gives its directory `target`.

    Raises CouldNotRunError, with the end of Maven's words.
    """
    maven = shutil.which("mvn")
    if maven is None:
        raise CouldNotRunError("mvn is not on the PATH: install Maven and a JDK of 17 or newer")
    built = subprocess.run(  # noqa: S603 - our own build
        [maven, "--quiet", "--batch-mode", "package"],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    if built.returncode != 0:
        end = "\n".join((built.stdout + built.stderr).splitlines()[-_LOG_LINES:])
        raise CouldNotRunError(f"mvn package failed in {project.relative_to(ROOT)}: {end}")
    return project / "target"


def version_of(artifact: str, target: Path) -> str:
    """Return the version of a dependency that was copied to `target/lib`."""
    (jar,) = (target / "lib").glob(f"{artifact}-[0-9]*.jar")
    return jar.stem.removeprefix(f"{artifact}-")
