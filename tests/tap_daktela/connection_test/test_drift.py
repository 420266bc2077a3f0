"""`--test` notes differences between rows and declarations, by name and without false alarms."""

from __future__ import annotations

import json
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from tap_daktela.connection_test.drift import Sample, differences
from tap_daktela.connection_test.stream_check import StreamCheck
from tap_daktela.reading.stream_reader import StreamError
from tap_daktela.records.row_mapper import RowMapper
from tap_daktela.records.row_stats import InstanceFormat
from tap_daktela.streams.definitions import STREAMS
from tap_daktela.streams.fields import Stream, integer, key, mapping, moment, relation, relations, text
from tests.simulator import Dataset, Fault, Simulator, generate
from tests.tap_daktela.running import run_command, settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tap_daktela.reading.instance import Instance

    Connect = Callable[..., Instance]

BY_NAME = {stream.name: stream for stream in STREAMS}
NAMES = list(BY_NAME)
NEW = "sent, but unknown to this version (extra_fields can read them)"

ROW: dict[str, Any] = {
    "name": 10001,
    "title": "x",
    "priority": 1,
    "created": "2026-03-01 12:00:00",
    "options": {},
    "queue": {"name": 3001, "title": "Support"},
    "statuses": [{"name": "statuses_1", "title": "Done"}],
    "old": "x",
}
WHOLE = {**ROW, "_sys": {"model": "things"}, "customFields": []}

THINGS = Stream(
    name="things",
    endpoint="things",
    description="Anything.",
    fields=(
        key("name", "Key."),
        text("title", "Title."),
        integer("priority", "Priority."),
        moment("created", "Time."),
        mapping("options", "Options."),
        *relation("queue", "the queue"),
        *relations("statuses", "the statuses"),
        text("old", "What older builds have.", official=False),
    ),
)


def compare(
    requested: list[dict[str, Any]],
    whole: list[dict[str, Any]] | None = None,
    *,
    is_old: bool = False,
    stream: Stream = THINGS,
) -> list[str]:
    mapper = RowMapper(
        stream, stream.fields, InstanceFormat(server="acme", prefix="acme_", zone=ZoneInfo("Europe/Prague"))
    )
    sample = Sample(requested, requested if whole is None else whole, is_old=is_old)
    return list(differences(stream, mapper.tree, sample))


def without(row: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}


def test_rows_as_declared_have_no_notes() -> None:
    assert compare([ROW], [WHOLE]) == []
    assert compare([], []) == []


# Fields that are not sent.


def test_a_field_that_no_row_has_is_noted() -> None:
    row, whole = without(ROW, "title", "queue", "priority"), without(WHOLE, "title", "queue", "priority")
    assert compare([row], [whole]) == ["not sent, so null: priority, queue, title"]


@pytest.mark.parametrize(
    ("requested", "whole"),
    [
        pytest.param([ROW | {"title": None, "queue": None}], [WHOLE | {"title": None, "queue": None}], id="null"),
        pytest.param([without(ROW, "title"), ROW], [without(WHOLE, "title")], id="in one row"),
        pytest.param([without(ROW, "queue")], [WHOLE | {"queue": None}], id="nothing of null when asked for"),
        pytest.param([ROW | {"title": None}], [without(WHOLE, "title")], id="sent when asked for only"),
        pytest.param([without(ROW, "title")], [], id="whole rows unknown"),
        pytest.param([without(ROW, "old")], [without(WHOLE, "old")], id="gone since older builds"),
        pytest.param([ROW | {"queue": []}], [WHOLE | {"queue": {"title": "Support"}}], id="stripped"),
        pytest.param([ROW | {"queue": {"title": "Support"}}], [WHOLE], id="stripped of its name"),
        pytest.param([ROW | {"statuses": [{"title": "Done"}]}], [WHOLE], id="stripped in a list"),
    ],
)
def test_null_stripped_and_older_fields_are_not_missing(requested: Any, whole: Any) -> None:
    assert compare(requested, whole) == []


def test_an_older_build_has_no_missing_fields() -> None:
    row, whole = without(ROW, "title"), without(WHOLE, "title")
    assert compare([row], [whole], is_old=True) == []
    assert compare([row], [whole]) == ["not sent, so null: title"]


def test_fields_of_items_are_missing_only_where_there_is_an_item() -> None:
    call = BY_NAME["activities_call"]
    row: dict[str, Any] = {"name": "a", **dict.fromkeys(("time", "queue", "ticket", "user", "contact"))}
    item = {
        column.source.split(".")[1]: None
        for column in call.fields
        if column.official and column.source.startswith("item.")
    }
    full, less = {**row, "item": item}, {**row, "item": without(item, "clid", "cdr")}
    assert compare([full], stream=call) == []
    assert compare([less], stream=call) == ["not sent, so null: item.cdr, item.clid"]
    assert compare([{**row, "item": None}, {**row, "item": []}, {**row, "item": 42}], stream=call) == []


# Fields of another type.


@pytest.mark.parametrize(
    ("change", "note"),
    [
        ({"priority": {"name": "HIGH"}}, "priority (integer declared, object sent)"),
        ({"priority": "HIGH"}, "priority (integer declared, text sent)"),
        ({"priority": True}, "priority (integer declared, boolean sent)"),
        ({"priority": 1.5}, "priority (integer declared, number sent)"),
        ({"title": 7}, "title (text declared, integer sent)"),
        ({"title": ["x"]}, "title (text declared, list sent)"),
        ({"created": 1772362800}, "created (datetime declared, integer sent)"),
        ({"created": "yesterday"}, "created (datetime declared, text sent)"),
        ({"options": 7}, "options (object declared, integer sent)"),
        ({"queue": "3001"}, "queue (object declared, text sent)"),
        ({"queue": [3001]}, "queue (object declared, list sent)"),
        ({"queue": {"name": 3001, "title": {"cs": "x"}}}, "queue.title (text declared, object sent)"),
        ({"statuses": "statuses_1"}, "statuses (keys declared, text sent)"),
        ({"name": {"id": 1}}, "name (key declared, object sent)"),
    ],
)
def test_a_field_of_another_type_is_noted(change: dict[str, Any], note: str) -> None:
    assert compare([ROW, ROW | change]) == [f"sent as another type: {note}"]


@pytest.mark.parametrize(
    "change",
    [
        {"priority": "5"},
        {"priority": ""},
        {"priority": 5.0},
        {"created": ""},
        {"created": "0000-00-00 00:00:00"},
        {"options": []},
        {"options": ""},
        {"queue": ""},
        {"statuses": {"0": {"name": "statuses_1", "title": "Done"}}},
        {"statuses": []},
        {"name": "10001"},
    ],
)
def test_the_php_form_of_a_value_is_not_another_type(change: dict[str, Any]) -> None:
    assert compare([ROW | change]) == []


def test_a_relation_with_a_column_for_its_scalar_may_be_one() -> None:
    row = dict.fromkeys([column.source.split(".")[0] for column in BY_NAME["templates"].fields if column.source])
    assert compare([row | {"id_template": "templates_1"}], stream=BY_NAME["templates"]) == []
    (note,) = compare([row | {"user": "robot"}], stream=BY_NAME["templates"])
    assert note == "sent as another type: user (object declared, text sent)"


def test_several_types_of_one_field_are_one_note() -> None:
    (note,) = compare([ROW | {"priority": {}}, ROW | {"priority": "HIGH"}])
    assert note == "sent as another type: priority (integer declared, object or text sent)"


# Fields that are new.


def test_new_fields_are_noted_by_name_sorted_and_limited() -> None:
    new = {f"new_{number:02}": "secret" for number in range(13, 0, -1)}
    names = ", ".join(f"new_{number:02}" for number in range(1, 11))
    assert compare([ROW], [WHOLE | new, WHOLE]) == [f"{NEW}: {names} and 3 more"]
    assert compare([], [WHOLE | {"new": 1}]) == [f"{NEW}: new"]


@pytest.mark.parametrize("stream", STREAMS, ids=NAMES)
def test_new_fields_of_activities_and_of_items_are_noted_once_by_their_own_stream(
    stream: Stream,
) -> None:
    row = {"name": "a", "new": 1, "item": {"duration": 5, "fresh": 2, "_sys": {}, "customFields": []}, "_new": 3}
    note = compare([], [row], stream=stream)
    if stream.endpoint != "activities":
        assert note[0].endswith(": item, new")
    else:
        assert note[0].endswith(": item.fresh" if stream.activity_type else ": new")


# Through a connection.


@pytest.fixture(scope="module", params=["2026", "2021"])
def dataset(request: pytest.FixtureRequest) -> Dataset:
    return generate(activities=900, tickets=60, seed=7, build=request.param)


@pytest.mark.parametrize(
    "habits",
    [
        {},
        {"strip_relations": {"queue", "user", "contact", "item.id_queue", "item.queue", "followers", "database"}},
        {"strip_items": {"CALL", "EMAIL", "CHAT"}},
        {"data_as": "dict", "total_as": "none", "bom": True},
        {"timezone_in_answer": False},
        {"unknown_fields": "refuse"},
    ],
    ids=["plain", "stripped", "no items", "other envelope", "no zone", "refuses"],
)
def test_no_stream_of_any_build_or_account_raises_a_false_alarm(
    dataset: Dataset, connect: Connect, habits: dict[str, Any]
) -> None:
    with Simulator(dataset.copy(), **habits) as simulator:
        instance = connect(simulator)
        for stream in STREAMS:
            check = StreamCheck(stream, instance)
            stripped = habits.get("strip_items", set()) & set(stream.item_keys)
            with pytest.raises(StreamError, match="right to read their items") if stripped else nullcontext():
                check.run()
            notes = [note for note in check.drift() if not note.startswith("this instance refuses fields")]
            assert notes == [], stream.name


@pytest.mark.parametrize("reports_zone", [True, False])
def test_a_build_that_reports_no_time_zone_is_an_older_one(connect: Connect, *, reports_zone: bool) -> None:
    with Simulator(drifted(), timezone_in_answer=reports_zone) as simulator:
        check = StreamCheck(BY_NAME["activities_call"], connect(simulator))
        check.run()
        note = [line.partition(":")[0] for line in check.drift()]
    assert note == [*(["not sent, so null"] if reports_zone else []), NEW]


def test_drift_costs_a_request_for_a_few_rows_with_all_their_fields(daktela: Simulator, connect: Connect) -> None:
    check = StreamCheck(BY_NAME["activities_chat"], connect(daktela))
    assert check.drift() == [], "nothing was checked"
    check.run()
    check.drift()
    _, page, _, whole = [request.query for request in daktela.requests]
    assert len(page["fields"]) > 20
    assert whole["fields"] is None
    assert whole["take"] == 3
    assert [whole[part] for part in ("filters", "sort")] == [page[part] for part in ("filters", "sort")]


def test_an_endpoint_without_rows_has_no_notes_and_no_further_request(
    daktela: Simulator, connect: Connect
) -> None:
    daktela.dataset.tables["pauses"].clear()
    daktela.refresh()
    check = StreamCheck(BY_NAME["pauses"], connect(daktela))
    assert (check.run(), check.drift()) == ("0 rows", [])
    assert [request.endpoint for request in daktela.requests] == ["whoim", "pauses"]


# Through the command.


def check(simulator: Simulator, tmp_path: Path, **more: Any) -> tuple[int, dict[str, list[str]], str]:
    """Return the exit code of `--test`, the notes of each stream, and the whole output."""
    path = tmp_path / "config.json"
    path.write_text(json.dumps(settings(simulator, **more)))
    result = run_command(["--config", str(path), "--test"])
    assert "Traceback" not in result.stderr
    notes: dict[str, list[str]] = {}
    for line in result.stdout.splitlines()[1:]:
        if line.lstrip().startswith("note: "):
            notes[next(reversed(notes))].append(line.lstrip().removeprefix("note: "))
        else:
            notes[line.split()[0]] = []
    return result.returncode, notes, result.stdout + result.stderr


def drifted() -> Dataset:
    """Return an instance that has lost fields, has new ones, and sends one in another type."""
    data = generate(activities=600, tickets=60, seed=7)
    for ticket in data.tables["tickets"]:
        del ticket["email"], ticket["sla_change"], ticket["category"]
        ticket |= {"summary": "of Jana Nováková", "_fresh": 1}
    for queue in data.tables["queues"]:
        queue["type"] = {"name": "in"}
    for call in data.tables["activitiesCall"]:
        del call["did"]
        call["sentiment"] = 0.5
    return data


def test_test_notes_missing_retyped_and_new_fields_and_does_not_fail(tmp_path: Path) -> None:
    with Simulator(drifted()) as simulator:
        code, notes, text_ = check(simulator, tmp_path, on_type_mismatch="null")
    assert code == 0, text_
    assert {name: lines for name, lines in notes.items() if lines} == {
        "queues": ["sent as another type: type (text declared, object sent)"],
        "tickets": ["not sent, so null: category, email, sla_change", f"{NEW}: summary"],
        "activities_call": ["not sent, so null: item.did", f"{NEW}: item.sentiment"],
    }
    assert list(notes) == NAMES
    assert "Jana" not in text_


def test_a_type_that_fails_a_run_fails_the_test_and_all_such_types_are_noted(tmp_path: Path) -> None:
    data = generate(activities=300, tickets=60, seed=7)
    for ticket in data.tables["tickets"]:
        ticket |= {"sla_duration": {"value": 1}, "unread": "soon"}
    with Simulator(data) as simulator:
        code, notes, text_ = check(simulator, tmp_path)
    assert code == 1
    assert "tickets              FAILED: " in text_
    assert notes["tickets"] == [
        "sent as another type: sla_duration (integer declared, object sent), unread (boolean declared, text sent)"
    ]


def test_fields_that_extra_fields_reads_are_not_noted(tmp_path: Path) -> None:
    with Simulator(drifted()) as simulator:
        extra = {"tickets": ["summary"], "activities_call": ["item.sentiment"]}
        _, notes, _ = check(simulator, tmp_path, on_type_mismatch="null", extra_fields=extra)
    assert notes["tickets"] == ["not sent, so null: category, email, sla_change"]
    assert notes["activities_call"] == ["not sent, so null: item.did"]


def test_a_failed_request_for_whole_rows_does_not_fail_the_test(tmp_path: Path) -> None:
    fault = Fault("400", "tickets", times=None, matches=lambda request: "fields" not in request.query_string)
    with Simulator(drifted(), faults=[fault]) as simulator:
        code, notes, text_ = check(simulator, tmp_path, on_type_mismatch="null")
    assert code == 0, text_
    (note,) = notes["tickets"]
    assert note.startswith(
        "new and missing fields are unknown, because the request for all fields failed: Daktela answered 400"
    )
    assert notes["activities_call"]


def test_an_account_that_is_refused_during_the_test_is_one_line(tmp_path: Path) -> None:
    data = generate(activities=300, tickets=60, seed=7)
    with Simulator(data, token_uses=10, faults=[Fault("401", "login", after=1, times=None)]) as simulator:
        code, notes, text_ = check(
            simulator, tmp_path, access_token=None, username="robot", password=simulator.password
        )
    assert code == 1
    assert 1 < len(notes) < len(NAMES)
    # In the output and in the last line of the log.
    assert text_.count("check username and password") == 2
