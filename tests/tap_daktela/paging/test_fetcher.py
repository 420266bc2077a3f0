from __future__ import annotations

import re
import threading
import time
import weakref
from collections import deque
from typing import TYPE_CHECKING, cast

import pytest
from typing_extensions import override

from tap_daktela.api.address import parse
from tap_daktela.api.client import Client, Credentials, HttpSettings
from tap_daktela.api.envelope import Page
from tap_daktela.api.outcome import RequestError
from tap_daktela.api.query import Query
from tap_daktela.paging.fetcher import Fetcher
from tests.retries import QUICK
from tests.simulator import Fault, Simulator

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_daktela.api.retry import RetryLimits

ATTEMPTS = QUICK.attempts
GROUPS = Query(endpoint="groups", fields=("name",), sort=("name",), take=2)


class _Gate:
    """A client whose responses the test releases one by one."""

    def __init__(self) -> None:
        self.open = threading.Semaphore(0)
        self.asked: deque[int] = deque()
        self.cancelled: list[threading.Event | None] = []
        self.lock = threading.Lock()
        self.in_flight = self.most_in_flight = self.closed = 0

    def close(self) -> None:
        self.closed += 1

    def page(self, query: Query, _limits: RetryLimits, cancelled: threading.Event) -> Page:
        with self.lock:
            self.asked.append(query.skip)
            self.cancelled.append(cancelled)
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
        self.open.acquire()
        with self.lock:
            self.in_flight -= 1
        return Page([{"name": query.skip}], None)


def _patient() -> Callable[[], None]:
    """Return a check that fails a test which would otherwise wait without end."""
    end = time.monotonic() + 30

    def check() -> None:
        assert time.monotonic() < end, "there is no response"

    return check


def _gated(gate: _Gate, concurrency: int, check: Callable[[], None] | None = None) -> Fetcher:
    return Fetcher(cast("Client", gate), concurrency, check or _patient())


def _until(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds that other threads bring about."""
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


def _fetcher(simulator: Simulator, concurrency: int = 3) -> Fetcher:
    client = Client(
        parse(simulator.url), Credentials(access_token=simulator.access_token), HttpSettings(retries=QUICK)
    )
    return Fetcher(client, concurrency, _patient())


def test_each_future_has_the_page_of_its_query(daktela: Simulator) -> None:
    fetcher = _fetcher(daktela)
    futures = {skip: fetcher.submit(GROUPS.page(skip)) for skip in range(6)}
    names = sorted((row["name"] for row in daktela.dataset.tables["groups"]), key=str.casefold)
    for skip in reversed(futures):
        assert [row["name"] for row in fetcher.take(futures[skip]).rows] == names[skip : skip + 2]


@pytest.mark.parametrize("concurrency", [1, 3])
def test_no_more_requests_are_in_flight_than_allowed(concurrency: int) -> None:
    gate = _Gate()
    fetcher = _gated(gate, concurrency)
    futures = [fetcher.submit(GROUPS.page(skip)) for skip in range(10)]
    _until(lambda: len(gate.asked) == concurrency)
    gate.open.release(10)
    assert [fetcher.take(future).rows[0]["name"] for future in futures] == list(range(10))
    assert gate.most_in_flight == concurrency


def test_pages_are_requested_in_the_order_of_submission() -> None:
    gate = _Gate()
    fetcher = _gated(gate, 1)
    gate.open.release(5)
    futures = [fetcher.submit(GROUPS.page(skip)) for skip in (4, 2, 0, 1, 3)]
    for future in futures:
        fetcher.take(future)
    assert list(gate.asked) == [4, 2, 0, 1, 3]


def test_a_page_is_outstanding_until_it_is_taken() -> None:
    gate = _Gate()
    gate.open.release(10)
    fetcher = _gated(gate, 1)
    futures = [fetcher.submit(GROUPS) for _ in range(2)]
    _until(futures[0].done)
    assert fetcher.outstanding == 2
    fetcher.take(futures[0])
    assert fetcher.outstanding == 1
    fetcher.page(GROUPS)
    assert fetcher.outstanding == 1


def test_an_error_is_raised_for_its_page_only(daktela: Simulator) -> None:
    daktela.faults = [Fault("403")]
    fetcher = _fetcher(daktela, 1)
    bad, good = fetcher.submit(GROUPS), fetcher.submit(GROUPS)
    with pytest.raises(RequestError, match="403"):
        fetcher.take(bad)
    assert len(fetcher.take(good).rows) == 2


@pytest.mark.parametrize("kind", ["html", "empty", "truncated-json", "error-200", "no-result"])
def test_a_response_that_is_no_page_counts_as_an_attempt(
    daktela: Simulator, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    fetcher = _fetcher(daktela)
    usual = fetcher.page(GROUPS)
    daktela.faults = [Fault(kind)]
    assert fetcher.page(GROUPS).rows == usual.rows
    assert "attempt 2 of 6 follows" in caplog.text
    assert len(daktela.requests) == 3
    daktela.faults = [Fault(kind, times=None)]
    with pytest.raises(RequestError, match=rf"\({ATTEMPTS} attempts\)"):
        fetcher.page(GROUPS)
    assert len(daktela.requests) == 3 + ATTEMPTS
    assert fetcher.outstanding == 0


def test_responses_that_are_no_pages_count_with_those_before_them(
    daktela: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    fetcher = _fetcher(daktela)
    daktela.faults = [Fault("503", times=2), Fault("html", times=None)]
    with pytest.raises(RequestError, match=rf"\({ATTEMPTS} attempts\)"):
        fetcher.page(GROUPS)
    assert len(daktela.requests) == ATTEMPTS
    assert re.findall(r"attempt (\d) of 6", caplog.text) == ["2", "3", "4", "5", "6"]


def test_a_response_that_is_no_page_is_repeated_before_its_page_is_taken(daktela: Simulator) -> None:
    fetcher = _fetcher(daktela)
    daktela.faults = [Fault("html")]
    future = fetcher.submit(GROUPS)
    _until(future.done)
    assert len(daktela.requests) == 2
    assert len(fetcher.take(future).rows) == 2


def test_a_page_is_ready_when_it_has_arrived_and_its_request_has_not_failed(daktela: Simulator) -> None:
    gate = _Gate()
    fetcher = _gated(gate, 1)
    future = fetcher.submit(GROUPS)
    assert fetcher.ready(future) is None
    gate.open.release()
    _until(future.done)
    assert fetcher.outstanding == 1
    page = fetcher.ready(future)
    assert page is not None
    assert page is fetcher.take(future)
    daktela.faults = [Fault("403")]
    fetcher = _fetcher(daktela, 1)
    future = fetcher.submit(GROUPS)
    _until(future.done)
    assert fetcher.ready(future) is None


def test_a_page_that_has_been_taken_is_not_held_by_a_thread(daktela: Simulator) -> None:
    fetcher = _fetcher(daktela, 3)
    pages = [weakref.ref(fetcher.page(GROUPS)) for _ in range(6)]
    # A thread sets the result of a future before it releases the page.
    _until(lambda: not any(page() for page in pages))


def test_a_failed_page_is_no_longer_outstanding(daktela: Simulator) -> None:
    daktela.faults = [Fault("403")]
    fetcher = _fetcher(daktela)
    with pytest.raises(RequestError):
        fetcher.page(GROUPS)
    assert fetcher.outstanding == 0


def test_a_time_out_error_of_the_client_is_raised() -> None:
    class Slow(_Gate):
        @override
        def page(self, query: Query, _limits: RetryLimits, cancelled: threading.Event) -> Page:
            raise TimeoutError("mine")

    with pytest.raises(TimeoutError, match="mine"):
        _gated(Slow(), 1).page(GROUPS)


def test_an_exception_of_the_check_ends_the_wait() -> None:
    class StopNow(Exception):  # noqa: N818 - no error
        pass

    checks = 0

    def check() -> None:
        nonlocal checks
        checks += 1
        if checks > 2:
            raise StopNow

    fetcher = _gated(_Gate(), 1, check)
    with pytest.raises(StopNow):
        fetcher.page(GROUPS)


def test_the_check_is_called_even_if_the_page_has_arrived() -> None:
    gate = _Gate()
    gate.open.release(1)
    checks: list[int] = []
    fetcher = _gated(gate, 1, lambda: checks.append(1))
    future = fetcher.submit(GROUPS)
    _until(future.done)
    fetcher.take(future)
    assert checks == [1]


def test_requests_that_are_cancelled_before_they_are_sent_are_never_sent() -> None:
    gate = _Gate()
    fetcher = _gated(gate, 1)
    for skip in range(5):
        fetcher.submit(GROUPS.page(skip))
    _until(lambda: len(gate.asked) == 1)
    fetcher.cancel_all()
    assert fetcher.outstanding == 0
    gate.open.release(10)
    assert fetcher.page(GROUPS.page(9)).rows[0]["name"] == 9
    assert list(gate.asked) == [0, 9]


def test_closing_cancels_requests() -> None:
    gate = _Gate()
    fetcher = _gated(gate, 1)
    fetcher.submit(GROUPS)
    fetcher.submit(GROUPS.page(2))
    _until(lambda: len(gate.asked) == 1)
    fetcher.close()
    assert fetcher.outstanding == 0
    [cancelled] = gate.cancelled
    assert cancelled is not None
    assert cancelled.is_set()
    assert gate.closed == 1
    gate.open.release(10)
    assert fetcher.page(GROUPS.page(9)).rows[0]["name"] == 9
    assert 2 not in gate.asked


def test_a_discarded_page_is_no_longer_outstanding_and_never_requested() -> None:
    gate = _Gate()
    fetcher = _gated(gate, 1)
    futures = [fetcher.submit(GROUPS.page(skip)) for skip in range(3)]
    _until(lambda: len(gate.asked) == 1)
    for future in futures[:2]:
        fetcher.discard(future)
    assert fetcher.outstanding == 1
    gate.open.release(10)
    assert fetcher.take(futures[2]).rows[0]["name"] == 2
    assert list(gate.asked) == [0, 2]


def test_cancelling_concerns_the_request_in_flight_and_not_the_following_one() -> None:
    gate = _Gate()
    fetcher = _gated(gate, 1)
    fetcher.submit(GROUPS)
    _until(lambda: len(gate.asked) == 1)
    fetcher.cancel_all()
    gate.open.release(2)
    fetcher.page(GROUPS)
    before, after = gate.cancelled
    assert before is not None
    assert before.is_set()
    assert after is not None
    assert not after.is_set()


def test_a_request_that_is_cancelled_in_flight_is_not_retried(
    daktela: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    daktela.faults = [Fault("429", retry_after=60, times=None)]
    fetcher = _fetcher(daktela, 1)
    future = fetcher.submit(GROUPS)
    _until(lambda: bool(caplog.records))
    fetcher.cancel_all()
    with pytest.raises(RequestError):
        fetcher.take(future)
    attempts = len(daktela.requests)
    assert attempts == 1


def test_another_request_runs_in_the_same_threads_and_is_not_outstanding() -> None:
    fetcher = _gated(_Gate(), 1)
    assert fetcher.run(lambda: threading.current_thread().name) == "fetch-0"
    assert fetcher.outstanding == 0


def test_a_thread_is_used_again_when_it_is_free() -> None:
    fetcher = _gated(_Gate(), 5)
    workers, names = fetcher._workers, set()
    for _ in range(5):
        names.add(fetcher.run(lambda: threading.current_thread().name))
        # The thread becomes free a moment after its result is there.
        _until(lambda: workers._unfinished == 0)
    assert names == {"fetch-0"}


def test_threads_do_not_prevent_the_process_from_ending() -> None:
    fetcher = _gated(_Gate(), 2)
    assert fetcher.run(lambda: threading.current_thread().daemon)
