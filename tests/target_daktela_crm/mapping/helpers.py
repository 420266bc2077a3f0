"""Mapping single records, for the tests of all modules of the mapping."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from target_daktela_crm.entities import Company, Contact, Entity, RejectedPart
from target_daktela_crm.mapping.compiler import compile_mapping
from target_daktela_crm.mapping.expressions import compile_expression
from target_daktela_crm.mapping.roles import MappingError, Record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from target_daktela_crm.mapping.compiled import CrmMapping


def entities(mapping: CrmMapping, stream: str, record: Record) -> list[Entity]:
    found = mapping.stream(stream)
    assert found is not None
    mapped: list[Entity] = []
    for role in found.roles:
        for entity in role.entities(record):
            mapping.left_out.assign(entity)
            if not isinstance(entity, RejectedPart):
                mapped.append(entity)
    return mapped


def map_record(
    stream: str,
    record: Record,
    streams: Mapping[str, Any] | None = None,
    *,
    preset: str = "daktela",
    phone_region: str | None = None,
) -> list[Entity]:
    return entities(compile_mapping(preset, streams, phone_region), stream, record)


def body_of(entity: Entity) -> dict[str, Any]:
    assert isinstance(entity, (Company, Contact))
    assert entity.body is not None
    content: dict[str, Any] = json.loads(entity.body)
    return content


def map_contact(record: Record, streams: Mapping[str, Any] | None = None, **options: Any) -> Contact:
    (entity,) = map_record("contacts" if "preset" not in options else "Contact", record, streams, **options)
    assert isinstance(entity, Contact)
    return entity


def map_company(record: Record, streams: Mapping[str, Any] | None = None, **options: Any) -> Company:
    entity, *_ = map_record("companies" if "preset" not in options else "Account", record, streams, **options)
    assert isinstance(entity, Company)
    return entity


def mapping_error(
    stream: str, record: Record, streams: Mapping[str, Any] | None = None, preset: str = "daktela"
) -> tuple[str, str | None]:
    with pytest.raises(MappingError) as raised:
        map_record(stream, record, streams, preset=preset)
    return str(raised.value), raised.value.identifier


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


def map_salesforce(stream: str, record: Record, **options: Any) -> list[Entity]:
    return map_record(stream, record, preset="salesforce", **options)


RECORD: dict[str, Any] = {
    "Id": 7,
    "Name": "Acme",
    "Empty": "",
    "Blank": " \t",
    "Null": None,
    "No": "[not provided]",
    "Dash": "-",
    "Nothing": [],
    "Flag": "true",
    "Off": "N",
    "First": "Jan ",
    "Last": "Nový",
    "Price": Decimal("1.50"),
    "Whole": Decimal("27483910200.0"),
    "nested": {"phone": "1", "deep": {"er": "2"}, "null": None, "list": ["a", ["b"]]},
    "flat__phone": "3",
    "single_phone": "4",
    "a.dot": "5",
    "@odata.type": "6",
    "emails": [
        {"value": "a@x.cz", "primary": False},
        {"value": "b@x.cz", "primary": "true"},
        {"value": "c@x.cz", "primary": 1},
    ],
    "json": '[{"v": 1.50}, null]',
    "text": "a@x.cz; b@x.cz;;c@x.cz",
}


def value_of(text: str, record: dict[str, Any] | None = None, nulls: tuple[str, ...] = ()) -> Any:
    return compile_expression(text, nulls).get(RECORD if record is None else record)
