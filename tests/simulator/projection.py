"""Field selection: encode the part of a row that `fields[]` requests.

Encoded rows are cached for each set of fields, until a field that they contain is edited.

- Without `fields`, a row is complete and contains its relations recursively.
- A dotted path returns a nested object with the requested fields. If the relation is null, the result is null. If
  the object has none of the requested fields, the result is PHP's empty array `[]`.
- Unknown fields are ignored. So are dotted paths into a list (`statuses.name`) or a scalar.
- A relation that the account may not read contains only its title. A user also contains its alias.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import msgspec

from tests.simulator.query import BadQuery
from tests.simulator.schema import (
    EMBEDDED,
    ITEM_TABLES,
    TABLES,
    Row,
    fields_of,
    key_of,
    target_of,
)

Tree: TypeAlias = "dict[str, Tree | None]"
Projection: TypeAlias = Callable[[Any], Any]

_ABSENT = object()
_MAX_CACHED_ROWS = 500_000
_MAX_VIEWS = 64

encode = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class Restrictions:
    """The data that the account may not read: relations as dotted paths (`item.queue`), items by activity type."""

    relations: frozenset[str] = frozenset()
    items: frozenset[str] = frozenset()

    def apply(self, row: Row) -> Row:
        """Return a copy of a row without this data."""
        row = dict(row)
        if "item" in row and row.get("type") in self.items:
            row["item"] = None
        for path in self.relations:
            _hide_relation(row, path.split("."))
        return row

    def __bool__(self) -> bool:
        return bool(self.relations or self.items)


def _hide_relation(row: Row, path: list[str]) -> None:
    value = row.get(path[0])
    if len(path) > 1:
        if isinstance(value, dict):
            row[path[0]] = value = dict(value)
            _hide_relation(value, path[1:])
    elif isinstance(value, dict):
        row[path[0]] = _readable_part(value)
    elif isinstance(value, list):
        row[path[0]] = [_readable_part(each) if isinstance(each, dict) else each for each in value]


def _readable_part(value: Row) -> Row:
    # Only users have an extension.
    names = ("title", "alias") if "extension" in value else ("title",)
    return {name: value[name] for name in names if name in value}


def tree_of(fields: Iterable[str]) -> Tree:
    """Return fields as a tree. A relation that is requested as a whole includes its parts."""
    tree: Tree = {}
    for path in fields:
        node = tree
        *steps, last = path.split(".")
        for step in steps:
            child = node.setdefault(step, {})
            if child is None:
                break
            node = child
        else:
            node[last] = None
    return tree


def projection_of(tree: Tree) -> Projection:
    """Return a function that returns the fields of an object that a tree contains."""
    plain = [name for name, child in tree.items() if child is None]
    nested = [(name, _nested_projection(child)) for name, child in tree.items() if child is not None]

    def project(row: Row) -> Row | list[Any]:
        part = {name: row[name] for name in plain if name in row}
        for name, project_nested in nested:
            if name in row and (value := project_nested(row[name])) is not _ABSENT:
                part[name] = value
        return part or []

    return project


def _nested_projection(tree: Tree) -> Projection:
    project = projection_of(tree)

    def project_nested(value: Any) -> Any:
        if isinstance(value, dict):
            return project(value)
        # Null stays null, and PHP's empty array stays an empty array.
        return value if value is None or value == [] else _ABSENT

    return project_nested


def check_fields(table: str, fields: Iterable[str], build: str) -> None:
    """Refuse fields that the build does not have."""
    for path in fields:
        step_table, remaining = table, path
        while step_table in TABLES and remaining:
            column, _, remaining = remaining.partition(".")
            if column not in fields_of(step_table, build) and not column.startswith("_"):
                raise BadQuery(f"Unknown field {path}")
            step_table = target_of(step_table, column) or EMBEDDED


def _tables_within(table: str) -> set[str]:
    """Return a table and all tables whose rows its complete rows contain."""
    found: set[str] = set()
    pending = [table]
    while pending:
        name = pending.pop()
        if name in TABLES and name not in found:
            found.add(name)
            pending += (TABLES[name].one | TABLES[name].many | TABLES[name].removed_one).values()
            pending += ITEM_TABLES.values() if name == "activities" else ()
    return found


def _embedded_fields(table: str, tree: Tree) -> set[tuple[str, str]]:
    """Return the fields of other tables that rows of this table contain. `*` stands for all fields."""
    found: set[tuple[str, str]] = set()
    for column, child in tree.items():
        for target in _target_tables(table, column):
            if child is None:
                found |= {(each, "*") for each in _tables_within(target)}
            else:
                found |= {(target, each) for each in child} | _embedded_fields(target, child)
    return found


def _target_tables(table: str, column: str) -> list[str]:
    if column == "activities":
        return ["activities"]
    if (table, column) == ("activities", "item"):
        return list(ITEM_TABLES.values())
    target = target_of(table, column)
    return [target] if target else []


@dataclass
class View:
    """The encoded rows of one table with one set of fields."""

    table: str
    project: Projection | None
    restrictions: Restrictions
    embedded: set[tuple[str, str]]
    cached: dict[Any, bytes] = field(default_factory=dict)

    def encode(self, rows: list[Row], add_computed: Callable[[Row], Row]) -> list[bytes]:
        """Return the JSON of each row. `add_computed` adds computed fields to a row."""
        if self.project is None:
            return [encode(self._readable(add_computed(row))) for row in rows]
        key, cached = key_of(self.table), self.cached
        if len(cached) > _MAX_CACHED_ROWS:
            cached.clear()
        encoded = []
        for row in rows:
            text = cached.get(row[key])
            if text is None:
                text = cached[row[key]] = encode(self.project(self._readable(add_computed(row))))
            encoded.append(text)
        return encoded

    def _readable(self, row: Row) -> Row:
        return self.restrictions.apply(row) if self.restrictions else row


class Views:
    """All views. An edit invalidates encoded rows in some of them."""

    def __init__(self) -> None:
        self._views: dict[tuple[str, tuple[str, ...], Restrictions], View] = {}

    def view(self, table: str, fields: tuple[str, ...] | None, restrictions: Restrictions) -> View:
        """Return the view of a table with a set of fields."""
        if fields is None:
            return View(table, None, restrictions, set())
        found = self._views.get((table, fields, restrictions))
        if found is None:
            if len(self._views) >= _MAX_VIEWS:
                self._views.clear()
            tree = tree_of(fields)
            found = View(table, projection_of(tree), restrictions, _embedded_fields(table, tree))
            self._views[table, fields, restrictions] = found
        return found

    def invalidate(self, table: str, name: Any, columns: Iterable[str]) -> None:
        """Remove the encoded rows that contain these fields of a row, and the encoded row itself."""
        changed = {(table, column) for column in columns}
        if changed:
            changed.add((table, "*"))
        for view in self._views.values():
            if not view.embedded.isdisjoint(changed):
                view.cached.clear()
            elif view.table == table:
                view.cached.pop(name, None)

    def clear(self) -> None:
        """Remove all encoded rows."""
        self._views.clear()
