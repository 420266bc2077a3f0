"""The common parts of `window_plan.py` and `name_plan.py`: requests, replies, and the length of pages.

A plan decides which pages to request, and in which order to emit their rows. It performs no I/O: `pages.py`
fetches the pages that a plan requests.

The number of rows in a page does not show whether the page is the last one. The server may send fewer rows than
requested, and its total may be missing or wrong (daktela-api.md §2). A plan therefore ends a list only after a
page that begins among rows that have been read and has no new row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from tap_daktela.api.rows import column
from tap_daktela.streams.fields import Kind
from tap_daktela.streams.masking import describe

if TYPE_CHECKING:
    from tap_daktela.api.envelope import Page
    from tap_daktela.api.query import Query

Row: TypeAlias = Any
"""A row as `api.rows` decodes it."""

MAX_REREADS = 3
"""How often a request is repeated if its reply contradicts earlier replies. Then the stream fails."""
MIN_PLANNED_LENGTH = 10
"""Shorter pages are not requested ahead, unless `take` is smaller, because they would overlap too much."""
MAX_PLANNED_PAGES = 10_000
"""The largest number of pages to plan at once. The total of the server may be too large."""
OVERLAP = 40
"""Pages that are requested ahead overlap by one in this many rows, because rows can leave a list during a run."""

_KEY_TYPES = frozenset({str, int, float, bool, type(None)})


class ReadError(Exception):
    """The server's replies contradict each other repeatedly, so the rows that they omit are unknown."""


@dataclass(frozen=True)
class Batch:
    """Rows in reading order."""

    rows: list[Row]
    end: str | None = None
    """The end of a time window if this batch completes the window, otherwise None."""
    total: int | None = None
    """The total of the server at the start of reading, None if the server did not send it."""
    is_partial: bool = False
    """Whether this and earlier batches may lack rows, because the list changed each time that it was read."""


@dataclass(frozen=True, eq=False)
class Request:
    """A page that a plan needs. Requests with equal queries are not equal."""

    query: Query


@dataclass(frozen=True)
class Reply:
    """The page that answers a request."""

    request: Request
    page: Page

    @property
    def take(self) -> int:
        """The number of requested rows. It is smaller than planned if the server could not send so many rows."""
        return self.page.take or self.request.query.take

    @property
    def rows(self) -> list[Row]:
        """The rows of the page."""
        return self.page.rows

    @property
    def skip(self) -> int:
        """The offset of the page."""
        return self.request.query.skip

    @property
    def total(self) -> int | None:
        """The server's total, None if it is missing, or smaller than the offset plus the rows of the page."""
        total = self.page.total
        return None if total is None or total < self.skip + len(self.rows) else total

    @property
    def is_last(self) -> bool:
        """Whether the total shows that no row follows this page.

        At offset 0, the total shows nothing, because some servers send the number of rows in the page as total.
        """
        return self.skip > 0 and self.page.total == self.skip + len(self.rows)

    @property
    def is_short(self) -> bool:
        """Whether the page has fewer rows than requested, and the total does not show that it is the last one."""
        return len(self.rows) < self.take and not self.is_last

    @property
    def claims_more(self) -> bool:
        """Whether rows follow this page according to the total of the server."""
        return (self.page.total or 0) > self.skip + len(self.rows)


class PageLimit:
    """What the responses have shown about the largest page and the largest total of an endpoint."""

    def __init__(self) -> None:
        self._longest = 0
        self._shortest_truncated: int | None = None
        self._largest_total = 0
        self.has_right_totals = False
        """Whether the total of a page after the first one was its offset plus its length.

        Such a total counts all matching rows, not the rows in the page.
        """

    def note(self, reply: Reply) -> None:
        """Note the length of a page, and its total."""
        self._longest = max(self._longest, len(reply.rows))
        self._largest_total = max(self._largest_total, reply.total or 0)
        self.has_right_totals = self.has_right_totals or reply.is_last

    def note_truncated(self, count: int) -> None:
        """Note the length of a page that was shorter than requested, although rows followed it.

        The following rows may have been inserted later. So a page with a single row shows no limit.
        """
        if count > 1:
            self._shortest_truncated = min(count, self._shortest_truncated or count)

    def may_be_truncated(self, reply: Reply) -> bool:
        """Return whether the server may have truncated a page: it is full, or as long as other truncated pages."""
        return len(reply.rows) >= min(reply.take, self._shortest_truncated or self._longest)

    def total_may_be_capped(self, reply: Reply) -> bool:
        """Return whether the total of a page may be the largest number to which the server counts.

        Then further rows may exist that no offset reaches. Every server counts at least one page.
        """
        return (reply.total or 0) >= max(self._largest_total, reply.take + 1)


class Plan(Protocol):
    """Decides which pages to request, and emits their rows in order."""

    @property
    def turn(self) -> Request | None:
        """The request whose reply the plan needs next, None at the end."""

    def next_requests(self, slots: int) -> list[Request]:
        """Return up to `slots` further requests to send ahead of their turn."""

    def unexamined(self) -> list[Request]:
        """Return the requests whose replies can be examined ahead of their turn."""

    def examine(self, reply: Reply) -> None:
        """Find further pages to request from a reply, ahead of its turn."""

    def discarded(self) -> list[Request]:
        """Return requests that are no longer needed, each once."""

    def accept(self, reply: Reply) -> list[Batch]:
        """Process the reply to `turn`, and return its new rows.

        Raises:
            ReadError: the server's replies contradict each other.
        """


def overlap_of(length: int) -> int:
    """Return the number of rows in which two pages of `length` rows overlap."""
    return max(2, length // OVERLAP)


def later_offsets(length: int, total: int) -> list[int]:
    """Return the offsets of the pages after a first page of `length` rows.

    The offsets are relative to the first page. `total` is the number of rows from its first row on.
    """
    total = min(total, MAX_PLANNED_PAGES * length)
    offsets = [0]
    while offsets[-1] + length < total:
        offsets.append(offsets[-1] + max(1, length - overlap_of(length)))
    return offsets[1:]


def keys_of(rows: list[Row], query: Query) -> list[Any]:
    """Return the keys of the rows: the values of the last field in the sort of `query`.

    Raises:
        ReadError: a key is an object or a list.
    """
    key = query.sort[-1]
    values = column(rows, key)
    if invalid := {*map(type, values)} - _KEY_TYPES:
        value = next(value for value in values if type(value) in invalid)
        raise ReadError(f"the server sent {describe(value, Kind.KEY)} as {key} ({query})")
    return values


def contradiction(total: int | None, query: Query) -> ReadError:
    """Return the error for a list with fewer rows than the total of the server."""
    return ReadError(
        f"the server counts {'more' if total is None else total} rows and sends fewer: the account may lack the "
        f"right to read some of them ({query})"
    )
