"""Compare the fields that an instance sends with the fields that the tap declares.

Builds of Daktela differ, and an update may change them at any time. So a difference is reported as a note and is
not a failure. Notes contain names of fields and of types, never values. The functions have no side effects.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tap_daktela.streams.fields import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tap_daktela.records.field_tree import FieldTree, Leaf
    from tap_daktela.streams.fields import Stream

_MOST_NAMES = 10
"""Maximum number of names in a note. Further names are only counted."""

_ITEM = "item"
_EMPTY: tuple[Any, ...] = (None, [], "")
"""Values that PHP sends for an object that does not exist, or that the account may not read."""

_TEXTS = frozenset({Kind.TEXT, Kind.PREFIXED})
_NUMBERS = frozenset({Kind.INTEGER, Kind.NUMBER})
_TYPES: dict[type, str] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "text",
    list: "list",
    dict: "object",
}


@dataclass(frozen=True)
class Sample:
    """Rows of one stream as the instance sent them."""

    requested: list[dict[str, Any]]
    """Rows with the fields that the tap requests."""
    whole: list[dict[str, Any]]
    """A few rows with all fields of the instance."""
    is_old: bool = False
    """Whether the build is older than 2023, so that it lacks newer fields."""


def differences(stream: Stream, root: FieldTree, sample: Sample) -> Iterator[str]:
    """Yield a note on fields of another type, one on fields that are not sent, and one on new fields.

    `root` is the tree of the requested columns.
    """
    if retyped := _retyped(root, sample.requested):
        yield f"sent as another type: {_listed(retyped)}"
    if missing := _not_sent(stream, sample):
        yield f"not sent, so null: {_listed(missing)}"
    if unknown := _unknown(stream, sample.whole):
        yield f"sent, but unknown to this version (extra_fields can read them): {_listed(unknown)}"


def _listed(names: Iterable[str]) -> str:
    names = sorted(names)
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(names[:_MOST_NAMES]) + more


# Fields that are not sent.


def _not_sent(stream: Stream, sample: Sample) -> set[str]:
    """Return the source fields of columns that no row contains, not even as null.

    A field counts only if a row with all fields shows its level. It is not known whether a server sends null for a
    field of an object that is null. Fields of related objects do not count, because they depend on permissions.
    Fields that are not in the official schema do not count either.
    """
    whole = _names(sample.whole)
    if sample.is_old or not sample.requested:
        return set()
    sent = whole | _names(sample.requested)
    declared = {_place(column.source) for column in stream.fields if column.official and column.source}
    return {place for place in declared - sent if _has_level(place, whole)}


def _place(source: str) -> str:
    """Return the field of the row or of its item that a source begins with, for example `queue` or `item.clid`."""
    first, _, rest = source.partition(".")
    return f"{first}.{rest.partition('.')[0]}" if first == _ITEM and rest else first


def _has_level(place: str, names: set[str]) -> bool:
    """Return whether `names` contains any field of the level of `place`: of the row, or of its item."""
    return any(name.count(".") == place.count(".") for name in names)


def _names(rows: Iterable[dict[str, Any]]) -> set[str]:
    """Return the names of all fields of rows and of their items."""
    found: set[str] = set()
    for row in rows:
        found.update(row)
        if isinstance(item := row.get(_ITEM), dict):
            found.update(f"{_ITEM}.{name}" for name in item)
    return found


# Fields of another type.


def _retyped(root: FieldTree, rows: Iterable[dict[str, Any]]) -> list[str]:
    """Return the fields whose values have neither the declared type nor the form in which PHP sends it."""
    found: dict[str, tuple[str, set[str]]] = {}
    for row in rows:
        for place, declared, value in _misfits(root, row, ""):
            found.setdefault(place, (declared, set()))[1].add(_TYPES.get(type(value), "something else"))
    return [
        f"{place} ({declared} declared, {' or '.join(sorted(sent))} sent)"
        for place, (declared, sent) in found.items()
    ]


def _misfits(node: FieldTree, row: dict[str, Any], path: str) -> Iterator[tuple[str, str, object]]:
    """Yield (place, declared type, value) for each value of a row that does not fit its type."""
    for leaf in node.leaves:
        value = row.get(leaf.name)
        if value is not None and not _fits(leaf, value):
            yield path + leaf.name, leaf.kind.value, value
    # A relation that has its own column may have any type.
    taken = {leaf.name for leaf in node.leaves if leaf.kind is not Kind.PART}
    for name, branch in node.branches.items():
        value = row.get(name)
        if isinstance(value, dict):
            yield from _misfits(branch, value, f"{path}{name}.")
        elif value not in _EMPTY and name not in taken and path + name != _ITEM:
            yield path + name, "object", value


def _fits(leaf: Leaf, value: object) -> bool:
    # These are converted, but they show that a field has changed.
    if leaf.kind in _TEXTS and not isinstance(value, str):
        return False
    if leaf.kind in _NUMBERS and isinstance(value, bool):
        return False
    try:
        leaf.convert(value)
    except (ValueError, TypeError, OverflowError):
        return False
    return True


# Fields that are new.


def _unknown(stream: Stream, rows: Iterable[dict[str, Any]]) -> set[str]:
    """Return the unknown fields: those of the item for a stream with items, otherwise those of the row.

    So only the stream `activities` reports the fields of activities. Names that begin with `_` are internal fields
    of Daktela.
    """
    of_item = stream.activity_type is not None
    known = {_place(column.source) for column in stream.fields}
    prefix = f"{_ITEM}." if of_item else ""
    known |= {prefix + name for name in stream.left_out} | {f"{prefix}customFields"}
    return {
        name
        for name in _names(rows) - known
        if name.startswith(f"{_ITEM}.") is of_item and not name.removeprefix(prefix).startswith("_")
    }
