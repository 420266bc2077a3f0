"""The clock of the instance, and arithmetic with local times.

`Clock` stores an exact instant. Invented rows use naive seconds: local times as seconds since 1970.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

FORMAT = "%Y-%m-%d %H:%M:%S"
DAY = 86400
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - naive seconds are local times without a zone


@cache
def _date(day: int) -> str:
    return (_EPOCH + timedelta(days=day)).strftime("%Y-%m-%d")


def stamp(moment: int) -> str:
    """Return naive seconds as `YYYY-MM-DD HH:MM:SS`, much faster than strftime."""
    day, second = divmod(moment, DAY)
    minute, second = divmod(second, 60)
    return f"{_date(day)} {minute // 60:02d}:{minute % 60:02d}:{second:02d}"


def moment_of(text: str) -> int:
    """Return `YYYY-MM-DD HH:MM:SS` as naive seconds."""
    return int((datetime.strptime(text, FORMAT) - _EPOCH).total_seconds())  # noqa: DTZ007 - see _EPOCH


def weekday(moment: int) -> int:
    """Return the day of the week. Monday is 0."""
    return (moment // DAY + 3) % 7


def exists(moment: int, zone: ZoneInfo) -> bool:
    """Return whether the local time exists. It does not in the hour that a spring clock change skips."""
    local = (_EPOCH + timedelta(seconds=moment)).replace(tzinfo=zone)
    return local.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None)


def shift_of(day: int, zone: ZoneInfo) -> int:
    """Return the seconds of the clock change on this day: 3600 in spring, -3600 in autumn, otherwise 0."""
    midnight = (_EPOCH + timedelta(days=day)).replace(tzinfo=zone)
    change = (midnight + timedelta(days=1)).utcoffset() or timedelta()
    return int((change - (midnight.utcoffset() or timedelta())).total_seconds())


class Clock:
    """A clock that moves only if `advance` is called or `now` is set."""

    def __init__(self, now: str, timezone: str) -> None:
        self.zone = ZoneInfo(timezone)
        self.now = now

    @property
    def now(self) -> str:
        """The local time. An ambiguous value means its first occurrence."""
        return self.instant.astimezone(self.zone).strftime(FORMAT)

    @now.setter
    def now(self, text: str) -> None:
        local = datetime.strptime(text, FORMAT).replace(tzinfo=self.zone)
        self.instant = local.astimezone(UTC)

    def now_in(self, timezone: str) -> str:
        """Return the local time of another zone."""
        return self.instant.astimezone(ZoneInfo(timezone)).strftime(FORMAT)

    @property
    def moment(self) -> int:
        """The local time in naive seconds."""
        return moment_of(self.now)

    def advance(self, seconds: float) -> None:
        """Move the clock forward by elapsed time, through clock changes."""
        self.instant += timedelta(seconds=seconds)

    def local(self, seconds: float) -> str:
        """Return the local time a number of elapsed seconds from now."""
        return (self.instant + timedelta(seconds=seconds)).astimezone(self.zone).strftime(FORMAT)
