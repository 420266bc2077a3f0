"""Imports run in one direction, and the docstring of each package lists all of its modules."""

from __future__ import annotations

import ast
import re
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
COMMANDS = ("tap_daktela", "target_daktela_crm")
PACKAGES = tuple(
    path.parent.relative_to(ROOT).as_posix().replace("/", ".")
    for command in COMMANDS
    for path in sorted((ROOT / command).rglob("__init__.py"))
)
SHELLS = {
    "tap_daktela": {"inputs/settings", "inputs/stream_maps", "records/writer", "stream", "tap"},
    "target_daktela_crm": {"inputs/settings", "reader", "target"},
}
"""Modules that import the SDK."""


@cache
def _modules(package: str) -> dict[str, frozenset[str]]:
    """Return the full names that each module of a package and its subpackages imports, by the path of the module.

    Imports for types are included.
    """
    folder = ROOT / package.replace(".", "/")
    paths = {path.relative_to(folder).with_suffix("").as_posix(): path for path in folder.rglob("*.py")}
    return {name: _imported(path) for name, path in paths.items()}


def _parts(package: str) -> dict[str, set[str]]:
    """Return the imports of each module and of each subpackage as a whole, by name."""
    parts: dict[str, set[str]] = {}
    for name, names in _modules(package).items():
        parts.setdefault(name.split("/")[0], set()).update(names)
    return parts


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
def test_no_module_or_subpackage_imports_one_that_imports_it(package: str) -> None:
    parts = _parts(package)
    graph = {
        part: {
            other for other in parts.keys() - {part} if any(_is_of(name, f"{package}.{other}") for name in names)
        }
        for part, names in parts.items()
    }
    order = list(TopologicalSorter(graph).static_order())
    assert sorted(order) == sorted(parts)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_imports_of_each_command_are_found(command: str) -> None:
    modules = _modules(command)
    assert sum(_is_of(name, command) for names in modules.values() for name in names) >= len(modules)


@pytest.mark.parametrize(
    ("package", "foreign", "allowed"),
    [
        ("tap_daktela.api", "tap_daktela", ("api",)),
        ("tap_daktela.cli", "tap_daktela", ("api", "cli")),
        ("tap_daktela.streams", "tap_daktela", ("api", "streams")),
        ("tap_daktela.paging", "tap_daktela", ("api", "streams", "paging")),
        ("tap_daktela.records", "tap_daktela", ("api", "streams", "records")),
        ("tap_daktela", "target_daktela_crm", ()),
        ("target_daktela_crm", "tap_daktela", ("api", "cli")),
    ],
)
def test_packages_import_one_way(package: str, foreign: str, allowed: tuple[str, ...]) -> None:
    wrong = {
        (module, name)
        for module, names in _modules(package).items()
        for name in names
        if _is_of(name, foreign) and not any(_is_of(name, f"{foreign}.{part}") for part in allowed)
    }
    assert not wrong


ALLOWED = {
    "mapping": {"mapping", "entities", "exact_json"},
    "store": {"store", "mapping.compiled", "entities", "exact_json", "private_file"},
    "delivery": {"delivery", "business_hours", "entities", "private_file"},
}
"""Stage of the target -> modules of the target that it may import."""


@pytest.mark.parametrize("stage", ALLOWED)
def test_each_stage_of_the_target_imports_only_what_it_builds_on(stage: str) -> None:
    wrong = {
        (module, name)
        for module, names in _modules(f"target_daktela_crm.{stage}").items()
        for name in names
        if _is_of(name, "target_daktela_crm")
        and not any(_is_of(name, f"target_daktela_crm.{allowed}") for allowed in ALLOWED[stage])
    }
    assert not wrong


@pytest.mark.parametrize("package", COMMANDS)
def test_only_the_shell_imports_the_sdk(package: str) -> None:
    importing = {
        module
        for module, names in _modules(package).items()
        if any(_is_of(name, sdk) for name in names for sdk in ("singer_sdk", "singer"))
    }
    assert importing == SHELLS[package]


@pytest.mark.parametrize("package", PACKAGES)
def test_the_docstring_of_a_package_lists_all_of_its_modules_and_subpackages(package: str) -> None:
    folder = ROOT / package.replace(".", "/")
    text = (folder / "__init__.py").read_text("utf-8")
    modules = {path.name for path in folder.glob("*.py")} - {"__init__.py"}
    subpackages = {f"{path.parent.name}/" for path in folder.glob("*/__init__.py")}
    listed = {
        word
        for line in text.splitlines()
        if line.startswith("    ")
        for word in re.findall(r"\w+(?:\.py\b|/)", line)
    }
    assert listed == modules | subpackages
