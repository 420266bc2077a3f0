"""Tables that answer queries, with sorted indexes.

An index is created when a query needs it first, and updated by `insert`, `edit` and `remove`. So the cost of a
page depends on the rows of the page, not on the rows of the table.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

from tests.simulator.filters import (
    Comparable,
    Predicate,
    Reader,
    conjunction,
    fold,
    literal,
    predicate,
    reader,
)
from tests.simulator.query import Condition, Filter, Group, Query
from tests.simulator.schema import Row, key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from random import Random

SortKey: TypeAlias = tuple[Any, ...]

_RANGES = frozenset({"eq", "gt", "gte", "lt", "lte"})
_SORTING_COST = 4
"""The cost of filtering and sorting a row, relative to the cost of filtering it."""


@dataclass
class Index:
    """Rows sorted by some fields, all ascending. Null is first, as in MySQL."""

    fields: tuple[str, ...]
    readers: tuple[Reader, ...]
    accepts: Predicate
    keys: list[SortKey] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)

    def key(self, row: Row) -> SortKey:
        """Return a rank and a value for each field. The rank separates null from texts and numbers."""
        key: SortKey = ()
        for read in self.readers:
            value = read(row)
            key += (0, 0) if value is None else (1, value)
        return key

    def fill(self, rows: Iterable[Row]) -> None:
        """Add all rows at once."""
        pairs = sorted(((self.key(row), row) for row in rows if self.accepts(row)), key=lambda pair: pair[0])
        self.keys = [key for key, _ in pairs]
        self.rows = [row for _, row in pairs]

    def add(self, row: Row) -> None:
        """Add a row."""
        if self.accepts(row):
            key = self.key(row)
            place = bisect_right(self.keys, key)
            self.keys.insert(place, key)
            self.rows.insert(place, row)

    def discard(self, row: Row) -> None:
        """Remove a row, which must still have the values with which it was added."""
        if self.accepts(row):
            place = bisect_left(self.keys, self.key(row))
            while self.rows[place] is not row:
                place += 1
            del self.keys[place], self.rows[place]

    def bounds(self, conditions: list[tuple[str, Comparable]]) -> tuple[int, int]:
        """Return the range of the rows whose first field meets all conditions: first position, last plus 1."""
        low, high = 0, len(self.keys)
        for name, value in conditions:
            left, right = self._span(value)
            # Null matches no condition, so the lower bound is at least the first row that is not null.
            low = max(low, {"gt": right, "gte": left, "eq": left}.get(name, bisect_left(self.keys, (1,))))
            high = min(high, {"lt": left, "lte": right, "eq": right}.get(name, high))
        return low, max(low, high)

    def _span(self, value: Comparable) -> tuple[int, int]:
        key = (1, value)
        return bisect_left(self.keys, key), bisect_right(self.keys, key, key=lambda each: each[:2])


@dataclass(frozen=True)
class Ordered:
    """Sorted rows: a part of a list, forwards or backwards."""

    rows: list[Row]
    low: int
    high: int
    backwards: bool = False

    def __len__(self) -> int:
        return self.high - self.low

    def part(self, start: int, stop: int) -> list[Row]:
        """Return the rows between two positions."""
        if self.backwards:
            return self.rows[self.high - stop : self.high - start][::-1]
        return self.rows[self.low + start : self.low + stop]


class Store:
    """One table of the server."""

    def __init__(self, name: str, rows: list[Row], build: str = "2026") -> None:
        self.name = name
        self.rows = rows
        self.build = build
        self.key = key_of(name)
        self.by_name: dict[Any, Row] = {row[self.key]: row for row in rows}
        self._indexes: dict[tuple[tuple[str, ...], str | None], Index] = {}

    def find(self, name: str) -> Row | None:
        """Return the row that a URL names."""
        return self.by_name.get(int(name) if name.isdigit() and int(name) in self.by_name else name)

    def insert(self, row: Row) -> None:
        """Add a row."""
        self.rows.append(row)
        self.take_in(row)

    def take_in(self, row: Row) -> None:
        """Add a row that is already in `rows` to the indexes."""
        self.by_name[row[self.key]] = row
        for index in self._indexes.values():
            index.add(row)

    def edit(self, row: Row, changes: Row) -> None:
        """Change fields of a row object, so that every row that embeds it changes, too."""
        indexes = [index for index in self._indexes.values() if not changes.keys().isdisjoint(index.fields)]
        for index in indexes:
            index.discard(row)
        row.update(changes)
        for index in indexes:
            index.add(row)

    def remove(self, row: Row) -> None:
        """Delete a row."""
        del self.rows[next(place for place, each in enumerate(self.rows) if each is row)]
        del self.by_name[row[self.key]]
        for index in self._indexes.values():
            index.discard(row)

    def forget(self) -> None:
        """Drop all indexes after a test has changed rows directly."""
        self.by_name = {row[self.key]: row for row in self.rows}
        self._indexes.clear()

    def index(self, fields: tuple[str, ...], kind: str | None = None) -> Index:
        """Return the index on some fields, for one activity type or for all rows."""
        found = self._indexes.get((fields, kind))
        if found is None:
            readers = tuple(reader(self.name, each, self.build) for each in fields)
            found = Index(fields, readers, _accepts(kind))
            found.fill(self.rows)
            # Rows of another table change without an update of this index, so the rows are sorted for each
            # request.
            if not any("." in each for each in fields):
                self._indexes[fields, kind] = found
        return found

    def select(self, query: Query, random: Random, *, break_ties: bool = False) -> tuple[list[Row], int]:
        """Return the page for a query, and the number of matching rows.

        Without a sort, the order is random in each request, since the server promises none. Rows with the same
        sort key have a random order, too, unless `break_ties` sorts them by name.
        """
        kind, filters = _split_kind(self.name, _flatten(query.filters))
        fields = tuple(name for name, _ in query.sort)
        tied = self.key not in fields
        sort = query.sort
        if sort and tied and break_ties:
            sort = (*sort, (self.key, sort[-1][1]))
            tied = False
        ordered = self._ordered(sort, kind, filters)
        start, stop = min(query.skip, len(ordered)), min(query.skip + query.take, len(ordered))
        if not sort:
            return random.sample(ordered.part(0, len(ordered)), stop - start), len(ordered)
        if not tied:
            return ordered.part(start, stop), len(ordered)
        return self._shuffled(ordered, tuple(name for name, _ in sort), (start, stop), random), len(ordered)

    def _ordered(self, sort: tuple[tuple[str, str], ...], kind: str | None, filters: list[Filter]) -> Ordered:
        """Return all matching rows in order, from the cheapest index."""
        if not (sort or kind or filters):
            return Ordered(self.rows, 0, len(self.rows))
        directions = {direction for _, direction in sort}
        fields = tuple(name for name, _ in sort) or (self.key,)
        plans = [self._plan((name,), kind, filters, in_order=False) for name in _indexable(filters)]
        if len(directions) <= 1:
            plans.append(self._plan(fields, kind, filters, in_order=True))
        elif not plans:
            plans.append(self._plan((self.key,), kind, filters, in_order=False))
        plan = min(plans, key=lambda each: each.cost)
        backwards = directions == {"desc"}
        if plan.in_order and not plan.residual:
            return Ordered(plan.index.rows, plan.low, plan.high, backwards)
        test = conjunction([predicate(self.name, each, self.build) for each in plan.residual])
        rows = [row for row in plan.index.rows[plan.low : plan.high] if test(row)]
        if plan.in_order:
            return Ordered(rows, 0, len(rows), backwards)
        for name, direction in reversed(sort):
            key = Index((name,), (reader(self.name, name, self.build),), _accepts(None)).key
            rows.sort(key=key, reverse=direction == "desc")
        return Ordered(rows, 0, len(rows))

    def _plan(self, fields: tuple[str, ...], kind: str | None, filters: list[Filter], *, in_order: bool) -> Plan:
        index = self.index(fields, kind)
        ranges = [each for each in filters if _is_range(each) and each.field == fields[0]]
        low, high = index.bounds(
            [(each.operator, literal(self.name, each.field, str(each.value), self.build)) for each in ranges]
        )
        residual = [each for each in filters if each not in ranges]
        price = int(bool(residual)) if in_order else _SORTING_COST
        return Plan(index, low, high, residual, in_order, price * (high - low))

    def _shuffled(
        self, ordered: Ordered, fields: tuple[str, ...], page: tuple[int, int], random: Random
    ) -> list[Row]:
        """Return a page of sorted rows. Those with the same sort key are in random order."""
        readers = tuple(reader(self.name, each, self.build) for each in fields)
        key = Index(fields, readers, _accepts(None)).key
        start, stop = page
        if start == stop:
            return []
        low = _edge(ordered, key, start, -1)
        high = _edge(ordered, key, stop - 1, 1) + 1
        rows: list[Row] = []
        for _, tied in groupby(ordered.part(low, high), key):
            group = list(tied)
            random.shuffle(group)
            rows += group
        return rows[start - low : stop - low]


@dataclass(frozen=True)
class Plan:
    """A way to find the rows of a query, and its cost."""

    index: Index
    low: int
    high: int
    residual: list[Filter]
    in_order: bool
    cost: int


def _edge(ordered: Ordered, key: Callable[[Row], SortKey], place: int, step: int) -> int:
    """Return the last position in one direction whose row has the same key."""

    def key_at(index: int) -> SortKey:
        return key(ordered.part(index, index + 1)[0])

    wanted = key_at(place)
    while 0 <= place + step < len(ordered) and key_at(place + step) == wanted:
        place += step
    return place


def _accepts(kind: str | None) -> Predicate:
    if kind is None:
        return lambda _: True
    return lambda row: fold(row["type"]) == kind


def _indexable(filters: list[Filter]) -> list[str]:
    return sorted({each.field for each in filters if _is_range(each)})


def _is_range(entry: Filter) -> TypeGuard[Condition]:
    return (
        isinstance(entry, Condition)
        and entry.operator in _RANGES
        and "." not in entry.field
        and isinstance(entry.value, str)
    )


def _flatten(filters: tuple[Filter, ...]) -> list[Filter]:
    """Return all conditions that must hold, including those of nested AND groups."""
    flat: list[Filter] = []
    for entry in filters:
        if isinstance(entry, Group) and entry.logic == "and":
            flat += _flatten(entry.filters)
        else:
            flat.append(entry)
    return flat


def _split_kind(table: str, filters: list[Filter]) -> tuple[str | None, list[Filter]]:
    """Separate `type eq CALL` from the filters of activities, since each type has its own indexes."""
    if table == "activities":
        for entry in filters:
            if _is_range(entry) and (entry.field, entry.operator) == ("type", "eq"):
                return str(fold(entry.value)), [each for each in filters if each is not entry]
    return None, filters
