"""What to do about an answer, or about the lack of one: accept it, ask again, sign in again, or stop.

In: a response or an exception of `requests`. Out: a `Verdict`. The tap and the target read the same verdicts;
what they do about a refusal is their own.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import Enum
from http import HTTPStatus
from urllib.parse import urlsplit

import requests

from tap_daktela.api.envelope import EnvelopeError, ReportedError, reported_error

LONGEST_WAIT = 60.0
"""Seconds that a `Retry-After` may ask for at most; no limit of the server's is published."""


class Action(Enum):
    """What to do next."""

    ACCEPT = "accept"
    RETRY = "retry"
    SIGN_IN = "sign in"
    REFUSE = "refuse"


@dataclass(frozen=True)
class Verdict:
    """What to do about one attempt, and why."""

    action: Action
    reason: str = ""
    """What happened, to be read after "Daktela": `answered 503`, `did not answer within 60 s`."""
    status: int | None = None
    """The status of the answer, None without one."""
    wait: float | None = None
    """Seconds that the server asked us to wait, None where it did not."""
    timed_out: bool = False
    """Whether the server took longer than the settings, or a gateway in front of it, allow."""
    too_large: bool = False
    """Whether the response is larger than the client accepts; a request for fewer rows may succeed."""
    reported: bool = False
    """Whether a 2xx carried an error of the API's own."""


class RequestError(Exception):
    """A request that cannot be had, after the retries that it deserved."""

    def __init__(self, verdict: Verdict, request: str) -> None:
        super().__init__(f"Daktela {verdict.reason} ({request})")
        self.verdict = verdict
        self.repeated = False
        """Whether the verdict is on a repetition; what became of the first attempt may then be unknown."""


def judge(response: requests.Response, body: bytes) -> Verdict:
    """Return the verdict on an answer by its status alone; a 2xx may still hold an error in its body."""
    status = response.status_code
    if response.ok and not response.is_redirect and status < HTTPStatus.MULTIPLE_CHOICES:
        return Verdict(Action.ACCEPT, status=status)
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return Verdict(Action.REFUSE, _redirect_reason(response), status)
    if status == HTTPStatus.UNAUTHORIZED:
        return Verdict(Action.SIGN_IN, "refused the token (401)", status)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        wait = retry_after(response.headers.get("Retry-After"))
        return Verdict(Action.RETRY, "asked for fewer requests (429)", status, wait)
    if status == HTTPStatus.REQUEST_TIMEOUT or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        wait = retry_after(response.headers.get("Retry-After"))
        # A gateway's word that the server behind it took too long.
        late = status == HTTPStatus.GATEWAY_TIMEOUT
        return Verdict(Action.RETRY, f"answered {status}", status, wait, timed_out=late)
    message = reported_error(body)
    return Verdict(Action.REFUSE, f"answered {status}" + (f": {message}" if message else ""), status)


def judge_body(error: EnvelopeError) -> Verdict:
    """Return the verdict on a 2xx whose body is no answer: never an empty page, but worth asking again."""
    if isinstance(error, ReportedError):
        return Verdict(Action.RETRY, f"answered 200 with an error: {error}", HTTPStatus.OK, reported=True)
    return Verdict(Action.RETRY, f"sent {error}", HTTPStatus.OK)


def judge_exception(error: requests.RequestException, timeout: float) -> Verdict:
    """Return the verdict on a request that got no answer."""
    if "CERTIFICATE_VERIFY_FAILED" in repr(error):
        return Verdict(
            Action.REFUSE,
            "has a TLS certificate that cannot be verified; install its authority, "
            "or set verify_tls to false if you know why",
        )
    if "NameResolutionError" in repr(error):
        return Verdict(Action.RETRY, "cannot be found (no such host: check url and server)")
    if isinstance(error, requests.Timeout) or "TimeoutError" in repr(error):
        # The latter where the time went by while the request was being sent.
        return Verdict(Action.RETRY, f"did not answer within {timeout:g} s", timed_out=True)
    for kinds, reason in _CAUSES:
        if isinstance(error, kinds):
            return Verdict(Action.RETRY, reason)
    return Verdict(Action.REFUSE, f"could not be asked: {type(error).__name__}")


_CAUSES: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    ((requests.exceptions.SSLError,), "broke off while TLS was agreed (does the url mean https?)"),
    ((requests.exceptions.ContentDecodingError,), "sent an answer that cannot be decompressed"),
    # Of the answer: those of the request are checked before it is sent.
    ((requests.exceptions.InvalidHeader,), "sent headers that contradict each other"),
    (
        (requests.ConnectionError, requests.exceptions.ChunkedEncodingError),
        "closed the connection or could not be reached",
    ),
)
"""Exceptions that deserve another attempt, and what to say; the first that fits counts."""


def retry_after(value: str | None) -> float | None:
    """Return the seconds that a `Retry-After` means, from 0 to `LONGEST_WAIT`; None if it cannot be read.

    Both forms are in use, seconds and an HTTP date, and both may lie in the past (daktela-api.md §2).
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
    # A comparison that NaN fails, so that "nan" waits no longer than anything else.
    return seconds if 0 <= seconds <= LONGEST_WAIT else (0.0 if seconds < 0 else LONGEST_WAIT)


def _redirect_reason(response: requests.Response) -> str:
    try:
        target = urlsplit(response.headers.get("Location", ""))
        place = f" to {target.scheme}://{target.hostname}" if target.scheme and target.hostname else ""
    except ValueError:
        place = ""
    return (
        f"redirects{place} ({response.status_code}), which is not followed since the token belongs to one "
        "address only; set url to the instance's own address"
    )
