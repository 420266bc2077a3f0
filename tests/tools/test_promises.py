"""The index of promises lists the marked tests, and a promise without a test is an error."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.markdown import ROOT
from tools.promises import OPEN, index, marked_tests, promises

if TYPE_CHECKING:
    from pathlib import Path

TEXTS = {"T1": "Every record is emitted", "S9": "Nothing is sent that should not be sent"}


def test_the_readme_makes_all_promises_of_the_tap_and_the_target() -> None:
    assert list(promises()) == [
        *(f"T{number}" for number in range(1, 9)),
        *(f"S{number}" for number in range(1, 11)),
    ]


def test_the_readme_names_the_open_promises() -> None:
    text = ROOT.joinpath("README.md").read_text(encoding="utf-8")
    [sentence] = re.findall(r"^Tests are .*", text, re.MULTILINE)
    assert tuple(re.findall(r"\b[ST]\d+\b", sentence)) == OPEN


def test_each_promise_has_a_test_or_is_open() -> None:
    assert promises().keys() - marked_tests().keys() <= {*OPEN}


def test_a_promise_without_a_test_is_an_error() -> None:
    with pytest.raises(ValueError, match="no test has the marker of T1, S9"):
        index(TEXTS, {}, open_promises=())


def test_an_open_promise_needs_no_test() -> None:
    page = index(TEXTS, {"T1": {"tests/test_a.py": 2, "tests/test_b.py": 1}}, open_promises=("S9",))
    assert "| T1 | Every record is emitted | 3 | `test_a.py` (2), `test_b.py` (1) |\n" in page
    assert "| S9 | **Open.** Nothing is sent that should not be sent | 0 |  |\n" in page


def test_a_marker_of_an_unknown_promise_is_an_error() -> None:
    with pytest.raises(ValueError, match="tests have the marker of T9"):
        index(TEXTS, {"T1": {"tests/test_a.py": 1}, "T9": {"tests/test_a.py": 1}}, open_promises=("S9",))


def test_functions_and_methods_with_the_marker_are_counted(tmp_path: Path) -> None:
    folder = tmp_path / "tests"
    folder.joinpath("tap").mkdir(parents=True)
    folder.joinpath("tap", "test_a.py").write_text(
        """
@pytest.mark.promise("T1")
@pytest.mark.parametrize("number", [1, 2])
def test_one(number): ...

class TestMore:
    @pytest.mark.promise("T1")
    @pytest.mark.promise("S9")
    def test_two(self): ...

def test_three(): ...
""",
        encoding="utf-8",
    )
    assert marked_tests(folder) == {"T1": {"tests/tap/test_a.py": 2}, "S9": {"tests/tap/test_a.py": 1}}
