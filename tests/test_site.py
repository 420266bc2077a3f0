"""The documentation site: it builds without warnings, and each page is complete without a network."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from functools import cache
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import pytest
from typing_extensions import override

from tap_daktela.streams.definitions import STREAMS
from tests.markdown import ROOT, name_of, pages

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOT_ON_THE_SITE = {".github/pull_request_template.md"}
LOADED = {("script", "src"), ("img", "src"), ("link", "href"), ("iframe", "src"), ("source", "srcset")}
"""Elements and attributes that make a browser load a file with the page."""


class Elements(HTMLParser):
    """The references of a page to other files, and its anchors."""

    def __init__(self) -> None:
        super().__init__()
        self.references: list[tuple[str, str, str]] = []
        self.anchors: set[str] = set()

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in {"href", "src", "srcset"} and value:
                self.references.append((tag, name, value))
            elif name == "id" and value:
                self.anchors.add(value)


@cache
def elements(path: Path) -> Elements:
    parsed = Elements()
    parsed.feed(path.read_text(encoding="utf-8"))
    return parsed


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the built site. Warnings are errors, as for `make docs`."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet", "--color"]
    built = subprocess.run(
        [
            *command,
            "-b",
            "html",
            "-c",
            str(ROOT / "docs"),
            "-d",
            str(folder / "doctrees"),
            str(ROOT),
            str(folder / "html"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return folder / "html"


def links(path: Path, site: Path) -> Iterator[tuple[Path, str]]:
    """Return the files and anchors to which a page links within the site."""
    for _, _, value in elements(path).references:
        target = urlsplit(value)
        if not target.scheme and not target.netloc:
            file = (path.parent / unquote(target.path)).resolve() if target.path else path
            yield (file / "index.html" if file.is_dir() else file), target.fragment
    assert path.is_relative_to(site)


def test_every_page_is_on_the_site_and_can_be_reached_from_its_start(site: Path) -> None:
    reached: set[Path] = set()
    waiting = [site / "index.html"]
    while waiting:
        path = waiting.pop()
        if path not in reached and path.suffix == ".html":
            reached.add(path)
            waiting += [file for file, _ in links(path, site)]
    sources = [page for page in pages() if page.suffix == ".md" and name_of(page) not in NOT_ON_THE_SITE]
    expected = {site / page.relative_to(ROOT).with_suffix(".html") for page in sources}
    assert len(expected) >= 10
    assert expected <= reached, expected - reached


def test_no_link_within_the_site_is_dead(site: Path) -> None:
    dead = []
    for path in site.rglob("*.html"):
        for file, anchor in links(path, site):
            if not file.exists() or (anchor and file.suffix == ".html" and anchor not in elements(file).anchors):
                dead.append((path.relative_to(site), file.relative_to(site), anchor))
    assert dead == []


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    for path in site.rglob("*.html"):
        loaded = [value for tag, name, value in elements(path).references if (tag, name) in LOADED]
        assert [value for value in loaded if re.match(r"(?:https?:)?//", value)] == [], path
    for path in site.rglob("*.css"):
        assert not re.search(r"(?:url\(|@import)\s*['\"]?(?:https?:)?//", path.read_text(encoding="utf-8")), path


def test_the_site_has_a_search_a_dark_mode_and_diagrams(site: Path) -> None:
    index = (site / "searchindex.js").read_text(encoding="utf-8")
    content = json.loads(index[index.index("{") : index.rindex("}") + 1])
    assert "docs/tap/streams" in content["docnames"]
    assert {stream.name.split("_")[0] for stream in STREAMS} <= {term.split("_")[0] for term in _titles(content)}
    start = (site / "docs" / "index.html").read_text(encoding="utf-8")
    assert 'action="../search.html"' in start
    assert "theme-toggle" in start
    assert start.count('<svg class="dk"') == 1


def _titles(content: dict[str, dict[str, object]]) -> set[str]:
    return {title.lower() for title in content["alltitles"]}
