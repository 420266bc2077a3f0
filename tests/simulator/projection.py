"""Field selection: encode the part of a row that `fields[]` requests.

Encoded rows are cached for each set of fields, until a field that they show is edited.

- Without `fields`, a row is complete and contains its relations recursively.
- A dotted path gives a nested object with the requested part. If the relation is null, the result is null. An
  object without any of the parts is PHP's empty array `[]`.
- Unknown fields are ignored. So are dotted paths into a list (`statuses.name`) or a scalar.
- A relation that the account may not read contains only its title, a user also its alias.
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
Part: TypeAlias = Callable[[Any], Any]

_ABSENT = object()
_ROWS_KEPT = 500_000
_SETS_KEPT = 64

encode = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class Rights:
    """The missing permissions of the account: relations as dotted paths (`item.queue`), items by activity type."""

    relations: frozenset[str] = frozenset()
    items: frozenset[str] = frozenset()

    def restrict(self, row: Row) -> Row:
        """Return a copy of a row without the data that the account may not read."""
        row = dict(row)
        if "item" in row and row.get("type") in self.items:
            row["item"] = None
        for path in self.relations:
            _strip(row, path.split("."))
        return row

    def __bool__(self) -> bool:
        return bool(self.relations or self.items)


def _strip(row: Row, path: list[str]) -> None:
    value = row.get(path[0])
    if len(path) > 1:
        if isinstance(value, dict):
            row[path[0]] = value = dict(value)
            _strip(value, path[1:])
    elif isinstance(value, dict):
        row[path[0]] = _shrink(value)
    elif isinstance(value, list):
        row[path[0]] = [_shrink(each) if isinstance(each, dict) else each for each in value]


def _shrink(value: Row) -> Row:
    kept = ("title", "alias") if "extension" in value else ("title",)
    return {name: value[name] for name in kept if name in value}


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


def cutter(tree: Tree) -> Part:
    """Return a function from an object to the part that a tree describes."""
    plain = [name for name, child in tree.items() if child is None]
    nested = [(name, _behind(child)) for name, child in tree.items() if child is not None]

    def cut(row: Row) -> Row | list[Any]:
        part = {name: row[name] for name in plain if name in row}
        for name, take in nested:
            if name in row and (value := take(row[name])) is not _ABSENT:
                part[name] = value
        return part or []

    return cut


def _behind(tree: Tree) -> Part:
    cut = cutter(tree)

    def take(value: Any) -> Any:
        if isinstance(value, dict):
            return cut(value)
        # Null stays null, and PHP's empty array stays an empty array.
        return value if value is None or value == [] else _ABSENT

    return take


def check_known(table: str, fields: Iterable[str], build: str) -> None:
    """Refuse fields that the build does not have."""
    for path in fields:
        place, column = table, path
        while place in TABLES and column:
            column, _, rest = column.partition(".")
            if column not in fields_of(place, build) and not column.startswith("_"):
                raise BadQuery(f"Unknown field {path}")
            place, column = target_of(place, column) or EMBEDDED, rest


def _reachable(table: str) -> set[str]:
    """Return a table and all tables that its complete rows contain."""
    found: set[str] = set()
    waiting = [table]
    while waiting:
        place = waiting.pop()
        if place in TABLES and place not in found:
            found.add(place)
            waiting += (TABLES[place].one | TABLES[place].many | TABLES[place].gone_one).values()
            waiting += ITEM_TABLES.values() if place == "activities" else ()
    return found


def _reads(table: str, tree: Tree) -> set[tuple[str, str]]:
    """Return the fields of other tables that rows of this table show. `*` stands for all fields."""
    shown: set[tuple[str, str]] = set()
    for column, child in tree.items():
        for place in _targets(table, column):
            if child is None:
                shown |= {(each, "*") for each in _reachable(place)}
            else:
                shown |= {(place, each) for each in child} | _reads(place, child)
    return shown


def _targets(table: str, column: str) -> list[str]:
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
    cut: Part | None
    rights: Rights
    reads: set[tuple[str, str]]
    kept: dict[Any, bytes] = field(default_factory=dict)

    def encode(self, rows: list[Row], widen: Callable[[Row], Row]) -> list[bytes]:
        """Return the JSON of each row. `widen` adds computed fields to a row."""
        if self.cut is None:
            return [encode(self._visible(widen(row))) for row in rows]
        key, kept = key_of(self.table), self.kept
        if len(kept) > _ROWS_KEPT:
            kept.clear()
        encoded = []
        for row in rows:
            text = kept.get(row[key])
            if text is None:
                text = kept[row[key]] = encode(self.cut(self._visible(widen(row))))
            encoded.append(text)
        return encoded

    def _visible(self, row: Row) -> Row:
        return self.rights.restrict(row) if self.rights else row


class Views:
    """All views, and which of them an edit invalidates."""

    def __init__(self) -> None:
        self._views: dict[tuple[str, tuple[str, ...], Rights], View] = {}

    def view(self, table: str, fields: tuple[str, ...] | None, rights: Rights) -> View:
        """Return the view of a table with a set of fields."""
        if fields is None:
            return View(table, None, rights, set())
        found = self._views.get((table, fields, rights))
        if found is None:
            if len(self._views) >= _SETS_KEPT:
                self._views.clear()
            tree = tree_of(fields)
            found = View(table, cutter(tree), rights, _reads(table, tree))
            self._views[table, fields, rights] = found
        return found

    def changed(self, table: str, name: Any, columns: Iterable[str]) -> None:
        """Remove the encoded rows that show these fields of a row."""
        shown = {(table, column) for column in columns}
        if shown:
            shown.add((table, "*"))
        for view in self._views.values():
            if not view.reads.isdisjoint(shown):
                view.kept.clear()
            elif view.table == table:
                view.kept.pop(name, None)

    def forget(self) -> None:
        """Remove all encoded rows."""
        self._views.clear()
