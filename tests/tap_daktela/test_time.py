"""Whose clock counts, in which zone, and that no clock change loses anything."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from tap_daktela.inputs.settings import CLOCK_TOLERANCE, read
from tap_daktela.reading import server_clock
from tap_daktela.reading.instance import Instance
from tap_daktela.reading.stream_reader import Checkpoint, StreamReader
from tap_daktela.records.row_mapper import RecordBatch
from tap_daktela.streams.definitions import STREAMS
from tests.retries import QUICK
from tests.simulator import Simulator, envelope, generate
from tests.tap_daktela import original
from tests.tap_daktela.quick import punctual
from tests.tap_daktela.running import instance_of, run_tap, select, settings

if TYPE_CHECKING:
    from collections.abc import Callable

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
@pytest.mark.promise("T8")
def test_local_datetimes_are_the_same_instants_with_the_offset_of_the_instance(zone: str) -> None:
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
            for step_made in StreamReader(
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
            steps = StreamReader(ACTIVITIES, ACTIVITIES.fields, instance, None).read()
            names = {record["name"] for step in steps if isinstance(step, RecordBatch) for record in step}
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


def test_a_start_date_in_the_future_fails_the_run_in_one_line_and_full_tables_are_read() -> None:
    with Simulator(generate(activities=30, tickets=5, seed=1)) as simulator:
        run = run_tap(settings(simulator, start_date="2062-03-01"))
        again = run_tap(settings(simulator, start_date="2026-03-01"), state=run.state)
    reason = "acme: start_date, 2062-03-01, is in the future: the clock of the instance is at 2026-03-10 11:00:00"
    assert run.code == 1
    line, summary = run.errors
    assert line.startswith(reason)
    assert reason in summary
    assert run.log.splitlines()[-1].endswith(summary)
    assert run.records["accounts"]
    assert not run.records["tickets"]
    assert again.records["tickets"]


def test_a_slice_before_the_bookmark_is_a_warning_and_no_failure() -> None:
    with Simulator(generate(activities=30, tickets=5, seed=1)) as simulator:
        first = run_tap(settings(simulator))
        second = run_tap(settings(simulator, end_date="2026-01-01"), state=first.state)
    assert second.code == 0
    (warning,) = second.warnings
    assert warning.startswith("acme: nothing to read: end_date, 2026-01-01, is before ")


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


# Clocks that are wrong, and jump.

START = datetime(2026, 3, 10, 8, tzinfo=UTC)


def local(instant: datetime) -> str:
    return instant.astimezone(PRAGUE).strftime("%Y-%m-%d %H:%M:%S")


class World:
    """An instance with an activity in each minute. Its clock may be wrong, that of this machine is right."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, skew: Callable[[int], timedelta]) -> None:
        """`skew` is by how much the clock of the instance is ahead in a minute; rows carry its times."""
        self.dataset = generate(activities=900, tickets=5, seed=1, orphans=0.0, now="2026-01-15 12:00:00", days=5)
        kinds = {"", "COMMENT", "SMS", "CALL", "EMAIL"}
        self.rows = [row for row in self.dataset.tables["activities"] if row["type"] in kinds][:400]
        for minute, row in enumerate(self.rows):
            row["time"] = row["time_open"] = row["time_close"] = local(self._at(minute) + skew(minute))
        self.skew = skew
        self.minute = 0
        self.bookmark: datetime | None = None
        self.emitted: set[str] = set()
        monkeypatch.setattr(server_clock, "machine_time", lambda: self._at(self.minute))

    def _at(self, minute: int) -> datetime:
        return START + timedelta(minutes=minute)

    def run(self, minute: int, **config: Any) -> Simulator:
        """Read, without a look-back, what there is in a minute."""
        self.minute = minute
        self.dataset.tables["activities"] = self.rows[:minute]
        self.dataset.set_now(local(self._at(minute) + self.skew(minute)))
        with Simulator(self.dataset) as simulator:
            values = settings(simulator, **{"lookback_minutes": 0, "settle_minutes": 5, **config})
            run = read(values, "tests", QUICK, CLOCK_TOLERANCE)
            instance = Instance(run.instances[0], run, lambda: None)
            for step in StreamReader(ACTIVITIES, ACTIVITIES.fields, instance, self.bookmark).read():
                if isinstance(step, Checkpoint):
                    is_back = step.replaces_bookmark or self.bookmark is None
                    self.bookmark = step.instant if is_back else max(self.bookmark or START, step.instant)
                else:
                    self.emitted.update(record["name"] for record in step)
        assert self.bookmark is None or self.bookmark <= self._at(minute)
        return simulator

    def missing(self, minute: int) -> list[int]:
        """Return the minutes before `minute` whose rows have not been emitted."""
        return [place for place, row in enumerate(self.rows[:minute]) if f"acme_{row['name']}" not in self.emitted]


@pytest.mark.parametrize("hours", [0.1, 0.5, 2, 48, -0.1, -0.5, -2, -48])
@pytest.mark.parametrize("step", [10, 30])
@pytest.mark.promise("T1")
def test_a_clock_that_is_wrong_for_a_while_loses_nothing(
    monkeypatch: pytest.MonkeyPatch, hours: float, step: int
) -> None:
    """While it is wrong, new rows carry its times, too.

    If it goes back by less than the time between two runs, no bookmark lies in its future, and the look-back has
    to cover that.
    """
    world = World(monkeypatch, lambda minute: timedelta(hours=hours if 100 <= minute < 180 else 0))
    for minute in range(step, 400, step):
        world.run(minute, lookback_minutes=step if -step <= hours * 60 < 0 else 0)
    # Rows of a clock that was ahead are read when their time has come.
    world.run(390, settle_minutes=0)
    late = set(range(100, 180)) if hours > 0 else set()
    assert set(world.missing(380)) <= late
    if hours > 0:
        world.skew = lambda _minute: timedelta(hours=hours)
        world.run(399)
        assert world.missing(380) == []


@pytest.mark.parametrize("hours", [2, 48])
@pytest.mark.promise("T1")
def test_a_clock_that_only_one_response_had_wrong_loses_nothing(
    monkeypatch: pytest.MonkeyPatch, hours: float
) -> None:
    world = World(monkeypatch, lambda _: timedelta(0))
    for minute in range(10, 400, 10):
        world.skew = lambda _: timedelta(hours=hours if minute == 200 else 0)  # noqa: B023 - called in this pass
        world.run(minute)
    assert world.missing(380) == []


@pytest.mark.promise("T1")
def test_a_bookmark_in_the_future_of_an_earlier_version_is_replaced(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(monkeypatch, lambda _: timedelta(0))
    for minute in range(10, 110, 10):
        world.run(minute)
    assert not caplog.records
    world.bookmark = START + timedelta(days=2)
    for minute in range(200, 400, 10):
        world.run(minute, start_date="2026-03-01")
    assert world.missing(380) == []
    (line,) = {record.getMessage() for record in caplog.records}
    assert "bookmarks in the state lie in the future" in line
    assert "read again from start_date, 2026-03-01" in line


def test_a_clock_that_is_right_costs_no_request_and_no_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(monkeypatch, lambda _: timedelta(0))
    assert [request.endpoint for request in world.run(100).requests] == ["whoim", "activities", "activities"]
    assert not caplog.records


# Zones that contradict each other.


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York", "Europe/London"])
@pytest.mark.parametrize("timezone", [None, "Europe/Prague"])
@pytest.mark.promise("T8")
def test_the_zone_of_the_rows_counts_and_not_that_of_the_user(zone: str, timezone: str | None) -> None:
    dataset = generate(activities=300, tickets=50, seed=1)
    config = {"lookback_minutes": 0, "timezone": timezone}
    catalog = select("tickets", "activities", "users")
    with Simulator(dataset) as simulator:
        usual = run_tap(settings(simulator, lookback_minutes=0), catalog=catalog)
        usual_requests = len(simulator.requests)
    with Simulator(dataset, user_timezone=zone) as simulator:
        run = run_tap(settings(simulator, **config), catalog=catalog)
    assert run.code == 0, run.log
    assert run.records == usual.records
    assert run.state == usual.state
    # The range of the first stream was planned with the zone of the user, and has to be planned again.
    assert len(simulator.requests) <= usual_requests + 1
    told = [line for line in run.warnings if "whoim" in line]
    assert told == (
        [f"acme: the instance answers whoim in {zone} and sends rows in Europe/Prague; using the zone of the rows"]
        if timezone is None
        else []
    )


@pytest.mark.promise("T8")
def test_a_zone_that_changes_between_the_responses_of_a_stream_fails_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    times = envelope._times

    def alternating(simulator: Simulator, timezone: str = "") -> dict[str, str]:
        return times(simulator, timezone or ("Asia/Tokyo" if len(simulator.requests) > 4 else ""))

    monkeypatch.setattr(envelope, "_times", alternating)
    with Simulator(generate(activities=300, tickets=50, seed=1)) as simulator:
        run = run_tap(settings(simulator, page_size=10), catalog=select("activities"))
        configured = run_tap(
            settings(simulator, page_size=10, timezone="Europe/Prague"), catalog=select("activities")
        )
    assert run.code == 1
    assert run.errors[0].startswith(
        "activities (acme): responses of activities are in Europe/Prague and in Asia/Tokyo"
    )
    assert "set timezone" in run.errors[0]
    assert run.bookmark("activities") is None
    assert configured.code == 0, configured.log


# States that were edited or merged by hand.


def state_of(*bookmarks: Any, context: Any = None) -> dict[str, Any]:
    partitions = [
        {"context": context or {"server": "acme"}, "replication_key": "edited", "replication_key_value": bookmark}
        for bookmark in bookmarks
    ]
    return {"bookmarks": {"tickets": {"partitions": partitions}}}


@pytest.mark.promise("T1")
def test_of_duplicate_partitions_the_earliest_bookmark_is_followed() -> None:
    dataset = generate(activities=50, tickets=200, seed=1, days=30)
    early, late = "2026-02-20T00:00:00+00:00", "2026-03-10T00:00:00+00:00"
    with Simulator(dataset) as simulator:
        config = settings(simulator, lookback_minutes=0)
        one = run_tap(config, state=state_of(early), catalog=select("tickets"))
        two = run_tap(config, state=state_of(late, early, late), catalog=select("tickets"))
    assert (one.code, two.code) == (0, 0), two.log
    assert one.keys("tickets")
    assert two.keys("tickets") == one.keys("tickets")
    assert two.state == one.state
    assert len([line for line in two.warnings if "several bookmarks" in line]) == 1


@pytest.mark.parametrize(
    ("bookmark", "is_followed"),
    [
        ("0001-01-01T00:00:00+00:00", False),
        ("0001-01-01T00:00:00+05:00", False),
        ("9999-12-31T23:59:59+00:00", False),
        ("9999-12-31T23:59:59-05:00", False),
        ("2026-03-01T00:00:00+05:45", True),
        ("2026-03-01T00:00:00", True),
        ("2026-03-01", True),
    ],
)
@pytest.mark.promise("T1")
def test_any_bookmark_that_is_a_datetime_loses_nothing(bookmark: str, is_followed: bool) -> None:  # noqa: FBT001
    dataset = generate(activities=50, tickets=200, seed=1, days=30)
    with Simulator(dataset) as simulator:
        run = run_tap(
            settings(simulator, lookback_minutes=0),
            state=state_of(bookmark),
            catalog=select("tickets"),
            command=punctual,
        )
    assert run.code == 0, run.log
    since = "2026-03-01 02:00:00" if is_followed else "0001-01-01 00:00:00"
    assert {original.key(row, "tickets") for row in original.rows(dataset, "tickets", since=since)} <= set(
        run.keys("tickets")
    )
    assert (set(run.keys("tickets")) < original.keys(dataset, "tickets")) is is_followed
    assert run.bookmark("tickets") == "2026-03-10T10:30:00+00:00"


@pytest.mark.parametrize("bookmark", ["soon", "2026-13-01", 1772442000, [1], {"a": 1}, True])
def test_a_bookmark_that_is_no_datetime_fails_its_stream_alone(bookmark: object) -> None:
    with Simulator(generate(activities=50, tickets=20, seed=1)) as simulator:
        run = run_tap(settings(simulator), state=state_of(bookmark), catalog=select("tickets", "accounts"))
    assert run.code == 1
    assert run.errors[0].startswith("tickets (acme): the bookmark in the state, ")
    assert run.errors[0].endswith(", is not a datetime; remove it")
    assert run.records["accounts"]
    assert "Traceback" not in run.log


@pytest.mark.parametrize(
    "context", [{"server": "acme", "x": 1}, {"server": 1}, {"server": None}, {"other": "acme"}]
)
def test_partitions_of_another_form_are_kept_and_not_followed(context: dict[str, Any]) -> None:
    dataset = generate(activities=50, tickets=20, seed=1)
    state = state_of("2026-03-10T00:00:00+00:00", context=context)
    with Simulator(dataset) as simulator:
        run = run_tap(settings(simulator), state=state, catalog=select("tickets"))
    assert run.code == 0, run.log
    assert set(run.keys("tickets")) == original.keys(dataset, "tickets")
    kept = run.state["bookmarks"]["tickets"]["partitions"]
    assert state["bookmarks"]["tickets"]["partitions"][0] in kept
