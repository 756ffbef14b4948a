"""What a contender needs is looked for before the first round."""

import sys
from pathlib import Path

import pytest

from benchmarks import ours
from benchmarks.contender import CouldNotRunError
from benchmarks.versions import versions_of


def test_the_versions_are_those_of_the_interpreter() -> None:
    assert versions_of(Path(sys.executable), ["aiokafka"]).keys() == {"aiokafka"}


def test_a_missing_environment_could_not_run(tmp_path: Path) -> None:
    python = tmp_path / ".venv-none" / "bin" / "python"
    with pytest.raises(CouldNotRunError, match=r"\.venv-none is missing; make bench makes it"):
        versions_of(python, ["aiokafka"])


def test_a_missing_package_could_not_run() -> None:
    with pytest.raises(CouldNotRunError, match="no-such-package"):
        versions_of(Path(sys.executable), ["no-such-package"])


@pytest.mark.parametrize("is_compiled", ["yes", "no"])
def test_an_install_in_python_alone_may_not_be_compiled(
    is_compiled: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ours, "PURE", Path(sys.executable))
    monkeypatch.setattr(ours, "is_compiled", lambda _: is_compiled)
    prepare = ours.pure("exactly_once").prepare
    if is_compiled == "yes":
        with pytest.raises(CouldNotRunError, match="has the compiled recogniser"):
            prepare()
    else:
        assert prepare()["compiled"] == "no"
