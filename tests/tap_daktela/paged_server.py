"""A server in memory that pages rows, for tests of the plans: no HTTP, no threads, no clock.

It answers queries as in daktela-api.md §2, and moves its rows between two requests. Its settings let it
truncate pages, count wrongly, or ignore parts of a query.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any, cast

from hypothesis import strategies as st

from tap_daktela.api.envelope import Page
from tap_daktela.api.local_time import to_text
from tap_daktela.api.query import Condition, Query
from tap_daktela.paging.pages import PageSource, read_by_name, read_windows
from tap_daktela.paging.plan import PageLimit, ReadError
from tap_daktela.paging.windows import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tap_daktela.paging.fetcher import Fetcher

START = datetime(2026, 3, 1)  # noqa: DTZ001 - wall time
SPAN = 1000
WINDOW = Window(to_text(START), to_text(START + timedelta(seconds=SPAN)))
MAX_REQUESTS = 3000

Row = dict[str, Any]

TOTALS: dict[str, Callable[[int, Query, int], int | None]] = {
    "right": lambda count, _query, _length: count,
    "none": lambda _count, _query, _length: None,
    "of the page": lambda _count, _query, length: length,
    "too small": lambda count, _query, _length: count - 3,
    "half": lambda count, _query, _length: count // 2,
    "zero": lambda _count, _query, _length: 0,
    "negative": lambda _count, _query, _length: -1,
    "limited to 20": lambda count, _query, _length: min(count, 20),
    "of first pages only": lambda count, query, _length: None if query.skip else count,
    "too large": lambda count, _query, _length: count + 5,
    "huge": lambda _count, _query, _length: 10**12,
    "beyond 64 bits": lambda _count, _query, _length: 10**26,
}
"""How a server counts: from the number of matching rows, the query and the number of rows in the page."""
HONEST_TOTALS = ("right", "none")
CORRECTABLE_TOTALS = tuple(name for name in TOTALS if name not in {"too large", "huge", "beyond 64 bits"})
"""Totals with which every row can be read. A total that is too large looks as if the server withheld rows."""


def time_of(second: int) -> str:
    """Return a time of the window."""
    return to_text(START + timedelta(seconds=second))


class EndlessError(BaseException):
    """Raised if reading does not end. It is no Exception, so that Hypothesis does not shrink the example."""


@dataclass
class PagedServer:
    """The rows, how the server answers, and how the rows move after each response."""

    seed: int = 0
    rows: list[Row] = field(default_factory=list)
    total: str = "right"
    cap: Callable[[int, Random], int] = lambda _asked, _random: 10**6
    """The largest number of rows in a page, from the number of requests so far."""
    obeys_second_sort: bool = True
    folds_case: bool = False
    """Whether names that differ only in case are equal, so that their order is undefined."""
    reach: int = 10**6
    """The number of rows of a list that offsets can reach."""
    ignores: frozenset[str] = frozenset()
    """Parts of a query: `skip`, `take`, `sort`, `gte`, `lt`."""
    answers_at_most: int = 10**6
    """The number of rows that it can send in time; a larger request must be repeated for fewer rows."""
    leave: float = 0
    """The probability that a row leaves the window after a response; the others likewise."""
    shift: float = 0
    insert: float = 0
    delete: float = 0
    still: set[Any] = field(default_factory=set)
    """Names of the rows that have not moved."""
    asked: list[Query] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        self.still = {row["name"] for row in self.rows}
        self.next_name = 10**6

    def answer(self, query: Query) -> Page:
        self.asked.append(query)
        if len(self.asked) > MAX_REQUESTS:
            raise EndlessError
        rows = self._matching(query)
        start = 0 if "skip" in self.ignores else query.skip
        take = 10**6 if "take" in self.ignores else query.take
        stop = min(start + min(take, self.cap(len(self.asked), self.random)), self.reach)
        page = [dict(row) for row in rows[start:stop]]
        total = TOTALS[self.total](len(rows), query, len(page))
        self.move()
        return Page(page, total)

    def _matching(self, query: Query) -> list[Row]:
        conditions = [each for each in query.conditions if each.operator not in self.ignores]
        rows = [row for row in self.rows if all(_meets(row, condition) for condition in conditions)]
        if "sort" in self.ignores:
            self.random.shuffle(rows)
            return rows
        self.random.shuffle(rows)
        fields = query.sort if self.obeys_second_sort else query.sort[:1]
        rows.sort(key=lambda row: [self._compared(row[name]) for name in fields])
        return rows

    def _compared(self, value: Any) -> Any:
        return value.casefold().rstrip() if self.folds_case and isinstance(value, str) else value

    def move(self) -> None:
        if self.rows and self.random.random() < self.leave:
            self._touch(at=time_of(SPAN + 10))
        if self.rows and self.random.random() < self.shift:
            self._touch(at=time_of(self.random.randrange(SPAN)))
        if self.rows and self.random.random() < self.delete:
            row = self.random.choice(self.rows)
            self.rows.remove(row)
            self.still.discard(row["name"])
        if self.random.random() < self.insert:
            # Names between the existing ones and at both ends, some of them at the time of another row.
            name = self.random.choice([self.random.uniform(-5, 300), self.next_name])
            self.next_name += 1
            at = self.random.choice(self.rows)["at"] if self.rows and self.random.random() < 0.3 else None
            self.rows.append({"name": name, "at": at or time_of(self.random.randrange(SPAN))})

    def _touch(self, **changes: Any) -> None:
        row = self.random.choice(self.rows)
        row.update(changes)
        self.still.discard(row["name"])


def _meets(row: Row, condition: Condition) -> bool:
    value = row[condition.field]
    met = {
        "gte": value >= condition.value,
        "gt": value > condition.value,
        "lt": value < condition.value,
        "eq": value == condition.value,
    }
    return bool(met[condition.operator])


class Pool:
    """A fetcher without threads. Pages arrive in any order, some of them at once."""

    def __init__(self, server: PagedServer, concurrency: int) -> None:
        self.server = server
        self.random = Random(server.seed + 1)
        self.concurrency = concurrency
        self.max_outstanding = 2 * concurrency
        self.outstanding = self.most_held = self.requests = 0
        self.pending: list[tuple[Query, Future[Page]]] = []

    def submit(self, query: Query) -> Future[Page]:
        future: Future[Page] = Future()
        self.pending.append((query, future))
        self.requests += 1
        self.outstanding += 1
        self.most_held = max(self.most_held, self.outstanding)
        if self.random.random() < 0.5:
            self._answer_one()
        return future

    def ready(self, future: Future[Page]) -> Page | None:
        return future.result() if future.done() else None

    def take(self, future: Future[Page]) -> Page:
        while not future.done():
            self._answer_one()
        self.outstanding -= 1
        return future.result()

    def discard(self, future: Future[Page]) -> None:
        self.pending = [pair for pair in self.pending if pair[1] is not future]
        self.outstanding -= 1

    def _answer_one(self) -> None:
        query, future = self.pending.pop(self.random.randrange(min(len(self.pending), self.concurrency)))
        # As the fetcher does if the server cannot send as many rows.
        while query.take > self.server.answers_at_most:
            query = replace(query, take=max(self.server.answers_at_most, query.take // 4))
        future.set_result(replace(self.server.answer(query), take=query.take))


def source_of(pool: Pool) -> PageSource:
    """Return the pool as the source of pages of an endpoint that has not been read yet."""
    return PageSource(cast("Fetcher", pool), PageLimit(), lambda _: None)


@dataclass
class Reading:
    """The result of reading."""

    rows: list[Row]
    ends: list[str]
    pool: Pool

    @property
    def names(self) -> set[Any]:
        return {row["name"] for row in self.rows}


def query_for(take: int) -> Query:
    """Return a query for the rows of the server."""
    return Query(endpoint="tickets", fields=("name", "at"), sort=("name",), take=take)


def window_reading(server: PagedServer, take: int, concurrency: int = 3, window: Window = WINDOW) -> Reading:
    """Read a range of time, and check at the end of each window that a run may be killed there."""
    pool = Pool(server, concurrency)
    reading = Reading([], [], pool)
    for batch in read_windows(source_of(pool), query_for(take), "at", window):
        reading.rows += batch.rows
        if batch.end is not None:
            reading.ends.append(batch.end)
            past = {row["name"] for row in server.rows if (window.start or "") <= row["at"] < batch.end}
            assert past & server.still <= reading.names
    return reading


def name_reading(server: PagedServer, take: int, concurrency: int = 3) -> Reading:
    """Read the whole list."""
    pool = Pool(server, concurrency)
    reading = Reading([], [], pool)
    for batch in read_by_name(source_of(pool), query_for(take)):
        reading.rows += batch.rows
    return reading


def assert_sound(reading: Reading, window: Window = WINDOW) -> None:
    """Assert the properties of a range that hold even if its rows move."""
    times = [row["at"] for row in reading.rows]
    assert times == sorted(times)
    assert all((window.start or "") <= time < window.end for time in times)
    assert reading.ends == sorted(set(reading.ends))
    assert reading.ends[-1] == window.end
    # Besides the pages that are requested ahead, there is the page whose turn it is.
    assert reading.pool.most_held <= reading.pool.max_outstanding + 1
    assert reading.pool.outstanding == 0


@contextmanager
def may_fail_on_tiny_pages(take: int) -> Iterator[None]:
    """Let a reader fail if nearly as many rows move as a page has; no real page is so small."""
    try:
        yield
    except ReadError:
        assert take < 8


def twice(rows: Iterable[Row]) -> list[Any]:
    """Return the names of the rows that were read several times."""
    return [name for name, count in Counter(row["name"] for row in rows).items() if count > 1]


# How rows are distributed: evenly, in a few seconds, or mostly in one second.
_SPREADS = ("even", "few", "burst")


@st.composite
def some_rows(draw: st.DrawFn, most: int = 150) -> list[Row]:
    """Return rows, sorted by name."""
    random = Random(draw(st.integers(0, 10**6)))
    count = draw(st.one_of(st.integers(0, 12), st.integers(0, most)))
    spread = draw(st.sampled_from(_SPREADS))
    seconds = [random.randrange(SPAN) for _ in range(1 if spread == "burst" else 6)]
    return [
        {
            "name": name,
            "at": time_of(
                random.randrange(SPAN)
                if spread == "even" or (spread == "burst" and random.random() < 0.4)
                else random.choice(seconds)
            ),
        }
        for name in range(count)
    ]


@st.composite
def caps(draw: st.DrawFn, least: int = 2, most: int = 40) -> Callable[[int, Random], int]:
    """Return a limit on the length of pages: a constant one, a random one, or one that changes at some request."""
    kind = draw(st.sampled_from(["steady", "random", "changing"]))
    low, high = sorted((draw(st.integers(least, most)), draw(st.integers(least, most))))
    change = draw(st.integers(1, 12))
    falls = draw(st.booleans())
    if kind == "steady":
        return lambda _asked, _random: low
    low, high = max(2, low), max(2, high)
    if kind == "random":
        return lambda _asked, random: random.randint(low, high)
    return lambda asked, _random: low if (asked > change) == falls else high


SEEDS = st.integers(0, 10**6)
TAKES = st.one_of(st.integers(1, 4), st.integers(1, 60))
CONCURRENCIES = st.integers(1, 5)
LIKELY = st.sampled_from([0, 0.2, 0.7, 1])
RARELY = st.sampled_from([0, 0.1, 0.3])
