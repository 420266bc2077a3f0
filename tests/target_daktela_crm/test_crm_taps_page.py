"""The examples of settings on the page about CRM taps do what the page says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.markdown import ROOT, blocks
from tests.target_daktela_crm.running import record

if TYPE_CHECKING:
    from tests.target_daktela_crm.running import Crm

PAGE = ROOT / "docs" / "target" / "crm-taps.md"
YAML: list[dict[str, Any]] = [yaml.safe_load(block.text) for block in blocks(PAGE) if block.language == "yaml"]
BY_NUMBER, BY_TEXT, ONE_FILE, WORDS = (block["config"] for block in YAML if "config" in block)


def _numbers(entry: dict[str, Any]) -> list[str]:
    return next(each["value"] for each in entry["fields"] if each["key"] == "number")


def test_custom_fields_are_found_by_the_id_of_their_definition(crm: Crm) -> None:
    fields = [
        {"custom_field_definition_id": 128068, "value": "+420601000003"},
        {"custom_field_definition_id": 5, "value": "+420601000004"},
    ]
    numbers = [{"number": "+420601000002", "category": "work"}]
    crm.run([record("people", id=1, name="Eva", phone_numbers=numbers, custom_fields=fields)], **BY_NUMBER)
    assert _numbers(crm.contacts()["1"]) == ["+420601000002", "+420601000003"]


def test_custom_fields_are_found_by_an_id_that_is_a_text(crm: Crm) -> None:
    fields = [{"id": "cf_tel", "value": "+420601000003"}, {"id": "cf_x", "value": "+420601000004"}]
    crm.run([record("leads", id="l1", name="Acme", contacts=[], custom_fields=fields)], **BY_TEXT)
    assert _numbers(crm.companies()["l1"]) == ["+420601000003"]


def test_a_file_has_companies_and_contacts_in_the_same_rows(crm: Crm) -> None:
    rows: list[dict[str, Any]] = [
        {
            "person_no": "1",
            "first": "Eva",
            "last": "Malá",
            "phone": "+420601000002",
            "firm_no": "5.0",
            "firm": "Acme",
        },
        {"person_no": "2", "first": "Jan", "last": "Nový", "phone": "", "firm_no": "5", "firm": "Acme II"},
        {"person_no": "3", "first": "Iva", "last": "Malá", "phone": None, "firm_no": "", "firm": ""},
    ]
    run = crm.run([record("customers", **row) for row in rows], **ONE_FILE)
    assert run.code == 0
    assert {key: entry["name"] for key, entry in crm.companies().items()} == {"5": "Acme II"}
    assert crm.company_of_contacts() == {"1": "5", "2": "5", "3": None}
    assert crm.contacts()["1"]["name"] == "Eva Malá"


@pytest.mark.parametrize(("word", "is_sent"), [("Ano", True), ("ja", True), ("ne", False), (None, False)])
def test_words_of_other_languages_are_conditions(crm: Crm, word: str | None, *, is_sent: bool) -> None:
    run = crm.run([record("contacts", id=1, name="Eva", active=word, erased="ne")], **WORDS)
    assert run.code == 0
    assert bool(crm.contacts()) == is_sent


def test_words_of_other_languages_mark_deleted_records(crm: Crm) -> None:
    crm.run([record("contacts", id=1, name="Eva", active="ano", erased="ANO")], **WORDS)
    assert crm.contacts() == {}


def test_the_replication_keys_are_those_of_the_mapped_streams() -> None:
    [metadata] = [
        plugin["metadata"]
        for block in YAML
        for plugin in block.get("plugins", {}).get("extractors", [])
        if "metadata" in plugin
    ]
    assert set(metadata) == {"Account", "Contact", "AccountContactRelation"}
    assert {each["replication-key"] for each in metadata.values()} == {"SystemModstamp"}
