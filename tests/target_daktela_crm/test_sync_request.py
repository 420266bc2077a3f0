"""Requests match the JSON Schema of the sync request."""

from __future__ import annotations

import copy
import json
from contextlib import suppress
from decimal import Decimal
from importlib import resources
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from target_daktela_crm.delivery.batching import encode_request
from target_daktela_crm.entities import Company, Contact, QueueEntry, StoredEntity
from target_daktela_crm.mapping.compiler import compile_mapping
from target_daktela_crm.mapping.roles import MappingError, Record

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMA: dict[str, Any] = json.loads(
    resources.files("target_daktela_crm").joinpath("sync_request.schema.json").read_text("utf-8")
)
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)

# Has the structure of the white paper's example, with the bracket that is missing there.
EXAMPLE = """
{
  "data":
    [{
      "id": 1,
      "name": "Umbrella a.s.",
      "description": "a description",
      "fields": [
        {"key": "number", "value": ["601000001", "601000002"]},
        {"key": "email", "value": ["eva.mala@example.com"]}
      ],
      "contacts": [{
        "id": 2,
        "name": "Eva Malá",
        "firstname": "Eva",
        "lastname": "Malá",
        "description": "a description of a contact",
        "fields": [
          {"key": "number", "value": ["601000001"]},
          {"key": "email", "value": ["eva@example.com"]}
        ]
      }
    ]
  },
  {
    "id": null,
    "name": null,
    "description": null,
    "contacts": [{
      "id": 3,
      "name": "Petr Krátký",
      "firstname": "Petr",
      "lastname": "Krátký",
      "description": "a description of another contact",
      "fields": [
        {"key": "number", "value": ["601000003"]},
        {"key": "email", "value": ["petr@example.com"]}
      ]
    }
  ]
}],
  "delete": false
}
"""


def _broken(content: Any) -> list[str]:
    return [error.message for error in VALIDATOR.iter_errors(content)]


def test_the_schema_is_valid() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "http://json-schema.org/draft-07/schema#"


def test_the_white_paper_s_example_is_valid() -> None:
    assert _broken(json.loads(EXAMPLE)) == []


@pytest.mark.parametrize(
    "content",
    [
        {"data": []},
        {"data": [], "delete": True},
        {"data": [{"id": "0015g", "name": "Acme", "description": None, "fields": [], "contacts": []}]},
        {"data": [{"id": 2**70, "name": "Acme", "description": "", "fields": [], "contacts": []}]},
        {"data": [{"id": None, "name": None, "description": None, "contacts": []}]},
        {
            "data": [
                {
                    "id": None,
                    "name": None,
                    "description": None,
                    "contacts": [
                        {
                            "id": "x",
                            "name": None,
                            "firstname": None,
                            "lastname": None,
                            "description": None,
                            "fields": [{"key": "vip", "value": []}],
                        }
                    ],
                }
            ]
        },
    ],
)
def test_requests_without_optional_values_are_valid(content: dict[str, Any]) -> None:
    assert _broken(content) == []


MISSING = object()
DAMAGE: dict[str, tuple[tuple[str | int, ...], Any]] = {
    "no data": (("data",), MISSING),
    "data that is an object": (("data",), {}),
    "data that is null": (("data",), None),
    "a company that is a list": (("data", 0), []),
    "a company that is null": (("data", 0), None),
    "delete as a text": (("delete",), "true"),
    "delete as a number": (("delete",), 1),
    "delete as null": (("delete",), None),
    "deleted, as the white paper once calls it": (("deleted",), True),
    "a company without an id": (("data", 0, "id"), MISSING),
    "a company with an id of null": (("data", 0, "id"), None),
    "a company with an empty id": (("data", 0, "id"), ""),
    "a company with half an id": (("data", 0, "id"), 1.5),
    "a company with an id of true": (("data", 0, "id"), True),
    "a company without a name": (("data", 0, "name"), MISSING),
    "a company with a name of null": (("data", 0, "name"), None),
    "a company with an empty name": (("data", 0, "name"), ""),
    "a company without a description": (("data", 0, "description"), MISSING),
    "a company without fields": (("data", 0, "fields"), MISSING),
    "a company without contacts": (("data", 0, "contacts"), MISSING),
    "a company with contacts of null": (("data", 0, "contacts"), None),
    "a company with more than there is": (("data", 0, "phone"), "601000001"),
    "a number for a description": (("data", 0, "description"), 5),
    "fields as an object": (("data", 0, "fields"), {"number": ["601000001"]}),
    "a field without a key": (("data", 0, "fields", 0, "key"), MISSING),
    "a field with an empty key": (("data", 0, "fields", 0, "key"), ""),
    "a field without a value": (("data", 0, "fields", 0, "value"), MISSING),
    "a field with one text": (("data", 0, "fields", 0, "value"), "601000001"),
    "a field with null": (("data", 0, "fields", 0, "value"), None),
    "a field with a list of numbers": (("data", 0, "fields", 0, "value"), [601000001]),
    "a field with a list of nulls": (("data", 0, "fields", 0, "value"), [None]),
    "a field with more than there is": (("data", 0, "fields", 0, "primary"), True),
    "no company, with a name": (("data", 1, "name"), "Acme"),
    "no company, with a description": (("data", 1, "description"), "none"),
    "no company, with fields": (("data", 1, "fields"), []),
    "no company, without contacts": (("data", 1, "contacts"), MISSING),
    "no company, without an id": (("data", 1, "id"), MISSING),
    "no company, with an id": (("data", 1, "id"), 4),
    "a contact without an id": (("data", 0, "contacts", 0, "id"), MISSING),
    "a contact with an id of null": (("data", 1, "contacts", 0, "id"), None),
    "a contact with an empty id": (("data", 1, "contacts", 0, "id"), ""),
    "a contact without a name": (("data", 0, "contacts", 0, "name"), MISSING),
    "a contact without a first name": (("data", 0, "contacts", 0, "firstname"), MISSING),
    "a contact without a last name": (("data", 1, "contacts", 0, "lastname"), MISSING),
    "a contact without a description": (("data", 0, "contacts", 0, "description"), MISSING),
    "a contact without fields": (("data", 0, "contacts", 0, "fields"), MISSING),
    "a contact with a company": (("data", 0, "contacts", 0, "company_id"), 1),
    "a contact with contacts": (("data", 0, "contacts", 0, "contacts"), []),
    "a number for a name": (("data", 0, "contacts", 0, "name"), 5),
    "a list for a last name": (("data", 1, "contacts", 0, "lastname"), ["Malá"]),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_request_is_invalid(name: str) -> None:
    path, value = DAMAGE[name]
    content = json.loads(EXAMPLE)
    inner = content
    for step in path[:-1]:
        inner = inner[step]
    if value is MISSING:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    assert json.dumps(content) != json.dumps(json.loads(EXAMPLE))
    assert _broken(content)


@pytest.mark.parametrize("content", [[], None, "data", {"companies": []}, {}, {"delete": False}])
def test_other_json_is_invalid(content: Any) -> None:
    assert _broken(content)


# Requests that are made of records.

TEXTS = st.text(max_size=12) | st.sampled_from(
    ["\x00", "\u2028", "\x1b[0m", " ", "[not provided]", "kůň@example.com", "+420 773 794 604", '"\\/']
)
SCALARS = (
    TEXTS
    | st.none()
    | st.booleans()
    | st.integers(-(10**25), 10**25)
    | st.decimals(allow_nan=False, allow_infinity=False, places=2)
)
VALUES = SCALARS | st.lists(SCALARS, max_size=3)
IDS = (
    st.integers(-(10**25), 10**25)
    | st.decimals(allow_nan=False, allow_infinity=False, places=1)
    | st.text(max_size=8)
    | st.none()
)
NAMED = {"name": VALUES, "firstname": VALUES, "lastname": VALUES, "description": VALUES}
GIVEN = st.lists(st.fixed_dictionaries({"key": st.text(min_size=1, max_size=5), "value": VALUES}), max_size=3)
FIELDS = GIVEN | st.dictionaries(st.text(min_size=1, max_size=5), VALUES, max_size=3) | st.none()
CONTACTS = st.fixed_dictionaries({"id": IDS}, optional={**NAMED, "fields": FIELDS, "company_id": IDS})
COMPANIES = st.fixed_dictionaries(
    {"id": IDS}, optional={**NAMED, "fields": FIELDS, "contacts": st.lists(CONTACTS, max_size=3) | st.none()}
)
SALESFORCE = st.fixed_dictionaries(
    {"Id": IDS},
    optional=dict.fromkeys(
        ("Name", "FirstName", "LastName", "Description", "Phone", "MobilePhone", "Email", "PersonEmail"), VALUES
    )
    | {"IsPersonAccount": st.sampled_from([True, False, None, "true", "0"]), "AccountId": IDS},
)


def _mapped(preset: str, records: list[tuple[str, Record]]) -> Iterator[Any]:
    mapping = compile_mapping(preset, None, None)
    for stream, record in records:
        found = mapping.stream(stream)
        assert found is not None
        for role in found.roles:
            with suppress(MappingError):
                yield from role.entities(record)


def _request(preset: str, records: list[tuple[str, Record]]) -> bytes:
    """Return the request of those records that can be mapped, with each contact under the last company."""
    entries: list[QueueEntry] = []
    company: StoredEntity | None = None
    for number, entity in enumerate(_mapped(preset, records)):
        if isinstance(entity, Company) and entity.body is not None:
            company = StoredEntity(number, f"{number}", bytes(entity.body))
            entries.append(QueueEntry(company, None))
        elif isinstance(entity, Contact) and entity.body is not None:
            contact = StoredEntity(number, entity.key, bytes(entity.body))
            if entries and entries[-1] == QueueEntry(company, None):
                entries.pop()
            entries.append(QueueEntry(company, contact))
    return encode_request(entries)


@given(st.lists(st.tuples(st.just("companies"), COMPANIES) | st.tuples(st.just("contacts"), CONTACTS), max_size=4))
@settings(max_examples=200)
def test_requests_of_the_preset_daktela_are_valid(records: list[tuple[str, Record]]) -> None:
    assert _broken(json.loads(_request("daktela", records))) == []


@given(st.lists(st.tuples(st.sampled_from(["Account", "Contact"]), SALESFORCE), max_size=4))
@settings(max_examples=200)
def test_requests_of_the_preset_salesforce_are_valid(records: list[tuple[str, Record]]) -> None:
    assert _broken(json.loads(_request("salesforce", records))) == []


def test_the_records_of_the_example_become_the_example() -> None:
    example = json.loads(EXAMPLE)
    with_company, alone = copy.deepcopy(example["data"])
    mapping = compile_mapping("daktela", None, None)
    companies, contacts = mapping.stream("companies"), mapping.stream("contacts")
    assert companies is not None
    assert contacts is not None
    company, member = (entity for role in companies.roles for entity in role.entities(with_company))
    assert isinstance(company, Company)
    assert isinstance(member, Contact)
    assert company.body is not None
    assert member.body is not None
    (single,) = (entity for role in contacts.roles for entity in role.entities(alone["contacts"][0]))
    assert isinstance(single, Contact)
    assert single.body is not None
    acme = StoredEntity(1, company.key, bytes(company.body))
    content = encode_request(
        [
            QueueEntry(acme, StoredEntity(2, member.key, bytes(member.body))),
            QueueEntry(None, StoredEntity(3, single.key, bytes(single.body))),
        ]
    )
    del example["delete"]
    assert json.loads(content) == example
    # Including the order of the keys.
    assert json.dumps(json.loads(content)) == json.dumps(example)


def test_decimals_and_long_numbers_are_sent_exactly() -> None:
    record = {"id": Decimal("3652397000001234567.0"), "name": "x", "fields": {"limit": Decimal("0.10")}}
    content = _request("daktela", [("contacts", record)])
    assert b'"id":3652397000001234567,' in content
    assert b'"value":["0.10"]' in content
