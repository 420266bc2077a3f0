"""`start_date` and `end_date`: local times of the instance, or instants."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_daktela.inputs.dates import DateSetting

PRAGUE = ZoneInfo("Europe/Prague")
ZONES = sorted(available_timezones())


@pytest.mark.parametrize(
    ("text", "earliest", "latest"),
    [
        ("2026-03-10", "2026-03-09T23:00:00+00:00", None),
        ("2026-03-10 12:00:00", "2026-03-10T11:00:00+00:00", None),
        ("2026-03-10T12:00:00", "2026-03-10T11:00:00+00:00", None),
        ("2026-03-10T12:00:00Z", "2026-03-10T12:00:00+00:00", None),
        ("2026-03-10T12:00:00+05:30", "2026-03-10T06:30:00+00:00", None),
        ("2026-10-25T02:30:00", "2026-10-25T00:30:00+00:00", "2026-10-25T01:30:00+00:00"),
        ("2026-10-25T02:30:00+01:00", "2026-10-25T01:30:00+00:00", None),
    ],
)
def test_a_date_is_local_unless_it_has_an_offset(text: str, earliest: str, latest: str | None) -> None:
    date = DateSetting.parse(text)
    assert str(date) == text
    assert date.earliest(PRAGUE) == datetime.fromisoformat(earliest)
    assert date.latest(PRAGUE) == datetime.fromisoformat(latest or earliest)
    assert date.earliest(PRAGUE).tzinfo is date.latest(PRAGUE).tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "2026-13-01", "2026-02-30", "10.3.2026", "2026-03-10 25:00:00", "0001-01-01", "9999-12-31"],
)
def test_a_text_that_is_not_a_usable_date_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        DateSetting.parse(text)


@given(st.datetimes(), st.sampled_from([None, "+14:00", "-12:00"]), st.sampled_from(ZONES))
def test_a_date_that_can_be_parsed_has_an_instant_in_every_zone(
    moment: datetime, offset: str | None, zone: str
) -> None:
    try:
        date = DateSetting.parse(moment.isoformat() + (offset or ""))
    except ValueError:
        assert moment.year in {1, 9999}
        return
    assert date.earliest(ZoneInfo(zone)) <= date.latest(ZoneInfo(zone))
