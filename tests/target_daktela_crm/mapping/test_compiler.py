"""Problems of mappings, and which expressions and options apply."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from target_daktela_crm.entities import Contact
from target_daktela_crm.mapping.compiler import MappingProblems, compile_mapping
from tests.target_daktela_crm.mapping.helpers import body_of, entities, map_record, map_salesforce

if TYPE_CHECKING:
    from collections.abc import Mapping

    from target_daktela_crm.mapping.roles import Record


PERSON = {"contact": {"id": "id"}}
"""The smallest mapping of a stream of contacts."""


def _lines(streams: Mapping[str, Any], preset: str = "daktela") -> list[str]:
    with pytest.raises(MappingProblems) as raised:
        compile_mapping(preset, streams, None)
    assert str(raised.value) == "; ".join(raised.value.lines)
    return raised.value.lines


def test_the_first_non_empty_expression_counts() -> None:
    streams = {"x": {"contact": {"id": ["a", "b"], "name": ["c", "d.e", "'nobody'"], "company": ["f", "g"]}}}
    cases: list[tuple[Record, tuple[str, str, str | None]]] = [
        ({"a": 1, "b": 2, "c": "C", "d": {"e": "D"}, "f": 8, "g": 9}, ("1", "C", "8")),
        ({"a": "", "b": 2, "c": " ", "d__e": "D", "f": None, "g": 9}, ("2", "D", "9")),
        ({"a": None, "b": 0}, ("0", "nobody", None)),
    ]
    for record, expected in cases:
        (contact,) = map_record("x", record, streams)
        assert isinstance(contact, Contact)
        assert (contact.key, body_of(contact)["name"], contact.company) == expected


def test_null_values_apply_to_their_own_stream() -> None:
    streams = {"Contact": {"null_values": ["n/a"]}}
    (contact,) = map_salesforce("Contact", {"Id": "x", "LastName": "n/a", "Description": "N/A"}, streams=streams)
    assert (body_of(contact)["lastname"], body_of(contact)["description"]) == (None, "N/A")
    record = {"Id": "x", "Name": "[not provided]", "Description": "n/a"}
    (account,) = map_salesforce("Account", record, streams=streams)
    assert (body_of(account)["name"], body_of(account)["description"]) == ("#x", "n/a")


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
def test_a_problem_is_reported_once_with_its_place(name: str) -> None:
    streams, place, said = WRONG[name]
    (line,) = _lines(streams)
    assert line.startswith(f"{place}: ")
    assert said in line
    assert "\n" not in line


def test_problems_in_several_places_are_reported_at_once() -> None:
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


def test_changes_to_a_preset_are_checked_like_the_preset() -> None:
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
        (
            {"x": {"contact": {"id": "id"}, "html_entities": 1}},
            "streams.x.html_entities: must be true or false",
        ),
        ({"x": {"contact": {"id": []}}}, "streams.x.contact.id: is missing"),
        (
            {"x": {"contact": {"id": "id", "fields": {"": "a"}}}},
            "streams.x.contact.fields: has a field without a name",
        ),
        ({"companies": None, "contacts": None}, "streams: the mapping has no streams left"),
    ],
)
def test_invalid_options_are_reported_with_their_place(streams: dict[str, Any], line: str) -> None:
    with pytest.raises(MappingProblems) as caught:
        compile_mapping("daktela", streams, None)
    assert caught.value.lines == [line]


def test_several_problems_of_one_role_are_reported_at_once() -> None:
    with pytest.raises(MappingProblems) as caught:
        compile_mapping("daktela", {"x": {"contact": {"id": "id", "nmae": "a", "name": "a b"}}}, None)
    assert len(caught.value.lines) == 2


def test_null_values_may_be_a_single_text() -> None:
    contact = {"id": "id", "name": ["a", "b"]}
    mapping = compile_mapping(
        "daktela", {"x": {"contact": contact, "null_values": "-", "aliases": ["X", "y"]}}, None
    )
    (found,) = entities(mapping, "Y", {"id": 1, "a": "-", "b": "Eva"})
    assert body_of(found)["name"] == "Eva"


def test_an_added_stream_need_not_be_raw() -> None:
    contact = {"id": "id", "fields": {"number": "phone", "email": "mail"}}
    for raw, expected in ((True, [" 601 000 001 ", "A@b.cz"]), (False, ["601 000 001", "a@b.cz"])):
        mapping = compile_mapping("daktela", {"x": {"contact": contact, "raw": raw}}, None)
        (found,) = entities(mapping, "x", {"id": 1, "phone": " 601 000 001 ", "mail": "A@b.cz"})
        assert [each["value"][0] for each in body_of(found)["fields"]] == expected


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
def test_problems_of_value_streams_and_places_are_reported(streams: dict[str, Any], problem: str) -> None:
    links = {"l": {"link": {"contact": "c", "company": "f"}}, "people": PEOPLE}
    with pytest.raises(MappingProblems) as raised:
        compile_mapping("daktela", {**links, **streams}, None)
    assert any(problem in line for line in raised.value.lines)


@pytest.mark.parametrize("aliases", [5, ["a", 5], "people"])
def test_invalid_aliases_are_reported(aliases: Any) -> None:
    try:
        mapping = compile_mapping("daktela", {"contacts": {"aliases": aliases}, "companies": {}}, None)
    except MappingProblems as problems:
        assert problems.lines == ["streams.contacts.aliases: must be a list of texts"]  # noqa: PT017
    else:
        assert mapping.stream("people") is mapping.stream("contacts")
