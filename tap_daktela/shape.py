"""From a row of the API to a record: pure, and compiled once per stream, selection and instance.

In: rows as the server sends them, with the spellings that PHP gives to booleans, integers and empty objects
(daktela-api.md §3). Out: records that fit the stream's JSON Schema, or None for a row that is left out; what
was left out or could not be read is counted in a `Tally`.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from tap_daktela.api import rows
from tap_daktela.datetimes import datetime_converter
from tap_daktela.fields import Kind
from tap_daktela.masking import describe

if TYPE_CHECKING:
    from collections.abc import Iterable
    from zoneinfo import ZoneInfo

    from tap_daktela.fields import Field, Stream

Row: TypeAlias = Any
"""As the server sends it, or as `api.rows` reads it."""
Record = dict[str, Any]
Convert = Callable[[Any], Any]


class ShapeError(Exception):
    """A value does not fit its column's type, and the run was asked to stop at that."""


@dataclass
class Tally:
    """What a stream's rows of one instance came to."""

    records: int = 0
    keyless: int = 0
    """Rows left out because a part of their key is null."""
    orphans: Counter[str] = field(default_factory=Counter)
    """Activity type -> rows left out because their item is missing."""
    items: Counter[str] = field(default_factory=Counter)
    """Activity type -> rows whose item is there."""
    nameless: Counter[str] = field(default_factory=Counter)
    """Relation -> rows that have it without its `name`, which is what missing rights look like."""
    mismatches: Counter[str] = field(default_factory=Counter)
    """Column -> values that did not fit and were made null."""

    @property
    def itemless(self) -> list[str]:
        """The activity types all of whose rows lack their item."""
        return [kind for kind in self.orphans if not self.items[kind]]


@dataclass
class Node:
    """A level of the row: the columns whose values stand at it, and the objects below it."""

    leaves: list[tuple[str, str, Kind, Convert]] = field(default_factory=list)
    """(name in the row, column, its kind, converter)."""
    branches: dict[str, Node] = field(default_factory=dict)
    relation: str = ""
    """The object's dotted place, if its `name` is a key of another stream."""

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of leaves and branches in the row, once all have been planted."""
        return tuple(dict.fromkeys([*(leaf[0] for leaf in self.leaves), *self.branches]))

    @cached_property
    def blank(self) -> Row:
        """What stands for this level in a row that does not have it."""
        return dict.fromkeys(self.names)


def requested_fields(stream: Stream, columns: Iterable[Field]) -> tuple[str, ...]:
    """Return what to ask the server for, so that `columns` can be filled and the rules can be kept.

    Beside the columns themselves these are the row's name, the replication key, and what tells an orphan.
    """
    rule = ["name"]
    if stream.replication_key:
        rule.append(stream.replication_key)
    if stream.item_keys:
        rule += [*([] if stream.activity_type else ["type"]), *stream.item_keys.values()]
    asked = [column.request for column in columns if column.request]
    return tuple(dict.fromkeys([*rule, *asked]))


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """What the rows of one instance share, whatever their stream."""

    server: str
    prefix: str
    """What every key begins with, empty for none."""
    zone: ZoneInfo
    """The zone of the instance's datetimes."""
    local_datetimes: bool = False
    """Whether datetimes are emitted with the offset of `zone`; otherwise in UTC."""
    nulls_for_mismatches: bool = False
    """Whether a value that does not fit its column becomes null; otherwise it ends the stream."""


class Shape:
    """The function from a row of one stream to its record, compiled for a selection of columns."""

    def __init__(self, stream: Stream, columns: Iterable[Field], dialect: Dialect) -> None:
        """Prepare for records of exactly `columns`, in their order."""
        self.tally = Tally()
        self.root = Node()
        self.template: Record = {}
        """The columns in their order, with the values of those that are the same in all records."""
        self.keys = stream.keys
        self.prefix = dialect.prefix
        self._stream = stream
        self._dialect = dialect
        columns = tuple(columns)
        converters = _converters(dialect)
        self.lists = [(column.name, column.request) for column in columns if column.kind is Kind.KEYS]
        for column in columns:
            _plant(self.root, column, converters)
            self.template[column.name] = dialect.server if column.kind is Kind.SERVER else None
        self._has_unique_id = "unique_id" in self.template
        self._item_keys = {kind: source.split(".")[-1] for kind, source in stream.item_keys.items()}

    def __call__(self, row: Row) -> Record | None:
        """Return the record of `row`, or None if it is left out: an orphan, or a row without its key.

        Raises:
            ShapeError: a value does not fit its column.
        """
        return next(map(self.of_item, self.without_orphans([row])), None)

    def of_item(self, row: Row) -> Record | None:
        """Return the record of a row that is no orphan, or None if it lacks its key.

        Raises:
            ShapeError: a value does not fit its column.
        """
        record = self.template.copy()
        self._fill(record, row, self.root)
        keys = [record[key] for key in self._stream.keys]
        if None in keys:
            self.tally.keyless += 1
            return None
        for column, relation in self.lists:
            if record[column] and None in record[column]:
                self.tally.nameless[relation] += 1
        if self._has_unique_id:
            [record["unique_id"]] = unique_ids([keys])
        self.tally.records += 1
        return record

    def _fill(self, record: Record, row: Row, node: Node) -> None:
        get = row.get
        for name, column, _, convert in node.leaves:
            value = get(name)
            if value is not None:
                try:
                    record[column] = convert(value)
                except (ValueError, TypeError, OverflowError):
                    self._refuse(record, column, value)
        for name, branch in node.branches.items():
            value = get(name)
            if isinstance(value, dict):
                if branch.relation and value.get("name") is None and is_there(value):
                    self.tally.nameless[branch.relation] += 1
                self._fill(record, value, branch)
            elif branch.relation and value is not None:
                self._fill_relation(record, value, branch)

    def _fill_relation(self, record: Record, value: object, branch: Node) -> None:
        """Fill in a relation that is no object."""
        if value == []:
            # PHP's empty object: the relation is there, and nothing of it may be seen.
            self.tally.nameless[branch.relation] += 1
        elif value != "":
            # A scalar can only be the related object's name.
            self._fill(record, {"name": value}, branch)

    def without_orphans(self, found: list[Row]) -> list[Row]:
        """Return `found` without the rows that lack the item that their type promises; count both."""
        if not self._item_keys:
            return found
        own = self._stream.activity_type
        kinds = [own] * len(found) if own else rows.column(found, "type")
        names = {kind: (name, rows.attribute(name)) for kind, name in self._item_keys.items()}
        kept, with_item, orphans = [], [], []
        for row, kind, item in zip(found, kinds, rows.column(found, "item"), strict=True):
            if not isinstance(kind, str) or kind not in names:
                kept.append(row)
                continue
            name, attribute = names[kind]
            key = item.get(name) if isinstance(item, dict) else getattr(item, attribute, None)
            if isinstance(key, (str, int)) and key != "":
                kept.append(row)
                with_item.append(kind)
            else:
                orphans.append(kind)
        self.tally.items.update(with_item)
        self.tally.orphans.update(orphans)
        return kept

    def _refuse(self, record: Record, column: str, value: object) -> None:
        if self._dialect.nulls_for_mismatches:
            self.tally.mismatches[column] += 1
            return
        key = next((record[key] for key in self._stream.keys if record.get(key)), "unknown")
        kind = self._stream.field(column).kind
        raise ShapeError(
            f"{column} of record {key} is not of type {kind.value}: {describe(value, kind)}; set "
            "on_type_mismatch to null to go on without such values, and report this one"
        )


def unique_ids(keys: Iterable[Iterable[str]]) -> list[str]:
    """Return what tells items' records from all others: the MD5s of their keys (daktela-api.md §5.3)."""
    return [hashlib.md5(text.encode(), usedforsecurity=False).hexdigest() for text in map("-".join, keys)]


def is_there(relation: Row) -> bool:
    """Return whether a relation without a name is one that may not be seen, and not simply null."""
    return "name" not in relation or any(value is not None for value in relation.values())


def _plant(root: Node, column: Field, converters: dict[Kind, Convert]) -> None:
    """Put a column into the tree of places."""
    if not column.source:
        return
    *path, name = column.source.split(".")
    if column.kind in {Kind.KEYS, Kind.TITLES}:
        *path, name = path
    node = root
    for depth, part in enumerate(path):
        node = node.branches.setdefault(part, Node())
        is_item = path[: depth + 1] == ["item"]
        if depth == len(path) - 1 and column.kind is Kind.KEY and name == "name" and not is_item:
            node.relation = ".".join(path)
    node.leaves.append((name, column.name, column.kind, converters[column.kind]))


# Converters: a value that is not null in, the record's value out, ValueError for one that does not fit.


def _converters(dialect: Dialect) -> dict[Kind, Convert]:
    prefix = dialect.prefix
    key = _key_converter(prefix)
    return {
        Kind.KEY: key,
        Kind.PREFIXED: lambda value: prefix + _text(value),
        Kind.TEXT: _text,
        Kind.INTEGER: _integer,
        Kind.NUMBER: _number,
        Kind.BOOLEAN: _boolean,
        Kind.DATETIME: datetime_converter(dialect.zone, local=dialect.local_datetimes),
        Kind.OBJECT: _object,
        Kind.KEYS: lambda value: [_part(element, "name", key) for element in _elements(value)],
        Kind.TITLES: lambda value: [_part(element, "title", _text) for element in _elements(value)],
        Kind.SCALAR: lambda value: None if isinstance(value, (dict, list, rows.Row)) else _text(value),
        Kind.LOOSE: _loose,
    }


def _key_converter(prefix: str) -> Convert:
    def convert(value: object) -> str | None:
        if isinstance(value, str):
            # An empty one names nothing; prefixed, it would look as if it did.
            return prefix + value if value else None
        whole = _integer(value) if not isinstance(value, bool) else None
        if whole is None:
            raise ValueError(value)
        return f"{prefix}{whole}"

    return convert


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, (bool, int, float)):
        return _json(value)
    raise ValueError(value)


def _integer(value: object) -> int | None:
    if isinstance(value, int):
        return int(value)
    if isinstance(value, str):
        if not value.strip():
            return None
        try:
            return int(value)
        except ValueError:
            value = float(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    raise ValueError(value)


def _number(value: object) -> float | int | None:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, (int, float)):
        return value
    if isinstance(value, str):
        if not value.strip():
            return None
        number = float(value)
        if math.isfinite(number):
            return number
    raise ValueError(value)


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
        return _BOOLEANS[value]
    except (KeyError, TypeError):
        raise ValueError(value) from None


def _object(value: object) -> dict[str, Any] | None:
    if isinstance(value, dict):
        return value
    if isinstance(value, list):
        # PHP has one type for both, and its lists are arrays with the keys 0, 1, 2, …
        return {str(index): element for index, element in enumerate(value)}
    if value == "":
        return None
    raise ValueError(value)


def _elements(value: object) -> list[Any]:
    if isinstance(value, list):
        return value
    if isinstance(value, dict):
        return list(value.values())
    raise ValueError(value)


def _part(element: object, name: str, convert: Convert) -> str | None:
    part = element.get(name) if isinstance(element, dict) else element if name == "name" else None
    return None if part is None else convert(part)


def _loose(value: object) -> str | None:
    if isinstance(value, list) and len(value) <= 1:
        if not value or value[0] is None:
            return None
        value = value[0]
    return value if isinstance(value, str) else _json(value)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
