"""Records whose custom fields are rows of other streams."""

from __future__ import annotations

from typing import Any

import pytest

from tests.target_daktela_crm.running import Crm, Message, record, schema

DEFINED = record("contact_custom_fields", id=1, title="Mobil")


def _value(number: int, value: str, of: Any = 11, **more: Any) -> Message:
    return record("contact_custom_field_values", id=number, contact=of, field=1, value=value, **more)


def _numbers(crm: Crm, key: str = "11") -> list[str]:
    fields: list[dict[str, Any]] = crm.contacts()[key]["fields"]
    return next(each["value"] for each in fields if each["key"] == "number")


PERSON = record("contacts", id=11, first_name="Eva", phone="01632 960001", udate="2026-03-01T00:00:00Z")


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (0, 2, 1)])
def test_values_may_arrive_before_or_after_their_contact(crm: Crm, order: tuple[int, ...]) -> None:
    rows = [DEFINED, _value(1, "01632 960002"), PERSON]
    crm.run([rows[place] for place in order], preset="activecampaign")
    assert _numbers(crm) == ["01632 960001", "01632 960002"]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (0, 2, 1)])
def test_values_may_arrive_in_another_run_than_their_contact(crm: Crm, order: tuple[int, ...]) -> None:
    rows = [DEFINED, _value(1, "01632 960002"), PERSON]
    for place in order:
        assert crm.run([rows[place]], preset="activecampaign").code == 0
    assert _numbers(crm) == ["01632 960001", "01632 960002"]


def test_contacts_change_when_their_values_change_move_or_are_deleted(crm: Crm) -> None:
    crm.settings["preset"] = "activecampaign"
    crm.settings["streams"] = {"contact_custom_field_values": {"value": {"deleted": "gone"}}}
    other = record("contacts", id=12, first_name="Jan", udate="2026-03-01T00:00:00Z")
    crm.run([DEFINED, PERSON, other, _value(1, "01632 960002"), _value(2, "01632 960003")])
    assert _numbers(crm) == ["01632 960001", "01632 960002", "01632 960003"]

    run = crm.run([_value(1, "01632 960004")])
    assert _numbers(crm) == ["01632 960001", "01632 960004", "01632 960003"]
    assert run.summary["delivered"] == {"companies": 0, "contacts": 1}
    crm.run([_value(1, "01632 960004", of=12)])
    assert (_numbers(crm), _numbers(crm, "12")) == (["01632 960001", "01632 960003"], ["01632 960004"])
    crm.run([record("contact_custom_field_values", id=2, gone=True)])
    assert _numbers(crm) == ["01632 960001"]
    crm.run([record("contact_custom_fields", id=1, title="Shoe size")])
    assert _numbers(crm, "12") == []
    requests = crm.requests()
    crm.run([PERSON, _value(1, "01632 960004", of=12), record("contact_custom_fields", id=1, title="Shoe size")])
    assert crm.requests() == requests


def test_of_two_records_of_a_contact_the_newer_counts_with_its_values(crm: Crm) -> None:
    later = record("contacts", id=11, first_name="Eva", phone="01632 960009", udate="2026-03-02T00:00:00Z")
    crm.run([DEFINED, later, _value(1, "01632 960002"), PERSON], preset="activecampaign")
    assert _numbers(crm) == ["01632 960009", "01632 960002"]


@pytest.mark.promise("S5")
def test_a_run_that_stops_loses_no_values(crm: Crm) -> None:
    crm.settings["preset"] = "activecampaign"
    # Records of another CRM stop the run after the values have been stored.
    wrong = [record("accounts", id=number, Account_Name="Acme") for number in range(1_000)]
    assert crm.run([DEFINED, PERSON, _value(1, "01632 960002"), *wrong]).code == 1
    assert not crm.requests()
    crm.run([PERSON, DEFINED, _value(1, "01632 960002")])
    assert _numbers(crm) == ["01632 960001", "01632 960002"]


@pytest.mark.promise("S3")
def test_only_the_invalid_record_with_values_is_rejected(crm: Crm) -> None:
    bad = record("contacts", id=12, first_name="Jan", deleted="perhaps")
    run = crm.run([DEFINED, PERSON, bad, record("contacts", first_name="No id")], preset="activecampaign")
    assert run.code == 1
    assert _numbers(crm) == ["01632 960001"]
    assert [(line["stream"], line["id"]) for line in crm.rejects()] == [("contacts", None), ("contacts", "12")]


def test_a_staged_load_has_the_values_of_its_own_run_only(crm: Crm) -> None:
    crm.settings["preset"] = "activecampaign"
    everything = [DEFINED, PERSON, _value(1, "01632 960002"), _value(2, "01632 960003")]
    crm.run(everything, load_mode="full")
    crm.run(everything[:3], load_mode="full", delete_missing=True)
    assert crm.deliver("--accept-unknown").code == 0
    assert _numbers(crm) == ["01632 960001", "01632 960002"]


BEAN = {"id": "r1", "email_address_id": "e1", "bean_id": "c1", "bean_module": "Contacts", "primary_address": 1}


SUGAR = [
    record("accounts", id="A", name="Acme"),
    record("accounts", id="B", name="Beta"),
    record("contacts", id="c1", last_name="Malá", account_id="A"),
    record("email_addresses", id="e1", email_address="eva@example.com", invalid_email=0),
    record("email_addr_bean_rel", **BEAN),
    record("email_addr_bean_rel", **{**BEAN, "id": "r2", "bean_id": "B", "bean_module": "Accounts"}),
]


def _emails(crm: Crm, key: str = "c1") -> list[str]:
    return next(each["value"] for each in crm.contacts()[key]["fields"] if each["key"] == "email")


@pytest.mark.promise("S2")
def test_a_value_does_not_count_as_a_record_of_its_owner_s_stream(crm: Crm) -> None:
    crm.settings["preset"] = "sugarcrm"
    crm.run(SUGAR, load_mode="full")
    crm.run(SUGAR[2:], load_mode="full", delete_missing=True)
    run = crm.deliver("--accept-unknown")
    assert run.code == 1
    assert "accounts" in run.errors[0]
    assert set(crm.companies()) == {"A", "B"}


def test_a_load_that_is_not_delivered_removes_no_values(crm: Crm) -> None:
    crm.settings["preset"] = "sugarcrm"
    crm.run(SUGAR, load_mode="full")
    crm.run(SUGAR[:4], load_mode="full", delete_missing=True)
    crm.run([schema("accounts")])
    assert _emails(crm) == ["eva@example.com"]


def test_an_address_that_becomes_invalid_is_removed(crm: Crm) -> None:
    crm.settings["preset"] = "sugarcrm"
    crm.run(SUGAR)
    crm.run([record("email_addresses", id="e1", email_address="eva@example.com", invalid_email=1)])
    assert _emails(crm) == []
    crm.run([record("email_addresses", id="e1", email_address="eva@example.org")])
    assert _emails(crm) == ["eva@example.org"]
    crm.run([record("email_addr_bean_rel", **{**BEAN, "bean_module": "Leads"})])
    assert _emails(crm) == []


def test_a_condition_may_use_custom_values(crm: Crm) -> None:
    mobile = "contact_custom_field_values[?matches(definition.title, 'mobil')].value"
    crm.settings["preset"] = "activecampaign"
    crm.settings["streams"] = {"contacts": {"contact": {"when": f"present(phone) || present({mobile})"}}}
    run = crm.run([DEFINED, record("contacts", id=11, first_name="Eva"), _value(1, "01632 960002")])
    assert _numbers(crm) == ["01632 960002"]
    assert not run.warnings


def test_excluded_values_and_definitions_need_no_id(crm: Crm) -> None:
    streams: dict[str, Any] = {
        "questions": {"definition": {"when": "kind == 'x'", "id": "xid"}},
        "answers": {"value": {"when": "kind == 'x'", "of": "contacts", "id": "xid", "owner": "person"}},
    }
    rows = [record("questions", kind="y"), record("answers", kind="y", xid={"a": 1})]
    assert crm.run([*rows, record("contacts", id=1, lastname="Malá")], streams=streams).code == 0
