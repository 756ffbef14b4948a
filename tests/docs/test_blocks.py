"""Blocks are what they say. `make test-docs` runs the commands, from a clean clone."""

import ast
import json
import subprocess

import pytest
import yaml

from tests.docs.blocks import ELSEWHERE, LANGUAGES, SERVES, STANDS_FOR, Block, blocks, matching

BLOCKS = list(blocks())
COMMANDS = [
    command for block in BLOCKS if block.language in ("sh", "console") for command in block.commands
]
each_block = pytest.mark.parametrize("block", BLOCKS, ids=lambda b: f"{b.page}:{b.line}")


@each_block
def test_a_block_names_its_language_and_is_of_it(block: Block) -> None:
    text = "\n".join(block.lines)
    assert block.language in LANGUAGES
    if block.language == "sh":
        subprocess.run(["bash", "-n"], input=text, text=True, check=True)  # noqa: S607 - the user's
    if block.language == "python":
        ast.parse(text)
    if block.language == "json":
        json.loads(text)
    if block.language == "yaml":
        list(yaml.safe_load_all(text))


def test_there_are_commands_on_every_page_that_says_what_to_run() -> None:
    pages = {block.page for block in BLOCKS if block.language in ("sh", "console")}
    assert {"README.md", "docs/operations.md", "docs/flink.md", "docs/consumers.md"} <= pages
    assert len(COMMANDS) > 30


@pytest.mark.parametrize("table", [SERVES, ELSEWHERE], ids=["serves", "elsewhere"])
def test_no_exception_is_left_of_a_command_that_is_gone(table: dict[str, str]) -> None:
    unused = [p for p in table if not any(matching({p: ""}, c) is not None for c in COMMANDS)]
    assert unused == []


def test_every_value_that_is_replaced_is_on_a_page() -> None:
    text = "\n".join(COMMANDS)
    assert [value for value in STANDS_FOR if value not in text] == []
