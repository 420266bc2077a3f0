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


def _classify_client_error(status: int) -> RequestError:
    return RequestError(Outcome(Action.FAIL, f"answered {status}", status), "GET x.json")


def _tally(orphans: dict[str, int], items: dict[str, int]) -> RowStats:
    stats = RowStats()
    stats.orphans.update(orphans)
    stats.items.update(items)
    return stats


def test_only_a_stream_of_one_type_filters_by_it() -> None:
    assert type_condition(BY_NAME["activities_call"]) == (Condition("type", "eq", "CALL"),)
    assert type_condition(BY_NAME["activities"]) == ()
    assert type_condition(BY_NAME["tickets"]) == ()


def test_a_refusal_is_followed_by_what_to_do_about_it() -> None:
    assert "lacks the right to read ticketsCategories" in hint_for(
        _classify_client_error(403), BY_NAME["ticket_categories"]
    )
    assert "has no campaignsRecords" in hint_for(_classify_client_error(404), BY_NAME["campaign_records"])
    assert hint_for(_classify_client_error(400), BY_NAME["tickets"]) == ""
    assert hint_for(RequestError(Outcome(Action.RETRY, "x"), "y"), BY_NAME["tickets"]) == ""


# Items.


def test_a_few_orphans_are_no_missing_right_and_cost_no_request(daktela: Simulator, connect: Connect) -> None:
    instance = connect(daktela)
    assert missing_items(BY_NAME["activities"], instance, _tally({"CALL": 3}, {"CALL": 1})) == ""
    assert missing_items(BY_NAME["activities"], instance, _tally({}, {})) == ""
    assert daktela.requests == []


def test_rows_without_their_items_are_orphans_if_the_latest_have_theirs(
    daktela: Simulator, connect: Connect
) -> None:
    assert missing_items(BY_NAME["activities"], connect(daktela), _tally({"CALL": 3}, {})) == ""
    (asked,) = daktela.requests
    assert asked.endpoint == "activities"
    assert asked.query["fields"] == ["name", "item.id_call"]
    assert asked.query["sort"][0] == {"field": "time", "dir": "desc"}


@pytest.mark.parametrize(("stream", "kind"), [("activities", "EMAIL"), ("activities_call", "CALL")])
def test_a_type_none_of_whose_rows_has_its_item_is_a_missing_right(
    daktela: Simulator, connect: Connect, stream: str, kind: str
) -> None:
    daktela.strip_items = {kind}
    told = missing_items(BY_NAME[stream], connect(daktela), _tally({kind: 7}, {}))
    assert f"none of 7 activities of type {kind}" in told
    assert "lacks the right" in told


def test_a_type_of_which_there_are_two_may_well_be_orphans(daktela: Simulator, connect: Connect) -> None:
    calls = [row for row in daktela.dataset.tables["activities"] if row["type"] == "CALL"]
    for row in calls[2:]:
        daktela.remove("activities", row["name"])
    daktela.strip_items = {"CALL"}
    assert missing_items(BY_NAME["activities"], connect(daktela), _tally({"CALL": 2}, {})) == ""


def test_each_type_is_looked_at(daktela: Simulator, connect: Connect) -> None:
    daktela.strip_items = {"CHAT"}
    told = missing_items(BY_NAME["activities"], connect(daktela), _tally({"CALL": 1, "CHAT": 2}, {"EMAIL": 5}))
    assert "type CHAT" in told
    count = len(daktela.requests)
    assert count == 2


# Remarks.


def test_what_was_lost_is_told_in_plain_words() -> None:
    stats = RowStats(records=100, keyless=2)
    stats.nameless["queue"] = 90
    stats.mismatches["priority"] = 3
    stats.orphans["CALL"] = 4
    told = list(data_warnings(stats))
    assert [line.split()[0] for line in told] == ["90", "3", "2"]
    assert "90 of 100 records" in told[0]
    assert "queue" in told[0]
    assert "lacks the right" in told[0]
    assert "3 values of priority" in told[1]
    assert "2 rows" in told[2]


def test_nothing_is_told_where_nothing_was_lost() -> None:
    assert list(data_warnings(RowStats(records=5))) == []
