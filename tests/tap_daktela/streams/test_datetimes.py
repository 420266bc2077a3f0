from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_daktela.streams.datetimes import datetime_converter

if TYPE_CHECKING:
    from collections.abc import Callable

PRAGUE = ZoneInfo("Europe/Prague")
ZONES = sorted(available_timezones())
UNUSUAL_ZONES = (
    *("Europe/Prague", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe", "America/St_Johns"),
    *("Africa/Monrovia", "Europe/Amsterdam", "Europe/Dublin", "Africa/Casablanca", "Pacific/Apia"),
    *("Pacific/Kwajalein", "America/Caracas", "Antarctica/Troll", "Asia/Pyongyang", "Pacific/Chatham", "UTC"),
)
LOCAL = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?[+-]\d\d:\d\d")
NAIVE = "%Y-%m-%d %H:%M:%S"
FORMATS = (NAIVE, "%Y-%m-%dT%H:%M:%S", f"{NAIVE}.%f", "%Y-%m-%d %H:%M")

converters = cache(datetime_converter)
"""As in a run, a converter is used for many values."""


def instant(value: str) -> datetime:
    return datetime.fromisoformat(value).astimezone(UTC)


def expected(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.replace(tzinfo=zone).astimezone(UTC)


def raises(convert: Callable[[object], str | None], value: object) -> bool:
    try:
        convert(value)
    except (ValueError, OverflowError):
        return True
    return False


@pytest.mark.parametrize(
    ("value", "utc", "local"),
    [
        ("2025-12-10 12:12:38", "2025-12-10T11:12:38Z", "2025-12-10T12:12:38+01:00"),
        ("2026-07-10 12:00:00", "2026-07-10T10:00:00Z", "2026-07-10T12:00:00+02:00"),
        ("2026-03-10T12:00:59", "2026-03-10T11:00:59Z", "2026-03-10T12:00:59+01:00"),
        ("2026-01-01 00:30:00", "2025-12-31T23:30:00Z", "2026-01-01T00:30:00+01:00"),
        (" 2026-03-10 12:00:00 ", "2026-03-10T11:00:00Z", "2026-03-10T12:00:00+01:00"),
        ("2026-03-10", "2026-03-09T23:00:00Z", "2026-03-10T00:00:00+01:00"),
        ("2026-03-10 12:00", "2026-03-10T11:00:00Z", "2026-03-10T12:00:00+01:00"),
        ("2026-03-10 12:00:00.5", "2026-03-10T11:00:00.500000Z", "2026-03-10T12:00:00.500000+01:00"),
        ("2026-03-10 12:00:00.1234567", "2026-03-10T11:00:00.123456Z", "2026-03-10T12:00:00.123456+01:00"),
        # With offsets of their own.
        ("2026-03-10T12:00:00Z", "2026-03-10T12:00:00Z", "2026-03-10T12:00:00+00:00"),
        ("2026-03-10 12:00:00+05:30", "2026-03-10T06:30:00Z", "2026-03-10T12:00:00+05:30"),
        ("2026-03-10T12:00:00-0330", "2026-03-10T15:30:00Z", "2026-03-10T12:00:00-03:30"),
        # The hour that comes twice is read as the first, the one that is skipped as if it were not.
        ("2026-10-25 01:59:59", "2026-10-24T23:59:59Z", "2026-10-25T01:59:59+02:00"),
        ("2026-10-25 02:30:00", "2026-10-25T00:30:00Z", "2026-10-25T02:30:00+02:00"),
        ("2026-10-25 03:00:00", "2026-10-25T02:00:00Z", "2026-10-25T03:00:00+01:00"),
        ("2026-03-29 01:59:59", "2026-03-29T00:59:59Z", "2026-03-29T01:59:59+01:00"),
        ("2026-03-29 02:30:00", "2026-03-29T01:30:00Z", "2026-03-29T02:30:00+01:00"),
        ("2026-03-29 03:00:00", "2026-03-29T01:00:00Z", "2026-03-29T03:00:00+02:00"),
        # Far in the future, as the reopening of closed tickets is.
        ("2099-12-31 23:59:59", "2099-12-31T22:59:59Z", "2099-12-31T23:59:59+01:00"),
        ("9999-12-31 23:59:59", "9999-12-31T22:59:59Z", "9999-12-31T23:59:59+01:00"),
        # Before offsets were whole minutes.
        ("1850-01-01 00:00:00", "1849-12-31T23:02:16Z", "1849-12-31T23:02:16+00:00"),
        ("0001-01-02 00:00:00", "0001-01-01T23:02:16Z", "0001-01-01T23:02:16+00:00"),
    ],
)
@pytest.mark.promise("T8")
def test_a_datetime_is_emitted_in_utc_or_with_the_offset_of_the_zone(value: str, utc: str, local: str) -> None:
    for _ in range(2):
        assert converters(PRAGUE)(value) == utc
        assert converters(PRAGUE, local=True)(value) == local


@pytest.mark.parametrize("local", [False, True])
@pytest.mark.parametrize("date", ["0000-00-00", "-0001-11-30", "-001-11-30", "-1-11-30"])
@pytest.mark.parametrize("time", ["", " 00:00:00", "T00:00:00", " 00:00", " 00:00:00.000000", "T00:00:00Z"])
def test_a_zero_date_is_null(date: str, time: str, local: bool) -> None:  # noqa: FBT001
    assert converters(PRAGUE, local=local)(date + time) is None


@pytest.mark.parametrize("value", ["", " "])
def test_an_empty_text_is_null(value: str) -> None:
    assert converters(PRAGUE)(value) is None


@pytest.mark.parametrize("local", [False, True])
@pytest.mark.parametrize(
    "value",
    [
        *("0001-01-01", "0001-01-01 00:00:00", "2026-00-00", "2026-00-00 00:00:00", "2026-01-00", "9999-99-99"),
        *("0000-01-01 00:00:00", "-0001-11-29 00:00:00", "0000-00-00x", "-0001-11-300", "10000-01-01 00:00:00"),
        *("2026-02-30 00:00:00", "2026-03-10 12:00:60", "2026-03-10 12:60:00", "2026-03-10 25:00:00"),
        *("2026-03-10 24:00:00", "2026-03-10 12", "2026-03-10 12:0:00", "2026-3-10", "20260310", "2026-W10-2"),
        *("2026-03-10 12:00:00,5", "2026-03-10 12:00:00.", "2026-03-10 12:00:00+25:00", "2026-03-10Z", "12:00:00"),
        # Beyond the calendar in UTC, whatever the offset.
        *("9999-12-31T23:59:59-05:00", "0001-01-01T00:00:00+05:00"),
        # Digits of other scripts, which Python's own functions take for digits.
        *("२०२६-०३-१० 12:00:00", "2026-03-1\u0660 12:00:00", "2026-03-10 12:00:0\u0660"),
        *("yesterday", "0", "1767225600"),
        *(0, 1767225600, 1.5, True, False, [], {}, ["2026-03-10 12:00:00"]),
    ],
)
def test_an_impossible_datetime_is_a_mismatch(value: object, local: bool) -> None:  # noqa: FBT001
    convert = converters(PRAGUE, local=local)
    assert raises(convert, value)
    assert raises(convert, value)


FIRST = datetime.fromisoformat("1900-01-01")
MOMENTS = st.datetimes(FIRST, datetime.fromisoformat("2100-12-31 23:59:59"))
SOME_ZONES = st.sampled_from(ZONES) | st.sampled_from(UNUSUAL_ZONES)


@given(
    st.sampled_from(ZONES) | st.sampled_from(UNUSUAL_ZONES),
    st.lists(MOMENTS, min_size=1),
    st.sampled_from(FORMATS),
)
@pytest.mark.promise("T8")
def test_an_instant_is_that_of_the_zone_database(key: str, moments: list[datetime], spelling: str) -> None:
    zone = ZoneInfo(key)
    for moment in moments:
        value = moment.strftime(spelling)
        right = expected(datetime.fromisoformat(value), zone)
        for _ in range(2):
            utc, local = converters(zone)(value), converters(zone, local=True)(value)
            assert utc == right.replace(tzinfo=None).isoformat() + "Z"
            assert local
            assert LOCAL.fullmatch(local)
            assert instant(local) == right


@pytest.mark.parametrize("key", UNUSUAL_ZONES)
@pytest.mark.promise("T8")
def test_every_half_hour_around_each_change_of_offset(key: str) -> None:
    zone = ZoneInfo(key)
    convert, with_offset = datetime_converter(zone), datetime_converter(zone, local=True)
    days = [FIRST + timedelta(days=day) for day in range(140 * 365)]
    changes = [day for day, following in pairwise(days) if offset(day, zone) != offset(following, zone)]
    for change in changes:
        for half_hour in range(-6, 54):
            moment = change + timedelta(minutes=30 * half_hour, seconds=59)
            value, right = moment.strftime(NAIVE), expected(moment, zone)
            assert convert(value) == right.replace(tzinfo=None).isoformat() + "Z"
            assert instant(with_offset(value) or "") == right


def offset(moment: datetime, zone: ZoneInfo) -> timedelta | None:
    return moment.replace(tzinfo=zone).utcoffset()
