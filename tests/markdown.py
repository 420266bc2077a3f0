"""The code blocks of the documentation.

`pages` returns every Markdown file of the project, so that a new page needs no registration. The usage notes in
`plugins/` count as pages, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml
from markdown_it import MarkdownIt
from typing_extensions import override

ROOT = Path(__file__).parents[1]
_FOLDERS = ("docs", "examples", ".github")
_MARKDOWN = MarkdownIt("commonmark")


@dataclass(frozen=True)
class Block:
    """A code block of a page."""

    page: Path
    line: int
    """Number of its first line within the page."""
    language: str
    """Empty for an indented block, which has none."""
    text: str

    @override
    def __str__(self) -> str:
        """Return where the block is."""
        return f"{name_of(self.page)}:{self.line}"


@dataclass(frozen=True)
class Command:
    """A command of a console block, and the output that the page shows below it."""

    text: str
    output: tuple[str, ...]


def pages() -> list[Path]:
    """Return the pages of the project: the README first, then the others by name."""
    found = [path for folder in _FOLDERS for path in ROOT.joinpath(folder).rglob("*.md")]
    found += ROOT.glob("plugins/*.yaml")
    return [ROOT / "README.md", *sorted({*found, *ROOT.glob("*.md")} - {ROOT / "README.md"})]


def name_of(page: Path) -> str:
    """Return the path of a page within the project."""
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path, *languages: str) -> list[Block]:
    """Return the code blocks of a page, in order: all of them, or those in certain languages."""
    text = page.read_text(encoding="utf-8")
    if page.suffix == ".yaml":
        text = yaml.safe_load(text)["usage"]
    found = [
        Block(page, (token.map or [0])[0] + 1, token.info.strip(), token.content)
        for token in _MARKDOWN.parse(text)
        if token.type in {"fence", "code_block"}
    ]
    return [block for block in found if not languages or block.language in languages]


def commands(block: Block) -> list[Command]:
    r"""Return the commands of a console block.

    A command follows the prompt `$ `. It continues on lines with the prompt `> `, and after a backslash at the end
    of a line. All other lines are output.

    Raises:
        ValueError: the block does not begin with a command.
    """
    texts: list[str] = []
    outputs: list[list[str]] = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            texts.append(line.removeprefix("$ "))
            outputs.append([])
        elif not texts:
            raise ValueError(f"{block}: a console block must begin with the prompt `$ `")
        elif line.startswith("> ") or line == ">":
            texts[-1] += f"\n{line.removeprefix('>').removeprefix(' ')}"
        elif texts[-1].endswith("\\"):
            texts[-1] += f"\n{line}"
        else:
            outputs[-1].append(line)
    return [Command(text, tuple(output)) for text, output in zip(texts, outputs, strict=True)]
