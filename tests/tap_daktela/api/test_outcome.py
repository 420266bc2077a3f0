from __future__ import annotations

import math
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, formatdate

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from tap_daktela.api.envelope import EnvelopeError, ReportedError
from tap_daktela.api.outcome import (
    Action,
    Outcome,
    RequestError,
    classify,
    classify_body,
    retry_after,
)


def _outcome(status: int, body: bytes = b"", **headers: str) -> Outcome:
    response = requests.Response()
    response.status_code = status
    response.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    return classify(response, body)


@pytest.mark.parametrize(
    ("status", "action"),
    [
        *((status, Action.ACCEPT) for status in (200, 201, 204)),
        *((status, Action.FAIL) for status in (300, 301, 302, 303, 304, 307, 308)),
        *((status, Action.FAIL) for status in (400, 402, 403, 404, 405, 406, 409, 410, 413, 414, 422)),
        (401, Action.SIGN_IN),
        *((status, Action.RETRY) for status in (408, 429, 500, 501, 502, 503, 504, 520, 599)),
    ],
)
def test_a_status_decides_what_to_do(status: int, action: Action) -> None:
    outcome = _outcome(status)
    assert (outcome.action, outcome.status) == (action, status)


@given(st.integers(200, 999))
def test_every_status_has_an_outcome_and_only_a_2xx_is_accepted(status: int) -> None:
    outcome = _outcome(status, Location="https://example.com/")
    assert (outcome.action is Action.ACCEPT) == (200 <= status < 300)
    assert bool(outcome.reason) == (outcome.action is not Action.ACCEPT)


def test_an_error_response_is_reported_with_the_message_of_the_api() -> None:
    body = b'{"error": ["Max defined take is 1000"], "result": null}'
    assert _outcome(400, body).reason == "answered 400: Max defined take is 1000"


@pytest.mark.parametrize("body", [b"", b"\xef\xbb\xbf \n", b'{"error": []}'])
def test_an_error_response_without_a_message_is_reported_with_its_status(body: bytes) -> None:
    assert _outcome(403, body).reason == "answered 403"


def test_a_redirect_names_only_the_origin_of_its_target() -> None:
    outcome = _outcome(302, Location="https://robot:hush@example.com:444/x?accessToken=hush")
    assert "https://example.com" in outcome.reason
    assert "302" in outcome.reason
    assert "hush" not in outcome.reason


@pytest.mark.parametrize("headers", [{}, {"Location": "/login"}, {"Location": "https://["}])
def test_a_redirect_without_a_valid_target_is_refused(headers: dict[str, str]) -> None:
    outcome = _outcome(307, b"", **headers)
    assert outcome.action is Action.FAIL
    assert "redirects (307)" in outcome.reason


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_may_request_a_wait(status: int) -> None:
    assert _outcome(status, Retry_After="7").wait == 7
    assert _outcome(status).wait is None


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("0", 0),
        ("7", 7),
        ("0.5", 0.5),
        (" 7 ", 7),
        ("-3", 0),
        ("60", 60),
        ("3601", 3601),
        ("1e400", math.inf),
        ("inf", math.inf),
        ("nan", None),
        ("-inf", 0),
        ("Fri, 01 Jan 2021 00:00:00 GMT", 0),
        ("Mon, 01 Jan 0001 00:00:00 -0000", 0),
        ("Fri, 31 Feb 2026 00:00:00 GMT", None),
        ("Mon, 01 Jan 99999999999999 00:00:00 GMT", None),
        ("Mon, 01 Jan 2026 00:00:00 +999999999999999999", None),
        ("9" * 400, math.inf),
        ("Fri, 01 Jan 2026 00:00:00 +9999", None),
    ],
)
def test_a_wait_is_read_in_both_forms_and_never_negative(value: str | None, seconds: float | None) -> None:
    assert retry_after(value) == seconds


@pytest.mark.parametrize("zone", ["GMT", "+0000"])
def test_a_retry_after_date_is_compared_with_the_clock_of_this_machine(
    monkeypatch: pytest.MonkeyPatch, zone: str
) -> None:
    now = datetime(2026, 3, 10, 12, tzinfo=UTC)
    monkeypatch.setattr(time, "time", now.timestamp)
    later = now + timedelta(seconds=25)
    text = formatdate(later.timestamp(), usegmt=True) if zone == "GMT" else format_datetime(later)
    assert retry_after(text) == 25


@pytest.mark.parametrize("value", ["Fri, 31 Dec 9999 23:59:59 GMT", "Fri, 31 Dec 9999 23:59:59 -2359"])
def test_a_date_far_away_is_a_long_wait(value: str) -> None:
    assert (retry_after(value) or 0) > 10**11


@given(st.one_of(st.text(max_size=30), st.datetimes().map(format_datetime), st.floats().map(str)))
def test_any_text_is_a_wait_or_none(value: str) -> None:
    seconds = retry_after(value)
    assert seconds is None or seconds >= 0


def test_a_2xx_without_a_valid_body_is_retried() -> None:
    outcome = classify_body(EnvelopeError("an empty response"))
    assert (outcome.action, outcome.reason) == (Action.RETRY, "sent an empty response")


def test_a_2xx_with_an_error_is_retried_and_reports_the_error() -> None:
    outcome = classify_body(ReportedError("Maintenance"))
    assert (outcome.action, outcome.reason) == (Action.RETRY, "answered 200 with an error: Maintenance")


def test_a_request_error_names_what_happened_and_the_request() -> None:
    error = RequestError(Outcome(Action.RETRY, "answered 503", 503, attempts=6), "GET tickets.json, rows 0 to 999")
    assert str(error) == "Daktela answered 503 (6 attempts) (GET tickets.json, rows 0 to 999)"
