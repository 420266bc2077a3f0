"""T3: keys are unique across instances, and every record fits the SCHEMA sent before it.

Also the content of states.
"""

from __future__ import annotations

import jsonschema
import pytest

from tap_daktela.streams.definitions import STREAMS
from tests.simulator import Simulator, generate
from tests.tap_daktela import original
from tests.tap_daktela.running import Run, run_tap, select, settings

EVERYTHING = tuple(stream.name for stream in STREAMS)


@pytest.fixture(scope="module", params=["2026", "2021"])
def run(request: pytest.FixtureRequest) -> Run:
    """Return a run of all streams over all unusual rows of the simulator."""
    dataset = generate(
        activities=2500,
        tickets=300,
        seed=11,
        build=request.param,
        long_text=200_000,
        now="2026-03-31 12:00:00",
        days=40,
    )
    with Simulator(dataset) as simulator:
        result = run_tap(settings(simulator), catalog=select(*EVERYTHING))
    assert result.code == 0, result.log
    return result


@pytest.mark.parametrize("stream", EVERYTHING)
@pytest.mark.promise("T3")
def test_every_record_fits_the_schema_sent_before_it(run: Run, stream: str) -> None:
    schema = run.schemas[stream]["schema"]
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    columns = set(schema["properties"])
    places = [index for index, message in enumerate(run.messages) if message.get("stream") == stream]
    assert run.messages[places[0]]["type"] == "SCHEMA"
    for record in run.records[stream]:
        validator.validate(record)
        assert set(record) == columns


@pytest.mark.parametrize("stream", EVERYTHING)
@pytest.mark.promise("T3")
def test_keys_are_unique_and_never_null(run: Run, stream: str) -> None:
    keys = run.keys(stream)
    assert keys
    assert len(set(keys)) == len(keys)
    assert all(
        isinstance(part, str) and part.startswith("acme_") and part != "acme_" for key in keys for part in key
    )


@pytest.mark.promise("T3")
def test_no_key_is_acme_na(run: Run) -> None:
    # It is not a key, but the original extractor added the prefix of keys even to an empty value.
    odd = "item_prefix_clid_name"
    cells = [cell for records in run.records.values() for record in records for cell in record.items()]
    assert not [cell for cell in cells if cell[1] in ("acme_NA", "acme_None", "acme_null")]
    assert not [cell for cell in cells if cell[1] == "acme_" and cell[0] != odd]


@pytest.mark.promise("T3")
def test_no_text_holds_a_nul(run: Run) -> None:
    assert not [record for records in run.records.values() for record in records if "\x00" in str(record)]


@pytest.mark.promise("T3")
def test_two_instances_with_equal_ids_do_not_collide() -> None:
    with (
        Simulator(generate(activities=300, tickets=40, seed=1)) as one,
        Simulator(generate(activities=300, tickets=40, seed=1)) as two,
    ):
        run = run_tap({"instances": [settings(one, server="one"), settings(two, server="two")]})
    assert run.code == 0, run.log
    for stream in original.DEFAULT:
        keys = run.keys(stream)
        assert len(keys) == len(set(keys))
        for server in ("one", "two"):
            assert {key for key in keys if key[0].startswith(f"{server}_")} == original.keys(
                one.dataset, stream, server
            )
    ids = [record["unique_id"] for record in run.records["activities_call"]]
    assert len(ids) == len(set(ids))


@pytest.mark.promise("T3")
def test_without_prefixed_keys_the_stream_names_have_prefixes() -> None:
    with (
        Simulator(generate(activities=100, tickets=20, seed=1)) as one,
        Simulator(generate(activities=80, tickets=20, seed=2)) as two,
    ):
        instances = [settings(one, server="one"), settings(two, server="two")]
        run = run_tap({"instances": instances, "prefix_keys": False, "prefix_stream_names": True})
    assert run.code == 0, run.log
    assert {record["name"] for record in run.records["one_tickets"]} == {
        str(row["name"]) for row in original.rows(one.dataset, "tickets")
    }
    assert {record["server"] for record in run.records["two_activities"]} == {"two"}
    assert len(run.schemas) == 22
    assert run.bookmark("one_tickets", "one")
    assert run.bookmark("one_tickets", "two") is None


# State.


def test_state_is_kept_per_instance_and_in_utc(run: Run) -> None:
    for stream, cursor in original.CURSORS.items():
        (partition,) = run.state["bookmarks"][stream]["partitions"]
        assert partition == {
            "context": {"server": "acme"},
            "replication_key": cursor,
            # 12:00 in Prague in summer time, minus half an hour.
            "replication_key_value": "2026-03-31T09:30:00+00:00",
        }


def test_state_of_one_instance_is_not_used_for_another() -> None:
    dataset = generate(activities=300, tickets=40, seed=1)
    with Simulator(dataset) as simulator:
        first = run_tap(settings(simulator))
        other = run_tap(settings(simulator, server="other"), state=first.state)
    assert original.keys(dataset, "tickets", "other") == set(other.keys("tickets"))
    assert other.bookmark("tickets", "acme") == first.bookmark("tickets", "acme"), "and that of the first is kept"
    assert other.bookmark("tickets", "other") == first.bookmark("tickets", "acme")


def test_state_always_contains_only_bookmarks(run: Run) -> None:
    for state in run.states:
        for stream, entry in state["bookmarks"].items():
            assert set(entry) <= {"partitions"}, stream
            for partition in entry["partitions"]:
                assert "progress_markers" not in partition


def test_state_never_goes_back() -> None:
    dataset = generate(activities=1500, tickets=300, seed=1)
    with Simulator(dataset) as simulator:
        config = settings(simulator, page_size=10)
        first = run_tap(config)
        second = run_tap(config, state=first.state)
    assert second.code == 0
    values = [
        partition["replication_key_value"]
        for state in second.states
        for partition in state["bookmarks"]["activities"]["partitions"]
    ]
    assert set(values) == {first.bookmark("activities")}


def test_an_invalid_bookmark_is_an_error_that_names_it() -> None:
    state = {
        "bookmarks": {
            "tickets": {
                "partitions": [
                    {
                        "context": {"server": "acme"},
                        "replication_key": "edited",
                        "replication_key_value": "yesterday",
                    }
                ]
            }
        }
    }
    with Simulator(generate(activities=50, tickets=20, seed=1)) as simulator:
        run = run_tap(settings(simulator), state=state)
    assert run.code == 1
    assert "Traceback" not in run.log
    assert [line for line in run.errors if line.startswith("tickets (acme): ") and "'yesterday'" in line]


def test_a_full_table_forced_by_the_catalog_reads_everything_and_leaves_the_bookmark() -> None:
    dataset = generate(activities=300, tickets=40, seed=1)
    catalog = select("tickets")
    for entry in catalog["streams"]:
        for item in entry["metadata"]:
            if entry["tap_stream_id"] == "tickets" and not item["breadcrumb"]:
                item["metadata"]["forced-replication-method"] = "FULL_TABLE"
                entry["replication_method"] = "FULL_TABLE"
    with Simulator(dataset) as simulator:
        first = run_tap(settings(simulator), catalog=select("tickets"))
        run = run_tap(settings(simulator), catalog=catalog, state=first.state)
    assert set(run.keys("tickets")) == original.keys(dataset, "tickets")
    assert run.bookmark("tickets") == first.bookmark("tickets")
