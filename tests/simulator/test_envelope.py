"""The envelope in the variants of different builds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.simulator.asking import by, condition, get, page

if TYPE_CHECKING:
    from tests.simulator.simulator import Simulator


def test_a_list_has_data_total_and_the_time_of_the_instance(simulator: Simulator) -> None:
    assert get(simulator, "pauses", fields=["name"], sort=by("name"), take=2).json() == {
        "error": [],
        "result": {"data": [{"name": "pauses_0"}, {"name": "pauses_1"}], "total": 6},
        "_time": "2026-03-10 12:00:00",
        "_serverTime": "2026-03-10 12:00:00",
        "_timezone": "Europe/Prague",
    }


def test_old_builds_do_not_name_their_zone(simulator: Simulator) -> None:
    simulator.timezone_in_answer = False
    assert set(get(simulator, "pauses").json()) == {"error", "result", "_time"}


def test_whoim_answers_in_the_zone_of_the_user(simulator: Simulator) -> None:
    simulator.user_timezone = "Asia/Tokyo"
    told = {name: get(simulator, name).json() for name in ("whoim", "pauses")}
    assert {name: (each["_time"], each["_timezone"]) for name, each in told.items()} == {
        "whoim": ("2026-03-10 20:00:00", "Asia/Tokyo"),
        "pauses": ("2026-03-10 12:00:00", "Europe/Prague"),
    }


@pytest.mark.parametrize(("spelling", "total"), [("int", 6), ("string", "6"), ("none", None)])
def test_the_total_may_be_a_string_or_null(simulator: Simulator, spelling: str, total: object) -> None:
    simulator.total_as = spelling
    assert page(simulator, "pauses")["total"] == total


@pytest.mark.parametrize(("spelling", "total"), [("page", 2), ("zero", 0), ("negative", -1)])
def test_the_total_may_be_wrong(simulator: Simulator, spelling: str, total: object) -> None:
    simulator.total_as = spelling
    assert page(simulator, "pauses", take=2)["total"] == total


def test_the_total_may_be_limited(simulator: Simulator) -> None:
    simulator.total_limit = 5
    assert [page(simulator, endpoint)["total"] for endpoint in ("pauses", "tickets")] == [5, 5]
    simulator.total_limit = 50
    assert [page(simulator, endpoint)["total"] for endpoint in ("pauses", "tickets")] == [6, 50]


def test_the_total_can_be_switched_off(simulator: Simulator) -> None:
    assert set(page(simulator, "pauses", total="false")) == {"data"}


def test_the_total_counts_what_matches(simulator: Simulator) -> None:
    closed = sum(row["stage"] == "CLOSE" for row in simulator.dataset.tables["tickets"])
    assert page(simulator, "tickets", filter=condition("stage", "eq", "CLOSE"), take=1)["total"] == closed


def test_data_may_be_an_object_by_name(simulator: Simulator) -> None:
    simulator.data_as = "dict"
    assert page(simulator, "queues", fields=["type"], sort=by("name"), take=2)["data"] == {
        "1001": {"type": "in"},
        "1002": {"type": "in"},
    }


def test_an_answer_may_start_with_a_byte_order_mark(simulator: Simulator) -> None:
    simulator.bom = True
    content = get(simulator, "pauses").content
    assert content.startswith(b"\xef\xbb\xbf{")


def test_every_text_arrives_unchanged(simulator: Simulator) -> None:
    title = 'NUL\x00 \u2028 👩‍👩‍👧‍👦 "quoted" \\ שלום'
    simulator.edit("tickets", 10001, title=title)
    found = page(simulator, "tickets", fields=["title"], filter=condition("name", "eq", 10001))["data"]
    assert found == [{"title": title}]
