"""The body of an answer in; its page out, when it is needed first, and by the thread that needs it.

Meanwhile bodies wait in pieces of memory that are used again. In the memory of the threads that they came in, they
would leave gaps, since another thread frees them: a long run would hold a tenth more than a short one.
"""

from __future__ import annotations

import mmap
from collections import deque
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING

from tap_daktela.api.envelope import EnvelopeError, read_page
from tap_daktela.api.rows import PageReader

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from tap_daktela.api.envelope import Page
    from tap_daktela.api.query import Query


class Unread:
    """The answer to a query."""

    def __init__(
        self, query: Query, body: bytes, spare: deque[mmap.mmap] | None = None, attempts: int = 1
    ) -> None:
        """Keep a body, in one of the `spare` pieces of memory if one is large enough."""
        self.query = query
        self.attempts = attempts
        """How many it took to get the answer."""
        self.again: Future[Page] | None = None
        """The repetition of the request, if the answer is no page and that is known."""
        self._size = len(body)
        self._spare = deque() if spare is None else spare
        self._waiting = _room(self._spare, self._size)
        self._waiting[: self._size] = body

    @property
    def body(self) -> bytes:
        """The answer's body, unless there was a page in it that has been read."""
        return self._waiting[: self._size]

    @cached_property
    def page(self) -> Page | None:
        """The rows; None if the answer is no page, and `Client.ask_again` knows what to do about it."""
        try:
            page = reader(self.query)(self.body)
        except EnvelopeError:
            return None
        # A page is kept for a while, and its text is no longer needed.
        self._spare.append(self._waiting)
        return page


def reader(query: Query) -> Callable[[bytes], Page]:
    """Return what reads the answers to a query."""
    # A field that is not there is not a null, for those who want to know.
    return read_page if query.as_sent else PageReader(query.fields)


def _room(spare: deque[mmap.mmap], size: int) -> mmap.mmap:
    """Return a piece of memory of so many bytes or more."""
    # Another thread may take the last one.
    with suppress(IndexError):
        if len(found := spare.pop()) >= size:
            return found
    return mmap.mmap(-1, 1 << size.bit_length())
