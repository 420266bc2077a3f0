"""Files of users: the content is read exactly, and each problem is one line that names the file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tap_daktela.cli.errors import InputError
from tap_daktela.cli.json_files import read_settings_files

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("start", ["", "\ufeff", " \n"])
def test_a_json_object_is_read(tmp_path: Path, start: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(f'{start}{{"url": "ž", "page_size": 1}}', encoding="utf-8")
    assert read_settings_files([str(path)]) == {"url": "ž", "page_size": 1}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "not valid JSON: "),
        (b"[1]", "must be a JSON object"),
        (b'{"a": 1, "a": 2}', "'a' occurs twice in an object"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b'{"a": "\xff"}', "not encoded in UTF-8"),
        (b'{"a":' * 100_000, "nested too deeply"),
    ],
)
def test_a_problem_is_one_line_that_names_the_file(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_settings_files([str(path)])
    [line] = caught.value.problems
    assert line.startswith(f"config: {path}: ")
    assert problem in line
    assert "\n" not in line


def test_later_files_replace_settings_of_earlier_ones(tmp_path: Path) -> None:
    paths = [tmp_path / "a.json", tmp_path / "b.json"]
    for path, settings in zip(paths, [{"url": "a", "page_size": 1}, {"page_size": 2}], strict=True):
        path.write_text(json.dumps(settings), encoding="utf-8")
    assert read_settings_files(map(str, paths)) == {"url": "a", "page_size": 2}


@pytest.mark.parametrize("path", ["missing.json", ".", "a\0b"])
def test_a_file_that_cannot_be_read_is_one_line(path: str) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_settings_files([path])


def test_the_content_of_a_configuration_is_not_repeated() -> None:
    with pytest.raises(InputError) as caught:
        read_settings_files(['{"access_token": "secret"}'])
    assert caught.value.problems == ["config: give the path of a JSON file, not its content"]
