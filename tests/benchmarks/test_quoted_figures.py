"""A measured figure in a document stands in a result file that the same paragraph links to."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from benchmarks.contender import ROOT
from benchmarks.documents import made_figures, without_figures

DOCUMENTS: Final = [
    ROOT / "README.md",
    *(ROOT / "docs" / name for name in ("guarantees.md", "fuzzing.md", "performance.md")),
    ROOT / "docs" / "flink.md",
    *sorted((ROOT / "docs" / "adr").glob("*.md")),
]
UNITS: Final = r"events/s|rows/s|events a second|inputs|µs|us\b|runs\b"
MEASURED: Final = re.compile(rf"(?<![\w.-])(\d[\d,]*(?:\.\d+)?)\s(?:{UNITS})")
NUMBER: Final = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?")
LINK: Final = re.compile(r"\]\((?:\.\./)?(benchmarks/results/[^)]+\.(?:json|md))\)")
GENERATED: Final = "\n".join(made_figures((ROOT / "docs" / "performance.md").read_text()))
"""The parts of docs/performance.md that are made of result files."""

CHOSEN: Final = {
    ("guarantees.md", "3,000"),  # what `make chaos` feeds
    ("performance.md", "5,000"),  # what `make soak` and a latency run feed
    ("performance.md", "20,000"),
}
"""Settings of a run, which nobody has measured."""


def blocks(text: str) -> Iterator[str]:
    """Paragraphs; a table belongs to the paragraph that introduces it."""
    parts = [part for part in re.split(r"\n\s*\n", without_figures(text)) if part.strip()]
    joined: list[str] = []
    for part in parts:
        if part.lstrip().startswith("|") and joined:
            joined[-1] += "\n" + part
        else:
            joined.append(part)
    return iter(joined)


def figures(block: str) -> set[str]:
    """Numbers with a unit of measurement, and all in the cells of a table of such units."""
    found = {match[1] for match in MEASURED.finditer(block)}
    rows = [line.strip("| ").split(" | ") for line in block.splitlines() if line.startswith("|")]
    for name, *cells in rows:
        if "events/s" in rows[0] or name.startswith(("events/s", "CPU")):
            found.update(number for cell in cells for number in NUMBER.findall(cell))
    return found


def sources(block: str) -> str:
    """The text of the result files that a block links to, tables of each with its figures."""
    texts = [GENERATED] if "](#figures)" in block else []
    for link in LINK.findall(block):
        path = ROOT / link
        texts += [each.read_text() for each in (path, path.with_suffix(".md")) if each.exists()]
    return "\n".join(texts)


def numbers(text: str) -> set[str]:
    """Numbers as they are written, and rounded to whole ones."""
    exact = set(NUMBER.findall(text))
    return exact | {f"{float(each.replace(',', '')):,.0f}" for each in exact}


def unsourced(document: Path, text: str) -> list[str]:
    """Figures of a document that no linked result file has."""
    return [
        f"{document.name}: {figure} in {block[:80]!r}"
        for block in blocks(text)
        for figure in sorted(figures(block) - numbers(sources(block)))
        if (document.name, figure) not in CHOSEN
    ]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_measured_figure_has_a_result_file(document: Path) -> None:
    assert unsourced(document, document.read_text()) == []


def test_a_figure_without_a_file_or_with_another_one_is_found() -> None:
    result = max(ROOT.glob("benchmarks/results/*-throughput-300000.md"))
    found = re.search(r"([\d,]+) \(.*? \| ([\d.]+) \(", result.read_text())
    assert found is not None
    rate, cpu = found.groups()
    link = f"[file]({result.relative_to(ROOT)})"
    document = ROOT / "README.md"
    assert unsourced(document, f"It does {rate} events/s ({link}).") == []
    assert unsourced(document, f"It does 1{rate} events/s ({link}).") != []
    assert unsourced(document, f"It does {rate} events/s.") != []
    table = f"By {link}:\n\n| | events/s | CPU |\n| --- | --- | --- |\n| ours | {rate} | %s |"
    assert unsourced(document, table % cpu) == []
    assert unsourced(document, table % "99.9") != []
