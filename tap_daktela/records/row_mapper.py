"""From a row of the API to a record: pure, and compiled once per stream, selection and instance.

In: rows as the server sends them, with the spellings that PHP gives to booleans, integers and empty objects
(daktela-api.md §3). Out: records that fit the stream's JSON Schema, or None for a row that is left out; what
was left out or could not be read is counted in a `RowStats`.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from tap_daktela.api import rows
from tap_daktela.streams.catalog_types import CatalogTypeError
from tap_daktela.streams.converters import Converter, converters, entries_without_name, part_converter
from tap_daktela.streams.fields import Kind
from tap_daktela.streams.masking import describe

if TYPE_CHECKING:
    from collections.abc import Iterable
    from zoneinfo import ZoneInfo

    from tap_daktela.streams.fields import Field, Stream

Row: TypeAlias = Any
"""As the server sends it, or as `api.rows` reads it."""
Record = dict[str, Any]


class MismatchError(Exception):
    """A value does not fit its column's type, and the run was asked to stop at that."""


@dataclass
class RowStats:
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
    nameless_entries: Counter[str] = field(default_factory=Counter)
    """List of related objects -> entries left out because they came without their `name`."""
    mismatches: Counter[str] = field(default_factory=Counter)
    """Column -> values that did not fit and were made null."""

    @property
    def itemless(self) -> list[str]:
        """The activity types all of whose rows lack their item."""
        return [kind for kind in self.orphans if not self.items[kind]]


class Leaf(NamedTuple):
    """A column, at its place in the row."""

    name: str
    """The name of the field that holds its value."""
    column: str
    kind: Kind
    convert: Converter
    to_catalog: Converter | None
    """Applied to what `convert` returns, unless that is null."""

    def converted(self, value: object) -> Any:  # noqa: ANN401 - JSON
        """Return the record's value for a row's value that is not null.

        Raises:
            ValueError, TypeError, OverflowError: it does not fit the column.
        """
        result = self.convert(value)
        return result if result is None or self.to_catalog is None else self.to_catalog(result)


@dataclass
class FieldTree:
    """A level of the row: the columns whose values stand at it, and the objects below it."""

    leaves: list[Leaf] = field(default_factory=list)
    lists: dict[str, str] = field(default_factory=dict)
    """Name in the row of a list of related objects -> its dotted place."""
    branches: dict[str, FieldTree] = field(default_factory=dict)
    relation: str = ""
    """The object's dotted place, if its `name` is a key of another stream."""

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of leaves and branches in the row, once all have been planted."""
        return tuple(dict.fromkeys([*(leaf.name for leaf in self.leaves), *self.branches]))

    @cached_property
    def blank(self) -> Row:
        """What stands for this level in a row that does not have it."""
        return dict.fromkeys(self.names)


@dataclass(frozen=True, kw_only=True)
class InstanceFormat:
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


class RowMapper:
    """The function from a row of one stream to its record, compiled for a selection of columns."""

    def __init__(self, stream: Stream, columns: Iterable[Field], dialect: InstanceFormat) -> None:
        """Prepare for records of exactly `columns`, in their order."""
        self.stats = RowStats()
        self.root = FieldTree()
        self.template: Record = {}
        """The columns in their order, with the values of those that are the same in all records."""
        self.keys = stream.keys
        self.prefix = dialect.prefix
        self._stream = stream
        self._dialect = dialect
        columns = tuple(columns)
        of_kind = converters(dialect.prefix, dialect.zone, local_datetimes=dialect.local_datetimes)
        for column in columns:
            _add_field(self.root, column, of_kind)
            self.template[column.name] = dialect.server if column.kind is Kind.SERVER else None
        self._has_unique_id = "unique_id" in self.template
        self._item_keys = {kind: source.split(".")[-1] for kind, source in stream.item_keys.items()}

    def __call__(self, row: Row) -> Record | None:
        """Return the record of `row`, or None if it is left out: an orphan, or a row without its key.

        Raises:
            MismatchError: a value does not fit its column.
        """
        return next(map(self.of_item, self.without_orphans([row])), None)

    def of_item(self, row: Row) -> Record | None:
        """Return the record of a row that is no orphan, or None if it lacks its key.

        Raises:
            MismatchError: a value does not fit its column.
        """
        record = self.template.copy()
        self._fill(record, row, self.root)
        keys = [record[key] for key in self._stream.keys]
        if None in keys:
            self.stats.keyless += 1
            return None
        if self._has_unique_id:
            [record["unique_id"]] = unique_ids([keys])
        self.stats.records += 1
        return record

    def _fill(self, record: Record, row: Row, tree: FieldTree) -> None:
        get = row.get
        for leaf in tree.leaves:
            value = get(leaf.name)
            if value is not None:
                try:
                    record[leaf.column] = leaf.converted(value)
                except (ValueError, TypeError, OverflowError) as error:
                    self._refuse(record, leaf, value, error)
        self._count_nameless_entries(row, tree)
        for name, branch in tree.branches.items():
            value = get(name)
            if isinstance(value, dict):
                if branch.relation and value.get("name") is None and is_there(value):
                    self.stats.nameless[branch.relation] += 1
                self._fill(record, value, branch)
            elif branch.relation and value is not None:
                self._fill_relation(record, value, branch)

    def _count_nameless_entries(self, row: Row, tree: FieldTree) -> None:
        for name, relation in tree.lists.items():
            # A value that is no list is a mismatch of its columns.
            with suppress(ValueError):
                if (value := row.get(name)) and (count := entries_without_name(value)):
                    self.stats.nameless_entries[relation] += count

    def _fill_relation(self, record: Record, value: object, branch: FieldTree) -> None:
        """Fill in a relation that is no object."""
        if value == []:
            # PHP's empty object: the relation is there, and nothing of it may be seen.
            self.stats.nameless[branch.relation] += 1
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
        self.stats.items.update(with_item)
        self.stats.orphans.update(orphans)
        return kept

    def _refuse(self, record: Record, leaf: Leaf, value: object, error: Exception) -> None:
        if self._dialect.nulls_for_mismatches:
            self.stats.mismatches[leaf.column] += 1
            return
        key = next((record[key] for key in self._stream.keys if record.get(key)), "unknown")
        what, shown = f"{leaf.column} of record {key}", describe(value, leaf.kind)
        advice = "set on_type_mismatch to null to go on without such values"
        if isinstance(error, CatalogTypeError):
            reason = f"does not fit its schema in the catalog ({error})"
            raise MismatchError(f"{what} {reason}: {shown}; change that schema, or {advice}")
        raise MismatchError(f"{what} is not of type {leaf.kind.value}: {shown}; {advice}, and report this one")


def unique_ids(keys: Iterable[Iterable[str]]) -> list[str]:
    """Return what tells items' records from all others: the MD5s of their keys (daktela-api.md §5.3)."""
    return [hashlib.md5(text.encode(), usedforsecurity=False).hexdigest() for text in map("-".join, keys)]


def is_there(relation: Row) -> bool:
    """Return whether a relation without a name is one that may not be seen, and not simply null."""
    return "name" not in relation or any(value is not None for value in relation.values())


def _add_field(root: FieldTree, column: Field, of_kind: dict[Kind, Converter]) -> None:
    """Put a column into the tree of places."""
    if not column.source:
        return
    *path, name = column.source.split(".")
    if column.kind is Kind.PART:
        first, *rest = [*path, name]
        root.leaves.append(Leaf(first, column.name, column.kind, part_converter(rest), column.to_catalog))
        return
    if column.kind in {Kind.KEYS, Kind.TITLES}:
        *path, name = path
    tree = root
    for depth, part in enumerate(path):
        tree = tree.branches.setdefault(part, FieldTree())
        is_item = path[: depth + 1] == ["item"]
        if depth == len(path) - 1 and column.kind is Kind.KEY and name == "name" and not is_item:
            tree.relation = ".".join(path)
    if column.kind in {Kind.KEYS, Kind.TITLES}:
        tree.lists[name] = ".".join([*path, name])
    tree.leaves.append(Leaf(name, column.name, column.kind, of_kind[column.kind], column.to_catalog))
