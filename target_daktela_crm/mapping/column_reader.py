"""Which columns a record has, and the last known values of those that did not arrive.

A column that is not selected in the tap is missing in its records; an object without selected columns is empty.
Neither says anything about the CRM, so the value known from an earlier record is used again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from target_daktela_crm.mapping.columns import Column, Path

Record: TypeAlias = dict[str, Any]
Recall: TypeAlias = Callable[[str, str], Mapping[str, Any]]
"""Returns the last known columns of a company or contact: its role, `company` or `contact`, and its key."""

_MAX_LAYOUTS = 1_000
"""Layouts that are kept. A tap that leaves out columns without a value has many."""
_OTHER_ROLE = {"company": "contact", "contact": "company"}
_NOTHING: frozenset[str] = frozenset()
_ESCAPED = re.compile(r'[\x00-\x1f"\\]')
"""Characters that msgspec does not allow in the names of fields."""
_encode_into = msgspec.json.Encoder(decimal_format="number").encode_into


Complete: TypeAlias = "tuple[Record, bool, frozenset[str], bytearray, bool]"
"""A record with the last known values of the columns that it lacks.

- The record.
- Whether the record itself has a column for the company.
- Fields of which no column is known.
- The values of all known columns as JSON object, for the store.
- Whether the record may lack a column because the column has no value any more.

A plain tuple, since a NamedTuple takes more time.
"""


class _Layout(NamedTuple):
    """What the keys of a record say about its columns."""

    columns: tuple[Column, ...]
    """Those that the record may have."""
    names: frozenset[str]
    """Their names."""
    encode: Callable[[Record], bytearray] | None
    """Encodes their values, if no column is missing; raises an error if they are not where they were in the first
    record with these keys."""
    is_sparse: bool
    """Whether the tap leaves out columns without a value."""
    has_company: bool
    unknown_fields: frozenset[str]


class RoleColumns(NamedTuple):
    """The columns of a company or contact whose last known values are used."""

    all: Mapping[str, Column]
    """By name."""
    condition: tuple[Column, ...]
    """Those of `when`."""
    names: frozenset[str]
    """Those that contain the name of the company or contact."""
    company: frozenset[str]
    """Those that say which company a contact has."""
    fields: Mapping[str, frozenset[str]]
    """Those of each field; none for a field that also has values of another stream."""


class ColumnReader:
    """Reads the columns of the companies or contacts of one stream."""

    def __init__(self, role: str, columns: RoleColumns, prefixes: tuple[str, ...] = ()) -> None:
        """Prepare for the records of a stream.

        Args:
            role: `company` or `contact`.
            columns: The columns to read.
            prefixes: Prefixes of columns whose taps leave out those without a value.
        """
        self.role = role
        self.columns = columns
        self.arrived: set[str] = set()
        """Columns that a record of this run has."""
        self.empty: set[str] = set()
        """Columns in whose place a record of this run has an empty object, or an object without them."""
        self.keys: set[str] = set()
        """Keys of the records of this run."""
        self.announced: set[str] = set()
        """Keys of the properties of the stream's schema."""
        self.is_sparse = False
        """Whether the tap leaves out columns without a value."""
        self.lists: set[bool] = set()
        """Whether the records around a list of these records have the list; both if only some of them have it."""
        self._prefixes = prefixes
        self._has_objects = False
        """Whether the columns with these prefixes are objects."""
        self._expected: set[str] = set()
        self._layouts: dict[tuple[str, ...], _Layout] = {}

    @property
    def has_records(self) -> bool:
        """Whether a record has been read."""
        return bool(self.keys)

    def expect(self, names: Iterable[str]) -> None:
        """Expect columns that arrived in earlier runs."""
        self._expected |= self.columns.all.keys() & set(names)

    def lacking_condition(self, record: Record) -> list[Column]:
        """Return the columns of `when` that a record lacks, while other records have them."""
        return [
            column
            for column in self.columns.condition
            # Most flags are found without looking for empty objects.
            if type(column.get(record)) is not bool and column.name in self._expected and not column.is_in(record)
        ]

    def with_last_known(self, record: Record, columns: Iterable[Column], key: str, recall: Recall) -> Record:
        """Return a record with the last known values of columns that it lacks."""
        # What is known in the other role does not get this one.
        known = recall(self.role, key) or recall(_OTHER_ROLE[self.role], key)
        for column in columns:
            if column.name in known:
                record = column.added_to(record, known[column.name])
        return record

    def note_list(self, has_list: bool) -> None:  # noqa: FBT001 - a fact, no option
        """Note whether a record has the list that contains the records to be read."""
        self.lists.add(has_list)

    @property
    def expected(self) -> frozenset[str]:
        """Columns that arrived in this run, or in an earlier one."""
        return frozenset(self._expected)

    def path(self, name: str) -> Path:
        """Return the path at which a column probably is in the records of the stream."""
        spellings = self.columns.all[name].spellings
        known = self.keys | self.announced
        likely = [spelling for spelling in spellings if spelling[0] in known]
        if self.is_sparse and not likely:
            likely = [spelling for spelling in spellings if spelling[0].startswith(self._prefixes)]
        count = 2 if self._has_objects else 1
        return next((spelling for spelling in likely if len(spelling) >= count), (likely or spellings)[0])

    def complete(self, record: Record, key: str, recall: Recall) -> Complete:
        """Return a record with the last known values of the columns that it lacks."""
        layout = self._layouts.get(tuple(record)) or self._new_layout(record)
        if layout.encode is not None:
            try:
                values = layout.encode(record)
            except (KeyError, TypeError, _UncertainError):
                pass
            else:
                return record, layout.has_company, layout.unknown_fields, values, False
        return self._complete_each(record, layout, key, recall)

    def _complete_each(self, record: Record, layout: _Layout, key: str, recall: Recall) -> Complete:
        """Return what `complete` returns, for a record that may lack columns."""
        values = self._values(record, layout)
        has_company = not values.keys().isdisjoint(self.columns.company)
        missing = self._expected - values.keys()
        known = recall(self.role, key) if missing else {}
        found = {name: known[name] for name in missing if name in known}
        # The longest path last: it may be inside the value of a shorter one.
        columns = self.columns.all
        for name in sorted(found, key=lambda name: len(columns[name].spellings[0])):
            record = columns[name].added_to(record, found[name])
        values |= found
        encoded = bytearray()
        _encode_into(values, encoded)
        is_unsettled = layout.is_sparse and any(value is not None for value in found.values())
        return record, has_company, self._unknown_fields(values), encoded, is_unsettled

    def _values(self, record: Record, layout: _Layout) -> dict[str, Any]:
        """Return the values of the columns that a record has, and note which columns have arrived."""
        values = {column.name: column.get(record) for column in layout.columns if column.is_in(record)}
        if not self.arrived.issuperset(values):
            self.arrived.update(values)
            self._expected.update(values)
            self._layouts.clear()
        empty = layout.names - values.keys()
        self.empty |= empty
        if layout.is_sparse:
            values.update(dict.fromkeys((self.arrived - values.keys()) - empty))
        return values

    def _unknown_fields(self, known: Iterable[str]) -> frozenset[str]:
        names = frozenset(known)
        return frozenset(
            field for field, columns in self.columns.fields.items() if columns and columns.isdisjoint(names)
        )

    def _new_layout(self, record: Record) -> _Layout:
        if len(self._layouts) >= _MAX_LAYOUTS:
            self._layouts.clear()
        self.keys.update(record)
        columns = tuple(
            found for column in self.columns.all.values() if (found := column.within(record.keys())) is not None
        )
        names = frozenset(column.name for column in columns)
        is_sparse = bool(self._prefixes) and any(key.startswith(self._prefixes) for key in record)
        self.is_sparse |= is_sparse
        self._has_objects |= any(
            isinstance(record[key], dict) for key in record if is_sparse and key.startswith(self._prefixes)
        )
        known = names & self.arrived
        if is_sparse:
            known |= self.arrived
        is_complete = self._expected.issubset(known)
        encode = _encoder(record, columns, known) if is_complete else None
        has_company = not self.columns.company.isdisjoint(known)
        layout = _Layout(columns, names, encode, is_sparse, has_company, self._unknown_fields(known))
        self._layouts[tuple(record)] = layout
        return layout


class _UncertainError(Exception):
    """The values of a record's columns cannot be read without looking at each of them."""


class _Object(NamedTuple):
    """An object inside a record, with columns."""

    path: Path
    columns: tuple[Column, ...]
    values: Callable[[Any], tuple[Any, ...]]
    """Returns the values of the columns in the object."""
    nulls: tuple[None, ...] | None
    """Their values if there is no object, or None if they may be elsewhere then."""


def _encoder(
    record: Record, columns: tuple[Column, ...], known: frozenset[str]
) -> Callable[[Record], bytearray] | None:
    """Return a function that encodes the values of known columns as a JSON object, or None if there is none.

    The function reads all columns inside the same object at once. It raises an error for records whose columns are
    not where they are in `record`, and for those that may have other columns. Known columns that are not among
    `columns` have no value.
    """
    here = [column for column in columns if column.name in known]
    if any(_is_ambiguous(column) for column in here) or any(_ESCAPED.search(name) for name in known):
        return None
    objects = _objects(record, here)
    ordered = [column for each in objects for column in each.columns]
    names = [column.name for column in ordered]
    fields = {f"field_{number}": name for number, name in enumerate([*names, *sorted(known - {*names})])}
    # Encoded three times as fast as a dictionary.
    row = msgspec.defstruct("Row", [(field, object, None) for field in fields], rename=fields, gc=False)
    values_of = _values_getter(objects)
    lists = [(number, column.element_keys) for number, column in enumerate(ordered) if column.element_keys]
    has_no_objects = not all(column.with_objects for column in here)
    others = _others([column for column in columns if column.name not in known])

    def encode(record: Record) -> bytearray:
        for key, inner in others:
            content = record[key]
            if type(content) is not dict or not inner.isdisjoint(content):
                raise _UncertainError
        values = values_of(record)
        for number, keys in lists:
            if not _has_element(values[number], keys):
                raise _UncertainError
        encoded = bytearray()
        _encode_into(row(*values), encoded)
        # Objects are found faster in JSON. In a text they do no harm.
        if b"{}" in encoded or (has_no_objects and encoded.count(b"{") > 1):
            raise _UncertainError
        return encoded

    return encode


def _is_ambiguous(column: Column) -> bool:
    """Return whether a column may be at paths that begin with different keys."""
    return len({spelling[0] for spelling in column.spellings}) > 1


def _others(columns: list[Column]) -> list[tuple[str, frozenset[str]]]:
    """Return where columns may be that no record has had so far: keys, each with keys of the object at it."""
    found: dict[str, set[str]] = {}
    for column in columns:
        for spelling in column.spellings:
            found.setdefault(spelling[0], set()).update(spelling[1:2])
    return [(key, frozenset(inner)) for key, inner in found.items()]


def _objects(record: Record, columns: list[Column]) -> list[_Object]:
    """Return the objects inside a record that contain the columns; the record itself is the first."""
    found: dict[Path, list[tuple[str, Column]]] = {}
    for column in columns:
        *parent, name = next(
            (each for each in column.spellings if _is_exactly_at(record, each)), column.spellings[0]
        )
        found.setdefault(tuple(parent), []).append((name, column))
    objects = []
    for path, inner in sorted(found.items()):
        is_single = all(len(column.spellings) == 1 for _, column in inner)
        nulls = (None,) * len(inner) if path and is_single else None
        values = _items_getter([name for name, _ in inner])
        objects.append(_Object(path, tuple(column for _, column in inner), values, nulls))
    return objects


def _is_exactly_at(record: Record, path: Path) -> bool:
    content: Any = record
    for name in path:
        if not isinstance(content, dict) or name not in content:
            return False
        content = content[name]
    return True


def _has_element(value: object, keys: frozenset[str]) -> bool:
    """Return whether a list has certainly an element with one of these keys, or no element."""
    if not isinstance(value, list):
        return value is None
    return not value or (isinstance(value[0], dict) and not keys.isdisjoint(value[0]))


def _values_getter(objects: list[_Object]) -> Callable[[Record], tuple[Any, ...]]:
    """Return a function that returns the values of the columns of some objects, object by object."""
    if [each.path for each in objects] == [()]:
        return objects[0].values

    def values(record: Record) -> tuple[Any, ...]:
        found: tuple[Any, ...] = ()
        for path, _, of_object, nulls in objects:
            content: Any = record
            for name in path:
                if type(content) is str:
                    raise _UncertainError
                content = content[name] if type(content) is dict else None
            if type(content) is dict:
                found += of_object(content)
            elif nulls is None or type(content) is str:
                raise _UncertainError
            else:
                found += nulls
        return found

    return values


def _items_getter(keys: list[str]) -> Callable[[Record], tuple[Any, ...]]:
    if len(keys) > 1:
        return itemgetter(*keys)
    [key] = keys
    return lambda record: (record[key],)


def missing_columns(stream: str, reader: ColumnReader, has_values: Callable[[str, str], bool]) -> Iterator[str]:
    """Yield what is missing in the records of a stream although it must not, and how to select it.

    `has_values` returns whether any company or contact has values of a field; its arguments are role and field.
    """
    if reader.lists == {False} and reader.expected:
        yield f"no record has its contacts, which earlier runs had: select {stream}.contacts in the tap"
    if not reader.has_records:
        return
    if _is_gone(reader, reader.columns.names):
        yield f"no record has a column for names: {_selection(stream, reader, reader.columns.names)}"
    for field, columns in reader.columns.fields.items():
        known = columns & reader.expected
        if known and _is_gone(reader, columns) and has_values(reader.role, field):
            yield (
                f"no record has a column for {field} any more, which earlier runs had: "
                f"{_selection(stream, reader, known)}"
            )


def _is_gone(reader: ColumnReader, columns: frozenset[str]) -> bool:
    """Return whether no record has any of some columns, so that they cannot be selected in the tap."""
    if not columns or columns & reader.arrived:
        return False
    if not reader.is_sparse or columns & reader.empty:
        return True
    # A tap that leaves out columns without a value may announce them.
    keys = {key for name in columns for key in reader.columns.all[name].keys}
    return bool(reader.announced) and keys.isdisjoint(reader.announced)


def _selection(stream: str, reader: ColumnReader, names: Iterable[str]) -> str:
    """Return which columns to select in the tap, in the notation of Meltano."""
    patterns = sorted(f"{stream}.{'.'.join(reader.path(name))}" for name in names)
    return f"select {', '.join(patterns)} in the tap"
