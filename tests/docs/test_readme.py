"""The README is short, names the commands, and shows events and figures that are true."""

import json
import re

import pytest

from tests.docs.blocks import ROOT, blocks
from tests.support.products import CODEC, ROW_FIELDS, read_product, seen

README = (ROOT / "README.md").read_text("utf-8")
EXAMPLES = [
    json.loads("\n".join(block.lines))
    for block in blocks()
    if block.language == "json" and block.page in ("README.md", "docs/events.md")
]
FIGURES = re.findall(
    r"^\| [^|]+ \| ([0-9,]+ \([0-9,-]+\)) \| ([0-9.]+) \| ([0-9,]+) \|$", README, re.MULTILINE
)


def test_the_readme_has_at_most_150_lines() -> None:
    assert len(README.splitlines()) <= 150


def test_the_readme_names_the_commands_that_show_and_that_test() -> None:
    commands = [c for block in blocks() if block.page == "README.md" for c in block.commands]
    assert {"make demo", "make test", "pip install .", "faust -A dedup worker"} <= set(commands)


@pytest.mark.parametrize("event", [e for e in EXAMPLES if "product" in e])
def test_an_event_that_is_shown_is_one_that_is_applied(event: dict[str, dict[str, int]]) -> None:
    key = str(event["product"]["product_id"]).encode()
    assert seen(CODEC.read(key, json.dumps(event).encode())).complete


def test_the_row_that_is_shown_has_the_fields_of_a_row() -> None:
    rows = [each for each in EXAMPLES if "product" not in each]
    assert [tuple(row) for row in rows] == [ROW_FIELDS]
    assert read_product(json.dumps(rows[0]).encode()) is not None


def test_each_figure_of_the_readme_is_in_the_result_file_it_links() -> None:
    result = re.search(r"\((benchmarks/results/[^)]+\.md)\)", README)
    assert result is not None
    rows = [line.split(" | ") for line in (ROOT / result[1]).read_text("utf-8").splitlines()]
    measured = {
        (row[1], row[3].split(" ")[0], row[5].split(" ")[0]) for row in rows if len(row) > 5
    }
    assert len(FIGURES) > 3
    assert [each for each in FIGURES if each not in measured] == []
