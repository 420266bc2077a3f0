"""T4: only selected fields are requested. Selection, stream maps and flattening of the SDK work."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tap_daktela.streams.definitions import STREAMS
from tests.simulator import Simulator, generate
from tests.tap_daktela import original
from tests.tap_daktela.running import run_tap, select, settings


def asked(simulator: Simulator, endpoint: str, kind: str = "") -> set[str]:
    """Return the requested fields of an endpoint, of activities of one type if `kind` is given."""
    return {
        field
        for request in simulator.requests
        if request.endpoint == endpoint and (not kind or kind in request.query_string)
        for field in request.query["fields"]
    }


@pytest.fixture
def simulator() -> Any:
    with Simulator(generate(activities=400, tickets=60, seed=1)) as running:
        yield running


@pytest.mark.promise("T4")
def test_deselected_columns_are_not_requested(simulator: Simulator) -> None:
    kept = {
        "tickets": {"title", "user_name", "customFields"},
        "activities": {"title"},
        "activities_call": {"item_answered", "queue_title"},
        "accounts": set[str](),
    }
    catalog = select(*kept, columns=lambda stream, column: column in kept.get(stream, set()))
    run = run_tap(settings(simulator), catalog=catalog)
    assert run.code == 0, run.log
    # Besides the selected fields: keys, the replication key, and the fields that show orphans.
    assert asked(simulator, "tickets") == {"name", "edited", "title", "user.name", "customFields"}
    assert asked(simulator, "activities", "CALL") == {
        "name",
        "time",
        "item.id_call",
        "item.answered",
        "queue.title",
    }
    assert asked(simulator, "accounts") == {"name"}
    plain = [r for r in simulator.requests if r.endpoint == "activities" and "CALL" not in r.query_string]
    fields = {field for request in plain for field in request.query["fields"]}
    assert fields == {"name", "time", "title", "type", "item.id_call", "item.name"}
    assert {column for record in run.records["activities"] for column in record} == {"name", "time", "title"}
    assert set(run.schemas["tickets"]["schema"]["properties"]) == {"name", "edited", *kept["tickets"]}
    assert set(run.keys("activities_call")) == original.keys(simulator.dataset, "activities_call")


@pytest.mark.promise("T4")
def test_deselected_streams_are_not_requested(simulator: Simulator) -> None:
    run = run_tap(settings(simulator), catalog=select("queues"))
    assert run.code == 0, run.log
    assert {request.endpoint for request in simulator.requests} == {"whoim", "queues"}
    assert list(run.schemas) == ["queues"]


@pytest.mark.promise("T4")
def test_without_a_catalog_the_default_streams_are_read(simulator: Simulator) -> None:
    run = run_tap(settings(simulator))
    assert set(run.schemas) == set(original.DEFAULT)
    assert len(original.DEFAULT) == 11
    assert {stream.name for stream in STREAMS if stream.selected_by_default} == set(original.DEFAULT)


@pytest.mark.promise("T4")
def test_every_list_request_names_its_fields_its_order_and_its_page(simulator: Simulator) -> None:
    run_tap(settings(simulator, page_size=100))
    lists = [request for request in simulator.requests if request.endpoint not in {"whoim", "login"}]
    for request in lists:
        assert request.query["fields"]
        assert request.query["take"] == 100
        assert request.query["sort"], "without a sort the server promises no order"
        assert len(request.target) < 4096
    assert all(request.status == 200 for request in simulator.requests)


@pytest.mark.promise("T4")
def test_requests_are_few(simulator: Simulator) -> None:
    """Each stream needs at most 1.15 times the number of its full pages, and a dozen."""
    run = run_tap(settings(simulator, page_size=20))
    pages = len(run.records["tickets"]) / 20
    assert len([r for r in simulator.requests if r.endpoint == "tickets"]) <= 1.15 * pages + 12
    pages = sum(len(run.records[name]) for name in original.DEFAULT if name.startswith("activities")) / 20
    assert len([r for r in simulator.requests if r.endpoint == "activities"]) <= 1.15 * pages + 4 * 12


def test_extra_fields_become_columns(simulator: Simulator) -> None:
    row = next(row for row in original.rows(simulator.dataset, "tickets"))
    row["customFields"] = {"one": ["x"], "none": [], "two": ["a", "b"]}
    extra = {
        "tickets": [
            "customFields.one",
            "customFields.none",
            "customFields.two",
            "customFields.absent",
            "category.sla.title",
        ],
        "queues": ["options"],
    }
    run = run_tap(settings(simulator, extra_fields=extra))
    assert run.code == 0, run.log
    (record,) = [record for record in run.records["tickets"] if record["name"] == f"acme_{row['name']}"]
    assert record["customFields_one"] == "x"
    assert record["customFields_none"] is None
    assert record["customFields_two"] == '["a","b"]'
    assert record["customFields_absent"] is None
    assert record["category_sla_title"] == row["category"]["sla"]["title"]
    schema = run.schemas["tickets"]["schema"]["properties"]
    assert schema["customFields_one"]["type"] == ["string", "null"]
    options = {f"acme_{queue['name']}": queue["options"] for queue in simulator.dataset.tables["queues"]}
    for record in run.records["queues"]:
        assert (json.loads(record["options"]) if record["options"] else []) == options[record["name"]]


def test_stream_maps_work(simulator: Simulator) -> None:
    maps = {
        "tickets": {
            "name": "name",
            "shout": "title.upper() if title else None",
            "__filter__": "stage == 'OPEN'",
            "__else__": None,
        },
        "accounts": {"__alias__": "companies"},
        "groups": None,
    }
    run = run_tap(settings(simulator, stream_maps=maps))
    assert run.code == 0, run.log
    opened = [row for row in original.rows(simulator.dataset, "tickets") if row["stage"] == "OPEN"]
    assert {record["name"] for record in run.records["tickets"]} == {f"acme_{row['name']}" for row in opened}
    titles = {f"acme_{row['name']}": (row["title"] or "").upper() or None for row in opened}
    assert all((record["shout"] or None) == titles[record["name"]] for record in run.records["tickets"])
    assert set(run.records["tickets"][0]) == {"name", "shout"}
    assert "groups" not in run.schemas
    assert len(run.records["companies"]) == len(simulator.dataset.tables["accounts"])


def test_flattening_works(simulator: Simulator) -> None:
    run = run_tap(settings(simulator, flattening_enabled=True, flattening_max_depth=2))
    assert run.code == 0, run.log
    assert set(run.keys("tickets")) == original.keys(simulator.dataset, "tickets")
