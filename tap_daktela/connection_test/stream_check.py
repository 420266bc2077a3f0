"""Check one stream of one instance: read its newest page, and compare the rows with the declaration."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from tap_daktela.api.outcome import Action, RequestError
from tap_daktela.api.retry import RetryLimits
from tap_daktela.connection_test.drift import Sample, differences
from tap_daktela.reading.permissions import data_warnings, missing_items
from tap_daktela.reading.stream_reader import StreamError, StreamReader

if TYPE_CHECKING:
    from tap_daktela.api.envelope import Page
    from tap_daktela.reading.instance import Instance
    from tap_daktela.streams.fields import Stream

_WHOLE_ROWS = 3
"""A row with all its fields and related objects can have 300 kB (daktela-api.md §3)."""


class StreamCheck(StreamReader):
    """Reads the newest rows of a stream as a run does, with all columns."""

    def __init__(self, stream: Stream, instance: Instance) -> None:
        """Prepare the stream for reading.

        Raises:
            InstanceError: nothing of the instance can be read.
            StreamError: this stream cannot be read.
        """
        super().__init__(stream, stream.fields, instance, None)
        self._page: Page | None = None

    def run(self) -> str:
        """Read one page, and return the number of rows with warnings about missing data.

        Raises:
            StreamError: the account may not read the stream or the items of its rows.
        """
        with self._as_stream_error():
            page = self._newest_page()
            self._page = page
            self._instance.server_clock.observe(page.time, page.timezone)
            self._records(page.rows)
            if problem := missing_items(self._stream, self._instance, self._mapper.stats):
                raise StreamError(problem)
            count = self._count(page)
        return "; ".join([count, *data_warnings(self._mapper.stats)])

    def _count(self, page: Page) -> str:
        """Return how many rows the stream has.

        A total that does not exceed the page may count the rows of the page only. Then a request for one further
        row shows whether there are more.
        """
        count = len(page.rows)
        if page.total is not None and page.total > count:
            return f"{page.total} rows"
        behind = replace(self._fields.newest().page(count), take=1)
        has_more = count > 0 and bool(self._instance.fetcher.page(behind).rows)
        return f"more than {count} rows" if has_more else f"{count} rows"

    def _newest_page(self) -> Page:
        while True:
            try:
                return self._instance.fetcher.page(self._fields.newest())
            except RequestError as error:
                if not self._fields.adapt(error):
                    raise
                self._compile()

    def drift(self) -> list[str]:
        """Return one line for each difference between the rows and the declaration; see `drift.py`.

        This sends a request for a few rows with all their fields, because no other answer lists all fields.
        """
        if self._page is None or not self._page.rows:
            return self._fields.take_warnings()
        with self._as_stream_error():
            self._fields.warn_of_absent(self._page.rows, self._without_value)
        if not self._instance.returns_whole_rows:
            return self._fields.take_warnings()
        whole: list[Any] = []
        problems: list[str] = []
        with self._as_stream_error():
            try:
                whole = self._whole_rows()
            except RequestError as error:
                # If such a request fails with a temporary error, it is not sent for the other streams.
                self._instance.returns_whole_rows = error.outcome.action is not Action.RETRY
                problems.append(
                    f"new and missing fields are unknown, because the request for all fields failed: {error}"
                )
        requested, whole = ([row for row in rows if isinstance(row, dict)] for rows in (self._page.rows, whole))
        sample = Sample(requested, whole, is_old=self._page.timezone is None)
        found = differences(self._stream, self._mapper.tree, sample)
        return [*self._fields.take_warnings(), *found, *problems]

    def _whole_rows(self) -> list[Any]:
        query = replace(self._fields.newest(), fields=(), take=_WHOLE_ROWS)
        # One attempt: a note does not justify a longer test.
        fetch = partial(self._instance.client.page, query, limits=RetryLimits(attempts=1))
        return self._instance.fetcher.run(fetch).rows
