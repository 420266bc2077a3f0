"""Convert between instants in UTC and local times of an instance.

The server compares and sends local times without an offset, `2026-03-01 00:00:00` (daktela-api.md §2, §3). These
texts sort in the order of time. Bookmarks and settings are instants in UTC.

In the hour that an autumn clock change repeats, one local time means two instants. `lower_text` and `upper_text`
widen a range there until it contains every row that may belong to it: the lower end moves to the earliest local
time of the instants that follow, the upper end to the latest one of those before. So some rows may be read twice,
and none is lost.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

_FORMAT = "%Y-%m-%d %H:%M:%S"
_SECOND = timedelta(seconds=1)


def to_text(moment: datetime) -> str:
    """Return the local time of a datetime in the format of the server, without fractions of a second."""
    return moment.replace(tzinfo=None).isoformat(" ", "seconds")


def from_text(text: str) -> datetime:
    """Return a local time, without a zone. The zero date of MySQL is the minimum of `datetime`.

    Raises:
        ValueError: `text` is not a local time.
    """
    if text.startswith("0000"):
        return datetime.min  # noqa: DTZ901 - as below
    return datetime.strptime(text, _FORMAT)  # noqa: DTZ007 - local times have no offset until they get one


def lower_text(instant: datetime, zone: ZoneInfo) -> str:
    """Return the earliest local time of `instant` and of all instants after it."""
    local = instant.replace(microsecond=0).astimezone(zone)
    if local.fold == 0 and _is_repeated(local):
        return to_text(_clock_change(local).astimezone(zone))
    return to_text(local)


def upper_text(instant: datetime, zone: ZoneInfo) -> str:
    """Return the first local time after those of all instants before `instant`."""
    if instant.microsecond:
        instant = instant.replace(microsecond=0) + _SECOND
    local = instant.astimezone(zone)
    if local.fold == 1 and _is_repeated(local):
        change = _clock_change(local)
        before = (change - _SECOND).astimezone(zone).utcoffset() or timedelta()
        return to_text((change + before).replace(tzinfo=None))
    return to_text(local)


def earliest_instant(text: str, zone: ZoneInfo) -> datetime:
    """Return the earliest instant, in UTC, that a local time may mean.

    For a local time that a clock change skips, that is the offset before the change. A zero date is the minimum of
    `datetime`.
    """
    try:
        return min(_readings(from_text(text), zone))
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)


def possible_instants(text: str, zone: ZoneInfo) -> list[datetime]:
    """Return the instants, in UTC, that a local time may mean: two in an hour that a clock change repeats.

    Raises:
        ValueError: `text` is not a local time, or lies at the limits of the calendar.
    """
    try:
        return _readings(datetime.strptime(text, _FORMAT), zone)  # noqa: DTZ007 - as in `from_text`
    except OverflowError as error:
        raise ValueError(f"{text} lies beyond the calendar") from error


def next_second(text: str) -> str:
    """Return the local time one second later."""
    return to_text(from_text(text) + _SECOND)


def _readings(local: datetime, zone: ZoneInfo) -> list[datetime]:
    return [local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)]


def _is_repeated(local: datetime) -> bool:
    first, second = local.replace(fold=0).utcoffset(), local.replace(fold=1).utcoffset()
    return first is not None and second is not None and first > second


def _clock_change(local: datetime) -> datetime:
    """Return the instant, in UTC, at which the hour of the repeated local time begins again."""
    after = local.replace(fold=1).utcoffset()
    earliest, latest = (local.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
    while latest - earliest > _SECOND:
        middle = earliest + (latest - earliest) // 2
        middle = middle.replace(microsecond=0)
        if middle.astimezone(local.tzinfo).utcoffset() == after:
            latest = middle
        else:
            earliest = middle
    return latest
