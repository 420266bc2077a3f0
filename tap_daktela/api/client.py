"""Send requests to one Daktela instance, with authentication, limits and retries.

A request that failed after all retries raises `RequestError`, refused credentials raise `SignInError`. Streams are
not known here.
"""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache, partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import requests
from requests.utils import check_header_validity
from urllib3.exceptions import HTTPError

from tap_daktela.api.auth import Renewal, SignInError, TokenAuth
from tap_daktela.api.connection_errors import classify_exception, classify_proxy_refusal
from tap_daktela.api.envelope import (
    Envelope,
    EnvelopeError,
    Page,
    ReportedError,
    read_acceptance,
    read_envelope,
    read_page,
)
from tap_daktela.api.outcome import Action, Outcome, RequestError, classify, classify_body
from tap_daktela.api.redaction import redact_server_text, register
from tap_daktela.api.retry import CancelledError, RateLimit, Retries, RetryLimits, RetryPolicy
from tap_daktela.api.rows import PageReader
from tap_daktela.api.session import (
    DeadlineError,
    EnvironmentSettingError,
    ResponseTooLargeError,
    Route,
    find_route,
    limited,
    make_session,
    read_body,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_daktela.api.address import Address
    from tap_daktela.api.query import Query

Read = TypeVar("Read")

logger = logging.getLogger(__name__)

_MIB = 1 << 20
MAX_PAGE_BYTES = 64 * _MIB
"""Decompressed bytes of a list response. A thousand e-mails of 50 kB, which is a large page, fit into it.

Up to 2 * `concurrency` + 1 decoded pages are in memory at the same time, so this also limits the memory of a run.
A decoded page takes about as many bytes as its long texts, and three times as many as its short values."""
MAX_OTHER_BYTES = 8 * _MIB
"""Decompressed bytes of any other response: logins, `whoim` and the sync endpoint. One object with all its
relations has 300 kB (daktela-api.md §3)."""
MAX_ERROR_BYTES = _MIB
"""Bytes of an error response that are read to find its message."""
MAX_TIMEOUTS = 10
"""A whole request may take this many times `request_timeout`, which limits the time without a byte."""

_PREPARED_LISTS = 32
"""For how many lists, or windows of a list, the prepared request is cached."""

_NOT_SIGNED_IN = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.UNPROCESSABLE_ENTITY,
    }
)


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """A static token, or a user name and password."""

    access_token: str = field(default="", repr=False)
    username: str = ""
    password: str = field(default="", repr=False)


@dataclass(frozen=True, kw_only=True)
class HttpSettings:
    """The settings of requests."""

    timeout: float = 60.0
    """Seconds without a byte after which an attempt fails. A whole attempt may take ten times as long."""
    verify_tls: bool = True
    user_agent: str = "tap-daktela"
    connections: int = 5
    """The number of connections that stay open."""
    retries: RetryPolicy = field(default_factory=RetryPolicy)


class Identity(NamedTuple):
    """The user who is signed in, and the clock of the response."""

    user: str
    time: str | None
    timezone: str | None


class Traffic(NamedTuple):
    """The requests and responses so far."""

    requests: int = 0
    """The number of requests, retries included."""
    retries: int = 0
    bytes: int = 0
    """The number of bytes of the decompressed bodies of responses."""


@dataclass(frozen=True)
class _Request:
    """A request, and its name in messages."""

    prepare: Callable[[], requests.PreparedRequest]
    """Returns the request without its token."""
    name: str
    auth: TokenAuth | None = None
    max_bytes: int = MAX_OTHER_BYTES
    size_advice: str = ""
    """What to do if the response is larger."""


class _RetryNeeded(Exception):  # noqa: N818 - not an error, but a reason to retry
    """An attempt failed, and a retry may succeed."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome


class Client:
    """Sends requests to one instance. Safe to use from several threads."""

    def __init__(self, address: Address, credentials: Credentials, http: HttpSettings) -> None:
        self.address = address
        self.traffic = Traffic()
        self._counting = threading.Lock()
        self._credentials = credentials
        self._http = http
        register(credentials.access_token)
        register(credentials.password)
        self._session = make_session(http.user_agent, http.connections)
        self._rate_limit = RateLimit()
        self._prepared_list = lru_cache(maxsize=_PREPARED_LISTS)(self._prepare_list)
        self._auth = TokenAuth(
            address.origin,
            token=credentials.access_token or None,
            sign_in=None if credentials.access_token else self._sign_in,
        )

    def identify(self) -> Identity:
        """Return the user who is signed in; sign in first if necessary.

        Raises:
            SignInError: the credentials are refused.
            RequestError: the request failed, after all retries.
        """
        # The endpoint has this spelling. It also answers 200 without a token, but then without a `user`
        # (daktela-api.md §1).
        envelope = self._send(
            _Request(self._preparing("GET", f"{self.address.api}whoim.json"), "GET whoim.json", self._auth),
            read_envelope,
        )
        user = envelope.result.get("user") if isinstance(envelope.result, dict) else None
        if not user:
            raise SignInError(f"{self.address.base} does not accept the token: check access_token")
        name = user.get("name") if isinstance(user, dict) else user
        return Identity(redact_server_text(str(name)), envelope.time, envelope.timezone)

    def close(self) -> None:
        """Close the idle connections. The client can be used again, and stays signed in."""
        self._session.close()

    def sign_in(self) -> None:
        """Sign in, unless that has been done or the token is static.

        Raises:
            SignInError: the credentials are refused.
            RequestError: the request failed, after all retries.
        """
        _ = self._auth.token

    def page(
        self, query: Query, limits: RetryLimits | None = None, cancelled: threading.Event | None = None
    ) -> Page:
        """Return the page of a query.

        `cancelled` ends the wait between attempts when it is set.

        Raises:
            RequestError: the request failed, after all retries that `limits` allow.
            SignInError: the token expired, and the instance does not issue another one.
        """
        # A decoder of expected fields reads a missing field as null.
        read = read_page if query.as_sent else PageReader(query.fields)
        return replace(self._send(self._list(query), read, cancelled, limits), take=query.take)

    def post(self, path: str, body: bytes, limits: RetryLimits) -> None:
        """Send JSON to a path below the URL of the instance that is not part of the API.

        The request is retried, so the endpoint must accept the same body several times.

        Raises:
            RequestError: the request failed, after all retries that `limits` allow.
            SignInError: the token expired, and the instance does not issue another one.
        """
        url = self.address.base + path
        prepare = self._preparing("POST", url, data=body, headers={"Content-Type": "application/json"})
        self._send(_Request(prepare, f"POST {url}", self._auth), read_acceptance, limits=limits)

    def _preparing(
        self,
        method: str,
        url: str,
        **options: Any,  # noqa: ANN401 - those of requests
    ) -> Callable[[], requests.PreparedRequest]:
        """Return a function that prepares a request."""
        # Without `auth`, requests would use the credentials of ~/.netrc.
        request = requests.Request(method, url, auth=_anonymous, **options)
        return partial(self._session.prepare_request, request)

    def _list(self, query: Query) -> _Request:
        return _Request(
            partial(self._prepare_page, query),
            str(query),
            self._auth,
            max_bytes=MAX_PAGE_BYTES,
            size_advice="set page_size to a smaller number",
        )

    def _prepare_page(self, query: Query) -> requests.PreparedRequest:
        """Return the request for a page. The requests for two pages of a list differ in the end of the URL only.

        Preparing each of them completely would take a third of the time of a request.
        """
        prepared = self._prepared_list(query.page(0)).copy()
        name, value = query.parameters()[-1]
        prepared.url = f"{prepared.url}&{name}={value}"
        return prepared

    def _prepare_list(self, query: Query) -> requests.PreparedRequest:
        url = f"{self.address.api}{query.endpoint}.json"
        return self._preparing("GET", url, params=query.parameters()[:-1])()

    def _sign_in(self) -> str:
        """Sign in with user name and password; return the token, which builds send in two formats."""
        refusal = (
            f"{self.address.base} does not let the user {self._credentials.username!r} in: "
            "check username and password"
        )

        def read(body: bytes) -> Envelope:
            try:
                return read_envelope(body)
            except ReportedError as error:
                raise SignInError(f"{refusal} (Daktela says: {error})") from None

        body = {
            "username": self._credentials.username,
            "password": self._credentials.password,
            "only_token": 1,
        }
        try:
            envelope = self._send(
                _Request(self._preparing("POST", f"{self.address.api}login.json", json=body), "POST login.json"),
                read,
            )
        except RequestError as error:
            if error.outcome.status in _NOT_SIGNED_IN and not error.outcome.from_gateway:
                answered_401 = error.outcome.status == HTTPStatus.UNAUTHORIZED
                reason = "answered 401" if answered_401 else error.outcome.reason
                raise SignInError(f"{refusal} (Daktela {reason})") from None
            raise
        result = envelope.result
        token = result.get("accessToken") if isinstance(result, dict) else result
        if not isinstance(token, str) or not token:
            raise SignInError(f"{self.address.base} signed in without sending a token")
        register(token)
        if isinstance(result, dict):
            register(result.get("refreshToken"))
        return token

    def _send(
        self,
        request: _Request,
        read: Callable[[bytes], Read],
        cancelled: threading.Event | None = None,
        limits: RetryLimits | None = None,
    ) -> Read:
        """Send a request, with retries; return what `read` returns for the body of the response."""
        cancelled = cancelled or threading.Event()
        retries = Retries(self._http.retries, limits)
        # A login does not wait for other requests, because one of them may be waiting for its token.
        rate_limit = self._rate_limit if request.auth else RateLimit()
        try:
            while True:
                number = rate_limit.wait(cancelled)
                try:
                    content = self._attempt(request, read)
                except _RetryNeeded as error:
                    self._prepare_retry(request, error.outcome, retries, rate_limit, cancelled)
                else:
                    rate_limit.note_success(number)
                    return content
        except RequestError as error:
            error.repeated = error.repeated or retries.failed > 0
            raise
        except CancelledError:
            raise RequestError(Outcome(Action.RETRY, "request was cancelled"), request.name) from None
        finally:
            rate_limit.release()

    def _prepare_retry(
        self,
        request: _Request,
        outcome: Outcome,
        retries: Retries,
        rate_limit: RateLimit,
        cancelled: threading.Event,
    ) -> None:
        """Wait until a failed request may be retried.

        Raises:
            RequestError: there are no retries left.
            CancelledError: the request is no longer needed.
        """
        seconds = retries.next_wait(outcome)
        if seconds is None or (outcome.rate_limited and rate_limit.is_exhausted):
            if outcome.rate_limited and retries.waits_for_quota:
                rate_limit.note_exhausted()
            failure = RequestError(replace(outcome, attempts=retries.failed), request.name)
            failure.repeated = retries.failed > 1
            raise failure from None
        self._count(retries=1)
        if outcome.rate_limited and rate_limit.hold(cancelled):
            # This thread has waited while the request of another one was retried.
            return
        shortened = f", less than the requested {outcome.wait:,.0f} s" if (outcome.wait or 0) > seconds else ""
        logger.warning(
            "%s; attempt %d of %d follows in %.1f s%s (%s)",
            outcome.text,
            retries.failed + 1,
            retries.most,
            seconds,
            shortened,
            request.name,
        )
        if cancelled.wait(seconds):
            raise CancelledError

    def _attempt(self, request: _Request, read: Callable[[bytes], Read]) -> Read:
        """Send a request once, and once more after signing in again."""
        signed_in_again = False
        while True:
            token = request.auth.token if request.auth else ""
            outcome, body = self._exchange(request)
            if outcome.action is Action.ACCEPT:
                try:
                    return read(body)
                except EnvelopeError as error:
                    outcome = classify_body(error)
            if outcome.action is Action.RETRY:
                raise _RetryNeeded(outcome)
            if outcome.action is not Action.SIGN_IN or request.auth is None or signed_in_again:
                raise RequestError(outcome, request.name)
            renewal = request.auth.renew(token)
            if renewal is Renewal.NOT_POSSIBLE:
                hint = "" if outcome.from_gateway else ", which may have expired: check access_token"
                raise RequestError(replace(outcome, reason=outcome.reason + hint), request.name)
            signed_in_again = renewal is Renewal.REFRESHED

    @cached_property
    def _route(self) -> Route:
        """Proxies and certificates for all requests to the instance.

        Searching for them before each request would take a tenth of the time of a request.

        Raises:
            EnvironmentSettingError: an environment variable is not valid.
        """
        return find_route(self._session, self.address, verify_tls=self._http.verify_tls)

    def _exchange(self, request: _Request) -> tuple[Outcome, bytes]:
        """Send a request; return its outcome and the body of the response."""
        self._count(requests=1)
        try:
            prepared = (request.auth or _anonymous)(request.prepare())
            for name, value in prepared.headers.items():
                check_header_validity((name, value))
                value.encode("latin-1")
            route = self._route
        except (requests.RequestException, ValueError) as error:
            # The text of the error may repeat a header of the request.
            return Outcome(Action.FAIL, f"could not be requested: {type(error).__name__}"), b""
        except EnvironmentSettingError as error:
            return Outcome(Action.FAIL, str(error), subject=""), b""
        return self._transfer(request, prepared, route)

    def _transfer(
        self, request: _Request, prepared: requests.PreparedRequest, route: Route
    ) -> tuple[Outcome, bytes]:
        """Send a prepared request, within the limits on time and size."""
        timeout = self._http.timeout
        # `Session.send` would read the whole body of a redirect and prepare a request that follows it.
        adapter = self._session.get_adapter(str(prepared.url))
        has_begun = False
        try:
            with (
                limited(MAX_TIMEOUTS * timeout),
                adapter.send(prepared, timeout=timeout, **route.options) as response,
            ):
                has_begun = True
                body = _receive(response, request.max_bytes)
            self._count(bytes=len(body))
        except DeadlineError:
            reason = f"did not complete the request within {MAX_TIMEOUTS * timeout:g} s"
            return Outcome(Action.RETRY, reason, timed_out=True, expired=True), b""
        except ResponseTooLargeError:
            reason = f"sent a response of more than {request.max_bytes // _MIB} MiB"
            return Outcome(Action.RETRY, reason, advice=request.size_advice, too_large=True), b""
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            return replace(classify_exception(error, route, timeout), incomplete=has_begun), b""
        if response.status_code == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED and route.proxy:
            # Over plain http, a response of the proxy looks like one of the instance, which never sends a 407.
            return classify_proxy_refusal(response.status_code, route), body
        return classify(response, body), body

    def _count(self, **more: int) -> None:
        with self._counting:
            now = self.traffic._asdict()
            self.traffic = Traffic(**{name: count + more.get(name, 0) for name, count in now.items()})


def _receive(response: requests.Response, max_bytes: int) -> bytes:
    """Return the body of a response. Of an error, only the beginning is read.

    Raises:
        ResponseTooLargeError: it has more than `max_bytes`.
    """
    if HTTPStatus.OK <= response.status_code < HTTPStatus.MULTIPLE_CHOICES:
        if (response.raw.length_remaining or 0) > max_bytes:
            raise ResponseTooLargeError
        return b"".join(read_body(response, max_bytes))
    parts: list[bytes] = []
    with suppress(ResponseTooLargeError):
        parts.extend(read_body(response, MAX_ERROR_BYTES))
    return b"".join(parts)


def _anonymous(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _has_no_headers(record: logging.LogRecord) -> bool:
    """Return whether a log record of urllib3 repeats no headers, which may contain tokens (daktela-api.md §1).

    Its records about invalid headers repeat them, and only these have an exception.
    """
    return not record.exc_info


logging.getLogger("urllib3.connection").addFilter(_has_no_headers)
