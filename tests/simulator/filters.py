"""Filters and sort keys of rows, with the comparison rules of MySQL.

NULL matches no comparison. Texts are compared without case, as with MySQL's default collations. Integers are
compared as numbers, even if PHP sends them as text.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Any, TypeAlias

from tests.simulator.query import WITHOUT_VALUE, BadQuery, Condition, Filter, Group
from tests.simulator.schema import EMBEDDED, NUMBERED, Row, fields_of, key_of, target_of

Comparable: TypeAlias = str | int | float
Reader: TypeAlias = Callable[[Row], Comparable | None]
Predicate: TypeAlias = Callable[[Row], bool]

COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "neq": operator.ne,
    "lt": operator.lt,
    "lte": operator.le,
    "gt": operator.gt,
    "gte": operator.ge,
}

_NUMBER = re.compile(r"\s*[+-]?\d+(\.\d+)?")
_DATE_LENGTH = len("2026-03-10")
_NO = frozenset({"", "0", "false", "False"})


def number(value: Any) -> Comparable:
    """Return a value as MySQL converts it to a number: its leading digits, otherwise 0."""
    if type(value) is int:
        return value
    match = _NUMBER.match(str(value))
    return float(match[0]) if match else 0


def truth(value: Any) -> Comparable:
    """Return a boolean in any of PHP's spellings as 1 or 0."""
    return 0 if str(value) in _NO else 1


def fold(value: Any) -> Comparable:
    """Return a text in the form in which a case-insensitive collation compares it."""
    return str(value).casefold()


_CONVERSIONS: dict[str, Callable[[Any], Comparable]] = {
    "integer": number,
    "boolean": truth,
    "datetime": str,
    "text": fold,
    # A value that is not a scalar can only be compared with null.
    "other": lambda _: 1,
}


def kind_of(table: str, path: str, build: str) -> str:
    """Return the kind of a field or dotted path, and refuse unknown ones. A relation has the kind of its key."""
    column, _, rest = path.partition(".")
    kind = fields_of(table, build).get(column, "")
    target = target_of(table, column)
    if kind == "one" and target is not None:
        return _kind_behind(target, rest, build)
    if kind not in _CONVERSIONS or rest:
        raise BadQuery(f"Unknown field {path}")
    return kind


def _kind_behind(target: str, rest: str, build: str) -> str:
    if target == EMBEDDED:
        return "text"
    if rest:
        return kind_of(target, rest, build)
    return "integer" if target in NUMBERED else "text"


def reader(table: str, path: str, build: str) -> Reader:
    """Return a function from a row to the comparable value of a field, None for null."""
    convert = _CONVERSIONS[kind_of(table, path, build)]
    steps = path.split(".")
    if len(steps) == 1 and target_of(table, path) is None:
        # Half of all reads use this function: datetimes and names need no conversion.
        return lambda row: None if (value := row[path]) is None else convert(value)

    def read(row: Row) -> Comparable | None:
        value: Any = row
        place: str | None = table
        for step in steps:
            if not isinstance(value, dict):
                return None
            value = value.get(step)
            place = target_of(place, step) if place is not None else None
        if isinstance(value, dict):
            value = value.get(key_of(place or EMBEDDED))
        return None if value is None else convert(value)

    return read


def _comparable_kind(table: str, path: str, build: str) -> str:
    kind = kind_of(table, path, build)
    if kind == "other":
        raise BadQuery(f"Field {path} cannot be compared")
    return kind


def literal(table: str, path: str, text: str, build: str) -> Comparable:
    """Return the value of a filter in the form of `reader`. A date without a time means midnight."""
    kind = _comparable_kind(table, path, build)
    if kind == "datetime" and len(text) == _DATE_LENGTH:
        return text + " 00:00:00"
    return _CONVERSIONS[kind](text)


def predicate(table: str, entry: Filter, build: str) -> Predicate:
    """Return a function that returns whether a row matches."""
    if isinstance(entry, Group):
        members = [predicate(table, member, build) for member in entry.filters]
        joined = all if entry.logic == "and" else any
        return lambda row: joined(member(row) for member in members)
    return _condition(table, entry, build)


def conjunction(members: list[Predicate]) -> Predicate:
    """Return a function that returns whether all predicates match. One or two need no generator."""
    if not members:
        return lambda _: True
    if len(members) == 1:
        return members[0]
    return lambda row: all(member(row) for member in members)


def _condition(table: str, entry: Condition, build: str) -> Predicate:
    read = reader(table, entry.field, build)
    if entry.operator in WITHOUT_VALUE:
        wanted = entry.operator == "isnull"
        return lambda row: (read(row) is None) is wanted
    matches = _matcher(table, entry, build)
    return lambda row: (value := read(row)) is not None and matches(value)


def _matcher(table: str, entry: Condition, build: str) -> Callable[[Comparable], bool]:
    if isinstance(entry.value, tuple):
        values = frozenset(literal(table, entry.field, text, build) for text in entry.value)
        wanted = entry.operator != "notin"
        return lambda value: (value in values) is wanted
    compare = COMPARISONS.get(entry.operator)
    if compare is not None:
        right = literal(table, entry.field, entry.value, build)
        return lambda value: compare(value, right)
    _comparable_kind(table, entry.field, build)
    return _text_matcher(entry.operator, entry.value.casefold())


def _text_matcher(name: str, text: str) -> Callable[[Comparable], bool]:
    tests: dict[str, Callable[[Comparable], bool]] = {
        "contains": lambda value: text in str(value),
        "doesnotcontain": lambda value: text not in str(value),
        "startswith": lambda value: str(value).startswith(text),
        "endswith": lambda value: str(value).endswith(text),
        "like": lambda value: pattern.match(str(value)) is not None,
        "notlike": lambda value: pattern.match(str(value)) is None,
    }
    pattern = _like(text)
    return tests[name]


def _like(text: str) -> re.Pattern[str]:
    """Return a pattern for LIKE: `%` is any text, `_` any character, and a backslash escapes the next one."""
    parts = re.findall(r"\\.|.", text, re.DOTALL)
    wild = {"%": ".*", "_": "."}
    return re.compile("".join(wild.get(part) or re.escape(part[-1]) for part in parts) + r"\Z", re.DOTALL)
