"""target-jsonl, target-csv and target-duckdb, as docs/tap/loaders.md sets them up: all cells equal the source."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from tap_daktela.streams.definitions import STREAMS
from tests.loaders.conftest import give_up
from tests.loaders.pipeline import FailedError, Loader, extract
from tests.loaders.source import differences
from tests.meltano import LOADERS
from tests.simulator import Simulator, generate
from tests.tap_daktela import original
from tests.tap_daktela.running import select, settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

Row = dict[str, Any]
FLAT = {"flattening_enabled": True, "flattening_max_depth": 1}
TYPES = {
    stream.name: {name: column["type"][0] for name, column in stream.schema()["properties"].items()}
    for stream in STREAMS
}


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    # Over both clock changes of a year, with texts of every kind.
    dataset = generate(activities=400, tickets=100, seed=5, now="2026-10-28 12:00:00", days=230)
    with Simulator(dataset) as simulator:
        yield simulator


def of_meltano(name: str) -> Loader:
    """Return a loader that Meltano has installed."""
    command = LOADERS / name / "venv" / "bin" / name
    if not command.exists():
        give_up(f"needs {name}: run make test")
    return Loader(command)


@pytest.mark.promise("T8")
def test_json_lines_equal_the_source(simulator: Simulator, tmp_path: Path) -> None:
    given = {"destination_path": str(tmp_path), "do_timestamp_file": False}
    of_meltano("target-jsonl").load(extract(settings(simulator)), given, tmp_path)
    tables = {
        stream: [
            json.loads(line) for line in (tmp_path / f"{stream}.jsonl").read_text("utf-8").split("\n") if line
        ]
        for stream in original.DEFAULT
    }
    assert not differences(simulator.dataset, tables)


# target-csv.


def read_csv(folder: Path) -> dict[str, list[Row]]:
    tables = {}
    for stream in original.DEFAULT:
        [path] = folder.glob(f"{stream}-*.csv")
        with path.open(encoding="utf-8", newline="") as file:
            tables[stream] = [*csv.DictReader(file)]
    return tables


def from_csv(stream: str, column: str, value: str, raw: Any) -> Any:
    """Return the value of a cell; CSV has no types, and does not tell null and an empty text apart."""
    kind = TYPES[stream][column]
    if not value and (kind != "string" or raw != ""):
        return None
    if kind == "boolean":
        return {"True": True, "False": False}[value]
    return value if kind == "string" else json.loads(value)


@pytest.mark.promise("T8")
def test_csv_equals_the_source(simulator: Simulator, loader: Callable[[str], Loader], tmp_path: Path) -> None:
    given = {"output_path": str(tmp_path / "csv"), "file_naming_scheme": "{stream_name}-{timestamp}.csv"}
    loader("target-csv").load(extract(settings(simulator, **FLAT)), given, tmp_path)
    assert not differences(simulator.dataset, read_csv(tmp_path / "csv"), decode=from_csv)


# target-duckdb.


@pytest.fixture
def duckdb_loader() -> Loader:
    return of_meltano("target-duckdb")


def read_duckdb(path: Path) -> dict[str, list[Row]]:
    tables = {}
    with duckdb.connect(path, read_only=True) as connection:
        for stream in original.DEFAULT:
            answer = connection.execute(f"SELECT * FROM {stream}")  # noqa: S608
            # The loader writes the names of columns in small letters.
            names = {name.lower(): name for name in TYPES[stream]}
            columns = [names[column] for column, *_ in answer.description or ()]
            tables[stream] = [dict(zip(columns, row, strict=True)) for row in answer.fetchall()]
    return tables


def from_duckdb(stream: str, column: str, value: Any, raw: Any) -> Any:
    """Return the value of a cell; the loader makes null of empty texts."""
    if value is None and raw == "" and TYPES[stream][column] == "string":
        return ""
    if value is not None and TYPES[stream][column] in {"array", "object"}:
        return json.loads(value)
    return value.isoformat() if hasattr(value, "isoformat") else value


@pytest.mark.promise("T8")
def test_duckdb_equals_the_source(simulator: Simulator, duckdb_loader: Loader, tmp_path: Path) -> None:
    given = {"path": str(tmp_path / "daktela.duckdb"), "default_target_schema": "main"}
    duckdb_loader.load(extract(settings(simulator)), given, tmp_path)
    assert not differences(simulator.dataset, read_duckdb(tmp_path / "daktela.duckdb"), decode=from_duckdb)


def test_duckdb_takes_long_texts_if_a_stream_map_shortens_them(duckdb_loader: Loader, tmp_path: Path) -> None:
    """The loader writes CSV, and DuckDB reads at most 2 MiB of it in one line."""
    given = {"path": str(tmp_path / "daktela.duckdb"), "default_target_schema": "main"}
    catalog = select("activities_email")
    dataset = generate(activities=60, tickets=10, seed=5)
    [email, *_] = original.rows(dataset, "activities_email")
    email["item"]["text"] = 'ř\t"' * 1_000_000
    with Simulator(dataset) as simulator:
        with pytest.raises(FailedError, match="aximum line size"):
            duckdb_loader.load(extract(settings(simulator), catalog=catalog), given, tmp_path)
        maps = {"activities_email": {"item_text": "item_text[:500000] if item_text else item_text"}}
        lines = extract(settings(simulator, stream_maps=maps), catalog=catalog)
        duckdb_loader.load(lines, given, tmp_path)
    with duckdb.connect(tmp_path / "daktela.duckdb", read_only=True) as connection:
        [[rows, longest]] = connection.execute(
            "SELECT count(*), max(length(item_text)) FROM activities_email"
        ).fetchall()
    assert (rows, longest) == (len(original.rows(dataset, "activities_email")), 500_000)
