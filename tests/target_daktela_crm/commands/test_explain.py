"""`--explain`: what the mapping makes of records, and where each value comes from."""

from __future__ import annotations

import itertools

from tests.target_daktela_crm.running import (
    SCHEMAS,
    Crm,
    company,
    contact,
    encoded,
    record,
    run_target,
)


def test_explain_shows_each_entity_and_sends_nothing(crm: Crm) -> None:
    fields = {"email": [], "vip": "gold"}
    people = [contact(number, of=1, details=fields) for number in range(5)]
    streams = {"contacts": {"contact": {"fields": ["attributes", "details"]}}}
    odd = [record("contacts", name="no id"), {"type": "RECORD", "stream": "contacts", "record": [1]}]
    lines = encoded([*SCHEMAS, *people, *odd, company(1), record("notes", id=1)])

    run = run_target({"preset": "daktela", "streams": streams}, lines, "--explain")

    assert run.code == 0
    assert run.output.count("-> contact") == 3
    assert "-> contact 0 under company 1\n" in run.output
    assert lines_on(run.output, "contact 0") == [
        ("id", "0", "from id"),
        ("name", '"Contact 0"', "from name"),
        ("firstname", '"Contact"', "from firstname"),
        ("lastname", '"0"', "from lastname"),
        ("description", "-", "nothing in description"),
        ("company", '"1"', "from company_id"),
        ("vip", '"gold"', "from details"),
    ]
    assert lines_on(run.output, "company 1")[-1] == ("number", '"+420601000000"', "from fields")
    assert "notes: the mapping has no such stream" in run.output
    assert "contacts 6, companies 1, notes 1" in run.output
    assert not crm.requests()
    assert not crm.store.exists()


def test_explain_shows_what_is_rejected_and_left_out(crm: Crm) -> None:
    rows = [
        record("Contact", Id="003", Name="Eva", Phone="ask her"),
        record("Contact", Name="no id"),
        record("Account", Id="001", Name="Eva", IsPersonAccount=True, PersonContactId="003"),
        record("AccountContactRelation", Id="07", ContactId="003", AccountId="001", IsDirect=True),
    ]
    run = run_target({"preset": "salesforce"}, encoded(rows), "--explain")
    assert "-> rejected: id: is missing" in run.output
    assert "left out: 1 invalid phone number" in run.output
    assert ("number", "-", '["ask her"] of Phone: invalid values are left out') in lines_on(
        run.output, "contact 003"
    )
    assert "link of contact 003 to company 001 (primary)" in run.output
    assert not crm.requests()


def test_explain_shows_the_expression_of_each_value() -> None:
    rows = [
        record("Contact", Id="003", FirstName="", LastName=" Malá ", Phone="030 23125 014", HomePhone="nobody")
        | {"ignored": 1},
        record("Contact", Id="004", Email="Eva@Example.com", Phone="+49 30 23125-014", OtherPhone="030 23125 014"),
        record("Contact", Id="005", IsDeleted=True),
    ]
    streams = {"Contact": {"contact": {"fields": {"tier": ["Tier__c"]}, "company": None}}}
    run = run_target({"preset": "salesforce", "streams": streams}, encoded(rows), "--explain")

    assert lines_on(run.output, "contact 003") == [
        ("id", '"003"', "from Id"),
        ("name", '"Malá"', """from joined(' ', FirstName, LastName)"""),
        ("firstname", "-", "nothing in FirstName"),
        ("lastname", '"Malá"', 'from LastName " Malá "'),
        ("description", "-", "nothing in Description"),
        ("number", '"030 23125 014"', "from Phone"),
        ("number", "-", '["nobody"] of HomePhone: invalid values are left out'),
        ("email", "-", "nothing in Email"),
        ("tier", "-", "nothing in Tier__c"),
    ]
    lines = lines_on(run.output, "contact 004")
    assert ("name", '"eva@example.com"', "substituted") in lines
    assert ("number", "-", '"030 23125 014" of OtherPhone repeats another one') in lines
    assert "-> contact 005: deleted in the CRM" in run.output
    assert "streams.Contact: no record has the column Tier__c" in run.output


def test_explain_shows_records_with_custom_values_at_the_end() -> None:
    values = [
        record("contact_custom_field_values", id=9, contact=11, field=1, value="01632 960501"),
        record("contact_custom_field_values", id=8, contact=11, field=1),
        record("contact_custom_field_values", field=1),
    ]
    rows = [*values, record("contacts", id="11", email="a@example.com"), record("contacts", id=None)]
    rows.append(record("contact_custom_fields", id=1, title="Telefon"))
    run = run_target({"preset": "activecampaign"}, encoded(rows), "--explain")

    assert run.code == 0
    [origin] = [origin for name, value, origin in lines_on(run.output, "contact 11") if value == '"01632 960501"']
    assert origin.startswith("from contact_custom_field_values[?")
    assert "-> value 9 of 11" in run.output
    assert "-> definition 1" in run.output
    assert run.output.count("-> rejected: ") == 2


def test_explain_reports_a_preset_that_does_not_match_the_tap() -> None:
    run = run_target({"preset": "zoho"}, encoded([record("contacts", id=1, first_name="Eva")]), "--explain")
    assert run.code == 0
    assert "contacts: no record has a column that the mapping reads; does the preset match the tap?" in run.output


def lines_on(output: str, head: str) -> list[tuple[str, str, str]]:
    """Return the attributes, values and origins that are shown for a company or contact."""
    block = output.split(f"-> {head}", 1)[1].split("\n", 1)[1]
    lines = itertools.takewhile(lambda line: line.startswith("       "), block.splitlines())
    return [(line[7:20].strip(), line[20:55].strip(), line[55:].strip()) for line in lines]
