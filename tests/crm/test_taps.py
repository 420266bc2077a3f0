"""What the taps of real CRMs put out arrives in Daktela: every live company and contact once, as it should.

Each folder of `taps/` is one tap: `messages.jsonl` in its real shape (crm-taps.md §3), with invented people, and
`expected.json`, written by hand from what is known of the tap, and not by the target.
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

TAPS = {folder.name: folder for folder in sorted((Path(__file__).parent / "taps").iterdir()) if folder.is_dir()}

__all__ = ["crm", "instance"]


def _expected(tap: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((TAPS[tap] / "expected.json").read_text("utf-8"))
    return content


def _flat(entry: dict[str, Any]) -> dict[str, Any]:
    """Return a company or contact with its fields beside its texts."""
    fields = {each["key"]: each["value"] for each in entry["fields"]}
    assert fields.keys() <= {"number", "email"}
    texts = {name: value for name, value in entry.items() if name != "fields"}
    return {**texts, "number": fields.get("number", []), "email": fields.get("email", [])}


@pytest.mark.parametrize("tap", TAPS)
def test_every_company_and_contact_arrives_once_with_its_values(crm: Crm, tap: str) -> None:
    expected = _expected(tap)
    run = crm.run((TAPS[tap] / "messages.jsonl").read_bytes(), preset=expected["preset"])

    assert {key: _flat(entry) for key, entry in crm.companies().items()} == expected["companies"]
    assert {key: _flat(entry) for key, entry in crm.contacts().items()} == expected["contacts"]
    assert [line["id"] for line in crm.rejects()] == expected["rejected"]
    assert run.summary["on_hold"] == len(expected["on_hold"])
    assert run.summary["ignored"] == expected["unmapped"]
    if "left_out" in expected:
        assert run.summary["left_out"] == expected["left_out"]
    assert run.code == bool(expected["rejected"])


def test_every_preset_is_tried() -> None:
    assert {_expected(tap)["preset"] for tap in TAPS} == {*PRESETS} - {"daktela"}
