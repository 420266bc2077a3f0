"""Validate a CRM load strictly against the structure of the white paper.

An invalid load is refused completely, with the place and the reason.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeAlias

Entry: TypeAlias = dict[str, Any]

COMPANY = ("id", "name", "description", "fields")
CONTACT = ("id", "name", "firstname", "lastname", "description", "fields")

_COMPANY = frozenset({"id", "name", "description", "contacts"})
_CONTACT = frozenset(CONTACT)
_FIELD = frozenset({"key", "value"})
_NONE: frozenset[str] = frozenset()

# A lone half of a surrogate pair can be written in JSON, but not in UTF-8: PHP's parser refuses it, Python's
# does not.
_UNTEXT = re.compile("[\0\ud800-\udfff]")

_LARGEST = 2**63
"""PHP decodes integers from this number on as floats, which are invalid ids."""


class LoadError(ValueError):
    """A body that is refused, with the place in it (empty for the whole body) and the reason."""

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(f"{place or 'body'}: {reason}")
        self.place = place
        self.reason = reason

    @property
    def error(self) -> dict[str, Any]:
        """Return the envelope's `error`: that of a field, or `primary` for the whole load."""
        return {"form": {self.place: self.reason}} if self.place else {"primary": [self.reason]}


@dataclass
class Load:
    """A valid load.

    Attributes:
        content: The decoded body.
        delete: The value of `delete`, None without it.
        companies: Id as text -> company, without the placeholder for no company.
        contacts: Each contact with the id of its company as text, or None.
    """

    content: Entry
    delete: bool | None
    companies: dict[str, Entry] = field(default_factory=dict)
    contacts: dict[str, tuple[str | None, Entry]] = field(default_factory=dict)


def read_load(body: bytes) -> Load:
    """Decode and validate a body."""
    content = _parse(body)
    _check_keys("", content, frozenset({"data"}), frozenset({"delete"}))
    delete = content.get("delete")
    if "delete" in content and not isinstance(delete, bool):
        _refuse("delete", "must be true or false")
    load = Load(content, delete)
    for number, company in enumerate(_list("data", content["data"])):
        _take_company(load, f"data.{number}", company)
    return load


def _parse(body: bytes) -> Any:
    try:
        # The parser would also accept UTF-16 and UTF-32.
        return json.loads(body.decode("utf-8"), object_pairs_hook=_object)
    except LoadError:
        raise
    except UnicodeDecodeError:
        _refuse("", "is not UTF-8")
    except (ValueError, RecursionError):
        _refuse("", "is not JSON")


def _object(pairs: list[tuple[str, Any]]) -> Entry:
    found = dict(pairs)
    if len(found) != len(pairs):
        _refuse("", "has an object with the same key twice")
    return found


def _take_company(load: Load, place: str, company: Any) -> None:
    _check_keys(place, company, _COMPANY, frozenset({"fields"}))
    key = None if company["id"] is None else _id(f"{place}.id", company["id"])
    for name in ("name", "description"):
        _check_text(f"{place}.{name}", company[name])
        if key is None and company[name] is not None:
            _refuse(f"{place}.{name}", "must be null, as the id is")
    if "fields" in company:
        _check_fields(f"{place}.fields", company["fields"])
    if key is not None:
        if key in load.companies:
            _refuse(f"{place}.id", "is a duplicate of another company's")
        load.companies[key] = company
    for number, contact in enumerate(_list(f"{place}.contacts", company["contacts"])):
        _take_contact(load, f"{place}.contacts.{number}", contact, key)


def _take_contact(load: Load, place: str, contact: Any, company: str | None) -> None:
    _check_keys(place, contact, _CONTACT)
    key = _id(f"{place}.id", contact["id"])
    for name in ("name", "firstname", "lastname", "description"):
        _check_text(f"{place}.{name}", contact[name])
    _check_fields(f"{place}.fields", contact["fields"])
    if key in load.contacts:
        _refuse(f"{place}.id", "is a duplicate of another contact's")
    load.contacts[key] = (company, contact)


def _check_fields(place: str, fields: Any) -> None:
    for number, each in enumerate(_list(place, fields)):
        here = f"{place}.{number}"
        _check_keys(here, each, _FIELD)
        key = each["key"]
        if not isinstance(key, str) or not key or _UNTEXT.search(key):
            _refuse(f"{here}.key", "must be a text that is not empty")
        for value in _list(f"{here}.value", each["value"]):
            if not isinstance(value, str) or _UNTEXT.search(value):
                _refuse(f"{here}.value", "must be a list of texts")


def _check_keys(place: str, entry: Any, needed: frozenset[str], optional: frozenset[str] = _NONE) -> None:
    if not isinstance(entry, dict):
        _refuse(place, "must be an object")
    present = entry.keys()
    if not needed <= present:
        _refuse(place, f"lacks {', '.join(sorted(needed - present))}")
    if not present <= needed | optional:
        # Names come from the request and can be anything, so the reason does not repeat them.
        _refuse(place, "has keys that nobody knows")


def _check_text(place: str, value: Any) -> None:
    if value is not None and (not isinstance(value, str) or _UNTEXT.search(value)):
        _refuse(place, "must be a text or null")


def _id(place: str, value: Any) -> str:
    """Return an id as text for comparisons: 7 and "7" are the same id."""
    if isinstance(value, str):
        fits = bool(value) and not _UNTEXT.search(value)
    else:
        fits = isinstance(value, int) and not isinstance(value, bool) and -_LARGEST <= value < _LARGEST
    if not fits:
        _refuse(place, "must be an integer or a text that is not empty")
    return str(value)


def _list(place: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        _refuse(place, "must be a list")
    return value


def _refuse(place: str, reason: str) -> NoReturn:
    raise LoadError(place, reason)
