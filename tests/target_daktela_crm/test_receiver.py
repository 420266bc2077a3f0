"""Unusual values, invalid lines, records of the wrong CRM or of unmapped streams, and missing columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.target_daktela_crm.running import (
    SCHEMAS,
    Crm,
    Message,
    bookmark,
    company,
    contact,
    encoded,
    feed,
    record,
    schema,
    state,
)

if TYPE_CHECKING:
    from tests.target_daktela_crm.running import Run


def test_integers_that_php_cannot_represent_are_sent_as_texts(crm: Crm) -> None:
    long = 2**63
    crm.run(feed(company(long), contact(long + 1, of=long), contact(long + 2)))
    assert crm.company_of_contacts() == {str(long + 1): str(long), str(long + 2): None}


@pytest.mark.promise("S6")
def test_a_company_without_a_name_is_not_sent_as_no_company(crm: Crm) -> None:
    crm.run(feed(record("companies", id=5, name=None), contact(7, of=5)))
    assert crm.companies()["5"]["name"] == "#5"
    assert crm.company_of_contacts() == {"7": "5"}


def test_values_are_sent_exactly(crm: Crm) -> None:
    text = "a\u2028b\u0001c\td\r\ne \U0001f600 \u200f n\u030c "
    line = encoded(feed(contact(7, name=text, description=text)))
    line = line.replace(b'"lastname": "7"', b'"lastname": 1.10').replace(
        b'"firstname": "Contact"', b'"firstname": 1e3'
    )
    dates = ["2026-03-01T10:00:00+01:00", "2026-03-01 10:00:00", "2026-03-01"]
    typed = schema("contacts")
    typed["schema"]["properties"]["description"] = {"type": "string", "format": "date-time"}

    crm.run(line)
    crm.run([typed, *(contact(number, description=date) for number, date in enumerate(dates))])

    found = crm.contacts()
    assert (found["7"]["name"], found["7"]["description"]) == (text, text)
    assert (found["7"]["lastname"], found["7"]["firstname"]) == ("1.10", "1000")
    assert [found[str(number)]["description"] for number in range(3)] == dates


def test_unmapped_streams_are_logged_once_and_ignored(crm: Crm) -> None:
    unmapped = [record("pick_lists", id=1), record("pick_lists", id=2), schema("notes"), record("notes", id=1)]

    run = crm.run([unmapped[0], *feed(*unmapped[1:], contact(7))])

    assert run.code == 0
    assert [line.split(":")[0] for line in run.warnings] == ["pick_lists", "notes"]
    assert run.summary["ignored"] == {"pick_lists": 2, "notes": 1}
    assert set(crm.contacts()) == {"7"}


def test_an_input_without_a_mapped_stream_is_an_error(crm: Crm) -> None:
    run = crm.run([schema("Account"), record("Account", Id=1), {"type": "STATE", "value": {"a": 1}}])

    assert run.code == 1
    assert not run.states
    assert "the input has the streams Account" in run.errors[0]
    assert "companies, contacts" in run.errors[0]


@pytest.mark.promise("S3")
def test_other_lines_are_processed_if_some_are_not_messages(crm: Crm) -> None:
    invalid_lines = [
        b"INFO starting\n",
        b"[1, 2]\n",
        b'{"type": "LOG"}\n',
        b'{"type": "RECORD", "stream": "contacts"}\n',
        b"\n",
    ]
    lines = encoded([*SCHEMAS, contact(7)]) + b"".join(invalid_lines) + encoded(feed(contact(8), bookmark=6))

    run = crm.run(lines)

    assert run.code == 1
    assert bookmark(run) == 6
    assert set(crm.contacts()) == {"7", "8"}
    assert len(crm.rejects()) == 4
    assert "Traceback" not in run.log


def _error_of_a_run_without_effect(crm: Crm, run: Run) -> str:
    """Return the error of a run; check that the run sent no request, and wrote no state and no reject."""
    [error] = run.errors
    assert run.code == 1
    assert not run.states
    assert not crm.requests()
    assert not crm.rejects()
    assert "\n" not in error
    return error


@pytest.mark.promise("S9")
def test_an_input_of_another_crm_is_reported_with_the_expected_streams(crm: Crm) -> None:
    rows = [record("organizations", id=1, name="Acme"), *(record("persons", id=number) for number in (1, 2))]
    run = crm.run([*rows, state(1)], preset="hubspot")

    error = _error_of_a_run_without_effect(crm, run)
    assert error.startswith("nothing matched in 3 records: the input has the streams organizations, persons, but")
    assert "preset hubspot with the setting streams reads " in error
    assert ", companies, company_contact_associations, " in error


@pytest.mark.promise("S9")
def test_mapped_streams_without_a_mapped_column_are_reported(crm: Crm) -> None:
    accounts = [record("accounts", id=number, name="Acme", phone="01632 960001") for number in (1, 2)]
    people = [record("contacts", id=number, first_name="Eva", sales_account_id=1) for number in (7, 8)]
    run = crm.run([*accounts, *people, record("deals", id=1), state(1)], preset="zoho")

    error = _error_of_a_run_without_effect(crm, run)
    assert error.startswith("accounts: nothing matched in 2 records: they have id, name, phone, and preset zoho")
    assert "reads Account_Name, " in error
    assert "Streams on the input: accounts, contacts, deals; read: accounts, contacts." in error


def test_a_wrong_preset_stops_the_run_early_and_is_not_recorded_in_the_store(crm: Crm) -> None:
    people = [record("Contact", contactid=str(number), lastname="Malá") for number in range(2_000)]
    run = crm.run(people, preset="salesforce")
    assert "Contact: nothing matched in 1,000 records" in _error_of_a_run_without_effect(crm, run)

    assert crm.run(people, preset="dynamics365").code == 0
    assert len(crm.contacts()) == 2_000


def test_a_schema_can_match_the_preset_if_the_records_have_few_columns(crm: Crm) -> None:
    contacts_schema = schema("contacts", "id", "Last_Name", "Email")
    rows = [contacts_schema, record("contacts", id=1, Owner="7")]
    assert crm.run(rows, preset="zoho", allow_missing_columns=True).code == 0
    assert crm.contacts()["1"]["name"] == "#1"


@pytest.mark.parametrize(
    ("preset", "row"),
    [
        ("sugarcrm", record("contacts", id="1", deleted=True, _module="Contacts")),
        ("salesforce", record("Contact", Id="1", LastName=None)),
        ("activecampaign", record("account_contacts", id=1, contact=1, account=1)),
        ("hubspot", record("contacts", id="1", property_createdate="2026-01-01")),
        ("freshsales", record("contacts", id=1, _sdc_deleted_at="2026-01-01")),
        # The value of `is_deleted` is invalid, but `_sdc_deleted_at` suffices.
        ("freshsales", record("contacts", id=1, is_deleted="2026-01-01", _sdc_deleted_at="2026-01-01")),
    ],
)
def test_a_record_with_few_columns_is_accepted(crm: Crm, preset: str, row: Message) -> None:
    assert crm.run([row], preset=preset).code == 0


@pytest.mark.promise("S3")
def test_records_before_the_first_one_that_matches_the_preset_are_delivered(crm: Crm) -> None:
    sparse = [record("contacts", id=number, Owner="x") for number in range(5)]
    run = crm.run([*sparse, record("contacts", id=5, Last_Name="Malá")], preset="zoho")
    assert run.code == 0
    assert [crm.contacts()[str(number)]["name"] for number in range(6)] == ["#0", "#1", "#2", "#3", "#4", "Malá"]


def _with_column(expression: str) -> dict[str, Any]:
    return {"contacts": {"contact": {"fields": {"number": {"append": [expression]}}}}}


def test_a_misspelt_column_in_the_setting_streams_is_reported(crm: Crm) -> None:
    rows = [record("contacts", id=1, Last_Name="Malá", Phone_2="01632 960002")]
    run = crm.run(rows, preset="zoho", streams=_with_column("Phone2"))
    text = "streams.contacts: no record has the column Phone2: is it selected, and spelled as the tap spells it?"
    assert run.code == 0
    assert text in run.warnings
    assert text in run.summary["notes"]


@pytest.mark.parametrize("more", [{"Phone_2": None}, {"Other": {}, "Phone_2": "x"}])
def test_an_existing_column_is_not_reported(crm: Crm, more: dict[str, Any]) -> None:
    run = crm.run(
        [record("contacts", id=1, Last_Name="M", **more)], preset="zoho", streams=_with_column("Phone_2")
    )
    assert not run.warnings


def test_a_column_of_a_later_record_is_not_reported(crm: Crm) -> None:
    rows = [record("contacts", id=number, name="Eva") for number in range(3)]
    streams = {"contacts": {"contact": {"description": "about"}}}
    run = crm.run([schema("contacts"), *rows, record("contacts", id=3, name="Eva", about="x")], streams=streams)
    assert not run.warnings


def test_a_column_of_the_schema_is_not_reported(crm: Crm) -> None:
    rows = [schema("contacts", "id", "Last_Name", "Phone_2"), record("contacts", id=1, Last_Name="Malá")]
    assert not crm.run(rows, preset="zoho", streams=_with_column("Phone_2")).warnings


def test_a_field_without_any_column_is_reported(crm: Crm) -> None:
    rows = [record("contacts", id=1, first_name="Eva", email="e@example.com", work_number="01632 960001")]
    run = crm.run(rows, preset="sugarcrm")
    text = "contacts: no record has a column for number: are they selected, and does the preset match the tap?"
    assert text in run.summary["notes"]
    assert not run.warnings
    assert not crm.run(
        [record("contacts", id=1, first_name="Eva", email="", phone_work="")], preset="sugarcrm"
    ).summary["notes"]


def test_a_missing_column_that_only_one_role_of_a_stream_needs_is_not_reported(crm: Crm) -> None:
    # An account becomes a company or, if it is a person account, a contact. Only organisations with person
    # accounts have columns for e-mail addresses in this stream.
    run = crm.run([record("Account", Id="001", Name="Acme", Phone="01632 960001")], preset="salesforce")
    assert not [note for note in run.summary["notes"] if "no record has" in note]


def test_records_that_conditions_exclude_are_counted(crm: Crm) -> None:
    parties = [
        record("parties", id=1, type="organisation", name="Acme"),
        record("parties", id=2, type="robot"),
        record("parties", id=3),
    ]
    run = crm.run(parties, preset="capsule")
    assert run.summary["passed_over"] == 2
    assert "excluded      2 records by the conditions (when) of the mapping" in run.log


@pytest.mark.promise("S3")
def test_records_before_a_schema_that_matches_the_preset_are_delivered(crm: Crm) -> None:
    messages = [
        record("Contact", Id="1", Foo="x"),
        schema("Contact", "Id", "Name"),
        record("Contact", Id="2", Name="Eva"),
    ]
    assert crm.run(messages, preset="salesforce").code == 0
    assert set(crm.contacts()) == {"1", "2"}


LEADS = {"leads": {"contact": {"id": "id", "name": "name", "fields": {"email": ["email"]}}}}


@pytest.mark.parametrize("is_in_one_run", [True, False])
def test_the_same_id_in_two_streams_is_reported(crm: Crm, is_in_one_run: bool) -> None:  # noqa: FBT001
    rows = [record("people", id=7, name="Eva", company_id=None), record("companies", id=7, name="Acme")]
    leads = [record("leads", id=number, name="Lead", email="l@example.com") for number in (7, 8)]
    crm.settings.update(preset="copper", streams=LEADS)
    runs = [crm.run([*rows, *leads])] if is_in_one_run else [crm.run(rows), crm.run(leads)]
    text = (
        "leads: 1 record has the id of a record of people (7), and replaced it: give the records of one stream "
        "other ids, such as id: \"joined('-', 'leads', id)\""
    )
    assert text in runs[-1].warnings
    assert text in runs[-1].summary["notes"]
    assert runs[-1].code == 0
    assert not crm.run([record("leads", id=7, name="Lead", email=None)]).warnings
    other = {"leads": {"contact": {**LEADS["leads"]["contact"], "id": "joined('-', 'leads', id)"}}}
    crm.run([*rows, *leads], streams=other)
    assert not crm.run([*rows, *leads], streams=other).warnings
    assert {"7", "leads-7"} <= set(crm.contacts())


def test_a_person_account_has_the_id_of_its_contact(crm: Crm) -> None:
    account = record("Account", Id="001", Name="Petra", IsPersonAccount=True, PersonContactId="003")
    rows = [account, record("Contact", Id="003", Name="Petra", IsPersonAccount=True, AccountId="001")]
    assert not crm.run(rows, preset="salesforce").warnings
    assert not crm.run(rows[::-1], preset="salesforce").warnings
