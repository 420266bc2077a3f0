"""Convert values of Daktela's API to values of records, for each kind of column.

PHP has several spellings for booleans, integers, lists and empty objects (daktela-api.md §3). A converter gets a
value that is not null. It returns the value of the record, which may be null, or raises ValueError, TypeError or
OverflowError for a value that does not fit the column's type.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from tap_daktela.api.rows import Row
from tap_daktela.streams.datetimes import datetime_converter
from tap_daktela.streams.fields import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from zoneinfo import ZoneInfo

Converter: TypeAlias = Callable[[Any], Any]

_SMALLEST_INTEGER, _LARGEST_INTEGER = -(2**63), 2**63 - 1
"""Integers of PostgreSQL, DuckDB and other databases have at most 64 bits."""
_LARGEST_EXACT_FLOAT = 2.0**53
"""Larger floats do not represent all integers exactly."""

# Python's own int() and float() also accept `1_000` and the digits of other scripts.
_INTEGER = re.compile(r"([+-]?[0-9]+)(?:\.0*)?")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


def converters(prefix: str, zone: ZoneInfo, *, local_datetimes: bool = False) -> dict[Kind, Converter]:
    """Return the converter of each kind of column that has a source in the API.

    `prefix` is the prefix of all keys. `zone` is the time zone of the datetimes of the instance.
    """
    key = _key_converter(prefix)
    return {
        Kind.KEY: key,
        Kind.PREFIXED: lambda value: prefix + _text(value),
        Kind.TEXT: _text,
        Kind.INTEGER: _integer,
        Kind.NUMBER: _number,
        Kind.BOOLEAN: _boolean,
        Kind.DATETIME: datetime_converter(zone, local=local_datetimes),
        Kind.OBJECT: _object,
        Kind.KEYS: lambda value: [key(_name(entry)) for entry in _entries(value) if _has_name(entry)],
        Kind.TITLES: lambda value: [_title(entry) for entry in _entries(value) if _has_name(entry)],
        Kind.SCALAR: lambda value: None if isinstance(value, (dict, list, Row)) else _text(value),
        Kind.ANY_AS_TEXT: _any_as_text,
    }


def _key_converter(prefix: str) -> Converter:
    def convert(value: object) -> str | None:
        if isinstance(value, str):
            # An empty text is no key. With a prefix, it would look like one.
            return prefix + value if value else None
        if isinstance(value, bool):
            raise ValueError(value)  # noqa: TRY004 - see the module's docstring
        return f"{prefix}{_whole(value)}"

    return convert


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, (bool, int, float)):
        return _json(value)
    raise ValueError(value)


def _integer(value: object) -> int | None:
    if isinstance(value, str):
        value = value.strip()
        if not value:
            return None
        match = _INTEGER.fullmatch(value)
        value = int(match[1]) if match else _float(value)
    whole = value if type(value) is int else _whole(value)
    if not _SMALLEST_INTEGER <= whole <= _LARGEST_INTEGER:
        raise ValueError(value)
    return whole


def _whole(value: object) -> int:
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float) and value.is_integer() and abs(value) <= _LARGEST_EXACT_FLOAT:
        return int(value)
    raise ValueError(value)


def _number(value: object) -> float | int | None:
    if isinstance(value, float):
        return value
    if isinstance(value, int):
        return int(value) if _SMALLEST_INTEGER <= value <= _LARGEST_INTEGER else float(value)
    if isinstance(value, str):
        value = value.strip()
        return _float(value) if value else None
    raise ValueError(value)


def _float(text: str) -> float:
    if not _NUMBER.fullmatch(text) or not math.isfinite(number := float(text)):
        raise ValueError(text)
    return number


_BOOLEANS: dict[Any, bool] = {
    True: True,
    False: False,
    "1": True,
    "0": False,
    "": False,
    "true": True,
    "false": False,
}


def _boolean(value: object) -> bool:
    try:
        return _BOOLEANS[value.lower() if isinstance(value, str) else value]
    except (KeyError, TypeError):
        raise ValueError(value) from None


def _object(value: object) -> dict[str, Any] | None:
    if isinstance(value, dict):
        return value
    if isinstance(value, list):
        # PHP has one type for objects and lists. A list is an array with the keys 0, 1, 2, …
        return {str(index): element for index, element in enumerate(value)}
    if value == "":
        return None
    raise ValueError(value)


def _any_as_text(value: object) -> str | None:
    value = _single(value)
    return value if value is None or isinstance(value, str) else _json(value)


def part_converter(steps: Sequence[str]) -> Converter:
    """Return a converter to the text of the part at `steps`, for a list of objects the list of their parts."""

    def convert(value: object) -> str | None:
        return _any_as_text(_part(value, steps))

    return convert


def _part(value: object, steps: Sequence[str]) -> object:
    if not steps:
        return _single(value)
    if isinstance(value, dict) and steps[0] not in value and is_php_list(value):
        value = list(value.values())
    if isinstance(value, list):
        parts = [_part(entry, steps) for entry in value]
        # Each part keeps the position of its entry, so that two columns of the same list correspond.
        return None if all(part is None for part in parts) else _single(parts)
    return _part(value.get(steps[0]), steps[1:]) if isinstance(value, (dict, Row)) else None


def _single(value: object) -> object:
    """Return the entry of a list with one entry, null for an empty list, and any other value unchanged."""
    if isinstance(value, list) and len(value) <= 1:
        return value[0] if value else None
    return value


def is_php_list(value: dict[str, Any]) -> bool:
    """Return whether an object is a list. PHP sends a list with gaps as an object with its indexes as names."""
    return bool(value) and all(name.isdigit() for name in value)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


# Lists of related objects. Each entry is an object with a `name` and a `title`, or only the name. The lists of
# keys and titles must correspond. So both leave out the same entries: those without a name, which the account may
# not see.


def entries_without_name(value: object) -> int:
    """Return the number of entries without a name in a list of related objects. The account may not see them.

    Raises:
        ValueError: `value` is not such a list.
    """
    entries = _entries(value)
    return len(entries) - sum(map(_has_name, entries))


def _entries(value: object) -> list[Any]:
    """Return the entries of a list of related objects in any of PHP's spellings."""
    if isinstance(value, list):
        return value
    if value == "":
        return []
    if isinstance(value, dict):
        if any(name in value and not isinstance(value[name], dict) for name in ("name", "title")):
            # A single object instead of a list with one entry.
            return [value]
        if all(isinstance(entry, dict) for entry in value.values()):
            # PHP's arrays with keys: {"0": {…}, "5": {…}}.
            return list(value.values())
    # Another object cannot be read as a list, since its values could be names or titles.
    raise ValueError(value)


def _has_name(entry: Any) -> bool:  # noqa: ANN401 - JSON
    # PHP sends null, an empty text or an empty list for a missing name and for an object that the account may not
    # see.
    name = entry.get("name") if isinstance(entry, dict) else entry
    return bool(name) or name == 0


def _name(entry: Any) -> Any:  # noqa: ANN401 - JSON
    return entry.get("name") if isinstance(entry, dict) else entry


def _title(entry: Any) -> str:  # noqa: ANN401 - JSON
    """Return the title of an entry, an empty text for none, since BigQuery does not allow null in a list."""
    title = entry.get("title") if isinstance(entry, dict) else None
    return "" if title is None else _text(title)
