from __future__ import annotations

import signal
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tap_daktela.api.local_time import (
    earliest_instant,
    from_text,
    lower_text,
    next_second,
    to_text,
    upper_text,
)
from tap_daktela.paging.windows import Window, cut

if TYPE_CHECKING:
    from collections.abc import Iterator

PRAGUE = ZoneInfo("Europe/Prague")
SECOND = timedelta(seconds=1)

# Clock changes of an hour and of half an hour, in both halves of the year, one of "negative summer time", a
# zone that skipped a day, one that reduced its standard offset, and two without any change.
ZONES = [
    ZoneInfo(name)
    for name in (
        *("Europe/Prague", "America/New_York", "Australia/Lord_Howe", "Europe/Dublin", "Africa/Casablanca"),
        *("Pacific/Apia", "Asia/Pyongyang", "America/Caracas", "Asia/Kolkata", "UTC"),
    )
]


class _Endless(BaseException):
    """Raised if a search for a clock change does not end. It is no Exception, so Hypothesis does not handle it."""


@pytest.fixture(autouse=True, scope="module")
def _no_endless_search() -> Iterator[None]:
    """Fail instead of waiting without end."""

    def fail(*_: object) -> None:
        raise _Endless

    before = signal.signal(signal.SIGALRM, fail)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(autouse=True)
def _patience(_no_endless_search: None) -> None:
    signal.alarm(10)


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _changes(zone: ZoneInfo) -> list[datetime]:
    """Return the instants, to the second, at which the clocks change in the tested years."""
    found = []
    hours = [datetime(2005, 1, 1, tzinfo=UTC) + timedelta(hours=hour) for hour in range(0, 24 * 366 * 23, 12)]
    for early, late in pairwise(hours):
        if early.astimezone(zone).utcoffset() != late.astimezone(zone).utcoffset():
            low, high = early, late
            while high - low > SECOND:
                middle = (low + (high - low) / 2).replace(microsecond=0)
                same = middle.astimezone(zone).utcoffset() == early.astimezone(zone).utcoffset()
                low, high = (middle, high) if same else (low, middle)
            found.append(high)
    return found


CHANGES = {zone: _changes(zone) or [datetime(2026, 3, 1, tzinfo=UTC)] for zone in ZONES}


@st.composite
def _moments(draw: st.DrawFn) -> tuple[ZoneInfo, datetime]:
    """Draw a zone, and an instant that is often close to a clock change."""
    zone = draw(st.sampled_from(ZONES))
    around = draw(st.sampled_from(CHANGES[zone]))
    # Errors are likely at whole hours and minutes, and a second before or after them.
    seconds = draw(st.one_of(st.sampled_from([0, 1, -1, 1800, 3599, 3600, 3601]), st.integers(-9000, 9000)))
    micro = draw(st.sampled_from([0, 0, 0, 1, 999_999]))
    return zone, around + draw(st.sampled_from([-1, 1])) * timedelta(seconds=seconds) + timedelta(
        microseconds=micro
    )


_DISTANCES = st.one_of(st.integers(0, 10_000), st.integers(0, 10**8)).map(lambda count: timedelta(seconds=count))
_FEW = st.lists(_DISTANCES, min_size=1, max_size=30)


def _text(instant: datetime, zone: ZoneInfo) -> str:
    """Return the local time that the server sends for an instant."""
    return instant.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")


def test_there_are_clock_changes_to_test_with() -> None:
    assert len(CHANGES[PRAGUE]) > 40
    assert _at("2026-03-29T01:00:00+00:00") in CHANGES[PRAGUE]
    assert _at("2026-10-25T01:00:00+00:00") in CHANGES[PRAGUE]


@given(_moments(), _FEW)
def test_every_instant_from_the_lower_bound_on_reads_as_the_bound_or_later(
    moment: tuple[ZoneInfo, datetime], distances: list[timedelta]
) -> None:
    zone, instant = moment
    lower = lower_text(instant, zone)
    assert all(_text(instant + distance, zone) >= lower for distance in distances)
    assert _text(instant, zone) >= lower


@given(_moments(), _FEW)
def test_every_instant_before_the_upper_bound_reads_as_less_than_it(
    moment: tuple[ZoneInfo, datetime], distances: list[timedelta]
) -> None:
    zone, instant = moment
    upper = upper_text(instant, zone)
    tick = timedelta(microseconds=1)
    assert all(_text(instant - distance - tick, zone) < upper for distance in distances)
    assert _text(instant - tick, zone) < upper


@given(_moments())
@settings(max_examples=20)
def test_bounds_are_as_tight_as_the_clock_allows(moment: tuple[ZoneInfo, datetime]) -> None:
    zone, instant = moment
    whole = instant.replace(microsecond=0)
    near = (
        [whole + count * SECOND for count in range(-8000, 8001)]
        if any(abs(change - whole) < timedelta(hours=2) for change in CHANGES[zone])
        else [whole, whole - SECOND]
    )
    after = [_text(each, zone) for each in near if each >= whole]
    before = [_text(each, zone) for each in near if each < instant]
    assert lower_text(instant, zone) == min(after)
    # The times that a spring clock change skips may lie between the last second and the bound.
    assert max(before) < upper_text(instant, zone) <= max(next_second(max(before)), _text(whole + SECOND, zone))


@pytest.mark.parametrize(
    ("instant", "lower", "upper"),
    [
        ("2026-03-01T00:00:00+01:00", "2026-03-01 00:00:00", "2026-03-01 00:00:00"),
        ("2026-03-01T00:00:00.5+01:00", "2026-03-01 00:00:00", "2026-03-01 00:00:01"),
        # Spring: 02:00 to 03:00 does not exist.
        ("2026-03-29T01:59:59+01:00", "2026-03-29 01:59:59", "2026-03-29 01:59:59"),
        ("2026-03-29T02:00:00+01:00", "2026-03-29 03:00:00", "2026-03-29 03:00:00"),
        # Autumn: 02:00 to 03:00 is repeated.
        ("2026-10-25T01:59:59+02:00", "2026-10-25 01:59:59", "2026-10-25 01:59:59"),
        ("2026-10-25T02:00:00+02:00", "2026-10-25 02:00:00", "2026-10-25 02:00:00"),
        ("2026-10-25T02:30:00+02:00", "2026-10-25 02:00:00", "2026-10-25 02:30:00"),
        ("2026-10-25T02:59:59.5+02:00", "2026-10-25 02:00:00", "2026-10-25 03:00:00"),
        ("2026-10-25T02:00:00.000001+02:00", "2026-10-25 02:00:00", "2026-10-25 02:00:01"),
        ("2026-10-25T02:30:00.9+02:00", "2026-10-25 02:00:00", "2026-10-25 02:30:01"),
        ("2026-10-25T02:00:00+01:00", "2026-10-25 02:00:00", "2026-10-25 03:00:00"),
        ("2026-10-25T02:30:00+01:00", "2026-10-25 02:30:00", "2026-10-25 03:00:00"),
        ("2026-10-25T02:59:59+01:00", "2026-10-25 02:59:59", "2026-10-25 03:00:00"),
        ("2026-10-25T03:00:00+01:00", "2026-10-25 03:00:00", "2026-10-25 03:00:00"),
    ],
)
def test_a_bound_in_a_repeated_hour_takes_in_both_of_its_readings(instant: str, lower: str, upper: str) -> None:
    assert lower_text(_at(instant), PRAGUE) == lower
    assert upper_text(_at(instant), PRAGUE) == upper


def test_a_clock_change_of_half_an_hour_repeats_half_an_hour() -> None:
    zone = ZoneInfo("Australia/Lord_Howe")
    assert lower_text(_at("2026-04-05T01:45:00+11:00"), zone) == "2026-04-05 01:30:00"
    assert upper_text(_at("2026-04-05T01:45:00+10:30"), zone) == "2026-04-05 02:00:00"


@given(_moments())
def test_the_earliest_instant_of_a_local_time_is_the_first_that_reads_so(
    moment: tuple[ZoneInfo, datetime],
) -> None:
    zone, instant = moment
    whole = instant.replace(microsecond=0)
    text = _text(whole, zone)
    earliest = earliest_instant(text, zone)
    assert earliest <= whole
    assert _text(earliest, zone) == text
    assert earliest == whole or earliest.astimezone(zone).utcoffset() != whole.astimezone(zone).utcoffset()


@given(_moments())
def test_reading_on_from_the_end_of_a_window_leaves_no_gap(moment: tuple[ZoneInfo, datetime]) -> None:
    zone, instant = moment
    end = upper_text(instant, zone)
    assert lower_text(earliest_instant(end, zone), zone) <= end


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-03-10 12:00:00", "2026-03-10T11:00:00+00:00"),
        ("2026-07-10 12:00:00", "2026-07-10T10:00:00+00:00"),
        ("2026-10-25 02:30:00", "2026-10-25T00:30:00+00:00"),
        # No row has a time that the clock change skips; all later times are after this instant.
        ("2026-03-29 02:30:00", "2026-03-29T00:30:00+00:00"),
    ],
)
def test_the_earliest_instant_is_in_utc(text: str, instant: str) -> None:
    found = earliest_instant(text, PRAGUE)
    assert found == _at(instant)
    assert found.tzinfo is UTC


@pytest.mark.parametrize("zone", [PRAGUE, ZoneInfo("America/New_York")], ids=str)
def test_a_zero_date_is_the_first_instant_and_the_second_after_it_exists(zone: ZoneInfo) -> None:
    following = next_second("0000-00-00 00:00:00")
    assert following == "0001-01-01 00:00:01"
    assert earliest_instant(following, zone) < _at("0002-01-01T00:00:00+00:00")
    assert cut(Window(following, "2026-03-10 12:00:00"), 3)[0].start == following


@given(st.datetimes(datetime(1000, 1, 1), datetime(9999, 12, 31)))  # noqa: DTZ001 - wall time
@example(datetime(999, 1, 1))  # noqa: DTZ001 - wall time
def test_a_local_time_equals_the_one_parsed_from_its_text(moment: datetime) -> None:
    assert from_text(to_text(moment)) == moment.replace(microsecond=0)


@given(st.datetimes(), st.datetimes())
def test_texts_sort_as_their_times(one: datetime, other: datetime) -> None:
    one, other = one.replace(microsecond=0), other.replace(microsecond=0)
    assert (to_text(one) < to_text(other)) == (one < other)


def test_a_second_follows_over_midnight_and_leap_days() -> None:
    assert next_second("2026-12-31 23:59:59") == "2027-01-01 00:00:00"
    assert next_second("2028-02-28 23:59:59") == "2028-02-29 00:00:00"
