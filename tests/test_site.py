"""The documentation site builds without warnings, and its pages load no file from the network."""

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
LOADING_ATTRIBUTES = {("script", "src"), ("img", "src"), ("link", "href"), ("iframe", "src"), ("source", "srcset")}
"""Pairs of an element and its attribute with the URL of a file that a browser loads together with the page."""


class PageParser(HTMLParser):
    """Collects the URLs that a page contains, and its anchors."""

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
def parsed(path: Path) -> PageParser:
    parser = PageParser()
    parser.feed(path.read_text(encoding="utf-8"))
    return parser


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site, and return its folder. A warning fails the build, as it does in `make docs`."""
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
    """Yield the file and the anchor of each link from a page to another page or file of the site."""
    assert path.is_relative_to(site), "a link leads out of the site"
    for _, _, value in parsed(path).references:
        target = urlsplit(value)
        if not target.scheme and not target.netloc:
            file = (path.parent / unquote(target.path)).resolve() if target.path else path
            yield (file / "index.html" if file.is_dir() else file), target.fragment


def test_every_page_is_on_the_site_and_can_be_reached_from_the_start_page(site: Path) -> None:
    reached: set[Path] = set()
    unvisited = [site / "index.html"]
    while unvisited:
        path = unvisited.pop()
        if path not in reached and path.suffix == ".html":
            reached.add(path)
            unvisited += [file for file, _ in links(path, site)]
    sources = [page for page in pages() if page.suffix == ".md" and name_of(page) not in NOT_ON_THE_SITE]
    expected = {site / page.relative_to(ROOT).with_suffix(".html") for page in sources}
    assert len(expected) >= 10
    assert expected <= reached, expected - reached


def test_no_link_within_the_site_is_broken(site: Path) -> None:
    broken = []
    for path in site.rglob("*.html"):
        for file, anchor in links(path, site):
            if not file.exists() or (anchor and file.suffix == ".html" and anchor not in parsed(file).anchors):
                broken.append((path.relative_to(site), file.relative_to(site), anchor))
    assert broken == []


def test_no_page_loads_a_file_from_another_server(site: Path) -> None:
    for path in site.rglob("*.html"):
        loaded = [value for tag, name, value in parsed(path).references if (tag, name) in LOADING_ATTRIBUTES]
        assert [value for value in loaded if re.match(r"(?:https?:)?//", value)] == [], path
    for path in site.rglob("*.css"):
        assert not re.search(r"(?:url\(|@import)\s*['\"]?(?:https?:)?//", path.read_text(encoding="utf-8")), path


def test_the_site_has_a_search_index_a_dark_mode_and_diagrams(site: Path) -> None:
    script = (site / "searchindex.js").read_text(encoding="utf-8")
    search_index = json.loads(script[script.index("{") : script.rindex("}") + 1])
    assert "docs/tap/streams" in search_index["docnames"]
    # Only the first words are compared, such as `activities` for `activities_call`.
    headings = {heading.lower().split("_")[0] for heading in search_index["alltitles"]}
    assert {stream.name.split("_")[0] for stream in STREAMS} <= headings
    docs_index = (site / "docs" / "index.html").read_text(encoding="utf-8")
    assert 'action="../search.html"' in docs_index
    assert "theme-toggle" in docs_index
    # The class of the diagrams that `tools/svg.py` draws.
    assert docs_index.count('<svg class="dk"') == 1
