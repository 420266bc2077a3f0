"""Business hours: time zones, clock changes and shifts over midnight."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_daktela_crm.business_hours import DAYS, BusinessHours, hours_problems, read_hours

WEEK = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
PRAGUE = ZoneInfo("Europe/Prague")
OFFICE: dict[str, Any] = {
    "timezone": "Europe/Prague",
    "days": ["mon", "tue", "wed", "thu", "fri"],
    "from": "08:00",
    "to": "18:00",
}


def _hours(**changes: Any) -> BusinessHours:
    value = {**OFFICE, **{name.removesuffix("_"): change for name, change in changes.items()}}
    assert list(hours_problems(value)) == []
    hours = read_hours(value)
    assert hours is not None
    return hours


def _prague(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=PRAGUE)


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-03-02T07:59:59.999999", False),  # a Monday
        ("2026-03-02T08:00:00", True),
        ("2026-03-02T12:00:00", True),
        ("2026-03-02T17:59:59.999999", True),
        ("2026-03-02T18:00:00", False),
        ("2026-03-02T00:00:00", False),
        ("2026-03-06T17:00:00", True),
        ("2026-03-07T12:00:00", False),  # a Saturday
        ("2026-03-08T12:00:00", False),
    ],
)
def test_hours_include_their_first_minute_and_not_their_end(moment: str, *, expected: bool) -> None:
    assert _hours().include(_prague(moment)) is expected


@pytest.mark.parametrize("day", range(7))
def test_days_are_named_in_the_order_of_the_week(day: int) -> None:
    monday = _prague("2026-03-02T12:00:00")
    hours = _hours(days=[WEEK[day]])
    assert [hours.include(monday + timedelta(days=each)) for each in range(7)] == [
        each == day for each in range(7)
    ]
    assert tuple(WEEK) == DAYS


def test_a_moment_is_compared_in_the_time_zone_of_the_setting() -> None:
    hours = _hours()
    assert hours.include(datetime(2026, 3, 2, 7, 0, tzinfo=UTC))
    assert not hours.include(datetime(2026, 3, 2, 6, 59, tzinfo=UTC))
    assert not hours.include(datetime(2026, 3, 2, 17, 0, tzinfo=UTC))
    # Sunday evening in New York is Monday morning in Tokyo.
    assert _hours(timezone="Asia/Tokyo").include(datetime(2026, 3, 1, 20, 0, tzinfo=timezone(timedelta(hours=-5))))


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        # In spring, 02:00 to 03:00 do not exist: 01:59:59 is followed by 03:00.
        (datetime(2026, 3, 29, 0, 59, 59, tzinfo=UTC), False),
        (datetime(2026, 3, 29, 1, 0, tzinfo=UTC), True),
        (datetime(2026, 3, 29, 1, 59, tzinfo=UTC), True),
        (datetime(2026, 3, 29, 2, 0, tzinfo=UTC), False),
        # In autumn, 02:00 to 03:00 come twice.
        (datetime(2026, 10, 24, 23, 59, tzinfo=UTC), False),
        (datetime(2026, 10, 25, 0, 29, tzinfo=UTC), False),
        (datetime(2026, 10, 25, 0, 30, tzinfo=UTC), True),
        (datetime(2026, 10, 25, 0, 59, tzinfo=UTC), True),
        (datetime(2026, 10, 25, 1, 0, tzinfo=UTC), False),
        (datetime(2026, 10, 25, 1, 29, tzinfo=UTC), False),
        (datetime(2026, 10, 25, 1, 30, tzinfo=UTC), True),
        (datetime(2026, 10, 25, 2, 59, tzinfo=UTC), True),
        (datetime(2026, 10, 25, 3, 0, tzinfo=UTC), False),
    ],
)
def test_hours_are_correct_on_both_clock_changes(moment: datetime, *, expected: bool) -> None:
    assert _hours(days=["sun"], from_="02:30", to="04:00").include(moment) is expected


@pytest.mark.parametrize(("day", "start"), [("2026-03-28", 22), ("2026-10-24", 22)])
def test_a_night_shift_over_a_clock_change_is_an_hour_shorter_or_longer(day: str, start: int) -> None:
    hours = _hours(days=["sat"], from_=f"{start}:00", to="06:00")
    first = _prague(f"{day}T{start}:00:00").astimezone(UTC)
    worked = sum(hours.include(first + timedelta(minutes=15 * step)) for step in range(4 * 30))
    assert worked == 4 * (7 if day == "2026-03-28" else 9)


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-03-06T21:59:59", False),  # a Friday
        ("2026-03-06T22:00:00", True),
        ("2026-03-07T00:00:00", True),
        ("2026-03-07T05:59:59", True),
        ("2026-03-07T06:00:00", False),
        ("2026-03-07T22:00:00", False),
        ("2026-03-02T05:00:00", False),  # Monday: the night began on a Sunday
        ("2026-03-03T05:00:00", True),
        ("2026-03-06T05:00:00", True),
    ],
)
def test_hours_over_midnight_belong_to_the_day_on_which_they_begin(moment: str, *, expected: bool) -> None:
    assert _hours(from_="22:00", to="06:00").include(_prague(moment)) is expected


@pytest.mark.parametrize("end", ["24:00", "00:00"])
def test_a_day_may_end_at_midnight(end: str) -> None:
    hours = _hours(days=["fri"], to=end)
    assert hours.include(_prague("2026-03-06T23:59:59.999999"))
    assert not hours.include(_prague("2026-03-07T00:00:00"))
    assert not hours.include(_prague("2026-03-06T00:00:00"))
    assert not hours.include(_prague("2026-03-06T07:59:00"))


def test_a_day_may_last_from_midnight_to_midnight() -> None:
    hours = _hours(days=["sun"], from_="00:00", to="24:00")
    included = [
        hours.include(_prague(moment))
        for moment in ("2026-03-07T23:59:59", "2026-03-08T00:00:00", "2026-03-08T23:59:59", "2026-03-09T00:00:00")
    ]
    assert included == [False, True, True, False]


@given(
    st.sets(st.sampled_from(WEEK), min_size=1),
    st.integers(0, 95),
    st.integers(1, 96),
    st.integers(0, 7 * 96 - 1),
)
def test_a_quarter_of_an_hour_is_included_if_and_only_if_a_shift_covers_it(
    days: set[str], begin: int, length: int, quarter: int
) -> None:
    def clock(at: int) -> str:
        return f"{at // 4:02}:{at % 4 * 15:02}"

    end = (begin + length) % 96
    if end == begin and begin:
        return
    hours = _hours(
        timezone="UTC",
        days=sorted(days),
        from_=clock(begin),
        to=clock(end) if end or begin else "24:00",
    )
    # Monday 2 March 2026; a shift of Sunday reaches into Monday.
    covered = {
        (WEEK.index(day) * 96 + begin + step) % (7 * 96) for day in days for step in range(length) if length <= 96
    }
    moment = datetime(2026, 3, 2, tzinfo=UTC) + timedelta(minutes=15 * quarter)
    assert hours.include(moment) is (quarter in covered)


@pytest.mark.parametrize("value", [None, {}])
def test_without_the_setting_there_are_no_hours(value: dict[str, Any] | None) -> None:
    assert read_hours(value) is None


def test_the_text_of_hours_is_in_the_order_of_the_week() -> None:
    assert str(_hours(days=["fri", "mon"])) == "08:00 to 18:00 on mon, fri (Europe/Prague)"


@pytest.mark.parametrize(
    ("changes", "place", "said"),
    [
        ({"timezone": "Europe/Brno"}, "timezone", "'Europe/Brno'"),
        ({"timezone": ""}, "timezone", "IANA"),
        ({"timezone": "Europe"}, "timezone", "IANA"),
        ({"timezone": "../../etc/passwd"}, "timezone", "IANA"),
        ({"timezone": "Eur\0pe"}, "timezone", "IANA"),
        ({"timezone": "+01:00"}, "timezone", "IANA"),
        ({"days": []}, "days", "no day"),
        ({"from": "8:00"}, "from", "'8:00'"),
        ({"from": "24:00"}, "from", "'24:00'"),
        ({"from": "08:60"}, "from", "'08:60'"),
        ({"from": "08:00:00"}, "from", "'08:00:00'"),
        ({"from": "8am"}, "from", "08:00"),
        ({"from": ""}, "from", "08:00"),
        ({"from": "08:00\n"}, "from", "08:00"),
        ({"to": "25:00"}, "to", "'25:00'"),
        ({"to": "24:01"}, "to", "'24:01'"),
        ({"to": "1800"}, "to", "'1800'"),
        ({"to": "08:00"}, "to", "same as from"),
    ],
)
def test_invalid_hours_are_reported_in_one_line(changes: dict[str, Any], place: str, said: str) -> None:
    (line,) = hours_problems({**OFFICE, **changes})
    assert line.startswith(f"business_hours.{place}: ")
    assert said in line


@pytest.mark.parametrize("missing", ["timezone", "days", "from", "to"])
def test_missing_parts_are_reported(missing: str) -> None:
    value = {name: content for name, content in OFFICE.items() if name != missing}
    assert list(hours_problems(value)) == [f"business_hours: lacks {missing}"]


def test_all_missing_parts_are_reported_in_one_line() -> None:
    assert list(hours_problems({})) == ["business_hours: lacks timezone, days, from, to"]
