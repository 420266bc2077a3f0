"""The invented instance is reproducible, linked, and has the unusual values of real ones."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import msgspec
import pytest

from tests.simulator.clock import exists, moment_of
from tests.simulator.generate import generate
from tests.simulator.schema import FIELDS, ITEM_TABLES, NUMBERED, REMOVED, TABLES, key_of, target_of

if TYPE_CHECKING:
    from tests.simulator.dataset import Dataset

PRAGUE = ZoneInfo("Europe/Prague")


def encoded(**options: object) -> bytes:
    return msgspec.json.encode(generate(activities=150, tickets=30, **options).tables)  # type: ignore[arg-type]


def test_the_same_arguments_give_the_same_instance() -> None:
    assert encoded(seed=4) == encoded(seed=4)
    assert encoded(seed=4) != encoded(seed=5)


@cache
def instance(build: str = "2026") -> Dataset:
    """Return an instance for tests that only read."""
    return generate(activities=2000, build=build)


@pytest.mark.parametrize("build", ["2026", "2021"])
@pytest.mark.parametrize("table", TABLES)
def test_every_row_has_every_field_of_its_build(table: str, build: str) -> None:
    rows = instance(build).tables[table]
    expected = set(FIELDS[table]) | (set(REMOVED[table]) if build == "2021" else set())
    # Which activities an item has is looked up, not stored.
    expected.discard("activities")
    assert rows
    for row in rows:
        assert expected <= set(row)
        assert build == "2021" or not set(REMOVED[table]) & set(row)


def test_counts_are_those_asked_for() -> None:
    tables = generate(activities=321, tickets=12, accounts=3, contacts=4, users=5, templates=6).tables
    counts = {
        name: len(tables[name]) for name in ("activities", "tickets", "accounts", "contacts", "users", "templates")
    }
    assert counts == {"activities": 321, "tickets": 12, "accounts": 3, "contacts": 4, "users": 5, "templates": 6}


@pytest.mark.parametrize("table", TABLES)
def test_keys_are_unique_and_integers_only_where_the_api_has_integers(table: str) -> None:
    keys = [row[key_of(table)] for row in instance("2021").tables[table]]
    assert len(set(keys)) == len(keys)
    assert {type(key) for key in keys} == {int if table in NUMBERED else str}


def test_relations_are_the_rows_of_the_other_tables() -> None:
    tables = instance().tables
    for table, rows in tables.items():
        for column in FIELDS[table]:
            target = target_of(table, column)
            related = [row[column] for row in rows] if target else []
            flat = [each for value in related for each in (value if isinstance(value, list) else [value])]
            known = {id(row) for row in tables[target]} if target else set()
            assert all(id(each) in known for each in flat if each is not None)


def test_items_are_the_rows_of_their_own_tables() -> None:
    tables = generate(activities=800, orphans=0).tables
    known = {kind: {id(row) for row in tables[table]} for kind, table in ITEM_TABLES.items()}
    for row in tables["activities"]:
        if row["type"] in known:
            assert id(row["item"]) in known[row["type"]]
        else:
            assert row["item"] is None
    assert set(known) < {row["type"] for row in tables["activities"]}


def test_most_activities_are_in_working_hours() -> None:
    hours: Counter[int] = Counter()
    weekdays: Counter[bool] = Counter()
    for row in generate(activities=4000, days=56).tables["activities"]:
        time = datetime.fromisoformat(row["time"])
        hours[time.hour] += 1
        weekdays[time.weekday() < 5] += 1
    assert sum(hours[hour] for hour in range(8, 18)) > 0.8 * hours.total()
    assert sum(hours[hour] for hour in range(5)) < 0.01 * hours.total()
    assert weekdays[False] < 0.1 * weekdays.total()


@pytest.mark.parametrize(
    ("now", "night", "hours"),
    [
        ("2026-04-05 12:00:00", "2026-03-29", {0, 1, 3}),
        ("2025-11-05 12:00:00", "2025-10-26", {0, 1, 2, 3}),
    ],
)
def test_both_nights_of_a_clock_change_have_rows(now: str, night: str, hours: set[int]) -> None:
    tables = generate(activities=3000, tickets=1000, now=now).tables
    times = [row["time"] for row in tables["activities"]] + [row["created"] for row in tables["tickets"]]
    assert {int(time[11:13]) for time in times if time.startswith(night)} >= hours
    assert all(exists(moment_of(time), PRAGUE) for time in times)


def test_nothing_is_newer_than_now_and_something_is_younger_than_the_settle_time() -> None:
    dataset = instance()
    for table, column in (("activities", "time"), ("activities", "time_close"), ("tickets", "edited")):
        times = [row[column] for row in dataset.tables[table] if row[column] is not None]
        assert max(times) <= dataset.now
        assert sum(time > "2026-03-10 11:30:00" for time in times) >= 2
        assert min(times) >= "2026-02-08 12:00:00"


def test_open_activities_have_no_closing_time_and_postponed_ones_have() -> None:
    states = Counter(
        (row["action"], row["time_close"] is None)
        for row in generate(activities=3000, open_share=0.1, postponed_share=0.1).tables["activities"]
    )
    assert set(states) == {("OPEN", True), ("WAIT", True), ("POSTPONE", False), ("CLOSE", False)}
    assert states["POSTPONE", False] > 80
    assert states["OPEN", True] + states["WAIT", True] > 80


def test_some_activities_are_open_for_days_but_no_call_is() -> None:
    rows = generate(activities=3000, open_share=0.1, postponed_share=0.1).tables["activities"]
    pending = [row for row in rows if row["action"] != "CLOSE" and row["time"] < "2026-03-09"]
    assert len(pending) > 50
    assert "CALL" not in {row["type"] for row in pending}


def test_orphans_are_as_many_as_asked_for() -> None:
    def lost(share: float) -> int:
        rows = generate(activities=2000, orphans=share).tables["activities"]
        return sum(row["item"] is None for row in rows if row["type"] in ("CALL", "EMAIL", "CHAT"))

    assert lost(0) == 0
    assert 200 < lost(0.2) < 450


def test_a_transferred_call_has_several_activities() -> None:
    rows = [row for row in instance().tables["activities"] if row["type"] == "CALL" and row["item"]]
    calls = Counter(row["item"]["id_call"] for row in rows)
    shared = {call for call, count in calls.items() if count > 1}
    assert 20 < len(shared) < 200
    users = {call: {id(row["user"]) for row in rows if row["item"]["id_call"] == call} for call in shared}
    assert sum(len(each) > 1 for each in users.values()) > len(shared) / 2


def test_a_burst_is_one_second() -> None:
    rows = generate(activities=100, burst=("2026-03-01 10:00:00", 1500)).tables["activities"]
    assert len(rows) == 1600
    assert sum(row["time"] == "2026-03-01 10:00:00" for row in rows) >= 1500


def test_the_longest_email_is_as_long_as_asked_for() -> None:
    texts = [row["text"] for row in generate(activities=200, long_text=500_000).tables["activitiesEmail"]]
    assert max(map(len, texts)) == 500_000


def test_some_booleans_and_integers_have_other_types() -> None:
    tables = instance().tables
    spelled = {type(row["important"]): row["important"] for row in tables["activities"]}
    assert {bool, int, str} == set(spelled)
    assert {"", "0", "1"} <= {
        row["answered"] for row in tables["activitiesCall"] if isinstance(row["answered"], str)
    }
    assert {int, str} <= {type(row["duration"]) for row in tables["activitiesCall"]}


def test_texts_contain_unusual_characters() -> None:
    tables = instance().tables
    text = "".join(
        [row["description"] for row in tables["activities"]] + [row["text"] for row in tables["activitiesEmail"]]
    )
    for odd in ("\x00", "\u2028", "👩", "שלום", "ďábelské", "<table>", '"', "\\", "\t"):
        assert odd in text


def test_empty_objects_are_lists_and_empty_text_is_not_null() -> None:
    tables = instance().tables
    assert {type(row["customFields"]) for row in tables["tickets"]} == {dict, list}
    assert {None, ""} <= {row["description"] for row in tables["tickets"]}
    fields = [row["customFields"] for row in tables["tickets"] if row["customFields"]]
    assert all(isinstance(value, list) for each in fields for value in each.values())


def test_directions_are_lower_case_for_calls_and_upper_case_for_messages() -> None:
    tables = instance().tables
    assert {row["direction"] for row in tables["activitiesCall"]} == {"in", "out", "internal"}
    assert {row["direction"] for row in tables["activitiesEmail"]} == {"in", "out"}
    assert {row["direction"] for row in tables["activitiesSms"]} == {"IN", "OUT", ""}


def test_dates_may_lie_in_the_future() -> None:
    reopen = {row["reopen"] for row in instance().tables["tickets"] if row["stage"] == "CLOSE"}
    assert "2030-01-01 00:00:00" in reopen


def test_no_number_or_address_is_real() -> None:
    tables = instance("2021").tables
    numbers = {row["clid"] for row in tables["activitiesCall"]} | {row["did"] for row in tables["activitiesCall"]}
    assert all(number == "" or number.startswith("00441632960") for number in numbers)
    addresses = {row["address"] for row in tables["activitiesEmail"]}
    assert all(
        each.rpartition("@")[2].split(".")[-2:][0] == "example" or each.endswith(".example") for each in addresses
    )


def test_a_copy_is_another_instance() -> None:
    dataset = generate(activities=50, tickets=10)
    copied = dataset.copy()
    copied.tables["tickets"][0]["title"] = "changed"
    assert dataset.tables["tickets"][0]["title"] != "changed"
    assert copied.tables["activities"][0]["queue"] in copied.tables["queues"]
