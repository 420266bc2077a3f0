"""The `fields` of a company or contact in the sync request: lists of texts by key, such as phone numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from target_daktela_crm.mapping.values import (
    UnreadableError,
    as_written,
    clean_text,
    flatten,
    is_empty,
    is_same_phone,
    read_email,
    read_phone,
    read_text,
)

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Collection, Iterable, Iterator

    from target_daktela_crm.mapping.expressions import Getter

_SEPARATORS = re.compile(r"[;,\n]|\s/\s")
"""What people write between several numbers or addresses. German numbers contain a slash without blanks."""


@dataclass(frozen=True)
class StreamOptions:
    """The options of a stream's mapping that apply to all of its values."""

    raw: bool
    """Whether values are sent unchanged."""
    null_values: frozenset[str]
    """Texts that count as no value."""
    places: tuple[str, ...]
    """Where columns are in a record, with `{}` for their name; empty if they are at its top level."""
    phone_region: str | None
    invalid_values: Counter[str]
    """Number of phone numbers and e-mail addresses left out so far, by kind."""


class MappedFields:
    """Fields whose mapping has expressions for each key."""

    def __init__(self, getters: dict[str, Getter], options: StreamOptions) -> None:
        self._getters = tuple(getters.items())
        self._options = options

    def read(self, record: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the fields of a record.

        A key without values is included, so that Daktela removes the values that the CRM has removed.
        """
        options = self._options
        return [
            {"key": key, "value": field_values(key, _non_empty(get(record), options.null_values), options)}
            for key, get in self._getters
        ]


class GivenFields:
    """Fields that the record holds itself: a list of `{key, value}`, or an object of values by key."""

    def __init__(self, get: Getter, options: StreamOptions) -> None:
        self._get = get
        self._options = options

    def read(self, record: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the fields of a record.

        Raises:
            UnreadableError: they are neither a list of `{key, value}` nor an object.
        """
        content = self._get(record)
        if content is None:
            return []
        if isinstance(content, dict):
            pairs = list(content.items())
        elif isinstance(content, list):
            if self._options.raw and (fields := _unchanged(content)) is not None:
                return fields
            pairs = [_key_and_value(element) for element in content]
        else:
            raise UnreadableError("is neither a list of {key, value} nor an object")
        return [
            {"key": text, "value": field_values(text, _values(text, value), self._options)}
            for key, value in pairs
            if (text := _checked_key(key))
        ]


Fields: TypeAlias = MappedFields | GivenFields


def field_values(key: str, values: Iterable[Any], options: StreamOptions) -> list[str]:
    """Return the texts of a field; Daktela's own fields are `number` and `email`."""
    if options.raw:
        return [text for value in values if (text := read_text(value)) is not None]
    if key == "number":
        return _phones(values, options)
    if key == "email":
        return _emails(values, options)
    return list(dict.fromkeys(text for value in values if (text := clean_text(value)) is not None))


def _non_empty(values: Iterable[Any], null_values: Collection[str]) -> list[Any]:
    """Return the non-empty values, and the non-empty elements of lists among them."""
    found: list[Any] = []
    for value in values:
        if isinstance(value, (list, tuple)):
            found += _non_empty(value, null_values)
        elif value is not None and not is_empty(value, null_values):
            found.append(value)
    return found


def _parts(values: Iterable[Any]) -> Iterator[str]:
    """Yield the single numbers or addresses of texts that may contain several."""
    for value in values:
        for part in _SEPARATORS.split(as_written(value)):
            if text := part.strip():
                yield text


def _phones(values: Iterable[Any], options: StreamOptions) -> list[str]:
    texts: list[str] = []
    digits: list[str] = []
    for text in _parts(values):
        phone = read_phone(text, options.phone_region)
        if phone is None:
            options.invalid_values["phone number"] += 1
        elif not any(is_same_phone(phone.digits, known) for known in digits):
            texts.append(phone.text)
            digits.append(phone.digits)
    return texts


def _emails(values: Iterable[Any], options: StreamOptions) -> list[str]:
    found: dict[str, None] = {}
    for text in _parts(values):
        email = read_email(text)
        if email is None:
            options.invalid_values["e-mail"] += 1
        else:
            found[email] = None
    return list(found)


def _unchanged(content: list[Any]) -> list[dict[str, Any]] | None:
    """Return fields that already have the shape of the request, or None if one of them has not."""
    fields = []
    for element in content:
        if type(element) is not dict:
            return None
        key, values = element.get("key"), element.get("value")
        if type(key) is not str or not key or "\x00" in key or type(values) is not list:
            return None
        # A loop, since all() with a generator takes three times as long.
        for text in values:
            if type(text) is not str or "\x00" in text:
                return None
        fields.append({"key": key, "value": values})
    return fields


def _key_and_value(element: object) -> tuple[Any, Any]:
    return (element.get("key"), element.get("value")) if isinstance(element, dict) else (None, None)


def _checked_key(key: object) -> str:
    text = read_text(key) if isinstance(key, str) else None
    if not text:
        raise UnreadableError("has an element without a key")
    return text


def _values(key: str, value: object) -> list[Any]:
    values = [each for each in flatten(value) if each is not None]
    if any(isinstance(each, dict) for each in values):
        raise UnreadableError(f"{key} has a value that is neither a text nor a number")
    return values
