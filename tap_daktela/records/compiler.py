"""Compile the function that converts the rows of a page to records.

The function is generated as Python source, for the columns of a stream and the fields of its rows. A usual value,
such as a text in a column of texts, costs a comparison. Any other value goes to the converter of its column. That
takes 4 µs for a call, which has 42 columns. Column by column, without generated code, it takes 6 µs, and in a loop
over the columns of each row 12 µs.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from tap_daktela.api.rows import Row, attribute, from_dict, row_class
from tap_daktela.streams.converters import entries_without_name
from tap_daktela.streams.fields import SERVER, UNIQUE_ID, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tap_daktela.records.field_tree import FieldTree, Leaf
    from tap_daktela.records.row_stats import InstanceFormat, RowStats
    from tap_daktela.streams.fields import Stream

    ConvertPage = Callable[[Sequence[Row], Callable[[Any], None]], None]

_CHECKS: dict[Kind, tuple[str, ...]] = {
    **dict.fromkeys(
        (Kind.TEXT, Kind.SCALAR, Kind.ANY_AS_TEXT), ("if {value}.__class__ is not str and {value} is not None:",)
    ),
    Kind.NUMBER: ("if {value}.__class__ is not float and {value} is not None:",),
    Kind.BOOLEAN: ("if {value}.__class__ is not bool and {value} is not None:",),
    Kind.INTEGER: (
        "if {value}.__class__ is int and -0x8000000000000000 <= {value} <= 0x7FFFFFFFFFFFFFFF:",
        "    pass",
        "elif {value} is not None:",
    ),
    Kind.OBJECT: (
        # PHP's empty object.
        "if {value}.__class__ is list and not {value}:",
        "    {value} = {{}}",
        "elif {value}.__class__ is not dict and {value} is not None:",
    ),
    Kind.PREFIXED: (
        "if {value}.__class__ is str:",
        "    {value} = prefix + {value}",
        "elif {value} is not None:",
    ),
    Kind.KEY: (
        "if {value}.__class__ is str and {value}:",
        "    {value} = prefix + {value}",
        "elif {value}.__class__ is int:",
        "    {value} = f'{{prefix}}{{{value}}}'",
        "elif {value} is not None:",
    ),
}
"""Kind of column -> statements that convert its usual values; the last one finds those that need a converter."""
_ANY_VALUE = ("if {value} is not None:",)
_CONVERSION = (
    "    try:",
    "        {value} = convert_{number}({value})",
    "    except (ValueError, TypeError, OverflowError) as error:",
    "        {value} = mismatch_{number}({value}, error)",
)


class Mismatch(Exception):  # noqa: N818 - the mapper turns it into an error that names the record
    """A value does not fit its column."""

    def __init__(self, leaf: Leaf, value: object, cause: Exception) -> None:
        super().__init__(leaf.column)
        self.leaf = leaf
        self.value = value
        self.cause = cause
        self.row: Any = None


@dataclass(kw_only=True)
class Compiler:
    """Generates the function for one stream, selection of columns and instance."""

    stream: Stream
    tree: FieldTree
    columns: Sequence[str]
    record: Callable[..., Any]
    """Makes a record of the values of `columns`, in their order."""
    instance_format: InstanceFormat
    stats: RowStats
    """Counts what the function leaves out or replaces."""
    _lines: list[str] = field(default_factory=list)
    _names: dict[str, Any] = field(default_factory=dict)
    """The global names of the function."""

    def compile(self, kind: type[Row]) -> ConvertPage:
        """Return the function for rows of a class: it passes the record of each row to another function.

        The function raises `Mismatch`.
        """
        self._names.update(
            Record=self.record,
            Mismatch=Mismatch,
            UNSET=msgspec.UNSET,
            prefix=self.instance_format.prefix,
            server=self.instance_format.server,
            stats=self.stats,
            unique_id=_unique_id,
            entries_without_name=_entries_without_name,
            is_present=_is_present,
            has_key=_has_key,
        )
        self._add("def convert_page(rows, append):", "    try:", "        for row in rows:")
        if self.stream.item_keys:
            self._add_orphan_check(kind)
        self._add_object(self.tree, kind, "row")
        self._add_record()
        self._add("    except Mismatch as mismatch:", "        mismatch.row = row", "        raise")
        source = "\n".join(self._lines)
        exec(compile(source, f"<mapper of {self.stream.name}>", "exec"), self._names)  # noqa: S102 - our own source
        convert_page: ConvertPage = self._names["convert_page"]
        return convert_page

    def _add(self, *lines: str) -> None:
        self._lines += lines

    def _add_to_loop(self, *lines: str) -> None:
        self._lines += [f"            {line}" for line in lines]

    def _add_orphan_check(self, kind: type[Row]) -> None:
        names = {each: path.rpartition(".")[2] for each, path in self.stream.item_keys.items()}
        attributes = {each: attribute(name) for each, name in names.items()}
        self._names.update(
            item_names=names, attributes=attributes, orphans=self.stats.orphans, items=self.stats.items
        )
        if own := self.stream.activity_type:
            self._add_to_loop(f"kind, name = {own!r}, {names[own]!r}")
        else:
            self._add_to_loop(
                f"kind = {_read(kind, 'row', 'type')}",
                "name = item_names.get(kind) if kind.__class__ is str else None",
            )
        self._add_to_loop(
            "if name is not None:",
            f"    item = {_read(kind, 'row', 'item')}",
            "    key = getattr(item, attributes[kind], None)",
            "    if (key.__class__ is not str or not key) and not has_key(item, name):",
            "        orphans[kind] += 1",
            "        continue",
            "    items[kind] += 1",
        )

    def _add_object(self, tree: FieldTree, kind: type[Row], parent: str, number: int = 0) -> None:
        """Add the statements for the columns in an object and below it; `number` is that of the object."""
        is_counted = False
        for name, path in tree.lists.items():
            self._add_to_loop(
                f"count = entries_without_name({_read(kind, parent, name)})",
                "if count:",
                f"    stats.nameless_entries[{path!r}] += count",
            )
        for leaf in tree.leaves:
            value = self._variable(leaf.column)
            self._add_to_loop(f"{value} = {_read(kind, parent, leaf.name)}")
            if leaf.name == "name":
                self._add_name_check(value, parent, number, "" if is_counted else tree.relation)
                is_counted = True
            self._add_conversion(leaf, value)
        for name, branch in tree.branches.items():
            self._add_branch(branch, kind, parent, name)

    def _add_name_check(self, value: str, parent: str, number: int, relation: str) -> None:
        """Add the statement that makes a missing name null, and counts it if it is that of a relation."""
        if relation:
            self._add_to_loop(
                f"if {value} is None or {value} is UNSET:",
                # Most relations are null. For these, the call would take a fifth of the time.
                f"    if {parent} is not blank_{number} and is_present({parent}):",
                f"        stats.nameless[{relation!r}] += 1",
                f"    {value} = None",
            )
        else:
            self._add_to_loop(f"if {value} is UNSET:", f"    {value} = None")

    def _add_conversion(self, leaf: Leaf, value: str) -> None:
        number = value.rpartition("_")[2]
        self._names |= {
            f"convert_{number}": leaf.converted if leaf.to_catalog else leaf.convert,
            f"mismatch_{number}": self._mismatch(leaf),
        }
        check = _ANY_VALUE if leaf.to_catalog else _CHECKS.get(leaf.kind, _ANY_VALUE)
        self._add_to_loop(*(line.format(value=value, number=number) for line in (*check, *_CONVERSION)))

    def _add_branch(self, branch: FieldTree, kind: type[Row], parent: str, name: str) -> None:
        number = sum(each.startswith("Object_") for each in self._names) + 1
        value = f"object_{number}"
        inner = kind.objects.get(name) or row_class(tuple(branch.paths()))
        blank = inner(**{attribute("name"): None}) if attribute("name") in inner.__struct_fields__ else inner()
        self._names |= {
            f"Object_{number}": inner,
            f"blank_{number}": blank,
            f"as_object_{number}": self._as_object(inner, blank, branch.relation),
        }
        self._add_to_loop(
            f"{value} = {_read(kind, parent, name)}",
            f"if {value} is None:",
            f"    {value} = blank_{number}",
            f"elif {value}.__class__ is not Object_{number}:",
            f"    {value} = as_object_{number}({value})",
        )
        self._add_object(branch, inner, value, number)

    def _as_object(self, kind: type[Row], blank: Row, relation: str) -> Callable[[Any], Row]:
        """Return the function from a value in the place of an object, which is another one, to an object."""
        nameless = self.stats.nameless

        def as_object(value: object) -> Row:
            if isinstance(value, dict):
                return from_dict(kind, value)
            if not relation or value == "":
                return blank
            if value == []:
                # PHP's empty object: the relation exists, and the account may see nothing of it.
                nameless[relation] += 1
                return blank
            # A scalar can only be the related object's name.
            return from_dict(kind, {"name": value})

        return as_object

    def _mismatch(self, leaf: Leaf) -> Callable[[Any, Exception], None]:
        """Return the function that raises `Mismatch` for a value of a column, or counts it and returns null."""
        mismatches, nulls = self.stats.mismatches, self.instance_format.nulls_for_mismatches

        def mismatch(value: object, error: Exception) -> None:
            if not nulls:
                raise Mismatch(leaf, value, error) from None
            mismatches[leaf.column] += 1

        return mismatch

    def _add_record(self) -> None:
        """Add the statements that leave out a row without its key, and pass the record on."""
        keys = [self._variable(key) for key in self.stream.keys]
        self._add_to_loop(
            f"if {' or '.join(f'{key} is None' for key in keys)}:", "    stats.keyless += 1", "    continue"
        )
        computed = {SERVER.name: "server", UNIQUE_ID.name: f"unique_id({', '.join(keys)})"}
        arguments = [computed.get(column) or self._variable(column) for column in self.columns]
        self._add_to_loop(f"append(Record({', '.join(arguments)}))")

    def _variable(self, column: str) -> str:
        return f"value_{self.columns.index(column)}"


def _read(kind: type[Row], parent: str, name: str) -> str:
    """Return the expression for a field of an object, `None` if the objects of its class do not have it."""
    return f"{parent}.{attribute(name)}" if attribute(name) in kind.__struct_fields__ else "None"


def _unique_id(*keys: str) -> str:
    """Return the MD5 of the keys of an item's record, which identifies it among all (daktela-api.md §5.3)."""
    return hashlib.md5("-".join(keys).encode(), usedforsecurity=False).hexdigest()


def _entries_without_name(value: object) -> int:
    """Return how many entries of a list of related objects have no name; none if it is no such list."""
    try:
        return entries_without_name(value) if value else 0
    except ValueError:
        # A mismatch of its columns.
        return 0


def _is_present(relation: Row) -> bool:
    """Return whether a relation without a name is one that may not be seen, and not simply null.

    A name that was not sent is `UNSET`.
    """
    return any(value is not None for value in msgspec.structs.astuple(relation))


def _has_key(item: Any, name: str) -> bool:  # noqa: ANN401 - JSON
    """Return whether an item has its key, the field called `name`."""
    key = item.get(name) if isinstance(item, (dict, Row)) else None
    return isinstance(key, (str, int)) and key != ""
