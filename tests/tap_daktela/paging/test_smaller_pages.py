from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING

import pytest

from tap_daktela.api.outcome import Action, Outcome, RequestError
from tap_daktela.api.query import Query
from tap_daktela.paging.smaller_pages import MIN_ROWS, fetch_with_fewer_rows, smaller_sizes

if TYPE_CHECKING:
    from tap_daktela.api.retry import RetryLimits

QUERY = Query(endpoint="activities", fields=("name",), take=1000)
TIMED_OUT = Outcome(Action.RETRY, "did not answer within 60 s", timed_out=True)
EXPIRED = replace(TIMED_OUT, reason="did not complete the request within 600 s", expired=True)
TOO_LARGE = Outcome(Action.RETRY, "sent a response of more than 64 MiB", too_large=True)
CRASHED = Outcome(Action.RETRY, "answered 500", HTTPStatus.INTERNAL_SERVER_ERROR, attempts=6)
UNAVAILABLE = Outcome(Action.RETRY, "answered 503", HTTPStatus.SERVICE_UNAVAILABLE, attempts=6)
FORBIDDEN = Outcome(Action.FAIL, "answered 403", HTTPStatus.FORBIDDEN)


class Server:
    """Fails for more rows than it can send, and otherwise returns the number of requested rows."""

    def __init__(self, most: int, outcome: Outcome, then: Outcome | None = None) -> None:
        self.most = most
        self.outcomes = [outcome, then or outcome]
        self.asked: list[int] = []
        self.limits: list[RetryLimits] = []

    def __call__(self, query: Query, limits: RetryLimits) -> int:
        self.asked.append(query.take)
        self.limits.append(limits)
        if query.take > self.most:
            outcome = self.outcomes[len(self.asked) > 1]
            raise RequestError(outcome, str(query))
        return query.take


@pytest.mark.parametrize(
    ("take", "sizes"),
    [(1000, [250, 62, 15, 10]), (100, [25, 10]), (41, [10]), (11, [10]), (10, []), (2, [])],
)
def test_sizes_shrink_to_a_quarter_until_few_rows_are_left(take: int, sizes: list[int]) -> None:
    assert smaller_sizes(take) == sizes


@pytest.mark.parametrize("outcome", [TIMED_OUT, TOO_LARGE, CRASHED])
@pytest.mark.parametrize(("most", "received"), [(1000, 1000), (999, 250), (100, 62), (10, 10)])
def test_a_page_that_is_too_large_is_fetched_with_fewer_rows(outcome: Outcome, most: int, received: int) -> None:
    server = Server(most, outcome)
    assert fetch_with_fewer_rows(QUERY, server) == received
    assert server.asked == [size for size in (1000, 250, 62, 15, 10) if size >= received]


def test_the_time_outs_of_all_sizes_are_not_more_than_those_of_one_request() -> None:
    server = Server(0, TIMED_OUT)
    with pytest.raises(RequestError):
        fetch_with_fewer_rows(QUERY, server)
    assert sum(limits.time_outs or 6 for limits in server.limits) == 6
    assert [limits.oversized for limits in server.limits] == [None, 1, 1, 1, 1]


def test_requests_that_exceed_the_time_limit_are_sent_twice() -> None:
    server = Server(0, EXPIRED)
    with pytest.raises(RequestError):
        fetch_with_fewer_rows(QUERY, server)
    assert server.asked == [1000, 250]
    assert [limits.expired for limits in server.limits] == [1, 1]


@pytest.mark.parametrize(
    ("outcome", "message"),
    [
        (
            TIMED_OUT,
            "did not answer within 60 s; requests for fewer rows, down to 10, failed, too (see page_size and",
        ),
        (TOO_LARGE, "of more than 64 MiB; requests for fewer rows, down to 10, failed, too (see page_size) (GET"),
        (
            CRASHED,
            "answered 500 (6 attempts); requests for fewer rows, down to 10, failed, too (see page_size)",
        ),
    ],
)
@pytest.mark.promise("T2")
def test_a_page_that_fails_with_few_rows_names_the_setting(outcome: Outcome, message: str) -> None:
    with pytest.raises(RequestError) as caught:
        fetch_with_fewer_rows(QUERY, Server(0, outcome))
    assert message in str(caught.value)
    assert "activities.json, rows 0 to 999" in str(caught.value)
    assert caught.value.outcome.status == outcome.status


@pytest.mark.parametrize("outcome", [UNAVAILABLE, FORBIDDEN])
def test_an_error_that_fewer_rows_do_not_avoid_is_raised_as_it_is(outcome: Outcome) -> None:
    server = Server(0, outcome)
    with pytest.raises(RequestError, match=outcome.reason):
        fetch_with_fewer_rows(QUERY, server)
    assert server.asked == [1000]


def test_another_error_with_fewer_rows_is_raised_as_it_is() -> None:
    server = Server(0, TIMED_OUT, FORBIDDEN)
    with pytest.raises(RequestError, match="answered 403"):
        fetch_with_fewer_rows(QUERY, server)
    assert server.asked == [1000, 250]


@pytest.mark.parametrize("take", [1, MIN_ROWS])
def test_a_small_page_is_retried_as_any_other_request(take: int) -> None:
    server = Server(0, TIMED_OUT)
    with pytest.raises(RequestError, match=r"did not answer within 60 s \(GET"):
        fetch_with_fewer_rows(replace(QUERY, take=take), server)
    assert [limits.time_outs for limits in server.limits] == [None]
