"""A column's name in; where it may stand in a record, and what looks for it there, out.

Taps spell one column in several ways. A nested path comes flattened (`address.phone` as `address__phone`, with the
SDK's flattening, as `address_phone` or as one key `address.phone`), objects and lists come as texts of JSON, and
the taps of one CRM may each put all columns into another place: `places` of a mapping, `{}` being the name.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import msgspec

from target_daktela_crm.mapping.values import decode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

Path: TypeAlias = tuple[str, ...]
Find: TypeAlias = Callable[[dict[str, Any]], Any]

_SEPARATORS = ("__", "_", ".")


class Column(NamedTuple):
    """A column that an expression names."""

    name: str
    """As the expression has it."""
    keys: frozenset[str]
    """Keys of a record, one of which is there if the column is."""
    find: Find
    """Returns the column's value in a record, None without one."""
    spellings: tuple[Path, ...]
    """Where it may stand."""

    def is_in(self, record: Mapping[str, Any]) -> bool:
        """Return whether a record has the column, with a value or without one."""
        return any(_has(record, spelling) for spelling in self.spellings)


def column(path: Path, places: Sequence[str] = ()) -> Column:
    """Return the column of a path, which stands in the first of `places` that has a value for it.

    With places, an object is no value: some taps put each value into an object of its own, which stays when the
    value is missing.
    """
    spellings = [spelling for place in places or ("{}",) for spelling in _spellings(_placed(path, place))]
    keys = frozenset(spelling[0] for spelling in spellings)
    unique = tuple(dict.fromkeys(spellings))
    return Column(".".join(path), keys, _finder(unique, with_objects=not places), unique)


def _has(record: Mapping[str, Any], path: Path) -> bool:
    """Return whether a path ends in a record, or in null on its way: without a company, there is no id of one."""
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


def prefixes(places: Iterable[str]) -> tuple[str, ...]:
    """Return what keys of a record begin with if its columns are in one of these places."""
    return tuple(prefix for place in places if (prefix := place.split(".")[0].split("{}")[0]))


class Unseen:
    """What no record has had a key of so far, by stream."""

    def __init__(self, wanted: Mapping[str, Mapping[str, frozenset[str]]]) -> None:
        """Look for what `wanted` has for each stream: names, and the keys one of which is there if they are."""
        self._wanted = {stream: dict(keys) for stream, keys in wanted.items() if keys}

    def __contains__(self, stream: str) -> bool:
        """Return whether something of a stream is still to be seen."""
        return stream in self._wanted

    def see(self, stream: str, record: Mapping[str, Any]) -> None:
        """Strike out what a record, or the properties of a schema, has."""
        if stream in self._wanted:
            left = {name: keys for name, keys in self._wanted[stream].items() if keys.isdisjoint(record)}
            if left:
                self._wanted[stream] = left
            else:
                del self._wanted[stream]

    def names(self) -> Iterator[tuple[str, str]]:
        """Yield what is left, each name after that of its stream."""
        for stream, wanted in self._wanted.items():
            for name in wanted:
                yield stream, name


def from_json(value: object) -> Any:  # noqa: ANN401 - JSON
    """Return what a text of JSON holds, None if it is none; anything but a text is returned as it is."""
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
    """Yield a path nested, and with some or all of its names joined into one key."""
    yield path
    for separator in _SEPARATORS:
        for count in range(len(path) - 2, -1, -1):
            for cuts in combinations(range(1, len(path)), count):
                bounds = (0, *cuts, len(path))
                yield tuple(separator.join(path[start:end]) for start, end in pairwise(bounds))


def _finder(spellings: tuple[Path, ...], *, with_objects: bool) -> Find:
    if len(spellings) == 1 and with_objects:
        [[name]] = spellings
        # Half of what operator.methodcaller takes.
        return lambda record: record.get(name)

    def find(record: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
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

    return find
