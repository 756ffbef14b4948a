"""The documentation site has every page, and CI builds it; the recording is one of `make demo`."""

import re
from collections.abc import Iterator
from typing import Any, Final
from xml.etree import ElementTree as ET

import pytest
import yaml

from tests.docs.blocks import PAGES, ROOT

RECORDING: Final = ROOT / "docs" / "images" / "demo.svg"


@pytest.fixture(scope="module")
def site() -> Any:
    text = (ROOT / "mkdocs.yml").read_text("utf-8")
    return yaml.safe_load(re.sub(r"!!python/\S+", "", text))  # what mkdocs would call


def leaves(nav: Any) -> Iterator[str]:
    """Walk the pages of a navigation, in its order."""
    if isinstance(nav, str):
        yield nav
    else:
        for part in nav.values() if isinstance(nav, dict) else nav:
            yield from leaves(part)


def test_every_page_is_in_the_navigation_once(site: Any) -> None:
    pages = {str(page.relative_to(ROOT)) for page in (*PAGES, *ROOT.glob("*.md"))}
    assert sorted(leaves(site["nav"])) == sorted(pages)


def test_the_navigation_is_in_the_order_of_its_readers(site: Any) -> None:
    sections = [next(iter(section)) for section in site["nav"]]
    assert sections == ["Home", "Evaluate", "Use", "Operate", "Contribute"]


def test_every_decision_is_in_their_list() -> None:
    directory = ROOT / "docs" / "adr"
    listed = re.findall(r"\]\((\d{4}-[^)]+)\)", (directory / "README.md").read_text("utf-8"))
    assert listed == sorted(page.name for page in directory.glob("[0-9]*.md"))


def test_the_reference_has_every_package_with_public_names() -> None:
    api = (ROOT / "docs" / "api.md").read_text("utf-8").split("\n## Commands\n")[0]
    named = set(re.findall(r"^\| `([\w.]+)\.\w+` \|", api, re.MULTILINE))
    reference = (ROOT / "docs" / "reference.md").read_text("utf-8")
    assert set(re.findall(r"^::: (\S+)$", reference, re.MULTILINE)) == named


def test_nothing_is_loaded_from_elsewhere(site: Any) -> None:
    assert site["theme"]["font"] is False
    assert not {"extra_javascript", "repo_url"} & set(site)
    assert all((ROOT / path).is_file() for path in site["extra_css"])


def test_ci_builds_the_site_and_a_broken_link_fails_it(site: Any) -> None:
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8")
    jobs = yaml.safe_load(workflow)["jobs"]
    assert "make docs-site" in [step.get("run") for step in jobs["docs"]["steps"]]
    assert "mkdocs build --strict\n" in (ROOT / "Makefile").read_text("utf-8")
    assert set(site["validation"]["links"].values()) == {"warn"}


def test_the_recording_is_a_small_picture_that_loads_nothing() -> None:
    text = RECORDING.read_text("utf-8")
    assert len(text.encode()) < 200_000
    assert "href" not in text
    assert "@import" not in text
    assert "url(" not in text


def test_the_recording_ends_with_the_oracle_s_verdict() -> None:
    """The groups of class `end` are what it shows where nothing is animated."""
    svg = "{http://www.w3.org/2000/svg}"
    groups = ET.parse(RECORDING).getroot().findall(f"{svg}g")  # noqa: S314 - it is ours
    ending = [
        text.text for g in groups if g.get("class") == "end" for text in g.findall(f"{svg}text")
    ]
    assert ending[0] == "$ make demo"
    assert any(text is not None and text.startswith("✔ The oracle agrees: ") for text in ending)
