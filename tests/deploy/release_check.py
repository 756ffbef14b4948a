"""Checks what a release would be: `make release-check`, and RELEASE_TAG=v1.2.3 for a tagged one.

The version is the newest of the changelog, the wheel holds every file of the packages, and its
commands work from an environment that has nothing but the wheel and what it asks for. Wheel and
source distribution are left in `dist/`.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Final

import dedup

ROOT: Final = Path(__file__).parents[2]
DIST: Final = ROOT / "dist"
UV: Final = ROOT / ".uv" / "bin" / "uv"
_HEADING: Final = re.compile(r"^## \[(\d[^]]*)\] - \d{4}-\d{2}-\d{2}$", re.MULTILINE)


def _run(*command: str | Path, cwd: Path = ROOT) -> str:
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, check=False, env=_environment()
    )
    if done.returncode:
        sys.exit(f"Error: {' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def _environment() -> dict[str, str]:
    """Nothing of this project's environment reaches the one that is checked."""
    ours = ("VIRTUAL_ENV", "PYTHONPATH", "UV_PROJECT_ENVIRONMENT")
    return {name: value for name, value in os.environ.items() if name not in ours}


def check_version(version: str, changelog: str, tag: str | None) -> None:
    """Exit with a sentence unless version, changelog and tag agree."""
    newest = _HEADING.search(changelog)
    if newest is None or newest[1] != version:
        found = f"is {newest[1]}" if newest else "has no version"
        sys.exit(
            f"Error: dedup.__version__ is {version}, the newest heading of CHANGELOG.md {found}. "
            f"Write '## [{version}] - YYYY-MM-DD' over what is released, or mend the version."
        )
    if tag and tag != f"v{version}":
        sys.exit(f"Error: the tag is {tag}, the version {version}: tag it v{version}.")


def check_files(wheel: Path) -> None:
    """Exit with a sentence unless the wheel holds the packages' files and what is compiled."""
    tracked = set(_run("git", "ls-files", "dedup", "producer").split())
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    compiled = {f"dedup/core/_recogniser{suffix}" for suffix in EXTENSION_SUFFIXES} & packed
    if tracked != packed - compiled:
        sys.exit(f"Error: in git or in {wheel.name}, not in both: {sorted(tracked ^ packed)}")


def check_commands(wheel: Path, directory: Path, version: str) -> None:
    """Exit with a sentence unless the wheel's commands work from an empty environment."""
    empty = directory / "environment"
    _run(UV, "venv", "--quiet", "--python", sys.executable, empty)
    python = empty / "bin" / "python"
    _run(UV, "pip", "install", "--quiet", "--python", python, wheel)
    _run(UV, "pip", "check", "--quiet", "--python", python)
    for command, expected in (
        (("dedup", "--version"), version),
        (("product-producer", "--help"), "KAFKA_BOOTSTRAP_SERVERS"),
        (("faust", "-A", "dedup", "--help"), "worker"),
    ):
        said = _run(empty / "bin" / command[0], *command[1:], cwd=directory)
        if expected not in said:
            sys.exit(f"Error: {' '.join(command)} says nothing of {expected}:\n{said}")


def main() -> None:
    """Run every check; the first that fails ends it with exit code 1."""
    version = dedup.__version__
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    check_version(version, changelog, os.environ.get("RELEASE_TAG"))
    shutil.rmtree(DIST, ignore_errors=True)
    build = (UV, "build", "--quiet", "--no-build-isolation", "--python", sys.executable)
    _run(*build, "--out-dir", DIST, ROOT)
    (wheel,) = DIST.glob("*.whl")
    check_files(wheel)
    with tempfile.TemporaryDirectory() as directory:
        check_commands(wheel, Path(directory), version)
    sys.stdout.write(f"{wheel.name} can be released.\n")


if __name__ == "__main__":
    main()
