"""The query parameters of a list request.

Fields, conditions and sort fields are indexed parameters, never comma-separated lists (daktela-api.md §2).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from typing_extensions import override


class Condition(NamedTuple):
    """One condition of a filter; all conditions of a request must hold."""

    field: str
    operator: str
    value: str


_SIGNS = {"gte": "≥", "gt": ">", "lt": "<", "lte": "≤", "eq": "="}


@dataclass(frozen=True, kw_only=True)
class Query:
    """One page of a list."""

    endpoint: str
    fields: tuple[str, ...]
    """The fields to request; if empty, rows have all fields."""
    conditions: tuple[Condition, ...] = ()
    sort: tuple[str, ...] = ()
    """Fields to sort by, `-` before a field for descending order. If empty, the order is undefined."""
    skip: int = 0
    take: int = 1000
    as_sent: bool = False
    """Whether rows are decoded as the server sent them: a missing field is not read as null."""

    def page(self, skip: int) -> Query:
        """Return the query for the page at offset `skip`."""
        return replace(self, skip=skip)

    def parameters(self) -> list[tuple[str, str]]:
        """Return the parameters, not yet encoded for a URL; the last one is the offset of the page."""
        pairs = [(f"fields[{index}]", name) for index, name in enumerate(self.fields)]
        for index, condition in enumerate(self.conditions):
            pairs += [
                (f"filter[{index}][field]", condition.field),
                (f"filter[{index}][operator]", condition.operator),
                (f"filter[{index}][value]", condition.value),
            ]
        for index, name in enumerate(self.sort):
            direction = "desc" if name.startswith("-") else "asc"
            pairs += [(f"sort[{index}][field]", name.removeprefix("-")), (f"sort[{index}][dir]", direction)]
        return [*pairs, ("take", str(self.take)), ("skip", str(self.skip))]

    @override
    def __str__(self) -> str:
        """Return the request as text: `GET tickets.json where edited ≥ 2026-03-01 00:00:00, rows 0 to 999`."""
        conditions = " and ".join(
            f"{field} {_SIGNS.get(operator, operator)} {value}" for field, operator, value in self.conditions
        )
        where = f" where {conditions}" if conditions else ""
        return f"GET {self.endpoint}.json{where}, rows {self.skip} to {self.skip + self.take - 1}"
