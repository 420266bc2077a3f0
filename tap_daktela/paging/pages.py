"""Read a range of time or a whole list completely and in order.

`window_plan.py` and `name_plan.py` decide which pages to request; the loop here fetches them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tap_daktela.paging.name_plan import NamePlan
from tap_daktela.paging.plan import Reply
from tap_daktela.paging.window_plan import WindowPlan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from tap_daktela.api.envelope import Page
    from tap_daktela.api.query import Query
    from tap_daktela.paging.fetcher import Fetcher
    from tap_daktela.paging.plan import Batch, PageLimit, Plan, Request
    from tap_daktela.paging.windows import Window


@dataclass(frozen=True)
class PageSource:
    """The source of the pages of a list."""

    fetcher: Fetcher
    limit: PageLimit
    """The known limits on the length of the pages of the endpoint."""
    observe: Callable[[Page], None]
    """Called with each page before its rows are used; it may raise to stop reading."""


def read_windows(source: PageSource, query: Query, cursor: str, window: Window) -> Iterator[Batch]:
    """Return the rows of a time range, window by window, sorted by time.

    `cursor` is the field with the time. `query` must request it, and the field that it sorts by.

    Raises:
        RequestError, SignInError: a page could not be fetched. All batches before it have been yielded.
        ReadError: the server's replies contradict each other.
    """
    return _read(source, WindowPlan(query, cursor, window, source.limit, source.fetcher.concurrency))


def read_by_name(source: PageSource, query: Query) -> Iterator[Batch]:
    """Return the rows of a whole list, sorted by the field that `query` sorts by.

    If the list has fewer rows than the server counts, it is read again, because rows may have been inserted among
    those that had been read. If the count keeps changing, all unchanged rows are complete, and the last batch is
    partial.

    Raises:
        RequestError, SignInError: a page could not be fetched. All batches before it have been yielded.
        ReadError: the server's replies contradict each other.
    """
    return _read(source, NamePlan(query, source.limit))


def _read(source: PageSource, plan: Plan) -> Iterator[Batch]:
    """Fetch the pages that a plan requests, and yield the batches that it returns."""
    fetcher = source.fetcher
    futures: dict[Request, Future[Page]] = {}
    _submit(fetcher, plan, futures)
    while (turn := plan.turn) is not None:
        page = fetcher.take(futures.pop(turn))
        source.observe(page)
        batches = plan.accept(Reply(turn, page))
        # Free this page before waiting for the next one.
        del page
        _submit(fetcher, plan, futures)
        while batches:
            yield batches.pop(0)


def _submit(fetcher: Fetcher, plan: Plan, futures: dict[Request, Future[Page]]) -> None:
    """Send the requests of a plan, up to the limit of the fetcher, and cancel those that it has discarded."""
    for request in plan.discarded():
        if request in futures:
            fetcher.discard(futures.pop(request))
    if plan.turn is not None and plan.turn not in futures:
        futures[plan.turn] = fetcher.submit(plan.turn.query)
    for request in plan.unexamined():
        page = fetcher.ready(futures[request]) if request in futures else None
        if page is not None:
            plan.examine(Reply(request, page))
    for request in plan.next_requests(max(0, fetcher.max_outstanding - fetcher.outstanding)):
        futures[request] = fetcher.submit(request.query)
