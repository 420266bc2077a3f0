"""Missing information changes nothing: columns that are not selected, and empty objects (S10)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.simulator import Fault
from tests.target_daktela_crm.running import Crm, Message, company, contact, feed, record, schema

if TYPE_CHECKING:
    from tests.target_daktela_crm.running import Run

pytestmark = pytest.mark.promise("S10")

ACCOUNT = {"Id": "001", "Name": "Acme", "Description": "old", "Phone": "+420601000001"}
PERSON = {
    "Id": "003",
    "AccountId": "001",
    "Name": "Eva Malá",
    "FirstName": "Eva",
    "LastName": "Malá",
    "Description": "calls on Mondays",
    "Phone": "+420601000002",
    "MobilePhone": "+420601000003",
    "Email": "eva@example.com",
    "IsDeleted": False,
}


def _fields(entry: dict[str, Any]) -> dict[str, list[str]]:
    return {each["key"]: each["value"] for each in entry["fields"]}


def _without(row: dict[str, Any], *columns: str, **changes: Any) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in columns} | changes


def _keyed(message: Message) -> Message:
    return {**message, "key_properties": ["Id"]}


@pytest.fixture(autouse=True)
def preset(crm: Crm) -> None:
    crm.settings["preset"] = "salesforce"


def _first_run(crm: Crm) -> None:
    run = crm.run(
        [record("Account", **ACCOUNT), record("Contact", **PERSON), {"type": "STATE", "value": {"a": 1}}]
    )
    assert run.code == 0


def _error(crm: Crm, run: Run, before: int) -> str:
    """Return the error of a run that has sent nothing."""
    [error] = run.errors
    assert run.code == 1
    assert not run.states
    assert crm.requests() == before
    assert "\n" not in error
    return error


# Values of columns that do not arrive.


@pytest.mark.parametrize("nothing", [..., {}, "{}", [{}]])
@pytest.mark.parametrize("column", ["Phone", "MobilePhone"])
def test_one_of_several_phone_columns_keeps_its_number(crm: Crm, column: str, nothing: Any) -> None:
    _first_run(crm)
    other = "MobilePhone" if column == "Phone" else "Phone"
    row = _without(PERSON, column, **{other: "+420601000009"}, **({} if nothing is ... else {column: nothing}))
    assert crm.run([record("Contact", **row)]).code == 0
    expected = {"Phone": "+420601000002", "MobilePhone": "+420601000003", other: "+420601000009"}
    assert _fields(crm.contacts()["003"])["number"] == [expected["Phone"], expected["MobilePhone"]]


def test_null_and_an_empty_list_are_values(crm: Crm) -> None:
    _first_run(crm)
    row = _without(PERSON, Phone=None, MobilePhone=[], Email="", Description=None)
    assert crm.run([record("Contact", **row)]).code == 0
    found = crm.contacts()["003"]
    assert _fields(found) == {"number": [], "email": []}
    assert found["description"] is None


def test_the_last_known_number_is_that_of_the_last_record_that_had_the_column(crm: Crm) -> None:
    _first_run(crm)
    for changes in ({"MobilePhone": None}, {"Phone": "+420601000009"}):
        assert crm.run([record("Contact", **_without(PERSON, "Phone", "MobilePhone", **changes))]).code == 0
    assert _fields(crm.contacts()["003"])["number"] == ["+420601000009"]


def test_a_number_that_was_left_out_as_a_repetition_is_still_known(crm: Crm) -> None:
    same = {**PERSON, "MobilePhone": PERSON["Phone"]}
    crm.run([record("Account", **ACCOUNT), record("Contact", **same)])
    assert _fields(crm.contacts()["003"])["number"] == ["+420601000002"]
    assert crm.run([record("Contact", **_without(PERSON, "MobilePhone", Phone="+420601000009"))]).code == 0
    assert _fields(crm.contacts()["003"])["number"] == ["+420601000009", "+420601000002"]


def test_a_part_of_a_name_is_joined_with_its_last_known_other_part(crm: Crm) -> None:
    row = _without(PERSON, "Name")
    crm.run([record("Account", **ACCOUNT), record("Contact", **row)])
    assert crm.run([record("Contact", **_without(row, "FirstName", LastName="Nová"))]).code == 0
    found = crm.contacts()["003"]
    assert (found["name"], found["firstname"], found["lastname"]) == ("Eva Nová", "Eva", "Nová")


def test_texts_and_the_company_keep_their_values(crm: Crm) -> None:
    _first_run(crm)
    assert (
        crm.run([record("Account", Id="001", Name="Acme"), record("Contact", Id="003", LastName="Nová")]).code == 1
    )
    row = _without(PERSON, "Description", "AccountId", "Phone", LastName="Nová")
    rows = [record("Account", **_without(ACCOUNT, "Description", Name="Acme II")), record("Contact", **row)]
    run = crm.run(rows)
    assert run.code == 0
    found = crm.contacts()["003"]
    assert (found["lastname"], found["description"], found["company"]) == ("Nová", "calls on Mondays", "001")
    account = crm.companies()["001"]
    assert (account["name"], account["description"]) == ("Acme II", "old")
    [note] = [each for each in run.summary["notes"] if each.startswith("Contact")]
    assert note == (
        "Contact: 3 columns of earlier runs did not arrive (AccountId, Description, Phone): the last known "
        "values are kept"
    )


def test_a_key_is_left_out_only_if_none_of_its_columns_is_known(crm: Crm) -> None:
    row = _without(PERSON, "AccountId", "Phone", "Email", MobilePhone=None)
    assert crm.run([record("Contact", **row)]).code == 0
    assert _fields(crm.contacts()["003"]) == {"number": []}


def test_new_contacts_of_a_run_without_a_column_have_no_value_of_others(crm: Crm) -> None:
    _first_run(crm)
    other = _without(PERSON, "Phone", "MobilePhone", Id="004")
    assert crm.run([record("Contact", **PERSON), record("Contact", **other)]).code == 0
    assert _fields(crm.contacts()["004"]) == {"email": ["eva@example.com"]}
    assert _fields(crm.contacts()["003"])["number"] == ["+420601000002", "+420601000003"]


def test_a_record_that_comes_twice_in_a_run_is_completed_by_its_first_version(crm: Crm) -> None:
    rows = [record("Account", **ACCOUNT), record("Contact", **PERSON)]
    assert crm.run([*rows, record("Contact", **_without(PERSON, "Phone", LastName="Nová"))]).code == 0
    found = crm.contacts()["003"]
    assert (found["lastname"], _fields(found)["number"]) == ("Nová", ["+420601000002", "+420601000003"])


def test_a_deleted_record_of_an_id_forgets_no_column(crm: Crm) -> None:
    _first_run(crm)
    crm.run([record("Contact", Id="003", IsDeleted=True)])
    assert crm.run([record("Contact", **_without(PERSON, "Phone"))]).code == 0
    assert _fields(crm.contacts()["003"])["number"] == ["+420601000002", "+420601000003"]


@pytest.mark.parametrize("nothing", [..., {}])
def test_the_last_known_type_of_a_record_is_used(crm: Crm, nothing: Any) -> None:
    crm.settings["preset"] = "zendesk_sell"
    rows = [
        record("contacts", id=1, is_organization=True, name="Acme", phone="+420601000001"),
        record("contacts", id=2, is_organization=False, name="Eva", phone="+420601000002"),
    ]
    assert crm.run(rows).code == 0
    more = {} if nothing is ... else {"is_organization": nothing}
    changed = [record("contacts", id=each, name=f"New {each}", phone=None, **more) for each in (1, 2)]
    assert crm.run(changed).code == 0
    assert (set(crm.companies()), set(crm.contacts())) == ({"1"}, {"2"})
    assert crm.companies()["1"]["name"] == "New 1"


def test_columns_of_a_stream_map_are_those_of_its_result(crm: Crm) -> None:
    crm.settings["streams"] = {"Contact": {"contact": {"fields": {"number": ["main_phone", "MobilePhone"]}}}}
    announced = [_keyed(schema("Account", *ACCOUNT)), _keyed(schema("Contact", *PERSON))]
    rows = [*announced, record("Account", **ACCOUNT), record("Contact", **PERSON)]
    assert crm.run(rows, stream_maps={"Contact": {"main_phone": "Phone", "Phone": "__NULL__"}}).code == 0
    changed = record("Contact", **{**PERSON, "MobilePhone": "+420601000009"})
    assert crm.run([*announced, changed], stream_maps={"Contact": {"Phone": "__NULL__"}}).code == 0
    assert _fields(crm.contacts()["003"])["number"] == ["+420601000002", "+420601000009"]


def test_records_in_the_request_s_shape_keep_what_they_lack(crm: Crm) -> None:
    crm.settings["preset"] = "daktela"
    # Most of these records are read without their mapping.
    crm.run(feed(company(1), *(contact(number, of=1) for number in range(5, 9))))
    rows = [record("contacts", id=number, name=f"Eva {number}", fields={}) for number in (7, 8)]
    assert crm.run(feed(record("companies", id=1, name="New"), *rows)).code == 0
    assert crm.companies()["1"] == {
        "name": "New",
        "description": "about 1",
        "fields": [{"key": "number", "value": ["+420601000000"]}],
    }
    assert crm.contacts()["8"] == {
        "name": "Eva 8",
        "firstname": "Contact",
        "lastname": "8",
        "description": None,
        "company": "1",
        "fields": [{"key": "number", "value": ["+42060208"]}, {"key": "email", "value": ["contact8@example.com"]}],
    }


# Objects, lists and JSON texts without selected columns.

SHAPES: dict[str, tuple[str, dict[str, Any], list[dict[str, Any]]]] = {
    "capsule": (
        "parties",
        {
            "type": "person",
            "lastName": "Malá",
            "organisation": {"id": 5, "name": "Acme"},
            "phoneNumbers": [{"type": "Work", "number": "+420601000002"}],
            "emailAddresses": [{"address": "eva@example.com"}],
        },
        [
            {"phoneNumbers": [{}, {}], "emailAddresses": [{}], "organisation": {}},
            {"phoneNumbers": [{"type": "Work"}], "emailAddresses": [{"id": 1}], "organisation": {}},
            {"phoneNumbers": {}, "emailAddresses": {}},
        ],
    ),
    "copper": (
        "people",
        {
            "name": "Malá",
            "company_id": 5,
            "phone_numbers": [{"number": "+420601000002", "category": "work"}],
            "emails": [{"email": "eva@example.com", "category": "work"}],
        },
        [{"phone_numbers": [{"category": "work"}], "emails": [{"category": "work"}], "company_id": {}}],
    ),
    "hubspot": (
        "contacts",
        {
            "properties": {"lastname": "Malá", "phone": "+420601000002", "email": "eva@example.com"},
            "companies": ["5"],
        },
        [{"properties": {"lastname": "Malá"}}, {"properties": '{"lastname": "Malá"}', "companies": [{}]}],
    ),
    "zoho": (
        "contacts",
        {
            "Last_Name": "Malá",
            "Account_Name": {"id": "5000001"},
            "Phone": "+420601000002",
            "Email": "eva@example.com",
        },
        [{"Account_Name": {}, "Phone": {}, "Email": {}}, {"Account_Name": {"name": "Acme"}}],
    ),
    "pipedrive": (
        "persons",
        {
            "name": "Malá",
            "org_id": 5,
            "phones": [{"value": "+420601000002", "primary": True, "label": "work"}],
            "emails": [{"value": "eva@example.com"}],
        },
        [{"org_id": {}, "phones": [{"label": "work"}], "emails": "[{}]"}],
    ),
    "raynet": (
        "persons",
        {
            "lastName": "Malá",
            "primaryRelationship": {"company": {"id": 5}},
            "contactInfo": {"tel1": "+420601000002", "email": "eva@example.com"},
        },
        [{"primaryRelationship": {"company": {}}, "contactInfo": {}}, {"contactInfo_tel2": None}],
    ),
    "freshsales": (
        "contacts",
        {
            "last_name": "Malá",
            "sales_account_id": 5,
            "phone_numbers": [{"value": "+420601000002", "label": "x"}],
            "emails": [{"value": "eva@example.com"}],
        },
        [{"phone_numbers": [{"label": "x"}], "emails": [{}]}],
    ),
    "dynamics365": (
        "contact",
        {
            "lastname": "Malá",
            "_accountid_value": "5",
            "mobilephone": "+420601000002",
            "emailaddress1": "eva@example.com",
        },
        [{"telephone1": None, "emailaddress2": None}],
    ),
}
"""By preset: the stream of contacts, the columns of a contact, and the same with fewer columns."""


@pytest.mark.parametrize(
    ("preset_name", "fewer"), [(name, fewer) for name, (_, _, several) in SHAPES.items() for fewer in several]
)
def test_columns_that_are_not_selected_keep_their_values(
    crm: Crm, preset_name: str, fewer: dict[str, Any]
) -> None:
    stream, columns, _ = SHAPES[preset_name]
    crm.settings.update(preset=preset_name, unknown_company="detach", allow_missing_columns=True)
    key = "contactid" if stream == "contact" else "id"
    crm.run([record(stream, **{key: 1}, **columns)])
    before = crm.contacts()["1"]
    assert [value for values in _fields(before).values() for value in values] == [
        "+420601000002",
        "eva@example.com",
    ]

    name = {each: columns[each] for each in columns if "ame" in each and each != "Account_Name"} | {
        each: columns[each] for each in ("type",) if each in columns
    }
    run = crm.run([record(stream, **{key: 1}, **{**name, **fewer})])

    assert run.code == 0
    assert crm.contacts()["1"] == before


def test_contacts_inside_a_company_keep_what_they_lack(crm: Crm) -> None:
    crm.settings["preset"] = "close"
    inside = {"id": "c1", "name": "Eva Malá", "phones": [{"phone": "+420601000002"}], "emails": []}
    crm.run([record("leads", id="l1", name="Acme", contacts=[inside])])
    before = crm.contacts()["c1"]
    named = {"id": "c1", "name": "Eva Malá"}
    fewer: list[dict[str, Any]] = [{**named, "phones": [{}]}, {}, named]
    for contacts in ([each] for each in fewer):
        run = crm.run([record("leads", id="l1", name="Acme II", contacts=contacts)], allow_missing_columns=True)
        assert (run.code, crm.rejects()) == (0, [])
        assert crm.contacts()["c1"] == before


# A tap that leaves out columns without a value.


def _hubspot(number: int, **columns: Any) -> Message:
    return record("contacts", id=str(number), **{f"property_{name}": value for name, value in columns.items()})


@pytest.mark.parametrize("is_first", [True, False])
def test_a_column_that_other_records_of_the_run_have_is_empty(crm: Crm, is_first: bool) -> None:  # noqa: FBT001
    crm.settings["preset"] = "hubspot"
    both = {"phone": "+420601000002", "mobilephone": "+420601000003", "associatedcompanyid": 5}
    crm.run(
        [record("companies", companyId=5, property_name={"value": "Acme"}), _hubspot(1, lastname="Malá", **both)]
    )
    rows = [_hubspot(1, lastname="Malá", mobilephone="+420601000003"), _hubspot(2, lastname="Nová", **both)]
    run = crm.run(rows if is_first else rows[::-1])
    assert run.code == 0
    assert _fields(crm.contacts()["1"])["number"] == ["+420601000003"]
    assert crm.contacts()["1"]["company"] is None
    assert crm.contacts()["2"]["company"] == "5"


def test_a_column_that_no_record_of_the_run_has_keeps_its_value(crm: Crm) -> None:
    crm.settings["preset"] = "hubspot"
    both = {"phone": "+420601000002", "mobilephone": "+420601000003", "associatedcompanyid": 5}
    crm.run(
        [record("companies", companyId=5, property_name={"value": "Acme"}), _hubspot(1, lastname="Malá", **both)]
    )
    announced = schema("contacts", "id", "property_lastname", *(f"property_{name}" for name in both))
    # Its schema also has the columns that are not selected.
    assert crm.run([announced, _hubspot(1, lastname="Nová")]).code == 0
    found = crm.contacts()["1"]
    assert (found["lastname"], found["company"]) == ("Nová", "5")
    assert _fields(found)["number"] == ["+420601000002", "+420601000003"]


def test_a_later_record_of_a_run_replaces_an_unsettled_one(crm: Crm) -> None:
    crm.settings["preset"] = "hubspot"
    crm.run([_hubspot(1, lastname="Malá", phone="+420601000002")])
    rows = [
        _hubspot(1, lastname="Nová"),
        _hubspot(1, lastname="Nová", phone="+420601000009"),
        _hubspot(2, lastname="Malá", phone="+420601000003"),
    ]
    assert crm.run(rows).code == 0
    assert _fields(crm.contacts()["1"])["number"] == ["+420601000009"]


# Runs that stop.


@pytest.mark.parametrize("nothing", [..., {}])
def test_a_stream_without_names_sends_nothing(crm: Crm, nothing: Any) -> None:
    names = {} if nothing is ... else dict.fromkeys(("Name", "FirstName", "LastName"), nothing)
    rows = [record("Contact", Id=str(number), Phone="+420601000002", **names) for number in range(3)]
    error = _error(crm, crm.run([record("Account", **ACCOUNT), *rows]), 0)
    assert error == (
        "Contact: no record has a column for names: select Contact.FirstName, Contact.LastName, Contact.Name in "
        "the tap. Or permit it with allow_missing_columns: the last known values are then sent again. Nothing "
        "was sent"
    )
    # What it has received is not delivered by a later run.
    assert crm.run([record("Account", **ACCOUNT)]).code == 0
    assert crm.contacts() == {}
    assert crm.run(rows, allow_missing_columns=True).code == 0
    assert crm.contacts()["1"]["name"] == "+420601000002"


def test_a_stream_whose_names_are_empty_objects_keeps_them(crm: Crm) -> None:
    crm.settings["preset"] = "hubspot"
    named = [record("companies", companyId=number, property_name={"value": f"Acme {number}"}) for number in (5, 6)]
    person = _hubspot(1, lastname="Malá", associatedcompanyid=5)
    crm.run([*named, person])
    before = crm.requests()
    rows = [record("companies", companyId=number, property_name={}, property_phone={}) for number in (5, 6, 7)]
    error = _error(crm, crm.run([*rows, person]), before)
    assert error.startswith(
        "companies: no record has a column for names: select companies.property_domain.value, "
        "companies.property_name.value in the tap"
    )
    assert crm.run([*rows, person], allow_missing_columns=True).code == 0
    assert {key: entry["name"] for key, entry in crm.companies().items()} == {
        "5": "Acme 5",
        "6": "Acme 6",
        "7": "#7",
    }


@pytest.mark.parametrize("names", [{"Name": None}, {"LastName": ""}])
def test_names_without_a_value_are_names(crm: Crm, names: dict[str, Any]) -> None:
    assert crm.run([record("Contact", Id="1", Phone="+420601000002", **names)]).code == 0


def test_one_record_with_a_name_is_enough(crm: Crm) -> None:
    rows = [record("Contact", Id=str(number), LastName={} if number < 2 else "Malá") for number in range(3)]
    assert crm.run(rows).code == 0


def test_deleted_records_need_no_names(crm: Crm) -> None:
    assert (
        crm.run([record("Contact", Id="1", IsDeleted=True), record("Account", Id="1", IsDeleted=True)]).code == 0
    )


def test_organisations_of_a_tap_that_has_no_column_for_their_names_are_accepted(crm: Crm) -> None:
    crm.settings["preset"] = "capsule"
    assert crm.run([record("parties", id=1, type="organisation", about="x", phoneNumbers=[])]).code == 0


def test_a_field_whose_columns_no_longer_arrive_sends_nothing(crm: Crm) -> None:
    _first_run(crm)
    before = crm.requests()
    row = _without(PERSON, "Phone", "MobilePhone")
    error = _error(crm, crm.run([schema("Contact", *row), record("Contact", **row)]), before)
    assert error.startswith(
        "Contact: no record has a column for number any more, which earlier runs had: select Contact.MobilePhone, "
        "Contact.Phone in the tap."
    )
    run = crm.run([record("Contact", **_without(row, LastName="Nová"))], allow_missing_columns=True)
    assert run.code == 0
    assert _fields(crm.contacts()["003"])["number"] == ["+420601000002", "+420601000003"]
    assert crm.contacts()["003"]["lastname"] == "Nová"
    # The columns are still expected.
    assert crm.run([record("Contact", **row)]).code == 1


def test_new_contacts_of_a_run_that_was_stopped_are_not_delivered_by_the_next_one(crm: Crm) -> None:
    _first_run(crm)
    row = _without(PERSON, "Phone", "MobilePhone")
    assert crm.run([record("Contact", **row), record("Contact", **{**row, "Id": "004"})]).code == 1
    assert crm.run([record("Contact", **PERSON)]).code == 0
    assert set(crm.contacts()) == {"003"}


def test_a_field_that_never_had_a_value_may_be_missing(crm: Crm) -> None:
    crm.run([record("Account", **ACCOUNT), record("Contact", **{**PERSON, "Email": None})])
    assert crm.run([record("Contact", **_without(PERSON, "Email"))]).code == 0


def test_contacts_that_no_longer_come_inside_their_companies_send_nothing(crm: Crm) -> None:
    crm.settings["preset"] = "close"
    crm.run([record("leads", id="l1", name="Acme", contacts=[{"id": "c1", "name": "Eva"}])])
    before = crm.requests()
    error = _error(crm, crm.run([record("leads", id="l1", name="Acme II")]), before)
    assert error.startswith("leads: no record has its contacts, which earlier runs had: select leads.contacts")
    assert crm.run([record("leads", id="l1", name="Acme II", contacts=[])]).code == 0


def test_a_dry_run_stops_as_well(crm: Crm) -> None:
    run = crm.run([record("Contact", Id="1", Phone="x")], dry_run=str(crm.folder / "preview"))
    assert run.code == 1


def test_a_load_with_delete_is_not_staged_without_names(crm: Crm) -> None:
    run = crm.run([record("Contact", Id="1", Phone="x")], load_mode="full", delete_missing=True)
    assert run.code == 1
    assert "nothing is staged" in crm.deliver().log


# Records that `when` excludes.


def _hide(crm: Crm) -> None:
    when = "!flag(Hidden)"
    crm.settings["streams"] = {"Account": {"company": {"when": when}}, "Contact": {"contact": {"when": when}}}


@pytest.mark.promise("S9")
def test_an_excluded_record_changes_no_known_column(crm: Crm) -> None:
    _hide(crm)
    _first_run(crm)
    new = "+420601000009"
    rows = [
        record("Account", **{**ACCOUNT, "Phone": new}, Hidden=True),
        record("Contact", **{**PERSON, "Phone": new}, Hidden=True),
    ]
    assert crm.run(rows).code == 0
    rows = [
        record("Account", **_without(ACCOUNT, "Phone"), Hidden=False),
        record("Account", Id="002", Name="Other", Phone=None, Hidden=False),
        record("Contact", **_without(PERSON, "Phone", LastName="Nová"), Hidden=False),
    ]
    assert crm.run(rows).code == 0
    assert _fields(crm.companies()["001"])["number"] == ["+420601000001"]
    assert crm.contacts()["003"]["lastname"] == "Nová"
    assert _fields(crm.contacts()["003"])["number"] == ["+420601000002", "+420601000003"]


@pytest.mark.promise("S6")
@pytest.mark.promise("S9")
@pytest.mark.parametrize("is_answered", [True, False])
def test_the_columns_of_a_withdrawn_company_are_those_that_daktela_has(crm: Crm, *, is_answered: bool) -> None:
    _hide(crm)
    _first_run(crm)
    crm.simulator.faults.append(Fault("403" if is_answered else "timeout", endpoint="sync", times=None))
    changed = record("Account", **{**ACCOUNT, "Phone": "+420601000009", "Description": "new"}, Hidden=False)
    assert crm.run([changed], request_timeout=60 if is_answered else 0.2).code == 1
    crm.simulator.faults.clear()
    assert crm.run([record("Account", **ACCOUNT, Hidden=True)]).code == 0

    rows = [
        record("Account", Id="001", Name="Acme", Hidden=False),
        record("Account", Id="002", Name="Other", Description=None, Phone=None, Hidden=False),
    ]
    assert crm.run(rows).code == 0

    found = crm.companies()["001"]
    assert (found["description"], _fields(found)["number"]) == ("old", ["+420601000001"])


@pytest.mark.promise("S9")
def test_the_last_known_columns_complete_a_condition(crm: Crm) -> None:
    crm.settings["streams"] = {"Contact": {"contact": {"when": "Type == 'client' && !flag(Hidden)"}}}
    # On hold, since its company is not known.
    crm.run([record("Contact", **PERSON, Type="client", Hidden=False)])
    run = crm.run([record("Contact", **{**PERSON, "LastName": "Nová"}, Hidden=False)])
    assert run.summary["withdrawn"]["count"] == 0
    assert crm.run([record("Account", **ACCOUNT)]).code == 0
    assert crm.contacts()["003"]["lastname"] == "Nová"
    run = crm.run([record("Contact", **PERSON, Hidden=True)])
    assert run.summary["passed_over"] == 1
    assert crm.contacts()["003"]["lastname"] == "Nová"


@pytest.mark.promise("S9")
def test_a_record_that_is_excluded_later_in_the_run_is_not_mapped_again(crm: Crm) -> None:
    crm.settings.update(preset="hubspot", streams={"contacts": {"contact": {"when": "!flag(hidden)"}}})
    crm.run([_hubspot(1, lastname="Malá", phone="+420601000002")])
    rows = [
        _hubspot(1, lastname="Nová", hidden=False),
        _hubspot(1, lastname="Nová", hidden=True),
        _hubspot(2, lastname="Malá", phone="+420601000003", hidden=False),
    ]
    assert crm.run(rows).code == 0
    assert crm.contacts()["1"]["lastname"] == "Malá"


@pytest.mark.promise("S9")
def test_a_run_that_stops_withdraws_and_sends_nothing(crm: Crm) -> None:
    _hide(crm)
    _first_run(crm)
    crm.simulator.faults.append(Fault("403", endpoint="sync"))
    assert crm.run([record("Contact", **{**PERSON, "LastName": "Nová"}, Hidden=False)]).code == 1
    before = crm.requests()
    nameless = _without(PERSON, "Name", "FirstName", "LastName", Id="004")
    rows = [record("Contact", **PERSON, Hidden=True), record("Contact", **nameless, Hidden=False)]
    run = crm.run(rows)
    assert _error(crm, run, before).startswith("Contact: no record has a column for names")
    assert run.summary["withdrawn"]["count"] == 0
    # The tap sends both again. Until then, nothing is sent of them.
    assert crm.run([record("Account", **ACCOUNT, Hidden=False)]).code == 0
    assert crm.contacts()["003"]["lastname"] == "Malá"
    assert set(crm.contacts()) == {"003"}


def test_a_contact_of_which_only_a_deletion_was_known_is_not_kept_by_a_run_that_stops(crm: Crm) -> None:
    crm.run([record("Account", **ACCOUNT), record("Contact", Id="003", IsDeleted=True)])
    row = _without(PERSON, "Name", "FirstName", "LastName")
    assert crm.run([record("Contact", **row)]).code == 1
    assert crm.run([record("Account", **ACCOUNT)]).code == 0
    assert crm.contacts() == {}


# Stores that are put back, and staged loads.


@pytest.mark.promise("S9")
def test_a_store_that_was_put_back_completes_records_with_what_it_knows(crm: Crm) -> None:
    _first_run(crm)
    content = crm.store.read_bytes()
    assert crm.run([record("Contact", **{**PERSON, "LastName": "Nová"})]).code == 0
    crm.store.write_bytes(content)
    row = _without(PERSON, "MobilePhone", LastName="Nová")
    rows = [record("Account", **_without(ACCOUNT, "Description")), record("Contact", **row)]
    assert crm.run(rows).code == 0
    assert crm.companies()["001"]["description"] == "old"
    assert _fields(crm.contacts()["003"])["number"] == ["+420601000002", "+420601000003"]


@pytest.mark.promise("S9")
def test_the_columns_of_a_staged_load_that_is_not_delivered_are_forgotten(crm: Crm) -> None:
    _first_run(crm)
    rows = [record("Account", **ACCOUNT), record("Contact", **{**PERSON, "Phone": "+420601000009"})]
    assert crm.run(rows, load_mode="full", delete_missing=True).code == 0
    assert crm.run([record("Contact", **_without(PERSON, "Phone", LastName="Nová"))]).code == 0
    assert _fields(crm.contacts()["003"])["number"] == ["+420601000002", "+420601000003"]


# Invalid values, and entities.


def test_invalid_values_of_a_record_that_is_mapped_again_are_counted_once(crm: Crm) -> None:
    crm.settings["preset"] = "hubspot"
    crm.run([_hubspot(1, lastname="Malá", phone="call me", mobilephone="+420601000002")])
    rows = [
        _hubspot(1, lastname="Malá", phone="call me"),
        _hubspot(2, lastname="Nová", mobilephone="+420601000003"),
    ]
    run = crm.run(rows)
    assert run.code == 0
    assert run.summary["left_out"] == {"phone number": 1}
    assert _fields(crm.contacts()["1"])["number"] == []


def test_texts_with_entities_are_decoded_once_if_they_are_sent_again(crm: Crm) -> None:
    crm.settings.update(preset="daktela", streams={"contacts": {"html_entities": True, "raw": False}})
    row = {"id": 7, "name": "O&amp;#039;Hara", "description": "R&amp;amp;D", "fields": {"x": "a&amp;lt;b"}}
    first = ("O&#039;Hara", "R&amp;D", {"x": ["a&lt;b"]})
    for changes in ([], ["description", "fields"]):
        assert crm.run(feed(record("contacts", **_without(row, *changes))), allow_missing_columns=True).code == 0
        found = crm.contacts()["7"]
        assert (found["name"], found["description"], _fields(found)) == first
