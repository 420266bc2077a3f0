"""Classify the exceptions of requests without a response.

`requests` and `urllib3` wrap the exceptions of the layers below, so the outcome depends on all causes of an
exception. The text of an exception is never part of a message, because it may repeat a header or a URL.
"""

from __future__ import annotations

import errno
import re
import socket
import ssl
from functools import partial
from http import HTTPStatus
from http.client import HTTPException, IncompleteRead
from typing import TYPE_CHECKING

import requests
import urllib3.exceptions as urllib3_errors

from tap_daktela.api.outcome import Action, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tap_daktela.api.session import Route

_TUNNEL = re.compile(r"Tunnel connection failed: (\d+)")
"""How `http.client` reports the status with which a proxy answers CONNECT."""


def classify_exception(error: Exception, route: Route, timeout: float) -> Outcome:
    """Return the outcome of a request that failed with `error`; `timeout` is in seconds."""
    causes = list(_causes(error))
    if route.proxy and _first(causes, urllib3_errors.ProxyError, requests.exceptions.ProxyError):
        return _of_proxy(causes, route, timeout)
    if certificate := _first(causes, ssl.SSLCertVerificationError):
        return Outcome(Action.FAIL, _certificate_reason(certificate, route.host))
    if system := _system_reason(causes):
        return Outcome(Action.RETRY, system, unreachable=system == _REFUSED)
    for kinds, outcome in _OUTCOMES:
        if cause := _first(causes, *kinds):
            return outcome(cause, route, timeout)
    if reason := _library_reason(causes):
        return Outcome(Action.RETRY, reason)
    return Outcome(Action.FAIL, f"could not be requested: {type(error).__name__}")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and all its causes, each once, the outermost first."""
    left = [error]
    seen: set[int] = set()
    while left:
        cause = left.pop(0)
        if id(cause) not in seen:
            seen.add(id(cause))
            yield cause
            parts = (*cause.args, getattr(cause, "reason", None), cause.__cause__, cause.__context__)
            left += [part for part in parts if isinstance(part, BaseException)]


def _first(causes: Iterable[BaseException], *kinds: type[BaseException]) -> BaseException | None:
    return next((cause for cause in causes if isinstance(cause, kinds)), None)


_NO_SUCH_HOST = (urllib3_errors.NameResolutionError, socket.gaierror)
_TIMEOUTS = (requests.Timeout, TimeoutError, urllib3_errors.TimeoutError)
_TLS = (ssl.SSLError, requests.exceptions.SSLError, urllib3_errors.SSLError)


def _not_found(_cause: BaseException, route: Route, _timeout: float) -> Outcome:
    reason = f"was not found (no such host: {route.host})"
    return Outcome(Action.RETRY, reason, advice="check url and server", unreachable=True)


def _not_reached(_cause: BaseException, _route: Route, _timeout: float) -> Outcome:
    return Outcome(Action.RETRY, "could not be reached", unreachable=True)


def _timed_out(_cause: BaseException, _route: Route, timeout: float) -> Outcome:
    return Outcome(Action.RETRY, f"did not answer within {timeout:g} s", timed_out=True)


def _tls_failed(cause: BaseException, _route: Route, _timeout: float) -> Outcome:
    reason = getattr(cause, "reason", None)
    named = f" ({reason})" if isinstance(reason, str) else ""
    advice = "check the scheme and the port of the url"
    return Outcome(Action.RETRY, f"failed in the TLS handshake{named}", advice=advice, unreachable=True)


_OUTCOMES: tuple[tuple[tuple[type[BaseException], ...], Callable[[BaseException, Route, float], Outcome]], ...] = (
    (_NO_SUCH_HOST, _not_found),
    # Before the time-outs, of which it is a subclass in urllib3.
    ((urllib3_errors.NewConnectionError,), _not_reached),
    (_TIMEOUTS, _timed_out),
    (_TLS, _tls_failed),
)


# Certificates.

_NOT_YET_VALID, _EXPIRED, _OTHER_HOST, _OTHER_ADDRESS = 9, 10, 62, 64
"""Error numbers of OpenSSL (`X509_V_ERR_…` in x509_vfy.h)."""


def _certificate_reason(error: BaseException, host: str) -> str:
    code = getattr(error, "verify_code", None)
    if code == _EXPIRED:
        return "has a TLS certificate that has expired; have it renewed, or check this machine's clock"
    if code == _NOT_YET_VALID:
        return "has a TLS certificate that is not valid yet; check this machine's clock"
    if code in {_OTHER_HOST, _OTHER_ADDRESS}:
        return f"has a TLS certificate for another name than {host}; check url and server"
    return (
        "has a TLS certificate that cannot be verified, because its issuer is unknown; set REQUESTS_CA_BUNDLE to "
        "a file with the certificate of the issuer (of the company's proxy, if one inspects TLS), or set "
        "verify_tls to false if you know why"
    )


# Proxies.


def _of_proxy(causes: Sequence[BaseException], route: Route, timeout: float) -> Outcome:
    """Return the outcome of a request that failed at a proxy."""
    subject, setting = f"The proxy {route.proxy}", route.proxy_setting
    status = next((int(match[1]) for cause in causes if (match := _TUNNEL.search(str(cause)))), None)
    if status is not None:
        return classify_proxy_refusal(status, route)
    outcome = partial(Outcome, subject=subject, advice=f"check {setting}")
    if _first(causes, *_NO_SUCH_HOST):
        return outcome(Action.RETRY, "was not found (no such host)", unreachable=True)
    system = _system_reason(causes)
    if system is None and _first(causes, *_TIMEOUTS):
        return outcome(Action.RETRY, f"did not answer within {timeout:g} s", timed_out=True)
    if _first(causes, ssl.SSLError):
        return outcome(Action.FAIL, "does not speak TLS, or has a certificate that cannot be verified")
    return outcome(Action.RETRY, system or "closed the connection", unreachable=system == _REFUSED)


def classify_proxy_refusal(status: int, route: Route) -> Outcome:
    """Return the outcome of a status with which a proxy refuses a request."""
    subject = f"The proxy {route.proxy}"
    if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        reason = (
            f"asks for a user name and password (407); put them into {route.proxy_setting}, as in "
            "http://user:password@proxy:3128"
        )
        return Outcome(Action.FAIL, reason, subject=subject)
    action = Action.RETRY if status >= HTTPStatus.INTERNAL_SERVER_ERROR else Action.FAIL
    reason = (
        f"did not connect to {route.host} ({status}); have the host allowed there, or add it to NO_PROXY if it "
        "can be reached without a proxy"
    )
    return Outcome(action, reason, subject=subject)


# Other causes.


def _system_reason(causes: Iterable[BaseException]) -> str | None:
    """Return the reason for an error of the operating system, None if it is not known."""
    # The error numbers of TLS and of name resolution are not those of the operating system.
    own = (ssl.SSLError, socket.gaierror)
    numbers = (cause.errno for cause in causes if isinstance(cause, OSError) and not isinstance(cause, own))
    return next((_SYSTEM_REASONS[number] for number in numbers if number in _SYSTEM_REASONS), None)


_REFUSED = "could not be reached (the connection was refused)"
_SYSTEM_REASONS: dict[int | None, str] = {
    errno.ECONNREFUSED: _REFUSED,
    errno.ENETUNREACH: "could not be reached (there is no route to its network)",
    errno.EHOSTUNREACH: "could not be reached (there is no route to its host)",
    errno.EMFILE: "could not be reached (too many open files; raise ulimit -n, or lower concurrency)",
    errno.ENFILE: "could not be reached (too many open files on this machine)",
    errno.EADDRNOTAVAIL: "could not be reached (this machine has no free port)",
    errno.EACCES: "could not be reached (this machine does not permit the connection)",
    errno.EPERM: "could not be reached (this machine does not permit the connection)",
}


def _library_reason(causes: Sequence[BaseException]) -> str | None:
    return next((reason for kinds, reason in _LIBRARY_REASONS if _first(causes, *kinds)), None)


_LIBRARY_REASONS: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    (
        (urllib3_errors.DecodeError, requests.exceptions.ContentDecodingError),
        "sent a response that cannot be decompressed",
    ),
    # Headers of the response; those of the request are checked before it is sent.
    ((urllib3_errors.InvalidHeader, requests.exceptions.InvalidHeader), "sent headers that contradict each other"),
    ((requests.exceptions.InvalidURL, urllib3_errors.LocationValueError), ""),
    ((ConnectionError, IncompleteRead, urllib3_errors.IncompleteRead), "closed the connection"),
    # For example too many headers, or an invalid status line.
    ((HTTPException,), "sent a response that cannot be read"),
    (
        (requests.ConnectionError, requests.exceptions.ChunkedEncodingError, urllib3_errors.ProtocolError),
        "closed the connection",
    ),
    # For example a chunk of negative length.
    ((urllib3_errors.HTTPError, ValueError), "sent a response that cannot be read"),
)
"""Exceptions that a retry may avoid, with their reason; the first match counts. The reason for an invalid URL
is empty, because a retry does not change it."""
