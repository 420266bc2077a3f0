"""T1: a run completes despite a quota without `Retry-After`, and ends soon if all requests are refused."""

from __future__ import annotations

import re
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tap_daktela.api.address import parse
from tap_daktela.api.client import Client, Credentials, HttpSettings
from tap_daktela.api.outcome import Action, Outcome, RequestError
from tap_daktela.api.query import Query
from tap_daktela.api.retry import CancelledError, RateLimit, Retries, RetryLimits, RetryPolicy
from tap_daktela.paging.fetcher import Fetcher
from tests.simulator import Fault, Simulator, generate
from tests.tap_daktela import original
from tests.tap_daktela.running import run_tap, settings

if TYPE_CHECKING:
    from collections.abc import Callable

LIMITED = Outcome(Action.RETRY, "asked for fewer requests (429)", 429)
FAILED = Outcome(Action.RETRY, "answered 503", 503)
GROUPS = Query(endpoint="groups", fields=("name",), sort=("name",), take=2)
SCALE = 100
"""The factor by which waits are shorter than in reality."""
SCALED = RetryPolicy(
    first_wait=1 / SCALE, max_wait=16 / SCALE, max_rate_limit_wait=90 / SCALE, max_retry_after=600 / SCALE
)


def _waits(retries: Retries, outcome: Outcome) -> list[float]:
    waits = []
    while (wait := retries.next_wait(outcome)) is not None:
        waits.append(wait)
    return waits


@pytest.mark.promise("T1")
def test_waits_after_a_429_grow_beyond_a_minute() -> None:
    waits = _waits(Retries(RetryPolicy()), LIMITED)
    assert len(waits) == 9
    assert min(waits[-2:]) > 60
    assert sum(waits) > 180


def test_waits_after_other_failures_stay_short() -> None:
    waits = _waits(Retries(RetryPolicy()), FAILED)
    assert len(waits) == 5
    assert 10 < sum(waits) < 31


def test_attempts_to_reach_a_host_may_be_fewer() -> None:
    unreachable = Outcome(Action.RETRY, "could not be reached", unreachable=True)
    assert len(_waits(Retries(RetryPolicy()), unreachable)) == 5
    retries = Retries(RetryPolicy(unreachable_attempts=2))
    assert len(_waits(retries, unreachable)) == 1
    assert len(_waits(Retries(RetryPolicy(unreachable_attempts=2)), FAILED)) == 5
    assert retries.most == 2


def test_failures_of_both_kinds_are_counted_apart() -> None:
    retries = Retries(RetryPolicy())
    for _ in range(5):
        assert retries.next_wait(FAILED) is not None
    assert retries.next_wait(LIMITED) is not None
    assert retries.next_wait(FAILED) is None
    assert retries.failed == 7


@pytest.mark.parametrize("limits", [RetryLimits(attempts=1), RetryLimits(attempts=2)])
def test_a_caller_that_allows_few_attempts_allows_few_after_a_429_too(limits: RetryLimits) -> None:
    assert len(_waits(Retries(RetryPolicy(), limits), LIMITED)) == (limits.attempts or 0) - 1


@pytest.mark.parametrize(("asked", "granted"), [(0.0, 1.0), (45.0, 45.0), (300.0, 300.0), (3600.0, 600.0)])
@pytest.mark.parametrize("status", [429, 503])
def test_a_requested_wait_is_observed_up_to_ten_minutes(status: int, asked: float, granted: float) -> None:
    outcome = Outcome(Action.RETRY, "", status, asked)
    wait = Retries(RetryPolicy()).next_wait(outcome)
    assert wait is not None
    assert granted * 0.5 <= wait <= granted


@pytest.mark.parametrize("counts_refused", [False, True])
@pytest.mark.promise("T1")
def test_a_quota_of_six_requests_a_minute_loses_nothing(counts_refused: bool) -> None:  # noqa: FBT001
    simulator = Simulator(
        generate(activities=60, tickets=10, seed=1),
        quota=6,
        quota_seconds=60 / SCALE,
        quota_counts_refused=counts_refused,
    )
    with simulator:
        client = Client(
            parse(simulator.url), Credentials(access_token=simulator.access_token), HttpSettings(retries=SCALED)
        )
        fetcher = Fetcher(client, 5, _patient())
        query = Query(endpoint="activities", fields=("name",), sort=("name",), take=2)
        futures = [fetcher.submit(query.page(skip)) for skip in range(0, 60, 2)]
        names = [row["name"] for future in futures for row in fetcher.take(future).rows]
        assert sorted(names) == sorted(row["name"] for row in simulator.dataset.tables["activities"])
        answered = [request for request in simulator.requests if request.status == 200]
        assert len(answered) == 30
        # Meanwhile, the other threads wait and send no requests.
        assert len(simulator.requests) < 30 + 5 * 5 * 10


@pytest.mark.promise("T1")
def test_a_whole_run_survives_a_quota() -> None:
    dataset = generate(activities=100, tickets=20, seed=1)
    with Simulator(dataset, quota=6, quota_seconds=0.05) as simulator:
        run = run_tap(settings(simulator, page_size=20))
    assert run.code == 0, run.log
    assert any("asked for fewer requests (429)" in line for line in run.warnings)
    for stream in original.DEFAULT:
        assert set(run.keys(stream)) == original.keys(dataset, stream), stream


def test_only_one_request_is_repeated_while_the_others_wait(caplog: pytest.LogCaptureFixture) -> None:
    policy = RetryPolicy(first_wait=0.2, max_rate_limit_wait=0.2)
    with Simulator(generate(activities=10, tickets=10, seed=1), faults=[Fault("429-plain", times=5)]) as simulator:
        client = Client(
            parse(simulator.url), Credentials(access_token=simulator.access_token), HttpSettings(retries=policy)
        )
        fetcher = Fetcher(client, 5, _patient())
        together = [fetcher.submit(GROUPS) for _ in range(5)]
        for future in together:
            assert fetcher.take(future).rows
        assert len(simulator.requests) == 10
    assert len(re.findall("attempt 2 of 10 follows", caplog.text)) < 5


def test_after_a_final_429_the_next_one_is_final_too() -> None:
    policy = RetryPolicy(first_wait=0.001, max_rate_limit_wait=0.001)
    fault = Fault("429-plain", times=None)
    with Simulator(generate(activities=10, tickets=10, seed=1), faults=[fault]) as simulator:
        client = Client(
            parse(simulator.url), Credentials(access_token=simulator.access_token), HttpSettings(retries=policy)
        )
        with pytest.raises(RequestError, match=r"\(429\) \(10 attempts\)"):
            client.page(GROUPS)
        with pytest.raises(RequestError, match=r"\(429\) \(GET"):
            client.page(GROUPS)
        assert fault.fired == 11
        fault.times = 0
        client.page(GROUPS)
        fault.times = None
        with pytest.raises(RequestError, match=r"\(429\) \(10 attempts\)"):
            client.page(GROUPS)


def test_a_429_of_an_optional_request_shortens_no_later_request() -> None:
    policy = RetryPolicy(first_wait=0.001, max_rate_limit_wait=0.001)
    with Simulator(generate(activities=10, tickets=10, seed=1), faults=[Fault("429-plain", times=4)]) as simulator:
        client = Client(
            parse(simulator.url), Credentials(access_token=simulator.access_token), HttpSettings(retries=policy)
        )
        with pytest.raises(RequestError, match=r"\(429\) \(GET"):
            client.page(GROUPS, RetryLimits(attempts=1))
        assert client.page(GROUPS).rows


def test_a_wait_shorter_than_asked_for_is_logged_as_such(caplog: pytest.LogCaptureFixture) -> None:
    policy = RetryPolicy(first_wait=0.001, max_retry_after=0.01)
    with Simulator(generate(activities=10, seed=1), faults=[Fault("429", retry_after=3600)]) as simulator:
        client = Client(
            parse(simulator.url), Credentials(access_token=simulator.access_token), HttpSettings(retries=policy)
        )
        client.page(GROUPS)
    assert "attempt 2 of 10 follows in 0.0 s, less than the requested 3,600 s (GET groups" in caplog.text


def test_a_login_waits_for_no_other_request() -> None:
    """Otherwise the request that the others wait for would wait for a token, and the login for the request."""
    policy = RetryPolicy(first_wait=0.05, max_rate_limit_wait=0.05)
    with Simulator(
        generate(activities=10, tickets=10, seed=1), faults=[Fault("429-plain", "groups", times=4)]
    ) as simulator:
        client = Client(
            parse(simulator.url), Credentials(username="robot", password="secret"), HttpSettings(retries=policy)
        )
        client.sign_in()
        fetcher = Fetcher(client, 5, _patient())
        simulator.revoke()
        futures = [fetcher.submit(GROUPS) for _ in range(5)]
        assert all(fetcher.take(future).rows for future in futures)


def test_a_login_does_not_wait_while_another_request_holds_the_others() -> None:
    with Simulator(generate(activities=10, tickets=10, seed=1)) as simulator:
        client = Client(
            parse(simulator.url), Credentials(username="robot", password="secret"), HttpSettings(retries=SCALED)
        )
        client._rate_limit.hold(threading.Event())
        with ThreadPoolExecutor(1) as pool:
            login = pool.submit(client.sign_in)
            try:
                login.result(timeout=30)
            finally:
                client._rate_limit.release()
        assert [request.endpoint for request in simulator.requests] == ["login"]


def _patient() -> Callable[[], None]:
    end = time.monotonic() + 30

    def check() -> None:
        assert time.monotonic() < end

    return check


def test_sigterm_ends_a_wait_at_once() -> None:
    fault = Fault("429", "tickets", times=None, retry_after=500)
    with Simulator(generate(activities=50, tickets=20, seed=1), faults=[fault]) as simulator:
        config = settings(simulator)
        began = time.monotonic()
        run = run_tap(config, stop_after=20, stop_with=signal.SIGTERM)
    assert run.code == 143
    assert time.monotonic() - began < 60


class TestRateLimit:
    def test_one_thread_holds_and_others_wait(self) -> None:
        limit, never = RateLimit(), threading.Event()
        assert limit.hold(never) is False
        assert limit.hold(never) is False, "its own request may be refused again"
        limit.wait(never)
        passed: list[bool] = []
        thread = threading.Thread(target=lambda: passed.append(limit.hold(never)))
        thread.start()
        thread.join(0.05)
        assert passed == []
        limit.release()
        thread.join()
        assert passed == [True]

    def test_a_request_that_is_no_longer_needed_does_not_wait(self) -> None:
        limit, cancelled = RateLimit(), threading.Event()
        limit.hold(cancelled)
        cancelled.set()
        failures: list[BaseException] = []

        def wait() -> None:
            try:
                limit.wait(cancelled)
            except CancelledError as error:
                failures.append(error)

        thread = threading.Thread(target=wait, daemon=True)
        thread.start()
        thread.join(30)
        assert len(failures) == 1

    def test_a_success_after_a_request_has_failed_ends_the_exhaustion(self) -> None:
        limit, never = RateLimit(), threading.Event()
        states = [limit.is_exhausted]
        limit.note_exhausted()
        states.append(limit.is_exhausted)
        limit.note_success(limit.wait(never))
        states.append(limit.is_exhausted)
        assert states == [False, True, False]

    def test_the_success_of_a_request_that_was_sent_before_does_not_end_the_exhaustion(self) -> None:
        limit, never = RateLimit(), threading.Event()
        before = limit.wait(never)
        limit.note_exhausted()
        limit.note_success(before)
        assert limit.is_exhausted

    def test_only_the_holder_releases(self) -> None:
        limit, never = RateLimit(), threading.Event()
        limit.hold(never)
        thread = threading.Thread(target=limit.release)
        thread.start()
        thread.join()
        assert limit._holder == threading.get_ident()
