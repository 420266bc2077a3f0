"""Records that are read without their mapping become the same as with it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from target_daktela_crm.entities import Company, Contact
from target_daktela_crm.mapping.compiler import compile_mapping
from target_daktela_crm.mapping.native import NativeReader
from target_daktela_crm.mapping.roles import MappingError
from target_daktela_crm.reader import TolerantReader

if TYPE_CHECKING:
    from collections.abc import Iterable

    from target_daktela_crm.mapping.compiled import CrmMapping, StreamMapping

MAPPING = compile_mapping("daktela", None, None)
FIELD = {"key": "number", "value": ["+420601000001"]}
COMPANY = {"id": 1, "name": "Acme", "description": None, "fields": [FIELD]}
CONTACT = {
    "id": 2,
    "company_id": 1,
    "name": "Eve Adams",
    "firstname": "Eve",
    "lastname": None,
    "description": "",
    "fields": [FIELD, {"key": "email", "value": []}],
}
STREAMS = {"companies": COMPANY, "contacts": CONTACT}

TEXTS = st.text(max_size=4) | st.sampled_from(
    ["", " ", "\x00", "\u00e9\x00", "007", "true", "\\u0000", "\U0001f600"]
)
NUMBERS = st.sampled_from([0, -0.0, 7, 7.0, 1e3, 2**53 + 1, 2**63, -(2**63), -(2**63) - 1, 10**70, 1.5, 1e-7])
SINGLE = st.none() | st.booleans() | TEXTS | NUMBERS
VALUES = st.lists(SINGLE | st.lists(TEXTS, max_size=1), max_size=2)
FIELDS = st.fixed_dictionaries({}, optional={"key": SINGLE, "value": VALUES | SINGLE})
OF_RIGHT_SHAPE = st.fixed_dictionaries(
    {"key": st.sampled_from(["number", "email", "x"]), "value": st.lists(TEXTS)}
)
ANYTHING = SINGLE | st.lists(SINGLE | FIELDS, max_size=2) | st.dictionaries(TEXTS, SINGLE, max_size=2)


def _records(likely: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return records with mostly likely values, and some arbitrary ones."""
    names = sorted({*likely, "contacts", "_sdc_deleted_at", "custom"})
    changes = st.dictionaries(st.sampled_from(names), ANYTHING | st.lists(OF_RIGHT_SHAPE, max_size=3), max_size=3)
    missing = st.sets(st.sampled_from(names), max_size=2)
    return st.builds(
        lambda changed, left_out: {k: v for k, v in {**likely, **changed}.items() if k not in left_out},
        changes,
        missing,
    )


def _line(stream: str, record: dict[str, Any], *, ensure_ascii: bool = True) -> bytes:
    return json.dumps({"type": "RECORD", "stream": stream, "record": record}, ensure_ascii=ensure_ascii).encode()


def _mapping(name: str, mapping: CrmMapping = MAPPING) -> StreamMapping:
    found = mapping.stream(name)
    assert found is not None
    return found


def _read(
    line: bytes, mapping: CrmMapping = MAPPING, streams: Iterable[str] = tuple(STREAMS)
) -> list[tuple[str, Company | Contact]] | None:
    """Return the content of a line that is read without its mapping, or None if it is left to the mapping."""
    reader = NativeReader()
    for name in streams:
        native = _mapping(name, mapping).native
        assert native is not None
        reader.announce(name, native)
    found = reader.read(line)
    return None if found is None else [found]


def _mapped(stream: str, line: bytes, mapping: CrmMapping = MAPPING) -> list[tuple[str, Any]] | str:
    """Return what the mapping makes of a line, or why the line is rejected."""
    record = TolerantReader().deserialize_json(line)["record"]
    try:
        found = [entity for role in _mapping(stream, mapping).roles for entity in role.entities(record)]
        # The columns are those of the body, so they need not be stored.
        return [
            (stream, replace(entity, columns=None) if isinstance(entity, (Company, Contact)) else entity)
            for entity in found
        ]
    except MappingError as error:
        return str(error)


def _is_read(stream: str, record: dict[str, Any]) -> bool:
    """Return whether a record is read without its mapping, and check that the result is the same."""
    for ensure_ascii in (True, False):
        line = _line(stream, record, ensure_ascii=ensure_ascii)
        found = _read(line)
        if found is not None:
            assert found == _mapped(stream, line)
    return found is not None


@settings(max_examples=1_500)
@given(_records(CONTACT))
@example({**CONTACT, "company_id": None})
@example({**CONTACT, "company_id": False})
@example({**CONTACT, "name": None})
@example({**CONTACT, "fields": [{"key": "", "value": []}]})
@example({"id": 1})
def test_a_contact_is_the_same_as_with_its_mapping(record: dict[str, Any]) -> None:
    _is_read("contacts", record)


@settings(max_examples=1_500)
@given(_records(COMPANY))
@example({**COMPANY, "name": ""})
@example({**COMPANY, "contacts": [CONTACT]})
def test_a_company_is_the_same_as_with_its_mapping(record: dict[str, Any]) -> None:
    _is_read("companies", record)


@pytest.mark.parametrize(
    ("stream", "change"),
    [
        ("companies", {}),
        ("companies", {"id": "C1", "fields": None, "contacts": []}),
        ("companies", {"custom": {"a": [1.5, None]}, "_sdc_deleted_at": None}),
        ("contacts", {}),
        ("contacts", {"id": "0035i000", "company_id": "0015i000"}),
        ("contacts", {"company_id": None, "name": None, "fields": []}),
        ("contacts", {"name": '\u017dofie \\ "\u00e9" \U0001f600'}),
    ],
)
def test_most_records_are_read_without_their_mapping(stream: str, change: dict[str, Any]) -> None:
    assert _is_read(stream, {**STREAMS[stream], **change})


@pytest.mark.promise("S10")
@pytest.mark.parametrize("missing", ["company_id", "name", "firstname", "lastname", "description", "fields"])
def test_a_record_without_a_column_is_left_to_the_mapping(missing: str) -> None:
    is_read = _is_read("contacts", {name: value for name, value in CONTACT.items() if name != missing})
    # The store keeps the company of a contact whose record does not say which one it is.
    assert is_read == (missing == "company_id")


@pytest.mark.parametrize(
    ("stream", "change"),
    [
        ("companies", {"name": None}),
        ("companies", {"contacts": [CONTACT]}),
        ("companies", {"id": None}),
        ("contacts", {"_sdc_deleted_at": "2026-01-01"}),
        ("contacts", {"id": " "}),
        ("contacts", {"id": 7.0}),
        ("contacts", {"id": True}),
        ("contacts", {"company_id": ""}),
        ("contacts", {"name": "a\x00b"}),
        ("contacts", {"description": 5}),
        ("contacts", {"fields": {"number": ["+420601000001"]}}),
        ("contacts", {"fields": [{"key": "number", "value": [420601000001]}]}),
        ("contacts", {"fields": [{"key": "number"}]}),
    ],
)
def test_records_that_need_the_mapping_are_left_to_it(stream: str, change: dict[str, Any]) -> None:
    assert not _is_read(stream, {**STREAMS[stream], **change})


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b'{"type":"RECORD"',
        b'{"type":"STATE","value":{}}',
        b'{"type":"SCHEMA","stream":"contacts","schema":{},"record":{"id":1}}',
        b'{"type":"RECORD","stream":"Contacts","record":{"id":1}}',
        b'{"type":"RECORD","stream":"tickets","record":{"id":1}}',
        b'{"type":"RECORD","stream":"contacts"}',
        b'{"type":"RECORD","record":{"id":1}}',
        b'{"type":"RECORD","stream":null,"record":{"id":1}}',
        b'{"type":"RECORD","stream":"contacts","record":{"id":1,"custom":"\xff"}}',
        b'{"type":"RECORD","stream":"contacts","record":{"id":1},"time_extracted":"\xff"}',
        b'{"type":"RECORD","stream":"contacts","record":[1]}',
        b'{"type":"RECORD","stream":"contacts","record":{"id":1,"name":"\xff"}}',
        b'{"type":"RECORD","stream":"contacts","record":{"id":1,"name":"\\ud800"}}',
        b'{"type":"RECORD","stream":"contacts","record":{"id":NaN}}',
        b"[" * 100_000,
        b'{"stream":"contacts","type":"RECORD","record":{"id":1,"custom":' + b"[" * 100_000,
    ],
)
def test_a_line_that_is_not_a_record_is_left(line: bytes) -> None:
    assert _read(line) is None
    assert _read(line, streams=["contacts"]) is None


def test_the_last_of_repeated_keys_counts() -> None:
    line = (
        b'{"record":{"id":1,"name":"old","id":2,"name":"new","firstname":null,"lastname":null,"description":null,'
        b'"fields":null},"stream":"contacts","type":"RECORD"}'
    )

    assert _read(line) == _mapped("contacts", line)


def test_only_announced_streams_are_read() -> None:
    reader = NativeReader()
    native = _mapping("contacts").native
    assert native is not None

    assert reader.read(_line("people", CONTACT)) is None
    for stream in ("people", "others", "people"):
        reader.announce(stream, native)
    for stream in ("people", "others"):
        found = reader.read(_line(stream, CONTACT))
        assert found is not None
        assert (found[0], found[1].key) == (stream, "2")


def test_columns_may_have_other_names() -> None:
    mapping = compile_mapping(
        "daktela", {"contacts": {"contact": {"id": "key", "company": ["of"], "fields": "values"}}}, None
    )
    record = {"key": "K", "of": 5, "values": [FIELD], "id": 3, "company_id": 4, "fields": 7, "name": "Eve"}
    record |= dict.fromkeys(("firstname", "lastname", "description"))
    line = _line("contacts", record)

    assert _read(line, mapping) == _mapped("contacts", line, mapping)


@pytest.mark.parametrize(
    "change",
    [
        {"contact": {"deleted": "gone"}},
        {"contact": {"modified": "changed"}},
        {"contact": {"when": "kind == 'person'"}},
        {"contact": {"company_name": "company"}},
        {"contact": {"firstname": None}},
        {"contact": {"name": ["name", "label"]}},
        {"contact": {"name": "label || name"}},
        {"contact": {"name": "person.name"}},
        {"contact": {"name": '"name"'}},
        {"contact": {"name": "firstname"}},
        {"contact": {"description": "_sdc_deleted_at"}},
        {"contact": {"fields": {"number": "phone"}}},
        {"contact": {"fields": {"list": "segment", "number": "phone"}}},
        {"contact": {"fields": {"list": "segment"}}},
        {"raw": False},
        {"null_values": ["-"]},
        {"places": ["properties.{}"]},
        {"link": {"contact": "id", "company": "company_id"}},
        {"contact": None, "company": {"id": "id"}},
    ],
    ids=str,
)
def test_a_mapping_of_more_than_columns_is_needed(change: dict[str, Any]) -> None:
    mapping = compile_mapping("daktela", {"contacts": change}, None)

    assert _mapping("contacts", mapping).native is None
    assert _mapping("companies", mapping).native is not None


@pytest.mark.parametrize("preset", ["salesforce", "hubspot", "raynet"])
def test_the_mapping_of_a_crm_is_needed(preset: str) -> None:
    assert all(stream.native is None for stream in compile_mapping(preset, None, None).streams)


def test_companies_may_be_without_contacts() -> None:
    mapping = compile_mapping("daktela", {"companies": {"company": {"contacts": None}}}, None)
    line = _line("companies", {**COMPANY, "contacts": [CONTACT]})

    assert _read(line, mapping) == _mapped("companies", line, mapping)
