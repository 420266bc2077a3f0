"""A plain mapper of rows, column by column and value by value: what the compiled one must equal."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tap_daktela.records.row_stats import InstanceFormat, RowStats
from tap_daktela.streams.converters import converters, entries_without_name, part_converter
from tap_daktela.streams.fields import Field, Kind, Stream

if TYPE_CHECKING:
    from collections.abc import Iterable

Row = dict[str, Any]


class ReferenceMismatch(Exception):  # noqa: N818 - see `RowMapper`
    """A value does not fit its column, which the message names."""


class ReferenceMapper:
    """Converts rows, as they were sent, to records."""

    def __init__(self, stream: Stream, columns: Iterable[Field], instance_format: InstanceFormat) -> None:
        self.stats = RowStats()
        self._stream = stream
        self._columns = tuple(columns)
        self._format = instance_format
        self._converters = converters(
            instance_format.prefix, instance_format.zone, local_datetimes=instance_format.local_datetimes
        )

    def __call__(self, rows: Iterable[Row]) -> list[Row]:
        """Return the records of rows, without those that are left out."""
        return [record for row in rows if not self._is_orphan(row) and (record := self._record(row)) is not None]

    def _is_orphan(self, row: Row) -> bool:
        kind = self._stream.activity_type or row.get("type")
        if not isinstance(kind, str) or kind not in self._stream.item_keys:
            return False
        item, name = row.get("item"), self._stream.item_keys[kind].rpartition(".")[2]
        key = item.get(name) if isinstance(item, dict) else None
        is_orphan = not isinstance(key, (str, int)) or key == ""
        (self.stats.orphans if is_orphan else self.stats.items)[kind] += 1
        return is_orphan

    def _record(self, row: Row) -> Row | None:
        record = {column.name: self._value(row, column) for column in self._columns}
        self._count_nameless(row)
        keys = [record[key] for key in self._stream.keys]
        if None in keys:
            self.stats.keyless += 1
            return None
        if "unique_id" in record:
            record["unique_id"] = hashlib.md5("-".join(keys).encode(), usedforsecurity=False).hexdigest()
        self.stats.records += 1
        return record

    def _value(self, row: Row, column: Field) -> Any:
        if column.kind is Kind.SERVER:
            return self._format.server
        if not column.source:
            return None
        path = column.source.split(".")
        if column.kind is Kind.PART:
            return self._converted(row.get(path[0]), column, part_converter(path[1:]))
        if column.kind in {Kind.KEYS, Kind.TITLES}:
            path = path[:-1]
        value: Any = row
        for depth, name in enumerate(path):
            if depth:
                value = _as_object(value, is_relation=".".join(path[:depth]) in self._relations())
            value = value.get(name)
        return self._converted(value, column, self._converters[column.kind])

    def _converted(self, value: Any, column: Field, convert: Any) -> Any:
        if value is None:
            return None
        try:
            result = convert(value)
            return result if result is None or column.to_catalog is None else column.to_catalog(result)
        except (ValueError, TypeError, OverflowError):
            if not self._format.nulls_for_mismatches:
                raise ReferenceMismatch(column.name) from None
            self.stats.mismatches[column.name] += 1
            return None

    def _relations(self) -> set[str]:
        """Return the paths of objects whose name is the key of another stream."""
        return {
            path
            for column in self._columns
            if column.kind is Kind.KEY
            for path, _, name in [column.source.rpartition(".")]
            if path and name == "name" and path != "item"
        }

    def _count_nameless(self, row: Row) -> None:
        for path in self._relations():
            value: Any = row
            *above, last = path.split(".")
            for name in above:
                value = value.get(name) if isinstance(value, dict) else None
            value = value.get(last) if isinstance(value, dict) else None
            if isinstance(value, dict):
                sent = {name: value[name] for name in self._names_below(path) if name in value}
                is_nameless = "name" not in sent or any(each is not None for each in sent.values())
                self.stats.nameless[path] += value.get("name") is None and is_nameless
            elif value == []:
                self.stats.nameless[path] += 1
        lists = {c.source.rpartition(".")[0] for c in self._columns if c.kind in {Kind.KEYS, Kind.TITLES}}
        for path in lists:
            value = row
            for name in path.split("."):
                value = value.get(name) if isinstance(value, dict) else None
            with suppress(ValueError):
                self.stats.nameless_entries[path] += entries_without_name(value) if value else 0

    def _names_below(self, path: str) -> set[str]:
        """Return the fields of an object that columns are made of."""
        return {
            column.source.removeprefix(f"{path}.").split(".")[0]
            for column in self._columns
            if column.source.startswith(f"{path}.")
        }


def _as_object(value: Any, *, is_relation: bool) -> Row:
    """Return what columns can be read from in the place of an object."""
    if isinstance(value, dict):
        return value
    if not is_relation or value in (None, "", []):
        return {}
    # A scalar can only be the related object's name.
    return {"name": value}
