"""The length of pages, and the offsets of pages that are requested ahead."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_daktela.api.envelope import Page
from tap_daktela.api.query import Query
from tap_daktela.paging.plan import PageLimit, ReadError, Reply, Request, keys_of, later_offsets, overlap_of

QUERY = Query(endpoint="tickets", fields=("name",), sort=("edited", "name"), take=100)


def reply(rows: int, total: int | None, skip: int = 0) -> Reply:
    query = Query(endpoint="tickets", fields=("name",), sort=("name",), take=100, skip=skip)
    return Reply(Request(query), Page([{"name": number} for number in range(rows)], total))


@given(st.integers(3, 1000), st.integers(0, 5000))
def test_pages_requested_ahead_cover_all_rows_and_overlap(length: int, total: int) -> None:
    offsets = [0, *later_offsets(length, total)]
    assert offsets[-1] + length >= total
    for earlier, later in pairwise(offsets):
        assert 0 < later - earlier == length - overlap_of(length) <= length - 2
        assert earlier + length < total


@pytest.mark.parametrize(
    ("answer", "is_last", "is_short", "claims_more", "total"),
    [
        (reply(100, 250), False, False, True, 250),
        (reply(50, 250, skip=200), True, False, False, 250),
        (reply(50, 50), False, True, False, 50),
        (reply(50, 250), False, True, True, 250),
        (reply(100, 30), False, False, False, None),
        (reply(100, None), False, False, False, None),
    ],
)
def test_a_total_counts_unless_the_page_contradicts_it(
    answer: Reply, total: int | None, *, is_last: bool, is_short: bool, claims_more: bool
) -> None:
    found = (answer.is_last, answer.is_short, answer.claims_more, answer.total)
    assert found == (is_last, is_short, claims_more, total)


def test_a_page_may_be_truncated_if_it_is_as_long_as_a_truncated_page() -> None:
    limit = PageLimit()
    limit.note(reply(100, 300))
    assert limit.may_be_truncated(reply(100, 300))
    assert not limit.may_be_truncated(reply(60, 300))
    limit.note_truncated(50)
    assert limit.may_be_truncated(reply(60, 300))
    assert not limit.may_be_truncated(reply(40, 300))


def test_totals_are_right_if_one_agrees_with_a_later_page() -> None:
    limit = PageLimit()
    limit.note(reply(50, 50))
    assert not limit.has_right_totals
    limit.note(reply(50, 150, skip=100))
    assert limit.has_right_totals


def test_rows_are_identified_by_the_last_sort_key() -> None:
    rows = [{"edited": "a", "name": 1}, {"edited": "b", "name": "x"}]
    assert keys_of(rows, QUERY) == [1, "x"]
    with pytest.raises(ReadError, match="an object as name"):
        keys_of([{"name": {}}], QUERY)
