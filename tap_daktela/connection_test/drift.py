"""What an instance sends beside what the tap declares: two samples of rows in, remarks for a person out.

Pure. Builds of Daktela differ and change under a running tap, so this is news and no failure. The remarks hold
names of fields and of types, never values.
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
"""Names in a remark; of more, only how many there are."""

_ITEM = "item"
_EMPTY: tuple[Any, ...] = (None, [], "")
"""What PHP sends for an object that is not there, or nothing of which may be seen."""

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
    """Rows of one stream, as they were sent."""

    asked: list[dict[str, Any]]
    """With the fields that the tap asks for."""
    whole: list[dict[str, Any]]
    """A few, with all fields that the instance has."""
    is_old: bool = False
    """Whether the build is one of before 2023, which lacks what has come since."""


def differences(stream: Stream, root: FieldTree, sample: Sample) -> Iterator[str]:
    """Yield a line each for fields of another type, for those that are not sent, and for those that are new.

    `root` is the tree of the columns that are requested.
    """
    if retyped := _retyped(root, sample.asked):
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
    """Return the fields that columns are made of and that no row has, not even as null.

    Only whole rows tell: whether a server sends null for a part of what is null is an open question. Parts of
    related objects are left out, for they go with rights, and so are fields that today's schema lacks.
    """
    whole = _names(sample.whole)
    if sample.is_old or not sample.asked:
        return set()
    sent = whole | _names(sample.asked)
    declared = {_place(column.source) for column in stream.fields if column.official and column.source}
    return {place for place in declared - sent if _has_level(place, whole)}


def _place(source: str) -> str:
    """Return the field that a value comes from, without what lies below it: `queue`, `item.clid`."""
    first, _, rest = source.partition(".")
    return f"{first}.{rest.partition('.')[0]}" if first == _ITEM and rest else first


def _has_level(place: str, names: set[str]) -> bool:
    """Return whether there was anything where a field should be: a row, or an item in one."""
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
    """Return the fields with values of a type that is neither the declared one nor PHP's spelling of it."""
    found: dict[str, tuple[str, set[str]]] = {}
    for row in rows:
        for place, declared, value in _misfits(root, row, ""):
            found.setdefault(place, (declared, set()))[1].add(_TYPES.get(type(value), "something else"))
    return [
        f"{place} ({declared} declared, {' or '.join(sorted(sent))} sent)"
        for place, (declared, sent) in found.items()
    ]


def _misfits(node: FieldTree, row: dict[str, Any], path: str) -> Iterator[tuple[str, str, object]]:
    """Yield (place, declared type, value) of what does not fit in a row."""
    for leaf in node.leaves:
        value = row.get(leaf.name)
        if value is not None and not _fits(leaf, value):
            yield path + leaf.name, leaf.kind.value, value
    # A relation that has a column of its own may be anything.
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
    """Return the fields that nothing is known of: of the item for a stream that has one, otherwise of the row.

    The fields of activities are told once, by the stream of this name. Names with `_` in front are Daktela's own.
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
