"""Columns: where a column with a given name may be in a record.

Taps spell the same column in several ways. A nested path may be flattened (`address.phone` as `address__phone` by
the SDK's flattening, as `address_phone`, or as the key `address.phone`), and objects and lists may be JSON texts.
Taps of one CRM may also put all columns into different places: the `places` of a mapping, with `{}` for the name.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import msgspec

from target_daktela_crm.exact_json import decode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

Path: TypeAlias = tuple[str, ...]
Getter: TypeAlias = Callable[[dict[str, Any]], Any]

_SEPARATORS = ("__", "_", ".")


class Column(NamedTuple):
    """A column that an expression names."""

    name: str
    """As in the expression."""
    keys: frozenset[str]
    """The keys of a record at which the column may be."""
    get: Getter
    """Returns the column's value in a record, or None."""
    spellings: tuple[Path, ...]
    """The paths at which the column may be."""

    def is_in(self, record: Mapping[str, Any]) -> bool:
        """Return whether a record has the column, with or without a value."""
        return any(_has(record, spelling) for spelling in self.spellings)


def column(path: Path, places: Sequence[str] = ()) -> Column:
    """Return the column of a path; its value is taken from the first of `places` that has one.

    With places, an object is not a value, since some taps put each value into an object of its own, which stays
    when the value is missing.
    """
    spellings = [spelling for place in places or ("{}",) for spelling in _spellings(_placed(path, place))]
    keys = frozenset(spelling[0] for spelling in spellings)
    unique = tuple(dict.fromkeys(spellings))
    return Column(".".join(path), keys, _getter(unique, with_objects=not places), unique)


def _has(record: Mapping[str, Any], path: Path) -> bool:
    """Return whether a record has a path, or null on the way to it: a company of null also means an id of null."""
    value: Any = record
    for name in path[:-1]:
        if not isinstance(value, dict) or name not in value:
            return False
        value = value[name]
        if isinstance(value, str) and value.startswith("{"):
            value = from_json(value)
        if value is None or value in ("", {}):
            return True
    return isinstance(value, dict) and path[-1] in value


def key_prefixes(places: Iterable[str]) -> tuple[str, ...]:
    """Return the prefixes of a record's keys whose columns are in one of `places`."""
    return tuple(prefix for place in places if (prefix := place.split(".")[0].split("{}")[0]))


class MissingColumns:
    """The columns, or groups of columns, that no record of a stream has had so far."""

    def __init__(self, wanted: Mapping[str, frozenset[str]]) -> None:
        """Expect what `wanted` names, each with the keys of a record at which it may be."""
        self._missing = dict(wanted)

    def __bool__(self) -> bool:
        """Return whether anything is missing."""
        return bool(self._missing)

    def note(self, record: Mapping[str, Any]) -> None:
        """Remove what a record, or the properties of a schema, has."""
        if self._missing:
            self._missing = {name: keys for name, keys in self._missing.items() if keys.isdisjoint(record)}

    def names(self) -> list[str]:
        """Return the names of what is missing."""
        return list(self._missing)


def from_json(value: object) -> Any:  # noqa: ANN401 - JSON
    """Return the content of a JSON text, or None if a text is not JSON; other values are returned unchanged."""
    if not isinstance(value, str):
        return value
    try:
        return decode(value)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def _placed(path: Path, place: str) -> Path:
    first, *rest = path
    placed: list[str] = []
    for part in place.split("."):
        placed.append(part.replace("{}", first))
        if "{}" in part:
            placed += rest
    return tuple(placed)


def _spellings(path: Path) -> Iterator[Path]:
    """Yield a path as it is, and with some or all of its names joined into one key."""
    yield path
    for separator in _SEPARATORS:
        for count in range(len(path) - 2, -1, -1):
            for cuts in combinations(range(1, len(path)), count):
                bounds = (0, *cuts, len(path))
                yield tuple(separator.join(path[start:end]) for start, end in pairwise(bounds))


def _getter(spellings: tuple[Path, ...], *, with_objects: bool) -> Getter:
    if len(spellings) == 1 and with_objects:
        [[name]] = spellings
        # Takes half the time of operator.methodcaller.
        return lambda record: record.get(name)

    def get(record: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
        for first, *rest in spellings:
            value = record.get(first)
            for name in rest:
                if value is None:
                    break
                if isinstance(value, str) and value.startswith("{"):
                    value = from_json(value)
                value = value.get(name) if isinstance(value, dict) else None
            if value is not None and (with_objects or not isinstance(value, dict)):
                return value
        return None

    return get
