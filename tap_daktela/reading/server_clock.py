"""The clock and the time zone of one instance, according to its responses.

A response contains local times without an offset, and the name of their zone (daktela-api.md §3). `whoim` may
answer in a zone that belongs to the user. So its answer is only a first guess, and the first list response of the
run replaces it.

The range to read depends on the clock of the instance, because its rows have times of that clock. A clock can be
wrong and can jump. So no bookmark passes the earlier one of two clocks: that of the instance and that of this
machine. If one of them is wrong, some rows are read again, but none is lost.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo

from tap_daktela.api.local_time import possible_instants, to_text
from tap_daktela.cli.config import read_zone
from tap_daktela.inputs.settings import DEFAULT_ZONE

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)


class Clock(NamedTuple):
    """The time at which the run began to read an instance."""

    now: datetime
    """By the clock of the instance, in UTC."""
    zone: ZoneInfo
    """The zone of the instance's local times."""
    machine_now: datetime
    """By the clock of this machine, in UTC."""
    tolerance: timedelta
    """The maximum difference between two clocks that are both right."""

    @property
    def latest_bookmark(self) -> datetime:
        """The instant that no bookmark may pass."""
        return min(self.now, self.machine_now.replace(microsecond=0))

    def resume_from(self, bookmark: datetime) -> datetime | None:
        """Return the instant up to which earlier runs have certainly read, None if there is no such instant.

        - A bookmark in the past is that instant.
        - If the bookmark is later than the clock of the instance but not than the clock of this machine, the clock
          of the instance has gone back. New rows have earlier times than before. So the bookmark is reduced by the
          difference between the two clocks.
        - If the bookmark is later than both clocks, a clock was wrong when the bookmark was written, by an unknown
          time. The result is None.
        """
        # In an hour that a clock change repeats, `now` is the earlier reading.
        local = to_text(self.now.astimezone(self.zone))
        if bookmark <= max(possible_instants(local, self.zone)):
            return bookmark
        if bookmark <= self.machine_now + self.tolerance:
            return bookmark - max(self.machine_now - self.now, self.tolerance)
        return None


def machine_time() -> datetime:
    """Return the time of this machine, in UTC."""
    return datetime.now(UTC)


class ServerClock:
    """The clock and the zone of one instance, updated with each response."""

    def __init__(self, zone_name: str | None, tolerance: timedelta, warn: Callable[[str], None]) -> None:
        """Start without any response. `zone_name` is the setting `timezone`. `warn` logs a line once in a run."""
        self._configured = ZoneInfo(zone_name) if zone_name else None
        self._tolerance = tolerance
        self._warn = warn
        self._guessed_zone: ZoneInfo | None = None
        self._has_rows = False
        """Whether a list response has replaced the guess."""
        self._skew = timedelta()
        """The clock of the instance minus the clock of this machine."""
        self._lowest_skew: timedelta | None = None
        """The lowest difference since the clock of the instance went back, None if it has not gone back."""
        self.clock = Clock(machine_time(), self._configured or ZoneInfo(DEFAULT_ZONE), machine_time(), tolerance)

    @property
    def latest_bookmark(self) -> datetime:
        """The instant that no bookmark may pass, according to all responses until now."""
        latest = self.clock.latest_bookmark
        return latest if self._lowest_skew is None else min(latest, self.clock.machine_now + self._lowest_skew)

    def guess(self, time: str | None, zone_name: str | None) -> None:
        """Use the clock and the zone of the answer of `whoim`.

        In an hour that a clock change repeats, the time is the earlier one of its two instants, so that no row is
        read before it has settled.
        """
        self._guessed_zone = self._known_zone(zone_name)
        zone = self._configured or self._guessed_zone or ZoneInfo(DEFAULT_ZONE)
        if not zone_name and self._configured is None:
            logger.info("the instance sends no time zone; %s is assumed", DEFAULT_ZONE)
        machine_now = machine_time()
        try:
            now = min(possible_instants(time or "", self._guessed_zone or zone))
        except ValueError:
            self._warn("the instance does not send its time; this machine's clock is used")
            now = machine_now - timedelta(seconds=1)
        self._skew = now - machine_now
        self.clock = Clock(now, zone, machine_now, self._tolerance)

    def observe(self, time: str | None, zone_name: str | None) -> Clock:
        """Return the clock and the zone of a list response. Warn if the clock has gone back during the run."""
        zone = self._zone_of_rows(zone_name)
        machine_now = machine_time()
        try:
            skews = [instant - machine_now for instant in possible_instants(time or "", zone)]
        except ValueError:
            skews = [self._skew]
        skew = min(skews, key=lambda each: abs(each - self._skew))
        if not self._has_rows:
            self._replace_guess(zone, skew, min(map(abs, skews)))
        elif zone.key != self.clock.zone.key:
            self.clock = self.clock._replace(zone=zone)
        elif skew < self._skew - self._tolerance and (self._lowest_skew is None or skew < self._lowest_skew):
            self._lowest_skew = skew
            self._warn(
                f"the clock of the instance has gone back during the run, to {machine_now + skew:%F %T} UTC; "
                "bookmarks do not pass this time"
            )
        return self.clock

    def _replace_guess(self, zone: ZoneInfo, skew: timedelta, difference: timedelta) -> None:
        """Use the clock and the zone of the first list response."""
        self._has_rows = True
        if zone.key != self.clock.zone.key:
            self.clock = self.clock._replace(zone=zone)
        if abs(skew - self._skew) > self._tolerance:
            self.clock = self.clock._replace(now=self.clock.machine_now + skew)
            self._skew = skew
        if difference > self._tolerance:
            self._warn(
                f"the clock of the instance is at {self.clock.now:%F %T} UTC, that of this machine at "
                f"{self.clock.machine_now:%F %T} UTC; bookmarks follow the earlier one. Correct the wrong clock, "
                "or set timezone if the instance names a wrong zone"
            )

    def _zone_of_rows(self, name: str | None) -> ZoneInfo:
        """Return the zone of the setting, otherwise of the response, otherwise of an earlier response."""
        named = self._known_zone(name)
        if self._configured is not None:
            if named is not None and named.key != self._configured.key:
                self._warn(
                    f"the setting timezone is {self._configured.key}, but the instance names {named.key}; using "
                    "the setting"
                )
            return self._configured
        if named is None:
            return self.clock.zone
        if self._guessed_zone is not None and named.key != self._guessed_zone.key:
            self._warn(
                f"the instance answers whoim in {self._guessed_zone.key} and sends rows in {named.key}; using the "
                "zone of the rows"
            )
        return named

    def _known_zone(self, name: str | None) -> ZoneInfo | None:
        """Return the zone that a response names, None if there is no such zone."""
        zone = read_zone(name) if name else None
        if name and zone is None:
            self._warn(
                f"the instance names an unknown time zone, {name!r}: set timezone to its IANA zone, such as "
                f"{DEFAULT_ZONE}"
            )
        return zone
