"""The complete pipeline. Tap, Meltano and loader are separate processes.

The loaded tables are compared with the content of the simulator. The rules of this comparison do not use code of
the tap.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias
from zoneinfo import ZoneInfo

import duckdb
import pytest
import yaml

from tests.meltano import PLUGINS_INSTALLED, Project
from tests.simulator import Simulator, generate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Keys: TypeAlias = tuple[str, ...]
Row: TypeAlias = dict[str, Any]

pytestmark = pytest.mark.skipif(
    not PLUGINS_INSTALLED.exists(), reason="needs Meltano and its plugins: run make test"
)

WHOLE = ("accounts", "groups", "pauses", "queues", "statuses", "templates")
ITEMS = {
    "activities_call": ("CALL", "id_call", "item_id_call"),
    "activities_email": ("EMAIL", "name", "item_name"),
    "activities_chat": ("CHAT", "name", "item_name"),
}
KEYS: dict[str, Keys] = dict.fromkeys((*WHOLE, "tickets", "activities"), ("name",)) | {
    stream: ("activities_name", column) for stream, (_, _, column) in ITEMS.items()
}
TEXT: dict[str, Any] = {"type": ["string", "null"]}
SETTLED = -30 * 60
"""The default of `settle_minutes`: the end of what a run reads, in seconds relative to now."""


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(generate(activities=1200, tickets=200, seed=3)) as simulator:
        yield simulator


def test_json_lines_hold_every_settled_row_once(simulator: Simulator, tmp_path: Path) -> None:
    run = Project(tmp_path, simulator.url).run("tap-daktela", "target-jsonl", log="run")

    lines = {path.stem: path.read_text().splitlines() for path in (tmp_path / "output").iterdir()}
    records = {stream: [json.loads(line) for line in texts] for stream, texts in lines.items()}
    keys = {stream: sorted(keys_of(stream, rows)) for stream, rows in records.items()}
    assert keys == {stream: sorted(wanted) for stream, wanted in settled_keys(simulator).items()}
    assert run.records == {stream: len(rows) for stream, rows in records.items()}


@pytest.mark.promise("T3")
def test_a_column_keeps_its_type_if_meltano_s_schema_extra_gives_none(
    simulator: Simulator, tmp_path: Path
) -> None:
    project = Project(tmp_path, simulator.url)
    definition = yaml.safe_load((tmp_path / "meltano.yml").read_text())
    [tap] = [each for each in definition["plugins"]["extractors"] if each["name"] == "tap-daktela"]
    tap["select"] = ["tickets.*"]
    rules = {"name": {"maxLength": 64}, "edited": {"title": "Edited"}, "customFields": TEXT}
    tap["schema"] = {"tickets": rules}
    (tmp_path / "meltano.yml").write_text(yaml.safe_dump(definition, sort_keys=False))
    entries = project.call("invoke", "tap-daktela", log="invoke").entries

    [schema] = [entry["schema"]["properties"] for entry in entries if entry.get("type") == "SCHEMA"]
    records = [entry["record"] for entry in entries if entry.get("type") == "RECORD"]
    assert (schema["name"]["type"], schema["name"]["maxLength"]) == (["string"], 64)
    assert (schema["edited"]["type"], schema["edited"]["format"]) == (["string", "null"], "date-time")
    assert schema["customFields"] == TEXT
    assert {type(record["customFields"]) for record in records} <= {str, type(None)}
    assert len(records) > 100


def test_duckdb_contains_every_settled_row_once_and_unchanged_after_two_runs(
    simulator: Simulator, tmp_path: Path
) -> None:
    project = Project(tmp_path, simulator.url)
    project.run("tap-daktela", "target-duckdb", log="first")

    first = settled_keys(simulator)
    assert loaded_keys(tmp_path) == first
    assert_types(tmp_path)
    assert_cells(simulator, tmp_path)
    assert set(project.bookmarks("target-duckdb").values()) == {settled_until(simulator)}

    simulator.advance(minutes=180, new_activities=60, new_tickets=8, edit_tickets=15, close_activities=12)
    again = project.run("tap-daktela", "target-duckdb", log="second")

    second = settled_keys(simulator)
    # An edited ticket is no longer settled. The rows that were loaded before stay.
    assert loaded_keys(tmp_path) == {stream: keys | first[stream] for stream, keys in second.items()}
    assert_cells(simulator, tmp_path)
    assert set(project.bookmarks("target-duckdb").values()) == {settled_until(simulator)}
    assert again.records["activities"] < len(second["activities"]) / 2


# The content of the simulator.


def settled_keys(simulator: Simulator) -> dict[str, set[Keys]]:
    """Return the keys of the rows that can be loaded now: settled, and with their item."""
    upper = simulator.clock.local(SETTLED)
    tables = simulator.dataset.tables
    kinds = {kind for kind, _, _ in ITEMS.values()}
    activities = [row for row in tables["activities"] if row["time"] < upper]
    found: dict[str, set[Keys]] = {
        stream: {(prefixed(row["name"]),) for row in tables[stream]} for stream in WHOLE
    }
    found["tickets"] = {(prefixed(row["name"]),) for row in tables["tickets"] if row["edited"] < upper}
    found["activities"] = {
        (prefixed(row["name"]),) for row in activities if row["item"] is not None or row["type"] not in kinds
    }
    for stream, (kind, key, _) in ITEMS.items():
        found[stream] = {
            (prefixed(row["name"]), prefixed(row["item"][key]))
            for row in activities
            if row["type"] == kind and row["item"] is not None
        }
    return found


def settled_until(simulator: Simulator) -> datetime:
    """Return the end of the range that can be loaded now."""
    return local(simulator, simulator.clock.local(SETTLED))


def local(simulator: Simulator, text: str) -> datetime:
    """Return a time of the simulator as an instant."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(simulator.dataset.timezone)).astimezone(UTC)


def prefixed(name: object) -> str:
    """Return a key with its prefix."""
    return f"demo_{name}"


# The loaded tables.


def keys_of(stream: str, rows: list[Row]) -> list[Keys]:
    """Return the keys of rows, including duplicates."""
    return [tuple(row[column] for column in KEYS[stream]) for row in rows]


def warehouse(folder: Path) -> duckdb.DuckDBPyConnection:
    """Return the loaded database."""
    return duckdb.connect(str(folder / "daktela.duckdb"), read_only=True)


def read(folder: Path, stream: str, columns: tuple[str, ...]) -> list[tuple[Any, ...]]:
    """Return columns of a loaded table."""
    with warehouse(folder) as connection:
        return connection.execute(f"SELECT {', '.join(columns)} FROM {stream}").fetchall()  # noqa: S608


def loaded_keys(folder: Path) -> dict[str, set[Keys]]:
    """Return the keys of all loaded tables. Check that none occurs twice."""
    found: dict[str, set[Keys]] = {}
    for stream, columns in KEYS.items():
        rows = read(folder, stream, columns)
        found[stream] = set(rows)
        assert len(found[stream]) == len(rows)
    return found


def assert_types(folder: Path) -> None:
    """Check the type in the loader of a column of each kind."""
    query = "SELECT table_name, column_name, data_type FROM information_schema.columns"
    with warehouse(folder) as connection:
        types = {(table, column): kind for table, column, kind in connection.execute(query).fetchall()}
    assert types["activities", "name"] == "VARCHAR"
    assert types["activities", "time"] == "TIMESTAMP"
    assert types["activities", "duration"] == "HUGEINT"
    assert types["activities", "important"] == "BOOLEAN"
    assert types["tickets", "customfields"] == "JSON"
    assert types["tickets", "statuses_name"] == "JSON"


def assert_cells(simulator: Simulator, folder: Path) -> None:
    """Compare cells of all settled tickets and activities with the simulator."""
    upper = simulator.clock.local(SETTLED)
    tables = simulator.dataset.tables

    def moment(text: str | None) -> datetime | None:
        # The loader stores UTC without a zone.
        return None if text is None else local(simulator, text).replace(tzinfo=None)

    tickets = {
        prefixed(row["name"]): (row["stage"], moment(row["created"]), moment(row["edited"]))
        for row in tables["tickets"]
        if row["edited"] < upper
    }
    activities = {
        prefixed(row["name"]): (row["action"], moment(row["time"]), moment(row["time_close"]))
        for row in tables["activities"]
        # An activity that was just closed is read by the next run.
        if row["time_close"] is None or row["time_close"] < upper
    }
    loaded = {row[0]: row[1:] for row in read(folder, "tickets", ("name", "stage", "created", "edited"))}
    assert {name: loaded[name] for name in tickets} == tickets
    loaded = {row[0]: row[1:] for row in read(folder, "activities", ("name", "action", "time", "time_close"))}
    assert {name: cells for name, cells in loaded.items() if name in activities} == {
        name: cells for name, cells in activities.items() if name in loaded
    }
