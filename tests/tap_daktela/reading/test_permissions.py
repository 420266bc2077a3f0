from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tap_daktela.api.outcome import Action, Outcome, RequestError
from tap_daktela.api.query import Condition
from tap_daktela.reading.permissions import data_warnings, hint_for, missing_items, type_condition
from tap_daktela.records.row_stats import RowStats
from tap_daktela.streams.definitions import STREAMS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_daktela.reading.instance import Instance
    from tests.simulator import Simulator

    Connect = Callable[..., Instance]

BY_NAME = {stream.name: stream for stream in STREAMS}


def _client_error(status: int) -> RequestError:
    return RequestError(Outcome(Action.FAIL, f"answered {status}", status), "GET x.json")


def _stats(orphans: dict[str, int], items: dict[str, int]) -> RowStats:
    stats = RowStats()
    stats.orphans.update(orphans)
    stats.items.update(items)
    return stats


def test_only_a_stream_of_one_type_filters_by_it() -> None:
    assert type_condition(BY_NAME["activities_call"]) == (Condition("type", "eq", "CALL"),)
    assert type_condition(BY_NAME["activities"]) == ()
    assert type_condition(BY_NAME["tickets"]) == ()


def test_a_refused_request_gets_a_hint() -> None:
    assert "lacks the right to read ticketsCategories" in hint_for(
        _client_error(403), BY_NAME["ticket_categories"]
    )
    assert "has no campaignsRecords" in hint_for(_client_error(404), BY_NAME["campaign_records"])
    assert hint_for(_client_error(400), BY_NAME["tickets"]) == ""
    assert hint_for(RequestError(Outcome(Action.RETRY, "x"), "y"), BY_NAME["tickets"]) == ""


# Items.


def test_a_few_orphans_are_no_missing_right_and_cost_no_request(daktela: Simulator, connect: Connect) -> None:
    instance = connect(daktela)
    assert missing_items(BY_NAME["activities"], instance, _stats({"CALL": 3}, {"CALL": 1})) == ""
    assert missing_items(BY_NAME["activities"], instance, _stats({}, {})) == ""
    assert daktela.requests == []


def test_rows_without_their_items_are_orphans_if_the_latest_have_theirs(
    daktela: Simulator, connect: Connect
) -> None:
    assert missing_items(BY_NAME["activities"], connect(daktela), _stats({"CALL": 3}, {})) == ""
    (asked,) = daktela.requests
    assert asked.endpoint == "activities"
    assert asked.query["fields"] == ["name", "item.id_call"]
    assert asked.query["sort"][0] == {"field": "time", "dir": "desc"}


@pytest.mark.parametrize(("stream", "kind"), [("activities", "EMAIL"), ("activities_call", "CALL")])
def test_a_type_none_of_whose_rows_has_its_item_is_a_missing_right(
    daktela: Simulator, connect: Connect, stream: str, kind: str
) -> None:
    daktela.strip_items = {kind}
    message = missing_items(BY_NAME[stream], connect(daktela), _stats({kind: 7}, {}))
    assert f"none of 7 activities of type {kind}" in message
    assert "lacks the right" in message


def test_two_activities_of_a_type_can_be_orphans(daktela: Simulator, connect: Connect) -> None:
    calls = [row for row in daktela.dataset.tables["activities"] if row["type"] == "CALL"]
    for row in calls[2:]:
        daktela.remove("activities", row["name"])
    daktela.strip_items = {"CALL"}
    assert missing_items(BY_NAME["activities"], connect(daktela), _stats({"CALL": 2}, {})) == ""


def test_each_type_is_checked(daktela: Simulator, connect: Connect) -> None:
    daktela.strip_items = {"CHAT"}
    message = missing_items(BY_NAME["activities"], connect(daktela), _stats({"CALL": 1, "CHAT": 2}, {"EMAIL": 5}))
    assert "type CHAT" in message
    count = len(daktela.requests)
    assert count == 2


# Warnings.


def test_each_kind_of_missing_data_is_one_line() -> None:
    stats = RowStats(records=100, keyless=2)
    stats.nameless["queue"] = 90
    stats.mismatches["priority"] = 3
    stats.orphans["CALL"] = 4
    message = list(data_warnings(stats))
    assert [line.split()[0] for line in message] == ["90", "3", "2"]
    assert "90 of 100 records" in message[0]
    assert "queue" in message[0]
    assert "lacks the right" in message[0]
    assert "3 values of priority" in message[1]
    assert "2 rows" in message[2]


def test_complete_data_causes_no_line() -> None:
    assert list(data_warnings(RowStats(records=5))) == []
