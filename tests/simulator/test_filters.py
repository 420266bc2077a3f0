"""Each operator gives the same rows as an equivalent expression in Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.simulator.asking import by, condition, names, rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulator.simulator import Simulator

NOON = "2026-03-01 12:00:00"


def found(simulator: Simulator, table: str, *filters: dict[str, Any]) -> set[Any]:
    return set(names(simulator, table, filter=list(filters)))


def expected(simulator: Simulator, table: str, test: Callable[[dict[str, Any]], Any]) -> set[Any]:
    return {row["name"] for row in simulator.dataset.tables[table] if test(row)}


@pytest.mark.parametrize(
    ("operator", "value", "test"),
    [
        ("eq", "OPEN", lambda stage: stage == "OPEN"),
        ("eq", "open", lambda stage: stage == "OPEN"),
        ("neq", "OPEN", lambda stage: stage != "OPEN"),
        ("gt", "CLOSE", lambda stage: stage > "CLOSE"),
        ("gte", "CLOSE", lambda stage: stage >= "CLOSE"),
        ("lt", "OPEN", lambda stage: stage < "OPEN"),
        ("lte", "CLOSE", lambda stage: stage <= "CLOSE"),
        ("contains", "los", lambda stage: "LOS" in stage),
        ("doesnotcontain", "LOS", lambda stage: "LOS" not in stage),
        ("startswith", "C", lambda stage: stage.startswith("C")),
        ("endswith", "E", lambda stage: stage.endswith("E")),
        ("like", "%LOS%", lambda stage: "LOS" in stage),
        ("like", "LOS", lambda _: False),
        ("like", "_PEN", lambda stage: stage == "OPEN"),
        ("notlike", "%E%", lambda stage: "E" not in stage),
        ("in", ["OPEN", "WAIT"], lambda stage: stage in ("OPEN", "WAIT")),
        ("notin", ["OPEN", "WAIT"], lambda stage: stage not in ("OPEN", "WAIT")),
    ],
)
def test_text(reading: Simulator, operator: str, value: Any, test: Callable[[str], bool]) -> None:
    assert found(reading, "tickets", condition("stage", operator, value)) == expected(
        reading, "tickets", lambda row: test(row["stage"])
    )


def test_like_takes_an_escaped_wildcard_literally(simulator: Simulator) -> None:
    simulator.edit("tickets", 10005, title="100% sure")
    assert found(simulator, "tickets", condition("title", "like", r"%0\% s%")) == {10005}
    simulator.edit("tickets", 10005, title="100 sure")
    assert found(simulator, "tickets", condition("title", "like", r"%0\% s%")) == set()


@pytest.mark.parametrize(
    ("operator", "test"),
    [
        ("gte", lambda time: time >= NOON),
        ("gt", lambda time: time > NOON),
        ("lte", lambda time: time <= NOON),
        ("lt", lambda time: time < NOON),
        ("eq", lambda time: time == NOON),
        ("neq", lambda time: time != NOON),
    ],
)
def test_dates_and_null_never_matches(simulator: Simulator, operator: str, test: Callable[[str], bool]) -> None:
    simulator.edit("tickets", 10003, closed=NOON)
    simulator.edit("tickets", 10004, closed=None)
    wanted = expected(simulator, "tickets", lambda row: row["closed"] is not None and test(row["closed"]))
    assert wanted
    assert found(simulator, "tickets", condition("closed", operator, NOON)) == wanted


def test_null_matches_no_negation_either(simulator: Simulator) -> None:
    simulator.edit("tickets", 10004, email=None)
    for operator in ("neq", "notlike", "doesnotcontain", "notin"):
        assert 10004 not in found(simulator, "tickets", condition("email", operator, "nobody"))


@pytest.mark.parametrize("value", [None, "", "true"])
def test_null_is_found_with_and_without_a_value(reading: Simulator, value: str | None) -> None:
    empty = expected(reading, "tickets", lambda row: row["closed"] is None)
    assert found(reading, "tickets", condition("closed", "isnull", value)) == empty
    full = expected(reading, "tickets", lambda row: row["closed"] is not None)
    assert found(reading, "tickets", condition("closed", "isnotnull", value)) == full
    assert empty
    assert full


def test_a_bare_date_is_midnight_so_lte_loses_the_day(reading: Simulator) -> None:
    assert found(reading, "tickets", condition("created", "lte", "2026-03-01")) == expected(
        reading, "tickets", lambda row: row["created"] <= "2026-03-01 00:00:00"
    )


def test_midnight_itself_belongs_to_the_date(simulator: Simulator) -> None:
    simulator.edit("tickets", 10005, created="2026-03-01 00:00:00")
    assert 10005 in found(simulator, "tickets", condition("created", "lte", "2026-03-01"))
    assert 10005 not in found(simulator, "tickets", condition("created", "gt", "2026-03-01"))


def test_a_date_with_t_compares_as_text(reading: Simulator) -> None:
    day = expected(reading, "tickets", lambda row: row["created"].startswith("2026-03-02"))
    after = found(reading, "tickets", condition("created", "gte", "2026-03-02T00:00:00"))
    assert day
    assert not day & after


def test_text_operators_see_dates_as_text(reading: Simulator) -> None:
    assert found(reading, "tickets", condition("created", "startswith", "2026-03-02")) == expected(
        reading, "tickets", lambda row: row["created"].startswith("2026-03-02")
    )


def test_integers_compare_as_numbers(simulator: Simulator) -> None:
    simulator.edit("tickets", 10002, sla_duration="900")
    simulator.edit("tickets", 10003, sla_duration=10000)
    above = found(simulator, "tickets", condition("sla_duration", "gte", "1000"))
    assert 10003 in above
    assert 10002 not in above
    assert found(simulator, "tickets", condition("name", "eq", "10007")) == {10007}
    assert found(simulator, "tickets", condition("name", "eq", "10007.0")) == {10007}
    assert found(simulator, "tickets", condition("name", "in", ["10007", "10009", "x"])) == {10007, 10009}
    assert found(simulator, "tickets", condition("name", "lt", "9")) == set()


@pytest.mark.parametrize(("value", "wanted"), [("1", True), ("true", True), ("0", False), ("false", False)])
def test_booleans_match_in_every_spelling(simulator: Simulator, value: str, wanted: bool) -> None:  # noqa: FBT001
    for name, spelling in enumerate((True, False, 1, 0, "1", "0", "", None), 10001):
        simulator.edit("tickets", name, unread=spelling)
    matching = {10001, 10003, 10005} if wanted else {10002, 10004, 10006, 10007}
    few = condition("name", "lte", 10008)
    assert found(simulator, "tickets", condition("unread", "eq", value), few) == matching


def test_relations_are_found_by_name_bare_and_dotted(reading: Simulator) -> None:
    wanted = expected(reading, "activities", lambda row: row["queue"] and row["queue"]["name"] == 3001)
    assert wanted
    assert found(reading, "activities", condition("queue", "eq", "3001")) == wanted
    assert found(reading, "activities", condition("queue.name", "eq", "3001")) == wanted
    user = reading.dataset.tables["users"][1]["name"]
    assert found(reading, "tickets", condition("user", "eq", user)) == expected(
        reading, "tickets", lambda row: row["user"] and row["user"]["name"] == user
    )
    without = expected(reading, "tickets", lambda row: row["user"] is None)
    assert found(reading, "tickets", condition("user", "isnull")) == without


def test_relations_are_found_by_what_lies_behind(simulator: Simulator) -> None:
    for ticket in simulator.dataset.tables["tickets"][:5]:
        simulator.edit("tickets", ticket["name"], priority="HIGH")
    wanted = expected(
        simulator, "activities", lambda row: row["ticket"] and row["ticket"]["category"]["title"] == "Podpora"
    )
    assert wanted
    assert found(simulator, "activities", condition("ticket.category.title", "eq", "Podpora")) == wanted


def test_calls_are_found_by_their_queue_and_agent(reading: Simulator) -> None:
    call = next(row for row in reading.dataset.tables["activitiesCall"] if row["id_agent"] and row["id_queue"])
    filters = [
        condition("id_queue", "eq", call["id_queue"]["name"]),
        condition("id_agent", "eq", call["id_agent"]["name"]),
    ]
    matching = rows(reading, "activitiesCall", fields=["id_call"], filter=filters, sort=by("id_call"))
    assert {"id_call": call["id_call"]} in matching


def test_missing_items_are_found_but_items_cannot_be_compared(reading: Simulator) -> None:
    wanted = expected(reading, "activities", lambda row: row["item"] is None)
    assert found(reading, "activities", condition("item", "isnull")) == wanted
