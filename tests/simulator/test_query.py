"""The grammar of the query string, and what is refused with 400."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import requests

from tests.simulator.asking import TIMEOUT, by, condition, get, names, page, rows
from tests.simulator.query import parse_brackets

if TYPE_CHECKING:
    from tests.simulator.simulator import Simulator


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("", {}),
        ("a=1&b=2", {"a": "1", "b": "2"}),
        ("a=1&a=2", {"a": "2"}),
        ("a", {"a": ""}),
        ("a[0]=x&a[1]=y", {"a": {"0": "x", "1": "y"}}),
        ("a[]=x&a[]=y", {"a": {"0": "x", "1": "y"}}),
        ("a%5B0%5D%5Bfield%5D=x+y%2Bz", {"a": {"0": {"field": "x y+z"}}}),
        ("a[b][c][d]=1", {"a": {"b": {"c": {"d": "1"}}}}),
        ("a=1&a[b]=2", {"a": {"b": "2"}}),
        ("[a]=1", {}),
    ],
)
def test_brackets_are_read_as_php_reads_them(text: str, parsed: dict[str, object]) -> None:
    assert parse_brackets(text) == parsed


def raw(simulator: Simulator, query: str) -> requests.Response:
    headers = {"X-AUTH-TOKEN": simulator.access_token}
    return requests.get(f"{simulator.url}/api/v6/tickets.json?{query}", headers=headers, timeout=TIMEOUT)


def test_brackets_may_be_raw_or_encoded(reading: Simulator) -> None:
    plain = raw(reading, "fields[0]=name&sort[0][field]=name&sort[0][dir]=asc&take=3")
    encoded = raw(reading, "fields%5B0%5D=name&sort%5B0%5D%5Bfield%5D=name&sort%5B0%5D%5Bdir%5D=asc&take=3")
    assert plain.json() == encoded.json()
    assert plain.json()["result"]["data"] == [{"name": 10001}, {"name": 10002}, {"name": 10003}]


@pytest.mark.parametrize(
    "query",
    [
        "filter[0][field]=stage&filter[0][operator]=ne&filter[0][value]=OPEN",
        "filter[0][field]=stage&filter[0][operator]=between&filter[0][value]=OPEN",
        "filter[0][field]=stage&filter[0][operator]=eq",
        "filter[0][field]=stage&filter[0][value]=OPEN",
        "filter[0][operator]=eq&filter[0][value]=OPEN",
        "filter[0][field]=stage&filter[0][operator]=in&filter[0][value]=",
        "filter[0][field]=stage&filter[0][operator]=like&filter[0][value][0]=OPEN",
        "filter[0][field]=stage&filter[0][operator]=eq&filter[0][value]=OPEN&filter[0][nonsense]=1",
        "filter[or][0][field]=stage&filter[or][0][operator]=eq&filter[or][0][value]=OPEN",
        "filter[0][or][0][field]=stage&filter[0][or][0][operator]=eq&filter[0][or][0][value]=OPEN",
        "filter[logic]=xor&filter[filters][0][field]=stage&filter[filters][0][operator]=isnull",
        "filter[logic]=or&filter[filters]=stage",
        "filter=stage",
        "filter=edited[gte]=2026-01-01",
        "filter[0][field]=nonsense&filter[0][operator]=eq&filter[0][value]=1",
        "filter[0][field]=user.nonsense&filter[0][operator]=eq&filter[0][value]=1",
        "filter[0][field]=customFields&filter[0][operator]=eq&filter[0][value]=1",
        "filter[0][field]=customFields&filter[0][operator]=like&filter[0][value]=1",
        "filter[0][field]=statuses&filter[0][operator]=eq&filter[0][value]=1",
        "sort=name",
        "sort[field]=name&sort[dir]=asc",
        "sort[0][field]=name&sort[0][dir]=up",
        "sort[0][field]=nonsense&sort[0][dir]=asc",
        "take=many",
        "take=-1",
        "skip=-1",
        "skip=1.5",
        "take[0]=1",
        "fields[a]=name",
        "fields[0][1]=name",
    ],
)
def test_malformed_queries_are_refused(reading: Simulator, query: str) -> None:
    response = raw(reading, query)
    assert response.status_code == 400
    content = response.json()
    assert content["result"] is None
    assert content["error"][0]


def test_more_than_a_thousand_rows_are_refused_with_the_message_of_the_server(reading: Simulator) -> None:
    assert get(reading, "tickets", take=1000).status_code == 200
    response = get(reading, "tickets", take=1001)
    assert response.status_code == 400
    assert response.json()["error"] == ["Max defined take is 1000"]
    assert response.json()["result"] is None


def test_a_hundred_rows_are_returned_by_default(reading: Simulator) -> None:
    assert len(page(reading, "activities", fields=["name"])["data"]) == 100


def test_skip_and_take_cut_a_page_and_total_counts_all(reading: Simulator) -> None:
    whole = names(reading, "tickets", sort=by("name"))
    assert whole == list(range(10001, 10081))
    part = page(reading, "tickets", fields=["name"], sort=by("name"), skip=70, take=20)
    assert [row["name"] for row in part["data"]] == whole[70:]
    assert part["total"] == 80
    assert page(reading, "tickets", skip=200, take=5)["data"] == []
    assert page(reading, "tickets", take=0)["data"] == []


def test_a_page_may_be_shorter_than_asked_for(simulator: Simulator) -> None:
    whole = names(simulator, "tickets", sort=by("name"))
    simulator.page_cap = 10
    short = page(simulator, "tickets", fields=["name"], sort=by("name"), skip=5, take=20)
    assert [row["name"] for row in short["data"]] == whole[5:15]
    assert short["total"] == 80
    assert names(simulator, "tickets", sort=by("name"), take=3) == whole[:3]


def test_parts_of_a_query_may_be_ignored(simulator: Simulator) -> None:
    whole = names(simulator, "tickets", sort=by("name"))
    times = sorted(row["edited"] for row in simulator.dataset.tables["tickets"])
    middle = [condition("edited", "gte", times[20]), condition("edited", "lt", times[60])]

    def ask(ignored: set[str]) -> list[int]:
        simulator.ignored = ignored
        return names(simulator, "tickets", filter=middle, sort=by("name"), skip=5, take=10)

    right = ask(set())
    assert (len(right), len(ask({"take"}))) == (10, 35)
    assert ask({"skip"})[5:] == right[:5]
    assert ask({"sort"}) != ask({"sort"})
    assert ask({"gte", "lt"}) == whole[5:15]
    assert len({tuple(ask(set(operators))) for operators in ((), ("gte",), ("lt",), ("gte", "lt"))}) == 4


def test_a_single_filter_needs_no_index(reading: Simulator) -> None:
    wanted = condition("stage", "eq", "OPEN")
    assert names(reading, "tickets", filter=wanted, sort=by("name")) == names(
        reading, "tickets", filter=[wanted], sort=by("name")
    )


def test_a_list_of_filters_is_joined_by_and(reading: Simulator) -> None:
    both = rows(reading, "tickets", filter=[condition("stage", "eq", "CLOSE"), condition("priority", "eq", "LOW")])
    assert both
    assert {(row["stage"], row["priority"]) for row in both} == {("CLOSE", "LOW")}


def test_groups_nest(reading: Simulator) -> None:
    inner = {"logic": "and", "filters": [condition("stage", "eq", "CLOSE"), condition("priority", "eq", "LOW")]}
    group = {"logic": "or", "filters": [condition("stage", "eq", "ARCHIVE"), inner]}
    expected = {
        row["name"]
        for row in reading.dataset.tables["tickets"]
        if row["stage"] == "ARCHIVE" or (row["stage"] == "CLOSE" and row["priority"] == "LOW")
    }
    assert expected
    assert set(names(reading, "tickets", filter=group)) == expected
    assert set(names(reading, "tickets", filter=[group])) == expected
    among = names(reading, "tickets", filter=[condition("name", "gt", 10040), group])
    assert set(among) == {name for name in expected if name > 10040}


def test_an_array_is_any_of_its_values(reading: Simulator) -> None:
    wanted = ["CALL", "EMAIL"]
    for operator in ("in", "eq"):
        found = rows(reading, "activities", fields=["type"], filter=[condition("type", operator, wanted)])
        assert {row["type"] for row in found} == set(wanted)
    others = rows(reading, "activities", fields=["type"], filter=[condition("type", "notin", wanted)])
    assert len(others) > 10
    assert not {row["type"] for row in others} & set(wanted)


def test_extras_of_a_filter_are_accepted(reading: Simulator) -> None:
    wanted = condition("stage", "eq", "OPEN") | {"ignoreCase": "true", "type": "string"}
    assert rows(reading, "tickets", filter=[wanted])


def test_the_log_contains_the_decoded_query(reading: Simulator) -> None:
    group = {
        "logic": "or",
        "filters": [condition("time_close", "gte", "2026-03-01"), condition("action", "isnull")],
    }
    get(reading, "activities", fields=["name", "queue.name"], filter=[group], sort=by("time", "name"), take=7)
    assert reading.requests[-1].query == {
        "fields": ["name", "queue.name"],
        "filters": [
            {
                "logic": "or",
                "filters": [
                    {"field": "time_close", "operator": "gte", "value": "2026-03-01"},
                    {"field": "action", "operator": "isnull", "value": ""},
                ],
            }
        ],
        "sort": [{"field": "time", "dir": "asc"}, {"field": "name", "dir": "asc"}],
        "skip": None,
        "take": 7,
    }
