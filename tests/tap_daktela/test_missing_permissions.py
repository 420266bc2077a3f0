"""If an account lacks a permission, the tap reports the missing data and does not only emit nulls."""

from __future__ import annotations

import pytest

from tests.simulator import Fault, Simulator, generate
from tests.tap_daktela import original
from tests.tap_daktela.running import run_tap, select, settings


def test_calls_without_their_items_are_an_error_and_not_orphans() -> None:
    dataset = generate(activities=600, tickets=20, seed=1)
    with Simulator(dataset, strip_items={"CALL"}) as simulator:
        run = run_tap(settings(simulator, page_size=50))
    assert run.code == 1
    lines = [line for line in run.errors[:-1] if "lacks the right to read their items" in line]
    assert [line.split(" ")[0] for line in lines] == ["activities", "activities_call"]
    assert all("type CALL" in line for line in lines)
    assert run.bookmark("activities_call") is None
    assert run.bookmark("activities") is None
    assert set(run.keys("activities_email")) == original.keys(dataset, "activities_email")


def test_a_few_orphans_alone_are_no_missing_right() -> None:
    """A night whose only chat is an orphan causes no error."""
    dataset = generate(activities=600, tickets=20, seed=1)
    chats = [
        row
        for row in dataset.tables["activities"]
        if row["type"] == "CHAT" and row["time"] < "2026-03-10 11:30:00"
    ]
    last = max(chats, key=lambda row: row["time"])
    last["item"] = None
    start = last["time"].replace(" ", "T")
    with Simulator(dataset) as simulator:
        run = run_tap(settings(simulator, start_date=start), catalog=select("activities_chat"))
    assert run.code == 0, run.log
    assert not run.records["activities_chat"]
    assert run.bookmark("activities_chat") == "2026-03-10T10:30:00+00:00"
    assert "left out 1 activities of type CHAT without their item" in run.log


def test_relations_without_their_name_are_one_warning_for_each_relation_and_instance() -> None:
    """One warning covers all streams, since one missing right affects most of them."""
    dataset = generate(activities=400, tickets=50, seed=1)
    stripped = {"queue", "user", "item.queue", "item.id_queue"}
    with Simulator(dataset, strip_relations=stripped) as acme, Simulator(dataset.copy()) as umbrella:
        instances = [settings(acme), settings(umbrella, server="umbrella")]
        run = run_tap({"instances": instances}, catalog=select(*original.DEFAULT))
    assert run.code == 0, run.log
    advice = "The account lacks the right to read it: grant it in Daktela"
    assert [line.partition(" but without its name")[0] for line in sorted(run.warnings)] == [
        f"acme: records came with {relation}" for relation in ("id_queue", "queue", "user")
    ]
    assert all(line.endswith(advice) for line in run.warnings)
    counts = []
    for stream in ("activities", "activities_call", "activities_chat", "activities_email"):
        rows = [row for row in original.rows(dataset, stream) if isinstance(row["queue"], dict)]
        records = [record for record in run.records[stream] if record["server"] == "acme"]
        counts.append(f"{stream} ({len(rows)} of {len(records)})")
        assert all(record["queue_name"] is None for record in records)
    [queue] = [line for line in run.warnings if "with queue" in line]
    assert f"so its key is null: {', '.join(counts[:3])} and 1 more streams. {advice}" in queue


FOLLOWERS = {"followers_name", "followers_title"}


@pytest.mark.parametrize("columns", [FOLLOWERS, {"followers_name"}, {"followers_title"}])
@pytest.mark.promise("T3")
def test_entries_without_their_name_are_left_out_of_both_lists_and_reported(columns: set[str]) -> None:
    dataset = generate(activities=10, tickets=200, seed=1)
    tickets = [row for row in dataset.tables["tickets"] if row["followers"]]
    for row in tickets[::2]:
        row["followers"] = [*row["followers"], {"title": "Hidden"}, {"title": None}]
    with Simulator(dataset) as simulator:
        catalog = select("tickets", columns=lambda _, column: column in columns)
        run = run_tap(settings(simulator), catalog=catalog)
    assert run.code == 0, run.log
    settled = original.rows(dataset, "tickets")
    expected = {
        f"acme_{row['name']}": {
            "followers_name": [f"acme_{each['name']}" for each in row["followers"] if "name" in each],
            "followers_title": [each["title"] for each in row["followers"] if "name" in each],
        }
        for row in settled
    }
    for record in run.records["tickets"]:
        assert {column: record[column] for column in columns} == {
            column: expected[record["name"]][column] for column in columns
        }
    hidden = sum("name" not in each for row in settled for each in row["followers"])
    assert hidden > 10
    [line] = [line for line in run.warnings if "without their name" in line]
    assert line.startswith("acme: entries of followers came without their name")
    assert f"tickets ({hidden:,})" in line
    assert "lacks the right" in line


def test_an_account_that_may_read_no_follower_gets_empty_lists_and_a_warning() -> None:
    dataset = generate(activities=10, tickets=100, seed=1)
    with Simulator(dataset, strip_relations={"followers"}) as simulator:
        run = run_tap(settings(simulator), catalog=select("tickets"))
    assert {str(record["followers_name"]) for record in run.records["tickets"]} == {"[]"}
    assert {str(record["followers_title"]) for record in run.records["tickets"]} == {"[]"}
    count = sum(len(row["followers"]) for row in original.rows(dataset, "tickets"))
    [line] = run.warnings
    assert "entries of followers came without their name" in line
    assert f"tickets ({count:,})" in line


def test_a_whole_relation_raises_no_warning() -> None:
    with Simulator(generate(activities=400, tickets=50, seed=1)) as simulator:
        run = run_tap(settings(simulator))
    assert not run.warnings


def test_a_403_names_the_missing_right() -> None:
    with Simulator(generate(activities=50, tickets=10, seed=1), forbidden={"templates"}) as simulator:
        run = run_tap(settings(simulator))
    assert run.code == 1
    (line,) = [line for line in run.errors if line.startswith("templates (acme): ")]
    assert "the account lacks the right to read templates" in line


def test_an_instance_without_whoim_is_read() -> None:
    dataset = generate(activities=50, tickets=20, seed=1)
    with Simulator(dataset, faults=[Fault("404", "whoim", times=None)]) as simulator:
        run = run_tap(settings(simulator))
    assert run.code == 0, run.log
    assert set(run.keys("tickets")) == original.keys(dataset, "tickets")
