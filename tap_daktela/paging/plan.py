"""What the plans of `window_plan.py` and `name_plan.py` share: requests, replies, and the length of pages.

A plan decides which pages to request, and in which order their rows leave. It performs no I/O: `pages.py` fetches
what a plan asks for.

The number of rows in a page proves nothing by itself. The server may send fewer rows than asked for, and its total
may be missing or wrong (daktela-api.md §2). A plan therefore ends a list only after a reply that begins among rows
that have been read already and brings no new row.
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
"""Pages of fewer rows overlap too much to be requested ahead, unless no more rows were asked for."""
MAX_PLANNED_PAGES = 10_000
"""How many pages are planned at once, whatever the server counts."""
OVERLAP = 40
"""Pages requested ahead overlap by one row in this many, because rows leave a list while it is read."""

_PLAIN = frozenset({str, int, float, bool, type(None)})


class ReadError(Exception):
    """The server's replies contradict each other repeatedly, so the rows that they omit are unknown."""


@dataclass(frozen=True)
class Batch:
    """Rows in reading order."""

    rows: list[Row]
    end: str | None = None
    """The end of a time window all of whose rows have been handed out, None within a window."""
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
        """How many rows were requested in the end: fewer than planned if the server could not send as many."""
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

        At offset 0 it does not: the total may be nothing but the number of rows in the page.
        """
        return self.skip > 0 and self.page.total == self.skip + len(self.rows)

    @property
    def is_short(self) -> bool:
        """Whether the page has fewer rows than asked for, although it may not be the last one."""
        return len(self.rows) < self.take and not self.is_last

    @property
    def claims_more(self) -> bool:
        """Whether rows follow this page according to the server's own count."""
        return (self.page.total or 0) > self.skip + len(self.rows)


class PageLimit:
    """How many rows an endpoint of an instance sends in one page, as far as the run has shown."""

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
        """Note the length of a page that was shorter than asked for although rows followed it.

        They may also have been inserted since. So a single row is no evidence, unless no longer page is known.
        """
        if count > 1:
            self._shortest_cut = min(count, self._shortest_cut or count)

    def may_be_cut(self, reply: Reply) -> bool:
        """Return whether the server may have cut a page: it is full, or as long as other pages that were cut."""
        return len(reply.rows) >= min(reply.take, self._shortest_cut or self._longest)

    def may_hide_offsets(self, reply: Reply) -> bool:
        """Return whether the total of a page at an offset may be the limit up to which the server counts.

        Behind such a limit there may be rows that no offset reaches. It cannot be below the length of a page.
        """
        return (reply.total or 0) >= max(self._largest_total, reply.take + 1)


class Plan(Protocol):
    """Decides what to request next."""

    @property
    def turn(self) -> Request | None:
        """The request whose reply the plan needs next, None at the end."""

    def next_requests(self, slots: int) -> list[Request]:
        """Return up to `slots` further requests, to be sent ahead of their turn."""

    def unexamined(self) -> list[Request]:
        """Return requests on whose replies further requests depend, before their turn."""

    def examine(self, reply: Reply) -> None:
        """Decide from a reply, ahead of its turn, which further pages to request."""

    def discarded(self) -> list[Request]:
        """Return requests that are no longer needed, each once."""

    def accept(self, reply: Reply) -> list[Batch]:
        """Process the reply whose turn it is, and return the rows that it adds.

        Raises:
            ReadError: the server's replies contradict each other.
        """


def overlap_of(length: int) -> int:
    """Return by how many rows two pages of `length` rows overlap."""
    return max(2, length // OVERLAP)


def later_offsets(length: int, total: int) -> list[int]:
    """Return the offsets of the pages behind a first page of `length` rows, relative to it.

    `total` is the number of rows of the list, if it is more.
    """
    total = min(total, MAX_PLANNED_PAGES * length)
    offsets = [0]
    while offsets[-1] + length < total:
        offsets.append(offsets[-1] + max(1, length - overlap_of(length)))
    return offsets[1:]


def names_of(rows: list[Row], query: Query) -> list[Any]:
    """Return the values of the field that `query` sorts by last, which identifies a row.

    Raises:
        ReadError: a row is identified by something else than a text or a number.
    """
    key = query.sort[-1]
    values = column(rows, key)
    if odd := {*map(type, values)} - _PLAIN:
        value = next(value for value in values if type(value) in odd)
        raise ReadError(f"the server sent {describe(value, Kind.KEY)} as {key} ({query})")
    return values


def contradiction(total: int | None, query: Query) -> ReadError:
    """Return the error for rows that the server counts and does not send."""
    return ReadError(
        f"the server counts {'more' if total is None else total} rows and sends fewer: the account may lack the "
        f"right to read some of them ({query})"
    )
