"""One Daktela instance during a run: its settings in, its clock, its zone and its pages out.

Signing in happens at the first need and once. An instance that cannot be read is so for all of its streams, which
are told at once instead of each finding out for itself.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING

from tap_daktela.api.auth import SignInError
from tap_daktela.api.client import Client
from tap_daktela.api.outcome import RequestError
from tap_daktela.api.query import Query
from tap_daktela.paging.fetcher import Fetcher
from tap_daktela.paging.plan import PageLimit
from tap_daktela.reading.failures import NamelessRelations
from tap_daktela.reading.server_clock import ServerClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_daktela.api.envelope import Page
    from tap_daktela.inputs.settings import InstanceSettings, Settings
    from tap_daktela.reading.server_clock import Clock

logger = logging.getLogger(__name__)

MAX_IDLE_CONNECTIONS = 100
"""Connections that all instances together may keep open between their streams; a usual limit is 256 open files."""

_NO_SUCH_ENDPOINT = frozenset(
    {HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}
)

_CORE_ENDPOINTS = ("activities", "queues")
"""Endpoints that every build of Daktela has."""


class InstanceError(Exception):
    """Nothing of an instance can be read; the message says why, and what to do."""


@dataclass
class Instance:
    """One Daktela instance during a run."""

    settings: InstanceSettings
    tap_settings: Settings
    check: Callable[[], None]
    """Called while waiting for the instance; raises to end the run."""
    user: str = ""
    """Who is signed in, once somebody is."""
    tells_fields: bool = True
    """Whether it answers requests for all fields of a row."""
    nameless: NamelessRelations = field(default_factory=NamelessRelations)
    """The relations that came without their name."""
    page_limits: defaultdict[str, PageLimit] = field(default_factory=lambda: defaultdict(PageLimit))
    """What is known about the length of pages, by endpoint."""
    _is_identified: bool = False
    _error: InstanceError | None = None
    _warnings: set[str] = field(default_factory=set)

    @property
    def server(self) -> str:
        """The instance's name."""
        return self.settings.server

    @property
    def prefix(self) -> str:
        """What every key of the instance begins with."""
        return f"{self.server}_" if self.tap_settings.prefix_keys else ""

    @cached_property
    def client(self) -> Client:
        """The requests to the instance."""
        return Client(self.settings.address, self.settings.credentials, self.tap_settings.http)

    @cached_property
    def fetcher(self) -> Fetcher:
        """The pool of requests to the instance."""
        return Fetcher(self.client, self.tap_settings.concurrency, self.check)

    def end_stream(self) -> None:
        """Forget the requests of a stream; with many instances, give threads and connections back, too.

        Streams are read one after the other, each over all instances. So the connections of an instance are idle
        until the next stream, and with 200 instances they would be more than a process may open.
        """
        if len(self.tap_settings.instances) * self.tap_settings.concurrency > MAX_IDLE_CONNECTIONS:
            self.release()
        elif "fetcher" in vars(self):
            self.fetcher.cancel_all()

    def release(self) -> None:
        """Give threads and connections back until the next request; the instance stays signed in."""
        if "fetcher" in vars(self):
            self.fetcher.close()

    @cached_property
    def server_clock(self) -> ServerClock:
        """The clock and the zone of the instance."""
        return ServerClock(self.settings.timezone, self.tap_settings.clock_tolerance, self.warn_once)

    def clock(self, endpoint: str) -> Clock:
        """Return the instance's time, signing in if need be; it is requested once in a run.

        An instance that does not answer `whoim` is asked for a row of `endpoint`: every response has the time.

        Raises:
            InstanceError: the credentials are refused, or the instance cannot be asked.
            RequestError: the request for a row failed.
        """
        if self._error is not None:
            raise self._error
        if not self._is_identified:
            self._identify(endpoint)
            self._is_identified = True
        return self.server_clock.clock

    def mark_failed(self, reason: str) -> InstanceError:
        """Return the error that ends all streams of the instance, for this stream and those to come."""
        self._error = InstanceError(reason)
        return self._error

    def warn_once(self, message: str) -> None:
        """Log what is worth a warning, but not one for each stream."""
        if message not in self._warnings:
            self._warnings.add(message)
            logger.warning("%s: %s", self.server, message)

    def _identify(self, endpoint: str) -> None:
        """Request who is signed in, and take the time and the zone from the response."""
        try:
            identity = self.fetcher.run(self.client.identify)
        except SignInError as error:
            raise self.mark_failed(str(error)) from None
        except RequestError as error:
            if error.outcome.status not in _NO_SUCH_ENDPOINT or _is_firewall(error):
                raise self.mark_failed(f"{self.settings.address.base}: {error}") from None
            self._read_clock(endpoint, error)
        else:
            self.user = identity.user
            self.server_clock.guess(identity.time, identity.timezone)

    def _read_clock(self, endpoint: str, identity_error: RequestError) -> None:
        """Take the time and the zone from a row of `endpoint`, since the request for the identity failed.

        Raises:
            InstanceError: the URL does not lead to Daktela's API.
            RequestError: the request for a row failed.
        """
        try:
            page = self._first_row(endpoint)
        except RequestError as error:
            if _is_not_found(identity_error) and _is_not_found(error) and self._lacks_core_endpoints():
                place = "its path" if self.settings.address.prefix else "it"
                raise self.mark_failed(
                    f"{self.settings.address.base}: all endpoints answered 404, so url probably does not lead to "
                    f"Daktela: {place} may be wrong. Set url to the address of the instance, such as "
                    "https://acme.daktela.com"
                ) from None
            raise
        self.server_clock.guess(page.time, page.timezone)

    def _first_row(self, endpoint: str) -> Page:
        return self.fetcher.page(Query(endpoint=endpoint, fields=("name",), sort=("name",), take=1))

    def _lacks_core_endpoints(self) -> bool:
        """Return whether endpoints that every instance has answer 404."""
        for endpoint in _CORE_ENDPOINTS:
            try:
                self._first_row(endpoint)
            except RequestError as error:
                if not _is_not_found(error):
                    return False
            else:
                return False
        return True


def _is_not_found(error: RequestError) -> bool:
    return error.outcome.status == HTTPStatus.NOT_FOUND


def _is_firewall(error: RequestError) -> bool:
    """Return whether something in front of the instance refuses requests, which then concerns all endpoints."""
    return error.outcome.from_gateway and error.outcome.status == HTTPStatus.FORBIDDEN
