"""One Daktela instance: queries in, pages out, each request with the retries that it deserves.

Nothing here knows of streams. A request that cannot be had ends in a `RequestError`, credentials that are
refused in a `SignInError`.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache, partial
from http import HTTPStatus
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import requests
import tenacity
from requests.adapters import HTTPAdapter
from requests.cookies import RequestsCookieJar
from requests.utils import check_header_validity
from urllib3.exceptions import HTTPError, LocationValueError

from tap_daktela.api.auth import Renewal, SignInError, TokenAuth
from tap_daktela.api.envelope import (
    Answer,
    EnvelopeError,
    Page,
    ReportedError,
    read_acceptance,
    read_answer,
)
from tap_daktela.api.room import PART, Room
from tap_daktela.api.unread import Unread, reader
from tap_daktela.api.verdict import Action, RequestError, Verdict, judge, judge_body, judge_exception

if TYPE_CHECKING:
    import mmap
    from collections.abc import Callable

    from tap_daktela.api.address import Address
    from tap_daktela.api.query import Query

Read = TypeVar("Read")

logger = logging.getLogger(__name__)

ATTEMPTS = 6
"""How often a request is made before it is given up, which takes about 25 seconds of waiting."""
FIRST_WAIT = 1.0
LAST_WAIT = 16.0
"""Seconds between two attempts, at first and at most; up to half of each is left out by lot."""

_LISTS = 32
"""Of how many lists, or windows of one, the request is kept prepared."""

_ACCEPTED = Verdict(Action.ACCEPT, status=HTTPStatus.OK)

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
class Transport:
    """How requests are made."""

    timeout: float = 60.0
    """Seconds without a byte from the server after which an attempt has failed."""
    verify_tls: bool = True
    user_agent: str = "tap-daktela"
    connections: int = 5
    """Connections that are kept open."""


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How many attempts a request deserves before it is given up."""

    attempts: int | None = None
    """Of any kind; `ATTEMPTS` where it is None."""
    time_outs: int | None = None
    """That the server let time out; as many as of any kind where it is None."""
    reports: int | None = None
    """That were answered with an error in a 2xx; as above."""


class Identity(NamedTuple):
    """Who is signed in, with the clock of the answer that told so."""

    user: str
    time: str | None
    timezone: str | None


class Traffic(NamedTuple):
    """What has gone to and fro so far."""

    requests: int = 0
    """Repetitions included."""
    retries: int = 0
    bytes: int = 0
    """Of the bodies of answers, unpacked."""


@dataclass(frozen=True)
class _Request:
    """What is sent, and how to name it to a person."""

    prepare: Callable[[], requests.PreparedRequest]
    """Makes the request, without its token."""
    name: str
    auth: TokenAuth | None = None
    room: Room | None = None
    """Where the body of an answer that is no error is put; None if it is to be returned."""
    come: list[bytes] = field(default_factory=list)
    """An answer that has come already, by which the first attempt is judged; empty where none has."""
    attempt: int = 1
    """Which attempt the first one is."""


class _Again(Exception):  # noqa: N818 - not an error but a request to repeat
    """An attempt failed in a way that deserves another."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.reason)
        self.verdict = verdict


_deserves_another = tenacity.retry_if_exception_type(_Again)


class _Abandoned(Exception):  # noqa: N818 - as above
    """Nobody waits for the request any more."""


class Client:
    """The requests to one instance. Safe to use from several threads."""

    def __init__(self, address: Address, credentials: Credentials, transport: Transport) -> None:
        self.address = address
        self.traffic = Traffic()
        self._counting = threading.Lock()
        self._spare: deque[mmap.mmap] = deque()
        self._credentials = credentials
        self._transport = transport
        self._session = _session(transport)
        self._prepared_list = lru_cache(maxsize=_LISTS)(self._prepare_list)
        self._auth = TokenAuth(
            address.origin,
            token=credentials.access_token or None,
            sign_in=None if credentials.access_token else self._sign_in,
        )

    def identify(self) -> Identity:
        """Return who is signed in, signing in if need be.

        Raises:
            SignInError: the credentials are refused.
            RequestError: the instance cannot be asked.
        """
        # Spelled so. It answers 200 without a token, too: only its `user` tells (daktela-api.md §1). The clock and
        # the zone are taken from here and not from the login, since a user may have a zone of their own.
        answer = self._send(
            _Request(self._preparing("GET", f"{self.address.api}whoim.json"), "GET whoim.json", self._auth),
            read_answer,
        )
        user = answer.result.get("user") if isinstance(answer.result, dict) else None
        if not user:
            raise SignInError(f"{self.address.base} does not accept the token: check access_token")
        name = user.get("name") if isinstance(user, dict) else user
        return Identity(str(name), answer.time, answer.timezone)

    def sign_in(self) -> None:
        """Sign in if that has not been done yet; with a static token there is nothing to do.

        Raises:
            SignInError: the credentials are refused.
            RequestError: the instance cannot be asked.
        """
        _ = self._auth.token

    def page(self, query: Query, patience: Patience | None = None) -> Page:
        """Return the rows that `query` asks for.

        Raises:
            RequestError: the page cannot be had.
            SignInError: the token expired and no other can be had.
        """
        return self._send(self._list(query), reader(query), ends=_Ends(patience))

    def ask(self, query: Query, cancelled: threading.Event | None = None) -> Unread:
        """Return the answer to `query`, whatever its body holds.

        `cancelled`, once set, ends the waiting between attempts.

        Raises:
            RequestError, SignInError: as `page` does.
        """
        ends, room = _Ends(), Room(self._spare)
        self._send(replace(self._list(query), room=room), bytes, cancelled, ends)
        return Unread(query, room, ends.attempts + 1)

    def ask_again(self, unread: Unread, cancelled: threading.Event | None = None) -> Page:
        """Return the page whose answer turned out not to be one; what it took to get that counts.

        Raises:
            RequestError, SignInError: as `page` does.
        """
        request = replace(self._list(unread.query), come=[unread.body], attempt=unread.attempts)
        return self._send(request, reader(unread.query), cancelled)

    def post(self, path: str, body: bytes, patience: Patience) -> None:
        """Send JSON to a path below the instance's URL that is not part of the API, until it is taken in.

        To be used where sending the same again does no harm.

        Raises:
            RequestError: it is not taken in; the verdict says what was the matter with the last attempt.
            SignInError: the token expired and no other can be had.
        """
        url = self.address.base + path
        prepare = self._preparing("POST", url, data=body, headers={"Content-Type": "application/json"})
        self._send(_Request(prepare, f"POST {url}", self._auth), read_acceptance, ends=_Ends(patience))

    def _preparing(
        self,
        method: str,
        url: str,
        **options: Any,  # noqa: ANN401 - those of requests
    ) -> Callable[[], requests.PreparedRequest]:
        """Return the function that prepares a request."""
        # In every case a callable of our own: without one, requests would look into ~/.netrc.
        request = requests.Request(method, url, auth=_anonymous, **options)
        return partial(self._session.prepare_request, request)

    def _list(self, query: Query) -> _Request:
        return _Request(partial(self._prepare_page, query), str(query), self._auth)

    def _prepare_page(self, query: Query) -> requests.PreparedRequest:
        """Return the request for a page, which differs from that for another in the end of its URL alone.

        To prepare each from the beginning takes a third of the time that a request takes.
        """
        prepared = self._prepared_list(query.page(0)).copy()
        name, value = query.parameters()[-1]
        prepared.url = f"{prepared.url}&{name}={value}"
        return prepared

    def _prepare_list(self, query: Query) -> requests.PreparedRequest:
        url = f"{self.address.api}{query.endpoint}.json"
        return self._preparing("GET", url, params=query.parameters()[:-1])()

    def _sign_in(self) -> str:
        """Sign in with user name and password; return the token, which builds send in two shapes."""
        refusal = (
            f"{self.address.base} does not let the user {self._credentials.username!r} in: "
            "check username and password"
        )

        def read(body: bytes) -> Answer:
            try:
                return read_answer(body)
            except ReportedError as error:
                raise SignInError(f"{refusal} (Daktela says: {error})") from None

        body = {
            "username": self._credentials.username,
            "password": self._credentials.password,
            "only_token": 1,
        }
        try:
            answer = self._send(
                _Request(self._preparing("POST", f"{self.address.api}login.json", json=body), "POST login.json"),
                read,
            )
        except RequestError as error:
            if error.verdict.status in _NOT_SIGNED_IN:
                answered_401 = error.verdict.status == HTTPStatus.UNAUTHORIZED
                reason = "answered 401" if answered_401 else error.verdict.reason
                raise SignInError(f"{refusal} (Daktela {reason})") from None
            raise
        token = answer.result.get("accessToken") if isinstance(answer.result, dict) else answer.result
        if not isinstance(token, str) or not token:
            raise SignInError(f"{self.address.base} signed in without sending a token")
        return token

    def _send(
        self,
        request: _Request,
        read: Callable[[bytes], Read],
        cancelled: threading.Event | None = None,
        ends: _Ends | None = None,
    ) -> Read:
        """Make a request until it is answered, refused, or not worth another attempt; return what was read."""
        event = cancelled or threading.Event()
        ends = ends or _Ends()
        attempts = tenacity.Retrying(
            retry=_deserves_another,
            stop=ends,
            wait=_wait,
            sleep=partial(_pause, event),
            before=partial(_begin, request.attempt),
            before_sleep=partial(self._note_retry, request.name, ends),
            reraise=True,
        )
        try:
            return attempts(partial(self._attempt, request, read))
        except RequestError as error:
            error.repeated = ends.attempts > 0
            raise
        except _Abandoned:
            raise RequestError(Verdict(Action.RETRY, "was not asked again"), request.name) from None
        except _Again as error:
            reason = error.verdict.reason + (f", {ends.attempts} times" if ends.attempts > 1 else "")
            failure = RequestError(replace(error.verdict, reason=reason), request.name)
            failure.repeated = ends.attempts > 1
            raise failure from None
        finally:
            # What it would do next refers to itself: a cycle, which would hold the body until it is collected.
            attempts.iter_state.reset()

    def _attempt(self, request: _Request, read: Callable[[bytes], Read]) -> Read:
        """Make a request once, and once more after signing in again."""
        signed_in_again = False
        while True:
            token = request.auth.token if request.auth else ""
            verdict, body = (_ACCEPTED, request.come.pop()) if request.come else self._exchange(request)
            if verdict.action is Action.ACCEPT:
                try:
                    return read(body)
                except EnvelopeError as error:
                    verdict = judge_body(error)
            if verdict.action is Action.RETRY:
                raise _Again(verdict)
            if verdict.action is not Action.SIGN_IN or request.auth is None or signed_in_again:
                raise RequestError(verdict, request.name)
            renewal = request.auth.renew(token)
            if renewal is Renewal.IMPOSSIBLE:
                reason = f"{verdict.reason}, which may have expired: check access_token"
                raise RequestError(replace(verdict, reason=reason), request.name)
            signed_in_again = renewal is Renewal.HERE

    @cached_property
    def _surroundings(self) -> dict[str, Any]:
        """Proxies and certificates, of the settings and of the environment, for all requests to the instance.

        To look for them before each request takes a tenth of the time that a request takes.
        """
        # What is said here wins over a variable of the environment, what is said in the session does not.
        found = self._session.merge_environment_settings(
            self.address.api, {}, stream=True, verify=self._transport.verify_tls, cert=None
        )
        return dict(found)

    def _exchange(self, request: _Request) -> tuple[Verdict, bytes]:
        """Send a request; return what to do about its answer, and the answer's body."""
        self._count(requests=1)
        try:
            prepared = (request.auth or _anonymous)(request.prepare())
            for name, value in prepared.headers.items():
                check_header_validity((name, value))
                value.encode("latin-1")
        except (requests.RequestException, ValueError) as error:
            return _not_asked(error), b""
        try:
            with self._session.send(
                prepared, timeout=self._transport.timeout, allow_redirects=False, **self._surroundings
            ) as response:
                body, size = _receive(response, request.room)
            self._count(bytes=size)
        except requests.RequestException as error:
            return judge_exception(error, self._transport.timeout), b""
        except LocationValueError as error:
            # Of a proxy's URL, perhaps.
            return _not_asked(error), b""
        except (ValueError, HTTPError):
            # The libraries below let some of their own through, such as that of a chunk of negative length.
            return Verdict(Action.RETRY, "sent an answer that cannot be read"), b""
        return judge(response, body), body

    def _note_retry(self, name: str, ends: _Ends, state: tenacity.RetryCallState) -> None:
        self._count(retries=1)
        logger.warning(
            "Daktela %s; attempt %d of %d follows in %.1f s (%s)",
            state.outcome.exception() if state.outcome else "",
            ends.attempts + 1,
            ends.most,
            state.upcoming_sleep,
            name,
        )

    def _count(self, **more: int) -> None:
        with self._counting:
            now = self.traffic._asdict()
            self.traffic = Traffic(**{name: count + more.get(name, 0) for name, count in now.items()})


class _Ends:
    """Tells when to stop, and counts."""

    def __init__(self, patience: Patience | None = None) -> None:
        patience = patience or Patience()
        self.attempts = 0
        """That have failed."""
        self.most = patience.attempts or ATTEMPTS
        """How many there are if all fail as the last one did."""
        self._most = self.most
        self._time_outs_left = patience.time_outs or self._most
        self._reports_left = patience.reports or self._most

    def __call__(self, state: tenacity.RetryCallState) -> bool:
        """Return whether the attempt that has just failed was the last."""
        error = state.outcome.exception() if state.outcome else None
        verdict = error.verdict if isinstance(error, _Again) else Verdict(Action.RETRY)
        self.attempts = state.attempt_number
        self._time_outs_left -= verdict.timed_out
        self._reports_left -= verdict.reported
        left = [self._most - self.attempts]
        left += [self._time_outs_left] if verdict.timed_out else []
        left += [self._reports_left] if verdict.reported else []
        self.most = self.attempts + min(left)
        return min(left) <= 0


def _session(transport: Transport) -> requests.Session:
    session = requests.Session()
    session.headers.update({"User-Agent": transport.user_agent, "Accept": "application/json"})
    # Newer builds send tokens as cookies, too. One that came back beside ours could contradict it.
    session.cookies = RequestsCookieJar(policy=DefaultCookiePolicy(allowed_domains=[]))
    adapter = HTTPAdapter(pool_maxsize=transport.connections)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def _tells_no_headers(record: logging.LogRecord) -> bool:
    """Return whether a line of urllib3's log may be told: not one about headers that it cannot read.

    It repeats them, and tokens may be among them (daktela-api.md §1).
    """
    return not record.exc_info


logging.getLogger("urllib3.connection").addFilter(_tells_no_headers)


def _receive(response: requests.Response, room: Room | None) -> tuple[bytes, int]:
    """Return the body of an answer, empty if it has been put into `room`, and how many bytes it has."""
    parts = response.iter_content(PART)
    if room is not None and response.ok:
        room.fill(parts)
        return b"", room.size
    body = b"".join(parts)
    return body, len(body)


def _not_asked(error: Exception) -> Verdict:
    # Texts of such errors may repeat a header of the request.
    return Verdict(Action.REFUSE, f"could not be asked: {type(error).__name__}")


def _anonymous(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _wait(state: tenacity.RetryCallState) -> float:
    """Return an exponential wait with jitter, or what the server asked for if that is longer."""
    error = state.outcome.exception() if state.outcome else None
    wanted = error.verdict.wait if isinstance(error, _Again) else None
    longest = tenacity.wait_exponential(FIRST_WAIT, max=LAST_WAIT)(state)
    return max(wanted or 0.0, longest / 2 + tenacity.wait_random(0, longest / 2)(state))


def _begin(first: int, state: tenacity.RetryCallState) -> None:
    """Count the attempts of a request from the one that the first is."""
    state.attempt_number = max(state.attempt_number, first)


def _pause(abandoned: threading.Event, seconds: float) -> None:
    if abandoned.wait(seconds):
        raise _Abandoned
