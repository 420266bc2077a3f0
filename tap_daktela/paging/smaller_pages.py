"""Request a page with fewer rows if the server cannot send as many as wanted.

A page may be too large for the time-out of a gateway, for the memory of PHP, or for our limit on a response. After
two time-outs, or when all other retries have failed, the request is repeated with a quarter of the rows, and so on
down to `MIN_ROWS`. Together the time-outs are not more than those of a request that fails without that.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from tap_daktela.api.outcome import RequestError
from tap_daktela.api.retry import RetryLimits

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_daktela.api.query import Query

logger = logging.getLogger(__name__)

Fetched = TypeVar("Fetched")

MIN_ROWS = 10
"""If the server cannot send a page with so few rows, the request has failed."""
_DIVISOR = 4
_MAX_TIMEOUTS = 6
_EXPIRED_TIMEOUTS = 3
"""Time-outs that a request counts for if it was stopped after ten times as long as others."""
_FIRST = RetryLimits(time_outs=2, expired=1)
_SMALLER = RetryLimits(time_outs=1, expired=1, oversized=1)


def smaller_sizes(take: int) -> list[int]:
    """Return the numbers of rows to request after `take`."""
    sizes = []
    while take > MIN_ROWS:
        take = max(MIN_ROWS, take // _DIVISOR)
        sizes.append(take)
    return sizes


def fetch_with_fewer_rows(query: Query, fetch: Callable[[Query, RetryLimits], Fetched]) -> Fetched:
    """Return what `fetch` returns for a query, or for one with fewer rows if the server cannot send as many.

    Raises:
        RequestError: that of the query itself, if requests for fewer rows fail for the same reason.
    """
    sizes = smaller_sizes(query.take)
    try:
        return fetch(query, _FIRST if sizes else RetryLimits())
    except RequestError as error:
        first = last = error
    take = query.take
    timeouts = _timeouts(first) * (1 if first.outcome.expired else 2)
    while last.outcome.fewer_rows_may_help and sizes and timeouts < _MAX_TIMEOUTS:
        take = sizes.pop(0)
        logger.warning("%s; requesting %d rows instead of %d", last, take, query.take)
        try:
            return fetch(replace(query, take=take), _SMALLER)
        except RequestError as error:
            last = error
            timeouts += _timeouts(error)
    raise _final(first, last, take)


def _timeouts(error: RequestError) -> int:
    return _EXPIRED_TIMEOUTS if error.outcome.expired else int(error.outcome.timed_out)


def _final(first: RequestError, last: RequestError, take: int) -> RequestError:
    """Return the error to raise: one of another kind as it is, otherwise the first one, with what was tried."""
    if last is first or not last.outcome.fewer_rows_may_help:
        return last
    settings = "page_size and request_timeout" if last.outcome.timed_out else "page_size"
    advice = f"requests for fewer rows, down to {take}, failed, too (see {settings})"
    final = RequestError(replace(first.outcome, advice=advice), first.request)
    final.repeated = True
    return final
