"""Settings of Sphinx, which builds the documentation site: `make docs`."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from docutils import nodes

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]

project = "tap-daktela and target-daktela-crm"
author = "The contributors"
project_copyright = "The contributors. Apache License 2.0"
release = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]

# The sources are the Markdown files of the whole repository, so that links between them work both on the site and
# in the repository.
include_patterns = ["*.md", "docs/**.md", "examples/*/README.md", "benchmarks/RESULTS.md"]
exclude_patterns = [".*", "build", "tests"]
root_doc = "docs/index"
extensions = ["myst_parser"]
myst_heading_anchors = 4
myst_enable_extensions = ["attrs_inline"]
# GitHub's tables have no captions, and `console` blocks show output that no lexer knows.
suppress_warnings = ["misc.highlighting_failure"]
nitpicky = True

html_theme = "furo"
html_title = "tap-daktela"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_additional_pages = {"index": "start.html"}
templates_path = ["_templates"]
html_copy_source = False
html_show_sphinx = False
pygments_style = "friendly"
pygments_dark_style = "native"


def inline_diagrams(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Put diagrams into the page as SVG elements, so that they follow its colours and its dark mode."""
    del app, docname
    for image in list(doctree.findall(nodes.image)):
        path = Path(image["uri"])
        if path.suffix == ".svg":
            svg = (ROOT / path).read_text(encoding="utf-8")
            figure = f'<figure class="diagram" role="img" aria-label="{image["alt"]}">{svg}</figure>'
            image.replace_self(nodes.raw("", figure, format="html"))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register what this project adds to Sphinx."""
    app.connect("doctree-resolved", inline_diagrams)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
