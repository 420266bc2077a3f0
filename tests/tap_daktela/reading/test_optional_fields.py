"""Fields that an instance may lack: only what is refused is given up, and each of the user's own is named."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_daktela.api.outcome import Action, Outcome, RequestError
from tap_daktela.inputs.settings import extra_fields
from tap_daktela.reading.optional_fields import (
    FieldSearch,
    absent,
    listed,
    may_be_refused_fields,
    shortened,
    without_covered,
)
from tap_daktela.reading.requested_fields import RequestedFields
from tap_daktela.streams.converters import part_converter
from tap_daktela.streams.definitions import STREAMS
from tests.simulator import Fault, Simulator, generate
from tests.tap_daktela import original
from tests.tap_daktela.running import run_command, run_tap, settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tap_daktela.reading.instance import Instance
    from tap_daktela.streams.fields import Field
    from tests.simulator import Dataset
    from tests.simulator.exchange import Request
    from tests.tap_daktela.running import Run

    Connect = Callable[..., Instance]

BY_NAME = {stream.name: stream for stream in STREAMS}


def columns(stream: str, *fields: str) -> tuple[Field, ...]:
    return extra_fields({"extra_fields": {stream: fields}})[stream]


def asked(simulator: Simulator, endpoint: str) -> list[Request]:
    """Return the list requests that name fields."""
    found = [request for request in simulator.requests if request.endpoint == endpoint]
    return [request for request in found if request.query.get("fields")]


# What to request.


def test_parts_of_what_is_requested_whole_are_not_requested() -> None:
    fields = ["name", "customFields", "customFields.a", "queue.name", "statuses", "statuses.color.x", "name"]
    assert without_covered(fields) == ("name", "customFields", "queue.name", "statuses")
    assert without_covered(["a.b", "a.bc", "ab", "a.b.c"]) == ("a.b", "a.bc", "ab")


def test_whole_custom_fields_are_requested_only_where_the_url_would_be_too_long() -> None:
    few = ("name", *(f"record.customFields.x{number}" for number in range(20)))
    many = ("name", *(f"record.customFields.x{number}" for number in range(150)))
    assert shortened(few) == few
    assert shortened(many) == ("name", "record.customFields")
    assert shortened(["customFields.a", "x.customFields.b", "mycustomFields.c", "customFields"], 0) == (
        "customFields",
        "x.customFields",
        "mycustomFields.c",
    )


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
    for request in asked(simulator, "tickets"):
        assert "customFields" in request.query["fields"]
        assert not [field for field in request.query["fields"] if field.startswith("customFields.")]


@pytest.mark.promise("T4")
def test_a_few_custom_fields_are_requested_alone() -> None:
    with Simulator(generate(activities=40, tickets=30, seed=3)) as simulator:
        extra = {"activities": ["record.customFields.outcome"]}
        run_tap(settings(simulator, extra_fields=extra))
    fields = {field for request in asked(simulator, "activities") for field in request.query["fields"]}
    assert "record.customFields.outcome" in fields
    assert "record.customFields" not in fields


# What is refused.


def search(fields: Sequence[str], refuses: Callable[[set[str]], bool], message: str = "") -> tuple[Any, int]:
    """Return what of `fields` a server accepts, and how many requests it took."""
    looked = FieldSearch(lambda asked: not refuses(set(asked)), ("name",))
    return looked.run(fields, message), looked.requests


NUMBERS = [f"field.x{number}" for number in range(64)]


@given(st.sets(st.sampled_from(NUMBERS), max_size=4))
def test_only_what_is_refused_is_given_up_with_few_requests(refused: set[str]) -> None:
    accepted, requests = search(NUMBERS, lambda asked: bool(asked & refused))
    assert accepted == tuple(field for field in NUMBERS if field not in refused)
    assert requests <= 2 + len(refused) * 2 * math.log2(len(NUMBERS))


def test_a_field_that_the_server_names_takes_four_requests() -> None:
    message = "answered 400: Unknown field x17."
    assert search(NUMBERS, lambda asked: "field.x17" in asked, message)[1] == 4
    accepted, _ = search(NUMBERS, lambda asked: "field.x3" in asked, message)
    assert accepted == tuple(field for field in NUMBERS if field != "field.x3"), "the text is a hint only"


@pytest.mark.parametrize("most", [1, 2, 10, 63])
def test_as_many_fields_as_the_server_takes_are_kept(most: int) -> None:
    accepted, requests = search(NUMBERS, lambda asked: len(asked) > most + 1)
    assert len(accepted) >= min(most, 10)
    assert len(accepted) <= most
    assert requests <= 61


def test_nothing_is_given_up_where_that_would_not_help_or_is_not_needed() -> None:
    assert search(NUMBERS, lambda _: True) == (None, 1)
    assert search(NUMBERS, lambda _: False) == (tuple(NUMBERS), 2)
    assert search([], lambda _: False) == (None, 0)


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (Outcome(Action.FAIL, "", 400), True),
        (Outcome(Action.FAIL, "", 422), True),
        (Outcome(Action.FAIL, "", 414), True),
        (Outcome(Action.FAIL, "", 431), True),
        (Outcome(Action.RETRY, "", 200, reported=True), True),
        (Outcome(Action.FAIL, "", 403), False),
        (Outcome(Action.RETRY, "", 503), False),
        (Outcome(Action.RETRY, "", None, timed_out=True), False),
    ],
)
def test_which_refusals_may_be_due_to_fields(outcome: Outcome, *, expected: bool) -> None:
    assert may_be_refused_fields(RequestError(outcome, "x")) is expected


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


def test_refused_fields_of_older_builds_are_given_up_alone() -> None:
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
        last = asked(simulator, "tickets")[-1]
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
        request for request in asked(simulator, "activities") if "record.customFields" in request.query["fields"]
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


def test_a_fault_while_fields_are_tried_is_no_refusal(daktela: Simulator, connect: Connect) -> None:
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


# Parts of lists.


@pytest.mark.parametrize(
    ("value", "path", "expected"),
    [
        ([{"name": 1, "color": "red"}], "color", "red"),
        ([{"color": "red"}, {"color": "blue"}], "color", '["red","blue"]'),
        ([{"color": "red"}, {"name": 2}, {"color": None}], "color", '["red",null,null]'),
        ([{"name": 1}, {"name": 2}], "color", None),
        ([], "color", None),
        ({}, "color", None),
        ("red", "color", None),
        ({"color": []}, "color", None),
        ({"color": ["red"]}, "color", "red"),
        ({"color": ["red", "blue"]}, "color", '["red","blue"]'),
        ({"color": {"a": 1}}, "color", '{"a":1}'),
        ({"color": True}, "color", "true"),
        ([{"a": {"b": [{"c": 1}]}}], "a.b.c", "1"),
        ([{"a": [{"b": "x"}, {"b": "y"}]}, {"a": [{"b": "z"}]}], "a.b", '[["x","y"],"z"]'),
        ({"0": {"color": "red"}, "2": {"color": "blue"}}, "color", '["red","blue"]'),
        ({"7": "seven"}, "7", "seven"),
        ([["red"]], "color", None),
    ],
)
def test_a_part_of_a_list_is_the_list_of_the_parts(value: Any, path: str, expected: str | None) -> None:
    assert part_converter(path.split("."))(value) == expected


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


# What no row contains.


@pytest.mark.parametrize(
    ("rows", "field", "is_absent"),
    [
        ([{"name": 1}], "summary", True),
        ([{"summary": None}], "summary", False),
        ([{"name": 1}, {"summary": None}], "summary", False),
        ([], "summary", False),
        ([{"user": {"name": "x"}}], "user.emial", True),
        ([{"user": {"name": "x", "emial": None}}], "user.emial", False),
        ([{"user": None}], "user.emial", False),
        ([{"user": None}, {"user": {"name": "x"}}], "user.emial", True),
        ([{"user": []}], "user.emial", True),
        ([{"customFields": []}], "customFields.x", True),
        ([{"customFields": {"y": []}}], "customFields.x", True),
        ([{"customFields": {"x": []}}], "customFields.x", False),
        ([{"statuses": []}], "statuses.color", False),
        ([{"statuses": [{"name": 1}]}], "statuses.color", True),
        ([{"statuses": [{"name": 1}, {"color": None}]}], "statuses.color", False),
        ([{"title": "x"}], "title.x", True),
        ([{"title": ""}], "title.x", False),
        ([{"user": {"0": {"name": "x"}}}], "user.emial", True),
    ],
)
def test_null_is_contained_and_parts_of_null_are_unknown(
    rows: list[dict[str, Any]], field: str, *, is_absent: bool
) -> None:
    [column] = columns("tickets", field)
    assert absent(BY_NAME["tickets"], [column], rows) == ([column] if is_absent else [])


@pytest.mark.parametrize(
    ("field", "suggested"),
    [
        ("user.emial", "user.emial (did you mean user.email?)"),
        ("usr.email", "usr.email (did you mean user.email?)"),
        ("customFields.oder", "customFields.oder (did you mean customFields.order?)"),
        ("user.phone", "user.phone"),
        ("statuses.colour", "statuses.colour (did you mean statuses.color?)"),
        ("zzz", "zzz"),
    ],
)
def test_similar_names_are_suggested(field: str, suggested: str) -> None:
    row = {
        "user": {"email": "x", "title": "y"},
        "customFields": {"order": []},
        "statuses": [{"color": "red"}],
        "category": {"sla": None},
    }
    assert listed(columns("tickets", field), [row]) == suggested


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
