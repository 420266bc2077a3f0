"""Stream maps and flattening: one line for the user who wrote them, at the start wherever that is possible."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import pytest

from tests.simulator import Simulator, generate
from tests.tap_daktela import original
from tests.tap_daktela.running import run_tap, select, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.tap_daktela.running import Run


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(generate(activities=100, tickets=60, seed=2)) as instance:
        yield instance


def run_maps(simulator: Simulator, maps: Any, **more: Any) -> Run:
    simulator.clear()
    return run_tap(settings(simulator, stream_maps=maps), **more)


def assert_refused(run: Run, *lines: str) -> None:
    assert run.code == 1
    assert run.errors == list(lines)
    assert not run.messages
    assert "Traceback" not in run.log


# Streams that are not selected.


def test_a_map_of_all_streams_works_without_a_catalog(simulator: Simulator) -> None:
    run = run_maps(simulator, {"*": {"loaded_by": "'meltano'"}})
    assert run.code == 0, run.log
    assert set(run.schemas) == set(original.DEFAULT)
    for stream in original.DEFAULT:
        assert run.records[stream]
        assert all(record["loaded_by"] == "meltano" for record in run.records[stream])


@pytest.mark.parametrize(
    "definition",
    [
        {"shout": "title.upper()"},
        {"wrong": "no_such_name +"},
        {"wrong": "len(no_such_column)"},
        {"__key_properties__": ["no_such_column"]},
        {"name": None, "title": None},
        {"__alias__": "people", "__else__": None},
        {"__alias__": "2026 people"},
        {"__filter__": "no_such_name"},
        None,
    ],
)
def test_maps_of_unselected_streams_have_no_effect(simulator: Simulator, definition: Any) -> None:
    maps = {"users": definition, "activities_f*": definition, "copy": {"__source__": "contacts", "x": "1 +"}}
    run = run_maps(simulator, maps, catalog=select("queues"))
    assert run.code == 0, run.log
    assert not run.warnings
    assert list(run.schemas) == ["queues"]
    assert run.keys("queues") == run_tap(settings(simulator), catalog=select("queues")).keys("queues")


def test_streams_that_the_maps_remove_are_not_read_for_flattening(simulator: Simulator) -> None:
    config = settings(
        simulator,
        stream_maps={"__else__": None, "queues": {}},
        flattening_enabled=True,
        flattening_max_depth=1,
        flattening_max_key_length=20,
    )
    run = run_tap(config)
    assert run.code == 0, run.log
    assert list(run.schemas) == ["queues"]


# What is known at the start.

_NEW = {"check_uuid", "uuid4"} if version("singer-sdk") >= "0.55" else set[str]()
"""Functions that the SDK has since version 0.55."""
FUNCTIONS = ", ".join(
    sorted(
        {"bool", "datetime", "dict", "float", "int", "json", "list", "md5", "rand", "randint", "set", "sha256"}
        | {"str", "tuple", *_NEW}
    )
)
NO_NAME = "cannot be evaluated to a name; put a name with blanks, digits or signs in quotes"
WRONG: dict[str, tuple[Any, str]] = {
    "a stream that does not exist": (
        {"ticket": {"title": None}},
        "stream_maps: no stream is called 'ticket'; did you mean tickets?",
    ),
    "a pattern without a match": ({"calls_*": None}, "stream_maps: no stream is called 'calls_*'"),
    "a source that does not exist": (
        {"copy": {"__source__": "ticketz"}},
        "stream_maps: no stream is called 'ticketz'; did you mean tickets?",
    ),
    "a function that does not exist": (
        {"tickets": {"title_len": 'len(title or "")'}},
        f"stream_maps: tickets.title_len: Function 'len' not defined; available: {FUNCTIONS}",
    ),
    "a function in a branch": (
        {"tickets": {"title_len": "max(1, 2) if title else 0"}},
        f"stream_maps: tickets.title_len: Function 'max' not defined; available: {FUNCTIONS}",
    ),
    "a column that does not exist": (
        {"tickets": {"x": "titel.upper()"}},
        "stream_maps: tickets.x: Name 'titel' not defined; did you mean title?",
    ),
    "a column that no stream has, in a branch": (
        {"tickets": {"x": "titel if title else None"}},
        "stream_maps: tickets.x: Name 'titel' not defined; did you mean title?",
    ),
    "a column by its text": (
        {"tickets": {"x": "record['titel']"}},
        "stream_maps: tickets.x: Name 'titel' not defined; did you mean title?",
    ),
    "self where there is none": ({"tickets": {"x": "self"}}, "stream_maps: tickets.x: Name 'self' not defined"),
    "a filter": (
        {"tickets": {"__filter__": "stag == 'OPEN'"}},
        "stream_maps: tickets.__filter__: Name 'stag' not defined; did you mean stage?",
    ),
    "a column that some streams lack": (
        {"*": {"x": "stage"}},
        "stream_maps: *.x: Name 'stage' not defined (streams: queues)",
    ),
    "an open parenthesis": (
        {"tickets": {"x": "str(title"}},
        "stream_maps: tickets.x: not a valid expression: '(' was never closed",
    ),
    "a statement": ({"tickets": {"x": "y = title"}}, "stream_maps: tickets.x: not an expression"),
    "a key removed": (
        {"tickets": {"name": None}},
        "stream_maps: tickets.name: a key column cannot be removed; set __key_properties__ to other columns",
    ),
    "a key left out": (
        {"tickets": {"title": "title", "__else__": None}},
        "stream_maps: tickets.__else__: removes the key column name; keep it with name: name",
    ),
    "another key that does not exist": (
        {"tickets": {"__key_properties__": ["nam"]}},
        "stream_maps: tickets.__key_properties__: the mapped records have no column 'nam'; did you mean name?",
    ),
    "an alias that cannot be evaluated": (
        {"tickets": {"__alias__": "2026 tickets"}},
        f"stream_maps: tickets.__alias__: {NO_NAME}",
    ),
    "an alias that is evaluated to a number": (
        {"*": {"__alias__": "2026"}},
        f"stream_maps: *.__alias__: {NO_NAME} (streams: queues, tickets)",
    ),
    # What has another type than the SDK expects.
    "an option that does not exist": (
        {"tickets": {"__filters__": "title"}},
        "stream_maps.tickets.__filters__: is not an option of stream maps; did you mean __filter__?",
    ),
    "an option of all streams that does not exist": (
        {"__alias__": "x"},
        "stream_maps.__alias__: is not an option of stream maps; did you mean __else__?",
    ),
    "else with a text": (
        {"tickets": {"__else__": "title"}},
        "stream_maps.tickets.__else__: must be null, which removes all other columns",
    ),
    "else with an object": (
        {"__else__": {}},
        "stream_maps.__else__: must be null, which removes all other streams",
    ),
    "an expression that is a number": (
        {"tickets": {"x": 5}},
        "stream_maps.tickets.x: must be an expression (text), or null to remove the column",
    ),
    "an expression that is an object": (
        {"tickets": {"x": {"y": "z"}}},
        "stream_maps.tickets.x: must be an expression (text), or null to remove the column",
    ),
    "an empty expression": (
        {"tickets": {"x": ""}},
        "stream_maps.tickets.x: must be an expression (text), or null to remove the column",
    ),
    "a map that is a text": (
        {"tickets": "title"},
        "stream_maps.tickets: must be an object of columns and expressions, or null to remove the stream",
    ),
    "keys that are a text": (
        {"tickets": {"__key_properties__": "name"}},
        "stream_maps.tickets.__key_properties__: must be a list of columns, or null for none",
    ),
    "an alias that is a number": (
        {"tickets": {"__alias__": 5}},
        "stream_maps.tickets.__alias__: must be text",
    ),
    "maps that are a list": ([], "stream_maps: must be an object"),
}


@pytest.mark.parametrize(("maps", "line"), WRONG.values(), ids=list(WRONG))
def test_a_wrong_map_is_one_line_before_anything_is_read(simulator: Simulator, maps: Any, line: str) -> None:
    run = run_maps(simulator, maps, catalog=select("tickets", "queues"))
    assert_refused(run, line)
    assert not simulator.requests


def test_all_that_is_wrong_is_reported_at_once(simulator: Simulator) -> None:
    run = run_maps(simulator, {"ticket": {}, "tickets": {"x": "a +", "y": "len(1)"}})
    assert run.code == 1
    assert [line.partition(": ")[2].partition(":")[0] for line in run.errors] == [
        "no stream is called 'ticket'; did you mean tickets?",
        "tickets.x",
        "tickets.y",
    ]


def test_a_column_that_is_not_selected_is_named(simulator: Simulator) -> None:
    catalog = select("tickets", columns=lambda _, column: column != "title")
    run = run_maps(simulator, {"tickets": {"x": "title or ''"}}, catalog=catalog)
    assert_refused(run, "stream_maps: tickets.x: the column title is not selected")


def test_names_of_streams_include_their_prefix(simulator: Simulator) -> None:
    config = settings(simulator, prefix_stream_names=True, stream_maps={"tickets": {"x": "'y'"}})
    assert_refused(run_tap(config), "stream_maps: no stream is called 'tickets'; did you mean acme_tickets?")
    run = run_tap({**config, "stream_maps": {"acme_tickets": {"x": "'y'"}}})
    assert run.code == 0, run.log
    assert all(record["x"] == "y" for record in run.records["acme_tickets"])


@pytest.mark.parametrize(
    "expression",
    [
        "title if 'title' in record else None",
        "'stage' in record and stage or None",
        "[part for part in (title or '').split(' ')][0]",
        "{'a': title, 'b': record['stage'], 'c': _['title']}['b']",
        "config['word'] + __stream_name__ + __original_stream_name__",
        "md5(name) if name else str(datetime.date(2026, 1, 1))",
        "f'{name}: {title}'",
    ],
)
def test_expressions_that_hold_are_not_refused(simulator: Simulator, expression: str) -> None:
    config = settings(simulator, stream_map_config={"word": "x"}, stream_maps={"tickets": {"x": expression}})
    run = run_tap(config, catalog=select("tickets", "queues"))
    assert run.code == 0, run.log
    assert run.records["tickets"][0].keys() >= {"x"}


def test_a_condition_protects_streams_that_lack_the_column(simulator: Simulator) -> None:
    run = run_maps(simulator, {"*": {"x": "stage if 'stage' in record else 'none'"}})
    assert run.code == 0, run.log
    assert {record["x"] for record in run.records["queues"]} == {"none"}
    assert {record["x"] for record in run.records["tickets"]} == {row["stage"] for row in run.records["tickets"]}


@pytest.mark.parametrize("nothing", [None, ""])
def test_settings_of_the_sdk_that_are_not_set_change_nothing(simulator: Simulator, nothing: Any) -> None:
    names = ("stream_maps", "stream_map_config", "flattening_enabled", "flattening_max_depth")
    run = run_tap(settings(simulator, **dict.fromkeys(names, nothing)), catalog=select("queues"))
    assert run.code == 0, run.log


# What only a record shows.


@pytest.mark.parametrize(
    ("expression", "cause"),
    [
        ("int(title)", "fails with ValueError (record "),
        ("{'a': 1}[title]", "fails with KeyError (record "),
        ("title + 1", "fails with TypeError (record "),
        ("title.upper()", "Attribute 'upper' does not exist in expression 'title.upper()' (record "),
        ("title * 9999999", "fails with IterableTooLong (record "),
    ],
)
@pytest.mark.promise("T2")
def test_an_expression_that_fails_ends_its_stream_alone(expression: str, cause: str) -> None:
    dataset = generate(activities=100, tickets=60, seed=2)
    with Simulator(dataset) as simulator:
        if "upper" in expression:
            simulator.edit("tickets", dataset.tables["tickets"][7]["name"], title=None)
        maps = {"tickets": {"title": expression, "right": "'yes'"}}
        run = run_maps(simulator, maps, catalog=select("queues", "tickets", "users"))

    assert run.code == 1
    assert "Traceback" not in run.log
    failure, end = run.errors
    assert failure.startswith(f"tickets (acme): stream_maps: tickets.title: {cause}acme_1")
    assert failure.endswith("; title is null there: an expression must hold for null, as title or '' does") is (
        "upper" in expression
    )
    assert "tickets (acme)" in end
    assert run.records["queues"]
    assert run.records["users"], "a stream after the one that failed was not read"
    assert run.bookmark("tickets") is None
    titles = {row["title"] for row in dataset.tables["tickets"]}
    assert not [title for title in titles if title and len(title) > 5 and title in run.log]


# Flattening.


SAME_NAME = "gives two columns the same name; leave it out, or set it to 64"
NEW_KEY = "renames a column of the primary key; leave it out, or set it to 64"


@pytest.mark.parametrize(
    ("options", "lines"),
    [
        (
            {"flattening_max_key_length": 20},
            [f"flattening_max_key_length: 20 {SAME_NAME} (streams: activities_call, tickets)"],
        ),
        (
            {"flattening_max_key_length": 15},
            [
                f"flattening_max_key_length: 15 {SAME_NAME} (streams: activities_call, activities_chat, tickets)",
                f"flattening_max_key_length: 15 {NEW_KEY} (streams: activities_email)",
            ],
        ),
        ({"flattening_max_key_length": 0}, ["flattening_max_key_length: must be at least 1, not 0"]),
        (
            {"flattening_max_depth": -1},
            ["flattening_max_depth: set it to the number of levels to flatten; flattening_enabled needs it"],
        ),
        (
            {"flattening_max_depth": None},
            ["flattening_max_depth: set it to the number of levels to flatten; flattening_enabled needs it"],
        ),
        ({"flattening_max_depth": "one"}, ["flattening_max_depth: must be a whole number, not 'one'"]),
    ],
)
def test_flattening_that_cannot_be_used_is_one_line(
    simulator: Simulator, options: dict[str, Any], lines: list[str]
) -> None:
    simulator.clear()
    run = run_tap(settings(simulator, **{"flattening_enabled": True, "flattening_max_depth": 1, **options}))
    assert run.code == 1
    assert sorted(run.errors) == sorted(lines)
    assert "Traceback" not in run.log
    assert not simulator.requests


def test_a_separator_that_makes_two_names_equal_is_one_line(simulator: Simulator) -> None:
    catalog = select("tickets")
    [entry] = [entry for entry in catalog["streams"] if entry["tap_stream_id"] == "tickets"]
    entry["schema"]["properties"]["customFields"]["properties"] = {"vip": {"type": ["string", "null"]}}
    entry["schema"]["properties"]["customFields_vip"] = {"type": ["string", "null"]}
    config = settings(simulator, flattening_enabled=True, flattening_max_depth=1, flattening_separator="_")
    assert_refused(
        run_tap(config, catalog=catalog),
        "flattening_separator: '_' gives two columns the same name; choose another, such as __ (streams: tickets)",
    )


@pytest.mark.parametrize("length", [64, 255])
@pytest.mark.parametrize("depth", [0, 1, 5])
def test_flattening_that_shortens_nothing_works(simulator: Simulator, length: int, depth: int) -> None:
    options = {"flattening_enabled": True, "flattening_max_depth": depth, "flattening_max_key_length": length}
    run = run_tap(settings(simulator, **options))
    assert run.code == 0, run.log
    assert set(run.schemas) == set(original.DEFAULT)
