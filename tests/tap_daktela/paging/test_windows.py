from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_daktela.api.local_time import from_text, to_text
from tap_daktela.paging.windows import Window, cut

_WALL = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)).map(to_text)  # noqa: DTZ001 - wall time


@given(_WALL, st.one_of(st.integers(1, 5), st.integers(1, 10**8)), st.integers(-1, 40))
def test_a_window_is_cut_without_gap_or_overlap_into_parts_of_about_equal_length(
    start: str, seconds: int, parts: int
) -> None:
    window = Window(start, to_text(from_text(start) + timedelta(seconds=seconds)))
    pieces = cut(window, parts)
    assert len(pieces) == max(1, min(parts, seconds))
    assert (pieces[0].start, pieces[-1].end) == (window.start, window.end)
    assert all(one.end == other.start for one, other in pairwise(pieces))
    lengths = [(from_text(piece.end) - from_text(str(piece.start))) // timedelta(seconds=1) for piece in pieces]
    assert min(lengths) >= 1
    assert max(lengths) - min(lengths) <= 1


def test_a_window_without_a_start_cannot_be_cut() -> None:
    with pytest.raises(ValueError, match="without a start"):
        cut(Window(None, "2026-03-10 12:00:00"), 2)
