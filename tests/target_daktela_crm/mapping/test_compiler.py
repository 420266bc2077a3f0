from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_daktela_crm.entities import Company, CompanyInfo, Contact, Entity, Link, RejectedPart
from target_daktela_crm.mapping.compiler import MappingProblems, compile_mapping
from target_daktela_crm.mapping.preset import PRESETS, load_preset, merge
from target_daktela_crm.mapping.roles import MappingError, Record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from target_daktela_crm.mapping.compiled import CrmMapping

PERSON = {"contact": {"id": "id"}}
"""The least that a stream of contacts says."""


def _entities(mapping: CrmMapping, stream: str, record: Record) -> list[Entity]:
    found = mapping.stream(stream)
    assert found is not None
    return [
        entity for role in found.roles for entity in role.entities(record) if not isinstance(entity, RejectedPart)
    ]


def _map(
    stream: str,
    record: Record,
    streams: Mapping[str, Any] | None = None,
    *,
    preset: str = "daktela",
    phone_region: str | None = None,
) -> list[Entity]:
    return _entities(compile_mapping(preset, streams, phone_region), stream, record)


def _body(entity: Entity) -> dict[str, Any]:
    assert isinstance(entity, (Company, Contact))
    assert entity.body is not None
    content: dict[str, Any] = json.loads(entity.body)
    return content


def _contact(record: Record, streams: Mapping[str, Any] | None = None, **options: Any) -> Contact:
    (entity,) = _map("contacts" if "preset" not in options else "Contact", record, streams, **options)
    assert isinstance(entity, Contact)
    return entity


def _company(record: Record, streams: Mapping[str, Any] | None = None, **options: Any) -> Company:
    entity, *_ = _map("companies" if "preset" not in options else "Account", record, streams, **options)
    assert isinstance(entity, Company)
    return entity


def _refusal(
    stream: str, record: Record, streams: Mapping[str, Any] | None = None, preset: str = "daktela"
) -> tuple[str, str | None]:
    with pytest.raises(MappingError) as raised:
        _map(stream, record, streams, preset=preset)
    return str(raised.value), raised.value.identifier


def _lines(streams: Mapping[str, Any], preset: str = "daktela") -> list[str]:
    with pytest.raises(MappingProblems) as raised:
        compile_mapping(preset, streams, None)
    assert str(raised.value) == "; ".join(raised.value.lines)
    return raised.value.lines


# The preset daktela.


def test_a_contact_of_daktela_s_shape_stays_as_it_is() -> None:
    contact = _contact(
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
    assert contact == Contact("2", contact.body, "1", None, deleted=False, company_info=CompanyInfo.GIVEN)
    assert contact.body == (
        '{"id":2,"name":" Eva  Malá ","firstname":"Eva","lastname":"Malá","description":"a\\r\\nb\\tc",'
        '"fields":[{"key":"number","value":["601 000 001 ","call me"]},'
        '{"key":"email","value":["Eva@Example.com",""]}]}'.encode()
    )


def test_a_company_of_daktela_s_shape_stays_as_it_is() -> None:
    company = _company({"id": "a1", "name": "Umbrella a.s. ", "description": None, "fields": {"vat": "CZ1"}})
    assert company == Company("a1", company.body, None, deleted=False)
    assert company.body == (
        b'{"id":"a1","name":"Umbrella a.s. ","description":null,"fields":[{"key":"vat","value":["CZ1"]}]}'
    )


def test_contacts_inside_a_company_are_its_contacts() -> None:
    company, one, other = _map(
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
    assert [(each.key, each.company, _body(each)["id"]) for each in (one, other)] == [
        ("2", "1", 2),
        ("3", "1", "3"),
    ]


@pytest.mark.parametrize("contacts", [None, [], [None], [[]]])
def test_a_company_may_have_no_contacts_inside(contacts: Any) -> None:
    assert len(_map("companies", {"id": 1, "contacts": contacts})) == 1


@pytest.mark.parametrize("contacts", ["Eva", 5, ["Eva"], [{"id": 2}, 7]])
def test_contacts_inside_that_are_no_objects_are_refused_alone(contacts: Any) -> None:
    mapping = compile_mapping("daktela", None, None).stream("companies")
    assert mapping is not None
    company, *others = mapping.roles[0].entities({"id": 1, "contacts": contacts})
    assert isinstance(company, Company)
    assert [each.reason for each in others if isinstance(each, RejectedPart)] == [
        "contacts: an element is not an object"
    ]


@pytest.mark.parametrize(
    ("given_fields", "expected"),
    [
        (None, []),
        ([], []),
        ({}, []),
        ([{"key": "number", "value": ["1", "2"]}], [("number", ["1", "2"])]),
        ([{"key": "number", "value": "1"}], [("number", ["1"])]),
        ([{"key": "number", "value": None}], [("number", [])]),
        ([{"key": "number"}], [("number", [])]),
        ([{"key": "number", "value": ["1", None, ["2"]]}], [("number", ["1", "2"])]),
        ({"number": ["1"], "email": "x", "vip": True}, [("number", ["1"]), ("email", ["x"]), ("vip", ["true"])]),
        ({"a": 601000001, "b": Decimal("0.10")}, [("a", ["601000001"]), ("b", ["0.10"])]),
        ({"a": ["x\x00y", "\u2028", "\x1b"]}, [("a", ["xy", "\u2028", "\x1b"])]),
        ({"a": [" x ", ""]}, [("a", [" x ", ""])]),
        (
            [{"key": "a", "value": "1"}, {"key": "a", "value": "2"}],
            [("a", ["1"]), ("a", ["2"])],
        ),
    ],
)
def test_fields_are_a_list_of_keys_and_values_or_an_object(
    given_fields: Any, expected: list[tuple[str, list[str]]]
) -> None:
    for body in (
        _body(_contact({"id": 1, "fields": given_fields})),
        _body(_company({"id": 1, "fields": given_fields})),
    ):
        assert body["fields"] == [{"key": key, "value": value} for key, value in expected]


@pytest.mark.parametrize(
    ("given_fields", "said"),
    [
        ("601000001", "fields: is neither a list of {key, value} nor an object"),
        (5, "fields: is neither a list of {key, value} nor an object"),
        ([["number", "1"]], "fields: has an element without a key"),
        ([{"value": "1"}], "fields: has an element without a key"),
        ([{"key": "", "value": "1"}], "fields: has an element without a key"),
        ([{"key": 5, "value": "1"}], "fields: has an element without a key"),
        ([None], "fields: has an element without a key"),
        ({"": "1"}, "fields: has an element without a key"),
        ({"number": {"a": 1}}, "fields: number has a value that is neither a text nor a number"),
        ([{"key": "vip", "value": [{}]}], "fields: vip has a value that is neither a text nor a number"),
    ],
)
def test_fields_of_another_shape_are_refused(given_fields: Any, said: str) -> None:
    assert _refusal("contacts", {"id": 7, "fields": given_fields}) == (said, "7")


def test_with_the_preset_daktela_nothing_is_counted_as_left_out() -> None:
    mapping = compile_mapping("daktela", None, "CZ")
    record = {"id": 1, "fields": {"number": ["-", "601 000 001"], "email": "none"}}
    (contact,) = _entities(mapping, "contacts", record)
    assert _body(contact)["fields"][0]["value"] == ["-", "601 000 001"]
    assert not mapping.invalid_values


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
def test_texts_of_daktela_s_shape_arrive_exactly(value: Any, expected: str | None) -> None:
    body = _body(_contact({"id": 1, "firstname": value, "lastname": value, "description": value, "name": value}))
    assert [body[name] for name in ("name", "firstname", "lastname", "description")] == [expected] * 4
    assert _body(_company({"id": 1, "name": "x", "description": value}))["description"] == expected


@given(st.text())
def test_any_text_of_daktela_s_shape_arrives_but_for_nul(text: str) -> None:
    expected = text.replace("\x00", "")
    body = _body(_contact({"id": 1, "name": text, "description": text, "fields": {"note": [text]}}))
    assert (body["name"], body["description"]) == (expected, expected)
    assert body["fields"] == [{"key": "note", "value": [expected]}]


@pytest.mark.parametrize("name", [None, "", "\x00"])
def test_a_company_is_never_without_a_name(name: Any) -> None:
    assert _body(_company({"id": "x7", "name": name}))["name"] == "#x7"
    assert _body(_company({"id": Decimal("7.0")}))["name"] == "#7"


# Ids.


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
    contact, company = _contact({"id": value, "company_id": value}), _company({"id": value, "name": "x"})
    assert (contact.key, contact.company, company.key) == (key, key, key)
    for body in (contact.body, company.body):
        assert body is not None
        assert body.startswith(b'{"id":%b,"name"' % sent)


@pytest.mark.parametrize("value", [None, "", "  "])
def test_a_contact_without_an_id_is_refused(value: Any) -> None:
    assert _refusal("contacts", {"id": value}) == ("id: is missing", None)
    assert _refusal("contacts", {}) == ("id: is missing", None)
    assert _refusal("companies", {"id": value}) == ("id: is missing", None)


@pytest.mark.parametrize(("value", "said"), [(True, "true or false"), ({"a": 1}, "an object"), ([1], "a list")])
def test_an_id_of_another_kind_is_refused(value: Any, said: str) -> None:
    assert _refusal("contacts", {"id": value}) == (f"id: {said} is not an id", None)
    if isinstance(value, dict):
        assert _refusal("contacts", {"id": 5, "company_id": value}) == (f"company: {said} is not an id", "5")


@pytest.mark.parametrize("value", [["345", "345", "789"], [None, "", 345], [[345]], [Decimal("345.0"), 789]])
def test_of_a_list_of_companies_the_first_one_counts(value: Any) -> None:
    assert _contact({"id": 1, "company_id": value}).company == "345"


@pytest.mark.parametrize("value", [None, "", " ", False, [], {}])
def test_a_contact_may_have_no_company(value: Any) -> None:
    assert _contact({"id": 1, "company_id": value}).company is None
    assert _contact({"id": 1}).company is None


def test_a_company_of_zero_is_one() -> None:
    assert _contact({"id": 1, "company_id": 0}).company == "0"


# The preset salesforce.

ACCOUNT: Record = {
    "Id": "0015g00000AbCdEAAV",
    "Name": " Umbrella a.s. ",
    "Description": "a\u2028b ",
    "Phone": "+420 601 000 001",
    "Fax": "+420 601 000 009",
    "IsPersonAccount": False,
    "IsDeleted": False,
    "SystemModstamp": "2026-03-01T09:00:00.000000Z",
    "ParentId": "0015g00000PaReNAAV",
}
CONTACT: Record = {
    "Id": "0035g00000XyZzZAAV",
    "AccountId": "0015g00000AbCdEAAV",
    "Name": "Eva Malá",
    "FirstName": "Eva",
    "LastName": "Malá",
    "Description": None,
    "Phone": " 601 000 002\n",
    "MobilePhone": "00420601000002",
    "HomePhone": "call after 5pm",
    "OtherPhone": "+420 601 000 003",
    "AssistantPhone": "+420 601 000 008",
    "Fax": "+420 601 000 009",
    "Email": " Eva.Mala@Example.com",
    "IsDeleted": False,
    "SystemModstamp": "2026-03-01T10:00:00+01:00",
    "LastModifiedDate": "2020-01-01T00:00:00Z",
}


def _salesforce(stream: str, record: Record, **options: Any) -> list[Entity]:
    return _map(stream, record, preset="salesforce", **options)


def test_an_account_of_salesforce_is_a_company() -> None:
    (company,) = _salesforce("Account", ACCOUNT)
    assert company == Company("0015g00000AbCdEAAV", company.body, 1772355600.0, deleted=False)  # type: ignore[union-attr]
    assert _body(company) == {
        "id": "0015g00000AbCdEAAV",
        "name": "Umbrella a.s.",
        "description": "a\u2028b",
        "fields": [{"key": "number", "value": ["+420 601 000 001"]}, {"key": "email", "value": []}],
    }


def test_a_contact_of_salesforce_is_a_contact() -> None:
    mapping = compile_mapping("salesforce", None, None)
    (contact,) = _entities(mapping, "Contact", CONTACT)
    assert isinstance(contact, Contact)
    assert contact.key == "0035g00000XyZzZAAV"
    assert (contact.company, contact.modified, contact.deleted) == ("0015g00000AbCdEAAV", 1772355600.0, False)
    assert (contact.company_info, contact.company_name) == (CompanyInfo.GIVEN, None)
    assert _body(contact) == {
        "id": "0035g00000XyZzZAAV",
        "name": "Eva Malá",
        "firstname": "Eva",
        "lastname": "Malá",
        "description": None,
        "fields": [
            # The same number in another spelling is left out, and what is none is counted.
            {"key": "number", "value": ["601 000 002", "+420 601 000 003"]},
            {"key": "email", "value": ["eva.mala@example.com"]},
        ],
    }
    assert mapping.invalid_values == {"phone number": 1}


def test_with_a_region_phone_numbers_are_sent_as_e164() -> None:
    (contact,) = _salesforce("Contact", CONTACT, phone_region="CZ")
    assert _body(contact)["fields"][0]["value"] == ["+420601000002", "+420601000003"]


def test_what_is_left_out_is_counted_over_all_records() -> None:
    mapping = compile_mapping("salesforce", None, "CZ")
    for record in (
        {"Id": "1", "Phone": "12345", "MobilePhone": "-", "Email": "none"},
        {"Id": "2", "Phone": "+420 601 000 001", "Email": "eva@example"},
        {"Id": "3", "Phone": "", "Email": None},
    ):
        _entities(mapping, "Contact", record)
    _entities(mapping, "Account", {"Id": "4", "Phone": "x"})
    assert mapping.invalid_values == {"phone number": 3, "e-mail": 2}


def test_a_person_account_is_a_contact_under_the_contact_s_id() -> None:
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
    nobody, contact = _salesforce("Account", record)
    assert isinstance(nobody, Company)
    assert nobody.deleted
    assert isinstance(contact, Contact)
    assert (contact.key, contact.company) == ("0035g00000PeRsOAAV", None)
    assert _body(contact)["name"] == "Petra Osobová"
    assert _body(contact)["fields"] == [
        {"key": "number", "value": ["+420 601 000 001", "601000005"]},
        {"key": "email", "value": ["p@example.com"]},
    ]
    without_contact = {**record, "PersonContactId": None}
    _, contact = _salesforce("Account", without_contact)
    assert isinstance(contact, Contact)
    assert contact.key == ACCOUNT["Id"]


def test_the_contact_of_a_person_account_has_no_company() -> None:
    (contact,) = _salesforce("Contact", {**CONTACT, "IsPersonAccount": "true"})
    assert isinstance(contact, Contact)
    assert contact.company is None


@pytest.mark.parametrize("flag", [None, False, "false", "0", ""])
def test_an_account_is_a_company_where_it_is_not_said_to_be_a_person(flag: Any) -> None:
    (company,) = _salesforce("Account", {**ACCOUNT, "IsPersonAccount": flag})
    assert isinstance(company, Company)


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
def test_a_contact_without_a_name_is_called_by_what_there_is(changes: dict[str, Any], name: str) -> None:
    (contact,) = _salesforce("Contact", {**CONTACT, **changes})
    assert _body(contact)["name"] == name


@pytest.mark.parametrize(
    ("record", "name"),
    [({"first": "Eva"}, "Eva"), ({"last": "Malá"}, "Malá"), ({"first": "Eva", "last": "M"}, "Eva M")],
)
def test_a_contact_is_called_by_one_of_its_names_too(record: Record, name: str) -> None:
    streams = {"x": {"contact": {"id": "id", "firstname": "first", "lastname": "last"}}}
    (contact,) = _salesforce("x", {"id": 1, **record}, streams=streams)
    assert _body(contact)["name"] == name


def test_a_contact_with_nothing_but_an_id_is_called_by_it() -> None:
    (contact,) = _salesforce("Contact", {"Id": "x"})
    assert _body(contact) == {
        "id": "x",
        "name": "#x",
        "firstname": None,
        "lastname": None,
        "description": None,
        "fields": [{"key": "number", "value": []}, {"key": "email", "value": []}],
    }


@pytest.mark.parametrize("flag", [True, "true", 1, "1"])
def test_what_salesforce_has_deleted_is_deleted(flag: Any) -> None:
    (company,) = _salesforce("Account", {**ACCOUNT, "IsDeleted": flag})
    assert company == Company(ACCOUNT["Id"], None, 1772355600.0, deleted=True)
    (contact,) = _salesforce("Contact", {**CONTACT, "IsDeleted": flag})
    assert contact == Contact(
        CONTACT["Id"], None, CONTACT["AccountId"], 1772355600.0, deleted=True, company_info=CompanyInfo.GIVEN
    )


def test_the_date_of_the_last_change_takes_the_place_of_a_missing_stamp() -> None:
    (contact,) = _salesforce("Contact", {**CONTACT, "SystemModstamp": None})
    assert isinstance(contact, Contact)
    assert contact.modified == 1577836800.0
    (contact,) = _salesforce("Contact", {"Id": "x"})
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
def test_a_relation_of_salesforce_is_a_link(flags: dict[str, Any], *, primary: bool, deleted: bool) -> None:
    record = {"Id": "07k1", "ContactId": "0031", "AccountId": "0011", **flags}
    assert _salesforce("AccountContactRelation", record) == [
        Link("07k1", "0031", "0011", primary=primary, deleted=deleted)
    ]


# Links.

LINKS: dict[str, Any] = {
    "links": {"link": {"contact": "person.id", "company": "company", "when": "flag(on)", "primary": "main"}}
}


def test_a_link_without_an_id_is_its_pair() -> None:
    record = {"on": 1, "person_id": Decimal("27483910200.0"), "company": "007"}
    (link,) = _map("links", record, LINKS)
    assert isinstance(link, Link)
    assert link == Link(link.key, "27483910200", "007", primary=False, deleted=False)
    (same,) = _map("links", {**record, "person_id": "27483910200"}, LINKS)
    assert same == link
    (one,) = _map("links", {"on": 1, "person_id": "1", "company": "1:2"}, LINKS)
    (other,) = _map("links", {"on": 1, "person_id": "1:1", "company": "2"}, LINKS)
    assert one.key != other.key


def test_a_link_that_is_none_is_left_out() -> None:
    assert _map("links", {"on": "no"}, LINKS) == []


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"company": 1}, ("contact: is missing", None)),
        ({"person_id": 1}, ("company: is missing", None)),
        ({"person_id": 1, "company": ""}, ("company: is missing", None)),
        ({"person_id": [1], "company": 1}, ("contact: a list is not an id", None)),
        (
            {"person_id": 1, "company": 2, "main": "maybe"},
            ("primary: the text is neither true nor false", "1:1:2"),
        ),
    ],
)
def test_a_link_without_its_two_ends_is_refused(record: Record, said: tuple[str, str | None]) -> None:
    assert _refusal("links", {"on": True, **record}, LINKS) == said


def test_a_link_s_own_id_tells_which_one_is_wrong() -> None:
    streams = {"links": {"link": {"id": "id", "contact": "a", "company": "b", "deleted": "gone"}}}
    assert _refusal("links", {"id": 5, "a": 1}, streams) == ("company: is missing", "5")
    assert _map("links", {"id": Decimal("5.0"), "a": 1, "b": 2, "gone": "yes"}, streams) == [
        Link("5", "1", "2", primary=False, deleted=True)
    ]


# Roles of one's own.


def test_one_stream_may_hold_companies_and_contacts_and_links() -> None:
    streams = {
        "parties": {
            "company": {"when": "kind == 'organisation'", "id": "id", "name": "name"},
            "contact": {"when": "kind == 'person'", "id": "id", "company": "parent.id", "name": "name"},
            "link": {"when": "kind == 'person' && present(other)", "contact": "id", "company": "other"},
        }
    }
    mapping = compile_mapping("daktela", streams, None)
    (company,) = _entities(mapping, "parties", {"kind": "organisation", "id": 1})
    assert isinstance(company, Company)
    contact, link = _entities(mapping, "parties", {"kind": "person", "id": 2, "parent": {"id": "1"}, "other": 9})
    assert isinstance(contact, Contact)
    assert contact.company == "1"
    assert isinstance(link, Link)
    assert (link.contact, link.company) == ("2", "9")
    assert _entities(mapping, "parties", {"kind": "robot", "id": 3}) == []


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


def test_contacts_inside_a_record_have_conditions_and_times_of_their_own() -> None:
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
    company, *contacts = _map("leads", record, NESTED)
    assert isinstance(company, Company)
    people = [each for each in contacts if isinstance(each, Contact)]
    assert [(each.key, each.company, each.modified, each.deleted) for each in people] == [
        ("2", "1", 9.0, False),
        ("4", "1", 5.0, True),
        ("5", "1", 5.0, False),
    ]
    assert _body(contacts[0])["fields"][0]["value"] == ["601000001", "601000002"]
    assert contacts[1].body is None  # type: ignore[union-attr]
    assert _body(contacts[2])["fields"][1]["value"] == ["a@x.cz", "A@X.cz", "b@x.cz"]


def test_contacts_inside_a_deleted_company_are_deleted() -> None:
    company, contact = _map("leads", {"id": 1, "gone": "1", "people": [{"uid": 2}]}, NESTED)
    assert company == Company("1", None, None, deleted=True)
    assert contact == Contact("2", None, "1", None, deleted=True)


def test_a_contact_inside_without_an_id_is_refused_alone() -> None:
    mapping = compile_mapping("daktela", NESTED, None).stream("leads")
    assert mapping is not None
    record = {"id": 1, "people": [{"uid": 2, "label": "A"}, {"label": "B"}, {"uid": 3, "label": "C"}]}
    company, first, refusal, last = mapping.roles[0].entities(record)
    assert isinstance(company, Company)
    assert isinstance(first, Contact)
    assert isinstance(last, Contact)
    assert refusal == RejectedPart(None, "contacts: id: is missing", {"label": "B"})
    assert (first.key, last.key) == ("2", "3")


def test_the_first_expression_that_gives_something_counts() -> None:
    streams = {"x": {"contact": {"id": ["a", "b"], "name": ["c", "d.e", "'nobody'"], "company": ["f", "g"]}}}
    cases: list[tuple[Record, tuple[str, str, str | None]]] = [
        ({"a": 1, "b": 2, "c": "C", "d": {"e": "D"}, "f": 8, "g": 9}, ("1", "C", "8")),
        ({"a": "", "b": 2, "c": " ", "d__e": "D", "f": None, "g": 9}, ("2", "D", "9")),
        ({"a": None, "b": 0}, ("0", "nobody", None)),
    ]
    for record, expected in cases:
        (contact,) = _map("x", record, streams)
        assert isinstance(contact, Contact)
        assert (contact.key, _body(contact)["name"], contact.company) == expected


def test_all_values_of_a_field_are_sent_once_and_in_order() -> None:
    streams = {
        "Contact": {"contact": {"fields": {"tags": ["b", "a", "c[].t"], "number": None, "email": None, "x": "no"}}}
    }
    record = {"Id": 1, "a": " x ", "b": ["y", "", None, "x"], "c": [{"t": "z"}, {"t": "y"}, {"t": 5}]}
    (contact,) = _salesforce("Contact", record, streams=streams)
    assert _body(contact)["fields"] == [
        {"key": "tags", "value": ["y", "x", "z", "5"]},
        # Sent empty, or Daktela would keep what the CRM has given up.
        {"key": "x", "value": []},
    ]


def test_texts_that_mean_nothing_are_a_stream_s_own() -> None:
    streams = {"Contact": {"null_values": ["n/a"]}}
    (contact,) = _salesforce("Contact", {"Id": "x", "LastName": "n/a", "Description": "N/A"}, streams=streams)
    assert (_body(contact)["lastname"], _body(contact)["description"]) == (None, "N/A")
    record = {"Id": "x", "Name": "[not provided]", "Description": "n/a"}
    (account,) = _salesforce("Account", record, streams=streams)
    assert (_body(account)["name"], _body(account)["description"]) == ("#x", "n/a")


@pytest.mark.parametrize(
    ("attribute", "expression", "record", "said"),
    [
        ("when", "a", {"a": "maybe"}, ("when: the text is neither true nor false", None)),
        ("deleted", "a", {"a": "maybe"}, ("deleted: the text is neither true nor false", "1")),
        ("description", "split(a, ';')", {"a": 5}, ("description: split() takes string or null, not number", "1")),
        ("company", "length(a)", {"a": 5}, ("company: length() takes string or array or object, not number", "1")),
        ("id", "length(a)", {"a": 5}, ("id: length() takes string or array or object, not number", None)),
        ("modified", "keys(a)", {"a": 5}, ("modified: keys() takes object, not number", "1")),
        ("fields", {"x": "keys(a)"}, {"a": 5}, ("fields: keys() takes object, not number", "1")),
    ],
)
def test_a_record_that_cannot_be_mapped_says_which_attribute_is_wrong(
    attribute: str, expression: Any, record: Record, said: tuple[str, str | None]
) -> None:
    streams = {"x": {"contact": {"id": "id", attribute: expression}}}
    assert _refusal("x", {"id": 1, **record}, streams) == said


@pytest.mark.parametrize("name", ["contacts", "Contacts", "CONTACTS"])
def test_a_stream_is_found_in_any_case(name: str) -> None:
    found = compile_mapping("daktela", None, None).stream(name)
    assert found is not None
    assert found.name == "contacts"


def test_a_stream_that_is_not_mapped_is_none() -> None:
    assert compile_mapping("daktela", None, None).stream("contact") is None


@pytest.mark.parametrize("aliases", ["people", ["people", "Personen"]])
def test_a_stream_has_aliases(aliases: Any) -> None:
    mapping = compile_mapping("daktela", {"contacts": {"aliases": aliases}}, None)
    found = mapping.stream("PEOPLE")
    assert found is mapping.stream("contacts")
    assert [stream.name for stream in mapping.streams] == ["companies", "contacts"]


# Merging.


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


def test_without_changes_a_preset_is_as_it_is() -> None:
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
def test_a_change_goes_over_the_preset_key_by_key(change: dict[str, Any], expected: dict[str, Any]) -> None:
    old = {"id": "Id", "name": ["A", "B"], "fields": {"number": ["P", "Q"], "email": []}}
    new = {key: value for key, value in {**old, **expected}.items() if value is not ...}
    merged = _merged({"Contact": {"contact": change}})
    assert merged["Contact"] == {"contact": new, "null_values": ["-"]}
    assert merged["Account"] == {"company": {"id": "Id"}}


def test_a_stream_is_changed_in_any_case_and_keeps_its_name() -> None:
    merged = _merged({"CONTACT": {"contact": {"id": "X"}}, "account": None})
    assert list(merged) == ["Contact"]
    assert merged["Contact"]["contact"]["id"] == "X"


def test_a_stream_is_added_or_removed() -> None:
    merged = _merged({"Account": None, "Lead": {"contact": {"id": "L"}}})
    assert list(merged) == ["Contact", "Lead"]
    assert merged["Lead"] == {"contact": {"id": "L"}}


def test_an_object_takes_the_place_of_an_expression() -> None:
    streams = {"contacts": {"contact": {"fields": {"number": "phone"}}}}
    contact = _contact({"id": 1, "phone": " 1 ", "fields": {"vip": "x"}}, streams)
    assert _body(contact)["fields"] == [{"key": "number", "value": [" 1 "]}]


def test_custom_columns_are_added_to_a_preset() -> None:
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
    (contact,) = _salesforce("Contact", record, streams=streams)
    assert _body(contact)["fields"] == [
        {"key": "number", "value": ["00420601000002", "+420 601 000 003", "601000004"]},
        {"key": "email", "value": ["eva.mala@example.com"]},
        {"key": "vip", "value": ["true"]},
    ]


# What is wrong with a configuration.


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_can_be_used(name: str) -> None:
    mapping = compile_mapping(name, None, None)
    assert {stream.name for stream in mapping.streams} == set(load_preset(name)["streams"])
    assert all(stream.roles for stream in mapping.streams)


def test_there_are_the_two_presets() -> None:
    assert {"daktela", "salesforce"} <= set(PRESETS)


WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "a stream that is text": ({"x": "contact"}, "streams.x", "must be an object with company, contact, link"),
    "a stream that is a list": ({"contacts": []}, "streams.contacts", "must be an object"),
    "a stream without a role": ({"x": {}}, "streams.x", "has none of company, contact, link"),
    "a stream with aliases only": ({"x": {"aliases": ["y"]}}, "streams.x", "has none of"),
    "a stream whose role is removed": ({"contacts": {"contact": None}}, "streams.contacts", "has none of"),
    "a misspelt role": ({"x": {"contat": {"id": "id"}, **PERSON}}, "streams.x.contat", "did you mean contact?"),
    "a role like no other": ({"x": {"zzz": 1, **PERSON}}, "streams.x.zzz", "there is no such key"),
    "an attribute beside the role": ({"x": {**PERSON, "modified": "at"}}, "streams.x.modified", "no such key"),
    "a role that is text": ({"x": {"contact": "id"}}, "streams.x.contact", "must be an object"),
    "a role that is a list": ({"x": {"link": [{"id": "id"}]}}, "streams.x.link", "must be an object"),
    "a misspelt attribute": (
        {"contacts": {"contact": {"frstname": "x"}}},
        "streams.contacts.contact.frstname",
        "a contact has no such attribute; did you mean firstname?",
    ),
    "an attribute of another role": (
        {"companies": {"company": {"firstname": "x"}}},
        "streams.companies.company.firstname",
        "a company has no such attribute",
    ),
    "contacts inside a contact": (
        {"contacts": {"contact": {"contacts": {"list": "x", "id": "id"}}}},
        "streams.contacts.contact.contacts",
        "no such attribute",
    ),
    "a company inside a company": (
        {"companies": {"company": {"contacts": {"company": "x"}}}},
        "streams.companies.company.contacts.company",
        "no such attribute",
    ),
    "a contact without an id": ({"x": {"contact": {"name": "n"}}}, "streams.x.contact.id", "is missing"),
    "a company without an id": ({"x": {"company": {}}}, "streams.x.company.id", "is missing"),
    "a removed id": ({"contacts": {"contact": {"id": None}}}, "streams.contacts.contact.id", "is missing"),
    "a link without a contact": ({"x": {"link": {"company": "c"}}}, "streams.x.link.contact", "is missing"),
    "a link without a company": ({"x": {"link": {"contact": "c"}}}, "streams.x.link.company", "is missing"),
    "contacts inside without a list": (
        {"x": {"company": {"id": "id", "contacts": {"id": "id"}}}},
        "streams.x.company.contacts.list",
        "is missing",
    ),
    "contacts inside without an id": (
        {"x": {"company": {"id": "id", "contacts": {"list": "people"}}}},
        "streams.x.company.contacts.id",
        "is missing",
    ),
    "contacts inside that are text": (
        {"companies": {"company": {"contacts": "people"}}},
        "streams.companies.company.contacts",
        "must be an object",
    ),
    "an expression that does not parse": (
        {"contacts": {"contact": {"name": "first name"}}},
        "streams.contacts.contact.name",
        "'first name': does not parse as JMESPath",
    ),
    "an expression of a list that does not parse": (
        {"contacts": {"contact": {"name": ["name", "a."]}}},
        "streams.contacts.contact.name[1]",
        "'a.': does not parse",
    ),
    "an empty expression": (
        {"contacts": {"contact": {"company": ""}}},
        "streams.contacts.contact.company",
        "does not parse",
    ),
    "an unknown function": (
        {"contacts": {"contact": {"when": "upper(x) == 'Y'"}}},
        "streams.contacts.contact.when",
        "there is no function upper()",
    ),
    "too few arguments": (
        {"x": {"link": {"contact": "split(a)", "company": "c"}}},
        "streams.x.link.contact",
        "split() takes 2 arguments",
    ),
    "a number for an expression": (
        {"contacts": {"contact": {"description": 5}}},
        "streams.contacts.contact.description",
        "must be an expression, a list of them, or",
    ),
    "a switch for an expression": (
        {"contacts": {"contact": {"deleted": False}}},
        "streams.contacts.contact.deleted",
        "must be an expression, a list of them, or",
    ),
    "a number in a list of expressions": (
        {"contacts": {"contact": {"id": ["id", 5]}}},
        "streams.contacts.contact.id[1]",
        "must be an expression, a list of them, or",
    ),
    "an object for an expression": (
        {"contacts": {"contact": {"name": {"path": "x"}}}},
        "streams.contacts.contact.name",
        "must be an expression, a list of them, or",
    ),
    "a number for fields": (
        {"contacts": {"contact": {"fields": 5}}},
        "streams.contacts.contact.fields",
        "must be an expression, a list of them, or",
    ),
    "a field that does not parse": (
        {"contacts": {"contact": {"fields": {"number": ["a", "b["]}}}},
        "streams.contacts.contact.fields.number[1]",
        "does not parse",
    ),
    "a field that is a number": (
        {"contacts": {"contact": {"fields": {"number": 5}}}},
        "streams.contacts.contact.fields.number",
        "must be an expression",
    ),
    "an expression inside that does not parse": (
        {"companies": {"company": {"contacts": {"fields": {"email": "a["}}}}},
        "streams.companies.company.contacts.fields.email",
        "does not parse",
    ),
    "a list inside that does not parse": (
        {"companies": {"company": {"contacts": {"list": "a["}}}},
        "streams.companies.company.contacts.list",
        "does not parse",
    ),
    "an alias that is a number": ({"x": {**PERSON, "aliases": 5}}, "streams.x.aliases", "must be a list of texts"),
    "aliases with a number": ({"x": {**PERSON, "aliases": ["y", 5]}}, "streams.x.aliases", "a list of texts"),
    "texts that mean nothing as a number": (
        {"x": {**PERSON, "null_values": 5}},
        "streams.x.null_values",
        "must be a list of texts",
    ),
    "a number among texts that mean nothing": (
        {"x": {**PERSON, "null_values": ["-", 0]}},
        "streams.x.null_values",
        "must be a list of texts",
    ),
    "an alias that is a stream": (
        {"x": {**PERSON, "aliases": ["Contacts"]}},
        "streams.x",
        "'Contacts' names two streams",
    ),
    "two streams in different cases": ({"x": PERSON, "X": PERSON}, "streams.X", "'X' names two streams"),
    "something to remove that is not there": (
        {"contacts": {"contact": {"name": {"remove": "nmae"}}}},
        "streams.contacts.contact.name.remove",
        "'nmae' is not in the preset's list",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_with_a_mapping_is_told_once_with_its_place(name: str) -> None:
    streams, place, said = WRONG[name]
    (line,) = _lines(streams)
    assert line.startswith(f"{place}: ")
    assert said in line
    assert "\n" not in line


def test_what_is_wrong_in_several_places_is_told_at_once() -> None:
    lines = _lines(
        {
            "contacts": {"contact": {"nmae": "b"}},
            "companies": {"company": {"name": "a.", "contacts": {"id": None}}},
            "x": 5,
            "y": {"contact": {"id": ["a", "b[", 5]}, "aliases": 5},
        }
    )
    assert sorted(line.partition(": ")[0] for line in lines) == [
        "streams.companies.company.contacts.id",
        "streams.companies.company.name",
        "streams.contacts.contact.nmae",
        "streams.x",
        "streams.y.aliases",
        "streams.y.contact.id[1]",
        "streams.y.contact.id[2]",
    ]


def test_a_change_to_a_preset_is_checked_as_the_preset_is() -> None:
    (line,) = _lines({"Contact": {"contact": {"fields": {"number": {"append": "a["}}}}}, preset="salesforce")
    assert line.startswith("streams.Contact.contact.fields.number[4]: 'a[': does not parse")


@pytest.mark.parametrize(
    ("streams", "line"),
    [
        (
            {"x": {"contact": {"id": "id"}, "null_values": [["-"]]}},
            "streams.x.null_values: must be a list of texts",
        ),
        ({"x": {"contact": {"id": "id"}, "raw": "no"}}, "streams.x.raw: must be true or false"),
        ({"x": {"contact": {"id": []}}}, "streams.x.contact.id: is missing"),
        (
            {"x": {"contact": {"id": "id", "fields": {"": "a"}}}},
            "streams.x.contact.fields: has a field without a name",
        ),
        ({"companies": None, "contacts": None}, "streams: the mapping has no streams left"),
    ],
)
def test_a_mapping_that_cannot_be_is_told_with_its_place(streams: dict[str, Any], line: str) -> None:
    with pytest.raises(MappingProblems) as caught:
        compile_mapping("daktela", streams, None)
    assert caught.value.lines == [line]


def test_everything_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(MappingProblems) as caught:
        compile_mapping("daktela", {"x": {"contact": {"id": "id", "nmae": "a", "name": "a b"}}}, None)
    assert len(caught.value.lines) == 2


def test_null_values_may_be_one_text_and_a_streams_own_name_an_alias() -> None:
    contact = {"id": "id", "name": ["a", "b"]}
    mapping = compile_mapping(
        "daktela", {"x": {"contact": contact, "null_values": "-", "aliases": ["X", "y"]}}, None
    )
    (found,) = _entities(mapping, "Y", {"id": 1, "a": "-", "b": "Eva"})
    assert _body(found)["name"] == "Eva"


def test_a_stream_of_ones_own_beside_daktelas_need_not_be_raw() -> None:
    contact = {"id": "id", "fields": {"number": "phone", "email": "mail"}}
    for raw, expected in ((True, [" 601 000 001 ", "A@b.cz"]), (False, ["601 000 001", "a@b.cz"])):
        mapping = compile_mapping("daktela", {"x": {"contact": contact, "raw": raw}}, None)
        (found,) = _entities(mapping, "x", {"id": 1, "phone": " 601 000 001 ", "mail": "A@b.cz"})
        assert [each["value"][0] for each in _body(found)["fields"]] == expected


def test_values_of_daktelas_shape_are_not_even_counted_twice() -> None:
    mapping = compile_mapping("daktela", None, None)
    (found,) = _entities(mapping, "contacts", {"id": 1, "fields": {"number": ["1", "1"], "a\0b": ["x\0"]}})
    assert _body(found)["fields"] == [{"key": "number", "value": ["1", "1"]}, {"key": "ab", "value": ["x"]}]


@pytest.mark.parametrize(("value", "key"), [("a\0b", "ab"), (10**59, str(10**59))])
def test_ids_without_nul_and_of_many_digits_are_ids(value: object, key: str) -> None:
    (found,) = _entities(compile_mapping("daktela", None, None), "contacts", {"id": value})
    assert found.key == key


@pytest.mark.parametrize("value", ["\0", "  ", 10**60, 10**4000, True, [], {}])
def test_what_is_no_id_rejects_the_record(value: object) -> None:
    with pytest.raises(MappingError, match="id: "):
        _entities(compile_mapping("daktela", None, None), "contacts", {"id": value})


def test_a_reception_without_a_last_name_has_no_placeholder_in_its_name() -> None:
    record = {
        "Id": "003",
        "Name": "Reception [not provided]",
        "FirstName": "Reception",
        "LastName": "[not provided]",
    }
    (found,) = _entities(compile_mapping("salesforce", None, None), "Contact", record)
    body = _body(found)
    assert (body["name"], body["firstname"], body["lastname"]) == ("Reception", "Reception", None)


def test_numbers_that_came_as_floats_are_dialled_without_a_point() -> None:
    streams = {"Contact": {"contact": {"modified": "at"}}}
    (found,) = _entities(
        compile_mapping("salesforce", streams, None),
        "Contact",
        {"Id": "003", "Phone": Decimal("420777111222.0"), "MobilePhone": "+420777111222", "at": 10**400},
    )
    assert _body(found)["fields"][0]["value"] == ["420777111222"]


def test_several_numbers_or_addresses_in_one_column_are_several() -> None:
    record = {"Id": "003", "LastName": "x", "Phone": "+420601000001;+420602000002", "Email": "a@b.cz, c@d.cz"}
    (found,) = _entities(compile_mapping("salesforce", None, None), "Contact", record)
    assert [each["value"] for each in _body(found)["fields"]] == [
        ["+420601000001", "+420602000002"],
        ["a@b.cz", "c@d.cz"],
    ]
