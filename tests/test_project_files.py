"""The files a stranger looks for before using or changing the project say what holds."""

import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib.metadata import metadata
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

import dedup

ROOT: Final = Path(__file__).parents[1]
FORMS: Final = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("[!c]*.yml"))
TARGETS: Final = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def read_yaml(path: str | Path) -> Any:
    return yaml.safe_load((ROOT / path).read_text("utf-8"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    """The wheel, built offline by the backend that is installed."""
    directory = tmp_path_factory.mktemp("dist")
    uv = (ROOT / ".uv" / "bin" / "uv", "build", "--wheel", "--no-build-isolation", "--offline")
    options = ("--quiet", "--python", sys.executable, "--out-dir", directory)
    subprocess.run([*uv, *options, ROOT], check=True)
    with zipfile.ZipFile(next(directory.glob("*.whl"))) as built:
        yield built


def test_the_wheel_has_the_license_and_the_types(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    assert {"dedup/py.typed", "producer/py.typed"} <= names
    (packed,) = [name for name in names if name.endswith(".dist-info/licenses/LICENSE")]
    assert wheel.read(packed) == (ROOT / "LICENSE").read_bytes()


def test_the_metadata_name_the_license_of_the_file() -> None:
    known = metadata("product-dedup")
    assert known["License-Expression"] == "Apache-2.0"
    text = (ROOT / "LICENSE").read_text("ascii")
    assert re.search(r"Apache License\s+Version 2\.0, January 2004", text)
    assert text.rstrip().endswith("limitations under the License.")


def test_the_classifiers_are_the_versions_of_python_that_ci_runs() -> None:
    tested = read_yaml(".github/workflows/ci.yml")["jobs"]["test"]["strategy"]["matrix"]["python"]
    listed = re.findall(r"Python :: (3\.\d+)\n", "\n".join(_classifiers()) + "\n")
    assert listed == tested
    assert "Typing :: Typed" in _classifiers()


def _classifiers() -> list[str]:
    return metadata("product-dedup").get_all("Classifier") or []


def test_contributing_names_the_targets_there_are() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    commands = re.findall(r"make ((?:[a-z-]+ ?)+)(?:`|$)", text, re.MULTILINE)
    named = set(" ".join(commands).split())
    assert {"demo", "test", "lint", "types", "coverage"} <= named
    assert named - TARGETS == set()


def test_security_supports_the_version_there_is() -> None:
    minor = ".".join(dedup.__version__.split(".")[:2])
    assert f"| {minor}.x | yes |" in (ROOT / "SECURITY.md").read_text("utf-8")


def test_the_hooks_run_the_tree_s_own_tools() -> None:
    """They come from no other repository, so nothing is fetched that is not locked."""
    repositories = read_yaml(".pre-commit-config.yaml")["repos"]
    assert [each["repo"] for each in repositories] == ["local"]
    entries = [hook["entry"].split() for hook in repositories[0]["hooks"]]
    assert [words[0] for words in entries] == ["make"] * len(entries)
    assert {word for words in entries for word in words[1:]} == {"lint", "types"} <= TARGETS


@pytest.mark.parametrize("form", FORMS, ids=lambda path: path.stem)
def test_an_issue_form_is_one(form: Path) -> None:
    """What GitHub asks of a form: name, description, and fields, each with its id and label."""
    asked = read_yaml(form)
    assert asked["name"]
    assert asked["description"]
    fields = [part for part in asked["body"] if part["type"] != "markdown"]
    assert {part["type"] for part in fields} <= {"textarea", "input", "dropdown", "checkboxes"}
    for names in ([part["id"] for part in fields], [p["attributes"]["label"] for p in fields]):
        assert len(set(names)) == len(names) > 0
    assert any(part.get("validations", {}).get("required") for part in fields)


def test_ci_prints_the_coverage_in_a_job_of_its_own() -> None:
    jobs = read_yaml(".github/workflows/ci.yml")["jobs"]
    running = [n for n, job in jobs.items() if "make coverage" in str(job.get("steps"))]
    assert running == ["coverage"]
    assert "coverage" not in (ROOT / ".ci" / "run").read_text()
