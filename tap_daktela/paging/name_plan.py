"""The plan for a whole list, sorted by name.

The server pages by offset, and an offset shifts when rows before it are inserted or deleted. So each page must
share rows with the pages before it; if it does not, the plan requests one that begins earlier. The collation of
the server is not known: it may ignore case, accents and trailing blanks, and send equal names in any order. So
a row is skipped only if it has been read, never because of its position.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tap_daktela.paging.plan import (
    MAX_REREADS,
    MIN_PLANNED_LENGTH,
    Batch,
    ReadError,
    Request,
    contradiction,
    keys_of,
    later_offsets,
    overlap_of,
)

if TYPE_CHECKING:
    from tap_daktela.api.query import Query
    from tap_daktela.paging.plan import PageLimit, Reply

MAX_PASSES = 3
"""The largest number of passes through a list with fewer rows than the server counts."""
_MAX_INSERTED = 5
"""If more rows than this are new among the known rows of a page, the list may not be sorted."""
_REMEMBERED_PAGES = 3
"""For how many pages the names are kept, to recognize their rows in later pages."""


class NamePlan:
    """Reads a list from start to end, and again if rows may have been missed."""

    def __init__(self, query: Query, limit: PageLimit) -> None:
        # A page of one row cannot overlap with the page before it and have a new row.
        self._query = replace(query, take=max(query.take, 2))
        self._limit = limit
        self._passes = 0
        self._discarded: list[Request] = []
        self._ahead: deque[Request] = deque()
        self._begin()

    def _begin(self) -> None:
        """Start a pass."""
        self._offsets: deque[int] = deque()
        self._planned_length = self._query.take
        self._known: deque[frozenset[Any]] = deque()
        self._first: Any = None
        self._last: Any = None
        """The names of the first and the last row that have been read."""
        self._end = 0
        """The offset behind the last row that has been read."""
        self._length = 0
        """The number of rows of the last page that had new ones."""
        self._is_short = False
        """Whether that page was shorter than requested; see `Reply.is_short`."""
        self._behind_only_row: int | None = None
        """The offset behind the last page if it had one row, which cannot overlap with the next page."""
        self._has_unread = False
        """Whether a page had unread rows that were not emitted, because other unread rows may precede them."""
        self._count = 0
        self._total: int | None = None
        self._has_moved = False
        self._pages_without_new_rows = self._steps_back = self._disordered = 0
        self._is_turn_ahead = False
        self.turn: Request | None = self._request(0)

    # The methods of `plan.Plan`, which the loop in `pages.py` calls.

    def next_requests(self, slots: int) -> list[Request]:
        """Return up to `slots` requests for the pages that follow."""
        requests = [self._request(self._offsets.popleft()) for _ in range(min(slots, len(self._offsets)))]
        self._ahead.extend(requests)
        return requests

    def unexamined(self) -> list[Request]:
        """Return nothing, because only the first page shows which others to request, and its turn is first."""
        return []

    def examine(self, reply: Reply) -> None:
        """Do nothing; see `unexamined`."""

    def discarded(self) -> list[Request]:
        """Return requests that are no longer needed, each once."""
        discarded, self._discarded = self._discarded, []
        return discarded

    def accept(self, reply: Reply) -> list[Batch]:
        """Return the new rows of a page.

        Raises:
            ReadError: the server's replies contradict each other.
        """
        names = keys_of(reply.rows, reply.request.query)
        self._limit.note(reply)
        self._note_total(reply)
        self._plan(reply)
        if reply.skip and not any(not known.isdisjoint(names) for known in self._known):
            return self._step_back(reply)
        fresh = self._fresh(reply, names)
        if not fresh:
            return self._without_fresh(reply, names)
        if self._is_short:
            self._limit.note_truncated(self._length)
        self._note_read(reply, names)
        self._count += len(fresh)
        self._go_on()
        return [Batch(fresh, total=self._total)]

    def _note_read(self, reply: Reply, names: list[Any]) -> None:
        """Note the end of a page with new rows."""
        self._first = names[0] if reply.skip == 0 else self._first
        self._last, self._end = names[-1], reply.skip + len(names)
        self._length, self._is_short = len(names), reply.is_short
        self._behind_only_row = reply.skip + 1 if len(names) == 1 else None
        self._has_unread = False
        self._pages_without_new_rows = self._steps_back = 0
        self._known.append(frozenset(names))
        while sum(map(len, self._known)) - len(self._known[0]) > _REMEMBERED_PAGES * self._query.take:
            self._known.popleft()

    # Which rows are new.

    def _fresh(self, reply: Reply, names: list[Any]) -> list[Any]:
        """Return the rows of a page that have not been read."""
        is_fresh = [not any(name in known for known in self._known) for name in names]
        last_known = max((place for place, fresh in enumerate(is_fresh) if not fresh), default=0)
        # A few rows may be inserted among known ones while a list is read. If many are new, it is not sorted.
        if sum(is_fresh[:last_known]) > max(_MAX_INSERTED, len(names) // 8):
            self._disordered += 1
            if self._disordered >= MAX_REREADS:
                raise self._disorder()
        return [row for row, fresh in zip(reply.rows, is_fresh, strict=True) if fresh]

    def _without_fresh(self, reply: Reply, names: list[Any]) -> list[Batch]:
        """Decide whether a page without new rows is the end, a truncated page, or a contradiction."""
        count = len(names)
        if not count and not reply.claims_more:
            return self._end_pass(reply)
        is_single = count == 1 and not self._limit.may_be_truncated(reply)
        # If several pages had no new rows, rows are being inserted before them. Then the total decides.
        is_settled = self._pages_without_new_rows >= MAX_REREADS and reply.is_last
        if not reply.claims_more and not self._has_unread and (is_single or is_settled):
            return self._end_pass(reply)
        if self._is_turn_ahead and reply.claims_more:
            self._go_on()
            return []
        self._note_page_without_new_rows(reply, names)
        # The page behind this one, with one row in common.
        self._is_turn_ahead = False
        self._behind_only_row = reply.skip + 1 if count == 1 else None
        self.turn = self._request(reply.skip + max(1, count - 1) if count else 0)
        return []

    def _note_page_without_new_rows(self, reply: Reply, names: list[Any]) -> None:
        self._pages_without_new_rows += 1
        # If rows are inserted before a page, it takes some more requests to get past them.
        if self._pages_without_new_rows <= (MAX_REREADS if reply.claims_more else 3 * MAX_REREADS):
            return
        if reply.skip and len(names) > 1 and names[0] == self._first:
            raise ReadError(f"the server sent the rows of offset 0 again: it ignores skip ({reply.request.query})")
        raise contradiction(reply.page.total, reply.request.query)

    def _disorder(self) -> ReadError:
        return ReadError(
            f"the server did not keep its rows in the order of {self._query.sort[-1]} ({self._query})"
        )

    def _note_total(self, reply: Reply) -> None:
        if reply.total is not None:
            self._has_moved = self._has_moved or self._total not in {None, reply.total}
            self._total = reply.total

    # Which page is next.

    def _request(self, skip: int) -> Request:
        return Request(self._query.page(skip))

    def _plan(self, reply: Reply) -> None:
        """Plan which pages to request ahead, at the first page and at one that is shorter than planned."""
        count = len(reply.rows)
        is_first = not self._known and reply.skip == 0
        is_smaller = reply.take < self._query.take
        is_cut = reply.claims_more and MIN_PLANNED_LENGTH <= count < min(reply.take, self._planned_length)
        if is_smaller:
            self._query = replace(self._query, take=reply.take)
        if not (is_first or is_smaller or is_cut):
            return
        self._drop_ahead()
        if count > 1:
            self._planned_length = count
            is_plannable = count >= min(reply.take, MIN_PLANNED_LENGTH)
            following = (reply.total or 0) - reply.skip if is_plannable else 0
            self._offsets.extend(reply.skip + each for each in later_offsets(count, following))
            # The last page has only a known row, unless further rows follow.
            self._offsets.append(reply.skip + max(count, following) - 1)

    def _go_on(self) -> None:
        """Choose the page whose turn is next: one that was requested ahead if it begins among known rows."""
        self._is_turn_ahead = True
        if self._ahead and self._ahead[0].query.skip < self._end:
            self.turn = self._ahead.popleft()
        elif not self._ahead and self._offsets and self._offsets[0] < self._end:
            self.turn = self._request(self._offsets.popleft())
        else:
            self._is_turn_ahead = False
            overlap = min(overlap_of(self._length), self._length - 1)
            self.turn = self._request(self._end - max(0, overlap))

    def _step_back(self, reply: Reply) -> list[Batch]:
        """Request an earlier page, because rows before this one have left and unread rows have moved up."""
        if not reply.rows and reply.skip == self._behind_only_row:
            return self._end_pass(reply)
        self._has_unread = self._has_unread or bool(reply.rows)
        self._steps_back += 1
        if self._steps_back > self._query.take:
            raise ReadError(f"rows come and go faster than they can be read ({reply.request.query})")
        self._is_turn_ahead = False
        self.turn = self._request(max(0, reply.skip - max(1, self._query.take // 2)))
        return []

    def _drop_ahead(self) -> None:
        self._discarded.extend(self._ahead)
        self._ahead.clear()
        self._offsets.clear()

    def _end_pass(self, reply: Reply) -> list[Batch]:
        """End, or start another pass if rows may have been inserted among those that had been read."""
        self._drop_ahead()
        self._passes += 1
        self.turn = None
        is_counted = reply.total is None or self._count >= reply.total
        if is_counted and (reply.is_last or not self._disordered):
            return []
        if self._passes < MAX_PASSES:
            self._begin()
            return []
        if self._disordered:
            raise self._disorder()
        if not self._has_moved:
            raise contradiction(self._total, self._query)
        return [Batch([], total=self._total, is_partial=True)]
