"""The page for users of the original extractor is correct: its tables, settings, SQL and loader.

`tests/tap_daktela/original.py` creates the original tables from a simulated instance, as text.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import duckdb
import pytest
import yaml

from tap_daktela.inputs.settings import SCHEMA, problems
from tap_daktela.tap import TapDaktela
from tests.meltano import LOADERS
from tests.processes import running
from tests.simulator import Simulator, generate
from tests.tap_daktela import original
from tests.tap_daktela.quick import main
from tests.tap_daktela.running import Run, run_tap, select, settings
from tests.test_reference import code, load, load_rows, names, section, table
from tools.reference import BY_NAME, EXTRACTOR_PAGE, TABLES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PRAGUE = ZoneInfo("Europe/Prague")
TEXT = EXTRACTOR_PAGE.read_text(encoding="utf-8")
LOADER = LOADERS / "target-duckdb" / "venv" / "bin" / "target-duckdb"
DIFFERENCES = {row[0]: row[1:] for row in table(section("## What differs", TEXT), "point")}

# The tables in the documentation of the original, with the names of its files.
DOCUMENTED = {
    *("activities", "activitiesCall", "activitiesEmail", "activitiesChat", "accounts", "groups", "pauses"),
    *("queues", "statuses", "templates", "tickets"),
}

with_loader = pytest.mark.skipif(not LOADER.exists(), reason="needs Meltano's loaders: run make test")


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    """Return an instance of an old build, with custom fields of several values."""
    with Simulator(generate(activities=600, tickets=60, seed=11, build="2021")) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def run(simulator: Simulator) -> Run:
    """Return the output of the tap with the settings of the page."""
    run = run_tap(
        {**settings_of_the_page(simulator), "start_date": "2025-01-01"}, catalog=select(*original.COLUMNS)
    )
    assert run.code == 0, run.log
    return run


@pytest.fixture
def warehouse(simulator: Simulator, run: Run, tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Return a database with the original table of calls, whose columns are text, and with the new tables."""
    with duckdb.connect() as database:
        database.execute("CREATE SCHEMA extractor; CREATE SCHEMA daktela")
        load_old_calls(database, simulator, tmp_path)
        load(database, run, original.COLUMNS, tmp_path, "daktela")
        yield database


def settings_of_the_page(simulator: Simulator) -> dict[str, Any]:
    """Return the page's configuration, with the address of the simulator."""
    config: dict[str, Any] = plugin("extractors")["config"]
    return {**config, "url": simulator.url, "password": simulator.password}


def plugin(kind: str) -> dict[str, Any]:
    """Return a plugin of the page's definition."""
    definition = yaml.safe_load(code(TEXT, "yaml")[0])
    [found] = definition["plugins"][kind]
    return dict(found)


def old_calls(simulator: Simulator) -> list[dict[str, str]]:
    """Return the original table of calls in the form of its files."""
    rows = original.table(simulator.dataset, "activities_call")
    return [
        {"unique_key" if name == "unique_id" else name: as_text(name, value) for name, value in row.items()}
        for row in rows
    ]


def as_text(name: str, value: Any) -> str:
    """Return a cell in the form of R. A missing key has its prefix."""
    if value is None:
        return "acme_NA" if name in {"queue_name", "item_prefix_clid_name"} else "NA"
    return str(value).upper() if isinstance(value, bool) else str(value)


def load_old_calls(database: duckdb.DuckDBPyConnection, simulator: Simulator, folder: Path) -> None:
    """Create the original table of calls."""
    rows = old_calls(simulator)
    load_rows(database, 'extractor."acme_activitiesCall"', rows, folder, dict.fromkeys(rows[0], "VARCHAR"))


# The same.


def test_every_table_of_the_original_has_a_stream_with_its_columns_and_keys() -> None:
    found = {}
    for old, new, keys, columns in table(section("## Tables and columns", TEXT), "original table"):
        [[old_name], [new_name]] = names(old), names(new)
        stream = BY_NAME[new_name]
        found[old_name] = new_name
        assert tuple(names(keys)) == stream.keys
        assert set(names(keys)) <= set(names(columns))
        assert [column.name for column in stream.fields][: len(names(columns))] == names(columns)
    assert set(found) == DOCUMENTED | {"users"}
    assert {old: new for old, new in found.items() if old != new} == {old: new for new, old in TABLES.items()}
    assert "log" not in BY_NAME


def test_the_columns_are_those_of_the_original(simulator: Simulator) -> None:
    for _, new, _, columns in table(section("## Tables and columns", TEXT), "original table"):
        [name] = names(new)
        theirs = [column for column in original.table(simulator.dataset, name)[0] if column != "unique_id"]
        assert [*names(columns), "server"] == theirs


def test_the_rules_that_are_said_to_be_the_same_are(simulator: Simulator, run: Run) -> None:
    orphans = [row for row in simulator.dataset.tables["activities"] if row["type"] in original.ITEM_KEYS]
    assert any(row["item"] is None for row in orphans)
    for name in original.COLUMNS:
        assert set(run.keys(name)) == original.keys(simulator.dataset, name)
    calls = run.records["activities_call"]
    assert "abandon" in {call["item_disconnection_cause"] for call in calls}
    prefixes = {call["item_prefix_clid_name"] for call in calls}
    assert {"acme_", "acme_VIP"} <= prefixes
    for call in calls:
        both = f"{call['activities_name']}-{call['item_id_call']}"
        assert call["unique_id"] == hashlib.md5(both.encode()).hexdigest()  # noqa: S324
    assert {stream.name for stream in BY_NAME.values() if stream.replication_key} >= {"tickets", "activities"}
    assert SCHEMA["properties"]["settle_minutes"]["default"] == 30


# Different.


def test_names_of_tables_and_keys(simulator: Simulator) -> None:
    assert names(DIFFERENCES["names of tables"][1]) == [
        "activities_call",
        "prefix_stream_names",
        "acme_activities_call",
    ]
    run = run_tap({**settings(simulator), "prefix_stream_names": True})
    assert "acme_activities_call" in run.schemas
    # Letter for letter.
    spelled = run_tap({**settings(simulator), "server": "Acme"}, catalog=select("groups"))
    assert spelled.records["groups"]
    assert {record["name"][:5] for record in spelled.records["groups"]} == {"Acme_"}


def test_types(run: Run) -> None:
    call = next(record for record in run.records["activities_call"] if record["item_duration"])
    assert isinstance(call["item_answered"], bool)
    assert isinstance(call["item_duration"], int)
    shown = DIFFERENCES["datetimes"]
    [[theirs], [ours]] = names(shown[0]), names(shown[1])
    assert len(call["time"]) == len(ours)
    assert ours.endswith("Z")
    assert datetime.fromisoformat(ours) == datetime.fromisoformat(theirs).replace(tzinfo=PRAGUE)


def test_nothing_is_null(run: Run) -> None:
    values = [value for records in run.records.values() for record in records for value in record.values()]
    assert None in values
    assert not {"NA", "acme_NA"} & {value for value in values if isinstance(value, str)}
    assert None in {record["queue_name"] for record in run.records["activities"]}


def test_custom_fields(run: Run) -> None:
    operators = {record["record_customFields_operator"] for record in run.records["activities"]}
    assert {None, '["a","b"]'} <= operators
    assert '`["a","b"]`' in DIFFERENCES["custom fields of records"][1]


def test_relations_by_their_bare_name(run: Run) -> None:
    """Neither the original nor the new column has a value for an object, but another column does."""
    [cell] = [name for name in DIFFERENCES if name.startswith("`survey`")]
    columns = {"activities": ["survey", "record", "status"], "users": ["algo"], "templates": ["id_template"]}
    assert sorted(names(cell)) == sorted(column for each in columns.values() for column in each)
    for stream, each in columns.items():
        for column in each:
            assert {record[column] for record in run.records[stream]} == {None}
            assert BY_NAME[stream].field(f"{column}_name").source == f"{column}.name"
    assert any(record["record_name"] for record in run.records["activities"])


def test_the_defaults_are_the_tap_s() -> None:
    window = DIFFERENCES["what a run reads"][1]
    assert f"`lookback_minutes` ({SCHEMA['properties']['lookback_minutes']['default']}" in window


def test_the_log_contains_the_number_of_records(run: Run) -> None:
    assert not [name for name in run.schemas if "log" in name]
    for name in ("tickets", "activities_call"):
        assert re.search(rf"\b{name}\b.*\b{len(run.records[name])}\b", run.log)


# The way.


def test_the_settings_are_good() -> None:
    extractor = plugin("extractors")
    known = TapDaktela(config={}, validate_config=False, setup_mapper=False).config_jsonschema["properties"]
    assert {setting["name"] for setting in extractor["settings"]} <= set(known)
    assert {*extractor["config"], "url", "password", "stream_maps"} == {
        each["name"] for each in extractor["settings"]
    }
    assert {entry.removesuffix(".*") for entry in extractor["select"]} == set(original.COLUMNS)
    assert {setting for row in table(TEXT, "original extractor") for setting in names(row[1])} - {
        "parallel",
        "sequential",
    } <= set(known)
    for block in (extractor["config"], {**extractor["config"], **maps()}):
        config = {**block, "password": "x"}
        assert not problems(config, {"properties": known})
        arguments = ["--config", "{folder}/config.json", "--discover"]
        with running(main, arguments, files={"config.json": json.dumps(config).encode()}) as process:
            catalog = json.loads(process.output.read())
            assert process.wait(60) == 0, process.log()
        assert {stream["tap_stream_id"] for stream in catalog["streams"]} == set(BY_NAME)


def maps() -> dict[str, Any]:
    """Return the page's configuration of stream maps."""
    config: dict[str, Any] = yaml.safe_load(code(TEXT, "yaml")[1])["config"]
    return config


def test_the_old_names_change_neither_keys_nor_state(simulator: Simulator, run: Run) -> None:
    config = {**settings_of_the_page(simulator), "start_date": "2025-01-01"}
    renamed = run_tap({**config, **maps()}, catalog=select(*original.COLUMNS))
    aliases = {name: each["__alias__"] for name, each in maps()["stream_maps"].items()}
    assert aliases == {name: f"acme_{TABLES.get(name, name)}" for name in [*original.ITEMS, "tickets"]}
    assert set(renamed.schemas) == {aliases.get(name, name) for name in original.COLUMNS}
    for name, alias in aliases.items():
        assert sorted(renamed.keys(alias)) == sorted(run.keys(name))
    theirs = {row["activities_name"]: row["unique_key"] for row in old_calls(simulator)}
    calls = renamed.records["acme_activitiesCall"]
    assert {call["activities_name"]: call["unique_key"] for call in calls} == theirs
    assert not [call for call in calls if "unique_id" in call]
    assert renamed.state == run.state


def test_the_comparison_finds_nothing_where_nothing_is_wrong(warehouse: duckdb.DuckDBPyConnection) -> None:
    assert [warehouse.execute(sql).fetchall() for sql in checks()] == [[(0,)], [], [], [(0,)], [(0,)]]


def test_the_comparison_finds_each_fault(warehouse: duckdb.DuckDBPyConnection) -> None:
    doubled, days, missing, hashes, queues = checks()
    some = warehouse.execute(
        "SELECT activities_name, item_id_call FROM daktela.activities_call WHERE queue_name IS NOT NULL "
        "AND time >= '2026-03-01' ORDER BY 1 LIMIT 3"
    ).fetchall()
    change = "UPDATE daktela.activities_call SET {} = 'x' WHERE activities_name = ?"
    warehouse.execute(change.format("unique_id"), [some[0][0]])
    warehouse.execute(change.format("queue_name"), [some[1][0]])
    assert warehouse.execute(hashes).fetchall() == [(1,)]
    assert warehouse.execute(queues).fetchall() == [(1,)]
    warehouse.execute("DELETE FROM daktela.activities_call WHERE activities_name = ?", [some[2][0]])
    assert warehouse.execute(missing).fetchall() == [some[2]]
    [[_, old, new]] = warehouse.execute(days).fetchall()
    assert old == new + 1
    warehouse.execute(
        "INSERT INTO daktela.activities_call FROM daktela.activities_call WHERE activities_name = ?", [some[0][0]]
    )
    assert warehouse.execute(doubled).fetchall() == [(1,)]


def checks() -> list[str]:
    """Return the SQL of the page's check list."""
    text = section("### 4. Compare", TEXT)
    found = code(text, "sql")
    assert len(found) == text.count("- [ ] ")
    return found


def test_the_view_has_the_old_names(warehouse: duckdb.DuckDBPyConnection, simulator: Simulator) -> None:
    [sql] = code(section("#### The old names", TEXT), "sql")
    warehouse.execute(sql)
    columns = ("activities_name", "item_id_call", "unique_key", "item_clid")
    rows = warehouse.execute(f'SELECT {", ".join(columns)} FROM reports."acme_activitiesCall"').fetchall()  # noqa: S608
    expected = [tuple(row[name] for name in columns) for row in old_calls(simulator)]
    assert sorted(rows) == sorted(expected)


@pytest.mark.promise("T8")
def test_the_view_has_local_times(warehouse: duckdb.DuckDBPyConnection, simulator: Simulator) -> None:
    [sql] = code(section("#### Local times", TEXT), "sql")
    warehouse.execute(f"CREATE SCHEMA reports; {sql}")
    rows = warehouse.execute("SELECT activities_name, CAST(time AS VARCHAR) FROM reports.calls").fetchall()
    assert sorted(rows) == sorted((row["activities_name"], row["time"]) for row in old_calls(simulator))


@pytest.mark.promise("T8")
def test_a_stream_map_gives_the_local_times_of_the_original_as_text(simulator: Simulator) -> None:
    [block] = code(section("#### Local times", TEXT), "yaml")
    config = {**settings_of_the_page(simulator), "start_date": "2025-01-01", **yaml.safe_load(block)["config"]}
    run = run_tap(config, catalog=select("activities_call"))
    for column in ("time", "item_call_time"):
        assert "format" not in run.schemas["activities_call"]["schema"]["properties"][column]
    assert {
        (call["activities_name"], call["time"], call["item_call_time"] or "NA")
        for call in run.records["activities_call"]
    } == {(row["activities_name"], row["time"], row["item_call_time"]) for row in old_calls(simulator)}


# The loader.


COMPARED = (
    *("activities_name", "item_id_call", "time", "item_duration", "queue_name", "unique_id"),
    # The loader stores null for an empty text.
    "nullif(item_clid, '')",
    "item_answered",
)


@with_loader
def test_rows_that_are_carried_over_are_updated_and_not_doubled(
    simulator: Simulator, run: Run, tmp_path: Path
) -> None:
    [carry] = code(section("### 5. Keep what is only in the old tables", TEXT), "sql")
    path = tmp_path / "warehouse.duckdb"
    calls = run_tap(settings(simulator), catalog=select("activities_call"))
    recent = [message for message in calls.messages if message.get("record", {}).get("time", "9") >= "2026-03-01"]
    feed_loader(recent, path)
    with duckdb.connect(str(path)) as database:
        database.execute("CREATE SCHEMA extractor")
        load_old_calls(database, simulator, tmp_path)
        database.execute(carry)
        assert keys_in(database) == sorted(run.keys("activities_call"))
        # The example of the page leaves out the direction.
        carried = compared(database, "WHERE item_direction IS NULL")
        assert len(carried) > len(recent) / 4
    feed_loader(calls.messages, path)
    with duckdb.connect(str(path)) as database:
        assert keys_in(database) == sorted(run.keys("activities_call"))
        assert compared(database, "WHERE item_direction IS NULL") == {}
        loaded = compared(database)
    for name, cells in carried.items():
        assert cells[:-1] == loaded[name][:-1]
        # Old builds send some booleans as empty text, which is null in the warehouse.
        assert cells[-1] in {None, loaded[name][-1]}
    assert {cells[-1] for cells in carried.values()} >= {True, False}


def compared(database: duckdb.DuckDBPyConnection, condition: str = "") -> dict[str, tuple[Any, ...]]:
    """Return cells of the table of calls, by activity."""
    sql = f"SELECT {', '.join(COMPARED)} FROM daktela.activities_call {condition}"  # noqa: S608
    return {row[0]: row for row in database.execute(sql).fetchall()}


@with_loader
def test_the_loader_puts_new_columns_beside_those_of_an_old_table(simulator: Simulator, tmp_path: Path) -> None:
    """This is why the page says not to load into the old tables."""
    path = tmp_path / "warehouse.duckdb"
    messages = run_tap(settings(simulator), catalog=select("queues")).messages
    feed_loader(messages, path)
    with duckdb.connect(str(path)) as database:
        assert "userscount" in columns_of_queues(database)
        database.execute("CREATE OR REPLACE TABLE daktela.queues (name VARCHAR, deactivated VARCHAR)")
        database.execute("INSERT INTO daktela.queues VALUES ('acme_1', 'TRUE')")
    feed_loader(messages, path)
    with duckdb.connect(str(path)) as database:
        columns = columns_of_queues(database)
        rows = database.execute("SELECT deactivated FROM daktela.queues WHERE name = 'acme_1'").fetchall()
    assert any(re.fullmatch(r"deactivated_\d+_\d+", column) for column in columns)
    assert rows == [(None,)]


def columns_of_queues(database: duckdb.DuckDBPyConnection) -> set[str]:
    """Return the names of a table's columns."""
    query = "SELECT column_name FROM information_schema.columns WHERE table_name = 'queues'"
    return {name for (name,) in database.execute(query).fetchall()}


def feed_loader(messages: list[dict[str, Any]], path: Path) -> None:
    """Load messages with the loader of the page into its schema."""
    loader = plugin("loaders")
    config = path.parent / "loader.json"
    config.write_text(json.dumps({**loader["config"], "path": str(path)}), encoding="utf-8")
    lines = "".join(f"{json.dumps(message)}\n" for message in messages).encode()
    subprocess.run([str(LOADER), "--config", str(config)], input=lines, check=True, capture_output=True)


def keys_in(database: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
    """Return the keys in the table of calls, including duplicates."""
    return sorted(database.execute("SELECT activities_name, item_id_call FROM daktela.activities_call").fetchall())
