"""Business hours, in which no full load is sent, as the vendor asks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from typing_extensions import override

from tap_daktela.cli.config import suggest, zone_problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_KEYS = ("timezone", "days", "from", "to")
_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d", re.ASCII)


@dataclass(frozen=True)
class BusinessHours:
    """The hours in which the contact centre works."""

    zone: ZoneInfo
    days: frozenset[int]
    """Days of the week; Monday is 0."""
    begin: time
    end: time
    """Not included. An end before `begin` is on the next day."""

    def include(self, moment: datetime) -> bool:
        """Return whether the contact centre works at a moment, which must have a UTC offset."""
        local = moment.astimezone(self.zone)
        today, now = local.weekday(), local.time()
        if self.begin < self.end:
            return today in self.days and self.begin <= now < self.end
        yesterday = (local - timedelta(days=1)).weekday()
        return (today in self.days and now >= self.begin) or (yesterday in self.days and now < self.end)

    @override
    def __str__(self) -> str:
        days = ", ".join(DAYS[day] for day in sorted(self.days))
        return f"{self.begin:%H:%M} to {self.end:%H:%M} on {days} ({self.zone.key})"


def read_hours(value: Mapping[str, Any] | None) -> BusinessHours | None:
    """Return the hours of a setting without `hours_problems`, or None if it is not set."""
    if not value:
        return None
    return BusinessHours(
        ZoneInfo(value["timezone"]),
        frozenset(DAYS.index(day) for day in value["days"]),
        time.fromisoformat(value["from"]),
        time.fromisoformat("00:00" if value["to"] == "24:00" else value["to"]),
    )


def hours_problems(value: Mapping[str, Any]) -> Iterator[str]:
    """Yield the problems of the setting `business_hours`, except wrong types."""
    for key in value:
        if key not in _KEYS:
            yield f"business_hours.{key}: there is no such setting{suggest(key, _KEYS)}"
    missing = [key for key in _KEYS if value.get(key) is None]
    if missing:
        yield f"business_hours: lacks {', '.join(missing)}"
    else:
        yield from _value_problems(value)


def _value_problems(value: Mapping[str, Any]) -> Iterator[str]:
    if problem := zone_problem(value["timezone"]):
        yield f"business_hours.timezone: {problem}"
    if not value["days"]:
        yield "business_hours.days: contains no day"
    for key in ("from", "to"):
        if not _TIME.fullmatch(value[key]) and (key, value[key]) != ("to", "24:00"):
            yield f"business_hours.{key}: {value[key]!r} is not a time such as 08:00"
    if value["from"] == value["to"]:
        yield "business_hours.to: is the same as from; give two different times"
