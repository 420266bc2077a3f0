"""Generated files are those that `make generate` writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.markdown import ROOT
from tools.generate import FOLDERS, GENERATORS, files

if TYPE_CHECKING:
    from pathlib import Path


FILES = files()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_generated_file_is_up_to_date(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == FILES[path], "run `make generate`"


def test_each_file_has_one_generator() -> None:
    paths = [path for generator in GENERATORS for path in generator.files()]
    assert len(paths) == len({*paths})


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_folder_of_generated_files_contains_nothing_else(folder: Path) -> None:
    assert {*folder.iterdir()} <= {*FILES}
