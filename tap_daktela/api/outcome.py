"""Classify responses: accept, retry, sign in again, or fail.

For requests without a response, see `connection_errors.py`. The tap and the target use the same outcomes, and each
decides what a failure means to it.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import Enum
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tap_daktela.api.envelope import EnvelopeError, ReportedError, foreign_page, reported_error
from tap_daktela.api.redaction import redact_server_text

if TYPE_CHECKING:
    import requests


class Action(Enum):
    """What to do next."""

    ACCEPT = "accept"
    RETRY = "retry"
    SIGN_IN = "sign in"
    FAIL = "fail"


@dataclass(frozen=True)
class Outcome:
    """What to do after one attempt, and why."""

    action: Action
    reason: str = ""
    """What happened, to be read after `subject`: `answered 503`, `did not answer within 60 s`."""
    status: int | None = None
    """The status of the response, None if there was none."""
    wait: float | None = None
    """Seconds that the server requested to wait, None if it did not."""
    subject: str = "Daktela"
    """Daktela or a proxy, or empty if a setting of the environment is wrong."""
    timed_out: bool = False
    """Whether the server took longer than the settings, or a gateway in front of it, allow."""
    expired: bool = False
    """Whether the attempt exceeded the time limit of a whole request; then `timed_out` is true, too."""
    from_gateway: bool = False
    """Whether a gateway in front of Daktela answered, such as a firewall."""
    too_large: bool = False
    """Whether the response is larger than the client accepts; a request for fewer rows may succeed."""
    reported: bool = False
    """Whether a 2xx contained an `error` of the API."""
    incomplete: bool = False
    """Whether the response was truncated or cannot be decoded."""
    unreachable: bool = False
    """Whether no connection could be made: no such host, a refused connection, or a failed TLS handshake."""
    advice: str = ""
    """What to do, to be read after `reason` and a semicolon."""
    attempts: int = 1
    """How many attempts have failed, this one included."""

    @property
    def fewer_rows_may_help(self) -> bool:
        """Whether the page may have been too large for the server's time, memory or network."""
        is_size_related = self.timed_out or self.too_large or self.incomplete or self.status in _OVERLOADED
        return self.action is Action.RETRY and is_size_related

    @property
    def text(self) -> str:
        """What happened and what to do, as a sentence without a full stop."""
        attempts = f" ({self.attempts} attempts)" if self.attempts > 1 else ""
        advice = f"; {self.advice}" if self.advice else ""
        return f"{self.subject} {self.reason}{attempts}{advice}".lstrip()

    @property
    def rate_limited(self) -> bool:
        """Whether the server requested a lower rate of requests."""
        return self.status == HTTPStatus.TOO_MANY_REQUESTS


_OVERLOADED = frozenset({HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.BAD_GATEWAY})
"""Statuses if PHP runs out of memory or its process dies. 503 means that the service is not available."""


class RequestError(Exception):
    """A request that failed, after all retries."""

    def __init__(self, outcome: Outcome, request: str) -> None:
        super().__init__(f"{outcome.text} ({request})")
        self.outcome = outcome
        self.request = request
        self.repeated = False
        """Whether there was an earlier attempt, whose effect may then be unknown."""


def classify(response: requests.Response, body: bytes) -> Outcome:
    """Return the outcome of a response by its status; the body of a 2xx may still contain an error."""
    status = response.status_code
    if response.ok and not response.is_redirect and status < HTTPStatus.MULTIPLE_CHOICES:
        return Outcome(Action.ACCEPT, status=status)
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return Outcome(Action.FAIL, _redirect_reason(response), status)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        wait = retry_after(response.headers.get("Retry-After"))
        return Outcome(Action.RETRY, "asked for fewer requests (429)", status, wait)
    if status == HTTPStatus.REQUEST_TIMEOUT or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        wait = retry_after(response.headers.get("Retry-After"))
        timed_out = status in _GATEWAY_TIMEOUTS
        return Outcome(Action.RETRY, _with_message(f"answered {status}", body), status, wait, timed_out=timed_out)
    return _classify_client_error(status, body)


def _with_message(reason: str, body: bytes) -> str:
    """Return a reason, with the message of the API in the body if there is one."""
    message = reported_error(body)
    return f"{reason}: {message}" if message else reason


_GATEWAY_TIMEOUTS = frozenset({HTTPStatus.GATEWAY_TIMEOUT, 524})
"""Statuses of gateways that waited too long for the server; 524 is that of Cloudflare."""


def _classify_client_error(status: int, body: bytes) -> Outcome:
    """Return the outcome of a 4xx that a retry does not change.

    Daktela answers 401, 403 and 404 with an empty body, and other statuses with its envelope (daktela-api.md
    §1). Any other body comes from a gateway in front of it.
    """
    action = Action.SIGN_IN if status == HTTPStatus.UNAUTHORIZED else Action.FAIL
    if page := foreign_page(body):
        reason = f"answered {status} with {page}, so not Daktela itself but something in front of it did"
        return Outcome(action, reason + _GATEWAY_HINTS.get(status, ""), status, from_gateway=True)
    if action is Action.SIGN_IN:
        return Outcome(action, "refused the token (401)", status)
    return Outcome(action, _with_message(f"answered {status}", body), status)


_FIREWALL = ", such as a firewall, a proxy or a list of allowed IP addresses; have this machine's address allowed"
_ELSEWHERE = "; check url, which may not lead to Daktela's API"
_GATEWAY_HINTS: dict[int, str] = {
    **dict.fromkeys((401, 403, 406, 407, 418, 451), _FIREWALL),
    **dict.fromkeys((404, 405, 410), _ELSEWHERE),
}


def classify_body(error: EnvelopeError) -> Outcome:
    """Return the outcome of a 2xx whose body is not usable: it is retried, and never read as an empty page."""
    if isinstance(error, ReportedError):
        return Outcome(Action.RETRY, f"answered 200 with an error: {error}", HTTPStatus.OK, reported=True)
    return Outcome(Action.RETRY, f"sent {error}", HTTPStatus.OK, incomplete=True)


def retry_after(value: str | None) -> float | None:
    """Return the seconds of a `Retry-After` header, 0 for the past, None if it is not valid.

    Both formats are in use, seconds and an HTTP date, and both may be in the past (daktela-api.md §2).
    `RetryPolicy` limits the wait.
    """
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, OverflowError, OSError):
            return None
    return None if math.isnan(seconds) else max(seconds, 0.0)


def _redirect_reason(response: requests.Response) -> str:
    try:
        target = urlsplit(response.headers.get("Location", ""))
        place = f" to {target.scheme}://{target.hostname}" if target.scheme and target.hostname else ""
    except ValueError:
        place = ""
    return (
        f"redirects{redact_server_text(place)} ({response.status_code}), which is not followed since the token "
        "belongs to one address only; set url to the instance's own address"
    )
