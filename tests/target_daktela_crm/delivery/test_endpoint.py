"""The sync endpoint, which gets no request within business hours."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from tap_daktela.cli.errors import RunError
from target_daktela_crm.business_hours import BusinessHours
from target_daktela_crm.delivery.endpoint import check_business_hours

MIDNIGHT = time(0)
ALWAYS = BusinessHours(ZoneInfo("UTC"), frozenset(range(7)), MIDNIGHT, MIDNIGHT)


def test_within_business_hours_no_full_load_is_sent() -> None:
    with pytest.raises(
        RunError, match=r"^business_hours: no full load is sent from 00:00 to 00:00 on mon, .* \(UTC\)\."
    ):
        check_business_hours(ALWAYS)


def test_outside_of_business_hours_a_full_load_is_sent() -> None:
    in_two_days = (datetime.now(UTC) + timedelta(days=2)).weekday()
    check_business_hours(BusinessHours(ZoneInfo("UTC"), frozenset({in_two_days}), time(8), time(18)))
    check_business_hours(None)
