"""Rows that were deleted in Daktela, in a real PostgreSQL: marked or removed exactly, and never by mistake."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from tests.loaders.pipeline import extract, messages
from tests.simulator import Fault, Simulator, generate
from tests.tap_daktela.running import select

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.loaders.pipeline import Loader
    from tests.loaders.postgresql import Database, Server

SCHEMA = "daktela"
STREAMS = ("queues", "pauses", "tickets")
_names = count()

Keys = set[str]


@pytest.fixture
def acme() -> Iterator[Simulator]:
    with Simulator(generate(activities=60, tickets=30, seed=5)) as simulator:
        yield simulator


@pytest.fixture
def umbrella() -> Iterator[Simulator]:
    with Simulator(generate(activities=60, tickets=30, seed=6)) as simulator:
        yield simulator


@dataclass
class Warehouse:
    """A database with the tables of two instances, and the pipeline that fills it."""

    acme: Simulator
    umbrella: Simulator
    target: Loader
    database: Database
    folder: Path
    hard: bool
    options: dict[str, Any] = field(default_factory=dict)
    state: dict[str, Any] | None = None
    _second: int = 0

    def extract(self, *, fails: bool = False, **options: Any) -> bytes:
        """Return the tap's messages; the version of a run is the second in which it starts."""
        while int(time.time()) == self._second:
            time.sleep(0.02)
        self._second = int(time.time())
        instances = [
            {"url": each.url, "server": server, "access_token": each.access_token}
            for server, each in (("acme", self.acme), ("umbrella", self.umbrella))
        ]
        config = {"instances": instances, "emit_activate_version_messages": True, **self.options, **options}
        return extract(config, state=self.state, catalog=select(*STREAMS), fails=fails)

    def load(self, lines: bytes, **options: Any) -> None:
        given = {"sqlalchemy_url": self.database.url, "default_target_schema": SCHEMA, "hard_delete": self.hard}
        self.state = self.target.load(lines, {**given, **options}, self.folder) or self.state

    def run(self, **options: Any) -> None:
        self.load(self.extract(**options))

    def present(self, table: str) -> Keys:
        """Return the keys of the rows that are not marked as deleted."""
        return {row["name"] for row in self._rows(table) if row["_sdc_deleted_at"] is None}

    def marked(self, table: str) -> Keys:
        """Return the keys of the rows that are marked as deleted."""
        return {row["name"] for row in self._rows(table) if row["_sdc_deleted_at"] is not None}

    def _rows(self, table: str) -> list[dict[str, Any]]:
        return self.database.rows(f"SELECT name, _sdc_deleted_at FROM {SCHEMA}.{table}")  # noqa: S608

    def source(self, table: str) -> Keys:
        """Return the keys of the rows that both instances have."""
        return {
            f"{server}_{row['name']}"
            for server, simulator in (("acme", self.acme), ("umbrella", self.umbrella))
            for row in simulator.dataset.tables[table]
        }

    def assert_gone(self, table: str, gone: Keys, source: str = "") -> None:
        """Check that a table has all rows of its source, and of all others only those marked as `gone`."""
        assert self.present(table) == self.source(source or table)
        assert self.marked(table) == (set() if self.hard else gone)


@pytest.fixture(params=["soft", "hard"])
def warehouse(
    *,
    request: pytest.FixtureRequest,
    acme: Simulator,
    umbrella: Simulator,
    loader: Callable[[str], Loader],
    postgres: Server,
    tmp_path: Path,
) -> Warehouse:
    target = loader("target-postgres")
    database = postgres.create_database(f"deletions_{next(_names)}")
    return Warehouse(acme, umbrella, target, database, tmp_path, hard=request.param == "hard")


def remove(simulator: Simulator, server: str, table: str, number: int = 1) -> Keys:
    """Delete rows of a table and return the keys that they have in the warehouse."""
    names = [row["name"] for row in simulator.dataset.tables[table][:number]]
    for name in names:
        simulator.remove(table, name)
    return {f"{server}_{name}" for name in names}


def test_exactly_the_deleted_rows_are_deleted_and_come_back(warehouse: Warehouse) -> None:
    warehouse.run()
    for table in ("queues", "pauses"):
        warehouse.assert_gone(table, set())
    tickets = warehouse.present("tickets")

    [returning] = [warehouse.acme.dataset.tables["queues"][0]]
    queues = remove(warehouse.acme, "acme", "queues", 2) | remove(warehouse.umbrella, "umbrella", "queues")
    pauses = remove(warehouse.umbrella, "umbrella", "pauses")
    remove(warehouse.acme, "acme", "tickets", 3)
    warehouse.umbrella.insert("queues", {**warehouse.umbrella.dataset.tables["queues"][0], "name": 99_999})
    warehouse.run()
    warehouse.assert_gone("queues", queues)
    warehouse.assert_gone("pauses", pauses)
    assert (warehouse.present("tickets"), warehouse.marked("tickets")) == (tickets, set())

    warehouse.acme.insert("queues", returning)
    warehouse.run()
    warehouse.assert_gone("queues", queues - {f"acme_{returning['name']}"})
    warehouse.assert_gone("pauses", pauses)


@pytest.mark.parametrize("warehouse", ["hard"], indirect=True)
def test_rows_from_before_the_setting_are_deleted_too(warehouse: Warehouse) -> None:
    warehouse.run(emit_activate_version_messages=False)
    gone = remove(warehouse.acme, "acme", "queues")
    warehouse.run()
    warehouse.assert_gone("queues", gone)


@pytest.mark.parametrize("warehouse", ["soft"], indirect=True)
def test_with_copy(warehouse: Warehouse) -> None:
    warehouse.load(warehouse.extract(), use_copy=True)
    gone = remove(warehouse.acme, "acme", "queues")
    warehouse.load(warehouse.extract(), use_copy=True)
    warehouse.assert_gone("queues", gone)


def test_an_instance_that_fails_or_has_no_rows_deletes_nothing(warehouse: Warehouse) -> None:
    warehouse.run()
    before = {table: warehouse.present(table) for table in STREAMS}
    queues = remove(warehouse.acme, "acme", "queues")
    pauses = remove(warehouse.acme, "acme", "pauses")

    warehouse.umbrella.forbidden = {"queues"}
    removed = {table: [*warehouse.umbrella.dataset.tables[table]] for table in ("pauses",)}
    remove(warehouse.umbrella, "umbrella", "pauses", 1000)
    warehouse.run(fails=True)
    for table in ("queues", "pauses"):
        assert warehouse.present(table) == before[table]
        assert not warehouse.marked(table)

    # The whole instance.
    warehouse.umbrella.faults = [Fault("401", "*", times=None)]
    warehouse.run(fails=True)
    for table in STREAMS:
        assert warehouse.present(table) == before[table]

    # Once all are complete again, exactly those are deleted that are gone.
    warehouse.umbrella.forbidden, warehouse.umbrella.faults = set(), []
    for row in removed["pauses"]:
        warehouse.umbrella.insert("pauses", row)
    warehouse.run()
    warehouse.assert_gone("queues", queues)
    warehouse.assert_gone("pauses", pauses)


def test_a_killed_tap_or_loader_deletes_nothing(warehouse: Warehouse) -> None:
    warehouse.run()
    before = {table: warehouse.present(table) for table in STREAMS}
    gone = remove(warehouse.acme, "acme", "queues")
    lines = warehouse.extract()
    [first, *_] = messages(lines, "ACTIVATE_VERSION")
    message = json.dumps(first, separators=(",", ":")).encode()
    assert message in lines

    # Of a killed tap, whatever it has written up to any byte before its first ACTIVATE_VERSION.
    written = lines[: lines.index(message)]
    for part in (written, written[: len(written) // 2].rpartition(b"\n")[0] + b"\n"):
        warehouse.load(part)
        for table in STREAMS:
            assert (warehouse.present(table), warehouse.marked(table)) == (before[table], set())

    # Of a killed loader, whatever it has committed by then.
    begun = count(1)
    killed = {"sqlalchemy_url": warehouse.database.url, "default_target_schema": SCHEMA, "batch_size_rows": 5}
    warehouse.target.load(
        lines,
        {**killed, "hard_delete": warehouse.hard},
        warehouse.folder,
        kill=lambda line: "Inserting with SQL" in line and next(begun) == 2,
    )
    for table in STREAMS:
        assert (warehouse.present(table), warehouse.marked(table)) == (before[table], set())

    warehouse.run()
    warehouse.assert_gone("queues", gone)


@pytest.mark.parametrize(
    ("warehouse", "maps", "table"),
    [
        ("hard", {"queues": {"__alias__": "lines"}}, "lines"),
        ("soft", {"lines": {"__source__": "queues", "name": "name", "__else__": None}}, "lines"),
        ("hard", {"queues": {"__filter__": "server in ('acme', 'umbrella')", "loaded_by": "'x'"}}, "queues"),
        ("soft", {}, "queues"),
    ],
    ids=["renamed", "copied", "filtered", "flattened"],
    indirect=["warehouse"],
)
def test_with_stream_maps_and_flattening(warehouse: Warehouse, maps: dict[str, Any], table: str) -> None:
    warehouse.options = {"stream_maps": maps, "flattening_enabled": True, "flattening_max_depth": 1}
    warehouse.run()
    gone = remove(warehouse.acme, "acme", "queues") | remove(warehouse.umbrella, "umbrella", "queues")
    warehouse.run()
    warehouse.assert_gone(table, gone, "queues")
    warehouse.assert_gone("pauses", set())
