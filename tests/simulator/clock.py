"""The instance's time: naive local text, as Daktela writes it, over an exact instant.

In: a zone and a local time. Out: `Clock`, and the arithmetic of naive seconds that invented rows use.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

FORMAT = "%Y-%m-%d %H:%M:%S"
DAY = 86400
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - naive seconds count on the wall clock, not in a zone


@cache
def _date(day: int) -> str:
    return (_EPOCH + timedelta(days=day)).strftime("%Y-%m-%d")


def stamp(moment: int) -> str:
    """Naive seconds as `YYYY-MM-DD HH:MM:SS`; far faster than strftime."""
    day, second = divmod(moment, DAY)
    minute, second = divmod(second, 60)
    return f"{_date(day)} {minute // 60:02d}:{minute % 60:02d}:{second:02d}"


def moment_of(text: str) -> int:
    """Naive seconds of `YYYY-MM-DD HH:MM:SS`."""
    return int((datetime.strptime(text, FORMAT) - _EPOCH).total_seconds())  # noqa: DTZ007 - see _EPOCH


def weekday(moment: int) -> int:
    """Day of the week, Monday being 0."""
    return (moment // DAY + 3) % 7


def exists(moment: int, zone: ZoneInfo) -> bool:
    """Whether the wall clock ever shows this time: false inside the hour that spring skips."""
    local = (_EPOCH + timedelta(seconds=moment)).replace(tzinfo=zone)
    return local.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None)


def shift_of(day: int, zone: ZoneInfo) -> int:
    """Seconds by which the clock changes on this day: 3600 in spring, -3600 in autumn, else 0."""
    midnight = (_EPOCH + timedelta(days=day)).replace(tzinfo=zone)
    change = (midnight + timedelta(days=1)).utcoffset() or timedelta()
    return int((change - (midnight.utcoffset() or timedelta())).total_seconds())


class Clock:
    """A clock that stands still until it is told to move."""

    def __init__(self, now: str, timezone: str) -> None:
        self.zone = ZoneInfo(timezone)
        self.now = now

    @property
    def now(self) -> str:
        """Local time; setting an ambiguous one means its first occurrence."""
        return self.instant.astimezone(self.zone).strftime(FORMAT)

    @now.setter
    def now(self, text: str) -> None:
        local = datetime.strptime(text, FORMAT).replace(tzinfo=self.zone)
        self.instant = local.astimezone(UTC)

    def now_in(self, timezone: str) -> str:
        """Local time in another zone."""
        return self.instant.astimezone(ZoneInfo(timezone)).strftime(FORMAT)

    @property
    def moment(self) -> int:
        """Local time in naive seconds."""
        return moment_of(self.now)

    def advance(self, seconds: float) -> None:
        """Move on by real time, through clock changes."""
        self.instant += timedelta(seconds=seconds)

    def local(self, seconds: float) -> str:
        """Local time so many real seconds from now."""
        return (self.instant + timedelta(seconds=seconds)).astimezone(self.zone).strftime(FORMAT)
