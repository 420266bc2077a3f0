from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from tap_daktela.api.query import Query
from tap_daktela.api.unread import Unread

if TYPE_CHECKING:
    import mmap

GROUPS = Query(endpoint="groups", fields=("name",), sort=("name",), take=2)


def _unread(spare: deque[mmap.mmap], *names: int) -> Unread:
    rows = ", ".join(f'{{"name": {name}}}' for name in names)
    return Unread(GROUPS, f'{{"result": {{"data": [{rows}]}}}}'.encode(), spare)


def _names(answer: Unread) -> list[int]:
    assert answer.page is not None
    return [row["name"] for row in answer.page.rows]


def test_memory_that_is_used_again_holds_one_answer_at_a_time() -> None:
    spare: deque[mmap.mmap] = deque()
    first, second = _unread(spare, 1), _unread(spare, *range(500))
    assert _names(first) == [1]
    third, fourth = _unread(spare, 3), _unread(spare, *range(700))
    assert _names(second) == [*range(500)]
    fifth = _unread(spare, 5)
    assert [_names(each) for each in (fourth, fifth, third, first)] == [[*range(700)], [5], [3], [1]]
    assert Unread(GROUPS, b"", spare).body == b""


def test_memory_is_used_again() -> None:
    spare: deque[mmap.mmap] = deque()
    answers = [_unread(spare, *range(900)) for _ in range(3)]
    pieces: set[int] = set()
    for _ in range(5):
        assert [_names(each) for each in answers] == [[*range(900)]] * 3
        assert len(spare) == 3
        pieces |= {id(each) for each in spare}
        answers = [_unread(spare, *range(900)) for _ in range(3)]
        assert not spare
    assert len(pieces) == 3


def test_an_answer_that_is_no_page_keeps_its_body() -> None:
    spare: deque[mmap.mmap] = deque()
    answer = Unread(GROUPS, b'{"result": ', spare)
    assert answer.page is None
    assert (answer.body, len(spare)) == (b'{"result": ', 0)
