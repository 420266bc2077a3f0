"""One Daktela instance during a run: its client, and the clock and the time zone of its server.

The tap signs in once, before the first request. If an instance cannot be read, all of its streams fail with the
same error, and the tap sends it no further requests.
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
"""Maximum number of open connections between streams, for all instances together.

Some systems limit a process to 256 open files, and a connection counts as one."""

_UNSUPPORTED = frozenset(
    {HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}
)
"""Statuses of an instance that does not support the endpoint `whoim`."""

_CORE_ENDPOINTS = ("activities", "queues")
"""Endpoints of every build of Daktela."""


class InstanceError(Exception):
    """An instance cannot be read. The message contains the reason and what to do."""


@dataclass
class Instance:
    """One Daktela instance during a run."""

    settings: InstanceSettings
    tap_settings: Settings
    check: Callable[[], None]
    """The tap calls it while it waits for the instance. It raises an exception to end the run."""
    user: str = ""
    """The name of the signed-in user, empty before the sign-in."""
    returns_whole_rows: bool = True
    """Whether the response to a request without the parameter `fields` contains all fields of a row."""
    nameless: NamelessRelations = field(default_factory=NamelessRelations)
    """The related objects that the instance sent without their `name`."""
    page_limits: defaultdict[str, PageLimit] = field(default_factory=lambda: defaultdict(PageLimit))
    """Endpoint -> the maximum length of its pages, as far as the tap knows it."""
    _is_identified: bool = False
    _error: InstanceError | None = None
    _warnings: set[str] = field(default_factory=set)

    @property
    def server(self) -> str:
        """The name of the instance."""
        return self.settings.server

    @property
    def prefix(self) -> str:
        """The prefix of all keys of the instance, empty with `prefix_keys: false`."""
        return f"{self.server}_" if self.tap_settings.prefix_keys else ""

    @cached_property
    def client(self) -> Client:
        """The HTTP client of the instance."""
        return Client(self.settings.address, self.settings.credentials, self.tap_settings.http)

    @cached_property
    def fetcher(self) -> Fetcher:
        """The pool of concurrent requests to the instance."""
        return Fetcher(self.client, self.tap_settings.concurrency, self.check)

    def end_stream(self) -> None:
        """Cancel the requests of a stream. If there are many instances, also close threads and connections.

        The tap reads one stream after the other, each from all instances. The connections of an instance are idle
        until the next stream. With 200 instances, they would exceed the number of files that a process may open.
        """
        if len(self.tap_settings.instances) * self.tap_settings.concurrency > MAX_IDLE_CONNECTIONS:
            self.release()
        elif self._has_fetcher:
            self.fetcher.cancel_all()

    def release(self) -> None:
        """Close threads and connections until the next request. The instance stays signed in."""
        if self._has_fetcher:
            self.fetcher.close()

    @property
    def _has_fetcher(self) -> bool:
        """Whether `fetcher` exists already. An access to `fetcher` creates it."""
        return "fetcher" in vars(self)

    @cached_property
    def server_clock(self) -> ServerClock:
        """The clock and the time zone of the instance."""
        return ServerClock(self.settings.timezone, self.tap_settings.clock_tolerance, self.warn_once)

    def clock(self, endpoint: str) -> Clock:
        """Return the clock of the instance. The first call in a run signs in and requests the time from `whoim`.

        If the instance does not support `whoim`, the tap requests one row of `endpoint` instead, since every
        response contains the time.

        Raises:
            InstanceError: the instance refuses the credentials or cannot be reached.
            RequestError: the request for a row failed.
        """
        if self._error is not None:
            raise self._error
        if not self._is_identified:
            self._identify(endpoint)
            self._is_identified = True
        return self.server_clock.clock

    def mark_failed(self, reason: str) -> InstanceError:
        """Return the error that ends this stream. `clock` raises the same error for all later streams."""
        self._error = InstanceError(reason)
        return self._error

    def warn_once(self, message: str) -> None:
        """Log a warning, unless an earlier stream has logged the same warning."""
        if message not in self._warnings:
            self._warnings.add(message)
            logger.warning("%s: %s", self.server, message)

    def _identify(self, endpoint: str) -> None:
        """Request the signed-in user, and take the time and the zone from the response."""
        try:
            identity = self.fetcher.run(self.client.identify)
        except SignInError as error:
            raise self.mark_failed(str(error)) from None
        except RequestError as error:
            if error.outcome.status not in _UNSUPPORTED or _is_from_firewall(error):
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
        """Return whether all endpoints in `_CORE_ENDPOINTS` answer 404."""
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


def _is_from_firewall(error: RequestError) -> bool:
    """Return whether a gateway in front of the instance refused the request. It refuses all endpoints."""
    return error.outcome.from_gateway and error.outcome.status == HTTPStatus.FORBIDDEN
