"""ACTIVATE_VERSION stands at the end of a full table, and only if every instance was read completely."""

from __future__ import annotations

import logging
import signal
from typing import TYPE_CHECKING, Any

import pytest

from tap_daktela.records.activation import Activation, shared_tables, unread_instances
from tap_daktela.streams.definitions import STREAMS
from tests.simulator import Fault, Simulator, generate
from tests.tap_daktela.running import Run, run_command, run_tap, select, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

FULL_TABLES = tuple(stream.name for stream in STREAMS if stream.replication_key is None)
ON = {"emit_activate_version_messages": True}


@pytest.fixture
def acme() -> Iterator[Simulator]:
    with Simulator(generate(activities=200, tickets=40, seed=3)) as simulator:
        yield simulator


@pytest.fixture
def umbrella() -> Iterator[Simulator]:
    with Simulator(generate(activities=200, tickets=40, seed=4)) as simulator:
        yield simulator


def both(acme: Simulator, umbrella: Simulator, **more: Any) -> dict[str, Any]:
    instances = [
        {"url": each.url, "server": server, "access_token": each.access_token}
        for server, each in (("acme", acme), ("umbrella", umbrella))
    ]
    return {"instances": instances, **ON, **more}


def activated(run: Run) -> list[str]:
    """Return the tables whose version was activated."""
    return [message["stream"] for message in run.messages if message["type"] == "ACTIVATE_VERSION"]


def withheld(run: Run) -> list[str]:
    return [line for line in run.warnings if "no ACTIVATE_VERSION" in line]


def versions(run: Run, stream: str) -> set[int | None]:
    return {
        message.get("version")
        for message in run.messages
        if message["type"] == "RECORD" and message["stream"] == stream
    }


def assert_last(run: Run, table: str) -> None:
    """Check that a table's message comes once, after all of its records, and has their version."""
    kinds = [each["type"] for each in run.messages if each.get("stream") == table]
    assert kinds == ["SCHEMA", *["RECORD"] * len(run.records[table]), "ACTIVATE_VERSION"]
    [message] = [each for each in run.messages if each["type"] == "ACTIVATE_VERSION" and each["stream"] == table]
    assert versions(run, table) == {message["version"]}


MAPPED: dict[str, Any] = {"queues": {"title": "title"}, "pauses": {"title": "title"}}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"stream_maps": MAPPED},
        {"flattening_enabled": True, "flattening_max_depth": 1},
        {"stream_maps": MAPPED, "flattening_enabled": True, "flattening_max_depth": 1},
    ],
    ids=["plain", "mapped", "flattened", "mapped and flattened"],
)
def test_the_message_follows_the_last_record_of_all_instances(
    acme: Simulator, umbrella: Simulator, options: dict[str, Any]
) -> None:
    run = run_tap(both(acme, umbrella, **options), catalog=select("queues", "pauses", "tickets", "activities"))
    assert run.code == 0, run.log
    assert sorted(activated(run)) == ["pauses", "queues"]
    for table in ("pauses", "queues"):
        assert_last(run, table)
        assert {record["server"] for record in run.records[table]} == {"acme", "umbrella"}
    assert versions(run, "tickets") == versions(run, "activities") == {None}
    assert not withheld(run)


def test_every_full_table_can_be_activated(acme: Simulator) -> None:
    run = run_tap(settings(acme, **ON), catalog=select(*FULL_TABLES))
    assert run.code == 0, run.log
    assert len(FULL_TABLES) > 6
    filled = {stream for stream in FULL_TABLES if run.records[stream]}
    assert {*activated(run)} == filled > {"accounts", "groups", "pauses", "queues", "statuses", "templates"}


def test_without_the_setting_there_are_neither_messages_nor_versions(acme: Simulator) -> None:
    run = run_tap(settings(acme), catalog=select("queues"))
    assert not activated(run)
    assert versions(run, "queues") == {None}


def test_an_incremental_stream_that_is_read_as_a_full_table_is_not_activated(acme: Simulator) -> None:
    """It never reads all rows: those edited a moment ago and those before `start_date` are missing."""
    catalog = select("tickets", "queues")
    for entry in catalog["streams"]:
        entry["replication_method"] = "FULL_TABLE"
    run = run_tap(settings(acme, **ON), catalog=catalog)
    assert activated(run) == ["queues"]
    assert run.records["tickets"]
    assert versions(run, "tickets") == {None}


def test_an_instance_that_fails_is_not_complete(acme: Simulator, umbrella: Simulator) -> None:
    umbrella.faults.append(Fault("403", "queues", times=None))
    run = run_tap(both(acme, umbrella), catalog=select("queues", "pauses"))
    assert run.code == 1
    assert activated(run) == ["pauses"]
    assert {record["server"] for record in run.records["queues"]} == {"acme"}
    [line] = withheld(run)
    assert line.endswith(
        "written for queues, so rows that were deleted in Daktela stay: umbrella was not read completely"
    )


def test_an_instance_that_cannot_be_reached_is_not_complete(acme: Simulator, umbrella: Simulator) -> None:
    umbrella.faults.append(Fault("401", "*", times=None))
    run = run_tap(both(acme, umbrella), catalog=select("queues", "pauses"))
    assert run.code == 1
    assert not activated(run)
    [line] = withheld(run)
    assert "for pauses, queues" in line or "for queues, pauses" in line, "one line has both tables"


def test_a_table_that_fails_in_the_middle_is_not_complete(acme: Simulator) -> None:
    acme.faults.append(Fault("403", "accounts", times=None, after=2))
    run = run_tap(settings(acme, page_size=10, **ON), catalog=select("accounts"))
    assert run.records["accounts"]
    assert not activated(run)


def test_an_instance_that_returns_no_rows_is_not_complete(acme: Simulator, umbrella: Simulator) -> None:
    for row in [*umbrella.dataset.tables["queues"]]:
        umbrella.remove("queues", row["name"])
    run = run_tap(both(acme, umbrella), catalog=select("queues", "pauses"))
    assert run.code == 0, run.log
    assert activated(run) == ["pauses"]
    assert versions(run, "queues") != {None}
    [line] = withheld(run)
    assert line.endswith("umbrella returned no rows")


def test_rows_without_a_key_are_missing(acme: Simulator) -> None:
    acme.insert("pauses", {**acme.dataset.tables["pauses"][0], "name": ""})
    run = run_tap(settings(acme, **ON), catalog=select("queues", "pauses"))
    assert activated(run) == ["queues"]
    [line] = withheld(run)
    assert line.endswith("acme returned 1 rows without a key")


def test_a_table_that_changes_in_every_attempt_is_not_complete(acme: Simulator) -> None:
    rows = acme.dataset.tables["accounts"]
    serials = iter(range(1000))

    def insert(_: Any) -> bool:
        # In front of all rows, so that no page that follows has it.
        acme.insert("accounts", {**rows[0], "name": f"!{next(serials)}"})
        return False

    acme.faults.append(Fault("503", "accounts", times=None, skip=True, matches=insert))
    run = run_tap(settings(acme, page_size=10, backend="sequential", **ON), catalog=select("accounts"))
    assert run.code == 0, run.log
    assert not activated(run)
    [line] = withheld(run)
    assert line.endswith("acme added or deleted rows during each attempt to read them")
    assert any("accounts (acme): rows were added or deleted during each attempt" in line for line in run.warnings)


@pytest.mark.parametrize("stop_with", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_run_activates_no_further_table(acme: Simulator, stop_with: signal.Signals) -> None:
    acme.latency = 0.05
    run = run_tap(settings(acme, page_size=5, **ON), catalog=select("accounts"), stop_after=3, stop_with=stop_with)
    assert run.code == 128 + stop_with
    assert run.records["accounts"]
    assert not activated(run)


def test_a_test_run_activates_nothing(acme: Simulator) -> None:
    environment = {
        "TAP_DAKTELA_URL": acme.url,
        "TAP_DAKTELA_SERVER": "acme",
        "TAP_DAKTELA_ACCESS_TOKEN": acme.access_token,
        "TAP_DAKTELA_EMIT_ACTIVATE_VERSION_MESSAGES": "true",
    }
    for mode in ("all", "records", "schema"):
        ended = run_command(["--config=ENV", f"--test={mode}"], environment)
        assert ended.returncode == 0, ended.stderr
        assert "ACTIVATE_VERSION" not in ended.stdout


# Stream maps.


def test_a_renamed_table_is_activated_under_its_name(acme: Simulator) -> None:
    run = run_tap(settings(acme, stream_maps={"queues": {"__alias__": "lines"}}, **ON), catalog=select("queues"))
    assert activated(run) == ["lines"]
    assert_last(run, "lines")


def test_a_copied_table_is_activated_as_well(acme: Simulator) -> None:
    maps: dict[str, Any] = {"lines": {"__source__": "queues", "name": "name", "__else__": None}}
    run = run_tap(settings(acme, stream_maps=maps, **ON), catalog=select("queues"))
    assert activated(run) == ["queues", "lines"]
    for table in ("queues", "lines"):
        assert_last(run, table)


def test_a_removed_table_is_not_activated(acme: Simulator) -> None:
    choices: list[dict[str, Any]] = [{"queues": None}, {"pauses": {}, "__else__": None}]
    for maps in choices:
        run = run_tap(settings(acme, stream_maps=maps, **ON), catalog=select("queues", "pauses"))
        assert run.code == 0, run.log
        assert activated(run) == ["pauses"]
        assert not withheld(run)


def test_a_filter_decides_what_belongs_to_a_table(acme: Simulator) -> None:
    name = acme.dataset.tables["queues"][0]["name"]
    maps = {"queues": {"__filter__": f"name != 'acme_{name}'"}}
    run = run_tap(settings(acme, stream_maps=maps, **ON), catalog=select("queues"))
    assert len(run.records["queues"]) == len(acme.dataset.tables["queues"]) - 1
    assert_last(run, "queues")


def test_a_filter_that_leaves_out_all_records_deletes_nothing(acme: Simulator) -> None:
    maps = {"queues": {"__filter__": "title == 'no such queue'"}}
    run = run_tap(settings(acme, stream_maps=maps, **ON), catalog=select("queues", "pauses"))
    assert activated(run) == ["pauses"]
    [line] = withheld(run)
    assert line.endswith("stream_maps leaves out all records")


def test_an_expression_that_fails_deletes_nothing(acme: Simulator) -> None:
    maps = {"queues": {"title": "int(title)"}}
    run = run_tap(settings(acme, stream_maps=maps, **ON), catalog=select("queues", "pauses"))
    assert run.code == 1
    assert activated(run) == ["pauses"]


def test_a_table_that_several_streams_write_to_is_not_activated(acme: Simulator) -> None:
    """The first one's message would delete what the others have written in an earlier run."""
    maps = {"queues": {"__alias__": "Lists"}, "pauses": {"__alias__": "lists"}}
    run = run_tap(settings(acme, stream_maps=maps, **ON), catalog=select("queues", "pauses", "groups"))
    assert activated(run) == ["groups"]
    [line] = withheld(run)
    assert "for Lists, lists" in line or "for lists, Lists" in line
    assert line.endswith("stream_maps writes several streams to this table")


# Several instances.


def test_streams_with_prefixed_names_are_activated_separately(acme: Simulator, umbrella: Simulator) -> None:
    umbrella.faults.append(Fault("403", "queues", times=None))
    catalog = {"prefix_stream_names": True, "stream_maps": {"*tickets": None, "*activities*": None}}
    run = run_tap(both(acme, umbrella, **catalog))
    assert run.code == 1
    assert "acme_queues" in activated(run)
    assert "umbrella_pauses" in activated(run)
    assert "umbrella_queues" not in activated(run)
    assert_last(run, "acme_queues")


def test_an_instance_that_is_no_longer_read_keeps_its_rows(acme: Simulator, umbrella: Simulator) -> None:
    before = run_tap(both(acme, umbrella), catalog=select("queues", "tickets"))
    assert activated(before) == ["queues"]
    run = run_tap(settings(acme, **ON), state=before.state, catalog=select("queues", "tickets"))
    assert not activated(run)
    [line] = withheld(run)
    assert "the state has bookmarks of umbrella, which is not in the configuration" in line

    for bookmark in before.state["bookmarks"].values():
        bookmark["partitions"] = [each for each in bookmark["partitions"] if each["context"]["server"] == "acme"]
    run = run_tap(settings(acme, **ON), state=before.state, catalog=select("queues", "tickets"))
    assert activated(run) == ["queues"]


# The decision itself.


def test_reasons_are_logged_once_with_all_of_their_tables(caplog: pytest.LogCaptureFixture) -> None:
    activation = Activation(unread=["gone"], shared={"b"})
    assert activation.permitted({"A": True}, {"acme": ""}) == []
    assert activation.permitted({"B": True}, {"acme": ""}) == []
    activation.log(logging.getLogger())
    activation.log(logging.getLogger())
    first, second = [record.getMessage() for record in caplog.records]
    assert "written for A, B, so" in first
    assert "gone" in first
    assert "written for B, so" in second


def test_names_that_differ_by_case_are_one_table() -> None:
    assert shared_tables([["Queues", "queues"], ["queues"], ["pauses"], []]) == {"queues"}


def test_unread_instances_are_those_of_the_own_tables() -> None:
    def of(*servers: str) -> dict[str, Any]:
        return {"partitions": [{"context": {"server": server}} for server in servers]}

    state = {"bookmarks": {"queues": of("acme", "b"), "tickets": of("a"), "other": of("c"), "empty": {}}}
    assert unread_instances(state, {"queues", "tickets", "empty"}, {"acme"}) == ["a", "b"]
    assert unread_instances({}, {"queues"}, {"acme"}) == []
