"""Configuration, catalog and state files: each problem is one line that names its place."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.simulator import Simulator, generate
from tests.tap_daktela.running import run_command, run_tap, select, settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.tap_daktela.running import Run

    Change = Callable[[dict[str, Any], dict[str, Any]], object]

BOM = b"\xef\xbb\xbf"


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(generate(activities=20, tickets=10, seed=2)) as instance:
        yield instance


def run_files(simulator: Simulator, tmp_path: Path, **files: bytes) -> tuple[int, list[str], str]:
    """Run the tap with files of any content; return its exit code, the texts of its errors, and its output."""
    contents = {"config": json.dumps(settings(simulator)).encode(), **files}
    arguments = []
    for name, content in contents.items():
        path = tmp_path / f"{name}.json"
        path.write_bytes(content)
        arguments += [f"--{name}", str(path)]
    result = run_command(arguments)
    assert "Traceback" not in result.stderr
    lines = [line for line in result.stderr.splitlines() if "| ERROR " in line]
    errors = [line.split(" | ", 3)[3].replace(f"{tmp_path}/", "") for line in lines]
    return result.returncode, errors, result.stdout


# Files.

UNUSABLE: list[tuple[bytes, str]] = [
    (b"", "not valid JSON: it is empty"),
    (b" \n", "not valid JSON: it is empty"),
    (BOM, "not valid JSON: it is empty"),
    (b"{", "not valid JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
    (b"[]", "must be a JSON object"),
    (b'[["url", "x"]]', "must be a JSON object"),
    (b'"text"', "must be a JSON object"),
    (b"null", "must be a JSON object"),
    (b'{"url": 1, "url": 2}', "not valid JSON: 'url' occurs twice in an object"),
    (b'{"page_size": NaN}', "not valid JSON: NaN is not JSON"),
    ('{"url": "ř"}'.encode("cp1250"), "not encoded in UTF-8"),
    ("{}".encode("utf-16"), "encoded in UTF-16; save it as UTF-8"),
    (b"[" * 100_000, "nested too deeply"),
    (gzip.compress(b"{}", mtime=0), "compressed with gzip; decompress it first"),
]


@pytest.mark.parametrize("name", ["config", "catalog", "state"])
@pytest.mark.parametrize(("content", "reason"), UNUSABLE)
def test_a_file_that_is_no_json_object_is_one_line(
    simulator: Simulator, tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    code, errors, output = run_files(simulator, tmp_path, **{name: content})
    assert (code, errors, output) == (1, [f"{name}: {name}.json: {reason}"], "")


def test_files_may_begin_with_a_byte_order_mark(simulator: Simulator, tmp_path: Path) -> None:
    files = {
        "config": BOM + json.dumps(settings(simulator)).encode(),
        "catalog": BOM + json.dumps(select("queues")).encode(),
        "state": BOM + b"{}",
    }
    code, errors, output = run_files(simulator, tmp_path, **files)
    assert (code, errors) == (0, [])
    assert '"stream":"queues"' in output


MESSAGES = b'{"type":"SCHEMA","stream":"x"}\n{"type":"STATE","value":{"bookmarks":{}}}\n'
KINDS = {
    "catalog": b'{"streams": []}',
    "state": b'{"bookmarks": {}}',
    "config": b'{"server": "acme", "access_token": "x"}',
    "messages": MESSAGES,
    "message": MESSAGES.splitlines()[1],
    "states": b'{"bookmarks": {}}\n{"bookmarks": {}}\n',
    "meltano": b'{"completed": {}, "singer_state": {"bookmarks": {}}}',
    "other": b'{"value": 1}',
}


@pytest.mark.parametrize(
    ("name", "kind", "reason"),
    [
        (
            "state",
            "messages",
            "contains several lines, the first of which is a Singer message; give a Singer st",
        ),
        ("state", "messages", "; give the value of the last STATE message"),
        (
            "state",
            "message",
            "contains a Singer message, not a Singer state; give the value of the last STA",
        ),
        ("state", "states", "contains several lines; give one of them only, of states the last one"),
        (
            "state",
            "meltano",
            "contains a state that Meltano has exported, not a Singer state; give the value of",
        ),
        ("state", "catalog", "contains a Singer catalog, not a Singer state"),
        ("state", "config", "contains a configuration, not a Singer state"),
        ("state", "other", "has no bookmarks; give the value of the last STATE message"),
        ("catalog", "state", "contains a Singer state, not a Singer catalog"),
        ("catalog", "config", "contains a configuration, not a Singer catalog"),
        (
            "catalog",
            "messages",
            "contains several lines, the first of which is a Singer message; give a Singer",
        ),
        ("catalog", "other", "lacks streams"),
        ("config", "state", "contains a Singer state, not a configuration"),
        ("config", "catalog", "contains a Singer catalog, not a configuration"),
        (
            "config",
            "messages",
            "contains several lines, the first of which is a Singer message; give a config",
        ),
    ],
)
def test_a_file_given_for_another_one_is_one_line_that_says_what_it_contains(
    simulator: Simulator, tmp_path: Path, name: str, kind: str, reason: str
) -> None:
    simulator.clear()
    code, [error], output = run_files(simulator, tmp_path, **{name: KINDS[kind]})
    assert (code, output) == (1, "")
    assert error.startswith(f"{name}: ")
    assert reason in error
    assert not simulator.requests


@pytest.mark.parametrize("option", ["state", "catalog"])
def test_a_file_that_cannot_be_opened_is_one_line(simulator: Simulator, tmp_path: Path, option: str) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps(settings(simulator)))
    for path, reason in ((tmp_path / "no.json", "No such file or directory"), (tmp_path, "Is a directory")):
        result = run_command(["--config", str(config), f"--{option}", str(path)])
        assert result.returncode == 1
        [line] = result.stderr.splitlines()
        assert line.endswith(f"| {option}: {path}: cannot be read: {reason}")


def test_later_configuration_files_win_and_a_missing_one_is_one_line(simulator: Simulator, tmp_path: Path) -> None:
    one, two = tmp_path / "one.json", tmp_path / "two.json"
    one.write_text(json.dumps(settings(simulator, page_size=0)))
    two.write_text(json.dumps({"page_size": 5}))
    catalog = tmp_path / "catalog.json"
    catalog.write_text(json.dumps(select("queues")))
    assert run_command(["--config", str(one), "--config", str(two), "--catalog", str(catalog)]).returncode == 0
    for path, reason in ((tmp_path / "no.json", "No such file or directory"), (tmp_path, "Is a directory")):
        result = run_command(["--config", str(one), "--config", str(path)])
        assert result.returncode == 1
        assert f"config: {path}: cannot be read: {reason}" in result.stderr
        assert "Traceback" not in result.stderr


# The environment.


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("verify_tls", "ture", "must be true or false, not 'ture'"),
        ("verify_tls", "", "must be true or false, not empty: remove it, or set it to true or false"),
        ("allow_http", "2", "must be true or false, not '2'"),
        ("page_size", "1e3", "must be a whole number"),
        ("page_size", "", "must be a whole number"),
        ("instances", "acme", "must be JSON"),
        ("extra_fields", "{tickets: [x]}", "must be JSON"),
        ("stream_maps", "[" * 100_000, "must be JSON"),
    ],
)
def test_a_setting_in_the_environment_that_would_be_misread_is_one_line(
    name: str, value: str, reason: str
) -> None:
    variable = f"TAP_DAKTELA_{name.upper()}"
    environment = {"TAP_DAKTELA_SERVER": "acme", "TAP_DAKTELA_ACCESS_TOKEN": "x" * 40, variable: value}
    result = run_command(["--config", "ENV"], environment)
    assert result.returncode == 1
    [line] = [line for line in result.stderr.splitlines() if "| ERROR " in line]
    assert line.endswith(f"| {name}: {variable} in the environment {reason}")
    assert "Traceback" not in result.stderr


def test_settings_of_all_types_can_come_from_the_environment(simulator: Simulator) -> None:
    instances = [{"url": simulator.url, "server": "acme", "access_token": simulator.access_token}]
    environment = {
        "TAP_DAKTELA_INSTANCES": json.dumps(instances),
        "TAP_DAKTELA_PAGE_SIZE": " 7 ",
        "TAP_DAKTELA_REQUEST_TIMEOUT": "2.5",
        "TAP_DAKTELA_VERIFY_TLS": "Yes",
        "TAP_DAKTELA_PREFIX_KEYS": "off",
        "TAP_DAKTELA_EXTRA_FIELDS": '{"queues": ["options"]}',
        "TAP_DAKTELA_STREAM_MAPS": '{"__else__": null, "queues": {"x": "\'y\'"}}',
    }
    result = run_command(["--config", "ENV"], environment)
    assert result.returncode == 0, result.stderr
    records = [
        message for line in result.stdout.split("\n") if line and (message := json.loads(line))["type"] == "RECORD"
    ]
    assert {message["stream"] for message in records} == {"queues"}
    assert all(message["record"]["x"] == "y" for message in records)
    assert not records[0]["record"]["name"].startswith("acme_")


# The catalog.


def changed(change: Change) -> dict[str, Any]:
    """Return the catalog with `queues` selected, changed by a function of the catalog and this entry."""
    catalog = select("queues")
    [entry] = [entry for entry in catalog["streams"] if entry["tap_stream_id"] == "queues"]
    change(catalog, entry)
    return catalog


def root(entry: dict[str, Any]) -> dict[str, Any]:
    """Return the metadata of a stream itself."""
    found: dict[str, Any]
    [found] = [item["metadata"] for item in entry["metadata"] if not item["breadcrumb"]]
    return found


REFUSED: dict[str, tuple[Change, str]] = {
    "no streams": (lambda catalog, _: catalog.pop("streams"), "lacks streams"),
    "streams that are no list": (lambda catalog, _: catalog.update(streams={}), "streams: must be a list"),
    "an entry that is a text": (
        lambda catalog, _: catalog["streams"].insert(0, "x"),
        "streams[0]: must be an object, not 'x'",
    ),
    "an entry without its name": (
        lambda catalog, _: catalog["streams"].insert(0, {"schema": {}}),
        "streams[0]: lacks tap_stream_id",
    ),
    "an entry without its schema": (lambda _, entry: entry.pop("schema"), "queues: lacks schema"),
    "a schema that is a text": (
        lambda _, entry: entry.update(schema="x"),
        "queues: schema: must be an object, not 'x'",
    ),
    "a column that is a text": (
        lambda _, entry: entry["schema"]["properties"].update(title="string"),
        "queues: schema.properties.title: must be an object, not 'string'",
    ),
    "items that are a list": (
        lambda _, entry: entry["schema"]["properties"]["title"].update(items=[{}]),
        "queues: schema.properties.title.items: must be an object",
    ),
    "metadata that is null": (
        lambda _, entry: entry.update(metadata=None),
        "queues: metadata: must be a list, not null",
    ),
    "metadata that is an object": (lambda _, entry: entry.update(metadata={}), "queues: metadata: must be a list"),
    "metadata without a breadcrumb": (
        lambda _, entry: entry.update(metadata=[{"metadata": {}}]),
        "queues: metadata[0]: lacks breadcrumb",
    ),
    "a breadcrumb that is a text": (
        lambda _, entry: entry.update(metadata=[{"breadcrumb": "x", "metadata": {}}]),
        "queues: metadata[0].breadcrumb: must be a list, not 'x'",
    ),
    "a selection that is a text": (
        lambda _, entry: entry.update(metadata=[{"breadcrumb": [], "metadata": {"selected": "false"}}]),
        "queues: metadata[0].metadata.selected: must be true or false, not 'false'",
    ),
    "an unknown inclusion": (
        lambda _, entry: entry.update(metadata=[{"breadcrumb": [], "metadata": {"inclusion": "always"}}]),
        "queues: metadata[0].metadata.inclusion: must be one of available, automatic, unsupported, not 'always'",
    ),
    "an unknown method": (
        lambda _, entry: entry.update(replication_method="LOG_BASED"),
        "queues: replication_method: must be one of FULL_TABLE, INCREMENTAL, not 'LOG_BASED'",
    ),
    "keys that are a text": (
        lambda _, entry: entry.update(key_properties="name"),
        "queues: key_properties: must be a list, not 'name'",
    ),
    "a stream twice": (
        lambda catalog, entry: catalog["streams"].append(entry),
        "the stream 'queues' occurs twice; remove one",
    ),
    "a selected stream that does not exist": (
        lambda catalog, entry: catalog["streams"].append({**entry, "tap_stream_id": "queuez"}),
        "there is no stream 'queuez'; did you mean queues?; discover again, or deselect it",
    ),
    "the catalog of another tap": (
        lambda catalog, _: catalog.update(streams=[{"tap_stream_id": "orders", "schema": {}}]),
        "there is no stream 'orders'; discover again, or deselect it",
    ),
}


@pytest.mark.parametrize(("change", "reason"), REFUSED.values(), ids=list(REFUSED))
def test_a_catalog_that_cannot_be_used_is_one_line(simulator: Simulator, change: Change, reason: str) -> None:
    simulator.clear()
    run = run_tap(settings(simulator), catalog=changed(change))
    assert (run.code, run.errors, run.messages) == (1, [f"catalog: {reason}"], [])
    assert "Traceback" not in run.log
    assert not simulator.requests


def deselect_key(_: dict[str, Any], entry: dict[str, Any]) -> None:
    for item in entry["metadata"]:
        if item["breadcrumb"] == ["properties", "name"]:
            item["metadata"] = {"inclusion": "available", "selected": False}


READ: dict[str, tuple[Change, list[str]]] = {
    "another name": (
        lambda _, entry: entry.update(stream="waiting_rooms"),
        ["stream is 'waiting_rooms', which has no effect; the tap uses 'queues'"],
    ),
    "another key": (
        lambda _, entry: entry.update(key_properties=["title"]),
        ["key_properties is ['title'], which has no effect; the tap uses ['name']"],
    ),
    "another replication key": (
        lambda _, entry: entry.update(replication_key="title", replication_method="INCREMENTAL"),
        ["replication_key is 'title', which has no effect"],
    ),
    "no name": (lambda _, entry: entry.pop("stream"), []),
    "no keys": (lambda _, entry: entry.pop("key_properties"), []),
    "a key that is not selected": (deselect_key, []),
    "a key that the schema lacks": (lambda _, entry: entry["schema"]["properties"].pop("name"), []),
    "no metadata": (lambda _, entry: entry.pop("metadata"), []),
    "empty metadata": (lambda _, entry: entry.update(metadata=[]), []),
    "metadata of one column only": (
        lambda _, entry: entry.update(
            metadata=[{"breadcrumb": ["properties", "title"], "metadata": {"selected": True}}]
        ),
        [],
    ),
    "a stream that does not exist and is not selected": (
        lambda catalog, entry: catalog["streams"].append(
            {**entry, "tap_stream_id": "orders", "metadata": [{"breadcrumb": [], "metadata": {"selected": False}}]}
        ),
        [],
    ),
}


@pytest.mark.parametrize(("change", "warnings"), READ.values(), ids=list(READ))
@pytest.mark.promise("T3")
def test_records_have_their_keys_with_any_catalog(
    simulator: Simulator, change: Change, warnings: list[str]
) -> None:
    run = run_tap(settings(simulator), catalog=changed(change))
    assert run.code == 0, run.log
    assert run.warnings == [f"catalog: queues: {warning}" for warning in warnings]
    assert set(run.keys("queues")) == {(f"acme_{row['name']}",) for row in simulator.dataset.tables["queues"]}
    schema = run.schemas["queues"]
    assert schema["key_properties"] == ["name"]
    assert schema["schema"]["properties"].keys() >= {"name", "title"}
    assert all(record.keys() == schema["schema"]["properties"].keys() for record in run.records["queues"])


def test_a_schema_without_columns_is_warned_about_and_the_keys_are_read(simulator: Simulator) -> None:
    run = run_tap(settings(simulator), catalog=changed(lambda _, entry: entry.update(schema={})))
    assert run.code == 0, run.log
    assert run.warnings == ["catalog: queues: the schema has no columns, so only the keys are read"]
    assert set(run.records["queues"][0]) == set(run.schemas["queues"]["schema"]["properties"]) == {"name"}


def test_a_catalog_older_than_extra_fields_is_warned_about(simulator: Simulator) -> None:
    extra = {"queues": ["options"], "tickets": ["summary"]}
    run = run_tap(settings(simulator, extra_fields=extra), catalog=select("queues"))
    assert run.code == 0, run.log
    [line] = run.warnings
    assert line.startswith(
        "catalog: queues: the columns options of extra_fields are missing, so they are not read;"
    )


@pytest.mark.parametrize(
    "change", [lambda _, entry: root(entry).update(selected=False), lambda catalog, _: catalog.update(streams=[])]
)
def test_a_catalog_without_a_selected_stream_is_warned_about(simulator: Simulator, change: Change) -> None:
    run = run_tap(settings(simulator), catalog=changed(change))
    assert (run.code, run.messages) == (0, [])
    assert run.warnings == ["catalog: no stream is selected, so nothing is read"]


def test_a_full_table_by_the_catalog_ignores_the_bookmark() -> None:
    catalog = select("tickets")
    [entry] = [entry for entry in catalog["streams"] if entry["tap_stream_id"] == "tickets"]
    entry["replication_method"] = "FULL_TABLE"
    with Simulator(generate(activities=20, tickets=30, seed=2)) as simulator:
        first = run_tap(settings(simulator), catalog=select("tickets"))
        again = run_tap(settings(simulator), catalog=catalog, state=first.state)
    assert again.code == 0, again.log
    assert again.keys("tickets") == first.keys("tickets")


# The state.


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({"bookmarks": None}, "bookmarks: must be an object, not null"),
        ({"bookmarks": {"tickets": 5}}, "bookmarks.tickets: must be an object, not 5"),
        ({"bookmarks": {"tickets": {"partitions": {}}}}, "bookmarks.tickets.partitions: must be a list"),
        ({"bookmarks": {"tickets": {"partitions": [{}]}}}, "bookmarks.tickets.partitions[0]: lacks context"),
        (
            {"bookmarks": {"tickets": {"partitions": [{"context": "acme"}]}}},
            "bookmarks.tickets.partitions[0].context: must be an object, not 'acme'",
        ),
    ],
)
def test_a_state_of_another_form_is_one_line(simulator: Simulator, state: dict[str, Any], reason: str) -> None:
    run = run_tap(settings(simulator), state=state)
    assert (run.code, run.errors, run.messages) == (1, [f"state: {reason}"], [])
    assert "Traceback" not in run.log


def test_states_of_unknown_streams_are_kept(simulator: Simulator) -> None:
    bookmarks = {"orders": {"replication_key_value": 5}}
    run: Run = run_tap(settings(simulator), state={"bookmarks": bookmarks}, catalog=select("queues"))
    assert run.code == 0, run.log
    assert run.state["bookmarks"]["orders"] == bookmarks["orders"]
