"""What can be told of compose file, Dockerfiles, scripts and workflows without running them."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.engine import COMPOSE, ROOT

BIN = ROOT / ".venv" / "bin"
OURS = {"topics", "producer", "worker-1", "worker-2", "sink", "flink-topics"}
DOCKERFILES = sorted((ROOT / "deploy").rglob("*Dockerfile"))
SCRIPTS = [
    script
    for directory in ("deploy", "tests")
    for script in sorted((ROOT / directory).rglob("*.sh"))
    if script.is_file()
]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def said(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command with nothing in its environment that could set the demo up."""
    environ = {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": os.environ.get("HOME", "/")}
    return subprocess.run(
        command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False
    )


def composed(*options: str) -> dict[str, Any]:
    """What compose makes of docker-compose.yml."""
    done = said(COMPOSE, *options, "--profile=flink", "config", "--format=json")
    assert done.returncode == 0, done.stderr
    assert "level=warning" not in done.stderr, done.stderr
    project: dict[str, Any] = json.loads(done.stdout)
    return project


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    found: dict[str, Any] = composed()["services"]
    assert found.keys() > OURS
    return found


def test_compose_refuses_what_it_does_not_know(tmp_path: Path) -> None:
    """The check can fail."""
    wrong = tmp_path / "wrong.yml"
    wrong.write_text("services: {kafka: {image: kafka, helthcheck: {}}}")
    done = said(COMPOSE, f"--file={wrong}", "config", "--quiet")
    assert done.returncode != 0
    assert "helthcheck" in done.stderr


def test_the_example_of_settings_holds_the_defaults_and_every_setting(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.touch()
    example = ROOT / ".env.example"
    assert composed(f"--env-file={example}") == composed(f"--env-file={empty}")
    named = set(re.findall(r"^(\w+)=", example.read_text(), re.MULTILINE))
    assert named == set(re.findall(r"\$\{(\w+):-", (ROOT / "docker-compose.yml").read_text()))


def test_nothing_is_open_to_the_network(services: dict[str, Any]) -> None:
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert len(published) == 7
    assert {port["host_ip"] for port in published} == {"127.0.0.1"}


def test_every_service_is_limited_and_our_own_are_hardened(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert "no-new-privileges:true" in service["security_opt"], name
        assert service["logging"]["options"]["max-size"], name
        if "topics" not in name:
            assert service["deploy"]["resources"]["limits"]["memory"], name
        if name in OURS:
            assert service["read_only"], name
            assert service["cap_drop"] == ["ALL"], name
            assert service["user"] == "10001:10001", name


def test_every_service_waits_for_what_it_needs(services: dict[str, Any]) -> None:
    waits = {
        name: {needed: how["condition"] for needed, how in service.get("depends_on", {}).items()}
        for name, service in services.items()
    }
    done, healthy = "service_completed_successfully", "service_healthy"
    assert waits["topics"] == {"kafka": healthy}
    assert waits["worker-1"] == waits["worker-2"] == waits["producer"] == {"topics": done}
    assert waits["sink"] == {"topics": done, "postgres": healthy}
    assert waits["flink-sql"] == {"flink-topics": done, "flink-jobmanager": healthy}


def test_what_is_mounted_and_built_from_is_in_the_project(services: dict[str, Any]) -> None:
    mounts = [mount for service in services.values() for mount in service.get("volumes", [])]
    sources = [Path(mount["source"]) for mount in mounts if mount["type"] == "bind"]
    builds = [service["build"] for service in services.values() if "build" in service]
    sources += [Path(build["context"]) / build["dockerfile"] for build in builds]
    assert len(sources) >= 7
    assert [source for source in sources if not source.exists()] == []


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
def test_hadolint_finds_nothing(dockerfile: Path) -> None:
    done = said("hadolint", "--no-color", dockerfile)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


@pytest.mark.parametrize("script", [*SCRIPTS, ROOT / ".ci" / "run"], ids=lambda path: path.name)
def test_shellcheck_finds_nothing(script: Path) -> None:
    done = said("shellcheck", script)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_actionlint_finds_nothing(workflow: Path) -> None:
    done = said(COMPOSE.with_name("actionlint"), workflow)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_workflows_run_targets_that_exist() -> None:
    lines = re.findall(r"run: make ([^\n]+)", "\n".join(path.read_text() for path in WORKFLOWS))
    targets = {word for line in lines for word in line.split() if "=" not in word}
    assert {"lint", "types", "chaos", "parity", "test-deploy", "test-compose"} <= targets
    made = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert targets <= set(made)


def test_the_linters_find_what_is_wrong(tmp_path: Path) -> None:
    """The checks above can fail."""
    for name, text, linter in (
        ("Dockerfile", "FROM debian\nRUN cd /x && sudo make\n", "hadolint"),
        ("script.sh", "#!/bin/sh\nrm $1\n", "shellcheck"),
        ("ci.yml", "on: push\njobs: {a: {runs-on: nowhere}}\n", COMPOSE.with_name("actionlint")),
    ):
        wrong = tmp_path / name
        wrong.write_text(text)
        assert said(linter, wrong).returncode != 0, name
