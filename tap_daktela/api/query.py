"""The parameters of a list request: fields, filter, sort and page in, `(name, value)` pairs out.

The grammar is the server's own, indexed and never comma-separated (daktela-api.md §2).
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
    """To ask for; without any, rows come with all that there are."""
    conditions: tuple[Condition, ...] = ()
    sort: tuple[str, ...] = ()
    """Fields to sort by; `-` in front of one turns its order around. Without any, there is no order."""
    skip: int = 0
    take: int = 1000
    as_sent: bool = False
    """Whether rows are read as they come: with a null for a null only, and not for what is not there."""

    def page(self, skip: int) -> Query:
        """Return the query for the page that starts `skip` rows further in."""
        return replace(self, skip=skip)

    def parameters(self) -> list[tuple[str, str]]:
        """Return the request's parameters, not yet encoded for a URL; the last is where the page begins."""
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
        """The request for a person: `GET tickets.json where edited ≥ 2026-03-01 00:00:00, rows 0 to 999`."""
        conditions = " and ".join(
            f"{field} {_SIGNS.get(operator, operator)} {value}" for field, operator, value in self.conditions
        )
        where = f" where {conditions}" if conditions else ""
        return f"GET {self.endpoint}.json{where}, rows {self.skip} to {self.skip + self.take - 1}"
