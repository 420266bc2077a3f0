"""Request a page with fewer rows if it is too large for the server.

A page may be too large for the time-out of a gateway, for the memory of PHP, or for the size limit of a response.
After two time-outs, or after all other retries, the request is repeated with a quarter of the rows, and so on
down to `MIN_ROWS`. The number of time-outs is limited to that of a request that is not repeated with fewer
rows.
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
"""A request for so few rows is not repeated with fewer."""
_DIVISOR = 4
_MAX_TIMEOUTS = 6
_EXPIRED_TIMEOUTS = 3
"""The number of time-outs that an attempt counts for if it exceeds the time limit of a whole request."""
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
    """Return the last error if it has another cause, otherwise the first one, which then mentions the retries."""
    if last is first or not last.outcome.fewer_rows_may_help:
        return last
    settings = "page_size and request_timeout" if last.outcome.timed_out else "page_size"
    advice = f"requests for fewer rows, down to {take}, failed, too (see {settings})"
    final = RequestError(replace(first.outcome, advice=advice), first.request)
    final.repeated = True
    return final
