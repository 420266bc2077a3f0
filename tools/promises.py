"""Generate `docs/promises.md`, the index of the promises in the README and of their tests.

A test belongs to a promise if it has the marker of that promise, such as `@pytest.mark.promise("T1")`.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGE = ROOT / "docs" / "promises.md"

OPEN = ("S10",)
"""Promises that the project does not keep in all cases yet."""

_PROMISE = re.compile(r"^\| ([ST]\d+) \| (.+) \|$", re.MULTILINE)
_FIRST_SENTENCE = re.compile(r"[^.:]+")
_HEAD = """\
# Promises and their tests

The [README](../README.md#promises) contains the full text of each promise. This index contains the number of test
functions with the marker of a promise, such as `@pytest.mark.promise("T1")`, and their files. `make generate`
writes this page.

| promise | | test functions | files |
|---|---|---|---|
"""


def promises() -> dict[str, str]:
    """Return the first sentence of each promise of the README, without its examples and exceptions."""
    texts = _PROMISE.findall(README.read_text(encoding="utf-8"))
    return {name: _FIRST_SENTENCE.match(text)[0].strip() for name, text in texts}  # type: ignore[index]


def marked_tests(folder: Path = ROOT / "tests") -> dict[str, dict[str, int]]:
    """Return promise -> path of a test file within the project -> number of its test functions."""
    found: dict[str, dict[str, int]] = {}
    for path in sorted(folder.rglob("test_*.py")):
        for name in _markers(ast.parse(path.read_text(encoding="utf-8"))):
            counts = found.setdefault(name, {})
            file = path.relative_to(folder.parent).as_posix()
            counts[file] = counts.get(file, 0) + 1
    return found


def _markers(module: ast.Module) -> list[str]:
    """Return the name of the promise in each decorator `@pytest.mark.promise("…")` in a module."""
    return [
        ast.literal_eval(decorator.args[0])
        for node in ast.walk(module)
        if isinstance(node, ast.FunctionDef)
        for decorator in node.decorator_list
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.promise"
    ]


def index(texts: dict[str, str], tests: dict[str, dict[str, int]], open_promises: tuple[str, ...] = OPEN) -> str:
    """Return the page with a row for each promise.

    Raises:
        ValueError: a promise has no test and is not listed as open, or a test names an unknown promise.
    """
    if missing := [name for name in texts if name not in tests and name not in open_promises]:
        raise ValueError(
            f"no test has the marker of {', '.join(missing)}, and tools/promises.py does not list it as open"
        )
    if unknown := tests.keys() - texts.keys():
        raise ValueError(
            f"tests have the marker of {', '.join(sorted(unknown))}, which the README does not promise"
        )
    rows = []
    for name, text in texts.items():
        counts = tests.get(name, {})
        listed = ", ".join(f"`{file.removeprefix('tests/')}` ({count})" for file, count in counts.items())
        state = "**Open.** " if name in open_promises else ""
        rows.append(f"| {name} | {state}{text} | {sum(counts.values())} | {listed} |\n")
    return _HEAD + "".join(rows)


def files() -> dict[Path, str]:
    """Return the path and the text of the page."""
    return {PAGE: index(promises(), marked_tests())}
