"""What presets need of the target beside a mapping: the right tap, values of other streams, names of companies."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from target_daktela_crm.mapping.compiler import MappingProblems, compile_mapping
from tests.target_daktela_crm.running import Crm, Message, company, contact, feed, record, schema, state

if TYPE_CHECKING:
    from tests.target_daktela_crm.running import Run

# The wrong preset.


def _assert_nothing_came_of_it(crm: Crm, run: Run) -> str:
    [error] = run.errors
    assert run.code == 1
    assert not run.states
    assert not crm.requests()
    assert not crm.rejects()
    assert "\n" not in error
    return error


def test_the_streams_of_another_crm_are_told_with_those_expected(crm: Crm) -> None:
    rows = [record("organizations", id=1, name="Acme"), *(record("persons", id=number) for number in (1, 2))]
    run = crm.run([*rows, state(1)], preset="hubspot")

    error = _assert_nothing_came_of_it(crm, run)
    assert error.startswith("nothing matched in 3 records: the input has the streams organizations, persons, but")
    assert "reads associations_contacts_companies, companies, contacts, contacts_by_company" in error


def test_streams_of_the_same_names_with_other_columns_are_noticed(crm: Crm) -> None:
    accounts = [record("accounts", id=number, name="Acme", phone="01632 960001") for number in (1, 2)]
    people = [record("contacts", id=number, first_name="Eva", sales_account_id=1) for number in (7, 8)]
    run = crm.run([*accounts, *people, record("deals", id=1), state(1)], preset="zoho")

    error = _assert_nothing_came_of_it(crm, run)
    assert error.startswith("accounts: nothing matched in 2 records: they have id, name, phone, and preset zoho")
    assert "reads Account_Name, " in error
    assert "Streams on the input: accounts, contacts, deals; read: accounts, contacts." in error


def test_a_wrong_preset_is_noticed_before_the_end_and_does_not_bind_the_store(crm: Crm) -> None:
    people = [record("Contact", contactid=str(number), lastname="Malá") for number in range(2_000)]
    run = crm.run(people, preset="salesforce")
    assert "Contact: nothing matched in 1,000 records" in _assert_nothing_came_of_it(crm, run)

    assert crm.run(people, preset="dynamics365").code == 0
    assert len(crm.contacts()) == 2_000


def test_a_schema_tells_what_a_sparse_record_does_not(crm: Crm) -> None:
    announced = schema("contacts", "id", "Last_Name", "Email")
    rows = [announced, record("contacts", id=1, Owner="nobody")]
    assert crm.run(rows, preset="zoho").code == 0
    assert crm.contacts()["1"]["name"] == "#1"


@pytest.mark.parametrize(
    ("preset", "row"),
    [
        ("sugarcrm", record("contacts", id="1", deleted=True, _module="Contacts")),
        ("salesforce", record("Contact", Id="1")),
        ("activecampaign", record("account_contacts", id=1, contact=1, account=1)),
        ("hubspot", record("contacts", id="1", property_createdate="2026-01-01")),
        ("freshsales", record("contacts", id=1, _sdc_deleted_at="2026-01-01")),
        # The flag need not be read any more.
        ("freshsales", record("contacts", id=1, is_deleted="2026-01-01", _sdc_deleted_at="2026-01-01")),
    ],
)
def test_a_record_that_says_little_is_not_taken_for_another_tap_s(crm: Crm, preset: str, row: Message) -> None:
    assert crm.run([row], preset=preset).code == 0


def test_records_before_the_first_that_fits_are_not_lost(crm: Crm) -> None:
    sparse = [record("contacts", id=number, Owner="x") for number in range(5)]
    run = crm.run([*sparse, record("contacts", id=5, Last_Name="Malá")], preset="zoho")
    assert run.code == 0
    assert [crm.contacts()[str(number)]["name"] for number in range(6)] == ["#0", "#1", "#2", "#3", "#4", "Malá"]


# Columns that the configuration names.


def _with_column(expression: str) -> dict[str, Any]:
    return {"contacts": {"contact": {"fields": {"number": {"append": [expression]}}}}}


def test_a_misspelt_column_is_told(crm: Crm) -> None:
    rows = [record("contacts", id=1, Last_Name="Malá", Phone_2="01632 960002")]
    run = crm.run(rows, preset="zoho", streams=_with_column("Phone2"))
    text = "streams.contacts: no record has the column Phone2: is it selected, and spelled as the tap spells it?"
    assert run.code == 0
    assert text in run.warnings
    assert text in run.summary["notes"]


@pytest.mark.parametrize("more", [{"Phone_2": None}, {"Other": {}, "Phone_2": "x"}])
def test_a_column_that_is_there_is_not_told(crm: Crm, more: dict[str, Any]) -> None:
    run = crm.run(
        [record("contacts", id=1, Last_Name="M", **more)], preset="zoho", streams=_with_column("Phone_2")
    )
    assert not run.warnings


def test_a_column_that_comes_with_a_later_record_is_not_told(crm: Crm) -> None:
    rows = [record("contacts", id=number, name="Eva") for number in range(3)]
    streams = {"contacts": {"contact": {"description": "about"}}}
    run = crm.run([schema("contacts"), *rows, record("contacts", id=3, name="Eva", about="x")], streams=streams)
    assert not run.warnings


def test_a_column_that_the_schema_has_is_not_told(crm: Crm) -> None:
    rows = [schema("contacts", "id", "Last_Name", "Phone_2"), record("contacts", id=1, Last_Name="Malá")]
    assert not crm.run(rows, preset="zoho", streams=_with_column("Phone_2")).warnings


def test_a_kind_of_value_that_no_record_has_a_column_for_is_told(crm: Crm) -> None:
    rows = [record("contacts", id=1, first_name="Eva", email="e@example.com", work_number="01632 960001")]
    run = crm.run(rows, preset="sugarcrm")
    text = "contacts: no record has a column for number: are they selected, and does the preset match the tap?"
    assert text in run.summary["notes"]
    assert not run.warnings
    assert not crm.run(
        [record("contacts", id=1, first_name="Eva", email="", phone_work="")], preset="sugarcrm"
    ).summary["notes"]


def test_a_kind_of_value_that_companies_never_have_is_not_missed_in_people_beside_them(crm: Crm) -> None:
    # Only an organisation that has person accounts has columns for their e-mail addresses.
    run = crm.run([record("Account", Id="001", Name="Acme", Phone="01632 960001")], preset="salesforce")
    assert not [note for note in run.summary["notes"] if "no record has" in note]


def test_records_that_no_condition_takes_in_are_counted(crm: Crm) -> None:
    parties = [_party(1, name="Acme"), record("parties", id=2, type="robot"), record("parties", id=3)]
    run = crm.run(parties, preset="capsule")
    assert run.summary["passed_over"] == 2
    assert "passed over   2 records that no condition (when) of the mapping takes in" in run.log


# Overriding.


def test_a_custom_column_of_salesforce(crm: Crm) -> None:
    row = record(
        "Contact", Id="003", LastName="Malá", Phone="01632 960001", Support__c="01632 960002", Tier__c="A"
    )
    fields = {"number": {"append": ["Support__c"], "remove": ["Phone"]}, "tier": ["Tier__c"]}
    crm.run([row], preset="salesforce", streams={"Contact": {"contact": {"fields": fields}}})
    sent = {each["key"]: each["value"] for each in crm.contacts()["003"]["fields"]}
    assert sent == {"number": ["01632 960002"], "email": [], "tier": ["A"]}


def test_a_custom_hash_of_pipedrive(crm: Crm) -> None:
    name = "9dc80c50d78a15643bfc4ca79d76156a73a1ca0e"
    row = record("organizations", id=1, name="Acme", **{name: "01632 960001"})
    streams = {"organizations": {"company": {"fields": {"number": [f'"{name}"']}}}}
    crm.run([row], preset="pipedrive", streams=streams)
    assert crm.companies()["1"]["fields"][0] == {"key": "number", "value": ["01632 960001"]}


@pytest.mark.parametrize(
    "row",
    [
        {"properties": {"phone": "01632 960001", "support_phone": "01632 960002"}},
        {"properties__phone": "01632 960001", "properties__support_phone": "01632 960002"},
        {"property_phone": "01632 960001", "property_support_phone": "01632 960002"},
        {"property_phone": {"value": "01632 960001"}, "property_support_phone": {"value": "01632 960002"}},
        {"phone": "01632 960001", "support_phone": "01632 960002"},
    ],
)
def test_a_property_of_hubspot_in_each_tap_s_place(crm: Crm, row: dict[str, Any]) -> None:
    streams = {"contacts": {"contact": {"fields": {"number": {"prepend": ["support_phone"]}}}}}
    run = crm.run([record("contacts", id="1", **row)], preset="hubspot", streams=streams)
    assert crm.contacts()["1"]["fields"][0]["value"] == ["01632 960002", "01632 960001"]
    assert not run.warnings


# Values in other streams.

DEFINED = record("contact_custom_fields", id=1, title="Mobil")


def _value(number: int, value: str, of: Any = 11, **more: Any) -> Message:
    return record("contact_custom_field_values", id=number, contact=of, field=1, value=value, **more)


def _numbers(crm: Crm, key: str = "11") -> list[str]:
    fields: list[dict[str, Any]] = crm.contacts()[key]["fields"]
    return next(each["value"] for each in fields if each["key"] == "number")


PERSON = record("contacts", id=11, first_name="Eva", phone="01632 960001", udate="2026-03-01T00:00:00Z")


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (0, 2, 1)])
def test_values_come_before_their_contact_or_after_it(crm: Crm, order: tuple[int, ...]) -> None:
    rows = [DEFINED, _value(1, "01632 960002"), PERSON]
    crm.run([rows[place] for place in order], preset="activecampaign")
    assert _numbers(crm) == ["01632 960001", "01632 960002"]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (0, 2, 1)])
def test_values_come_in_another_run_than_their_contact(crm: Crm, order: tuple[int, ...]) -> None:
    rows = [DEFINED, _value(1, "01632 960002"), PERSON]
    for place in order:
        assert crm.run([rows[place]], preset="activecampaign").code == 0
    assert _numbers(crm) == ["01632 960001", "01632 960002"]


def test_a_value_that_changes_moves_or_goes_changes_its_contacts(crm: Crm) -> None:
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


def test_of_a_contact_that_comes_twice_the_later_one_counts_with_its_values(crm: Crm) -> None:
    later = record("contacts", id=11, first_name="Eva", phone="01632 960009", udate="2026-03-02T00:00:00Z")
    crm.run([DEFINED, later, _value(1, "01632 960002"), PERSON], preset="activecampaign")
    assert _numbers(crm) == ["01632 960009", "01632 960002"]


def test_a_run_that_breaks_off_loses_no_value(crm: Crm) -> None:
    crm.settings["preset"] = "activecampaign"
    # Another stream's records end the run after the values have been stored.
    wrong = [record("accounts", id=number, Account_Name="Acme") for number in range(1_000)]
    assert crm.run([DEFINED, PERSON, _value(1, "01632 960002"), *wrong]).code == 1
    assert not crm.requests()
    crm.run([PERSON, DEFINED, _value(1, "01632 960002")])
    assert _numbers(crm) == ["01632 960001", "01632 960002"]


def test_a_record_with_values_is_rejected_alone(crm: Crm) -> None:
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


# Companies whose names only their contacts know.


def _party(number: int, **more: Any) -> Message:
    return record("parties", id=number, type="person" if "organisation" in more else "organisation", **more)


def test_a_company_without_a_name_has_the_one_that_its_contacts_tell(crm: Crm) -> None:
    crm.settings["preset"] = "capsule"
    crm.run([_party(1, about="first"), _party(7, firstName="Eva", organisation={"id": 1, "name": "Acme"})])
    assert crm.companies()["1"]["name"] == "Acme"
    requests = crm.requests()
    crm.run([_party(1, about="first")])
    assert crm.requests() == requests
    crm.run([_party(8, firstName="Jan", organisation={"id": 1, "name": "Acme & Co"})])
    assert crm.companies()["1"]["name"] == "Acme & Co"
    crm.run([_party(1, about="first", name="Its own")])
    assert crm.companies()["1"]["name"] == "Its own"
    crm.run([_party(9, firstName="Ota", organisation={"id": 1, "name": "Another"})])
    assert crm.companies()["1"]["name"] == "Its own"


def test_a_company_that_only_a_contact_names_is_not_made_up(crm: Crm) -> None:
    run = crm.run([_party(7, firstName="Eva", organisation={"id": 1, "name": "Acme"})], preset="capsule")
    assert run.summary["on_hold"] == 1
    assert not crm.companies()


# Ids.


def test_a_company_that_is_a_contact_is_none_where_ids_are_unique(crm: Crm) -> None:
    rows = [
        record("contact", contactid="A1", lastname="Boss"),
        record("contact", contactid="a2", lastname="Staff", _parentcustomerid_value="a1"),
        record("contact", contactid="a3", lastname="Waits", _parentcustomerid_value="b9"),
    ]
    run = crm.run(rows, preset="dynamics365")
    assert crm.contacts()["a2"]["company"] is None
    assert run.summary["on_hold"] == 1


def test_a_company_with_the_id_of_a_contact_is_one_elsewhere(crm: Crm) -> None:
    run = crm.run(
        [record("persons", id=1, name="Eva"), record("persons", id=2, name="Jan", org_id=1)], preset="pipedrive"
    )
    assert run.summary["on_hold"] == 1


# Stores of earlier versions.


def _to_first_layout(crm: Crm) -> None:
    with closing(sqlite3.connect(crm.store)) as connection:
        for table in (
            "originals",
            "value_rows",
            "definitions",
            "company_names",
            "sent_contacts",
            "sent_companies",
        ):
            connection.execute(f"DROP TABLE {table}")
        connection.execute("ALTER TABLE companies DROP COLUMN nameless")
        connection.execute("PRAGMA user_version = 1")
        connection.commit()


def test_a_store_of_the_first_layout_is_taken_over(crm: Crm) -> None:
    crm.run(feed(company(1), contact(7, of=1)))
    _to_first_layout(crm)

    requests = crm.requests()
    assert crm.run(feed(company(1), contact(7, of=1))).code == 0
    assert crm.requests() == requests
    assert crm.run(feed(company(1, name="New"))).code == 0
    assert crm.companies()["1"]["name"] == "New"


# What a second pair of eyes found.

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


def test_a_value_does_not_pass_for_a_record_of_the_stream_that_it_belongs_to(crm: Crm) -> None:
    crm.settings["preset"] = "sugarcrm"
    crm.run(SUGAR, load_mode="full")
    crm.run(SUGAR[2:], load_mode="full", delete_missing=True)
    run = crm.deliver("--accept-unknown")
    assert run.code == 1
    assert "accounts" in run.errors[0]
    assert set(crm.companies()) == {"A", "B"}


def test_a_stage_that_is_not_delivered_takes_no_values_away(crm: Crm) -> None:
    crm.settings["preset"] = "sugarcrm"
    crm.run(SUGAR, load_mode="full")
    crm.run(SUGAR[:4], load_mode="full", delete_missing=True)
    crm.run([schema("accounts")])
    assert _emails(crm) == ["eva@example.com"]


def test_an_address_that_becomes_invalid_is_sent_no_more(crm: Crm) -> None:
    crm.settings["preset"] = "sugarcrm"
    crm.run(SUGAR)
    crm.run([record("email_addresses", id="e1", email_address="eva@example.com", invalid_email=1)])
    assert _emails(crm) == []
    crm.run([record("email_addresses", id="e1", email_address="eva@example.org")])
    assert _emails(crm) == ["eva@example.org"]
    crm.run([record("email_addr_bean_rel", **{**BEAN, "bean_module": "Leads"})])
    assert _emails(crm) == []


def test_a_condition_may_be_about_values(crm: Crm) -> None:
    mobile = "contact_custom_field_values[?matches(definition.title, 'mobil')].value"
    crm.settings["preset"] = "activecampaign"
    crm.settings["streams"] = {"contacts": {"contact": {"when": f"present(phone) || present({mobile})"}}}
    run = crm.run([DEFINED, record("contacts", id=11, first_name="Eva"), _value(1, "01632 960002")])
    assert _numbers(crm) == ["01632 960002"]
    assert not run.warnings


def test_a_contact_that_moves_leaves_its_old_company_though_no_tap_tells_of_links_that_are_gone(crm: Crm) -> None:
    crm.settings["preset"] = "hubspot"
    link = {"from_id": "5", "label": "Primary", "typeId": 1}
    companies = [record("companies", id="A", name="Acme"), record("companies", id="B", name="Beta")]
    person = {"id": "5", "firstname": "Eva"}
    crm.run(
        [
            *companies,
            record("contacts_v3", **person, associatedcompanyid="A"),
            record("associations_contacts_companies", **link, to_id="A"),
        ]
    )
    assert crm.contacts()["5"]["company"] == "A"
    crm.run([record("contacts_v3", **person, associatedcompanyid="B")])
    assert crm.contacts()["5"]["company"] == "B"
    crm.run([record("contacts_v3", **person), record("associations_contacts_companies", **link, to_id="A")])
    assert crm.contacts()["5"]["company"] == "A"


COLUMNS_OF_COMPANIES: dict[str, tuple[Message, Message, dict[str, Any]]] = {
    "salesforce": (record("Account", Id="a"), record("Contact", Id=1, LastName="M"), {"AccountId": "a"}),
    "pipedrive": (record("organizations", id="a"), record("persons", id=1, name="M"), {"org_id": "a"}),
    "zoho": (record("accounts", id="a"), record("contacts", id=1, Last_Name="M"), {"Account_Name": {"id": "a"}}),
    "dynamics365": (
        record("account", accountid="A"),
        record("contact", contactid=1, lastname="M"),
        {"_accountid_value": "A"},
    ),
    "freshsales": (record("accounts", id="a"), record("contacts", id=1, last_name="M"), {"sales_account_id": "a"}),
    "hubspot": (
        record("companies", id="a"),
        record("contacts", id=1, properties={"lastname": "M"}),
        {"companies": ["a"]},
    ),
}


@pytest.mark.parametrize("preset", COLUMNS_OF_COMPANIES)
def test_a_record_without_the_company_s_column_leaves_its_contact_where_it_is(crm: Crm, preset: str) -> None:
    crm.settings["preset"] = preset
    company, person, link = COLUMNS_OF_COMPANIES[preset]
    for expected, more in (("a", link), ("a", {"description": "x"}), (None, dict.fromkeys(link))):
        row = record(person["stream"], **person["record"], **more)
        assert crm.run([company, row] if more is link else [row]).code == 0
        assert crm.contacts()["1"]["company"] == expected


def test_records_before_a_schema_that_fits_are_not_lost(crm: Crm) -> None:
    odd = [
        record("Contact", Id="1", Foo="x"),
        schema("Contact", "Id", "Name"),
        record("Contact", Id="2", Name="Eva"),
    ]
    assert crm.run(odd, preset="salesforce").code == 0
    assert set(crm.contacts()) == {"1", "2"}


def test_a_stream_is_changed_under_its_other_name_too(crm: Crm) -> None:
    streams = {
        "Contacts": {"contact": {"fields": {"number": {"append": ["pager"]}}}, "null_values": {"append": ["-"]}}
    }
    row = record(
        "contacts", contactid="1", lastname="-", fullname="Eva", pager="01632 960001", _accountid_value="None"
    )
    crm.run([row], preset="dynamics365", streams=streams)
    assert _numbers(crm, "1") == ["01632 960001"]
    assert (crm.contacts()["1"]["lastname"], crm.contacts()["1"]["company"]) == (None, None)


def test_texts_that_mean_nothing_are_no_flags(crm: Crm) -> None:
    run = crm.run([record("accounts", accountid="A", name="Acme", merged="None")], preset="dynamics365")
    assert run.code == 0
    assert set(crm.companies()) == {"a"}


def test_contacts_inside_a_company_may_come_as_text(crm: Crm) -> None:
    run = crm.run(
        [record("leads", id="l", name="Acme", contacts='[{"id": "c", "name": "Eva Malá"}]')], preset="close"
    )
    assert run.code == 0
    assert crm.contacts()["c"]["lastname"] == "Malá"


def test_a_dry_run_leaves_a_store_of_the_first_layout_as_it_is(crm: Crm) -> None:
    crm.run(feed(company(1), contact(7, of=1)))
    _to_first_layout(crm)
    assert crm.run(feed(contact(8)), dry_run=str(crm.folder / "preview")).code == 0
    with closing(sqlite3.connect(crm.store)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)


# What can be wrong with it.

PEOPLE = {"contact": {"id": "id", "lastname": "surname"}}
ANSWERS = {"of": "people", "owner": "person"}


@pytest.mark.parametrize(
    ("streams", "problem"),
    [
        (
            {"a": {"value": {**ANSWERS, "of": "persons"}}},
            "streams.a.value.of: 'persons' is not a stream of the mapping",
        ),
        ({"a": {"value": {**ANSWERS, "of": "l"}}}, "streams.a.value.of: 'l' has neither companies nor contacts"),
        ({"a": {"value": {"of": "people"}}}, "streams.a.value.owner: is missing"),
        ({"a": {"value": {**ANSWERS, "defined_in": "q"}}}, "streams.a.value.defined_in: 'q' is not a stream"),
        ({"a": {"value": {**ANSWERS, "defined": "q"}}}, "streams.a.value.defined: a value has no such attribute"),
        ({"a": {"definition": {}}}, "streams.a.definition.id: is missing"),
        ({"people": {"places": ["properties."]}}, "streams.people.places: 'properties.' lacks {}"),
        ({"people": {**PEOPLE, "aliases": ["l"]}}, "'l' names two streams of the mapping"),
    ],
)
def test_what_is_wrong_with_a_mapping_is_told(streams: dict[str, Any], problem: str) -> None:
    links = {"l": {"link": {"contact": "c", "company": "f"}}, "people": PEOPLE}
    with pytest.raises(MappingProblems) as raised:
        compile_mapping("daktela", {**links, **streams}, None)
    assert any(problem in line for line in raised.value.lines)


# What a third pair of eyes found.


def test_a_contact_that_a_delivery_has_deleted_does_not_come_back(crm: Crm) -> None:
    crm.settings.update(preset="activecampaign", load_mode="full", max_delete_fraction=0.9)
    accounts = [record("accounts", id=number, name=f"Company {number}") for number in (1, 5)]
    people = [record("contacts", id=number, first_name=f"P{number}") for number in range(1, 8)]
    crm.run([*accounts, *people])
    for gone in (None, 5):
        left = [person for person in people if person["record"]["id"] != gone]
        crm.run([*accounts, *left], delete_missing=True)
        assert crm.deliver("--accept-unknown").code == 0
    assert "5" not in crm.contacts()
    crm.run([people[0]], load_mode="partial")
    assert "5" not in crm.contacts()


def test_a_record_that_was_rejected_once_does_not_stop_later_deliveries(crm: Crm) -> None:
    crm.settings.update(preset="activecampaign", load_mode="full")
    people = [record("contacts", id=number, first_name=f"P{number}") for number in range(1, 8)]
    crm.run(people)
    assert crm.run([*people, record("contacts", id=9, deleted="perhaps")], delete_missing=True).code == 1
    assert crm.run(people, delete_missing=True).code == 0
    assert crm.deliver("--accept-unknown").code == 0


@pytest.mark.parametrize("nothing", ['{"company":null}', {}, "", None, {"company": {}}])
def test_nothing_in_place_of_a_company_takes_its_contact_from_it(crm: Crm, nothing: Any) -> None:
    crm.settings["preset"] = "raynet"
    person = {"id": 7, "lastName": "Malá"}
    relation = '{"company":{"id":1}}'
    crm.run([record("companies", id=1, name="Acme"), record("persons", **person, primaryRelationship=relation)])
    assert crm.contacts()["7"]["company"] == "1"
    crm.run([record("persons", **person, primaryRelationship=nothing)])
    assert crm.contacts()["7"]["company"] is None


def test_a_contact_that_leaves_its_company_does_not_go_back_to_a_former_one(crm: Crm) -> None:
    crm.settings["preset"] = "hubspot"
    companies = [record("companies", id="A", name="Acme"), record("companies", id="B", name="Beta")]
    link = record("associations_contacts_companies", from_id="5", to_id="A", label="Primary", typeId=1)
    crm.run([*companies, record("contacts", id="5", firstname="Eva", associatedcompanyid="A"), link])
    for expected in ("B", None):
        crm.run([record("contacts", id="5", firstname="Eva", associatedcompanyid=expected)])
        assert crm.contacts()["5"]["company"] == expected


def test_a_link_to_an_unknown_company_does_not_take_a_contact_from_a_known_one(crm: Crm) -> None:
    crm.settings["preset"] = "activecampaign"
    crm.run(
        [
            record("accounts", id=1, name="Acme"),
            record("contacts", id=9, first_name="Eva"),
            record("account_contacts", id=1, contact=9, account=1),
        ]
    )
    run = crm.run([record("account_contacts", id=2, contact=9, account=77)])
    assert run.summary["on_hold"] == 0
    assert crm.contacts()["9"]["company"] == "1"


def test_rows_that_are_not_wanted_need_no_id(crm: Crm) -> None:
    streams: dict[str, Any] = {
        "questions": {"definition": {"when": "kind == 'x'", "id": "xid"}},
        "answers": {"value": {"when": "kind == 'x'", "of": "contacts", "id": "xid", "owner": "person"}},
    }
    rows = [record("questions", kind="y"), record("answers", kind="y", xid={"a": 1})]
    assert crm.run([*rows, record("contacts", id=1, lastname="Malá")], streams=streams).code == 0


def test_broken_text_in_place_of_contacts_is_rejected(crm: Crm) -> None:
    run = crm.run([record("leads", id="l", name="Acme", contacts='[{"id": "c"')], preset="close")
    assert run.code == 1
    assert [line["reason"] for line in crm.rejects()] == ["contacts: an element is not an object"]


def test_null_takes_away_what_a_preset_says_of_all_streams(crm: Crm) -> None:
    row = record("contacts", id="1", properties={"firstname": "Eva"}, firstname="Jan")
    crm.run([row], preset="hubspot", streams={"contacts": {"places": None}})
    assert crm.contacts()["1"]["firstname"] == "Jan"


@pytest.mark.parametrize("aliases", [5, ["a", 5], "people"])
def test_odd_aliases_are_no_traceback(aliases: Any) -> None:
    try:
        mapping = compile_mapping("daktela", {"contacts": {"aliases": aliases}, "companies": {}}, None)
    except MappingProblems as problems:
        assert problems.lines == ["streams.contacts.aliases: must be a list of texts"]  # noqa: PT017
    else:
        assert mapping.stream("people") is mapping.stream("contacts")
