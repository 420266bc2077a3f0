"""Reading alone, against a server in memory whose rows move between any two requests.

What must hold: a row that stood still is never missing, and comes once if nothing moves at all; the pages held
and the requests made are bounded; a server that contradicts itself ends in a ReadError, never in a gap.
"""

from __future__ import annotations

import tracemalloc
from collections import Counter
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from tap_daktela.api.envelope import Page
from tap_daktela.api.query import Condition, Query
from tap_daktela.pages import MOST_PAGES, PAGES_PER_WINDOW, ReadError, read_by_name, read_windows
from tap_daktela.windows import Window, to_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tap_daktela.fetch import Fetcher

START = datetime(2026, 3, 1)  # noqa: DTZ001 - wall time
SPAN = 1000
WINDOW = Window(to_text(START), to_text(START + timedelta(seconds=SPAN)))
MOST_REQUESTS = 3000

Row = dict[str, Any]


def _time(second: int) -> str:
    return to_text(START + timedelta(seconds=second))


class Endless(BaseException):
    """Raised where reading does not end; no Exception, so that Hypothesis does not look for a shorter example."""


@dataclass
class World:
    """A server: its rows, how it answers, and how they move after each answer."""

    seed: int = 0
    rows: list[Row] = field(default_factory=list)
    total: str = "right"
    """`right`, `none`, or a number to add to the right one."""
    cap: int = 10**6
    """Rows that a page holds at most, whatever is asked for."""
    obeys_second_sort: bool = True
    leave: float = 0
    """How likely a row leaves the window after an answer; the others likewise."""
    shift: float = 0
    insert: float = 0
    delete: float = 0
    still: set[int] = field(default_factory=set)
    """Names of the rows that have not moved."""
    asked: list[Query] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        self.still = {row["name"] for row in self.rows}
        self.next_name = 10**6

    def answer(self, query: Query) -> Page:
        self.asked.append(query)
        if len(self.asked) > MOST_REQUESTS:
            raise Endless
        rows = [row for row in self.rows if all(_meets(row, condition) for condition in query.conditions)]
        self.random.shuffle(rows)
        sort = query.sort if self.obeys_second_sort else query.sort[:1]
        rows.sort(key=lambda row: [row[name] for name in sort])
        page = [dict(row) for row in rows[query.skip : query.skip + min(query.take, self.cap)]]
        total = None if self.total == "none" else len(rows) + (0 if self.total == "right" else int(self.total))
        self.move()
        return Page(page, total)

    def move(self) -> None:
        if self.rows and self.random.random() < self.leave:
            self._touch(at=_time(SPAN + 10))
        if self.rows and self.random.random() < self.shift:
            self._touch(at=_time(self.random.randrange(SPAN)))
        if self.rows and self.random.random() < self.delete:
            row = self.random.choice(self.rows)
            self.rows.remove(row)
            self.still.discard(row["name"])
        if self.random.random() < self.insert:
            # Names in between those that are there, at both ends and twice at the same time.
            name = self.random.choice([self.random.uniform(-5, 300), self.next_name])
            self.next_name += 1
            at = self.random.choice(self.rows)["at"] if self.rows and self.random.random() < 0.3 else None
            self.rows.append({"name": name, "at": at or _time(self.random.randrange(SPAN))})

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
    """A fetcher without threads: pages asked for ahead are answered in any order, some of them at once."""

    def __init__(self, world: World, concurrency: int) -> None:
        self.world = world
        self.random = Random(world.seed + 1)
        self.concurrency = concurrency
        self.ahead = 2 * concurrency
        self.held = self.most_held = self.requests = 0
        self.pending: list[tuple[Query, Future[Page]]] = []

    @property
    def has_room(self) -> bool:
        return self.held < self.ahead

    def submit(self, query: Query) -> Future[Page]:
        future: Future[Page] = Future()
        self.pending.append((query, future))
        self.requests += 1
        self.held += 1
        self.most_held = max(self.most_held, self.held)
        if self.random.random() < 0.5:
            self._answer_one()
        return future

    def wait(self, future: Future[Page]) -> Page:
        while not future.done():
            self._answer_one()
        return future.result()

    def peek(self, future: Future[Page], _fields: tuple[str, ...]) -> Page | None:
        return future.result() if future.done() else None

    def take(self, future: Future[Page]) -> Page:
        page = self.wait(future)
        self.held -= 1
        return page

    def release(self) -> None:
        self.held -= 1

    def drop(self, future: Future[Page]) -> None:
        self.pending = [pair for pair in self.pending if pair[1] is not future]
        self.held -= 1

    def page(self, query: Query) -> Page:
        return self.take(self.submit(query))

    def _answer_one(self) -> None:
        query, future = self.pending.pop(self.random.randrange(min(len(self.pending), self.concurrency)))
        future.set_result(self.world.answer(query))


@dataclass
class Reading:
    """What came of reading."""

    rows: list[Row]
    ends: list[str]
    pool: Pool

    @property
    def names(self) -> set[Any]:
        return {row["name"] for row in self.rows}


def _query(take: int) -> Query:
    return Query(endpoint="tickets", fields=("name", "at"), sort=("name",), take=take)


def _read_windows(world: World, take: int, concurrency: int = 3, window: Window = WINDOW) -> Reading:
    pool = Pool(world, concurrency)
    reading = Reading([], [], pool)
    for batch in read_windows(cast("Fetcher", pool), _query(take), "at", window):
        reading.rows += batch.rows
        if batch.end is not None:
            reading.ends.append(batch.end)
            # Whoever is killed after this end goes on from it.
            finished = {row["name"] for row in world.rows if row["at"] < batch.end} & world.still
            assert finished <= reading.names
    return reading


def _read_by_name(world: World, take: int, concurrency: int = 3) -> Reading:
    pool = Pool(world, concurrency)
    reading = Reading([], [], pool)
    for batch in read_by_name(cast("Fetcher", pool), _query(take)):
        reading.rows += batch.rows
    return reading


def _assert_sound(reading: Reading, window: Window = WINDOW) -> None:
    """Assert what holds of a range however its rows move."""
    times = [row["at"] for row in reading.rows]
    assert times == sorted(times)
    assert all((window.start or "") <= time < window.end for time in times)
    assert reading.ends == sorted(set(reading.ends))
    assert reading.ends[-1] == window.end
    # Besides those asked for ahead: the page that is being read, and one ahead of that in a second read by name.
    assert reading.pool.most_held <= reading.pool.ahead + 2
    assert reading.pool.held == 0


@contextmanager
def _given_up_on_tiny_pages(take: int) -> Iterator[None]:
    """Let a reader give up, loudly, where nearly as many rows move as a page holds; no real page is so small."""
    try:
        yield
    except ReadError:
        assert take < 8


def _twice(rows: Iterable[Row]) -> list[Any]:
    return [name for name, count in Counter(row["name"] for row in rows).items() if count > 1]


# How rows may lie: evenly, in few seconds, or with one second that holds most of them.
_SPREADS = ("even", "few", "burst")


@st.composite
def _rows(draw: st.DrawFn, most: int = 150) -> list[Row]:
    random = Random(draw(st.integers(0, 10**6)))
    count = draw(st.one_of(st.integers(0, 12), st.integers(0, most)))
    spread = draw(st.sampled_from(_SPREADS))
    seconds = [random.randrange(SPAN) for _ in range(1 if spread == "burst" else 6)]
    return [
        {
            "name": name,
            "at": _time(
                random.randrange(SPAN)
                if spread == "even" or (spread == "burst" and random.random() < 0.4)
                else random.choice(seconds)
            ),
        }
        for name in range(count)
    ]


_SEEDS = st.integers(0, 10**6)
_TAKES = st.one_of(st.integers(1, 4), st.integers(1, 60))
_CONCURRENCIES = st.integers(1, 5)
_LIKELY = st.sampled_from([0, 0.2, 0.7, 1])


# Ranges of time.


@given(_rows(), _TAKES, _CONCURRENCIES, _SEEDS, st.booleans(), st.sampled_from(["right", "none", "-3"]))
def test_where_nothing_moves_every_row_comes_once(  # noqa: PLR0917 - a server's habits
    rows: list[Row],
    take: int,
    concurrency: int,
    seed: int,
    obeys: bool,  # noqa: FBT001
    total: str,
) -> None:
    world = World(seed, rows, total=total, obeys_second_sort=obeys)
    reading = _read_windows(world, take, concurrency)
    _assert_sound(reading)
    assert reading.names == world.still
    assert _twice(reading.rows) == []


@given(_rows(), _TAKES, _CONCURRENCIES, _SEEDS, st.booleans(), st.tuples(_LIKELY, _LIKELY, _LIKELY, _LIKELY))
def test_however_rows_move_those_that_stood_still_come(  # noqa: PLR0917 - a server's habits
    rows: list[Row],
    take: int,
    concurrency: int,
    seed: int,
    obeys: bool,  # noqa: FBT001
    moves: tuple[float, float, float, float],
) -> None:
    leave, shift, insert, delete = moves
    world = World(
        seed, rows, obeys_second_sort=obeys, leave=leave, shift=shift, insert=insert * 0.6, delete=delete
    )
    with _given_up_on_tiny_pages(take):
        reading = _read_windows(world, take, concurrency)
        _assert_sound(reading)
        assert world.still <= reading.names


@given(_rows(), st.integers(2, 30), _SEEDS, _LIKELY)
def test_rows_that_move_are_no_problem_without_totals(
    rows: list[Row], take: int, seed: int, moving: float
) -> None:
    world = World(seed, rows, total="none", leave=moving, insert=moving / 2, delete=moving)
    with _given_up_on_tiny_pages(take):
        reading = _read_windows(world, take)
        _assert_sound(reading)
        assert world.still <= reading.names


@given(_rows(), st.integers(3, 30), _SEEDS, _LIKELY)
def test_a_server_that_caps_its_pages_is_read_to_the_end(
    rows: list[Row], take: int, seed: int, moving: float
) -> None:
    world = World(seed, rows, cap=max(2, take - 3), leave=moving, delete=moving)
    with _given_up_on_tiny_pages(world.cap):
        reading = _read_windows(world, take)
        _assert_sound(reading)
        assert world.still <= reading.names


@given(_rows(), _TAKES, _SEEDS)
def test_a_server_that_counts_more_than_it_sends_ends_in_an_error_and_not_in_a_gap(
    rows: list[Row], take: int, seed: int
) -> None:
    world = World(seed, rows, total="5")
    with pytest.raises(ReadError, match="sends fewer"):
        _read_windows(world, take)


def test_the_naive_way_loses_rows_that_stood_still_in_the_same_world() -> None:
    lost = 0
    for seed in range(20):
        random = Random(seed)
        originals: list[Row] = [{"name": name, "at": _time(random.randrange(SPAN))} for name in range(150)]
        world = World(seed, [dict(row) for row in originals], leave=0.7)
        names: set[Any] = set()
        for skip in range(0, 150, 10):
            query = Query(endpoint="tickets", fields=(), sort=("at", "name"), take=10, skip=skip)
            names |= {row["name"] for row in world.answer(query).rows}
        lost += len(world.still - names)
        again = World(seed, originals, leave=0.7)
        assert again.still <= _read_windows(again, 10).names
    assert lost > 20


@pytest.mark.parametrize("obeys", [True, False])
def test_rows_of_one_second_are_not_torn_apart_by_rows_that_leave(obeys: bool) -> None:  # noqa: FBT001
    for seed in range(60):
        rows = [{"name": name, "at": _time(name // 5)} for name in range(150)]
        world = World(seed, rows, obeys_second_sort=obeys, leave=0.9)
        reading = _read_windows(world, 12)
        _assert_sound(reading)
        assert world.still <= reading.names


def test_the_beginning_of_all_time_is_a_range_like_any_other() -> None:
    rows = [{"name": name, "at": _time(second)} for name, second in enumerate([0, 0, 5, 5, 5, 9, 20, 21])]
    for take in (1, 2, 3, 100):
        window = Window(None, _time(21))
        world = World(take, [dict(row) for row in rows])
        reading = _read_windows(world, take, window=window)
        _assert_sound(reading, window)
        assert sorted(reading.names) == list(range(7))
        assert _twice(reading.rows) == []


def test_an_empty_range_costs_one_request() -> None:
    reading = _read_windows(World(), 10)
    assert (reading.rows, reading.ends, reading.pool.requests) == ([], [WINDOW.end], 1)


def test_what_fits_a_page_costs_one_request() -> None:
    world = World(rows=[{"name": name, "at": _time(name)} for name in range(9)])
    assert _read_windows(world, 10).pool.requests == 1


@pytest.mark.parametrize("count", [99, 100, 101, 138, 139, 977, 1000])
@pytest.mark.parametrize("concurrency", [1, 4])
def test_where_nothing_moves_pages_overlap_by_little(count: int, concurrency: int) -> None:
    take, stride = 40, 38
    world = World(rows=[{"name": name, "at": _time(name)} for name in range(count)])
    reading = _read_windows(world, take, concurrency)
    assert len(reading.rows) == count
    assert reading.pool.requests <= -(-count // stride) + 1


def test_a_range_with_many_pages_is_cut_into_windows_with_bookmarks_in_between() -> None:
    take = 5
    world = World(rows=[{"name": name, "at": _time(name)} for name in range(SPAN)])
    reading = _read_windows(world, take)
    assert reading.names == world.still
    assert len(reading.ends) >= SPAN / (take * MOST_PAGES)
    assert len(reading.ends) <= 2 * SPAN / (take * PAGES_PER_WINDOW) + 2


def test_no_offset_is_deeper_than_a_window_may_be() -> None:
    take = 5
    world = World(rows=[{"name": name, "at": _time(name)} for name in range(SPAN)])
    _read_windows(world, take)
    assert max(query.skip for query in world.asked) <= MOST_PAGES * take


@given(_rows(most=400), st.integers(2, 40), _CONCURRENCIES, _SEEDS)
def test_where_nothing_moves_the_requests_are_bounded_by_the_rows(
    rows: list[Row], take: int, concurrency: int, seed: int
) -> None:
    reading = _read_windows(World(seed, rows), take, concurrency)
    stride = max(1, take - max(2, take // 40))
    dense = [count for count in Counter(row["at"] for row in rows).values() if count >= take]
    in_dense = sum(-(-count // (take - 1)) + 3 for count in dense)
    assert reading.pool.requests <= 2 * len(rows) // stride + 3 * len(reading.ends) + in_dense + 2


@pytest.mark.parametrize("count", [1, 2, 50])
def test_a_second_with_more_rows_than_a_page_is_read_by_name(count: int) -> None:
    burst = [{"name": name, "at": _time(10)} for name in range(count)]
    others = [{"name": 100 + name, "at": _time(second)} for name, second in enumerate((0, 9, 11, 500))]
    for take in (1, 2, 3):
        world = World(take, [dict(row) for row in (*burst, *others)], obeys_second_sort=False)
        reading = _read_windows(world, take)
        _assert_sound(reading)
        assert sorted(row["name"] for row in reading.rows) == [*range(count), *range(100, 104)]
        if count == 50:
            assert any(query.sort == ("name",) for query in world.asked)


def test_several_full_seconds_in_a_row_and_at_the_edge_of_the_range_are_read() -> None:
    seconds = [*[0] * 20, *[1] * 20, *[2] * 20, *[SPAN - 1] * 20]
    world = World(rows=[{"name": name, "at": _time(second)} for name, second in enumerate(seconds)])
    reading = _read_windows(world, 7)
    _assert_sound(reading)
    assert sorted(row["name"] for row in reading.rows) == list(range(80))


def test_every_request_asks_for_its_range_and_keeps_the_query_s_own_conditions() -> None:
    world = World(rows=[{"name": name, "at": _time(name * 3), "type": "CALL"} for name in range(100)])
    query = Query(
        endpoint="activities",
        fields=("name", "at", "type"),
        conditions=(Condition("type", "eq", "CALL"),),
        sort=("name",),
        take=7,
    )
    list(read_windows(cast("Fetcher", Pool(world, 2)), query, "at", WINDOW))
    for asked in world.asked:
        assert asked.conditions[-1] == Condition("type", "eq", "CALL")
        assert [condition.operator for condition in asked.conditions[:-1]] == ["gte", "lt"]
        assert (asked.fields, asked.take) == (query.fields, 7)
        assert asked.sort in {("at", "name"), ("name",)}


class _Stubborn(World):
    """A server that answers the same to whatever is asked."""

    def __init__(self, rows: list[Row]) -> None:
        super().__init__()
        self.answers = rows

    @override
    def answer(self, query: Query) -> Page:
        return Page(self.answers, len(self.answers))


def _ask_badly(rows: list[Row]) -> Iterator[Any]:
    return read_windows(cast("Fetcher", Pool(_Stubborn(rows), 1)), _query(10), "at", WINDOW)


def test_rows_that_are_not_sorted_by_time_are_refused() -> None:
    with pytest.raises(ReadError, match="did not sort by at"):
        list(_ask_badly([{"name": 1, "at": _time(2)}, {"name": 2, "at": _time(1)}]))


@pytest.mark.parametrize(
    "at",
    [
        *(None, 7, "", "2026-03-01", "2026-03-01T00:00:02", "2026-03-01 00:00:02.5", "later"),
        *("2026-03-01 00:00:02\n2026-03-01 00:00:03", "2026-03-01 00:00:02\n", "2026-03-01 00:00:0\u0662"),
    ],
)
def test_rows_whose_time_does_not_sort_as_the_others_are_refused(at: Any) -> None:
    with pytest.raises(ReadError, match="as at"):
        list(_ask_badly([{"name": 1, "at": _time(2)}, {"name": 2, "at": at}]))


def test_rows_without_a_time_are_refused() -> None:
    with pytest.raises(ReadError, match="as at"):
        list(_ask_badly([{"name": 1}]))


def test_rows_outside_the_range_that_was_asked_for_are_left_out() -> None:
    rows = [{"name": second, "at": _time(second)} for second in (-5, 0, SPAN - 1, SPAN, SPAN + 5)]
    batches = list(_ask_badly(rows))
    assert [row["name"] for batch in batches for row in batch.rows] == [0, SPAN - 1]


def test_a_second_s_rows_that_are_of_another_time_are_refused() -> None:
    class Astray(World):
        @override
        def answer(self, query: Query) -> Page:
            page = super().answer(query)
            return (
                page
                if query.sort != ("name",)
                else Page([{**row, "at": _time(8)} for row in page.rows], page.total)
            )

    world = Astray(rows=[{"name": name, "at": _time(7)} for name in range(30)])
    with pytest.raises(ReadError, match="another at"):
        _read_windows(world, 10)


@pytest.mark.parametrize("name", [[], {}, [1], {"name": 1}])
def test_rows_whose_names_are_no_names_are_refused(name: Any) -> None:
    with pytest.raises(ReadError, match="as name"):
        list(_ask_badly([{"name": 1, "at": _time(1)}, {"name": name, "at": _time(2)}]))
    with pytest.raises(ReadError, match="as name"):
        list(read_by_name(cast("Fetcher", Pool(_Stubborn([{"name": name}]), 1)), _query(10)))


def test_a_bad_page_asked_for_ahead_is_told_when_its_turn_comes() -> None:
    class Late(World):
        @override
        def answer(self, query: Query) -> Page:
            page = super().answer(query)
            ahead = any(row["at"] > _time(SPAN // 2) for row in page.rows)
            return page if not ahead else Page(page.rows[::-1], page.total)

    world = Late(rows=[{"name": name, "at": _time(name)} for name in range(SPAN)])
    batches = read_windows(cast("Fetcher", Pool(world, 4)), _query(5), "at", WINDOW)
    seen: list[Any] = []

    def read() -> None:
        for batch in batches:
            seen.extend(row["name"] for row in batch.rows)

    with pytest.raises(ReadError, match="did not sort"):
        read()
    assert seen == list(range(len(seen)))
    assert len(seen) > SPAN // 2 - 5


@given(st.integers(0, 150), st.integers(4, 30), _SEEDS)
def test_a_server_that_caps_its_pages_and_does_not_count_is_read_to_the_end(
    count: int, take: int, seed: int
) -> None:
    for read in (_read_windows, _read_by_name):
        rows = [{"name": name, "at": _time(name * 3)} for name in range(count)]
        world = World(seed, rows, total="none", cap=max(2, take - 3))
        reading = read(world, take)
        assert reading.names == world.still
        assert _twice(reading.rows) == []


def test_an_error_ends_reading_after_the_rows_before_it() -> None:
    class Broken(World):
        @override
        def answer(self, query: Query) -> Page:
            if len(self.asked) == 5:
                raise LookupError("no page")
            return super().answer(query)

    world = Broken(rows=[{"name": name, "at": _time(name)} for name in range(100)])
    batches = read_windows(cast("Fetcher", Pool(world, 1)), _query(10), "at", WINDOW)
    seen: list[Any] = []
    ends: list[str | None] = []

    def read() -> None:
        for batch in batches:
            seen.extend(row["name"] for row in batch.rows)
            ends.append(batch.end)

    with pytest.raises(LookupError):
        read()
    assert set(ends) == {None}
    assert seen == list(range(len(seen)))
    assert len(seen) > 10


@pytest.mark.parametrize("most", [1, 2, 3])
def test_a_window_that_would_become_too_many_is_cut_again(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tap_daktela.pages.MOST_WINDOWS", most)
    rows = [{"name": name, "at": _time(name)} for name in range(SPAN)]
    reading = _read_windows(World(rows=rows), 10)
    _assert_sound(reading)
    assert [row["name"] for row in reading.rows] == list(range(SPAN))
    assert max(query.skip for query in reading.pool.world.asked) < (MOST_PAGES + 1) * 10


@pytest.mark.parametrize("more", ["1000000000000", "99999999999999999999999999"])
def test_t5_a_total_that_cannot_be_takes_no_memory(more: str) -> None:
    rows = [{"name": name, "at": _time(10 * name)} for name in range(30)]
    window = Window(WINDOW.start, to_text(START + timedelta(days=30 * 365)))
    tracemalloc.start()
    try:
        with pytest.raises(ReadError, match="sends fewer"):
            _read_by_name(World(rows=rows, total=more), 10)
        with pytest.raises(ReadError, match="sends fewer"):
            _read_windows(World(rows=rows, total=more), 10, window=window)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


# Lists by name.


@given(_rows(), _TAKES, _CONCURRENCIES, _SEEDS, st.sampled_from(["right", "none", "-3"]))
def test_a_list_that_stands_still_comes_once_and_in_order(
    rows: list[Row], take: int, concurrency: int, seed: int, total: str
) -> None:
    reading = _read_by_name(World(seed, rows, total=total), take, concurrency)
    assert [row["name"] for row in reading.rows] == list(range(len(rows)))
    assert reading.pool.most_held <= reading.pool.ahead + 1
    assert reading.pool.held == 0
    assert reading.pool.requests <= len(rows) // (max(take, 2) - 1) + 2


@given(_rows(), st.integers(2, 40), _CONCURRENCIES, _SEEDS, st.tuples(_LIKELY, _LIKELY))
def test_however_a_list_moves_the_rows_that_stood_still_come(
    rows: list[Row], take: int, concurrency: int, seed: int, moves: tuple[float, float]
) -> None:
    insert, delete = moves
    world = World(seed, rows, insert=insert, delete=delete)
    with _given_up_on_tiny_pages(take):
        reading = _read_by_name(world, take, concurrency)
        assert world.still <= reading.names
        assert reading.pool.most_held <= reading.pool.ahead + 1
        assert reading.pool.held == 0


@given(_rows(), st.integers(2, 40), _SEEDS, _LIKELY)
def test_a_list_that_moves_is_complete_without_totals(
    rows: list[Row], take: int, seed: int, moving: float
) -> None:
    world = World(seed, rows, total="none", delete=moving, insert=moving / 2)
    with _given_up_on_tiny_pages(take):
        assert world.still <= _read_by_name(world, take).names


@given(_rows(), st.integers(3, 30), _SEEDS, _LIKELY)
def test_a_list_whose_pages_are_capped_is_complete(rows: list[Row], take: int, seed: int, moving: float) -> None:
    world = World(seed, rows, cap=max(2, take - 3), delete=moving / 2)
    with _given_up_on_tiny_pages(world.cap):
        assert world.still <= _read_by_name(world, take).names


@given(_rows(), _TAKES, _SEEDS)
def test_a_list_that_is_shorter_than_the_server_says_ends_in_an_error(
    rows: list[Row], take: int, seed: int
) -> None:
    world = World(seed, rows, total="5")
    pages = read_by_name(cast("Fetcher", Pool(world, 2)), _query(take))
    names: set[Any] = set()

    def read() -> None:
        for batch in pages:
            names.update(row["name"] for row in batch.rows)

    with pytest.raises(ReadError, match="counts"):
        read()
    assert names == world.still


def test_a_row_that_comes_in_behind_the_reader_is_read_with_the_next_pass() -> None:
    class Late(World):
        @override
        def move(self) -> None:
            if len(self.asked) == 2:
                self.rows.append({"name": -1, "at": _time(0)})

    world = Late(rows=[{"name": name, "at": _time(name)} for name in range(30)])
    reading = _read_by_name(world, 10, concurrency=1)
    assert reading.names == set(range(-1, 30))


def test_an_empty_list_costs_one_request() -> None:
    reading = _read_by_name(World(), 10)
    assert (reading.rows, reading.pool.requests) == ([], 1)


@pytest.mark.parametrize("count", [1, 9])
def test_a_list_that_fits_a_page_costs_one_request(count: int) -> None:
    world = World(rows=[{"name": name, "at": _time(name)} for name in range(count)])
    assert _read_by_name(world, 10).pool.requests == 1


def test_a_page_size_of_one_is_read_in_pages_of_two_which_can_overlap() -> None:
    world = World(rows=[{"name": name, "at": _time(name)} for name in range(5)])
    assert len(_read_by_name(world, 1).rows) == 5
    assert {query.take for query in world.asked} == {2}
