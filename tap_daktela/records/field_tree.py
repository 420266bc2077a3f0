"""The columns of a stream as a tree that follows the objects of a row."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from tap_daktela.streams.converters import Converter, converters, part_converter
from tap_daktela.streams.fields import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from zoneinfo import ZoneInfo

    from tap_daktela.streams.fields import Field

_LISTS = frozenset({Kind.KEYS, Kind.TITLES})


class Leaf(NamedTuple):
    """A column, at the place of its value in the row."""

    name: str
    """The name of the field that contains its value, within its object."""
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
    """An object of the row: the columns whose values it contains, and the objects below it."""

    leaves: list[Leaf] = field(default_factory=list)
    lists: dict[str, str] = field(default_factory=dict)
    """Name of a list of related objects -> its dotted path in the row."""
    branches: dict[str, FieldTree] = field(default_factory=dict)
    relation: str = ""
    """The object's dotted path, if its `name` is the key of another stream."""

    def paths(self, prefix: str = "") -> Iterator[str]:
        """Yield the dotted paths of the values that the columns need."""
        for leaf in self.leaves:
            if leaf.name not in self.branches:
                yield prefix + leaf.name
        for name, branch in self.branches.items():
            yield from branch.paths(f"{prefix}{name}.")


def field_tree(columns: Iterable[Field], prefix: str, zone: ZoneInfo, *, local_datetimes: bool) -> FieldTree:
    """Return the tree of columns; the other arguments are those of `converters`."""
    root = FieldTree()
    of_kind = converters(prefix, zone, local_datetimes=local_datetimes)
    for column in columns:
        if column.source:
            _add_column(root, column, of_kind)
    return root


def _add_column(root: FieldTree, column: Field, of_kind: dict[Kind, Converter]) -> None:
    *path, name = column.source.split(".")
    if column.kind is Kind.PART:
        first, *rest = [*path, name]
        root.leaves.append(Leaf(first, column.name, column.kind, part_converter(rest), column.to_catalog))
        return
    if column.kind in _LISTS:
        *path, name = path
    tree = root
    for depth, part in enumerate(path):
        tree = tree.branches.setdefault(part, FieldTree())
        is_item = path[: depth + 1] == ["item"]
        if depth == len(path) - 1 and column.kind is Kind.KEY and name == "name" and not is_item:
            tree.relation = ".".join(path)
    if column.kind in _LISTS:
        tree.lists[name] = ".".join([*path, name])
    tree.leaves.append(Leaf(name, column.name, column.kind, of_kind[column.kind], column.to_catalog))
