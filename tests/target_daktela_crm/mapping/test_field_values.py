"""Fields of companies and contacts: phone numbers, e-mail addresses and others."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from target_daktela_crm.mapping.compiler import compile_mapping
from tests.target_daktela_crm.mapping.helpers import (
    CONTACT,
    body_of,
    entities,
    map_company,
    map_contact,
    map_salesforce,
    mapping_error,
)


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
def test_given_fields_are_a_list_of_keys_and_values_or_an_object(
    given_fields: Any, expected: list[tuple[str, list[str]]]
) -> None:
    for body in (
        body_of(map_contact({"id": 1, "fields": given_fields})),
        body_of(map_company({"id": 1, "fields": given_fields})),
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
def test_given_fields_of_another_shape_are_rejected(given_fields: Any, said: str) -> None:
    assert mapping_error("contacts", {"id": 7, "fields": given_fields}) == (said, "7")


def test_raw_values_are_never_invalid() -> None:
    mapping = compile_mapping("daktela", None, "CZ")
    record = {"id": 1, "fields": {"number": ["-", "601 000 001"], "email": "none"}}
    (contact,) = entities(mapping, "contacts", record)
    assert body_of(contact)["fields"][0]["value"] == ["-", "601 000 001"]
    assert not mapping.left_out.counts


@pytest.mark.parametrize("region", ["CZ", "cz"])
def test_with_a_region_phone_numbers_are_sent_as_e164(region: str) -> None:
    (contact,) = map_salesforce("Contact", {**CONTACT, "MobilePhone": "601 000 004"}, phone_region=region)
    assert body_of(contact)["fields"][0]["value"] == ["+420601000002", "+420601000004", "+420601000003"]


def test_invalid_values_are_counted_over_all_records() -> None:
    mapping = compile_mapping("salesforce", None, "CZ")
    for record in (
        {"Id": "1", "Phone": "12345", "MobilePhone": "-", "Email": "none"},
        {"Id": "2", "Phone": "+420 601 000 001", "Email": "eva@example"},
        {"Id": "3", "Phone": "", "Email": None},
    ):
        entities(mapping, "Contact", record)
    entities(mapping, "Account", {"Id": "4", "Phone": "x"})
    assert mapping.left_out.counts == {"phone number": 3, "e-mail": 2}


def test_all_values_of_a_field_are_sent_once_and_in_order() -> None:
    streams = {
        "Contact": {"contact": {"fields": {"tags": ["b", "a", "c[].t"], "number": None, "email": None, "x": "no"}}}
    }
    record = {"Id": 1, "no": None, "a": " x ", "b": ["y", "", None, "x"], "c": [{"t": "z"}, {"t": "y"}, {"t": 5}]}
    (contact,) = map_salesforce("Contact", record, streams=streams)
    assert body_of(contact)["fields"] == [
        {"key": "tags", "value": ["y", "x", "z", "5"]},
        # Sent without values, so that Daktela removes those that the CRM has removed.
        {"key": "x", "value": []},
    ]


def test_raw_values_may_repeat() -> None:
    mapping = compile_mapping("daktela", None, None)
    (found,) = entities(mapping, "contacts", {"id": 1, "fields": {"number": ["1", "1"], "a\0b": ["x\0"]}})
    assert body_of(found)["fields"] == [{"key": "number", "value": ["1", "1"]}, {"key": "ab", "value": ["x"]}]


def test_phone_numbers_that_are_floats_are_sent_as_integers() -> None:
    streams = {"Contact": {"contact": {"modified": "at"}}}
    (found,) = entities(
        compile_mapping("salesforce", streams, None),
        "Contact",
        {"Id": "003", "Phone": Decimal("420777111222.0"), "MobilePhone": "+420777111222", "at": 10**400},
    )
    assert body_of(found)["fields"][0]["value"] == ["+420777111222"]


@pytest.mark.parametrize("region", [None, "CZ"])
@pytest.mark.parametrize("spellings", [("0905 123 456", "+421 905 123 456"), ("+421 905 123 456", "0905 123 456")])
def test_a_number_in_several_columns_is_sent_once_as_e164(region: str | None, spellings: tuple[str, str]) -> None:
    record = {"Id": "003", "LastName": "x", "Phone": spellings[0], "MobilePhone": spellings[1]}
    (found,) = map_salesforce("Contact", record, phone_region=region)
    assert body_of(found)["fields"][0]["value"] == ["+421905123456"]


def test_a_number_that_a_spreadsheet_has_shortened_is_left_out() -> None:
    mapping = compile_mapping("salesforce", None, "DE")
    (found,) = entities(mapping, "Contact", {"Id": "003", "Phone": Decimal("4.91711E+11")})
    assert body_of(found)["fields"][0]["value"] == []
    assert mapping.left_out.counts == {"phone number": 1}


def test_a_column_may_contain_several_numbers_or_addresses() -> None:
    record = {"Id": "003", "LastName": "x", "Phone": "+420601000001;+420602000002", "Email": "a@b.cz, c@d.cz"}
    (found,) = entities(compile_mapping("salesforce", None, None), "Contact", record)
    assert [each["value"] for each in body_of(found)["fields"]] == [
        ["+420601000001", "+420602000002"],
        ["a@b.cz", "c@d.cz"],
    ]
