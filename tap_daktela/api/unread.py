"""The body of an answer in; its page out, when it is needed first, and by the thread that needs it."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from tap_daktela.api.envelope import EnvelopeError, read_page
from tap_daktela.api.rows import PageReader

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from tap_daktela.api.envelope import Page
    from tap_daktela.api.query import Query
    from tap_daktela.api.room import Room


class Unread:
    """The answer to a query."""

    def __init__(self, query: Query, room: Room, attempts: int = 1) -> None:
        self.query = query
        self.attempts = attempts
        """How many it took to get the answer."""
        self.again: Future[Page] | None = None
        """The repetition of the request, if the answer is no page and that is known."""
        self._room = room

    @property
    def body(self) -> bytes:
        """The answer's body, unless there was a page in it that has been read."""
        return self._room.body

    @cached_property
    def page(self) -> Page | None:
        """The rows; None if the answer is no page, and `Client.ask_again` knows what to do about it."""
        page = self._read(self.query)
        if page is not None:
            # A page is kept for a while, and its text is no longer needed.
            self._room.release()
        return page

    def glance(self, fields: tuple[str, ...]) -> Page | None:
        """Return the rows with these fields at least, which are less to hold than the page; None as above."""
        if "page" in vars(self):
            return self.page
        return self._read(replace(self.query, fields=fields))

    def _read(self, query: Query) -> Page | None:
        try:
            return reader(query)(self.body)
        except EnvelopeError:
            return None


def reader(query: Query) -> Callable[[bytes], Page]:
    """Return what reads the answers to a query."""
    # A field that is not there is not a null, for those who want to know.
    return read_page if query.as_sent else PageReader(query.fields)
