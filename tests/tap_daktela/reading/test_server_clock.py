from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tap_daktela.reading import server_clock
from tap_daktela.reading.server_clock import Clock, ServerClock

PRAGUE = ZoneInfo("Europe/Prague")
TOLERANCE = timedelta(minutes=5)
NOON = datetime(2026, 3, 10, 11, tzinfo=UTC)
"""Noon in Prague."""


class Clocks:
    """The clock of an instance, and that of this machine, which stands still unless it is moved."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, zone: str | None = None) -> None:
        self.machine = NOON
        self.warnings: list[str] = []
        monkeypatch.setattr(server_clock, "machine_time", lambda: self.machine)
        self.server = ServerClock(zone, TOLERANCE, self._warn)

    def _warn(self, line: str) -> None:
        if line not in self.warnings:
            self.warnings.append(line)


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    return Clocks(monkeypatch)


def test_clocks_that_agree_cause_no_warning(clocks: Clocks) -> None:
    clocks.server.guess("2026-03-10 12:00:01", "Europe/Prague")
    for second in (2, 3, 59):
        clock = clocks.server.observe(f"2026-03-10 12:00:{second:02}", "Europe/Prague")
    assert clock == Clock(NOON + timedelta(seconds=1), PRAGUE, NOON, TOLERANCE)
    assert clocks.server.latest_bookmark == NOON
    assert clocks.warnings == []


def test_the_zone_and_the_time_of_the_first_rows_replace_those_of_whoim(clocks: Clocks) -> None:
    clocks.server.guess("2026-03-10 20:00:00", "Asia/Tokyo")
    assert clocks.server.clock.zone.key == "Asia/Tokyo"
    clock = clocks.server.observe("2026-03-10 12:00:00", "Europe/Prague")
    assert (clock.now, clock.zone) == (NOON, PRAGUE)
    (line,) = clocks.warnings
    assert "whoim in Asia/Tokyo and sends rows in Europe/Prague; using the zone of the rows" in line


def test_a_time_of_whoim_that_is_not_in_the_zone_beside_it_is_replaced(clocks: Clocks) -> None:
    clocks.server.guess("2026-03-10 12:00:00", "America/New_York")
    assert clocks.server.clock.now == NOON + timedelta(hours=5)
    assert clocks.server.observe("2026-03-10 12:00:00", "Europe/Prague").now == NOON


@pytest.mark.parametrize("told", ["Asia/Tokyo", "Europe/Brno", "", None])
def test_the_setting_is_the_zone_of_the_rows(monkeypatch: pytest.MonkeyPatch, told: str | None) -> None:
    clocks = Clocks(monkeypatch, "Europe/Prague")
    clocks.server.guess("2026-03-10 12:00:00", told)
    clock = clocks.server.observe("2026-03-10 12:00:00", told)
    assert (clock.now, clock.zone) == (NOON, PRAGUE)
    assert [line for line in clocks.warnings if "the setting timezone is Europe/Prague" in line] == (
        ["the setting timezone is Europe/Prague, but the instance names Asia/Tokyo; using the setting"]
        if told == "Asia/Tokyo"
        else []
    )


def test_a_setting_that_agrees_with_the_rows_causes_no_warning_about_whoim(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clocks = Clocks(monkeypatch, "Europe/Prague")
    clocks.server.guess("2026-03-10 20:00:00", "Asia/Tokyo")
    clocks.server.observe("2026-03-10 12:00:00", "Europe/Prague")
    assert clocks.warnings == []


@pytest.mark.parametrize("name", ["Europe/Brno", "../etc", "CEST+2", "x" * 300])
def test_an_unknown_zone_causes_a_warning_and_is_not_used(clocks: Clocks, name: str) -> None:
    clocks.server.guess("2026-03-10 12:00:00", "Europe/London")
    assert clocks.server.observe("2026-03-10 11:00:00", name).zone.key == "Europe/London"
    (line,) = clocks.warnings
    assert "unknown time zone" in line
    assert "set timezone" in line


def test_a_response_without_a_zone_is_in_that_of_the_others(clocks: Clocks) -> None:
    clocks.server.guess("2026-03-10 12:00:00", "Europe/Prague")
    assert clocks.server.observe("2026-03-10 12:00:00", None).zone is PRAGUE
    assert clocks.server.observe("2026-03-10 12:00:00", "Europe/London").zone.key == "Europe/London"
    assert clocks.server.observe("2026-03-10 12:00:00", None).zone.key == "Europe/London"


@pytest.mark.parametrize(
    "time", [None, "", "noon", "0000-00-00 00:00:00", "0001-01-01 00:00:00", "2026-03-10T12:00"]
)
def test_without_a_time_this_machine_s_clock_is_used(clocks: Clocks, time: str | None) -> None:
    clocks.server.guess(time, "Europe/Prague")
    assert clocks.server.clock.now == NOON - timedelta(seconds=1)
    assert "does not send its time" in clocks.warnings[0]
    assert clocks.server.observe(time, "Europe/Prague").now == NOON - timedelta(seconds=1)


def test_in_a_repeated_hour_the_first_reading_counts(clocks: Clocks) -> None:
    clocks.machine = datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    clocks.server.guess("2026-10-25 02:30:00", "Europe/Prague")
    assert clocks.server.observe("2026-10-25 02:30:00", "Europe/Prague").now == clocks.machine - timedelta(hours=1)
    assert clocks.warnings == []


def test_a_repeated_hour_is_no_jump_of_the_clock(clocks: Clocks) -> None:
    clocks.machine = datetime(2026, 10, 25, 0, 59, 59, tzinfo=UTC)
    clocks.server.guess("2026-10-25 02:59:59", "Europe/Prague")
    clocks.server.observe("2026-10-25 02:59:59", "Europe/Prague")
    before = clocks.server.latest_bookmark
    clocks.machine += timedelta(seconds=1)
    clocks.server.observe("2026-10-25 02:00:00", "Europe/Prague")
    assert clocks.server.latest_bookmark == before
    assert clocks.warnings == []


@pytest.mark.parametrize("days", [2, -2])
@pytest.mark.promise("T1")
def test_no_bookmark_passes_the_earlier_of_two_clocks_that_differ(clocks: Clocks, days: int) -> None:
    time = (NOON + timedelta(days=days)).astimezone(PRAGUE).strftime("%Y-%m-%d %H:%M:%S")
    clocks.server.guess(time, "Europe/Prague")
    clock = clocks.server.observe(time, "Europe/Prague")
    assert clock.now == NOON + timedelta(days=days)
    assert clocks.server.latest_bookmark == min(NOON, clock.now)
    (line,) = clocks.warnings
    assert f"{clock.now:%F %T} UTC" in line
    assert f"{NOON:%F %T} UTC" in line


@pytest.mark.promise("T1")
def test_no_bookmark_passes_a_clock_that_has_gone_back_during_the_run(clocks: Clocks) -> None:
    clocks.server.guess("2026-03-10 12:00:00", "Europe/Prague")
    clocks.server.observe("2026-03-10 12:00:00", "Europe/Prague")
    clocks.machine += timedelta(minutes=10)
    clocks.server.observe("2026-03-10 12:05:10", "Europe/Prague")
    assert (clocks.server.latest_bookmark, clocks.warnings) == (NOON, [])
    clocks.server.observe("2026-03-09 12:10:00", "Europe/Prague")
    assert clocks.server.latest_bookmark == NOON - timedelta(days=1)
    clocks.server.observe("2026-03-10 12:10:00", "Europe/Prague")
    assert clocks.server.latest_bookmark == NOON - timedelta(days=1)
    (line,) = clocks.warnings
    assert "has gone back during the run, to 2026-03-09 11:10:00 UTC" in line


def _clock(**offset: float) -> Clock:
    return Clock(NOON + timedelta(**offset), PRAGUE, NOON, TOLERANCE)


@pytest.mark.parametrize("hours", [-10_000, -1, 0])
def test_a_bookmark_that_is_not_in_the_future_is_resumed_from(hours: int) -> None:
    bookmark = NOON + timedelta(hours=hours)
    assert _clock().resume_from(bookmark) == bookmark


@pytest.mark.promise("T1")
def test_after_a_clock_has_gone_back_reading_resumes_earlier_by_the_difference() -> None:
    bookmark = NOON - timedelta(hours=1)
    assert _clock(days=-3).resume_from(bookmark) == bookmark - timedelta(days=3)


@pytest.mark.promise("T1")
def test_a_bookmark_in_a_repeated_hour_is_resumed_from() -> None:
    now = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    bookmark = now + timedelta(minutes=59)
    assert Clock(now, PRAGUE, bookmark, TOLERANCE).resume_from(bookmark) == bookmark
    earlier = Clock(now - timedelta(hours=1), PRAGUE, bookmark, TOLERANCE)
    assert earlier.resume_from(bookmark) == bookmark - timedelta(minutes=119)


@pytest.mark.parametrize("days", [-3, 0, 3])
@pytest.mark.promise("T1")
def test_a_bookmark_in_the_future_of_both_clocks_is_ignored(days: int) -> None:
    assert _clock(days=days).resume_from(NOON + timedelta(days=4)) is None
    assert _clock(days=days).resume_from(datetime.max.replace(tzinfo=UTC)) is None
