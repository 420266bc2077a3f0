"""Convert the rows of a stream to records that fit its JSON Schema.

The API sends booleans, integers and empty objects in the spellings of PHP (daktela-api.md §3). A row is left out
if its key is null, or if it is an orphan: an activity without its item. `RowStats` counts these rows, and the
values that do not fit.
"""

from __future__ import annotations

from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec

from tap_daktela.api.rows import Row, from_dict, row_class
from tap_daktela.records.compiler import Compiler, Mismatch
from tap_daktela.records.field_tree import field_tree
from tap_daktela.records.row_stats import RowStats
from tap_daktela.streams.catalog_types import CatalogTypeError
from tap_daktela.streams.masking import describe

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tap_daktela.records.compiler import ConvertPage
    from tap_daktela.records.field_tree import FieldTree, Leaf
    from tap_daktela.records.row_stats import InstanceFormat
    from tap_daktela.streams.fields import Field, Stream

    Record = dict[str, Any]


class MismatchError(Exception):
    """A value does not fit its column's type, and the setting `on_type_mismatch` is `fail`."""


class RecordBatch:
    """The records of a page, in the order of its rows."""

    def __init__(self, columns: Sequence[str], records: list[Any]) -> None:
        self._columns = columns
        self.records = records
        """Objects that msgspec encodes like dictionaries, and creates and encodes faster."""

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self.records)

    def __iter__(self) -> Iterator[Record]:
        """Yield the records as dictionaries, which may be changed."""
        for record in self.records:
            yield dict(zip(self._columns, msgspec.structs.astuple(record), strict=True))

    def has_value(self, column: str) -> bool:
        """Return whether any record has another value than null in a column."""
        name = _attribute(self._columns.index(column))
        return any(getattr(record, name) is not None for record in self.records)


class RowMapper:
    """Converts pages of rows of one stream and instance to records with exactly the given columns."""

    def __init__(self, stream: Stream, columns: Iterable[Field], instance_format: InstanceFormat) -> None:
        """Prepare to convert rows to records of `columns`, in their order."""
        columns = tuple(columns)
        self.stats = RowStats()
        self._stream = stream
        self._format = instance_format
        self._columns = tuple(column.name for column in columns)
        self.tree = field_tree(
            columns,
            instance_format.prefix,
            instance_format.zone,
            local_datetimes=instance_format.local_datetimes,
        )
        """The columns, at the places of their values in a row."""
        # Names of columns need not be names in Python.
        names = {_attribute(place): name for place, name in enumerate(self._columns)}
        self._record = msgspec.defstruct("Record", [(name, Any) for name in names], rename=names, gc=False)
        self._functions: dict[type[Row], ConvertPage] = {}

    def __call__(self, rows: Sequence[Any]) -> RecordBatch:
        """Return the records of a page of rows, without the rows that are left out.

        The rows are all objects of one class of `Row`, or all dictionaries.

        Raises:
            MismatchError: a value does not fit its column.
        """
        records: list[Any] = []
        if rows and isinstance(rows[0], dict):
            rows = [from_dict(self._row_class, row) for row in rows]
        try:
            if rows:
                self._function(type(rows[0]))(rows, records.append)
        except Mismatch as mismatch:
            raise self._error(mismatch) from None
        self.stats.records += len(records)
        return RecordBatch(self._columns, records)

    @cached_property
    def _row_class(self) -> type[Row]:
        """Return the class for rows that were not decoded into one."""
        rule = ["type", *self._stream.item_keys.values()] if self._stream.item_keys else []
        return row_class(tuple(dict.fromkeys([*self.tree.paths(), *rule])))

    def _function(self, kind: type[Row]) -> ConvertPage:
        if kind not in self._functions:
            compiler = Compiler(
                stream=self._stream,
                tree=self.tree,
                columns=self._columns,
                record=self._record,
                instance_format=self._format,
                stats=self.stats,
            )
            self._functions[kind] = compiler.compile(kind)
        return self._functions[kind]

    def _error(self, mismatch: Mismatch) -> MismatchError:
        leaf = mismatch.leaf
        what, shown = f"{leaf.column} of record {self._key(mismatch.row)}", describe(mismatch.value, leaf.kind)
        advice = "set on_type_mismatch to null to go on without such values"
        if isinstance(mismatch.cause, CatalogTypeError):
            reason = f"does not fit its schema in the catalog ({mismatch.cause})"
            return MismatchError(f"{what} {reason}: {shown}; change that schema, or {advice}")
        return MismatchError(f"{what} is not of type {leaf.kind.value}: {shown}; {advice}, and report this one")

    def _key(self, row: Row) -> str:
        """Return the first key of a row that can be read, for a message."""
        for leaf, value in _leaves(self.tree, row):
            if leaf.column in self._stream.keys and value is not None:
                with suppress(ValueError, TypeError, OverflowError):
                    if key := leaf.converted(value):
                        return str(key)
        return "unknown"


def _leaves(tree: FieldTree, row: Any) -> Iterator[tuple[Leaf, Any]]:  # noqa: ANN401 - JSON
    """Yield the leaves of a tree with their values in a row."""
    for leaf in tree.leaves:
        yield leaf, row.get(leaf.name)
    for name, branch in tree.branches.items():
        if isinstance(inner := row.get(name), (Row, dict)):
            yield from _leaves(branch, inner)


def _attribute(place: int) -> str:
    """Return the attribute of a record for the column at a place."""
    return f"column_{place}"
