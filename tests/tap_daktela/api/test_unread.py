from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_daktela.api.query import Query
from tap_daktela.api.room import Room
from tap_daktela.api.unread import Unread

if TYPE_CHECKING:
    import mmap
    from collections.abc import Iterator

GROUPS = Query(endpoint="groups", fields=("name",), sort=("name",), take=2)
LARGE = 3_000_000


def _unread(spare: deque[mmap.mmap], *names: int) -> Unread:
    rows = ", ".join(f'{{"name": {name}}}' for name in names)
    return _answer(spare, f'{{"result": {{"data": [{rows}]}}}}'.encode())


def _answer(spare: deque[mmap.mmap], body: bytes) -> Unread:
    room = Room(spare)
    room.fill([body])
    return Unread(GROUPS, room)


def _names(answer: Unread) -> list[int]:
    assert answer.page is not None
    return [row["name"] for row in answer.page.rows]


@given(st.lists(st.lists(st.binary(max_size=9), max_size=4), max_size=6))
def test_a_room_holds_the_body_that_came_last(bodies: list[list[bytes]]) -> None:
    spare: deque[mmap.mmap] = deque()
    room = Room(spare)
    assert (room.body, room.size) == (b"", 0)
    for parts in bodies:
        room.fill(parts)
        assert (room.body, room.size) == (b"".join(parts), len(b"".join(parts)))
    room.release()
    assert (room.body, room.size) == (b"", 0)


def test_a_room_grows() -> None:
    spare: deque[mmap.mmap] = deque()
    room, parts = Room(spare), [bytes([number]) * (LARGE // 7) for number in range(7)]
    room.fill(parts)
    assert room.body == b"".join(parts)
    room.release()
    again = Room(spare)
    again.fill([b"small"])
    assert (again.body, len(spare)) == (b"small", 0)


def test_a_body_that_broke_off_is_replaced() -> None:
    def parts() -> Iterator[bytes]:
        yield b"the beginning of a long one"
        raise ConnectionError

    room = Room(deque())
    with pytest.raises(ConnectionError):
        room.fill(parts())
    room.fill([b"whole"])
    assert room.body == b"whole"


def test_memory_that_is_used_again_holds_one_answer_at_a_time() -> None:
    spare: deque[mmap.mmap] = deque()
    first, second = _unread(spare, 1), _unread(spare, *range(500))
    assert _names(first) == [1]
    third, fourth = _unread(spare, 3), _unread(spare, *range(700))
    assert _names(second) == [*range(500)]
    fifth = _unread(spare, 5)
    assert [_names(each) for each in (fourth, fifth, third, first)] == [[*range(700)], [5], [3], [1]]


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


def test_a_glance_leaves_the_page_to_be_read() -> None:
    spare: deque[mmap.mmap] = deque()
    answer = _answer(spare, b'{"result": {"data": [{"name": "a", "title": "A"}], "total": 7}}')
    glance = answer.glance(("title",))
    assert glance is not None
    assert ([row["title"] for row in glance.rows], glance.total, len(spare)) == (["A"], 7, 0)
    assert answer.page is not None
    assert [row["name"] for row in answer.page.rows] == ["a"]
    assert answer.glance(("title",)) is answer.page
    assert _answer(spare, b'{"result": {"data": 1}}').glance(("title",)) is None


def test_an_answer_that_is_no_page_keeps_its_body() -> None:
    spare: deque[mmap.mmap] = deque()
    answer = _answer(spare, b'{"result": ')
    assert answer.page is None
    assert (answer.body, len(spare)) == (b'{"result": ', 0)
