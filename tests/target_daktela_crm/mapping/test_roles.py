"""What records become: companies, contacts, links and custom values."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from target_daktela_crm.entities import Company, CompanyInfo, Contact, Link, RejectedPart
from target_daktela_crm.mapping.compiler import compile_mapping
from target_daktela_crm.mapping.roles import MappingError, Record
from tests.target_daktela_crm.mapping.helpers import (
    ACCOUNT,
    CONTACT,
    body_of,
    entities,
    map_company,
    map_contact,
    map_record,
    map_salesforce,
    mapping_error,
)
from tests.target_daktela_crm.running import Crm, record


def test_null_values_are_not_flags(crm: Crm) -> None:
    run = crm.run([record("accounts", accountid="A", name="Acme", merged="None")], preset="dynamics365")
    assert run.code == 0
    assert set(crm.companies()) == {"a"}


def test_contacts_inside_a_company_may_be_a_json_text(crm: Crm) -> None:
    run = crm.run(
        [record("leads", id="l", name="Acme", contacts='[{"id": "c", "name": "Eva Malá"}]')], preset="close"
    )
    assert run.code == 0
    assert crm.contacts()["c"]["lastname"] == "Malá"


@pytest.mark.promise("S3")
def test_invalid_json_instead_of_contacts_is_rejected(crm: Crm) -> None:
    run = crm.run([record("leads", id="l", name="Acme", contacts='[{"id": "c"')], preset="close")
    assert run.code == 1
    assert [line["reason"] for line in crm.rejects()] == ["contacts: an element is not an object"]


def test_a_contact_in_daktela_s_shape_is_not_changed() -> None:
    contact = map_contact(
        {
            "id": 2,
            "company_id": 1,
            "name": " Eva  Malá ",
            "firstname": "Eva",
            "lastname": "Malá",
            "description": "a\r\nb\tc",
            "fields": [
                {"key": "number", "value": ["601 000 001 ", "call me"]},
                {"key": "email", "value": ["Eva@Example.com", ""]},
            ],
            "more": "than that",
        }
    )
    assert replace(contact, columns=None) == Contact(
        "2", contact.body, "1", None, deleted=False, company_info=CompanyInfo.GIVEN
    )
    assert contact.body == (
        '{"id":2,"name":" Eva  Malá ","firstname":"Eva","lastname":"Malá","description":"a\\r\\nb\\tc",'
        '"fields":[{"key":"number","value":["601 000 001 ","call me"]},'
        '{"key":"email","value":["Eva@Example.com",""]}]}'.encode()
    )


def test_a_company_in_daktela_s_shape_is_not_changed() -> None:
    company = map_company({"id": "a1", "name": "Umbrella a.s. ", "description": None, "fields": {"vat": "CZ1"}})
    assert replace(company, columns=None) == Company("a1", company.body, None, deleted=False)
    assert company.body == (
        b'{"id":"a1","name":"Umbrella a.s. ","description":null,"fields":[{"key":"vat","value":["CZ1"]}]}'
    )


def test_contacts_inside_a_company_are_mapped_to_its_contacts() -> None:
    company, one, other = map_record(
        "companies",
        {
            "id": 1,
            "name": "Umbrella",
            "contacts": [{"id": 2, "name": "Eva", "company_id": 9}, None, {"id": "3", "name": "Petr"}],
        },
    )
    assert isinstance(company, Company)
    assert b"contacts" not in (company.body or b"")
    assert isinstance(one, Contact)
    assert isinstance(other, Contact)
    assert [(each.key, each.company, body_of(each)["id"]) for each in (one, other)] == [
        ("2", "1", 2),
        ("3", "1", "3"),
    ]


NEITHER = (
    "the text 'aaaaa' is neither true nor false"
    "; accepted are true, t, yes, y, 1, false, f, no, n, 0 and an empty text"
)
"""The error of a flag of `maybe`."""


@pytest.mark.parametrize("contacts", [None, [], [None], [[]]])
def test_a_company_may_have_no_contacts_inside(contacts: Any) -> None:
    assert len(map_record("companies", {"id": 1, "contacts": contacts})) == 1


@pytest.mark.promise("S3")
@pytest.mark.parametrize("contacts", ["Eva", 5, ["Eva"], [{"id": 2}, 7]])
def test_contacts_inside_that_are_not_objects_are_rejected_alone(contacts: Any) -> None:
    mapping = compile_mapping("daktela", None, None).stream("companies")
    assert mapping is not None
    company, *others = mapping.roles[0].entities({"id": 1, "contacts": contacts})
    assert isinstance(company, Company)
    assert [each.reason for each in others if isinstance(each, RejectedPart)] == [
        "contacts: an element is not an object"
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a\x00b", "ab"),
        ("\x01\x1f\x7f", "\x01\x1f\x7f"),
        ("a\u2028b\u2029", "a\u2028b\u2029"),
        ("Ko\u030cn\u030c", "Ko\u030cn\u030c"),
        ("👩\u200d🔧", "👩\u200d🔧"),
        (' "\\/ ', ' "\\/ '),
        (Decimal("27483910200.0"), "27483910200.0"),
        (Decimal("12345678901234567890.1234567890"), "12345678901234567890.1234567890"),
        (3652397000001234567, "3652397000001234567"),
        (True, "true"),
        (["a", 1], '["a",1]'),
        ({"a": None}, '{"a":null}'),
        ("2026-03-01T09:00:00.000000Z", "2026-03-01T09:00:00.000000Z"),
        ("2026-03-01 09:00:00", "2026-03-01 09:00:00"),
        ("2026-03-01", "2026-03-01"),
        (None, None),
        ("", ""),
        ("[not provided]", "[not provided]"),
    ],
)
def test_texts_in_daktela_s_shape_are_sent_exactly(value: Any, expected: str | None) -> None:
    body = body_of(
        map_contact({"id": 1, "firstname": value, "lastname": value, "description": value, "name": value})
    )
    assert [body[name] for name in ("name", "firstname", "lastname", "description")] == [expected] * 4
    assert body_of(map_company({"id": 1, "name": "x", "description": value}))["description"] == expected


@given(st.text())
def test_any_text_in_daktela_s_shape_is_sent_except_nul(text: str) -> None:
    expected = text.replace("\x00", "")
    body = body_of(map_contact({"id": 1, "name": text, "description": text, "fields": {"note": [text]}}))
    assert (body["name"], body["description"]) == (expected, expected)
    assert body["fields"] == [{"key": "note", "value": [expected]}]


@pytest.mark.parametrize("name", [None, "", "\x00"])
def test_a_company_always_has_a_name(name: Any) -> None:
    assert body_of(map_company({"id": "x7", "name": name}))["name"] == "#x7"
    assert body_of(map_company({"id": Decimal("7.0")}))["name"] == "#7"


@pytest.mark.parametrize(
    ("value", "key", "sent"),
    [
        (7, "7", b"7"),
        ("7", "7", b'"7"'),
        (0, "0", b"0"),
        ("007", "007", b'"007"'),
        (Decimal("27483910200.0"), "27483910200", b"27483910200"),
        (27483910200, "27483910200", b"27483910200"),
        ("27483910200", "27483910200", b'"27483910200"'),
        (3652397000001234567, "3652397000001234567", b"3652397000001234567"),
        ("3652397000001234567", "3652397000001234567", b'"3652397000001234567"'),
        (Decimal("3652397000001234567.0"), "3652397000001234567", b"3652397000001234567"),
        (2**64, "18446744073709551616", b'"18446744073709551616"'),
        ("kůň/\u2028", "kůň/\u2028", '"kůň/\u2028"'.encode()),
    ],
)
def test_ids_are_exact_and_sent_in_their_type(value: Any, key: str, sent: bytes) -> None:
    contact, company = map_contact({"id": value, "company_id": value}), map_company({"id": value, "name": "x"})
    assert (contact.key, contact.company, company.key) == (key, key, key)
    for body in (contact.body, company.body):
        assert body is not None
        assert body.startswith(b'{"id":%b,"name"' % sent)


@pytest.mark.parametrize("value", [None, "", "  "])
def test_a_record_without_an_id_is_rejected(value: Any) -> None:
    assert mapping_error("contacts", {"id": value}) == ("id: is missing", None)
    assert mapping_error("contacts", {}) == ("id: is missing", None)
    assert mapping_error("companies", {"id": value}) == ("id: is missing", None)


@pytest.mark.parametrize(("value", "said"), [(True, "true or false"), ({"a": 1}, "an object"), ([1], "a list")])
def test_an_id_of_another_type_is_rejected(value: Any, said: str) -> None:
    assert mapping_error("contacts", {"id": value}) == (f"id: {said} is not an id", None)
    if isinstance(value, dict):
        assert mapping_error("contacts", {"id": 5, "company_id": value}) == (f"company: {said} is not an id", "5")


@pytest.mark.parametrize("value", [["345", "345", "789"], [None, "", 345], [[345]], [Decimal("345.0"), 789]])
def test_the_first_of_a_list_of_companies_counts(value: Any) -> None:
    assert map_contact({"id": 1, "company_id": value}).company == "345"


@pytest.mark.parametrize("value", [None, "", " ", False, [], {}])
def test_a_contact_may_have_no_company(value: Any) -> None:
    assert map_contact({"id": 1, "company_id": value}).company is None
    assert map_contact({"id": 1}).company is None


def test_zero_is_the_id_of_a_company() -> None:
    assert map_contact({"id": 1, "company_id": 0}).company == "0"


def test_a_salesforce_account_is_a_company() -> None:
    (company,) = map_salesforce("Account", ACCOUNT)
    assert isinstance(company, Company)
    assert replace(company, columns=None) == Company(
        "0015g00000AbCdEAAV", company.body, 1772355600.0, deleted=False
    )
    assert body_of(company) == {
        "id": "0015g00000AbCdEAAV",
        "name": "Umbrella a.s.",
        "description": "a\u2028b",
        "fields": [{"key": "number", "value": ["+420601000001"]}, {"key": "email", "value": []}],
    }


def test_a_salesforce_contact_is_a_contact() -> None:
    mapping = compile_mapping("salesforce", None, None)
    (contact,) = entities(mapping, "Contact", CONTACT)
    assert isinstance(contact, Contact)
    assert contact.key == "0035g00000XyZzZAAV"
    assert (contact.company, contact.modified, contact.deleted) == ("0015g00000AbCdEAAV", 1772355600.0, False)
    assert (contact.company_info, contact.company_name) == (CompanyInfo.GIVEN, None)
    assert body_of(contact) == {
        "id": "0035g00000XyZzZAAV",
        "name": "Eva Malá",
        "firstname": "Eva",
        "lastname": "Malá",
        "description": None,
        "fields": [
            # The same number in another spelling is left out, and the invalid one is counted.
            {"key": "number", "value": ["+420601000002", "+420601000003"]},
            {"key": "email", "value": ["eva.mala@example.com"]},
        ],
    }
    assert mapping.left_out.counts == {"phone number": 1}


def test_a_person_account_is_a_contact_with_the_contact_s_id() -> None:
    record = {
        **ACCOUNT,
        "IsPersonAccount": True,
        "PersonContactId": "0035g00000PeRsOAAV",
        "Name": "[not provided]",
        "FirstName": "Petra",
        "LastName": "Osobová",
        "PersonMobilePhone": "601000005",
        "PersonEmail": "P@example.com",
    }
    company, contact = map_salesforce("Account", record)
    assert isinstance(company, Company)
    assert company.deleted
    assert isinstance(contact, Contact)
    assert (contact.key, contact.company) == ("0035g00000PeRsOAAV", None)
    assert body_of(contact)["name"] == "Petra Osobová"
    assert body_of(contact)["fields"] == [
        {"key": "number", "value": ["+420601000001", "601000005"]},
        {"key": "email", "value": ["p@example.com"]},
    ]
    without_contact = {**record, "PersonContactId": None}
    _, contact = map_salesforce("Account", without_contact)
    assert isinstance(contact, Contact)
    assert contact.key == ACCOUNT["Id"]


def test_the_contact_of_a_person_account_has_no_company() -> None:
    (contact,) = map_salesforce("Contact", {**CONTACT, "IsPersonAccount": "true"})
    assert isinstance(contact, Contact)
    assert contact.company is None


@pytest.mark.parametrize("flag", [None, False, "false", "0", ""])
def test_an_account_is_a_company_unless_it_is_a_person_account(flag: Any) -> None:
    (company,) = map_salesforce("Account", {**ACCOUNT, "IsPersonAccount": flag})
    assert isinstance(company, Company)
    assert (company.key, company.deleted) == (ACCOUNT["Id"], False)
    assert body_of(company)["name"] == "Umbrella a.s."


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, "Eva Malá"),
        ({"Name": None}, "Eva Malá"),
        ({"Name": " "}, "Eva Malá"),
        ({"Name": "[not provided]"}, "Eva Malá"),
        ({"Name": None, "LastName": "[not provided]"}, "Eva"),
        ({"Name": None, "FirstName": "", "LastName": "[not provided]"}, "eva.mala@example.com"),
        (
            {
                "Name": None,
                "FirstName": "-",
                "LastName": None,
                "Email": "none",
                "Phone": "-",
                "MobilePhone": "601 000 002",
            },
            "601 000 002",
        ),
    ],
)
def test_a_contact_without_a_name_gets_a_substitute(changes: dict[str, Any], name: str) -> None:
    (contact,) = map_salesforce("Contact", {**CONTACT, **changes})
    assert body_of(contact)["name"] == name


@pytest.mark.parametrize(
    ("record", "name"),
    [({"first": "Eva"}, "Eva"), ({"last": "Malá"}, "Malá"), ({"first": "Eva", "last": "M"}, "Eva M")],
)
def test_the_substitute_is_made_of_first_and_last_name(record: Record, name: str) -> None:
    streams = {"x": {"contact": {"id": "id", "firstname": "first", "lastname": "last"}}}
    (contact,) = map_salesforce("x", {"id": 1, **record}, streams=streams)
    assert body_of(contact)["name"] == name


def test_the_name_of_a_contact_with_only_an_id_is_its_id() -> None:
    (contact,) = map_salesforce("Contact", {"Id": "x"})
    assert body_of(contact) == {
        "id": "x",
        "name": "#x",
        "firstname": None,
        "lastname": None,
        "description": None,
        "fields": [],
    }


@pytest.mark.parametrize("flag", [True, "true", 1, "1"])
def test_deleted_salesforce_records_are_deleted(flag: Any) -> None:
    (company,) = map_salesforce("Account", {**ACCOUNT, "IsDeleted": flag})
    assert company == Company(ACCOUNT["Id"], None, 1772355600.0, deleted=True)
    (contact,) = map_salesforce("Contact", {**CONTACT, "IsDeleted": flag})
    assert contact == Contact(CONTACT["Id"], None, None, 1772355600.0, deleted=True)


def test_last_modified_date_replaces_a_missing_system_modstamp() -> None:
    (contact,) = map_salesforce("Contact", {**CONTACT, "SystemModstamp": None})
    assert isinstance(contact, Contact)
    assert contact.modified == 1577836800.0
    (contact,) = map_salesforce("Contact", {"Id": "x"})
    assert isinstance(contact, Contact)
    assert contact.modified is None


@pytest.mark.parametrize(
    ("flags", "primary", "deleted"),
    [
        ({"IsDirect": True, "IsActive": True, "IsDeleted": False}, True, False),
        ({"IsDirect": False, "IsActive": True, "IsDeleted": False}, False, False),
        ({"IsDirect": False, "IsActive": False, "IsDeleted": False}, False, True),
        ({"IsDirect": True, "IsActive": True, "IsDeleted": True}, True, True),
        ({"IsDirect": "true", "IsActive": "false"}, True, True),
        ({}, False, False),
    ],
)
def test_a_salesforce_relation_is_a_link(flags: dict[str, Any], *, primary: bool, deleted: bool) -> None:
    record = {"Id": "07k1", "ContactId": "0031", "AccountId": "0011", **flags}
    assert map_salesforce("AccountContactRelation", record) == [
        Link("07k1", "0031", "0011", primary=primary, deleted=deleted)
    ]


LINKS: dict[str, Any] = {
    "links": {"link": {"contact": "person.id", "company": "company", "when": "flag(on)", "primary": "main"}}
}


def test_a_link_without_an_id_is_identified_by_its_ends() -> None:
    record = {"on": 1, "person_id": Decimal("27483910200.0"), "company": "007"}
    (link,) = map_record("links", record, LINKS)
    assert isinstance(link, Link)
    assert link == Link(link.key, "27483910200", "007", primary=False, deleted=False)
    (same,) = map_record("links", {**record, "person_id": "27483910200"}, LINKS)
    assert same == link
    (one,) = map_record("links", {"on": 1, "person_id": "1", "company": "1:2"}, LINKS)
    (other,) = map_record("links", {"on": 1, "person_id": "1:1", "company": "2"}, LINKS)
    assert one.key != other.key


def test_an_excluded_link_is_left_out() -> None:
    assert map_record("links", {"on": "no"}, LINKS) == []


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"company": 1}, ("contact: is missing", None)),
        ({"person_id": 1}, ("company: is missing", None)),
        ({"person_id": 1, "company": ""}, ("company: is missing", None)),
        ({"person_id": [1], "company": 1}, ("contact: a list is not an id", None)),
        (
            {"person_id": 1, "company": 2, "main": "maybe"},
            (f"primary: {NEITHER}", "1:1:2"),
        ),
    ],
)
def test_a_link_without_both_ends_is_rejected(record: Record, said: tuple[str, str | None]) -> None:
    assert mapping_error("links", {"on": True, **record}, LINKS) == said


def test_a_rejected_link_is_named_by_its_id() -> None:
    streams = {"links": {"link": {"id": "id", "contact": "a", "company": "b", "deleted": "gone"}}}
    assert mapping_error("links", {"id": 5, "a": 1}, streams) == ("company: is missing", "5")
    assert map_record("links", {"id": Decimal("5.0"), "a": 1, "b": 2, "gone": "yes"}, streams) == [
        Link("5", "1", "2", primary=False, deleted=True)
    ]


def test_a_stream_may_contain_companies_contacts_and_links() -> None:
    streams = {
        "parties": {
            "company": {"when": "kind == 'organisation'", "id": "id", "name": "name"},
            "contact": {"when": "kind == 'person'", "id": "id", "company": "parent.id", "name": "name"},
            "link": {"when": "kind == 'person' && present(other)", "contact": "id", "company": "other"},
        }
    }
    mapping = compile_mapping("daktela", streams, None)
    (company,) = entities(mapping, "parties", {"kind": "organisation", "id": 1})
    assert isinstance(company, Company)
    contact, link = entities(mapping, "parties", {"kind": "person", "id": 2, "parent": {"id": "1"}, "other": 9})
    assert isinstance(contact, Contact)
    assert contact.company == "1"
    assert isinstance(link, Link)
    assert (link.contact, link.company) == ("2", "9")
    assert entities(mapping, "parties", {"kind": "robot", "id": 3}) == []


NESTED: dict[str, Any] = {
    "leads": {
        "company": {
            "id": "id",
            "deleted": "gone",
            "modified": "at",
            "contacts": {
                "list": ["people", "archive.people"],
                "when": "!flag(hidden)",
                "id": "uid",
                "name": "label",
                "deleted": "gone",
                "modified": "at",
                "fields": {"number": "phones[].number", "email": ["mail", "mails"]},
            },
        }
    }
}


def test_contacts_inside_a_record_have_their_own_conditions_and_times() -> None:
    record = {
        "id": 1,
        "at": 5,
        "people": [
            {"uid": 2, "label": "A", "at": 9, "phones": [{"number": "601000001"}, {"number": "601000002"}]},
            {"uid": 3, "hidden": "yes"},
            {"uid": 4, "gone": True},
        ],
        "archive": {"people": [{"uid": 5, "mail": "a@x.cz", "mails": ["A@X.cz", "b@x.cz"]}]},
    }
    company, *contacts = map_record("leads", record, NESTED)
    assert isinstance(company, Company)
    people = [each for each in contacts if isinstance(each, Contact)]
    assert [(each.key, each.company, each.modified, each.deleted) for each in people] == [
        ("2", "1", 9.0, False),
        ("4", "1", 5.0, True),
        ("5", "1", 5.0, False),
    ]
    assert body_of(contacts[0])["fields"][0]["value"] == ["601000001", "601000002"]
    assert contacts[1].body is None  # type: ignore[union-attr]
    assert body_of(contacts[2])["fields"] == [{"key": "email", "value": ["a@x.cz", "A@X.cz", "b@x.cz"]}]


def test_contacts_inside_a_deleted_company_are_deleted() -> None:
    company, contact = map_record("leads", {"id": 1, "gone": "1", "people": [{"uid": 2}]}, NESTED)
    assert company == Company("1", None, None, deleted=True)
    assert contact == Contact("2", None, "1", None, deleted=True)


@pytest.mark.promise("S3")
def test_a_contact_inside_without_an_id_is_rejected_alone() -> None:
    mapping = compile_mapping("daktela", NESTED, None).stream("leads")
    assert mapping is not None
    record = {"id": 1, "people": [{"uid": 2, "label": "A"}, {"label": "B"}, {"uid": 3, "label": "C"}]}
    company, first, refusal, last = mapping.roles[0].entities(record)
    assert isinstance(company, Company)
    assert isinstance(first, Contact)
    assert isinstance(last, Contact)
    assert refusal == RejectedPart(None, "contacts: id: is missing", {"label": "B"})
    assert (first.key, last.key) == ("2", "3")


@pytest.mark.parametrize(
    ("attribute", "expression", "record", "said"),
    [
        ("when", "a", {"a": "maybe"}, (f"when: {NEITHER}", None)),
        ("deleted", "a", {"a": "maybe"}, (f"deleted: {NEITHER}", "1")),
        ("description", "split(a, ';')", {"a": 5}, ("description: split() takes string or null, not number", "1")),
        ("company", "length(a)", {"a": 5}, ("company: length() takes string or array or object, not number", "1")),
        ("id", "length(a)", {"a": 5}, ("id: length() takes string or array or object, not number", None)),
        ("modified", "keys(a)", {"a": 5}, ("modified: keys() takes object, not number", "1")),
        ("fields", {"x": "keys(a)"}, {"a": 5}, ("fields: keys() takes object, not number", "1")),
    ],
)
def test_the_error_of_a_record_names_the_attribute(
    attribute: str, expression: Any, record: Record, said: tuple[str, str | None]
) -> None:
    streams = {"x": {"contact": {"id": "id", attribute: expression}}}
    assert mapping_error("x", {"id": 1, **record}, streams) == said


@pytest.mark.parametrize(("value", "key"), [("a\0b", "ab"), (10**59, str(10**59))])
def test_ids_may_have_nul_characters_and_many_digits(value: object, key: str) -> None:
    (found,) = entities(compile_mapping("daktela", None, None), "contacts", {"id": value})
    assert found.key == key


@pytest.mark.parametrize("value", ["\0", "  ", 10**60, 10**4000, True, [], {}])
def test_an_invalid_id_rejects_the_record(value: object) -> None:
    with pytest.raises(MappingError, match="id: "):
        entities(compile_mapping("daktela", None, None), "contacts", {"id": value})


def test_placeholders_are_removed_from_names() -> None:
    record = {
        "Id": "003",
        "Name": "Reception [not provided]",
        "FirstName": "Reception",
        "LastName": "[not provided]",
    }
    (found,) = entities(compile_mapping("salesforce", None, None), "Contact", record)
    body = body_of(found)
    assert (body["name"], body["firstname"], body["lastname"]) == ("Reception", "Reception", None)
