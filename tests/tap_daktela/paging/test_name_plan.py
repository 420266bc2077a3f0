"""Lists that are read by name: they are complete, or reading fails with a ReadError."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from tap_daktela.paging.pages import read_by_name
from tap_daktela.paging.plan import ReadError
from tests.tap_daktela.paged_server import (
    CONCURRENCIES,
    CORRECTABLE_TOTALS,
    LIKELY,
    RARELY,
    SEEDS,
    TAKES,
    TOTALS,
    PagedServer,
    Pool,
    caps,
    may_fail_on_tiny_pages,
    name_reading,
    query_for,
    some_rows,
    source_of,
    time_of,
    twice,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from tests.tap_daktela.paged_server import Row


@given(some_rows(), TAKES, CONCURRENCIES, SEEDS, st.sampled_from(CORRECTABLE_TOTALS))
def test_an_unchanged_list_is_read_once_and_in_order(
    rows: list[Row], take: int, concurrency: int, seed: int, total: str
) -> None:
    reading = name_reading(PagedServer(seed, rows, total=total), take, concurrency)
    assert [row["name"] for row in reading.rows] == list(range(len(rows)))
    assert reading.pool.most_held <= reading.pool.max_outstanding + 1
    assert reading.pool.outstanding == 0
    stride = max(1, max(take, 2) - 2)
    assert reading.pool.requests <= len(rows) // stride + 4


@given(some_rows(), st.integers(2, 60), CONCURRENCIES, SEEDS, caps(), st.sampled_from(CORRECTABLE_TOTALS))
@pytest.mark.promise("T1")
def test_a_list_is_complete_for_all_page_limits_and_totals(  # noqa: PLR0917 - the settings of a server
    rows: list[Row], take: int, concurrency: int, seed: int, cap: Callable[[int, Random], int], total: str
) -> None:
    reading = name_reading(PagedServer(seed, rows, total=total, cap=cap), take, concurrency)
    assert [row["name"] for row in reading.rows] == list(range(len(rows)))
    assert reading.pool.most_held <= reading.pool.max_outstanding + 1
    assert reading.pool.outstanding == 0


@given(some_rows(), st.integers(2, 60), SEEDS, caps(least=1), st.sampled_from(list(TOTALS)))
@pytest.mark.promise("T1")
def test_a_list_of_any_server_is_read_completely_or_fails(
    rows: list[Row], take: int, seed: int, cap: Callable[[int, Random], int], total: str
) -> None:
    server = PagedServer(seed, rows, total=total, cap=cap)
    with suppress(ReadError):
        assert name_reading(server, take).names == server.still


@given(some_rows(), st.integers(10, 40), SEEDS, caps(least=10), st.sampled_from(CORRECTABLE_TOTALS), RARELY)
@pytest.mark.promise("T1")
def test_unchanged_rows_are_read_while_others_move_and_pages_are_truncated(  # noqa: PLR0917 - the settings of a server
    rows: list[Row], take: int, seed: int, cap: Callable[[int, Random], int], total: str, moving: float
) -> None:
    server = PagedServer(seed, rows, total=total, cap=cap, delete=moving, insert=moving / 2)
    assert server.still <= name_reading(server, take).names


@given(some_rows(most=300), st.integers(20, 60), CONCURRENCIES, SEEDS, st.integers(3, 15))
@pytest.mark.promise("T1")
def test_pages_that_are_too_large_for_the_server_are_read_in_smaller_ones(
    rows: list[Row], take: int, concurrency: int, seed: int, most: int
) -> None:
    server = PagedServer(seed, rows, answers_at_most=most)
    reading = name_reading(server, take, concurrency)
    assert [row["name"] for row in reading.rows] == list(range(len(rows)))
    assert reading.pool.outstanding == 0


@given(some_rows(), st.integers(2, 40), CONCURRENCIES, SEEDS, st.tuples(LIKELY, LIKELY))
def test_unchanged_rows_of_a_list_are_read_while_others_move(
    rows: list[Row], take: int, concurrency: int, seed: int, moves: tuple[float, float]
) -> None:
    insert, delete = moves
    server = PagedServer(seed, rows, insert=insert, delete=delete)
    with may_fail_on_tiny_pages(take):
        reading = name_reading(server, take, concurrency)
        assert server.still <= reading.names
        assert reading.pool.most_held <= reading.pool.max_outstanding + 1
        assert reading.pool.outstanding == 0


@given(some_rows(), st.integers(2, 40), SEEDS, LIKELY)
def test_a_changing_list_is_complete_without_totals(rows: list[Row], take: int, seed: int, moving: float) -> None:
    server = PagedServer(seed, rows, total="none", delete=moving, insert=moving / 2)
    with may_fail_on_tiny_pages(take):
        assert server.still <= name_reading(server, take).names


@given(st.integers(1, 60), st.integers(10, 40), SEEDS, CONCURRENCIES)
@pytest.mark.promise("T1")
def test_names_that_are_equal_to_the_server_may_be_in_any_order(
    count: int, take: int, seed: int, concurrency: int
) -> None:
    names = [
        spelling for number in range(count) for spelling in (f"a{number:03}", f"A{number:03}", f"a{number:03} ")
    ]
    rows: list[Row] = [{"name": name, "at": time_of(0)} for name in names]
    server = PagedServer(seed, rows, folds_case=True)
    # Small pages overlap by two rows, which is less than three equal names. Pages of 120 rows overlap by three.
    reading = name_reading(server, take if len(names) <= take else 120, concurrency)
    assert reading.names == set(names)
    assert twice(reading.rows) == []


@pytest.mark.parametrize(
    ("count", "total"),
    # Without a total, a list of less than two pages may end before its order is checked.
    [(60, "right"), *((count, total) for count in (150, 1000) for total in ("right", "none", "of the page"))],
)
@pytest.mark.promise("T1")
def test_a_list_in_no_order_fails(count: int, total: str) -> None:
    failed = 0
    for seed in range(20):
        rows: list[Row] = [{"name": name, "at": time_of(0)} for name in range(count)]
        server = PagedServer(seed, rows, total=total, ignores=frozenset({"sort"}))
        try:
            assert name_reading(server, 40).names == server.still
        except ReadError:
            failed += 1
    assert failed >= 19


@pytest.mark.parametrize("total", ["right", "none", "of the page"])
@pytest.mark.parametrize("count", [20, 100])
@pytest.mark.promise("T1")
def test_a_server_that_ignores_offsets_fails(count: int, total: str) -> None:
    rows: list[Row] = [{"name": name, "at": time_of(0)} for name in range(count)]
    with pytest.raises(ReadError, match="ignores skip"):
        name_reading(PagedServer(0, rows, total=total, ignores=frozenset({"skip"})), 20)


@pytest.mark.parametrize("total", ["right", "none", "of the page"])
def test_a_server_that_ignores_take_is_read(total: str) -> None:
    rows: list[Row] = [{"name": name, "at": time_of(0)} for name in range(100)]
    server = PagedServer(0, rows, total=total, ignores=frozenset({"take"}))
    assert [row["name"] for row in name_reading(server, 20).rows] == list(range(100))


@pytest.mark.parametrize("take", [10, 60])
def test_duplicate_rows_in_a_page_lose_no_others(take: int) -> None:
    rows: list[Row] = [{"name": name // 2, "at": time_of(0)} for name in range(100)]
    assert name_reading(PagedServer(0, rows), take).names == set(range(50))


@given(some_rows(), TAKES, SEEDS, st.sampled_from(["too large", "huge", "beyond 64 bits"]))
def test_a_list_with_fewer_rows_than_the_server_counts_fails(
    rows: list[Row], take: int, seed: int, total: str
) -> None:
    server = PagedServer(seed, rows, total=total)
    pages = read_by_name(source_of(Pool(server, 2)), query_for(take))
    names: set[Any] = set()

    def read() -> None:
        for batch in pages:
            names.update(row["name"] for row in batch.rows)

    with pytest.raises(ReadError, match="counts"):
        read()
    assert names == server.still


def test_a_row_that_is_inserted_among_read_rows_is_read_in_the_next_pass() -> None:
    class Late(PagedServer):
        @override
        def move(self) -> None:
            if len(self.asked) == 2:
                self.rows.append({"name": -1, "at": time_of(0)})

    server = Late(rows=[{"name": name, "at": time_of(name)} for name in range(30)])
    reading = name_reading(server, 10, concurrency=1)
    assert reading.names == set(range(-1, 30))


def test_an_empty_list_costs_one_request() -> None:
    reading = name_reading(PagedServer(), 10)
    assert (reading.rows, reading.pool.requests) == ([], 1)


@pytest.mark.parametrize("total", ["right", "none", "of the page"])
@pytest.mark.parametrize("count", [1, 2, 3, 9, 10])
def test_a_list_that_fits_a_page_costs_one_further_request(count: int, total: str) -> None:
    rows: list[Row] = [{"name": name, "at": time_of(name)} for name in range(count)]
    assert name_reading(PagedServer(rows=rows, total=total), 10).pool.requests == 2


def test_a_page_size_of_one_is_read_in_pages_of_two_which_can_overlap() -> None:
    server = PagedServer(rows=[{"name": name, "at": time_of(name)} for name in range(5)])
    assert len(name_reading(server, 1).rows) == 5
    assert {query.take for query in server.asked} == {2}
