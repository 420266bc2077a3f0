"""A CRM of any size as Singer messages: companies with ten contacts each.

On the second day, one of a hundred contacts differs from the first day.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PER_COMPANY = 10
_TEXT = {"type": ["string", "null"]}
_FLAG = {"type": ["boolean", "null"]}
_TEXTS = {"type": ["array", "null"], "items": {"type": "string"}}
_FIELD = {"type": "object", "properties": {"key": {"type": "string"}, "value": _TEXTS}}
_FIELDS = {"type": ["array", "null"], "items": _FIELD}
_SCHEMAS: dict[str, dict[str, Any]] = {
    "companies": {"id": {"type": "integer"}, "name": _TEXT, "description": _TEXT, "fields": _FIELDS},
    "contacts": {
        "id": {"type": "integer"},
        "company_id": {"type": ["integer", "null"]},
        "name": _TEXT,
        "firstname": _TEXT,
        "lastname": _TEXT,
        "description": _TEXT,
        "fields": _FIELDS,
    },
    "Account": {
        "Id": _TEXT,
        "Name": _TEXT,
        "Phone": _TEXT,
        "Description": _TEXT,
        "SystemModstamp": _TEXT,
        "IsDeleted": _FLAG,
        "IsPersonAccount": _FLAG,
    },
    "Contact": {
        "Id": _TEXT,
        "AccountId": _TEXT,
        "Name": _TEXT,
        "FirstName": _TEXT,
        "LastName": _TEXT,
        "Phone": _TEXT,
        "MobilePhone": _TEXT,
        "Email": _TEXT,
        "SystemModstamp": _TEXT,
        "IsDeleted": _FLAG,
    },
}
_STAMP = "2026-03-01T12:00:00.000000Z"


def _fields(**fields: list[str]) -> list[dict[str, Any]]:
    return [{"key": key, "value": value} for key, value in fields.items()]


def native(number: int, *, changed: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a contact in the format of the sync request. The first contact of a company follows the company."""
    company = number // PER_COMPANY
    if number % PER_COMPANY == 0:
        fields = _fields(number=[f"+42060{company:07}"], email=[])
        yield (
            "companies",
            {"id": company, "name": f"Company {company}", "description": "Since 1990.", "fields": fields},
        )
    yield (
        "contacts",
        {
            "id": number,
            "company_id": company,
            "name": f"Contact Number {number}{' II' if changed else ''}",
            "firstname": "Contact",
            "lastname": f"Number {number}",
            "description": "Asks for invoices in the first week of the month.",
            "fields": _fields(number=[f"+42073{number:07}"], email=[f"contact{number}@example.com"]),
        },
    )


def salesforce(number: int, *, changed: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the same contact in the format of a tap for Salesforce."""
    company = number // PER_COMPANY
    common = {"IsDeleted": False, "SystemModstamp": _STAMP}
    if number % PER_COMPANY == 0:
        name = {"Name": f"Company {company}", "Phone": f"+42060{company:07}", "Description": "Since 1990."}
        yield "Account", {"Id": f"0015i{company:010}AAA", **name, "IsPersonAccount": False, **common}
    yield (
        "Contact",
        {
            "Id": f"0035i{number:010}AAA",
            "AccountId": f"0015i{company:010}AAA",
            "Name": f"Contact Number {number}{' II' if changed else ''}",
            "FirstName": "Contact",
            "LastName": f"Number {number}",
            "Phone": f"+42073{number:07}",
            "MobilePhone": None,
            "Email": f"contact{number}@example.com",
            **common,
        },
    )


SHAPES = {"daktela": native, "salesforce": salesforce}


def write(path: Path, shape: str, contacts: int, *, second_day: bool = False) -> Path:
    """Write all messages into a file, and return its path."""
    streams = ("companies", "contacts") if shape == "daktela" else ("Account", "Contact")
    with path.open("w", encoding="utf-8") as file:
        for stream in streams:
            schema = {"type": "object", "properties": _SCHEMAS[stream]}
            key = next(iter(_SCHEMAS[stream]))
            message = {"type": "SCHEMA", "stream": stream, "schema": schema, "key_properties": [key]}
            file.write(f"{json.dumps(message)}\n")
        for number in range(contacts):
            for stream, record in SHAPES[shape](number, changed=second_day and number % 100 == 0):
                file.write(f'{{"type":"RECORD","stream":"{stream}","record":{json.dumps(record)}}}\n')
        file.write('{"type":"STATE","value":{"bookmarks":{"contacts":{"day":1}}}}\n')
    return path
