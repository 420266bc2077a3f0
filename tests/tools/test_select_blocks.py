"""The `select` blocks of the documentation contain all columns that the presets read, where each tap has them."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from msgspec.structs import replace

from target_daktela_crm.entities import Company, Contact
from target_daktela_crm.mapping.compiler import compile_mapping
from tests.crm.test_taps import FOLDERS as RECORDED
from tools.select_blocks import TAPS, messages, preset_of, shapes
from tools.tables import DOCS

if TYPE_CHECKING:
    from collections.abc import Collection

    from target_daktela_crm.mapping.roles import Role

PAGE = (DOCS / "target" / "crm-taps.md").read_text("utf-8")


def _block(folder: str) -> list[str]:
    """Return the patterns on the page for a tap."""
    tap = TAPS[folder]
    title = re.escape(f"**{tap.name}** of {tap.maker}:")
    [text] = re.findall(rf"^{title}\n\n```yaml\n(.*?)```", PAGE, re.DOTALL | re.MULTILINE)
    [plugin] = yaml.safe_load(text)["plugins"]["extractors"]
    assert plugin["name"] == tap.name
    return list(plugin["select"])


def _selected(value: Any, path: str, patterns: Collection[str]) -> Any:
    """Return what a tap writes of a value, of whose columns only those are selected that match a pattern."""
    if isinstance(value, dict):
        inner = {name: f"{path}.{name}" for name in value}
        return {
            name: _selected(value[name], inner[name], patterns)
            for name in value
            if any(fnmatch(inner[name], pattern) for pattern in patterns)
        }
    return [_selected(each, path, patterns) for each in value] if isinstance(value, list) else value


def _present(folder: str, patterns: Collection[str] | None = None) -> list[tuple[str, set[str]]]:
    """Return the columns of the preset in each record of a tap, and in all of its columns together.

    Without patterns, all columns are selected.
    """
    mapping = compile_mapping(preset_of(folder), None, None)
    rows = [(each["stream"], each["record"]) for each in messages(folder) if each["type"] == "RECORD"]
    found = []
    for stream, content in (*shapes(folder).items(), *rows):
        record = content if patterns is None else _selected(content, stream, patterns)
        of_stream = mapping.stream(stream)
        columns = of_stream.columns if of_stream is not None else ()
        found.append((stream, {column.name for column in columns if column.is_in(record)}))
    return found


def test_each_recorded_tap_has_a_block() -> None:
    # Of a file, all columns arrive.
    assert set(TAPS) == set(RECORDED) - {"pipedrive-csv"}


@pytest.mark.parametrize("folder", TAPS)
def test_the_block_of_a_tap_selects_all_columns_that_the_preset_reads(folder: str) -> None:
    assert _present(folder, _block(folder)) == _present(folder)


@pytest.mark.parametrize("folder", TAPS)
def test_each_line_of_a_block_is_needed(folder: str) -> None:
    patterns = _block(folder)
    assert len(patterns) == len({*patterns})
    for removed in patterns:
        if removed.endswith(".*") and removed.removesuffix(".*") not in patterns:
            # All columns of a stream of custom values.
            continue
        rest = [pattern for pattern in patterns if pattern != removed]
        assert _present(folder, rest) != _present(folder), removed


@pytest.mark.parametrize("folder", TAPS)
def test_the_records_of_a_selection_are_mapped_as_all_records(folder: str) -> None:
    mapping = compile_mapping(preset_of(folder), None, None)
    patterns = _block(folder)
    count = 0
    for message in messages(folder):
        stream = mapping.stream(message.get("stream", ""))
        if message["type"] != "RECORD" or stream is None:
            continue
        record = message["record"]
        selected = _selected(record, message["stream"], patterns)
        for role in stream.roles:
            assert _entities(role, selected) == _entities(role, record)
            count += 1
    assert count


def _entities(role: Role, record: dict[str, Any]) -> Any:
    try:
        return [
            replace(entity, columns=None) if isinstance(entity, (Company, Contact)) else entity
            for entity in role.entities(record)
        ]
    except ValueError as error:
        return str(error)
