"""The check of one stream: its number of rows, its notes and its requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tap_daktela.connection_test.stream_check import StreamCheck
from tap_daktela.reading.stream_reader import StreamError
from tap_daktela.streams.definitions import STREAMS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_daktela.reading.instance import Instance
    from tap_daktela.streams.fields import Stream
    from tests.simulator import Simulator

    Connect = Callable[..., Instance]

BY_NAME = {stream.name: stream for stream in STREAMS}


@pytest.mark.parametrize("stream", STREAMS, ids=list(BY_NAME))
def test_a_stream_check_reads_one_page_and_returns_the_number_of_rows(
    daktela: Simulator, connect: Connect, stream: Stream
) -> None:
    result = StreamCheck(stream, connect(daktela)).run()
    rows = daktela.dataset.tables[stream.endpoint]
    count = len([row for row in rows if not stream.activity_type or row["type"] == stream.activity_type])
    assert result == f"{count} rows"
    # The total of a list that fits a page may count that page only.
    pages = 1 if count > 100 else 2
    assert [request.endpoint for request in daktela.requests] == ["whoim", *[stream.endpoint] * pages]


@pytest.mark.parametrize(
    ("total", "cap", "result"),
    [
        ("int", None, "60 rows"),
        ("none", None, "60 rows"),
        ("page", None, "60 rows"),
        ("int", 20, "60 rows"),
        ("none", 20, "more than 20 rows"),
        ("page", 20, "more than 20 rows"),
        ("zero", 20, "more than 20 rows"),
    ],
)
@pytest.mark.promise("T1")
def test_a_stream_check_does_not_count_only_the_rows_of_a_page(
    daktela: Simulator, connect: Connect, total: str, cap: int | None, result: str
) -> None:
    daktela.total_as, daktela.page_cap = total, cap
    assert StreamCheck(BY_NAME["tickets"], connect(daktela)).run() == result


def test_a_stream_check_of_an_empty_stream_reads_one_page(daktela: Simulator, connect: Connect) -> None:
    daktela.dataset.tables["tickets"].clear()
    daktela.refresh()
    assert StreamCheck(BY_NAME["tickets"], connect(daktela)).run() == "0 rows"
    assert [request.endpoint for request in daktela.requests] == ["whoim", "tickets"]


def test_a_stream_check_notes_refused_fields_and_omits_them(daktela: Simulator, connect: Connect) -> None:
    daktela.unknown_fields = "refuse"
    check = StreamCheck(BY_NAME["queues"], connect(daktela))
    assert check.run() == f"{len(daktela.dataset.tables['queues'])} rows"
    (note,) = check.drift()
    assert note.startswith("this instance refuses fields")
    assert note.endswith(": deleted, usersCount")


def test_a_stream_check_names_missing_permissions(daktela: Simulator, connect: Connect) -> None:
    daktela.forbidden, daktela.strip_items, daktela.strip_relations = {"groups"}, {"CALL"}, {"category"}
    instance = connect(daktela)

    def check(name: str) -> str:
        return StreamCheck(BY_NAME[name], instance).run()

    with pytest.raises(StreamError, match="lacks the right to read groups"):
        check("groups")
    with pytest.raises(StreamError, match="type CALL"):
        check("activities_call")
    assert "category" in check("tickets")
