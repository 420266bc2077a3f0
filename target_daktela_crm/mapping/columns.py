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
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

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
    with_objects: bool = True
    """Whether an object can be a value of the column."""
    element_keys: frozenset[str] = frozenset()
    """Keys of the elements of a list, of which an expression needs one."""

    def is_in(self, record: Mapping[str, Any]) -> bool:
        """Return whether a record has the column, with or without a value.

        An empty object is no information: taps write it for an object without selected columns. Null, or any other
        value in place of an object, says that the column has no value.
        """
        return any(self._is_at(record, spelling) for spelling in self.spellings)

    def _is_at(self, record: Mapping[str, Any], path: Path) -> bool:
        value: Any = record
        for name in path:
            if isinstance(value, str) and value.startswith("{"):
                value = from_json(value)
            if not isinstance(value, dict):
                return True
            if name not in value:
                return False
            value = value[name]
        return self._is_information(value)

    def _is_information(self, value: Any) -> bool:  # noqa: ANN401 - JSON
        """Return whether a value says anything about the column, even if only that it has no value."""
        if isinstance(value, str) and (value == "{}" or (self.element_keys and value.startswith("["))):
            value = from_json(value)
        if isinstance(value, dict):
            return bool(value) and self.with_objects
        if isinstance(value, list) and value:
            return not all(isinstance(each, dict) and self._lacks_element_keys(each) for each in value)
        return True

    def _lacks_element_keys(self, element: Mapping[str, Any]) -> bool:
        return not element or (bool(self.element_keys) and self.element_keys.isdisjoint(element))

    def within(self, keys: Collection[str]) -> Column | None:
        """Return the column as it may be in a record with these keys, or None if such a record cannot have it."""
        spellings = tuple(spelling for spelling in self.spellings if spelling[0] in keys)
        if not spellings:
            return None
        return self._replace(spellings=spellings, get=_getter(spellings, with_objects=self.with_objects))

    def added_to(self, record: Mapping[str, Any], value: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        """Return a record that lacks the column, with the column."""
        return _added(record, self.spellings[0], value)


def column(path: Path, places: Sequence[str] = ()) -> Column:
    """Return the column of a path; its value is taken from the first of `places` that has one.

    With places, an object is not a value, since some taps put each value into an object of its own, which stays
    when the value is missing.
    """
    spellings = [spelling for place in places or ("{}",) for spelling in _spellings(_placed(path, place))]
    keys = frozenset(spelling[0] for spelling in spellings)
    unique = tuple(dict.fromkeys(spellings))
    return Column(".".join(path), keys, _getter(unique, with_objects=not places), unique, not places)


def _added(record: object, path: Path, value: object) -> dict[str, Any]:
    content = from_json(record)
    first, *rest = path
    copy = dict(content) if isinstance(content, dict) else {}
    copy[first] = _added(copy.get(first), tuple(rest), value) if rest else value
    return copy


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
    if with_objects and len(spellings) == 1 and len(spellings[0]) == 1:
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
