"""A page of rows in, a table of their records out: as `shape.py` shapes them one by one, but column by column.

A column whose values all have the type that they should have is taken as it is, at a few nanoseconds a value; so
the tap spends a quarter of the time on shaping that it would spend row by row. A page with anything that is not
as usual is left to `shape.py`, which also says what was wrong with it. Records and counts are the same either way.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cached_property
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import astuple

from tap_daktela.api.rows import Row, as_dictionary, attribute
from tap_daktela.records.row_mapper import RowStats, is_there, unique_ids
from tap_daktela.streams.converters import entries_without_name
from tap_daktela.streams.fields import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tap_daktela.records.row_mapper import FieldTree, Leaf, Record, RowMapper

Values = Sequence[Any]

_NONE = type(None)
_TEXTS: frozenset[type] = frozenset({str, _NONE})
_INTEGERS: frozenset[type] = frozenset({int, _NONE})
_PLAIN: dict[Kind, frozenset[type]] = {
    Kind.TEXT: _TEXTS,
    Kind.SCALAR: _TEXTS,
    Kind.ANY_AS_TEXT: _TEXTS,
    Kind.NUMBER: frozenset({float, _NONE}),
    Kind.BOOLEAN: frozenset({bool, _NONE}),
    Kind.OBJECT: frozenset({dict, _NONE}),
}
"""The types of values that are what they should be, by the kind of their column."""


class _UnusualError(Exception):
    """A page has something that has to be looked at row by row."""


class Table:
    """Records of one stream, by column."""

    def __init__(self, layout: Layout, columns: Sequence[Values]) -> None:
        self._layout = layout
        self._columns = columns

    def __len__(self) -> int:
        """Return how many records there are."""
        return len(self._columns[0])

    def __iter__(self) -> Iterator[Record]:
        """Yield the records as dictionaries, which may be changed."""
        names = self._layout.names
        for row in zip(*self._columns, strict=True):
            yield dict(zip(names, row, strict=True))

    def has_value(self, column: str) -> bool:
        """Return whether any record has another value than null in a column."""
        return any(value is not None for value in self._columns[self._layout.names.index(column)])

    def structs(self) -> list[msgspec.Struct]:
        """Return the records as objects that are written like dictionaries, and made and written faster."""
        return list(map(self._layout.struct, *self._columns))


class Layout:
    """The columns of a stream's records, in their order."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = tuple(names)

    @cached_property
    def struct(self) -> Callable[..., msgspec.Struct]:
        """The class of the records as objects."""
        # Names of columns need not be names in Python.
        fields = {f"column_{place}": name for place, name in enumerate(self.names)}
        return msgspec.defstruct("Row", [(field, Any) for field in fields], rename=fields, gc=False)


class TableMapper:
    """The function from a page of rows of one stream to the table of their records."""

    def __init__(self, shape: RowMapper) -> None:
        self._shape = shape
        self._layout = Layout(shape.template)

    def __call__(self, rows: list[Any]) -> Table:
        """Return the records of `rows`, without those that are left out.

        Raises:
            MismatchError: a value does not fit its column.
        """
        kept = self._shape.without_orphans(rows)
        try:
            columns = self._by_columns(kept) if kept else [[] for _ in self._layout.names]
        except _UnusualError:
            whole = map(as_dictionary, kept)
            records = [record for row in whole if (record := self._shape.of_item(row)) is not None]
            columns = [[record[name] for record in records] for name in self._layout.names]
        return Table(self._layout, columns)

    def _by_columns(self, rows: list[Any]) -> list[Values]:
        """Return the columns of the records of rows with all that is usual.

        Raises:
            _UnusualError: they have not.
        """
        shape, count = self._shape, len(rows)
        columns: dict[str, Values] = {}
        found = RowStats()
        try:
            self._walk(rows, shape.root, columns, found)
        except (ValueError, TypeError, OverflowError):
            raise _UnusualError from None
        keys = [columns.get(key) or [shape.template[key]] * count for key in shape.keys]
        if any(None in values for values in keys):
            raise _UnusualError
        if "unique_id" in shape.template:
            columns["unique_id"] = unique_ids(zip(*keys, strict=True))
        shape.stats.nameless.update(+found.nameless)
        shape.stats.nameless_entries.update(+found.nameless_entries)
        shape.stats.records += count
        return [columns.get(name) or [constant] * count for name, constant in shape.template.items()]

    def _walk(
        self,
        rows: Sequence[Any],
        tree: FieldTree,
        columns: dict[str, Values],
        stats: RowStats,
        blank: object = None,
    ) -> None:
        """Fill in the columns of a level of the rows, and of those below it; count in `tally` what has no name.

        `blank` stands in `rows` for those that do not have the level.
        """
        found = dict(zip(tree.names, _columns_of(rows, tree.names), strict=True))
        if tree.relation and None in found["name"]:
            pairs = zip(rows, found["name"], strict=True)
            without = [row for row, name in pairs if name is None and row is not blank]
            stats.nameless[tree.relation] += sum(is_there(as_dictionary(row)) for row in without)
        for name, relation in tree.lists.items():
            stats.nameless_entries[relation] += sum(entries_without_name(value) for value in found[name] if value)
        for leaf in tree.leaves:
            columns[leaf.column] = _converted(found[leaf.name], leaf, self._shape.prefix)
        for name, branch in tree.branches.items():
            objects = found[name] if branch.relation else _without_empty_lists(found[name])
            types = {*map(type, objects)} - {_NONE}
            if len(types) > 1 or not all(issubclass(each, (dict, Row)) for each in types):
                raise _UnusualError
            empty = _empty(next(iter(types), dict), branch)
            inner = [empty if value is None else value for value in objects]
            self._walk(inner, branch, columns, stats, empty)


def _without_empty_lists(objects: Values) -> Values:
    """Return objects with null in place of empty lists: PHP's empty objects."""
    return [None if value == [] else value for value in objects] if list in {*map(type, objects)} else objects


def _empty(kind: Any, tree: FieldTree) -> Any:  # noqa: ANN401 - a class, and a row
    """Return what stands for a level in a row that does not have it."""
    if issubclass(kind, dict):
        return tree.blank
    name = attribute("name")
    return kind(**{name: None}) if name in kind.__struct_fields__ else kind()


def _columns_of(rows: Sequence[Any], names: tuple[str, ...]) -> list[Values]:
    """Return the values of each name in all rows, None where a row lacks it."""
    if isinstance(rows[0], Row):
        return _columns_of_objects(rows, names)
    # Older builds lack some columns.
    there = [name for name in names if name in rows[0]]
    found: dict[str, Values] = {}
    if len(there) > 1:
        with suppress(KeyError):
            found = dict(zip(there, zip(*map(itemgetter(*there), rows), strict=True), strict=True))
    return [found.get(name) or [row.get(name) for row in rows] for name in names]


def _columns_of_objects(rows: Sequence[Row], names: tuple[str, ...]) -> list[Values]:
    # In the order of their fields, those left out that the instance refuses and that were not asked for.
    several = zip(*map(astuple, rows), strict=True)
    found: dict[str, Values] = dict(zip(rows[0].__struct_fields__, several, strict=True))
    return [found.get(attribute(name)) or [None] * len(rows) for name in names]


def _converted(values: Values, leaf: Leaf, prefix: str) -> Values:
    """Return a column's values; raises what its converters raise."""
    standard = _standard(values, leaf, prefix)
    to_catalog = leaf.to_catalog
    if to_catalog is None:
        return standard
    return [None if value is None else to_catalog(value) for value in standard]


def _standard(values: Values, leaf: Leaf, prefix: str) -> Values:
    """Return a column's values in the type that the tap gives them."""
    kind, convert = leaf.kind, leaf.convert
    types = set(map(type, values))
    if kind is Kind.OBJECT and list in types:
        # PHP's empty objects.
        values = [{} if value == [] else value for value in values]
        types = set(map(type, values))
    if kind in _PLAIN and types <= _PLAIN[kind]:
        return values
    if kind is Kind.KEY and types <= _TEXTS:
        return [prefix + value if value else None for value in values]
    if kind is Kind.PREFIXED and types <= _TEXTS:
        return [None if value is None else prefix + value for value in values]
    if kind is Kind.INTEGER and types <= _INTEGERS:
        # Raises OverflowError for integers beyond 64 bits.
        array("q", [value for value in values if value is not None])
        return values
    if kind is Kind.KEY and types <= _INTEGERS:
        return [None if value is None else f"{prefix}{value}" for value in values]
    return [None if value is None else convert(value) for value in values]
