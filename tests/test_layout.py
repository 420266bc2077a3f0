"""Tests mirror the packages, CONTRIBUTING lists all folders, and each stream has a table in the simulator."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from tap_daktela.streams.definitions import STREAMS
from tests.conftest import missing_tables

ROOT = Path(__file__).parents[1]

WITHOUT_TESTS = {
    # Both only call `main`, which the tests of the commands run as a process.
    "tap_daktela/__main__.py",
    "target_daktela_crm/__main__.py",
    # Types without behaviour.
    "target_daktela_crm/entities.py",
}
"""Modules without a test file: three at most."""


@pytest.mark.parametrize("package", ["tap_daktela", "target_daktela_crm"])
def test_each_module_has_a_test_file(package: str) -> None:
    modules = [path for path in ROOT.joinpath(package).rglob("*.py") if path.name != "__init__.py"]
    assert modules
    missing = {
        path.relative_to(ROOT).as_posix()
        for path in modules
        if not (ROOT / "tests" / path.relative_to(ROOT).parent / f"test_{path.name}").exists()
    }
    assert missing <= WITHOUT_TESTS
    assert len(WITHOUT_TESTS) <= 3


def test_a_missing_table_of_the_simulator_is_one_line() -> None:
    [line] = missing_tables([*STREAMS, replace(STREAMS[0], name="recordings", endpoint="callRecordings")])
    assert line.startswith("the simulator has no table callRecordings, which the stream recordings reads: ")


def test_the_table_of_layers_lists_every_folder_and_no_file_that_does_not_exist() -> None:
    text = ROOT.joinpath("CONTRIBUTING.md").read_text(encoding="utf-8")
    section = text.partition("\n## Layout\n")[2].partition("\n## ")[0]
    table = section.partition("\n### ")[0]
    roots = "tap_daktela|target_daktela_crm|tests|tools|docs|examples|plugins|benchmarks"
    paths = re.findall(rf"`((?:{roots})/[^`]*)`", section)
    assert not [path for path in paths if not ROOT.joinpath(path).exists()]
    folders = {
        f"{path.parent.relative_to(ROOT).as_posix()}/"
        for package in ("tap_daktela", "target_daktela_crm")
        for path in ROOT.joinpath(package).glob("*/__init__.py")
    }
    assert folders <= set(re.findall(r"`([^`]+/)`", table))
