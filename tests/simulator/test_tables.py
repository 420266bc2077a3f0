"""Order, ties and indexes: a plan finds the same rows as a scan while rows change."""

from __future__ import annotations

from itertools import product
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from tests.simulator.asking import by, condition, names, page
from tests.simulator.filters import predicate
from tests.simulator.generate import generate
from tests.simulator.query import BadQuery, Condition, Group, Query
from tests.simulator.simulator import Simulator
from tests.simulator.tables import Store

if TYPE_CHECKING:
    from tests.simulator.query import Filter
    from tests.simulator.schema import Row

ALL = 100_000


def plain(rows: list[Row], query: Query) -> list[Row]:
    """Return the result of scanning and sorting all rows. Null is first, and the last sort key is unique."""
    found = [row for row in rows if all(predicate("activities", each, "2026")(row) for each in query.filters)]
    for name, direction in reversed(query.sort):
        found.sort(
            key=lambda row: (row[name] is not None, str(row[name] or "").casefold()),
            reverse=direction == "desc",
        )
    return found[query.skip : query.skip + query.take]


FILTERS: list[tuple[Filter, ...]] = [
    (),
    (Condition("type", "eq", "call"),),
    (Condition("time", "gte", "2026-03-01"), Condition("time", "lt", "2026-03-05 11:00:00")),
    (Condition("type", "eq", "EMAIL"), Condition("time", "gt", "2026-03-03 10:00:00")),
    (Condition("time", "lt", "2026-03-04"), Condition("time_close", "gte", "2026-03-04")),
    (Group("or", (Condition("time_close", "gte", "2026-03-09"), Condition("time", "gte", "2026-03-09"))),),
    (Group("and", (Condition("time", "gte", "2026-03-08"), Condition("type", "eq", "CHAT"))),),
    (Condition("time_close", "isnull"), Condition("time", "lte", "2026-03-09")),
    (Condition("action", "eq", "OPEN"),),
    (Condition("queue", "eq", "3001"), Condition("time", "gte", "2026-03-02")),
    (Condition("type", "eq", ("CALL", "CHAT")),),
    (Condition("time", "gte", "2027"),),
    *((Condition("time", operator, "2026-03-05 10:00:00"),) for operator in ("lt", "lte", "gt", "gte", "eq")),
    *((Condition("time_close", operator, "2026-03-05"),) for operator in ("lt", "gte")),
]
SORTS = [
    (("time", "asc"), ("name", "asc")),
    (("time", "desc"), ("name", "desc")),
    (("time", "desc"), ("name", "asc")),
    (("time_close", "asc"), ("name", "asc")),
    (("name", "asc"),),
    (("name", "desc"),),
]


def test_every_plan_finds_what_a_scan_finds_while_rows_move() -> None:
    random = Random(3)
    dataset = generate(activities=300, tickets=20, days=10, open_share=0.2)
    simulator = Simulator(dataset)
    store, rows = simulator.stores["activities"], dataset.tables["activities"]
    questions = list(product(FILTERS, SORTS))
    random.shuffle(questions)
    for step, (filters, sort) in enumerate(questions):
        query = Query(filters=filters, sort=sort, skip=random.choice((0, 7)), take=ALL)
        found, total = store.select(query, random)
        expected = plain(rows, query)
        assert [row["name"] for row in found] == [row["name"] for row in expected], query
        assert total == len(plain(rows, Query(filters=query.filters, take=ALL)))
        simulator.edit("activities", random.choice(rows)["name"], time=f"2026-03-0{step % 9 + 1} 10:00:00")
        simulator.edit("activities", random.choice(rows)["name"], time_close=None, action="OPEN")
        simulator.remove("activities", random.choice(rows)["name"])
        simulator.advance(new_activities=2, close_activities=1)


def test_indexes_are_updated_and_not_rebuilt(simulator: Simulator) -> None:
    store = simulator.stores["activities"]
    first = store.index(("time", "name"))
    simulator.edit("activities", first.rows[0]["name"], time="2026-03-10 11:59:59")
    assert store.index(("time", "name")) is first
    assert first.keys == sorted(first.keys)


def test_without_a_sort_the_order_is_random(simulator: Simulator) -> None:
    orders = [names(simulator, "accounts") for _ in range(3)]
    assert orders[0] != orders[1] != orders[2]
    assert sorted(orders[0]) == sorted(orders[1])
    filtered = [names(simulator, "activities", filter=[condition("type", "eq", "CALL")]) for _ in range(2)]
    assert filtered[0] != filtered[1]
    assert set(filtered[0]) == set(filtered[1])


def test_without_a_sort_pages_overlap(simulator: Simulator) -> None:
    pages = [set(names(simulator, "activities", skip=skip, take=100)) for skip in (0, 100, 200, 300)]
    assert len(set().union(*pages)) < 400


def test_ties_have_a_different_order_in_each_request() -> None:
    dataset = generate(activities=200, burst=("2026-03-01 10:00:00", 150))
    with Simulator(dataset) as simulator:
        asked: dict[str, Any] = {"sort": by("time"), "take": 1000}
        first, second = names(simulator, "activities", **asked), names(simulator, "activities", **asked)
        assert first != second
        assert sorted(first) == sorted(second)
        cut = condition("time", "gte", "2026-03-01 10:00:00")
        part = [set(names(simulator, "activities", filter=[cut], sort=by("time"), take=40)) for _ in range(2)]
        assert part[0] != part[1]
        simulator.tie_break = "name"
        assert names(simulator, "activities", **asked) == names(simulator, "activities", **asked)


def test_a_second_sort_key_breaks_ties(simulator: Simulator) -> None:
    for row in simulator.dataset.tables["tickets"]:
        simulator.edit("tickets", row["name"], edited="2026-03-01 10:00:00")
    assert names(simulator, "tickets", sort=by("edited", "name")) == list(range(10001, 10081))
    down = [{"field": "edited", "dir": "asc"}, {"field": "name", "dir": "desc"}]
    assert names(simulator, "tickets", sort=down) == list(range(10080, 10000, -1))


def test_sorting_ignores_case_as_the_database_does(simulator: Simulator) -> None:
    for row, title in zip(simulator.dataset.tables["groups"], "bADcF", strict=False):
        simulator.edit("groups", row["name"], title=title)
    order = [row["title"] for row in page(simulator, "groups", fields=["title"], sort=by("title"), take=5)["data"]]
    assert order == ["A", "b", "c", "D", "F"]


def test_null_sorts_first(simulator: Simulator) -> None:
    closed = [row["closed"] for row in page(simulator, "tickets", fields=["closed"], sort=by("closed"))["data"]]
    assert closed[0] is None
    known = [time for time in closed if time is not None]
    assert closed == [None] * (len(closed) - len(known)) + sorted(known)


def test_a_sort_behind_a_relation_sees_edits(simulator: Simulator) -> None:
    asked: dict[str, Any] = {
        "sort": by("user.title", "name"),
        "filter": [condition("user", "isnotnull")],
        "take": 1,
    }
    before = names(simulator, "tickets", **asked)
    last = names(simulator, "tickets", **asked | {"sort": by("user.title", "name", direction="desc")})
    user = next(row["user"] for row in simulator.dataset.tables["tickets"] if row["name"] == last[0])
    simulator.edit("users", user["name"], title="   first")
    assert names(simulator, "tickets", **asked) != before


def test_a_store_needs_no_server() -> None:
    store = Store("tickets", generate(tickets=10).tables["tickets"])
    rows, total = store.select(Query(sort=(("name", "desc"),), take=2), Random(1))
    assert [row["name"] for row in rows] == [10010, 10009]
    assert total == 10
    with pytest.raises(BadQuery):
        store.select(Query(filters=(Condition("nonsense", "eq", "1"),)), Random(1))
