"""The plan for a range of time, in windows, sorted by time.

Rows move while they are read: an edited ticket leaves its place, and every offset behind it shifts. So a page
is used only if no unread row can precede it: it begins before the second up to which the range has been read,
or its request is for the rows from that second on. Other pages wait until the rows before them have been read.
Every unchanged row is in a page that is used.

Pages are requested ahead by offset and overlap a little. A range with many pages is cut into windows, which
limit the offsets, and at whose ends the bookmark can advance.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import islice, takewhile
from typing import TYPE_CHECKING, Any

from tap_daktela.api.local_time import from_text, next_second
from tap_daktela.api.query import Condition
from tap_daktela.api.rows import column
from tap_daktela.paging.name_plan import NamePlan
from tap_daktela.paging.plan import (
    MAX_REREADS,
    MIN_PLANNED_LENGTH,
    Batch,
    ReadError,
    Reply,
    Request,
    contradiction,
    keys_of,
    later_offsets,
    overlap_of,
)
from tap_daktela.paging.windows import Window, cut
from tap_daktela.streams.fields import Kind
from tap_daktela.streams.masking import describe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_daktela.api.query import Query
    from tap_daktela.paging.plan import PageLimit, Row

PAGES_PER_WINDOW = 16
"""The number of pages for which a window is cut. More pages mean fewer requests, larger offsets and fewer
bookmarks."""
MAX_PAGES = 2 * PAGES_PER_WINDOW
"""A window with more pages is cut."""
MAX_WINDOWS = 1_000
"""The largest number of windows to cut at once, because the total of the server may be wrong. They are cut
again if necessary."""

_TIME = "0000-00-00 00:00:00"
_DIGITS_AS_ZEROS = str.maketrans("123456789", "0" * 9)


@dataclass(eq=False)
class _WindowState:
    """A window and the requests for its pages."""

    window: Window
    first: Request | None = None
    """The request for its first page, None until it is sent."""
    is_examined: bool = False
    """Whether the first page has been examined ahead of its turn."""
    is_planned: bool = False
    """Whether the first page has shown which other pages to request."""
    length: int = 0
    """The planned number of rows in a page."""
    is_complete: bool = False
    """Whether the first page has all rows."""
    later: deque[Query] = field(default_factory=deque)
    """Pages that are planned and not yet requested."""
    ahead: deque[Request] = field(default_factory=deque)
    """Pages that have been requested ahead of their turn."""


@dataclass(frozen=True)
class _TimedReply:
    """A reply with the times of its rows."""

    reply: Reply
    times: list[str]

    @property
    def start(self) -> str:
        """The first time of the requested range, empty for no lower bound."""
        first = self.reply.request.query.conditions[0]
        return first.value if first.operator == "gte" else ""

    @property
    def end(self) -> str:
        """The first time after the requested range."""
        return self.reply.request.query.conditions[1 if self.start else 0].value

    @property
    def is_one_second(self) -> bool:
        """Whether all rows have the same time."""
        return bool(self.times) and self.times[0] == self.times[-1]

    @property
    def is_keyset(self) -> bool:
        """Whether the page begins at a time and not at an offset."""
        return self.reply.skip == 0


class _Position:
    """How far a window has been read: up to a second, and which rows of that second."""

    def __init__(self, key: str, start: str | None) -> None:
        self._key = key
        self.at = start or ""
        self._seen: set[Any] = set()

    def new(self, rows: list[Row], times: list[str], end: str) -> list[Row]:
        """Return the unread rows among `rows`, which are sorted by time, and advance behind them."""
        at, seen = self.at, self._seen
        after = bisect_left(times, end)
        border = bisect_right(times, at, hi=after)
        of_second = rows[bisect_left(times, at, hi=after) : border]
        fresh = [row for row in of_second if row.get(self._key) not in seen] + rows[border:after]
        last = min(times[-1], end) if rows else ""
        if last >= at:
            here = {*column(rows[bisect_left(times, last, hi=after) : after], self._key)}
            self._seen = here | seen if last == at else here
            self.at = last
        return fresh

    def skip_second(self) -> None:
        """Advance to the next second, because all rows of this one have been read by name."""
        self.at, self._seen = next_second(self.at), set()


class WindowPlan:
    """Reads a range of time, window by window."""

    def __init__(self, query: Query, cursor: str, window: Window, limit: PageLimit, concurrency: int) -> None:
        """Plan to read `window`; `cursor` is the field with the time, which `query` must request.

        The first pages of up to `concurrency` windows are requested ahead.
        """
        # A page of one row cannot overlap with the page before it and have a new row.
        self._query = replace(query, sort=(cursor, *query.sort), take=max(query.take, 2))
        self._cursor = cursor
        self._key = query.sort[-1]
        self._limit = limit
        self._concurrency = concurrency
        self._states = deque([_WindowState(window)])
        self._discarded: list[Request] = []
        self._total: int | None = None
        self._is_cut = False
        """Whether the range has been cut into several windows."""
        self._second: NamePlan | None = None
        """The plan for a second with more rows than a page."""
        self._turn: Request | None = None
        self._enter()

    def _enter(self) -> None:
        """Start with the next window."""
        self._kept: _TimedReply | None = None
        """A page that begins too late, until the rows before it have been read."""
        self._short: int | None = None
        """The length of the last page with new rows, if it was shorter than requested."""
        self._setbacks = 0
        self._turn = None
        if self._states:
            state = self._states[0]
            self._position = _Position(self._key, state.window.start)
            self._turn = state.first or self._open(state)

    # The methods of `plan.Plan`, which the loop in `pages.py` calls.

    @property
    def turn(self) -> Request | None:
        """The request whose reply is needed next, None at the end."""
        return self._turn if self._second is None else self._second.turn

    def next_requests(self, slots: int) -> list[Request]:
        """Return up to `slots` further requests, those for first pages first, because they show the totals."""
        requests = [] if self._second is None else self._second.next_requests(slots)
        unfinished = (state for state in self._states if not state.is_planned or state.later)
        for state in islice(unfinished, self._concurrency):
            if state.first is None and not state.is_planned and len(requests) < slots:
                requests.append(self._open(state))
        for state in self._opened():
            while state.later and len(requests) < slots:
                state.ahead.append(Request(state.later.popleft()))
                requests.append(state.ahead[-1])
        return requests

    def unexamined(self) -> list[Request]:
        """Return the first pages of windows that wait for their turn."""
        return [
            state.first
            for state in self._opened()
            if state.first not in {None, self._turn} and not state.is_planned and not state.is_examined
        ]

    def examine(self, reply: Reply) -> None:
        """Plan the other pages of a window from its first page, ahead of its turn."""
        state = next((each for each in self._opened() if each.first is reply.request), None)
        if state is None or state.is_planned:
            return
        state.is_examined = True
        try:
            self._plan(state, self._checked(reply))
        except ReadError:
            """It is raised when the page has its turn."""

    def discarded(self) -> list[Request]:
        """Return requests that are no longer needed, each once."""
        discarded, self._discarded = self._discarded, []
        return discarded if self._second is None else discarded + self._second.discarded()

    def accept(self, reply: Reply) -> list[Batch]:
        """Return the rows that a page adds, and the ends of windows.

        Raises:
            ReadError: the server's replies contradict each other.
        """
        self._limit.note(reply)
        self._turn = None
        second = self._second
        batches = self._read_page(reply) if second is None else self._read_second(reply, second)
        while self._kept is not None and self._second is None and self._reaches_back(self._kept):
            kept, self._kept = self._kept, None
            batches += self._read_on(kept)
        self._go_on()
        return batches

    def _go_on(self) -> None:
        """Choose the page whose turn is next, unless it has been chosen."""
        if self._turn is not None or self._second is not None or not self._states:
            return
        state = self._states[0]
        if self._kept is None and state.ahead:
            self._turn = state.ahead.popleft()
        elif self._kept is None and state.later:
            self._turn = Request(state.later.popleft())
        else:
            self._turn = Request(self._keyset())

    # Pages of a window.

    def _read_page(self, reply: Reply) -> list[Batch]:
        """Process a page of a window, or repeat its request if the page contradicts it."""
        try:
            timed = self._checked(reply)
        except ReadError:
            # A row may have changed between the search of the server and its response.
            self._setbacks += 1
            if self._setbacks > MAX_REREADS:
                raise
            self._turn = Request(self._keyset())
            return []
        state = self._states[0]
        if self._total is None:
            # At this time, the first window is the whole range.
            self._total = reply.total
        if reply.take < self._query.take:
            self._shrink(reply.take)
        if not state.is_planned:
            self._plan(state, timed)
        elif self._is_sparse(state, timed):
            self._plan_pages(state, timed)
        return self._read_on(timed)

    def _read_on(self, timed: _TimedReply) -> list[Batch]:
        """Return the new rows of a page, or keep the page if unread rows may precede it."""
        state, reply = self._states[0], timed.reply
        if not reply.rows and not timed.is_keyset:
            # Rows have left the window. If the window had one row, the request was for the rows behind it.
            is_behind_only_row = state.length == reply.skip == 1 and not reply.claims_more
            return [self._finish()] if is_behind_only_row else []
        if not self._reaches_back(timed):
            self._kept = timed
            return []
        fresh = self._position.new(reply.rows, timed.times, state.window.end)
        batches = [Batch(fresh, total=self._total)] if fresh else []
        if self._position.at >= state.window.end or state.is_complete:
            return [*batches, self._finish()]
        if self._is_end(timed, fresh):
            return [*batches, *self._end_or_kept()]
        if self._is_stuck(timed, fresh):
            self._begin_second()
        self._note_progress(timed, fresh)
        return batches

    def _end_or_kept(self) -> list[Batch]:
        """End the window, or use the page that was kept, because no row precedes it."""
        kept, self._kept = self._kept, None
        if kept is None:
            return [self._finish()]
        state = self._states[0]
        fresh = self._position.new(kept.reply.rows, kept.times, state.window.end)
        batches = [Batch(fresh, total=self._total)] if fresh else []
        return [*batches, self._finish()] if self._position.at >= state.window.end else batches

    def _reaches_back(self, timed: _TimedReply) -> bool:
        """Return whether no unread row can precede a page."""
        if timed.is_keyset:
            return timed.start <= self._position.at
        return bool(timed.times) and timed.times[0] < self._position.at

    def _is_end(self, timed: _TimedReply, fresh: list[Row]) -> bool:
        """Return whether a page proves that nothing follows the rows that have been read."""
        reply = timed.reply
        if fresh or reply.claims_more:
            return False
        if not reply.rows:
            return True
        if self._limit.may_be_truncated(reply):
            return False
        if timed.is_keyset:
            # All its rows are of the last second. If there are several, there may be further ones.
            return len(reply.rows) == 1
        # The server may have truncated the page exactly behind the last row that has been read, unless the total
        # shows that no row follows.
        is_complete = reply.is_last and not self._limit.total_may_be_capped(reply)
        return is_complete and timed.times[-1] == self._position.at

    def _is_stuck(self, timed: _TimedReply, fresh: list[Row]) -> bool:
        """Return whether the second at the position may have more rows than a page."""
        if not timed.is_keyset or not timed.is_one_second or timed.times[0] != self._position.at:
            return False
        return not fresh or (len(timed.times) > 1 and self._limit.may_be_truncated(timed.reply))

    def _note_progress(self, timed: _TimedReply, fresh: list[Row]) -> None:
        reply = timed.reply
        if fresh:
            if self._short is not None:
                self._limit.note_truncated(self._short)
            self._short = len(reply.rows) if reply.is_short else None
            self._setbacks = 0
        elif timed.is_keyset and self._second is None:
            self._setbacks += 1
            if self._setbacks > MAX_REREADS:
                raise contradiction(reply.page.total, reply.request.query)

    def _checked(self, reply: Reply) -> _TimedReply:
        """Return a page with its times.

        Raises:
            ReadError: its rows are not sorted by time, or not of the requested range.
        """
        query = reply.request.query
        keys_of(reply.rows, query)
        timed = _TimedReply(reply, column(reply.rows, self._cursor))
        if not _are_times(timed.times):
            odd = next(time for time in timed.times if not _are_times([time]))
            raise ReadError(f"the server sent {describe(odd, Kind.DATETIME)} as {self._cursor} ({query})")
        if timed.times != sorted(timed.times):
            raise ReadError(f"the server did not sort by {self._cursor} ({query})")
        if timed.times and not timed.start <= timed.times[0] <= timed.times[-1] < timed.end:
            odd = timed.times[0] if timed.times[0] < timed.start else timed.times[-1]
            raise ReadError(
                f"the server sent a row whose {self._cursor} is {odd}, which was not requested: it ignores the "
                f"filter, or applies it in another time zone ({query})"
            )
        return timed

    def _finish(self) -> Batch:
        """End the window and enter the next one."""
        state = self._states.popleft()
        self._discarded.extend(state.ahead)
        self._enter()
        return Batch([], state.window.end, self._total)

    # A second with more rows than a page. Requests for the rows from a time on cannot get past it.

    def _begin_second(self) -> None:
        at = self._position.at
        query = replace(self._query_for(Window(at, next_second(at))), sort=(self._key,))
        self._second = NamePlan(query, self._limit)

    def _read_second(self, reply: Reply, second: NamePlan) -> list[Batch]:
        """Process a page of a second, or repeat its request if it has rows of another time."""
        at = self._position.at
        if any(time != at for time in column(reply.rows, self._cursor)):
            # As in `_read_page`. The plan of the second has not seen the page, so the same request is repeated.
            self._setbacks += 1
            if self._setbacks > MAX_REREADS:
                raise ReadError(f"the server sent rows of another {self._cursor} ({reply.request.query})")
            second.turn = Request(reply.request.query)
            return []
        batches = self._unread(second.accept(reply))
        if batches:
            self._setbacks = 0
        if reply.take < self._query.take:
            self._shrink(reply.take)
        return batches if second.turn else batches + self._end_second(second)

    def _unread(self, of_second: list[Batch]) -> list[Batch]:
        """Return the batches of a second without the rows that have been read."""
        at = self._position.at
        batches = []
        for batch in of_second:
            fresh = self._position.new(batch.rows, [at] * len(batch.rows), next_second(at))
            if fresh or batch.is_partial:
                batches.append(Batch(fresh, total=self._total, is_partial=batch.is_partial))
        return batches

    def _end_second(self, second: NamePlan) -> list[Batch]:
        """Continue after a second all of whose rows have been read."""
        self._discarded.extend(second.discarded())
        self._second = None
        self._position.skip_second()
        self._setbacks, self._short = 0, None
        return [self._finish()] if self._position.at >= self._states[0].window.end else []

    # Queries.

    def _query_for(self, window: Window) -> Query:
        """Return the query for the rows of a window."""
        start = (Condition(self._cursor, "gte", window.start),) if window.start else ()
        end = Condition(self._cursor, "lt", window.end)
        return replace(self._query, conditions=(*start, end, *self._query.conditions))

    def _keyset(self) -> Query:
        """Return the query for the rows of the window from the position on."""
        return self._query_for(Window(self._position.at or None, self._states[0].window.end))

    def _open(self, state: _WindowState) -> Request:
        state.first = Request(self._query_for(state.window))
        return state.first

    def _opened(self) -> Iterator[_WindowState]:
        """Yield the windows whose first page has been requested."""
        return takewhile(lambda state: state.first is not None or state.is_planned, self._states)

    # Which pages to request ahead.

    def _plan(self, state: _WindowState, timed: _TimedReply) -> None:
        """Plan a window from its first page and the total; cut it if it has too many rows."""
        state.is_planned = True
        reply = timed.reply
        # If there are several windows, a further request confirms the end of each. For a small range, as in a
        # run with little new data, the total is sufficient if earlier totals were right.
        state.is_complete = (
            self._limit.has_right_totals
            and not self._is_cut
            and not self._limit.may_be_truncated(reply)
            and reply.page.total == len(reply.rows)
        )
        if (reply.total or 0) > MAX_PAGES * len(reply.rows) and self._is_plannable(reply):
            self._cut(state, timed)
        elif reply.rows and not state.is_complete:
            self._plan_pages(state, timed)

    def _plan_pages(self, state: _WindowState, timed: _TimedReply) -> None:
        """Plan the pages behind a page, up to one that has no new row unless further rows follow."""
        self._discarded.extend(state.ahead)
        state.ahead.clear()
        reply, query = timed.reply, replace(timed.reply.request.query, take=self._query.take)
        count = state.length = len(reply.rows)
        if reply.claims_more and self._is_plannable(reply):
            total = min((reply.total or 0) - reply.skip, MAX_PAGES * count)
            # The last page has only known rows, unless further rows follow.
            offsets = [*later_offsets(count, total), total - overlap_of(count)]
            state.later = deque(query.page(reply.skip + offset) for offset in offsets)
            return
        # The number of rows before the last second of the page.
        earlier = bisect_left(timed.times, timed.times[-1])
        if count == 1 or earlier > 1:
            offset = 1 if count == 1 else min(earlier - 1, max(1, count - overlap_of(count)))
            state.later = deque([query.page(reply.skip + offset)])
        elif earlier == 1:
            state.later = deque([self._query_for(Window(timed.times[-1], state.window.end))])

    def _is_plannable(self, reply: Reply) -> bool:
        """Return whether pages of this length can be requested ahead."""
        return len(reply.rows) >= min(reply.take, MIN_PLANNED_LENGTH)

    def _is_sparse(self, state: _WindowState, timed: _TimedReply) -> bool:
        """Return whether more pages must be planned behind a page."""
        reply = timed.reply
        is_cut = len(reply.rows) < min(reply.take, state.length)
        return reply.claims_more and self._is_plannable(reply) and (is_cut or not (state.ahead or state.later))

    def _shrink(self, take: int) -> None:
        """Request fewer rows from now on, because the server cannot send as many."""
        self._query = replace(self._query, take=take)
        for state in self._states:
            self._discarded.extend(state.ahead)
            state.ahead.clear()
            state.later.clear()
            if state is not self._states[0]:
                self._discarded.extend([state.first] if state.first is not None else [])
                state.first, state.is_planned, state.is_examined = None, False, False

    def _cut(self, state: _WindowState, timed: _TimedReply) -> None:
        """End a window where its first page ends, and cut what follows into windows of about equal length."""
        times, window = timed.times, state.window
        border = next_second(times[-1]) if timed.is_one_second else times[-1]
        if not border < window.end:
            return
        state.window = Window(window.start, border)
        self._is_cut = True
        parts = -(-((timed.reply.total or 0) - len(times)) // (PAGES_PER_WINDOW * len(times)))
        place = self._states.index(state) + 1
        for piece in reversed(cut(Window(border, window.end), min(parts, MAX_WINDOWS))):
            self._states.insert(place, _WindowState(piece))


def _are_times(values: list[Any]) -> bool:
    """Return whether all values are times in the format of the server.

    All are compared at once: matching a regular expression against each value would take 1 % of a run.
    """
    if not {*map(type, values)} <= {str}:
        return False
    if "\n".join(values).translate(_DIGITS_AS_ZEROS) != "\n".join([_TIME] * len(values)):
        return False
    return all(map(_is_date, {value[:10] for value in values}))


@lru_cache(maxsize=1_000)
def _is_date(text: str) -> bool:
    """Return whether a date exists; MySQL also stores dates such as `2026-00-00`."""
    try:
        from_text(f"{text} 00:00:00")
    except ValueError:
        return False
    return True
