"""Ranges of time: an unchanged row is never missing, whatever the server does.

If no row moves, each is read once. The number of pages in memory and of requests is limited. If the replies of
a server contradict each other, reading fails with a ReadError and never with a gap.
"""

from __future__ import annotations

import tracemalloc
from collections import Counter
from contextlib import suppress
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from typing_extensions import override

from tap_daktela.api.envelope import Page
from tap_daktela.api.local_time import to_text
from tap_daktela.api.query import Condition, Query
from tap_daktela.paging.name_plan import MAX_PASSES
from tap_daktela.paging.pages import read_by_name, read_windows
from tap_daktela.paging.plan import ReadError
from tap_daktela.paging.window_plan import MAX_PAGES, PAGES_PER_WINDOW
from tap_daktela.paging.windows import Window
from tests.tap_daktela.paged_server import (
    CONCURRENCIES,
    CORRECTABLE_TOTALS,
    HONEST_TOTALS,
    LIKELY,
    RARELY,
    SEEDS,
    SPAN,
    START,
    TAKES,
    TOTALS,
    WINDOW,
    PagedServer,
    Pool,
    assert_sound,
    caps,
    may_fail_on_tiny_pages,
    name_reading,
    query_for,
    some_rows,
    source_of,
    time_of,
    twice,
    window_reading,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.tap_daktela.paged_server import Row


@given(some_rows(), TAKES, CONCURRENCIES, SEEDS, st.booleans(), st.sampled_from(CORRECTABLE_TOTALS))
def test_unchanged_rows_are_read_once(  # noqa: PLR0917 - the settings of a server
    rows: list[Row],
    take: int,
    concurrency: int,
    seed: int,
    obeys: bool,  # noqa: FBT001
    total: str,
) -> None:
    server = PagedServer(seed, rows, total=total, obeys_second_sort=obeys)
    reading = window_reading(server, take, concurrency)
    assert_sound(reading)
    assert reading.names == server.still
    assert twice(reading.rows) == []


@given(some_rows(), st.integers(2, 60), CONCURRENCIES, SEEDS, caps(), st.sampled_from(CORRECTABLE_TOTALS))
@pytest.mark.promise("T1")
def test_every_row_is_read_once_for_all_page_limits_and_totals(  # noqa: PLR0917 - the settings of a server
    rows: list[Row], take: int, concurrency: int, seed: int, cap: Callable[[int, Random], int], total: str
) -> None:
    server = PagedServer(seed, rows, total=total, cap=cap)
    reading = window_reading(server, take, concurrency)
    assert_sound(reading)
    assert reading.names == server.still
    assert twice(reading.rows) == []


@given(some_rows(), st.integers(2, 60), SEEDS, caps(least=1), st.sampled_from(list(TOTALS)), st.booleans())
@pytest.mark.promise("T1")
def test_a_range_of_any_server_is_read_completely_or_fails(  # noqa: PLR0917 - the settings of a server
    rows: list[Row],
    take: int,
    seed: int,
    cap: Callable[[int, Random], int],
    total: str,
    obeys: bool,  # noqa: FBT001
) -> None:
    server = PagedServer(seed, rows, total=total, cap=cap, obeys_second_sort=obeys)
    with suppress(ReadError):
        assert window_reading(server, take).names == server.still


@given(some_rows(), st.integers(10, 60), SEEDS, st.sampled_from(["right", "none", "limited to 20"]), LIKELY)
@pytest.mark.promise("T1")
def test_rows_behind_the_largest_offset_of_a_server_are_read_by_time(
    rows: list[Row], take: int, seed: int, total: str, moving: float
) -> None:
    assume(max(Counter(row["at"] for row in rows).values(), default=0) < take)
    server = PagedServer(seed, rows, total=total, reach=take + 1, leave=moving)
    assert server.still <= window_reading(server, take).names


@given(
    some_rows(most=300),
    st.integers(20, 60),
    CONCURRENCIES,
    SEEDS,
    st.integers(3, 15),
    st.sampled_from(HONEST_TOTALS),
)
@pytest.mark.promise("T1")
def test_pages_that_are_too_large_for_the_server_are_read_in_smaller_ones(  # noqa: PLR0917 - the settings of a server
    rows: list[Row], take: int, concurrency: int, seed: int, most: int, total: str
) -> None:
    server = PagedServer(seed, rows, total=total, answers_at_most=most)
    reading = window_reading(server, take, concurrency)
    assert_sound(reading)
    assert reading.names == server.still
    assert twice(reading.rows) == []


@pytest.mark.promise("T1")
def test_a_window_that_is_too_large_from_some_row_on_is_read_in_smaller_pages() -> None:
    class Heavy(PagedServer):
        @override
        def answer(self, query: Query) -> Page:
            page = super().answer(query)
            self.answers_at_most = 25 if any(row["at"] > time_of(SPAN // 2) for row in page.rows) else 10**6
            return page

    server = Heavy(rows=[{"name": name, "at": time_of(name)} for name in range(SPAN)])
    reading = window_reading(server, 100)
    assert_sound(reading)
    assert [row["name"] for row in reading.rows] == list(range(SPAN))
    # The smaller size is kept.
    first = next(place for place, query in enumerate(server.asked) if query.take == 25)
    assert {query.take for query in server.asked[first + reading.pool.max_outstanding + 1 :]} == {25}


@pytest.mark.parametrize("ignored", ["skip", "take", "sort", "gte", "lt", "gte lt skip", "skip take"])
@pytest.mark.parametrize("total", ["right", "none", "of the page"])
@pytest.mark.parametrize("spread", [1, 5, 30])
@pytest.mark.promise("T1")
def test_a_server_that_ignores_a_part_of_the_query_loses_nothing(ignored: str, total: str, spread: int) -> None:
    complete = 0
    for seed in range(20):
        rows = [{"name": name, "at": time_of(name // spread)} for name in range(60)]
        outside = [{"name": name, "at": time_of(second)} for name, second in ((-1, -5), (99, SPAN + 5))]
        server = PagedServer(seed, [*rows, *outside], total=total, ignores=frozenset(ignored.split()))
        with suppress(ReadError):
            assert window_reading(server, 20).names == set(range(60))
            complete += 1
    # Without offsets, a second with several rows cannot be read, or its end is not certain.
    is_readable = ignored == "take" or (ignored in {"skip", "skip take"} and spread == 1)
    assert complete == (20 if is_readable else 0)


@given(some_rows(), TAKES, CONCURRENCIES, SEEDS, st.booleans(), st.tuples(LIKELY, LIKELY, LIKELY, LIKELY))
def test_unchanged_rows_are_read_while_others_move(  # noqa: PLR0917 - the settings of a server
    rows: list[Row],
    take: int,
    concurrency: int,
    seed: int,
    obeys: bool,  # noqa: FBT001
    moves: tuple[float, float, float, float],
) -> None:
    leave, shift, insert, delete = moves
    server = PagedServer(
        seed, rows, obeys_second_sort=obeys, leave=leave, shift=shift, insert=insert * 0.6, delete=delete
    )
    with may_fail_on_tiny_pages(take):
        reading = window_reading(server, take, concurrency)
        assert_sound(reading)
        assert server.still <= reading.names


@given(some_rows(), st.integers(2, 30), SEEDS, LIKELY)
def test_unchanged_rows_are_read_without_totals(rows: list[Row], take: int, seed: int, moving: float) -> None:
    server = PagedServer(seed, rows, total="none", leave=moving, insert=moving / 2, delete=moving)
    with may_fail_on_tiny_pages(take):
        reading = window_reading(server, take)
        assert_sound(reading)
        assert server.still <= reading.names


@given(some_rows(), st.integers(10, 40), SEEDS, caps(least=10), st.sampled_from(CORRECTABLE_TOTALS), RARELY)
@pytest.mark.promise("T1")
def test_unchanged_rows_are_read_while_others_move_and_pages_are_truncated(  # noqa: PLR0917 - the settings of a server
    rows: list[Row], take: int, seed: int, cap: Callable[[int, Random], int], total: str, moving: float
) -> None:
    server = PagedServer(seed, rows, total=total, cap=cap, leave=moving, delete=moving, insert=moving / 2)
    reading = window_reading(server, take)
    assert_sound(reading)
    assert server.still <= reading.names


@given(some_rows(), TAKES, SEEDS, st.sampled_from(["too large", "huge", "beyond 64 bits"]))
def test_a_server_that_counts_more_than_it_sends_fails(rows: list[Row], take: int, seed: int, total: str) -> None:
    server = PagedServer(seed, rows, total=total)
    with pytest.raises(ReadError, match="sends fewer"):
        window_reading(server, take)


def test_paging_by_offset_alone_loses_unchanged_rows() -> None:
    lost = 0
    for seed in range(20):
        random = Random(seed)
        originals: list[Row] = [{"name": name, "at": time_of(random.randrange(SPAN))} for name in range(150)]
        server = PagedServer(seed, [dict(row) for row in originals], leave=0.7)
        names: set[Any] = set()
        for skip in range(0, 150, 10):
            query = Query(endpoint="tickets", fields=(), sort=("at", "name"), take=10, skip=skip)
            names |= {row["name"] for row in server.answer(query).rows}
        lost += len(server.still - names)
        again = PagedServer(seed, originals, leave=0.7)
        assert again.still <= window_reading(again, 10).names
    assert lost > 20


@pytest.mark.parametrize("obeys", [True, False])
def test_rows_of_one_second_are_complete_while_others_leave(obeys: bool) -> None:  # noqa: FBT001
    for seed in range(60):
        rows = [{"name": name, "at": time_of(name // 5)} for name in range(150)]
        server = PagedServer(seed, rows, obeys_second_sort=obeys, leave=0.9)
        reading = window_reading(server, 12)
        assert_sound(reading)
        assert server.still <= reading.names


def test_a_range_without_a_lower_bound_is_read() -> None:
    rows = [{"name": name, "at": time_of(second)} for name, second in enumerate([0, 0, 5, 5, 5, 9, 20, 21])]
    for take in (1, 2, 3, 100):
        window = Window(None, time_of(21))
        server = PagedServer(take, [dict(row) for row in rows])
        reading = window_reading(server, take, window=window)
        assert_sound(reading, window)
        assert sorted(reading.names) == list(range(7))
        assert twice(reading.rows) == []


def test_an_empty_range_costs_one_request() -> None:
    reading = window_reading(PagedServer(), 10)
    assert (reading.rows, reading.ends, reading.pool.requests) == ([], [WINDOW.end], 1)


@pytest.mark.parametrize(("total", "most"), [("right", 2), ("none", 3), ("of the page", 3)])
@pytest.mark.parametrize("count", [1, 2, 3, 9])
def test_a_range_that_fits_a_page_costs_one_further_request(count: int, total: str, most: int) -> None:
    server = PagedServer(rows=[{"name": name, "at": time_of(name)} for name in range(count)], total=total)
    assert window_reading(server, 10).pool.requests <= most


def test_t1_a_total_that_is_the_length_of_the_first_page_does_not_end_a_later_range() -> None:
    seconds = [*range(50), *range(500, 550)]
    server = PagedServer(
        rows=[{"name": name, "at": time_of(second)} for name, second in enumerate(seconds)], total="of the page"
    )
    source = source_of(Pool(server, 1))
    names: list[Any] = []
    for start, end, cap in ((0, 400, 20), (400, SPAN, 10)):
        server.cap = lambda _asked, _random, cap=cap: cap  # type: ignore[misc]
        batches = read_windows(source, query_for(100), "at", Window(time_of(start), time_of(end)))
        names += [row["name"] for batch in batches for row in batch.rows]
    assert names == list(range(100))


@pytest.mark.parametrize("take", [8, 12, 15, 19])
def test_t1_a_total_that_is_limited_as_the_offsets_are_does_not_end_a_range(take: int) -> None:
    rows = [{"name": name, "at": time_of(name)} for name in range(50)]
    server = PagedServer(rows=rows, total="limited to 20", reach=20)
    assert [row["name"] for row in window_reading(server, take).rows] == list(range(50))


def test_t1_a_full_page_is_not_a_complete_range_although_earlier_totals_were_right() -> None:
    seconds = [*range(15), *range(500, 540)]
    server = PagedServer(
        rows=[{"name": name, "at": time_of(second)} for name, second in enumerate(seconds)], total="limited to 20"
    )
    source = source_of(Pool(server, 1))
    names: list[Any] = []
    for start, end in ((0, 400), (400, SPAN)):
        batches = read_windows(source, query_for(20), "at", Window(time_of(start), time_of(end)))
        names += [row["name"] for batch in batches for row in batch.rows]
        assert source.limit.has_right_totals
    assert names == list(range(55))


@pytest.mark.parametrize("count", [99, 100, 101, 138, 139, 977, 1000])
@pytest.mark.parametrize("concurrency", [1, 4])
def test_pages_of_an_unchanged_range_overlap_a_little(count: int, concurrency: int) -> None:
    take, stride = 40, 38
    server = PagedServer(rows=[{"name": name, "at": time_of(name)} for name in range(count)])
    reading = window_reading(server, take, concurrency)
    assert len(reading.rows) == count
    # Besides the pages, there is one request without new rows, and one for the rows from the last time on.
    assert reading.pool.requests <= -(-count // stride) + 2


def test_a_range_with_many_pages_is_cut_into_windows_with_bookmarks() -> None:
    take = 5
    server = PagedServer(rows=[{"name": name, "at": time_of(name)} for name in range(SPAN)])
    reading = window_reading(server, take)
    assert reading.names == server.still
    assert len(reading.ends) >= SPAN / (take * MAX_PAGES)
    assert len(reading.ends) <= 2 * SPAN / (take * PAGES_PER_WINDOW) + 2


def test_offsets_are_limited_by_the_size_of_a_window() -> None:
    take = 5
    server = PagedServer(rows=[{"name": name, "at": time_of(name)} for name in range(SPAN)])
    window_reading(server, take)
    assert max(query.skip for query in server.asked) <= MAX_PAGES * take


@given(some_rows(most=400), st.integers(2, 40), CONCURRENCIES, SEEDS)
def test_the_number_of_requests_is_limited_by_the_rows(
    rows: list[Row], take: int, concurrency: int, seed: int
) -> None:
    reading = window_reading(PagedServer(seed, rows), take, concurrency)
    stride = max(1, take - max(2, take // 40))
    dense = [count for count in Counter(row["at"] for row in rows).values() if count >= take]
    in_dense = sum(-(-count // (take - 1)) + 3 for count in dense)
    assert reading.pool.requests <= 2 * len(rows) // stride + 5 * len(reading.ends) + in_dense + 2


@pytest.mark.parametrize("count", [1, 2, 50])
def test_a_second_with_more_rows_than_a_page_is_read_by_name(count: int) -> None:
    burst = [{"name": name, "at": time_of(10)} for name in range(count)]
    others = [{"name": 100 + name, "at": time_of(second)} for name, second in enumerate((0, 9, 11, 500))]
    for take in (1, 2, 3):
        server = PagedServer(take, [dict(row) for row in (*burst, *others)], obeys_second_sort=False)
        reading = window_reading(server, take)
        assert_sound(reading)
        assert sorted(row["name"] for row in reading.rows) == [*range(count), *range(100, 104)]
        if count == 50:
            assert any(query.sort == ("name",) for query in server.asked)


def test_several_full_seconds_in_a_row_and_at_the_edge_of_the_range_are_read() -> None:
    seconds = [*[0] * 20, *[1] * 20, *[2] * 20, *[SPAN - 1] * 20]
    server = PagedServer(rows=[{"name": name, "at": time_of(second)} for name, second in enumerate(seconds)])
    reading = window_reading(server, 7)
    assert_sound(reading)
    assert sorted(row["name"] for row in reading.rows) == list(range(80))


def test_every_request_has_its_range_and_the_conditions_of_the_query() -> None:
    server = PagedServer(rows=[{"name": name, "at": time_of(name * 3), "type": "CALL"} for name in range(100)])
    query = Query(
        endpoint="activities",
        fields=("name", "at", "type"),
        conditions=(Condition("type", "eq", "CALL"),),
        sort=("name",),
        take=7,
    )
    list(read_windows(source_of(Pool(server, 2)), query, "at", WINDOW))
    for asked in server.asked:
        assert asked.conditions[-1] == Condition("type", "eq", "CALL")
        assert [condition.operator for condition in asked.conditions[:-1]] == ["gte", "lt"]
        assert (asked.fields, asked.take) == (query.fields, 7)
        assert asked.sort in {("at", "name"), ("name",)}


class _Stubborn(PagedServer):
    """A server with the same response to every query."""

    def __init__(self, rows: list[Row]) -> None:
        super().__init__()
        self.answers = rows

    @override
    def answer(self, query: Query) -> Page:
        return Page(self.answers, len(self.answers))


def _ask_badly(rows: list[Row]) -> Iterator[Any]:
    return read_windows(source_of(Pool(_Stubborn(rows), 1)), query_for(10), "at", WINDOW)


def test_rows_that_are_not_sorted_by_time_are_refused() -> None:
    with pytest.raises(ReadError, match="did not sort by at"):
        list(_ask_badly([{"name": 1, "at": time_of(2)}, {"name": 2, "at": time_of(1)}]))


@pytest.mark.parametrize(
    "at",
    [
        *(None, 7, "", "2026-03-01", "2026-03-01T00:00:02", "2026-03-01 00:00:02.5", "later"),
        *("2026-00-00 00:00:00", "2026-02-30 00:00:00"),
        *("2026-03-01 00:00:02\n2026-03-01 00:00:03", "2026-03-01 00:00:02\n", "2026-03-01 00:00:0\u0662"),
    ],
)
def test_rows_with_an_invalid_time_are_refused(at: Any) -> None:
    with pytest.raises(ReadError, match="as at"):
        list(_ask_badly([{"name": 1, "at": time_of(2)}, {"name": 2, "at": at}]))


def test_rows_without_a_time_are_refused() -> None:
    with pytest.raises(ReadError, match="as at"):
        list(_ask_badly([{"name": 1}]))


@pytest.mark.parametrize("seconds", [(-5, 0, SPAN - 1), (0, SPAN - 1, SPAN), (SPAN + 5,)])
def test_rows_outside_the_requested_range_are_refused(seconds: tuple[int, ...]) -> None:
    with pytest.raises(ReadError, match="was not requested: it ignores the filter, or applies it in another time"):
        list(_ask_badly([{"name": second, "at": time_of(second)} for second in seconds]))


def test_rows_of_another_second_are_refused() -> None:
    class Astray(PagedServer):
        @override
        def answer(self, query: Query) -> Page:
            page = super().answer(query)
            return (
                page
                if query.sort != ("name",)
                else Page([{**row, "at": time_of(8)} for row in page.rows], page.total)
            )

    server = Astray(rows=[{"name": name, "at": time_of(7)} for name in range(30)])
    with pytest.raises(ReadError, match="another at"):
        window_reading(server, 10)


class _MovedWhileAnswered(PagedServer):
    """Some pages of a second have a row whose time changed between the search and the response."""

    moved = 0
    most_moved = 0

    @override
    def answer(self, query: Query) -> Page:
        page = super().answer(query)
        if query.sort != ("name",) or self.moved >= self.most_moved or not page.rows:
            return page
        self.moved += 1
        row = self.random.choice(page.rows)
        return Page([{**each, "at": time_of(8)} if each is row else each for each in page.rows], page.total)


@pytest.mark.parametrize("concurrency", [1, 3])
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.promise("T1")
def test_a_second_is_read_completely_if_rows_change_while_it_is_answered(concurrency: int, seed: int) -> None:
    server = _MovedWhileAnswered(seed, rows=[{"name": name, "at": time_of(7)} for name in range(60)])
    server.most_moved = 3
    reading = window_reading(server, 10, concurrency)
    assert server.moved == 3
    assert_sound(reading)
    assert sorted(row["name"] for row in reading.rows) == list(range(60))


@pytest.mark.promise("T1")
def test_a_second_fails_if_rows_change_in_every_response() -> None:
    server = _MovedWhileAnswered(rows=[{"name": name, "at": time_of(7)} for name in range(60)])
    server.most_moved = 10**6
    with pytest.raises(ReadError, match="another at"):
        window_reading(server, 10)
    assert server.moved < 10


@pytest.mark.promise("T1")
def test_a_second_that_changes_in_every_pass_is_reported_as_partial() -> None:
    class Changing(PagedServer):
        """In each pass, a row is inserted before those that have been read."""

        passes = 0

        @override
        def move(self) -> None:
            if self.asked[-1].sort == ("name",) and self.asked[-1].skip == 0:
                self.passes += 1
                self.rows.append({"name": -self.passes, "at": time_of(7)})

    server = Changing(rows=[{"name": name, "at": time_of(7)} for name in range(60)])
    batches = list(read_windows(source_of(Pool(server, 1)), query_for(10), "at", WINDOW))
    assert server.passes == MAX_PASSES
    assert {row["name"] for batch in batches for row in batch.rows} == set(range(1 - MAX_PASSES, 60))
    assert any(batch.is_partial for batch in batches)


@pytest.mark.parametrize("name", [[], {}, [1], {"name": 1}])
def test_rows_with_invalid_names_are_refused(name: Any) -> None:
    with pytest.raises(ReadError, match="as name"):
        list(_ask_badly([{"name": 1, "at": time_of(1)}, {"name": name, "at": time_of(2)}]))
    with pytest.raises(ReadError, match="as name"):
        list(read_by_name(source_of(Pool(_Stubborn([{"name": name}]), 1)), query_for(10)))


def test_an_invalid_page_that_was_requested_ahead_fails_at_its_turn() -> None:
    class Late(PagedServer):
        @override
        def answer(self, query: Query) -> Page:
            page = super().answer(query)
            ahead = any(row["at"] > time_of(SPAN // 2) for row in page.rows)
            return page if not ahead else Page(page.rows[::-1], page.total)

    server = Late(rows=[{"name": name, "at": time_of(name)} for name in range(SPAN)])
    batches = read_windows(source_of(Pool(server, 4)), query_for(5), "at", WINDOW)
    seen: list[Any] = []

    def read() -> None:
        for batch in batches:
            seen.extend(row["name"] for row in batch.rows)

    with pytest.raises(ReadError, match="did not sort"):
        read()
    assert seen == list(range(len(seen)))
    assert len(seen) > SPAN // 2 - 5


def test_an_error_is_raised_after_the_rows_before_it() -> None:
    class Broken(PagedServer):
        @override
        def answer(self, query: Query) -> Page:
            if len(self.asked) == 5:
                raise LookupError("no page")
            return super().answer(query)

    server = Broken(rows=[{"name": name, "at": time_of(name)} for name in range(100)])
    batches = read_windows(source_of(Pool(server, 1)), query_for(10), "at", WINDOW)
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
def test_a_window_is_cut_again_if_it_would_become_too_many(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tap_daktela.paging.window_plan.MAX_WINDOWS", most)
    rows = [{"name": name, "at": time_of(name)} for name in range(SPAN)]
    reading = window_reading(PagedServer(rows=rows), 10)
    assert_sound(reading)
    assert [row["name"] for row in reading.rows] == list(range(SPAN))
    assert max(query.skip for query in reading.pool.server.asked) < (MAX_PAGES + 1) * 10


@pytest.mark.parametrize("more", ["huge", "beyond 64 bits"])
@pytest.mark.promise("T5")
def test_an_impossible_total_takes_no_memory(more: str) -> None:
    rows = [{"name": name, "at": time_of(10 * name)} for name in range(30)]
    window = Window(WINDOW.start, to_text(START + timedelta(days=30 * 365)))
    tracemalloc.start()
    try:
        with pytest.raises(ReadError, match="sends fewer"):
            name_reading(PagedServer(rows=rows, total=more), 10)
        with pytest.raises(ReadError, match="sends fewer"):
            window_reading(PagedServer(rows=rows, total=more), 10, window=window)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
