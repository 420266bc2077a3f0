"""Whose clock counts, in which zone, and that no clock change loses anything."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from tap_daktela.streams import STREAMS
from tap_daktela.sync import Checkpoint, Sync
from tap_daktela.table import Table
from tests.simulator import Simulator, generate
from tests.tap_daktela import original
from tests.tap_daktela.running import instance_of, run_tap, select, settings

if TYPE_CHECKING:
    from tests.simulator import Dataset

PRAGUE = ZoneInfo("Europe/Prague")
(ACTIVITIES,) = [stream for stream in STREAMS if stream.name == "activities"]


def test_the_settle_bound_follows_the_server_s_clock() -> None:
    """The simulator's clock stands in March 2026, wherever ours is."""
    dataset = generate(activities=800, tickets=100, seed=1)
    with Simulator(dataset) as simulator:
        run = run_tap(settings(simulator, settle_minutes=600), catalog=select("activities", "tickets"))
    until = original.settled(dataset, minutes=600)
    for stream in ("activities", "tickets"):
        expected = {original.key(row, stream) for row in original.rows(dataset, stream, until=until)}
        assert set(run.keys(stream)) == expected
        assert expected < original.keys(dataset, stream)
        assert run.bookmark(stream) == "2026-03-10T01:00:00+00:00"


@pytest.mark.parametrize("zone", ["Europe/Prague", "America/New_York", "Asia/Kolkata", "Pacific/Auckland"])
def test_the_zone_comes_from_the_answer(zone: str) -> None:
    dataset = generate(activities=200, tickets=50, seed=1, timezone=zone)
    with Simulator(dataset) as simulator:
        run = run_tap(settings(simulator), catalog=select("tickets"))
    now = datetime.fromisoformat(dataset.now).replace(tzinfo=ZoneInfo(zone))
    assert datetime.fromisoformat(run.bookmark("tickets") or "") == now - timedelta(minutes=30)
    instants = {
        f"acme_{row['name']}": datetime.fromisoformat(row["edited"]).replace(tzinfo=ZoneInfo(zone))
        for row in dataset.tables["tickets"]
    }
    assert run.records["tickets"]
    for record in run.records["tickets"]:
        assert record["edited"].endswith("Z")
        assert datetime.fromisoformat(record["edited"]) == instants[record["name"]]


@pytest.mark.parametrize("zone", ["Europe/Prague", "Asia/Kolkata"])
def test_t8_local_datetimes_are_the_same_instants_with_the_offset_of_the_instance(zone: str) -> None:
    with Simulator(generate(activities=200, tickets=50, seed=1, timezone=zone)) as simulator:
        utc = run_tap(settings(simulator))
        local = run_tap(settings(simulator, datetimes="local"))
    assert {**local.schemas, "x": utc.state} == {**utc.schemas, "x": local.state}
    datetimes = 0
    for name, records in utc.records.items():
        for one, other in zip(records, local.records[name], strict=True):
            for column, schema in utc.schemas[name]["schema"]["properties"].items():
                if schema.get("format") != "date-time" or one[column] is None:
                    assert one[column] == other[column]
                    continue
                datetimes += 1
                instant = datetime.fromisoformat(one[column])
                assert one[column] == f"{instant:%Y-%m-%dT%H:%M:%SZ}"
                assert other[column] == instant.astimezone(ZoneInfo(zone)).isoformat()
    assert datetimes > 500


def test_a_setting_that_contradicts_the_zone_wins_and_is_warned_about() -> None:
    with Simulator(generate(activities=50, tickets=50, seed=1)) as simulator:
        config = settings(simulator, timezone="America/New_York", datetimes="local")
        run = run_tap(config, catalog=select("tickets"))
    assert run.code == 0
    assert len([line for line in run.warnings if "America/New_York" in line and "Europe/Prague" in line]) == 1
    assert all(record["edited"].endswith(("-05:00", "-04:00")) for record in run.records["tickets"])


@pytest.mark.parametrize(("timezone", "expected"), [(None, "+01:00"), ("Asia/Kolkata", "+05:30")])
def test_old_builds_tell_no_zone(timezone: str | None, expected: str) -> None:
    with Simulator(generate(activities=50, tickets=50, seed=1, days=3), timezone_in_answer=False) as simulator:
        config = settings(simulator, timezone=timezone, datetimes="local")
        run = run_tap(config, catalog=select("tickets"))
    assert run.code == 0, run.log
    assert not run.warnings
    assert {record["edited"][-6:] for record in run.records["tickets"]} == {expected}


# Both clock changes of a year.

CHANGES = {
    "spring": datetime(2026, 3, 29, 1, tzinfo=UTC),
    "autumn": datetime(2026, 10, 25, 1, tzinfo=UTC),
}


def around(change: datetime) -> tuple[Dataset, dict[str, datetime]]:
    """Return an instance with an activity in each minute around a clock change, and their true instants."""
    dataset = generate(activities=500, tickets=5, seed=1, orphans=0.0, now="2026-01-15 12:00:00", days=5)
    instants = {}
    rows = [row for row in dataset.tables["activities"] if row["type"] in {"", "COMMENT", "SMS", "CALL", "EMAIL"}]
    for minute, row in enumerate(rows[:420]):
        instant = change + timedelta(minutes=minute - 210)
        local = instant.astimezone(PRAGUE).strftime("%Y-%m-%d %H:%M:%S")
        row["time"] = row["time_open"] = row["time_close"] = local
        instants[f"acme_{row['name']}"] = instant
    dataset.tables["activities"][:] = rows[:420]
    return dataset, instants


@pytest.mark.parametrize("season", CHANGES)
@pytest.mark.parametrize("step", [7, 25, 60])
def test_runs_through_a_clock_change_lose_nothing(season: str, step: int) -> None:
    """Run after run without a look-back, each of which sees only the rows that exist at its time."""
    dataset, instants = around(CHANGES[season])
    whole = list(dataset.tables["activities"])
    bookmark = None
    emitted: Counter[str] = Counter()
    runs = range(-150, 260, step)
    for minute in runs:
        now = CHANGES[season] + timedelta(minutes=minute)
        dataset.tables["activities"] = [row for row in whole if instants[f"acme_{row['name']}"] <= now]
        dataset.set_now(now.astimezone(PRAGUE).strftime("%Y-%m-%d %H:%M:%S"))
        with Simulator(dataset) as simulator:
            config = {"lookback_minutes": 0, "settle_minutes": 5, "start_date": "2026-01-01"}
            for step_made in Sync(
                ACTIVITIES, ACTIVITIES.fields, instance_of(simulator, **config), bookmark
            ).read():
                if isinstance(step_made, Checkpoint):
                    bookmark = max(bookmark or step_made.instant, step_made.instant)
                else:
                    emitted.update(record["name"] for record in step_made)
    end = CHANGES[season] + timedelta(minutes=runs[-1] - 5)
    assert {name for name, instant in instants.items() if instant < end} <= set(emitted)
    # Only what lies in the hour that autumn repeats may come twice.
    again = {name for name, times in emitted.items() if times > 1}
    near = {name for name in again if abs(instants[name] - CHANGES[season]) <= timedelta(minutes=75)}
    assert again == near if season == "autumn" else not again


@pytest.mark.parametrize("season", CHANGES)
def test_slices_that_meet_in_a_clock_change_leave_no_gap(season: str) -> None:
    dataset, instants = around(CHANGES[season])
    dataset.set_now("2026-12-01 12:00:00")
    borders = [CHANGES[season] + timedelta(minutes=minutes) for minutes in (-300, -40, -20, 0, 10, 45, 70, 300)]
    emitted: set[str] = set()
    with Simulator(dataset) as simulator:
        for start, end in pairwise(borders):
            instance = instance_of(simulator, start_date=start.isoformat(), end_date=end.isoformat())
            steps = Sync(ACTIVITIES, ACTIVITIES.fields, instance, None).read()
            names = {record["name"] for step in steps if isinstance(step, Table) for record in step}
            assert {name for name, instant in instants.items() if start <= instant < end} <= names
            emitted |= names
    assert emitted == set(instants)


def test_dates_without_an_offset_are_the_instance_s() -> None:
    dataset = generate(activities=800, tickets=20, seed=1)
    with Simulator(dataset) as simulator:
        dates = {"start_date": "2026-02-20", "end_date": "2026-03-01T12:00:00"}
        run = run_tap(settings(simulator, **dates), catalog=select("activities"))
        offset = {"start_date": "2026-02-19T23:00:00Z", "end_date": "2026-03-01T13:00:00+02:00"}
        same = run_tap(settings(simulator, **offset), catalog=select("activities"))
    rows = original.rows(dataset, "activities", since="2026-02-20 00:00:00", until="2026-03-01 12:00:00")
    assert set(run.keys("activities")) == {original.key(row, "activities") for row in rows}
    assert same.keys("activities") == run.keys("activities")
    assert run.bookmark("activities") == "2026-03-01T11:00:00+00:00"


def test_a_start_date_before_the_state_is_no_warning() -> None:
    with Simulator(generate(activities=300, tickets=50, seed=1)) as simulator:
        config = settings(simulator, lookback_minutes=0)
        first = run_tap({**config, "start_date": "2020-01-01"})
        second = run_tap({**config, "start_date": "2020-01-01"}, state=first.state)
    assert not second.warnings
    assert not second.records["tickets"]


@pytest.mark.parametrize(("start", "warned"), [("2026-03-10T11:00:00Z", 1), ("2026-03-10T10:30:00Z", 0)])
def test_a_start_date_after_the_state_is_one_warning_and_has_no_effect(start: str, warned: int) -> None:
    with Simulator(generate(activities=300, tickets=50, seed=1)) as simulator:
        config = settings(simulator, lookback_minutes=0)
        first = run_tap(config)
        simulator.advance(minutes=120, new_tickets=9)
        second = run_tap({**config, "start_date": start}, state=first.state)
    assert first.bookmark("tickets") == "2026-03-10T10:30:00+00:00"
    lines = [line for line in second.warnings if line.startswith(f"acme: start_date, {start}, is later than")]
    assert len(lines) == len(second.warnings) == warned
    assert all("--full-refresh" in line for line in lines)
    assert min(record["edited"] for record in second.records["tickets"]) < "2026-03-10T11:00:00Z"
