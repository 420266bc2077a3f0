"""From windows and tables to rows: a query in, batches of rows out, in order and none of them missing.

The server pages by offset and rows move while they are read (daktela-api.md §2). So no page is believed
because of its offset: it must reach back to what has been read already.

- `read_windows` reads a time range sorted by time. A page counts only if it begins before the second at which
  the rows read so far end. Pages are asked for ahead, by offset, and overlap a little; one that begins too late,
  because rows have left the window, is preceded by a page asked for from that second on (keyset). Whatever stood
  still is in one of them.
- `read_by_name` reads a list sorted by name: a table without a date, or one second with more rows than a page
  holds. A page counts only if it shares a row with the page before it; otherwise one further back is read.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias

from tap_daktela.api.query import Condition
from tap_daktela.api.rows import column
from tap_daktela.fields import Kind
from tap_daktela.masking import describe
from tap_daktela.windows import Window, cut, next_second

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

    from tap_daktela.api.envelope import Page
    from tap_daktela.api.query import Query
    from tap_daktela.api.unread import Unread
    from tap_daktela.fetch import Fetcher

Row: TypeAlias = Any
"""As `api.rows` reads it."""

_TIME = "0000-00-00 00:00:00"
_DIGITS_AS_ZEROS = str.maketrans("123456789", "0" * 9)
_PLAIN = frozenset({str, int, float, bool, type(None)})

PAGES_PER_WINDOW = 16
"""How many pages a window is cut to hold: bookmarks and the depth of offsets grow with it, requests shrink."""
MOST_PAGES = 2 * PAGES_PER_WINDOW
"""A window with more pages is cut."""
MOST_WINDOWS = 1_000
"""Into so many at most, whatever the server counts; they are cut again if need be."""
OVERLAP = 40
"""Pages asked for ahead overlap by one row in so many, since rows leave tickets' windows while they are read."""
PATIENCE = 3
"""How often something that does not add up is read again before it is given up."""


class ReadError(Exception):
    """The server's answers contradict each other, again and again; nothing they leave out may be called read."""


@dataclass(frozen=True)
class Batch:
    """Rows in the order of reading; `end` marks the end of a window, all of whose rows have been handed out."""

    rows: list[Row]
    end: str | None = None
    total: int | None = None
    """How many rows the server counted when the reading began, None if it did not tell."""
    is_partial: bool = False
    """Whether rows may be missing from this batch and those before it, because the list changed in every pass."""


@dataclass(frozen=True)
class _Reply:
    """A page together with the query that it answers."""

    query: Query
    page: Page
    ahead: bool = False
    """Whether it was asked for ahead of its turn, by its offset."""

    @property
    def rows(self) -> list[Row]:
        return self.page.rows

    def ends(self, fresh: list[Row]) -> bool:
        """Return whether nothing follows: it is short and the total agrees or, without one, nothing is `fresh`."""
        if len(self.rows) >= self.query.take:
            return False
        total = self.page.total
        return not fresh if total is None else self.query.skip + len(self.rows) >= total


def read_windows(fetcher: Fetcher, query: Query, cursor: str, window: Window) -> Iterator[Batch]:
    """Return the rows of a time range, window by window.

    `cursor` is the field with the time. `query` must ask for it, and for the field that it sorts by.

    Raises:
        RequestError, SignInError: a page cannot be had. All batches before it have been handed out.
        ReadError: the server's answers contradict each other.
    """
    return _WindowReader(fetcher, query, cursor, window).read()


@dataclass
class _Reading:
    """A window with the pages asked for."""

    window: Window
    first: Future[Unread] | None = None
    """Its first page, from when it is asked for until it is read."""
    is_planned: bool = False
    """Whether its first page has come, and with it the number of pages to ask for."""
    offsets: deque[int] = field(default_factory=deque)
    """Where the pages not yet asked for begin."""
    ahead: deque[tuple[Query, Future[Unread]]] = field(default_factory=deque)

    @property
    def is_open(self) -> bool:
        """Whether its first page has been asked for."""
        return self.first is not None or self.is_planned


class _Position:
    """How far a window has been read: to a second, and which rows of that second."""

    def __init__(self, cursor: str, key: str, start: str | None) -> None:
        self._cursor = cursor
        self._key = key
        self.at = start or ""
        self._seen: set[Any] = set()

    def new(self, rows: list[Row], end: str) -> list[Row]:
        """Return those of `rows`, which are sorted by time, that have not been read yet; move behind them."""
        at, seen = self.at, self._seen
        times = column(rows, self._cursor)
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
        """Move to the next second, all rows of this one having been read by name."""
        self.at, self._seen = next_second(self.at), set()


class _WindowReader:
    """Reads the windows of one range in order, and asks for pages ahead while it does."""

    def __init__(self, fetcher: Fetcher, query: Query, cursor: str, window: Window) -> None:
        self._fetcher = fetcher
        self._query = replace(query, sort=(cursor, *query.sort))
        self._cursor = cursor
        self._key = query.sort[-1]
        self._stride = max(1, query.take - max(2, query.take // OVERLAP))
        self._readings = deque([_Reading(window)])
        self._total: int | None = None

    def read(self) -> Iterator[Batch]:
        while self._readings:
            reading = self._readings[0]
            yield from self._read_window(reading)
            for _, future in reading.ahead:
                self._fetcher.drop(future)
            self._readings.popleft()
            yield Batch([], reading.window.end, self._total)

    def _read_window(self, reading: _Reading) -> Iterator[Batch]:
        reply = self._first(reading)
        # The first window begins as the whole range.
        self._total = reply.page.total if self._total is None else self._total
        position = _Position(self._cursor, self._key, reading.window.start)
        idle = 0
        while True:
            fresh = position.new(reply.rows, reading.window.end)
            if fresh:
                yield Batch(fresh, total=self._total)
            if reply.ends(fresh) or position.at >= reading.window.end:
                return
            idle = idle + 1 if not fresh and not reply.ahead else 0
            if idle > PATIENCE:
                raise _contradiction(reply.page.total, reply.query)
            # Or these rows would be in memory together with the next ones.
            del fresh, reply
            reply = self._following(reading, position)
            if self._is_one_second(reply, position):
                yield from self._read_second(position)
                if position.at >= reading.window.end:
                    return
                reply = self._ask(Window(position.at, reading.window.end))

    def _following(self, reading: _Reading, position: _Position) -> _Reply:
        """Return the page that goes on from `position`: one asked for ahead if it reaches back far enough."""
        self._ask_ahead()
        while reading.ahead or reading.offsets:
            if not reading.ahead:
                self._submit(reading)
            query, future = reading.ahead[0]
            reply = self._checked(_Reply(query, self._fetcher.wait(future), ahead=True))
            if reply.rows and reply.rows[0][self._cursor] >= position.at:
                # Rows may be missing in front of it. It keeps its place while they are asked for.
                break
            reading.ahead.popleft()
            self._fetcher.release()
            self._ask_ahead()
            if reply.rows:
                return reply
        return self._ask(Window(position.at or None, reading.window.end))

    def _is_one_second(self, reply: _Reply, position: _Position) -> bool:
        """Whether there are more rows in the second at `position` than a page holds."""
        rows = reply.rows
        if len(rows) < reply.query.take and not (reply.page.total or 0) > len(rows):
            return False
        return bool(rows) and rows[0][self._cursor] == rows[-1][self._cursor] == position.at

    def _read_second(self, position: _Position) -> Iterator[Batch]:
        """Read a second that no keyset gets through."""
        at, end = position.at, next_second(position.at)
        query = replace(self._ask_for(Window(at, end)), sort=(self._key,))
        for batch in read_by_name(self._fetcher, query):
            if any(time != at for time in column(batch.rows, self._cursor)):
                raise ReadError(f"the server sent rows of another {self._cursor} ({query})")
            yield Batch(position.new(batch.rows, end), total=self._total)
            del batch
        position.skip_second()

    def _checked(self, reply: _Reply) -> _Reply:
        """Refuse rows that are not sorted by time, or whose times do not sort as texts: all rests on that."""
        times = column(_with_plain_keys(reply.rows, reply.query), self._cursor)
        if not _are_times(times):
            odd = next(time for time in times if not _are_times([time]))
            raise ReadError(f"the server sent {describe(odd, Kind.DATETIME)} as {self._cursor} ({reply.query})")
        if times != sorted(times):
            raise ReadError(f"the server did not sort by {self._cursor} ({reply.query})")
        return reply

    def _ask_for(self, window: Window) -> Query:
        """Return the query for the rows of a window."""
        start = (Condition(self._cursor, "gte", window.start),) if window.start else ()
        end = Condition(self._cursor, "lt", window.end)
        return replace(self._query, conditions=(*start, end, *self._query.conditions))

    def _ask(self, window: Window) -> _Reply:
        query = self._ask_for(window)
        return self._checked(_Reply(query, self._fetcher.page(query)))

    def _first(self, reading: _Reading) -> _Reply:
        """Return the first page of a window."""
        self._ask_ahead()
        query = self._ask_for(reading.window)
        reply = self._checked(_Reply(query, self._fetcher.take(reading.first or self._open(reading))))
        self._plan(reading, reply.page)
        reading.first = None
        self._ask_ahead()
        return reply

    def _ask_ahead(self) -> None:
        """Ask for as many pages as there is room for; beginnings of windows first, which tell the totals."""
        for reading in list(self._readings):
            if reading.first is not None and not reading.is_planned:
                self._plan_ahead(reading, self._fetcher.peek(reading.first, (self._cursor, self._key)))
        unfinished = (reading for reading in self._readings if not reading.is_planned or reading.offsets)
        for reading in islice(unfinished, self._fetcher.concurrency):
            if not reading.is_open and self._fetcher.has_room:
                self._open(reading)
        for reading in self._readings:
            while reading.offsets and self._fetcher.has_room:
                self._submit(reading)
            if not reading.is_open:
                break

    def _open(self, reading: _Reading) -> Future[Unread]:
        reading.first = self._fetcher.submit(self._ask_for(reading.window))
        return reading.first

    def _submit(self, reading: _Reading) -> None:
        query = self._ask_for(reading.window).page(reading.offsets.popleft())
        reading.ahead.append((query, self._fetcher.submit(query)))

    def _plan_ahead(self, reading: _Reading, page: Page | None) -> None:
        if page is None:
            return
        with suppress(ReadError):
            # What is wrong with the page is told when its turn comes.
            self._checked(_Reply(self._ask_for(reading.window), page))
            self._plan(reading, page)

    def _plan(self, reading: _Reading, page: Page) -> None:
        """Decide from its first page and total how a window is read on; cut it if it holds too much."""
        if reading.is_planned:
            return
        reading.is_planned = True
        total, take = page.total or 0, self._query.take
        if total > MOST_PAGES * take:
            self._cut(reading, page, total)
        elif len(page.rows) == take:
            reading.offsets.extend(range(self._stride, total, self._stride))

    def _cut(self, reading: _Reading, page: Page, total: int) -> None:
        """End a window where its first page ends, and cut what follows into windows of about equal length."""
        if not page.rows:
            return
        border = page.rows[-1][self._cursor]
        if page.rows[0][self._cursor] == border:
            border = next_second(border)
        window = reading.window
        if not border < window.end:
            return
        reading.window = Window(window.start, border)
        parts = -(-(total - len(page.rows)) // (PAGES_PER_WINDOW * self._query.take))
        place = self._readings.index(reading) + 1
        for piece in reversed(cut(Window(border, window.end), min(parts, MOST_WINDOWS))):
            self._readings.insert(place, _Reading(piece))


def read_by_name(fetcher: Fetcher, query: Query) -> Iterator[Batch]:
    """Return the rows of a whole list, sorted by the field that `query` sorts by.

    A pass that gives fewer rows than the server counts is read again, for some may have come in behind it. If
    the count keeps moving, the rows that stood still are complete; the others are left to the next run.

    Raises:
        RequestError, SignInError: a page cannot be had. All rows before it have been handed out.
        ReadError: the server's answers contradict each other.
    """
    # A page of one row has no room for the row that it must share with the page before.
    query = replace(query, take=max(query.take, 2))
    for _ in range(PATIENCE):
        table = _TableReader(fetcher, query)
        yield from table.read()
        if table.is_complete:
            return
    if not table.has_moved:
        raise _contradiction(table.total, query)
    yield Batch([], total=table.total, is_partial=True)


def _contradiction(total: int | None, query: Query) -> ReadError:
    return ReadError(
        f"the server counts {'more' if total is None else total} rows and sends fewer: the account may lack the "
        f"right to read some of them ({query})"
    )


def _are_times(values: list[Any]) -> bool:
    """Return whether all values are texts of the form in which the server writes times.

    They are compared all at once: to match a pattern with each of them would take 1 % of a run.
    """
    if not {*map(type, values)} <= {str}:
        return False
    return "\n".join(values).translate(_DIGITS_AS_ZEROS) == "\n".join([_TIME] * len(values))


def _with_plain_keys(rows: list[Row], query: Query) -> list[Row]:
    """Return `rows`; ReadError if one is named by something else than a text or a number."""
    key = query.sort[-1]
    values = column(rows, key)
    if odd := {*map(type, values)} - _PLAIN:
        value = next(value for value in values if type(value) in odd)
        raise ReadError(f"the server sent {describe(value, Kind.KEY)} as {key} ({query})")
    return rows


class _TableReader:
    """Reads a list once from its beginning to its end."""

    def __init__(self, fetcher: Fetcher, query: Query) -> None:
        self._fetcher = fetcher
        self._query = query
        self._key = query.sort[-1]
        self._ahead: deque[tuple[int, Future[Unread]]] = deque()
        self._offsets = range(0)
        """Where pages begin that have not been asked for yet."""
        self._before: set[Any] = set()
        self.count = 0
        self.total: int | None = None
        self.has_moved = False
        """Whether the total changed during the pass."""

    @property
    def is_complete(self) -> bool:
        """Whether as many rows came as the server counted in the end."""
        return self.total is None or self.count >= self.total

    def read(self) -> Iterator[Batch]:
        """Return the rows, page by page."""
        reply = self._ask(0)
        stride = self._query.take - 1
        if len(reply.rows) == self._query.take:
            self._offsets = range(stride, (reply.page.total or 0) - 1, stride)
        end = idle = 0
        while True:
            self._note(reply.page.total)
            fresh = self._new(reply)
            if fresh:
                self.count += len(fresh)
                yield Batch(fresh, total=self.total)
            if reply.ends(fresh):
                for _, future in self._ahead:
                    self._fetcher.drop(future)
                return
            idle = idle + 1 if not fresh and not reply.ahead else 0
            if idle > PATIENCE:
                raise _contradiction(reply.page.total, reply.query)
            if fresh or not reply.ahead:
                end = reply.query.skip + max(len(reply.rows) - 1, 0)
            del fresh, reply
            reply = self._following(end)

    def _following(self, end: int) -> _Reply:
        """Return the page that shares a row with those before; by offset, `end` is the last row of these."""
        self._ask_ahead()
        reply = self._take_ahead() if self._ahead and self._ahead[0][0] <= end else self._ask(end)
        for _ in range(self._query.take):
            if reply.query.skip == 0 or self._shares(reply):
                break
            # Rows in front of it have gone, and what follows those read so far has moved up with them.
            reply = self._ask(max(0, reply.query.skip - max(1, self._query.take // 2)))
        else:
            raise ReadError(f"rows come and go faster than they can be read ({reply.query})")
        return reply

    def _shares(self, reply: _Reply) -> bool:
        return not self._before.isdisjoint(column(reply.rows, self._key))

    def _new(self, reply: _Reply) -> list[Row]:
        """Return the rows behind the last one that is known."""
        rows = _with_plain_keys(reply.rows, reply.query)
        keys = column(rows, self._key)
        known = (index for index in range(len(rows) - 1, -1, -1) if keys[index] in self._before)
        fresh = rows[next(known, -1) + 1 :]
        if fresh:
            self._before = {*keys}
        return fresh

    def _note(self, total: int | None) -> None:
        self.has_moved = self.has_moved or (self.total is not None and self.total != total)
        self.total = total

    def _ask(self, skip: int) -> _Reply:
        query = self._query.page(skip)
        return _Reply(query, self._fetcher.page(query))

    def _take_ahead(self) -> _Reply:
        skip, future = self._ahead.popleft()
        return _Reply(self._query.page(skip), self._fetcher.take(future), ahead=True)

    def _ask_ahead(self) -> None:
        while self._offsets and (self._fetcher.has_room or not self._ahead):
            skip, self._offsets = self._offsets[0], self._offsets[1:]
            self._ahead.append((skip, self._fetcher.submit(self._query.page(skip))))
