"""The target delivers the output of real CRM taps: each company and contact that is not deleted once.

Each folder of `taps/` contains two files for one tap. `messages.jsonl` has the real format of its output
(crm-taps.md §3), with invented people. `expected.json` was written by hand from the known behaviour of the tap,
without the target.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from target_daktela_crm.mapping.preset import PRESETS
from tests.target_daktela_crm.conftest import crm, instance

if TYPE_CHECKING:
    from tests.target_daktela_crm.running import Crm

FOLDERS = {folder.name: folder for folder in sorted((Path(__file__).parent / "taps").iterdir()) if folder.is_dir()}

__all__ = ["crm", "instance"]


def _expected(tap: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((FOLDERS[tap] / "expected.json").read_text("utf-8"))
    return content


def _flattened(entry: dict[str, Any]) -> dict[str, Any]:
    """Return a company or contact with its numbers and e-mail addresses as top-level values."""
    fields = {each["key"]: each["value"] for each in entry["fields"]}
    assert fields.keys() <= {"number", "email"}
    texts = {name: value for name, value in entry.items() if name != "fields"}
    return {**texts, "number": fields.get("number", []), "email": fields.get("email", [])}


@pytest.mark.parametrize("tap", FOLDERS)
def test_every_company_and_contact_arrives_once_with_its_values(crm: Crm, tap: str) -> None:
    expected = _expected(tap)
    run = crm.run((FOLDERS[tap] / "messages.jsonl").read_bytes(), preset=expected["preset"])

    assert {key: _flattened(entry) for key, entry in crm.companies().items()} == expected["companies"]
    assert {key: _flattened(entry) for key, entry in crm.contacts().items()} == expected["contacts"]
    assert [line["id"] for line in crm.rejects()] == expected["rejected"]
    assert run.summary["on_hold"] == len(expected["on_hold"])
    assert run.summary["ignored"] == expected["unmapped"]
    if "left_out" in expected:
        assert run.summary["left_out"] == expected["left_out"]
    assert run.code == bool(expected["rejected"])


def test_every_preset_has_a_tap() -> None:
    assert {_expected(tap)["preset"] for tap in FOLDERS} == {*PRESETS} - {"daktela"}
