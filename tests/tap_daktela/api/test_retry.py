"""The number of attempts of a request, the waits between them, and the wait after a 429."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_daktela.api.outcome import Action, Outcome
from tap_daktela.api.retry import DEFAULT_RETRIES, CancelledError, RateLimit, Retries, RetryLimits

ERROR = Outcome(Action.RETRY, "answered 503", 503)
QUOTA = Outcome(Action.RETRY, "answered 429", 429)


def attempts(outcome: Outcome, limits: RetryLimits | None = None) -> int:
    """Return the number of attempts of a request whose attempts all have the same outcome."""
    retries = Retries(DEFAULT_RETRIES, limits)
    while retries.next_wait(outcome) is not None:
        assert retries.failed < 100
    return retries.failed


@given(st.integers(1, 5000), st.sampled_from([None, 0.5, 30.0, 1e9]))
def test_waits_grow_to_a_limit_and_are_never_shorter_than_the_server_asks(
    failures: int, asked: float | None
) -> None:
    policy = DEFAULT_RETRIES
    expected = min(policy.first_wait * 2.0 ** min(failures - 1, 30), policy.max_wait)
    wait = policy.wait(replace(ERROR, wait=asked), failures)
    granted = min(asked or 0.0, policy.max_retry_after)
    assert max(expected / 2, granted) <= wait <= max(expected, granted)


def test_the_longest_wait_after_a_429_stays_above_a_minute() -> None:
    waits = [DEFAULT_RETRIES.wait(QUOTA, 10) for _ in range(100)]
    assert 60 < min(waits) <= max(waits) <= DEFAULT_RETRIES.max_rate_limit_wait


@pytest.mark.parametrize(
    ("outcome", "limits", "expected"),
    [
        (ERROR, None, 6),
        (QUOTA, None, 10),
        (ERROR, RetryLimits(attempts=1), 1),
        (QUOTA, RetryLimits(attempts=1), 1),
        (replace(ERROR, timed_out=True), RetryLimits(time_outs=2), 2),
        (ERROR, RetryLimits(time_outs=2), 6),
        (replace(ERROR, status=200, reported=True), RetryLimits(reports=1), 1),
        (replace(ERROR, status=None, timed_out=True, expired=True), None, 2),
        (replace(ERROR, too_large=True), None, 1),
        (replace(ERROR, status=500), RetryLimits(oversized=3), 3),
    ],
)
def test_each_kind_of_failure_has_its_number_of_attempts(
    outcome: Outcome, limits: RetryLimits | None, expected: int
) -> None:
    assert attempts(outcome, limits) == expected


def test_attempts_after_a_429_do_not_count_as_failures_of_another_kind() -> None:
    retries = Retries(DEFAULT_RETRIES)
    for _ in range(5):
        assert retries.next_wait(QUOTA) is not None
    for _ in range(5):
        assert retries.next_wait(ERROR) is not None
    assert retries.next_wait(ERROR) is None


def test_a_request_after_a_429_makes_the_others_wait_until_it_is_answered() -> None:
    limit = RateLimit()
    never, passed = threading.Event(), threading.Event()
    assert not limit.hold(never)

    def request() -> None:
        limit.wait(never)
        passed.set()

    other = threading.Thread(target=request)
    other.start()
    assert not passed.wait(0.2)
    limit.wait(never)
    limit.release()
    other.join()
    assert passed.is_set()


def test_a_cancelled_request_stops_waiting() -> None:
    limit = RateLimit()
    cancelled = threading.Event()
    cancelled.set()
    errors: list[Exception] = []

    def wait() -> None:
        try:
            limit.wait(cancelled)
        except CancelledError as error:
            errors.append(error)

    limit.hold(threading.Event())
    other = threading.Thread(target=wait)
    other.start()
    other.join()
    assert len(errors) == 1
