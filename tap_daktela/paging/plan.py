"""What the plans of `window_plan.py` and `name_plan.py` share: requests, replies, and the length of pages.

A plan decides which pages to request, and in which order to emit their rows. It performs no I/O: `pages.py`
fetches the pages that a plan requests.

The number of rows in a page proves nothing by itself. The server may send fewer rows than requested, and its total
may be missing or wrong (daktela-api.md §2). A plan therefore ends a list only after a page that begins among rows
that have been read and has no new row.
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
"""How often a request whose reply contradicts earlier replies is repeated before the stream fails."""
MIN_PLANNED_LENGTH = 10
"""Pages of fewer rows are not requested ahead, because they would overlap too much, unless `take` is smaller."""
MAX_PLANNED_PAGES = 10_000
"""The largest number of pages to plan at once, because the total of the server may be wrong."""
OVERLAP = 40
"""Pages that are requested ahead overlap by one in this many rows, because rows leave a list while it is read."""

_PLAIN = frozenset({str, int, float, bool, type(None)})


class ReadError(Exception):
    """The server's replies contradict each other repeatedly, so the rows that they omit are unknown."""


@dataclass(frozen=True)
class Batch:
    """Rows in reading order."""

    rows: list[Row]
    end: str | None = None
    """The end of a time window all of whose rows have been emitted, None within a window."""
    total: int | None = None
    """The number of rows that the server counted when reading began, None if it did not send a count."""
    is_partial: bool = False
    """Whether rows may be missing from this batch and those before it, because the list changed in every pass."""


@dataclass(frozen=True, eq=False)
class Request:
    """A page that a plan needs. Two requests with equal queries are two requests."""

    query: Query


@dataclass(frozen=True)
class Reply:
    """The page that answers a request."""

    request: Request
    page: Page

    @property
    def take(self) -> int:
        """The number of requested rows, which is smaller than planned if the server could not send as many."""
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
        """The server's count of matching rows, None if it sent none or one that the page itself contradicts."""
        total = self.page.total
        return None if total is None or total < self.skip + len(self.rows) else total

    @property
    def is_last(self) -> bool:
        """Whether the total shows that no row follows this page.

        At offset 0 it does not, because some servers send the number of rows in the page as total.
        """
        return self.skip > 0 and self.page.total == self.skip + len(self.rows)

    @property
    def is_short(self) -> bool:
        """Whether the page has fewer rows than requested, although it may not be the last one."""
        return len(self.rows) < self.take and not self.is_last

    @property
    def claims_more(self) -> bool:
        """Whether rows follow this page according to the total of the server."""
        return (self.page.total or 0) > self.skip + len(self.rows)


class PageLimit:
    """The limits on the length of the pages of an endpoint, as far as the responses have shown them."""

    def __init__(self) -> None:
        self._longest = 0
        self._shortest_cut: int | None = None
        self._largest_total = 0
        self.has_right_totals = False
        """Whether the total of a later page agreed with its offset and length, so it is not that of the page."""

    def note(self, reply: Reply) -> None:
        """Note the length of a page, and its total."""
        self._longest = max(self._longest, len(reply.rows))
        self._largest_total = max(self._largest_total, reply.total or 0)
        self.has_right_totals = self.has_right_totals or reply.is_last

    def note_cut(self, count: int) -> None:
        """Note the length of a page that was shorter than requested although rows followed it.

        These rows may have been inserted since. So a page of a single row shows no limit.
        """
        if count > 1:
            self._shortest_cut = min(count, self._shortest_cut or count)

    def may_be_cut(self, reply: Reply) -> bool:
        """Return whether the server may have truncated a page: it is full, or as long as other truncated pages."""
        return len(reply.rows) >= min(reply.take, self._shortest_cut or self._longest)

    def may_hide_offsets(self, reply: Reply) -> bool:
        """Return whether the total of a page at an offset may be the largest number that the server counts to.

        Then there may be further rows, which no offset reaches. Such a limit is not smaller than a page.
        """
        return (reply.total or 0) >= max(self._largest_total, reply.take + 1)


class Plan(Protocol):
    """Decides what to request next."""

    @property
    def turn(self) -> Request | None:
        """The request whose reply the plan needs next, None at the end."""

    def next_requests(self, slots: int) -> list[Request]:
        """Return up to `slots` further requests to send ahead of their turn."""

    def unexamined(self) -> list[Request]:
        """Return requests, ahead of their turn, whose replies show which further requests to send."""

    def examine(self, reply: Reply) -> None:
        """Decide from a reply, ahead of its turn, which further pages to request."""

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
    """Return the offsets of the pages that follow a first page of `length` rows, relative to it.

    `total` is the number of rows of the list.
    """
    total = min(total, MAX_PLANNED_PAGES * length)
    offsets = [0]
    while offsets[-1] + length < total:
        offsets.append(offsets[-1] + max(1, length - overlap_of(length)))
    return offsets[1:]


def names_of(rows: list[Row], query: Query) -> list[Any]:
    """Return the values of the field that `query` sorts by last, which identifies a row.

    Raises:
        ReadError: a value is neither a text nor a number.
    """
    key = query.sort[-1]
    values = column(rows, key)
    if odd := {*map(type, values)} - _PLAIN:
        value = next(value for value in values if type(value) in odd)
        raise ReadError(f"the server sent {describe(value, Kind.KEY)} as {key} ({query})")
    return values


def contradiction(total: int | None, query: Query) -> ReadError:
    """Return the error for a list with fewer rows than the server counts."""
    return ReadError(
        f"the server counts {'more' if total is None else total} rows and sends fewer: the account may lack the "
        f"right to read some of them ({query})"
    )
