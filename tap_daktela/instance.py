"""One Daktela instance during a run: its settings in, its clock, its zone and its pages out.

Signing in happens at the first need and once. An instance that cannot be read is so for all of its streams, which
are told at once instead of each finding out for itself.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo

from tap_daktela.api.auth import SignInError
from tap_daktela.api.client import Client
from tap_daktela.api.query import Query
from tap_daktela.api.verdict import RequestError
from tap_daktela.fetch import Fetcher
from tap_daktela.settings import DEFAULT_ZONE
from tap_daktela.windows import earliest_instant

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_daktela.settings import InstanceSettings, Settings

logger = logging.getLogger(__name__)

_NO_SUCH_ENDPOINT = frozenset(
    {HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}
)


class InstanceError(Exception):
    """Nothing of an instance can be read; the message says why, and what to do."""


class Clock(NamedTuple):
    """The instance's time at the beginning of the run."""

    now: datetime
    """In UTC."""
    zone: ZoneInfo


class _Stamp(NamedTuple):
    """What an answer tells of the time."""

    time: str | None
    timezone: str | None


@dataclass
class Instance:
    """One Daktela instance during a run."""

    settings: InstanceSettings
    run: Settings
    check: Callable[[], None]
    """Called while waiting for the instance; raises to end the run."""
    user: str = ""
    """Who is signed in, once somebody is."""
    _clock: Clock | None = None
    _error: InstanceError | None = None
    _warned_of_start: bool = False

    @property
    def server(self) -> str:
        """The instance's name."""
        return self.settings.server

    @property
    def prefix(self) -> str:
        """What every key of the instance begins with."""
        return f"{self.server}_" if self.run.prefix_keys else ""

    @cached_property
    def fetcher(self) -> Fetcher:
        """The pool of requests to the instance."""
        client = Client(self.settings.address, self.settings.credentials, self.run.transport)
        self._client = client
        return Fetcher(client, self.run.concurrency, self.check)

    def clock(self, endpoint: str) -> Clock:
        """Return the instance's time, signing in if need be; asked for once in a run.

        An instance that does not answer `whoim` is asked for a row of `endpoint`: every answer tells the time.

        Raises:
            InstanceError: the credentials are refused, or the instance cannot be asked.
        """
        if self._error is not None:
            raise self._error
        if self._clock is None:
            try:
                self._clock = self._read_clock(endpoint)
            except SignInError as error:
                self._error = InstanceError(str(error))
                raise self._error from None
            except RequestError as error:
                self._error = InstanceError(f"{self.settings.address.base}: {error}")
                raise self._error from None
        return self._clock

    def compare_start(self, start: datetime | None, bookmark: datetime) -> None:
        """Warn, once for the instance, of a start date that lies before what has been read already."""
        if start is not None and start < bookmark and not self._warned_of_start:
            self._warned_of_start = True
            logger.warning(
                "%s: start_date, %s, is earlier than the state, which is followed; "
                "a run with --full-refresh reads from start_date again",
                self.server,
                self.run.start_date,
            )

    def _read_clock(self, endpoint: str) -> Clock:
        fetcher = self.fetcher
        try:
            identity = fetcher.run(self._client.identify)
        except RequestError as error:
            if error.verdict.status not in _NO_SUCH_ENDPOINT:
                raise
            page = fetcher.page(Query(endpoint=endpoint, fields=("name",), sort=("name",), take=1))
            stamp = _Stamp(page.time, page.timezone)
        else:
            self.user = identity.user
            stamp = _Stamp(identity.time, identity.timezone)
        zone = self._zone(stamp.timezone)
        return Clock(_now(stamp.time, zone, self.server), zone)

    def _zone(self, told: str | None) -> ZoneInfo:
        """Return the zone of the setting, else the one that the instance tells, else the vendor's."""
        wanted = self.settings.timezone
        if wanted and told and wanted != told:
            logger.warning(
                "%s: the setting timezone says %s, the instance says %s; the setting is believed",
                self.server,
                wanted,
                told,
            )
        for name in (wanted, told):
            if name:
                try:
                    return ZoneInfo(name)
                except (KeyError, ValueError, OSError):
                    logger.warning("%s: the instance tells an unknown time zone, %s", self.server, name)
        return ZoneInfo(DEFAULT_ZONE)


def _now(time: str | None, zone: ZoneInfo, server: str) -> datetime:
    """Return the server's time in UTC; in an hour that the clocks repeat, the earlier of the two.

    So `upper` never runs ahead of what has settled, and the next run goes on from there.
    """
    try:
        return earliest_instant(time or "", zone)
    except ValueError:
        logger.warning("%s: the instance does not tell its time; this machine's clock is used", server)
        return datetime.now(UTC) - timedelta(seconds=1)
