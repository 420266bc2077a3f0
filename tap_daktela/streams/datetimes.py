"""Convert the datetimes of Daktela's API to RFC 3339.

The API sends local times of the instance without an offset, `2026-03-10 12:00:00` (daktela-api.md §3).
"""

from __future__ import annotations

import re
from collections.abc import Mapping  # noqa: TC003 - NamedTuple reads the annotations
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from zoneinfo import ZoneInfo

_CACHED_DAYS = 1_000
_DAY = timedelta(days=1)
_MINUTE = timedelta(minutes=1)
_SECOND = timedelta(seconds=1)

_ZERO_DATE = re.compile(r"(?:0000-00-00|-0{0,3}1-11-30)(?:[T ][0-9:.]*(?:Z|[+-][0-9:]+)?)?")
"""MySQL's zero date, and PHP's spelling of it, with any time."""
_DATETIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?:[T ](?:[01][0-9]|2[0-3]):[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?"
)
"""The accepted formats. `datetime.fromisoformat` accepts more, and not the same in each version of Python."""
_SECONDS = frozenset(f":{second:02}" for second in range(60))


def datetime_converter(zone: ZoneInfo, *, local: bool = False) -> Callable[[object], str | None]:
    """Return a function that converts a value of the API to RFC 3339 (`2026-03-10T11:00:00Z`).

    An empty value or a zero date becomes None.

    With `local`, the result has the offset of `zone` (`2026-03-10T12:00:00+01:00`). The function raises ValueError
    or OverflowError for anything that is not a datetime of the years 1 to 9999 in UTC.

    - A local time that an autumn clock change repeats is read as the first of the two. One that a spring clock
      change skips has the offset from before the change.
    - A date without a time is midnight in `zone`. No field of the API is known to send one.
    - A value with an offset of its own is that instant; with `local`, it keeps that offset.
    """
    calendar = _Calendar(zone, local=local)
    days = calendar.days

    def convert(value: object) -> str | None:
        if not isinstance(value, str):
            raise ValueError(value)  # noqa: TRY004 - a wrong type is a mismatch like any other
        seconds = value[16:]
        if seconds in _SECONDS and (day := days.get(value[:10])) and (minute := day.minutes.get(value[10:16])):
            return f"{day.dates[minute[0]]}{minute[1]}{seconds}{day.suffix}"
        stripped = value.strip()
        if not stripped or _ZERO_DATE.fullmatch(stripped):
            return None
        return calendar.convert(stripped)

    return convert


class _Day(NamedTuple):
    """The conversion of all datetimes of a local day."""

    dates: tuple[str, str] = ("", "")
    """The converted dates of the beginning and the end of the day."""
    minutes: Mapping[str, tuple[int, str]] = MappingProxyType({})
    """See `_minutes`. It is empty for a day with a clock change."""
    suffix: str = ""


class _Calendar:
    """Converts datetimes of a zone, with a cache of days."""

    def __init__(self, zone: ZoneInfo, *, local: bool) -> None:
        self.days: dict[str, _Day] = {}
        self._zone = zone
        self._local = local

    def convert(self, value: str) -> str:
        """Return `value` in RFC 3339, and add its day to the cache.

        Raises:
            ValueError, OverflowError: `value` is not a datetime of the years 1 to 9999 in UTC.
        """
        result = self._format(self._emitted(value))
        if (day := value[:10]) not in self.days:
            if len(self.days) >= _CACHED_DAYS:
                self.days.clear()
            self.days[day] = self._day(day)
        return result

    def _day(self, day: str) -> _Day:
        try:
            first, last = self._emitted(f"{day} 00:00:00"), self._emitted(f"{day} 23:59:59")
        except OverflowError:
            return _Day()
        # No zone of the IANA database changes its offset twice within two days.
        if last.astimezone(UTC) - first.astimezone(UTC) != _DAY - _SECOND or first.second:
            return _Day()
        begins, ends = self._format(first), self._format(last)
        return _Day((begins[:10], ends[:10]), _minutes(first.hour, first.minute), begins[19:])

    def _emitted(self, value: str) -> datetime:
        """Return a datetime in UTC, or in its own offset with `local`."""
        if not _DATETIME.fullmatch(value):
            raise ValueError(value)
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=self._zone)
        in_utc = moment.astimezone(UTC)
        # RFC 3339 cannot write offsets with seconds, which were in use before time zones were introduced.
        keeps_offset = self._local and not (moment.utcoffset() or timedelta()) % _MINUTE
        return moment if keeps_offset else in_utc

    def _format(self, moment: datetime) -> str:
        return moment.isoformat() if self._local else moment.isoformat().replace("+00:00", "Z")


@lru_cache(maxsize=32)
def _minutes(hour: int, minute: int) -> dict[str, tuple[int, str]]:
    """Return the conversion of each minute of a local day (` 12:05`) that begins at `hour`:`minute`.

    A conversion is the number of days to add to the date, 0 or 1, and the text after the date.
    """
    result = {}
    for local in range(24 * 60):
        date, time = divmod(local + 60 * hour + minute, 24 * 60)
        text = f"{local // 60:02}:{local % 60:02}"
        result[f" {text}"] = result[f"T{text}"] = date, f"T{time // 60:02}:{time % 60:02}"
    return result
