"""Changes of rows while they are read and between two runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tests.simulator.asking import by, condition, get, names, rows
from tests.simulator.drift import Drift
from tests.simulator.generate import generate
from tests.simulator.schema import ITEM_TABLES, TABLES, key_of
from tests.simulator.simulator import Simulator

if TYPE_CHECKING:
    from tests.simulator.dataset import Dataset

SMALL: dict[str, Any] = {"activities": 300, "tickets": 60, "accounts": 40, "open_share": 0.2}
NOW = "2026-03-10 12:00:00"


def snapshot(dataset: Dataset) -> dict[tuple[str, Any], bytes]:
    """Return every row with its relations as names, so that a change appears in one row only."""

    def shallow(value: Any) -> Any:
        if isinstance(value, dict) and "_sys" in value:
            return value.get("name", value.get("id_call"))
        return [shallow(each) for each in value] if isinstance(value, list) else value

    return {
        (table, row[key_of(table)]): msgspec.json.encode({name: shallow(value) for name, value in row.items()})
        for table, held in dataset.tables.items()
        for row in held
    }


def changed(before: dict[Any, bytes], after: dict[Any, bytes]) -> set[Any]:
    return {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}


def drifted(drift: Drift, requests: int = 8) -> Simulator:
    with Simulator(generate(**SMALL)) as simulator:
        simulator.drift = drift
        for _ in range(requests):
            rows(simulator, "tickets", fields=["name"], sort=by("edited", "name"))
    return simulator


def test_exactly_the_touched_rows_change() -> None:
    tables = [table for table in TABLES if table not in ITEM_TABLES.values()]
    before = snapshot(generate(**SMALL))
    simulator = drifted(Drift(every=2, edit=2, close=2, insert=2, delete=1, tables=tables, backdate=60))
    assert simulator.drift is not None
    assert simulator.drift.steps == 4
    after = snapshot(simulator.dataset)
    difference = changed(before, after)
    assert difference <= simulator.touched
    # What was made and deleted again is touched without a trace.
    assert not (simulator.touched - difference) & (before.keys() | after.keys())
    assert {table for table, _ in difference} >= set(tables)


def test_the_same_seed_changes_the_same_rows() -> None:
    def touched(seed: int) -> tuple[set[Any], dict[Any, bytes]]:
        simulator = drifted(Drift(edit=3, close=2, insert=2, delete=1, seed=seed))
        return simulator.touched, snapshot(simulator.dataset)

    assert touched(7) == touched(7)
    assert touched(7)[0] != touched(8)[0]


def test_edited_tickets_jump_to_now() -> None:
    simulator = drifted(Drift(edit=4, tables=("tickets",)), requests=1)
    assert len(simulator.touched) == 4
    edited = [row for row in simulator.dataset.tables["tickets"] if row["edited"] == NOW]
    assert {("tickets", row["name"]) for row in edited} >= simulator.touched


def test_the_server_serves_changed_rows(simulator: Simulator) -> None:
    simulator.drift = Drift(edit=80, tables=("tickets",))
    asked: dict[str, Any] = {"fields": ["edited"], "sort": by("edited", "name")}
    assert rows(simulator, "tickets", **asked)[0]["edited"] < NOW
    assert {row["edited"] for row in rows(simulator, "tickets", **asked)} == {NOW}
    assert names(simulator, "tickets", filter=[condition("edited", "lt", NOW)]) == []


def test_rows_leave_a_window_between_two_of_its_pages(simulator: Simulator) -> None:
    window = [condition("edited", "lt", "2026-03-10 11:30:00")]
    asked: dict[str, Any] = {"filter": window, "sort": by("edited", "name"), "take": 20}
    before = names(simulator, "tickets", **asked | {"take": 1000})
    simulator.drift = Drift(edit=5, tables=("tickets",))
    seen = [name for skip in range(0, 80, 20) for name in names(simulator, "tickets", skip=skip, **asked)]
    lost = set(before) - set(seen)
    assert {name for name in lost if ("tickets", name) not in simulator.touched}


def test_open_activities_are_closed_now_and_their_items_with_them() -> None:
    simulator = drifted(Drift(close=5, tables=("activities",)), requests=2)
    by_name = simulator.stores["activities"].by_name
    closed = [by_name[name] for table, name in simulator.touched if table == "activities"]
    assert len(closed) == 10
    for row in closed:
        assert (row["action"], row["time_close"]) == ("CLOSE", NOW)
        assert not row["item"] or row["item"]["duration"] is not None or row["type"] == "EMAIL"
    assert {table for table, _ in simulator.touched} & {"activitiesWeb", "activitiesSms", "activitiesCall"}


def test_inserted_rows_are_of_now_or_of_the_time_before() -> None:
    simulator = drifted(Drift(insert=3, tables=("tickets", "activities", "accounts")), requests=1)
    assert {table for table, _ in simulator.touched} >= {"tickets", "activities", "accounts"}
    assert len(simulator.dataset.tables["accounts"]) == 43
    assert all(row["time"] == NOW for row in simulator.dataset.tables["activities"][-3:])
    backdated = drifted(Drift(insert=20, tables=("activities",), backdate=600), requests=1)
    times = [row["time"] for row in backdated.dataset.tables["activities"][-20:]]
    assert min(times) < "2026-03-10 04:00:00"
    assert max(times) <= NOW


def test_inserted_accounts_sort_anywhere() -> None:
    simulator = drifted(Drift(insert=4, tables=("accounts",)), requests=5)
    order = [row["name"] for row in simulator.stores["accounts"].index(("name",)).rows]
    places = {order.index(name) for _, name in simulator.touched}
    assert len(places) == 20
    assert min(places) < 20
    assert max(places) > 40


def test_rows_are_deleted_from_tables_that_are_read_whole_only() -> None:
    simulator = drifted(Drift(delete=2, tables=("tickets", "activities", "accounts", "groups")), requests=3)
    assert {table for table, _ in simulator.touched} == {"accounts", "groups"}
    assert len(simulator.dataset.tables["accounts"]) == 34
    assert not {name for table, name in simulator.touched if table == "accounts"} & set(
        simulator.stores["accounts"].by_name
    )


def test_drift_can_move_the_clock() -> None:
    assert drifted(Drift(every=2, tick=90), requests=6).now == "2026-03-10 12:04:30"


def test_drift_counts_list_requests_that_succeed(simulator: Simulator) -> None:
    simulator.drift = Drift(every=1, tick=60)
    for parameters in ({"take": 5000}, {"sort": "name"}):
        get(simulator, "tickets", **parameters)
    get(simulator, "tickets/10001")
    get(simulator, "whoim")
    assert simulator.drift.requests == 0


@pytest.mark.parametrize("options", [{"every": 0}, {"tables": ["nonsense"]}, {"tables": ["activitiesCall"]}])
def test_invalid_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="tables"):
        Drift(**options)


# Between two runs


def test_advance_creates_rows_between_the_old_and_the_new_time(simulator: Simulator) -> None:
    before = snapshot(simulator.dataset)
    touched = simulator.advance(minutes=60, new_activities=20, new_tickets=3, edit_tickets=5, close_activities=2)
    assert simulator.now == "2026-03-10 13:00:00"
    assert changed(before, snapshot(simulator.dataset)) <= touched
    assert simulator.touched == set()
    new = simulator.dataset.tables["activities"][400:]
    assert len(new) == 20
    assert all(NOW < row["time"] <= simulator.now for row in new)
    edited = [row for row in simulator.dataset.tables["tickets"] if NOW < row["edited"] <= simulator.now]
    assert len(edited) >= 5
    late = [row for row in simulator.dataset.tables["activities"][:400] if (row["time_close"] or "") > NOW]
    assert len(late) == 2


def test_an_edit_sets_no_time_in_the_past(simulator: Simulator) -> None:
    edited = {row["name"]: row["edited"] for row in simulator.dataset.tables["tickets"]}
    simulator.advance(minutes=60, new_tickets=50, edit_tickets=100)
    for row in simulator.dataset.tables["tickets"]:
        assert row["edited"] >= edited.get(row["name"], row["created"])
        assert row["edited"] <= simulator.now


def test_nothing_is_closed_before_it_began() -> None:
    simulator = Simulator(generate(activities=50, open_share=0.8))
    simulator.advance(minutes=60, new_activities=200, close_activities=150)
    times = [(row["time"], row["time_close"]) for row in simulator.dataset.tables["activities"][50:]]
    assert all(opened <= closed for opened, closed in times if closed)


def test_the_same_steps_give_the_same_rows() -> None:
    def world() -> dict[Any, bytes]:
        simulator = Simulator(generate(**SMALL))
        simulator.advance(minutes=30, new_activities=10, edit_tickets=3)
        simulator.advance(minutes=30, new_activities=10, close_activities=3)
        return snapshot(simulator.dataset)

    assert world() == world()


def test_closing_a_postponed_activity_changes_no_date() -> None:
    simulator = Simulator(generate(activities=300, postponed_share=0.3))
    times = {row["name"]: row["time_close"] for row in simulator.dataset.tables["activities"]}
    touched = simulator.advance(minutes=60, close_postponed=4)
    postponed = [name for table, name in touched if table == "activities"]
    assert len(postponed) == 4
    for name in postponed:
        row = simulator.stores["activities"].by_name[name]
        assert (row["action"], row["time_close"]) == ("CLOSE", times[name])


def test_nothing_is_closed_that_is_not_open() -> None:
    simulator = Simulator(generate(activities=50, open_share=0, postponed_share=0))
    simulator.advance(minutes=30, close_activities=100, close_postponed=100)
    assert simulator.advance(close_activities=5) == set()


def test_the_clock_goes_through_the_autumn_hour_twice() -> None:
    simulator = Simulator(generate(activities=20, now="2025-10-26 02:30:00"))
    simulator.advance(minutes=60, new_activities=3)
    assert simulator.now == "2025-10-26 02:30:00"
    simulator.advance(minutes=60)
    assert simulator.now == "2025-10-26 03:30:00"
    simulator.now = "2026-03-29 01:59:00"
    simulator.advance(minutes=1)
    assert simulator.now == "2026-03-29 03:00:00"
