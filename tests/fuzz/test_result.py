"""The result file of a fuzzing run says what the fuzzer said; the fuzzer is a stand-in."""

import json
import sys
from pathlib import Path

import pytest

from tests.fuzz.result import run_and_record

SOUND = """
import sys
print("#1000 DONE cov: 900", file=sys.stderr)
print("stat::number_of_executed_units: 1000", file=sys.stderr)
print("stat::peak_rss_mb:              79", file=sys.stderr)
"""
CRASHED = """
import sys
print("SUMMARY: libFuzzer: fuzz target exited", file=sys.stderr)
print("Test unit written to ./crash-1", file=sys.stderr)
sys.exit(77)
"""


@pytest.mark.parametrize(
    ("program", "code", "inputs", "findings"),
    [(SOUND, 0, 1000, 0), (CRASHED, 77, None, 2)],
    ids=["sound", "crashed"],
)
def test_a_run_is_recorded_with_what_was_found(
    program: str, code: int, inputs: int | None, findings: int, tmp_path: Path
) -> None:
    file = tmp_path / "results" / "fuzz.json"
    command = [sys.executable, "-c", program]
    assert run_and_record(command, file, "tests.fuzz.atheris_read", seeds=3) == code
    result = json.loads(file.read_text())
    assert (result["exit_code"], result["inputs"], result["seeds"]) == (code, inputs, 3)
    assert len(result["findings"]) == findings
    assert result["libfuzzer"].get("peak_rss_mb") == (79 if code == 0 else None)
    assert {"command", "commit", "date", "machine", "versions"} <= set(result)
