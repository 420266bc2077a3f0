"""The query string of a list request: PHP's brackets as plain data, checked against Daktela's grammar."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import unquote_plus

MAX_TAKE = 1000
DEFAULT_TAKE = 100

WITHOUT_VALUE = frozenset({"isnull", "isnotnull"})
WITH_LIST = frozenset({"in", "notin", "eq"})
OPERATORS = WITHOUT_VALUE | frozenset(
    {
        *("eq", "neq", "lt", "lte", "gt", "gte", "in", "notin", "like", "notlike"),
        *("contains", "doesnotcontain", "startswith", "endswith"),
    }
)

_EXTRAS = frozenset({"type", "ignoreCase"})
_KEY = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)$")
_BRACKET = re.compile(r"\[([^\[\]]*)\]")


class BadQuery(ValueError):  # noqa: N818 - named for the answer it becomes, 400 Bad Request
    """A query that the server refuses with status 400 and this message."""


@dataclass(frozen=True)
class Condition:
    """`field operator value`. Some operators accept a list of values."""

    field: str
    operator: str
    value: str | tuple[str, ...] = ""


@dataclass(frozen=True)
class Group:
    """Conditions and groups, joined by `and` or `or`."""

    logic: str
    filters: tuple[Filter, ...]


Filter: TypeAlias = Condition | Group


@dataclass(frozen=True)
class Query:
    """A list request. `fields` None means complete rows."""

    fields: tuple[str, ...] | None = None
    filters: tuple[Filter, ...] = ()
    sort: tuple[tuple[str, str], ...] = ()
    skip: int = 0
    take: int = DEFAULT_TAKE
    total: bool = True
    parameters: dict[str, Any] = field(default_factory=dict, compare=False)


def parse_brackets(text: str) -> dict[str, Any]:
    """Decode a query string as PHP does: `a[0][b]=c` is `{"a": {"0": {"b": "c"}}}`. The last value wins."""
    parsed: dict[str, Any] = {}
    for pair in text.split("&"):
        raw, _, value = pair.partition("=")
        match = _KEY.match(unquote_plus(raw))
        if match:
            path = [match[1], *_BRACKET.findall(match[2])]
            _put(parsed, path, unquote_plus(value))
    return parsed


def _put(node: dict[str, Any], path: list[str], value: str) -> None:
    for step in path[:-1]:
        child = node.setdefault(step or str(len(node)), {})
        if not isinstance(child, dict):
            child = node[step] = {}
        node = child
    node[path[-1] or str(len(node))] = value


def _elements(node: Any, what: str) -> list[Any]:
    """Return the values of an array with integer keys, in their order."""
    if not isinstance(node, dict) or not all(key.isdigit() for key in node):
        raise BadQuery(f"Invalid {what}")
    return [node[key] for key in sorted(node, key=int)]


def parse_query(text: str) -> Query:
    """Decode and check a list request."""
    parameters = parse_brackets(text)
    return Query(
        fields=_fields(parameters.get("fields")),
        filters=_filters(parameters.get("filter")),
        sort=_sort(parameters.get("sort")),
        skip=_number(parameters, "skip", 0),
        take=_take(parameters),
        total=parameters.get("total") not in ("false", "0"),
        parameters=parameters,
    )


def _fields(node: Any) -> tuple[str, ...] | None:
    # If `fields` is not an array (`fields=name,title`), the server ignores it and sends complete rows.
    if not isinstance(node, dict):
        return None
    names = _elements(node, "fields")
    if not all(isinstance(name, str) for name in names):
        raise BadQuery("Invalid fields")
    return tuple(names)


def _number(parameters: dict[str, Any], name: str, default: int) -> int:
    text = parameters.get(name, str(default))
    if not isinstance(text, str) or not text.isascii() or not text.isdigit():
        raise BadQuery(f"Invalid {name}")
    return int(text)


def _take(parameters: dict[str, Any]) -> int:
    take = _number(parameters, "take", DEFAULT_TAKE)
    if take > MAX_TAKE:
        raise BadQuery(f"Max defined take is {MAX_TAKE}")
    return take


def _sort(node: Any) -> tuple[tuple[str, str], ...]:
    keys = []
    for entry in _elements(node, "sort") if node is not None else []:
        if not isinstance(entry, dict) or not isinstance(entry.get("field"), str) or set(entry) - {"field", "dir"}:
            raise BadQuery("Invalid sort")
        direction = entry.get("dir", "asc")
        if direction not in ("asc", "desc"):
            raise BadQuery("Invalid sort direction")
        keys.append((entry["field"], direction))
    return tuple(keys)


def _filters(node: Any) -> tuple[Filter, ...]:
    if node is None:
        return ()
    if isinstance(node, dict) and not all(key.isdigit() for key in node):
        return (_filter(node),)
    return tuple(_filter(entry) for entry in _elements(node, "filter"))


def _filter(node: Any) -> Filter:
    if isinstance(node, dict) and set(node) == {"logic", "filters"}:
        members = tuple(_filter(entry) for entry in _elements(node["filters"], "filter"))
        if node["logic"] not in ("and", "or"):
            raise BadQuery("Invalid filter logic")
        return Group(node["logic"], members)
    return _condition(node)


def _condition(node: Any) -> Condition:
    if not isinstance(node, dict) or set(node) - _EXTRAS - {"field", "operator", "value"}:
        raise BadQuery("Invalid filter")
    name, operator = node.get("field"), node.get("operator")
    if not isinstance(name, str) or not isinstance(operator, str):
        raise BadQuery("Invalid filter")
    if operator not in OPERATORS:
        raise BadQuery(f"Invalid filter operator {operator}")
    return Condition(name, operator, _value(operator, node.get("value")))


def _value(operator: str, node: Any) -> str | tuple[str, ...]:
    if operator in WITHOUT_VALUE:
        return ""
    if isinstance(node, str):
        if operator not in ("in", "notin"):
            return node
        node = {"0": node} if node else {}
    values = _elements(node, "filter value")
    if operator not in WITH_LIST or not values or not all(isinstance(value, str) for value in values):
        raise BadQuery("Invalid filter value")
    return tuple(values)


def as_data(query: Query) -> dict[str, Any]:
    """Return a query as plain data for the log of requests. Omitted `skip` and `take` are None."""
    return {
        "fields": None if query.fields is None else list(query.fields),
        "filters": [_as_data(entry) for entry in query.filters],
        "sort": [{"field": name, "dir": direction} for name, direction in query.sort],
        "skip": query.skip if "skip" in query.parameters else None,
        "take": query.take if "take" in query.parameters else None,
    }


def _as_data(entry: Filter) -> dict[str, Any]:
    if isinstance(entry, Group):
        return {"logic": entry.logic, "filters": [_as_data(member) for member in entry.filters]}
    value = list(entry.value) if isinstance(entry.value, tuple) else entry.value
    return {"field": entry.field, "operator": entry.operator, "value": value}
