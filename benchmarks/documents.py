"""Writes the figures of README and the documents from the result files: nobody types one.

`make docs` replaces what stands between marks: `<!-- figures: NAME, written by make docs -->` and
`<!-- end of figures -->`. The names are those of `PARTS`.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from benchmarks import bars, tables
from benchmarks.chaos import chaos
from benchmarks.contender import ROOT
from benchmarks.figures import figures
from benchmarks.report import RESULTS, read_results

DOCUMENTS: Final = (
    ROOT / "README.md",
    ROOT / "docs" / "performance.md",
    ROOT / "docs" / "guarantees.md",
)
MARKED: Final = re.compile(
    r"(?P<begin><!-- figures: (?P<name>[\w-]+), written by make docs -->\n)"
    r"(?P<text>.*?)(?P<end><!-- end of figures -->)",
    re.DOTALL,
)

Results = Mapping[str, Mapping[str, Any]]

PARTS: Final[Mapping[str, Callable[[Results, str], str]]] = {
    "readme": tables.readme,
    "comparison": tables.comparison,
    "inputs": tables.inputs,
    "latency": tables.latencies,
    "growth": tables.growth,
    "soak": tables.soak,
    "chaos": chaos,
    "bars": lambda results, _: _bars(results),
    "results": lambda results, _: figures(results),
}
"""What is between the marks of a name, made of the results and the path to their directory."""


def _bars(results: Results) -> str:
    found = bars.verdicts(results)
    return f"{bars.counted(found)}\n\n{bars.table(found)}"


def written(document: Path, text: str, results: Results) -> str:
    """Return the text of a document with the figures that the results make."""
    to_root = "../" * (len(document.relative_to(ROOT).parts) - 1)

    def made(match: re.Match[str]) -> str:
        part = PARTS[match["name"]](results, f"{to_root}benchmarks/results")
        return f"{match['begin']}{part.strip()}\n\n{match['end']}"

    return MARKED.sub(made, text)


def without_figures(text: str) -> str:
    """Return a document without what is made of results."""
    return MARKED.sub("", text)


def made_figures(text: str) -> Iterator[str]:
    """Return what stands between the marks of a document."""
    yield from (match["text"] for match in MARKED.finditer(text))


def main() -> None:
    """Write the figures into the documents."""
    results = read_results(RESULTS)
    for document in DOCUMENTS:
        document.write_text(written(document, document.read_text(), results))


if __name__ == "__main__":
    main()
