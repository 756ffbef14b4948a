"""docs/api.md, which says what is public, says what the code has: no more and no less."""

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Final, NamedTuple

import click
import prometheus_client
import pytest

import dedup
from dedup.cli import cli
from dedup.core.decide import Rules
from dedup.observability.metrics import Metrics
from dedup.sink.metrics import SinkMetrics
from tests.support.products import CODEC, ROW_FIELDS

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = (ROOT / "docs" / "api.md").read_text("utf-8")
GENERAL_CODES: Final = {"0", "1", "2", "130", "141"}
NO_HEADERS: Final = {"dedup.web", "dedup.plain"}
"""A package, and an error handler of Python's codecs."""

_EXIT_CODE: Final = re.compile(r"^  (\d+) ", re.MULTILINE)


class Command(NamedTuple):
    name: str
    help: str
    options: frozenset[str]


def commands(of: click.Command = cli, name: str = "dedup", epilog: str = "") -> Iterator[Command]:
    """Walk the commands that do something; the exit codes may be in the help of their group."""
    epilog = of.epilog or epilog
    if isinstance(of, click.Group):
        context = click.Context(of)
        for part in of.list_commands(context):
            command = of.get_command(context, part)
            assert command is not None
            yield from commands(command, f"{name} {part}", epilog)
    else:
        yield Command(name, epilog, frozenset(opt for p in of.params for opt in p.opts))


@cache
def rows(heading: str) -> list[list[str]]:
    """Return the cells of the tables in a section of the page, without the first row of each."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    heads = [number - 1 for number, line in enumerate(lines) if line.startswith("| ---")]
    return [
        [cell.strip().strip("`") for cell in line.strip("|").split("|")]
        for number, line in enumerate(lines)
        if number not in heads and number - 1 not in heads
    ]


def test_the_names_of_the_packages_are_those_of_the_page() -> None:
    public = {
        f"{module}.{name}"
        for module in ("dedup", "dedup.localkafka")
        for name in import_module(module).__all__
    }
    named = {name.strip("` ") for row in rows("Python") for name in row[0].split(",")}
    assert public == named


def test_every_public_name_can_be_imported() -> None:
    """In an interpreter of its own and an empty environment, by `*` too; no broker is asked."""
    environ = {n: v for n, v in os.environ.items() if not n.startswith(("KAFKA_", "DEDUP_"))}
    code = (
        "from dedup import *\nfrom dedup.localkafka import *\nprint(type(app).__mro__)\n"
        "print(__version__, LocalKafka, LocalKafkaError)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environ
    )
    assert "faust.app.base.App" in done.stdout
    assert dedup.__version__ in done.stdout


def test_what_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'apps'"):
        _ = dedup.apps


def test_the_commands_are_those_of_the_page() -> None:
    assert {row[0] for row in rows("Commands") if row[0].startswith("dedup ")} == {
        command.name for command in commands()
    }


def test_the_page_says_which_commands_print_json() -> None:
    listed = {row[0]: row[2] for row in rows("Commands") if row[0].startswith("dedup ")}
    assert listed == {c.name: "yes" if "--json" in c.options else "" for c in commands()}


def test_the_page_says_every_exit_code() -> None:
    """The general ones are those of `dedup --help`; others stand at their command."""
    described = [row for row in rows("Commands") if row[0].startswith("dedup ")]
    listed = {row[0]: set(re.findall(r"\d+", row[3])) for row in described}
    found = {c.name: set(_EXIT_CODE.findall(c.help)) - GENERAL_CODES for c in commands()}
    assert listed == found
    assert {row[0] for row in rows("Commands") if row[0].isdigit()} == GENERAL_CODES
    assert set(_EXIT_CODE.findall(cli.epilog or "")) == GENERAL_CODES.union(*found.values())


def test_the_headers_are_those_of_the_page() -> None:
    """Every text of the package that looks like a header's name is one of the page."""
    texts = {
        node.value
        for path in (ROOT / "dedup").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    named = {t for t in texts if re.fullmatch(r"(dedup|__streams)(\.[a-z_]+)+", t)}
    headers = {
        name for name in named - NO_HEADERS if not name.startswith(("dedup.cli.", "dedup.core."))
    }
    assert headers == {row[0] for row in rows("Topics") if "." in row[0] and len(row) == 3}


def test_the_members_of_a_row_are_those_of_the_page() -> None:
    sentence = PAGE.split("A row has the members ")[1].split(";")[0]
    assert tuple(re.findall(r"`(\w+)`", sentence)) == ROW_FIELDS


def test_the_metrics_are_those_of_the_page() -> None:
    registries: list[prometheus_client.CollectorRegistry] = [
        Metrics(Rules(codec=CODEC)).registry,
        SinkMetrics().registry,
    ]
    served = {(m.name, m.type) for registry in registries for m in registry.collect()}
    assert served == {(row[0], row[1]) for row in rows("Metrics")}


def test_the_paths_are_those_of_the_page() -> None:
    described = json.loads((ROOT / "docs" / "openapi.json").read_text("utf-8"))
    assert set(described["paths"]) == {row[0] for row in rows("HTTP")}
