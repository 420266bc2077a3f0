"""The settings `start_date` and `end_date`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from typing_extensions import override

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

_MARGIN = timedelta(days=2)
"""Distance from both ends of Python's calendar within which the instant of a local time may not exist."""


@dataclass(frozen=True)
class DateSetting:
    """A date or datetime of the configuration. Without an offset, it is a local time of the instance."""

    text: str
    moment: datetime
    """With the offset of the text, without one if the text has none."""

    @classmethod
    def parse(cls, text: str) -> DateSetting:
        """Return the date or datetime that `text` writes in ISO 8601.

        Raises:
            ValueError: it is none, or so close to the year 1 or 9999 that it has no instant in some time zones.
        """
        moment = datetime.fromisoformat(text)
        if not datetime.min + _MARGIN < moment.replace(tzinfo=None) < datetime.max - _MARGIN:  # noqa: DTZ901
            raise ValueError(f"{text} is too close to an end of the calendar")
        return cls(text, moment)

    def earliest(self, zone: ZoneInfo) -> datetime:
        """Return the instant, in UTC; the first one if a clock change repeats the local time."""
        return min(self._instants(zone))

    def latest(self, zone: ZoneInfo) -> datetime:
        """Return the instant, in UTC; the second one if a clock change repeats the local time."""
        return max(self._instants(zone))

    def _instants(self, zone: ZoneInfo) -> list[datetime]:
        if self.moment.tzinfo is not None:
            return [self.moment.astimezone(UTC)]
        return [self.moment.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)]

    @override
    def __str__(self) -> str:
        return self.text
