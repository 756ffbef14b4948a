"""The faults of libraries in docs/upstream are there, and each is described."""

import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Final

import pytest

from tests.docs.blocks import ROOT

UPSTREAM: Final = ROOT / "docs" / "upstream"
PAGE: Final = (UPSTREAM / "README.md").read_text("utf-8")
SCRIPTS: Final = sorted(UPSTREAM.glob("*.py"))
WORKED_AROUND: Final = (
    *("error_codes", "header_key_not_utf8", "no_pause_between_metadata_requests"),
    *("fetcher_close_waits_forever", "offset_request_without_metadata"),
    "bootstrap_without_brokers",
)
"""The scripts whose fault `adjust_aiokafka` takes out of aiokafka."""


def run(*command: str | Path) -> tuple[int, str]:
    """Return the exit status of a Python program, and what it prints."""
    done = subprocess.run(
        [sys.executable, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_the_fault_is_there(script: Path, kafka: str) -> None:
    """If it is gone, delete the script, its section of the page and the workaround named there."""
    status, printed = run(script, kafka)
    assert status == 0, printed


@pytest.mark.parametrize("name", WORKED_AROUND)
def test_a_client_of_this_project_does_not_have_the_fault(name: str) -> None:
    adjusted = (
        "import runpy, sys; from dedup.kafka.client import adjust_aiokafka; adjust_aiokafka(); "
        "runpy.run_path(sys.argv[1], run_name='__main__')"
    )
    status, printed = run("-c", adjusted, UPSTREAM / f"{name}.py")
    assert status == 1, printed
    assert "Traceback" not in printed


def test_each_script_has_a_section_and_each_section_a_script() -> None:
    sections = re.findall(r"^## .+\n\n`(\w+\.py)`$", PAGE, re.MULTILINE)
    assert sorted(sections) == [script.name for script in SCRIPTS]
    assert len(sections) == len(re.findall(r"^## ", PAGE, re.MULTILINE))


def test_the_page_names_files_of_this_project_that_exist() -> None:
    named = set(re.findall(r"`((?:dedup|tests)/[\w/]+\.py)`", PAGE))
    assert named
    assert [path for path in sorted(named) if not (ROOT / path).is_file()] == []


@pytest.mark.parametrize("library", ["aiokafka", "faust-streaming", "mode-streaming", "rocksdict"])
def test_the_page_names_the_version_that_is_installed(library: str) -> None:
    assert f"{library} {version(library)}" in PAGE
