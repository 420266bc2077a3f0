"""The `fields` of a company or contact in the sync request: lists of texts by key, such as phone numbers."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from target_daktela_crm.mapping.email_addresses import read_email_addresses, read_plain_address
from target_daktela_crm.mapping.phone_numbers import read_clean_number, read_phone_numbers, unique_phones
from target_daktela_crm.mapping.values import (
    UnreadableError,
    as_written,
    clean_text,
    flatten,
    is_empty,
    read_text,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from target_daktela_crm.mapping.expressions import Getter
    from target_daktela_crm.mapping.left_out import LeftOut

KINDS = {"number": "phone number", "email": "e-mail"}
"""The kinds of values of which invalid ones are left out, by Daktela's field."""


@dataclass(frozen=True)
class StreamOptions:
    """The options of a stream's mapping that apply to all of its values."""

    raw: bool
    """Whether values are sent unchanged."""
    null_values: frozenset[str]
    """Texts that count as no value."""
    places: tuple[str, ...]
    """Where columns are in a record, with `{}` for their name; empty if they are at its top level."""
    html_entities: bool
    """Whether the CRM stores texts with HTML entities such as `&#039;`."""
    phone_region: str | None
    left_out: LeftOut
    """The phone numbers and e-mail addresses that are left out."""
    value_streams: frozenset[str] = frozenset()
    """Streams of custom values. Each of them gives records a list of its values, under its name."""
    optional: frozenset[str] = frozenset()
    """Columns with names that a run may lack."""


class FieldValues(NamedTuple):
    """The values of a field."""

    texts: list[str]
    left_out: int = 0
    """How many values are invalid."""


class MappedFields:
    """Fields whose mapping has expressions for each key."""

    def __init__(self, getters: dict[str, Getter], options: StreamOptions) -> None:
        self._getters = tuple(getters.items())
        self._options = options

    def read(self, record: dict[str, Any], unknown: Collection[str] = ()) -> list[dict[str, Any]]:
        """Return the fields of a record, without those in `unknown`.

        A key without values is included, so that Daktela removes the values that the CRM has removed.
        """
        options = self._options
        return [
            {"key": key, "value": _noted(key, _non_empty(get(record), options.null_values), options)}
            for key, get in self._getters
            if key not in unknown
        ]


class GivenFields:
    """Fields that the record holds itself: a list of `{key, value}`, or an object of values by key."""

    def __init__(self, get: Getter, options: StreamOptions) -> None:
        self._get = get
        self._options = options

    def read(self, record: dict[str, Any], _unknown: Collection[str] = ()) -> list[dict[str, Any]]:
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
            {"key": text, "value": _noted(text, _values(text, value), self._options)}
            for key, value in pairs
            if (text := _checked_key(key))
        ]


Fields: TypeAlias = MappedFields | GivenFields


def _noted(key: str, values: list[Any], options: StreamOptions) -> list[str]:
    """Return the texts of a field, and count the values that are left out."""
    if not values:
        return []
    found = field_values(key, values, options)
    if found.left_out:
        options.left_out.note(KINDS[key], found.left_out)
    return found.texts


def field_values(key: str, values: list[Any], options: StreamOptions) -> FieldValues:
    """Return the texts of a field; Daktela's own fields are `number` and `email`."""
    if options.raw:
        return FieldValues([text for value in values if (text := read_text(value)) is not None])
    if key == "number":
        return _phones(values, options.phone_region)
    if key == "email":
        return _emails(values)
    return FieldValues(list(dict.fromkeys(text for value in values if (text := clean_text(value)) is not None)))


def _non_empty(values: Iterable[Any], null_values: Collection[str]) -> list[Any]:
    """Return the non-empty values, and the non-empty elements of lists among them."""
    found: list[Any] = []
    for value in values:
        if isinstance(value, (list, tuple)):
            found += _non_empty(value, null_values)
        elif value is not None and not is_empty(value, null_values):
            found.append(value)
    return found


def _phones(values: list[Any], region: str | None) -> FieldValues:
    if len(values) == 1 and type(values[0]) is str and (clean := read_clean_number(values[0], region)):
        return FieldValues([clean])
    found = [read_phone_numbers(_phone_text(value), region) for value in values]
    phones = unique_phones(phone for numbers in found for phone in numbers.found)
    return FieldValues([phone.text for phone in phones], sum(numbers.left_out for numbers in found))


def _phone_text(value: object) -> str:
    # A number such as 4.91711E+11, which a spreadsheet has shortened. Its zeros are no digits of a phone number.
    if isinstance(value, Decimal) and value.is_finite() and int(value.as_tuple().exponent) > 0:
        return str(value)
    return as_written(value)


def _emails(values: list[Any]) -> FieldValues:
    if len(values) == 1 and type(values[0]) is str and (plain := read_plain_address(values[0])):
        return FieldValues([plain])
    found = [read_email_addresses(as_written(value)) for value in values]
    addresses = dict.fromkeys(address for each in found for address in each.found)
    return FieldValues(list(addresses), sum(each.left_out for each in found))


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
