"""Presets, and their changes by the setting `streams`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from target_daktela_crm.entities import Contact
from target_daktela_crm.mapping.compiler import compile_mapping
from target_daktela_crm.mapping.preset import PRESETS, load_preset, merge
from tests.target_daktela_crm.mapping.helpers import CONTACT, body_of, map_contact, map_record, map_salesforce
from tests.target_daktela_crm.running import Crm, record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from target_daktela_crm.mapping.roles import Record


def test_custom_columns_of_salesforce_can_be_added(crm: Crm) -> None:
    row = record(
        "Contact", Id="003", LastName="Malá", Phone="01632 960001", Support__c="01632 960002", Tier__c="A"
    )
    fields = {"number": {"append": ["Support__c"], "remove": ["Phone"]}, "tier": ["Tier__c"]}
    crm.run([row], preset="salesforce", streams={"Contact": {"contact": {"fields": fields}}})
    sent = {each["key"]: each["value"] for each in crm.contacts()["003"]["fields"]}
    # No column of the record is for e-mail addresses.
    assert sent == {"number": ["01632 960002"], "tier": ["A"]}


def test_custom_columns_of_pipedrive_can_be_added(crm: Crm) -> None:
    name = "9dc80c50d78a15643bfc4ca79d76156a73a1ca0e"
    row = record("organizations", id=1, name="Acme", **{name: "01632 960001"})
    streams = {"organizations": {"company": {"fields": {"number": [f'"{name}"']}}}}
    crm.run([row], preset="pipedrive", streams=streams)
    assert crm.companies()["1"]["fields"][0] == {"key": "number", "value": ["01632 960001"]}


@pytest.mark.parametrize(
    "row",
    [
        {"properties": {"lastname": "M", "phone": "01632 960001", "support_phone": "01632 960002"}},
        {
            "properties__lastname": "M",
            "properties__phone": "01632 960001",
            "properties__support_phone": "01632 960002",
        },
        {"property_phone": "01632 960001", "property_support_phone": "01632 960002"},
        {"property_phone": {"value": "01632 960001"}, "property_support_phone": {"value": "01632 960002"}},
        {"lastname": "M", "phone": "01632 960001", "support_phone": "01632 960002"},
    ],
)
def test_a_hubspot_property_is_found_in_the_place_of_each_tap(crm: Crm, row: dict[str, Any]) -> None:
    streams = {"contacts": {"contact": {"fields": {"number": {"prepend": ["support_phone"]}}}}}
    run = crm.run([record("contacts", id="1", **row)], preset="hubspot", streams=streams)
    assert crm.contacts()["1"]["fields"][0]["value"] == ["01632 960002", "01632 960001"]
    assert not run.warnings


def _numbers(crm: Crm, key: str = "11") -> list[str]:
    fields: list[dict[str, Any]] = crm.contacts()[key]["fields"]
    return next(each["value"] for each in fields if each["key"] == "number")


def test_a_stream_may_be_changed_by_its_alias(crm: Crm) -> None:
    streams = {
        "Contacts": {"contact": {"fields": {"number": {"append": ["pager"]}}}, "null_values": {"append": ["-"]}}
    }
    row = record(
        "contacts", contactid="1", lastname="-", fullname="Eva", pager="01632 960001", _accountid_value="None"
    )
    crm.run([row], preset="dynamics365", streams=streams)
    assert _numbers(crm, "1") == ["01632 960001"]
    assert (crm.contacts()["1"]["lastname"], crm.contacts()["1"]["company"]) == (None, None)


def test_null_removes_an_option_of_all_streams(crm: Crm) -> None:
    row = record("contacts", id="1", properties={"firstname": "Eva"}, firstname="Jan")
    crm.run([row], preset="hubspot", streams={"contacts": {"places": None}})
    assert crm.contacts()["1"]["firstname"] == "Jan"


def _merged(changes: Mapping[str, Any]) -> Any:
    preset = {
        "Contact": {
            "contact": {"id": "Id", "name": ["A", "B"], "fields": {"number": ["P", "Q"], "email": []}},
            "null_values": ["-"],
        },
        "Account": {"company": {"id": "Id"}},
    }
    before = json.dumps(preset)
    merged, problems = merge({"streams": preset}, changes)
    assert problems == []
    assert json.dumps(preset) == before
    return merged


def test_a_preset_without_changes_stays_the_same() -> None:
    for name in PRESETS:
        streams = load_preset(name)["streams"]
        assert merge({"streams": streams}, {}) == (streams, [])


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"id": "X"}, {"id": "X"}),
        ({"id": None}, {"id": ...}),
        ({"missing": None}, {}),
        ({"description": "D"}, {"description": "D"}),
        ({"name": "C"}, {"name": "C"}),
        ({"name": ["C"]}, {"name": ["C"]}),
        ({"name": {"append": "C"}}, {"name": ["A", "B", "C"]}),
        ({"name": {"append": ["C", "D"]}}, {"name": ["A", "B", "C", "D"]}),
        ({"name": {"prepend": ["C", "D"]}}, {"name": ["C", "D", "A", "B"]}),
        ({"name": {"remove": "A"}}, {"name": ["B"]}),
        ({"name": {"remove": ["A", "B"], "append": "C", "prepend": "D"}}, {"name": ["D", "C"]}),
        ({"id": {"append": "X"}}, {"id": ["Id", "X"]}),
        ({"description": {"append": "X"}}, {"description": ["X"]}),
        ({"fields": {"number": "R"}}, {"fields": {"number": "R", "email": []}}),
        ({"fields": {"number": None}}, {"fields": {"email": []}}),
        ({"fields": {"vip": "V"}}, {"fields": {"number": ["P", "Q"], "email": [], "vip": "V"}}),
        (
            {"fields": {"number": {"append": "R"}, "email": {"append": "E"}}},
            {"fields": {"number": ["P", "Q", "R"], "email": ["E"]}},
        ),
        ({"fields": "F"}, {"fields": "F"}),
        ({"fields": None}, {"fields": ...}),
        ({"fields": {}}, {}),
        ({}, {}),
    ],
)
def test_changes_are_merged_key_by_key(change: dict[str, Any], expected: dict[str, Any]) -> None:
    old = {"id": "Id", "name": ["A", "B"], "fields": {"number": ["P", "Q"], "email": []}}
    new = {key: value for key, value in {**old, **expected}.items() if value is not ...}
    merged = _merged({"Contact": {"contact": change}})
    assert merged["Contact"] == {"contact": new, "null_values": ["-"]}
    assert merged["Account"] == {"company": {"id": "Id"}}


def test_a_stream_may_be_changed_by_its_name_in_any_case() -> None:
    merged = _merged({"CONTACT": {"contact": {"id": "X"}}, "account": None})
    assert list(merged) == ["Contact"]
    assert merged["Contact"]["contact"]["id"] == "X"


def test_a_stream_may_be_changed_by_the_name_that_a_tap_of_a_database_gives_it() -> None:
    merged = _merged({"crm-eu-contact": {"contact": {"id": "X"}}})
    assert (list(merged), merged["Contact"]["contact"]["id"]) == (["Contact", "Account"], "X")


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        ("suitecrm-contacts", "contacts"),
        ("SUITECRM-Accounts_Contacts", "accounts_contacts"),
        ("my-crm-contacts", "contacts"),
        ("public-sugarcrm_accounts", "accounts"),
        ("contacts-", None),
        ("contacts-archive", None),
        ("-", None),
    ],
)
def test_the_stream_of_a_table_has_the_mapping_of_the_table(stream: str, expected: str | None) -> None:
    mapping = compile_mapping("sugarcrm", None, None).stream(stream)
    assert (mapping.name if mapping else None) == expected


def test_a_stream_can_be_added_or_removed() -> None:
    merged = _merged({"Account": None, "Lead": {"contact": {"id": "L"}}})
    assert list(merged) == ["Contact", "Lead"]
    assert merged["Lead"] == {"contact": {"id": "L"}}


def test_an_object_replaces_an_expression() -> None:
    streams = {"contacts": {"contact": {"fields": {"number": "phone"}}}}
    contact = map_contact({"id": 1, "phone": " 1 ", "fields": {"vip": "x"}}, streams)
    assert body_of(contact)["fields"] == [{"key": "number", "value": [" 1 "]}]


def test_fields_of_a_preset_can_be_extended() -> None:
    streams = {
        "contact": {
            "contact": {
                "fields": {
                    "number": {"append": "Support_Phone__c", "remove": ["HomePhone", "Phone"]},
                    "vip": "VIP__c",
                }
            }
        }
    }
    record = {**CONTACT, "Support_Phone__c": "601000004", "VIP__c": True}
    (contact,) = map_salesforce("Contact", record, streams=streams)
    assert body_of(contact)["fields"] == [
        {"key": "number", "value": ["+420601000002", "+420601000003", "601000004"]},
        {"key": "email", "value": ["eva.mala@example.com"]},
        {"key": "vip", "value": ["true"]},
    ]


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_compiles(name: str) -> None:
    mapping = compile_mapping(name, None, None)
    assert {stream.name for stream in mapping.streams} == set(load_preset(name)["streams"])
    assert all(stream.roles for stream in mapping.streams)


def test_daktela_and_salesforce_are_presets() -> None:
    assert {"daktela", "salesforce"} <= set(PRESETS)


SUITE_CONTACT: Record = {
    "id": "c1",
    "account_id": "a1",
    "account_name": "O&#039;Neill &amp; Sons",
    "first_name": "Sin&eacute;ad",
    "last_name": "O&#039;Brien",
    "description": "&lt;VIP&gt; &amp;#039;",
    "phone_work": "&#43;420 777 123 456",
    "email1": "sinead.o&#039;brien@example.com",
    "date_modified": "2026-03-01 10:00:00",
}


def test_html_entities_of_suitecrm_are_decoded_once() -> None:
    (contact,) = map_record("contacts", SUITE_CONTACT, preset="sugarcrm")
    assert isinstance(contact, Contact)
    assert contact.company_name == "O'Neill & Sons"
    assert body_of(contact) == {
        "id": "c1",
        "name": "Sinéad O'Brien",
        "firstname": "Sinéad",
        "lastname": "O'Brien",
        "description": "<VIP> &#039;",
        "fields": [
            {"key": "number", "value": ["+420777123456"]},
            {"key": "email", "value": ["sinead.o'brien@example.com"]},
        ],
    }


def test_html_entities_inside_lists_are_decoded() -> None:
    rows = [{"email_address": "o&#039;brien@example.com", "primary_address": True}]
    for email in (rows, json.dumps(rows)):
        (contact,) = map_record("contacts", {"id": "c1", "last_name": "x", "email": email}, preset="sugarcrm")
        assert body_of(contact)["fields"][-1]["value"] == ["o'brien@example.com"]


def test_html_entities_of_other_crms_are_not_decoded() -> None:
    record = {"Id": "c1", "LastName": "R&amp;D", "Email": "sinead.o&#039;brien@example.com"}
    (contact,) = map_record("Contact", record, preset="salesforce")
    assert body_of(contact)["lastname"] == "R&amp;D"
    # Not sent as brien@example.com either.
    assert body_of(contact)["fields"][-1]["value"] == []
    streams = {"Contact": {"html_entities": True}}
    (contact,) = map_record("Contact", record, streams, preset="salesforce")
    assert body_of(contact)["lastname"] == "R&D"
    (contact,) = map_record("contacts", SUITE_CONTACT, {"contacts": {"html_entities": None}}, preset="sugarcrm")
    assert body_of(contact)["lastname"] == "O&#039;Brien"


def test_html_entities_of_contacts_inside_companies_are_decoded_once() -> None:
    contacts = {"list": "people", "id": "id", "lastname": "surname"}
    firms = {"raw": False, "html_entities": True, "company": {"id": "id", "contacts": contacts}}
    streams = {"companies": None, "contacts": None, "firms": firms}
    _, contact = map_record("firms", {"id": 1, "people": [{"id": 7, "surname": "A&amp;lt;"}]}, streams)
    assert body_of(contact)["lastname"] == "A&lt;"


def test_raw_records_with_html_entities_are_decoded(crm: Crm) -> None:
    people = [record("contacts", id=number, lastname="O&#039;Brien") for number in range(3)]
    crm.run(people, preset="daktela", streams={"contacts": {"html_entities": True}})
    assert {each["lastname"] for each in crm.contacts().values()} == {"O'Brien"}
    for html_entities in (True, False):
        mapping = compile_mapping("daktela", {"contacts": {"html_entities": html_entities}}, None)
        found = mapping.stream("contacts")
        assert found is not None
        assert (found.native is None) == html_entities
