"""Every relative link of README and docs leads to a file, and to a heading where it names one."""

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.docs.blocks import PAGES, ROOT

LINKING = sorted({*PAGES, *ROOT.glob("*.md")})
ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:")
"""A link with a scheme, such as https: or mailto:."""


def prose(page: Path) -> str:
    """The text of a page without its code."""
    fenced = re.sub(
        r"^( *)```.*?^\1```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL
    )
    return re.sub(r"`[^`\n]*`", lambda code: code[0].replace("[", "").replace("]", ""), fenced)


def links(page: Path) -> Iterator[str]:
    """The targets of a page's links and pictures that stay in the repository."""
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if ELSEWHERE.match(target) is None:
            yield target


@cache
def anchors(page: Path) -> frozenset[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    found: set[str] = set()
    seen: Counter[str] = Counter()
    for heading in re.findall(r"^#+ +(.+)$", prose(page), flags=re.MULTILINE):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading.strip())
        anchor = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        found.add(f"{anchor}-{seen[anchor]}" if seen[anchor] else anchor)
        seen[anchor] += 1
    return frozenset(found)


@pytest.mark.parametrize("page", LINKING, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    dead = []
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(link)
    assert dead == []


def test_links_are_found_and_anchors_are_those_of_github() -> None:
    """Otherwise the test above would be green because it looks at nothing."""
    assert "docs/guarantees.md" in set(links(ROOT / "README.md"))
    operations = anchors(ROOT / "docs" / "operations.md")
    assert {"three-questions", "why-was-this-event-not-forwarded", "deduplaggrowing"} <= operations
    assert "docs" not in operations


def test_every_page_of_docs_can_be_reached_from_the_readme() -> None:
    reached, ahead = set(), [ROOT / "README.md"]
    while ahead:
        page = ahead.pop()
        if page in reached:
            continue
        reached.add(page)
        targets = ((page.parent / link.partition("#")[0]).resolve() for link in links(page))
        for target in targets:
            ahead += sorted(target.glob("*.md")) if target.is_dir() else []
            ahead += [target] if target.suffix == ".md" else []
    assert sorted(set((ROOT / "docs").rglob("*.md")) - reached) == []
