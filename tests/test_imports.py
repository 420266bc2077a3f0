"""Imports run one way, and each package tells of all of its modules."""

from __future__ import annotations

import ast
import re
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("tap_daktela.api", "tap_daktela", "target_daktela_crm")
SHELLS = {
    "tap_daktela.api": set[str](),
    "tap_daktela": {"settings", "stream", "tap", "writer"},
    "target_daktela_crm": {"reader", "settings", "sinks", "target"},
}
"""Modules that know of Singer's SDK."""


@cache
def _modules(package: str) -> dict[str, frozenset[str]]:
    """Return what each module of a package imports, for types only or not: full names.

    Of those of `tap_daktela`, without the ones of its `api`, which is a package of its own here.
    """
    folder = ROOT / package.replace(".", "/")
    own = {path.relative_to(folder).with_suffix("").as_posix(): path for path in folder.rglob("*.py")}
    if package == "tap_daktela":
        own = {name: path for name, path in own.items() if not name.startswith("api/")}
    return {name: _imported(path) for name, path in own.items()}


def _imported(path: Path) -> frozenset[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            found |= {f"{node.module}.{name.name}" for name in node.names}
        elif isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
    return frozenset(found)


def _is_of(name: str, package: str) -> bool:
    return f"{name}.".startswith(f"{package}.")


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_is_imported_by_what_it_imports(package: str) -> None:
    modules = {name: names for name, names in _modules(package).items() if name.isidentifier()}
    graph = {
        module: {other for other in modules if any(_is_of(name, f"{package}.{other}") for name in names)}
        for module, names in modules.items()
    }
    order = list(TopologicalSorter(graph).static_order())
    assert sorted(order) == sorted(modules)
    assert sum(map(len, graph.values())) >= len(modules)


@pytest.mark.parametrize(
    ("package", "foreign", "allowed"),
    [
        ("tap_daktela.api", "tap_daktela", "tap_daktela.api"),
        ("tap_daktela.api", "target_daktela_crm", None),
        ("tap_daktela", "target_daktela_crm", None),
        ("target_daktela_crm", "tap_daktela", "tap_daktela.api"),
    ],
)
def test_packages_import_one_way(package: str, foreign: str, allowed: str | None) -> None:
    wrong = {
        (module, name)
        for module, names in _modules(package).items()
        for name in names
        if _is_of(name, foreign) and not (allowed and _is_of(name, allowed))
    }
    assert not wrong


@pytest.mark.parametrize("package", PACKAGES)
def test_only_the_shell_knows_of_singer(package: str) -> None:
    knowing = {
        module
        for module, names in _modules(package).items()
        if any(_is_of(name, sdk) for name in names for sdk in ("singer_sdk", "singer"))
    }
    assert knowing == SHELLS[package]


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_tells_of_all_of_its_modules(package: str) -> None:
    text = (ROOT / package.replace(".", "/") / "__init__.py").read_text("utf-8")
    assert sorted(re.findall(r"(\w+)\.py\b", text.split("\n\n", 2)[-1])) == sorted(
        name for name in _modules(package) if name.isidentifier() and name != "__init__"
    )
