"""The fields that a stream requests: only refused fields are left out, and a warning names those of the user."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tap_daktela.api.outcome import Action, Outcome, RequestError
from tap_daktela.reading.requested_fields import RequestedFields
from tap_daktela.streams.definitions import STREAMS
from tests.simulator import Fault, Simulator, generate
from tests.tap_daktela import original
from tests.tap_daktela.running import run_command, run_tap, settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tap_daktela.reading.instance import Instance
    from tests.simulator import Dataset
    from tests.simulator.exchange import Request
    from tests.tap_daktela.running import Run

    Connect = Callable[..., Instance]

BY_NAME = {stream.name: stream for stream in STREAMS}


def list_requests(simulator: Simulator, endpoint: str) -> list[Request]:
    """Return the list requests that name fields."""
    found = [request for request in simulator.requests if request.endpoint == endpoint]
    return [request for request in found if request.query.get("fields")]


def test_150_custom_fields_are_read_and_the_urls_stay_short() -> None:
    dataset = generate(activities=40, tickets=30, seed=3)
    names = [f"field_number_{number}" for number in range(150)]
    records = [row["record"] for row in dataset.tables["activities"] if row["record"]]
    for row in (*dataset.tables["tickets"], *records):
        row["customFields"] = {name: [f"{row['name']}:{name}"] for name in names}
    extra = {
        "tickets": [f"customFields.{name}" for name in names],
        "activities": [f"record.customFields.{name}" for name in names],
    }
    with Simulator(dataset, url_limit=4096) as simulator:
        run = run_tap(settings(simulator, extra_fields=extra))
    assert run.code == 0, run.log
    assert not run.warnings
    for record in run.records["tickets"]:
        key = record["name"].removeprefix("acme_")
        assert [record[f"customFields_{name}"] for name in names] == [f"{key}:{name}" for name in names]
    filled = [record for record in run.records["activities"] if record["record_customFields_field_number_149"]]
    assert len(records) == len(filled) > 0
    assert {request.status for request in simulator.requests} == {200}
    for request in list_requests(simulator, "tickets"):
        assert "customFields" in request.query["fields"]
        assert not [field for field in request.query["fields"] if field.startswith("customFields.")]


@pytest.mark.promise("T4")
def test_a_few_custom_fields_are_requested_one_by_one() -> None:
    with Simulator(generate(activities=40, tickets=30, seed=3)) as simulator:
        extra = {"activities": ["record.customFields.outcome"]}
        run_tap(settings(simulator, extra_fields=extra))
    fields = {field for request in list_requests(simulator, "activities") for field in request.query["fields"]}
    assert "record.customFields.outcome" in fields
    assert "record.customFields" not in fields


def test_a_refused_field_of_the_user_is_named_and_all_others_are_read() -> None:
    dataset = generate(activities=40, tickets=60, seed=3)
    extra = {"tickets": ["category.status_required", "user.emial", "user.email"]}
    with Simulator(dataset, refused_fields={"user.emial"}) as simulator:
        run = run_tap(settings(simulator, extra_fields=extra))
        requests = [request for request in simulator.requests if request.endpoint == "tickets"]
    assert run.code == 0, run.log
    assert run.warnings == [
        (
            "tickets (acme): extra_fields: the server refuses user.emial (did you mean user.email?); check the "
            "spelling, or remove what it refuses"
        )
    ]
    rows = {f"acme_{row['name']}": row for row in original.rows(dataset, "tickets")}
    assert {record["name"] for record in run.records["tickets"]} == rows.keys()
    for record in run.records["tickets"]:
        user = rows[record["name"]]["user"]
        assert record["user_emial"] is None
        assert record["user_email"] == (user and user["email"])
    assert len(requests) < 16


def test_only_the_refused_fields_of_older_builds_are_left_out() -> None:
    dataset = generate(activities=40, tickets=60, seed=3, build="2021")
    with Simulator(dataset, refused_fields={"satisfaction", "survey_offered"}) as simulator:
        run = run_tap(settings(simulator))
    assert run.code == 0, run.log
    assert run.warnings == [
        (
            "tickets (acme): this instance refuses fields that its build does not have; these columns stay null: "
            "survey_offered, satisfaction"
        )
    ]
    rows = {f"acme_{row['name']}": bool(row["isBookmarked"]) for row in original.rows(dataset, "tickets")}
    assert {record["name"]: record["isBookmarked"] for record in run.records["tickets"]} == rows
    assert [record["satisfaction"] for record in run.records["tickets"]] == [None] * len(run.records["tickets"])


@pytest.mark.parametrize("kind", ["url_limit", "field_limit"])
def test_a_server_that_limits_requests_gets_as_many_fields_as_it_takes(kind: str) -> None:
    dataset = generate(activities=40, tickets=60, seed=3)
    # None of these exists, so that the columns tell nothing; what was asked for does.
    fields = [f"category.a_rather_long_name_{number}" for number in range(40)]
    with Simulator(dataset) as simulator:
        setattr(simulator, kind, {"url_limit": 2600, "field_limit": 70}[kind])
        run = run_tap(settings(simulator, extra_fields={"tickets": fields}))
        last = list_requests(simulator, "tickets")[-1]
    assert run.code == 0, run.log
    assert last.status == 200
    [line] = [
        line for line in run.warnings if line.startswith("tickets (acme): extra_fields: the server refuses ")
    ]
    refused = set(re.findall(r"category[.]\w+", line))
    assert refused == set(fields) - set(last.query["fields"])
    assert 3 < len(refused) < 38
    assert {f"acme_{row['name']}" for row in original.rows(dataset, "tickets")} == {
        record["name"] for record in run.records["tickets"]
    }


def test_a_server_that_takes_shorter_urls_than_assumed_gets_whole_custom_fields_first() -> None:
    dataset = generate(activities=40, tickets=60, seed=3)
    fields = [f"record.customFields.name{number}" for number in range(25)]
    with Simulator(dataset, url_limit=2100) as simulator:
        run = run_tap(settings(simulator, extra_fields={"activities": fields}, user_agent="x"))
    assert run.code == 0, run.log
    assert not [line for line in run.warnings if "refuses" in line]
    whole = [
        request
        for request in list_requests(simulator, "activities")
        if "record.customFields" in request.query["fields"]
    ]
    assert whole
    assert all(request.status == 200 for request in whole)


def test_a_url_that_is_too_long_without_optional_fields_is_one_line() -> None:
    with Simulator(generate(activities=40, tickets=60, seed=3), url_limit=700) as simulator:
        run = run_tap(settings(simulator))
    assert run.code == 1
    [line] = [line for line in run.errors[:-1] if line.startswith("tickets ")]
    assert "answered 414" in line
    assert line.endswith("; the request names too many fields: deselect columns of tickets")
    assert run.records["groups"]


def test_a_fault_during_the_search_is_no_refusal(daktela: Simulator, connect: Connect) -> None:
    daktela.faults = [Fault("503", times=None)]
    stream = BY_NAME["queues"]
    requested = RequestedFields(stream, stream.fields, connect(daktela))
    with pytest.raises(RequestError, match="503"):
        requested.adapt(RequestError(Outcome(Action.FAIL, "answered 400", 400), "GET queues.json"))


@pytest.mark.parametrize("name", ["activities_call", "activities", "tickets"])
def test_fields_are_tried_with_one_row_of_the_stream(daktela: Simulator, connect: Connect, name: str) -> None:
    daktela.unknown_fields = "refuse"
    stream = BY_NAME[name]
    requested = RequestedFields(stream, stream.fields, connect(daktela))
    assert requested.adapt(RequestError(Outcome(Action.FAIL, "answered 400", 400), "GET x.json"))
    assert not requested.adapt(RequestError(Outcome(Action.FAIL, "answered 400", 400), "GET x.json"))
    assert {request.query["take"] for request in daktela.requests if request.query} == {1}
    types = {
        entry["value"]
        for request in daktela.requests
        for entry in request.query.get("filters", [])
        if entry["field"] == "type"
    }
    assert types == ({stream.activity_type} if stream.activity_type else set())


def test_parts_of_lists_of_relations_are_read() -> None:
    dataset = generate(activities=40, tickets=80, seed=3)
    for row in [row for row in dataset.tables["tickets"] if row["followers"]][::2]:
        row["followers"] = row["followers"] * 2
    extra = {
        "tickets": ["statuses.color", "followers.email", "statuses.nothing"],
        "activities": ["statuses.color"],
    }
    with Simulator(dataset) as simulator:
        run = run_tap(settings(simulator, extra_fields=extra))
    assert run.code == 0, run.log
    sizes = set()
    for stream, column, source, part in (
        ("tickets", "statuses_color", "statuses", "color"),
        ("tickets", "followers_email", "followers", "email"),
        ("activities", "statuses_color", "statuses", "color"),
    ):
        rows = {f"acme_{row['name']}": row for row in original.rows(dataset, stream)}
        for record in run.records[stream]:
            parts = [entry[part] for entry in rows[record["name"]][source]]
            value = record[column] if len(parts) < 2 else json.loads(record[column])
            assert value == (parts if len(parts) > 1 else parts[0] if parts else None)
            sizes.add(min(len(parts), 2))
    assert sizes == {0, 1, 2}
    [line] = run.warnings
    assert "extra_fields: no row contains statuses.nothing;" in line


def misspelt() -> tuple[Dataset, dict[str, list[str]]]:
    """Return an instance with custom fields, and fields of which some do not exist."""
    dataset = generate(activities=40, tickets=60, seed=3)
    for number, row in enumerate(dataset.tables["tickets"]):
        row["customFields"] = {"order": [], "vip": ["yes"] if number % 9 == 0 else []}
    return dataset, {
        "tickets": ["customFields.order", "customFields.oder", "customFields.vip", "user.emial", "summary"]
    }


EXPECTED = (
    "extra_fields: no row contains customFields.oder (did you mean customFields.order?), user.emial (did you mean "
    "user.email?), summary; check the spelling, and that the account may read it"
)


def test_a_run_reports_fields_that_no_row_contains_once_for_each_stream_and_instance() -> None:
    dataset, extra = misspelt()
    with Simulator(dataset) as acme, Simulator(dataset.copy()) as umbrella:
        instances = [settings(acme), settings(umbrella, server="umbrella")]
        run = run_tap({"instances": instances, "extra_fields": extra, "page_size": 20})
    assert run.code == 0, run.log
    assert run.warnings == [f"tickets ({server}): {EXPECTED}" for server in ("acme", "umbrella")]


def test_fields_with_values_cost_no_request() -> None:
    dataset, _ = misspelt()
    with Simulator(dataset) as simulator:
        run_tap(settings(simulator))
        without = len(simulator.requests)
        simulator.clear()
        run = run_tap(settings(simulator, extra_fields={"tickets": ["customFields.vip", "user.email"]}))
        assert len(simulator.requests) == without
        assert not run.warnings
        simulator.clear()
        run = run_tap(settings(simulator, extra_fields={"tickets": ["customFields.order"]}))
    assert len(simulator.requests) == without + 1
    assert not run.warnings, "a field that is null in all rows exists"


def test_a_check_that_fails_does_not_fail_the_stream() -> None:
    dataset, extra = misspelt()
    fault = Fault(
        "500", "tickets", times=None, matches=lambda request: request.query_string.endswith("take=100&skip=0")
    )
    with Simulator(dataset, faults=[fault]) as simulator:
        run = run_tap(settings(simulator, extra_fields=extra))
    assert run.code == 0, run.log
    assert fault.fired == 1
    assert not run.warnings


def check(simulator: Simulator, tmp_path: Path, **more: Any) -> tuple[int, list[str], Run | Any]:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(settings(simulator, **more)))
    result = run_command(["--config", str(path), "--test"])
    notes = [line.partition("note: ")[2] for line in result.stdout.splitlines() if "note: " in line]
    return result.returncode, notes, result


def test_test_reports_fields_that_no_row_contains(tmp_path: Path) -> None:
    dataset, extra = misspelt()
    with Simulator(dataset) as simulator:
        code, notes, result = check(simulator, tmp_path, extra_fields=extra)
    assert (code, notes) == (0, [EXPECTED]), result


def test_test_reports_fields_that_the_server_refuses(tmp_path: Path) -> None:
    dataset, _ = misspelt()
    extra = {"tickets": ["user.emial", "user.email"]}
    with Simulator(dataset, refused_fields={"user.emial"}) as simulator:
        code, notes, result = check(simulator, tmp_path, extra_fields=extra)
    assert (code, len(notes)) == (0, 1), result
    assert notes[0].startswith("extra_fields: the server refuses user.emial (did you mean user.email?);")
