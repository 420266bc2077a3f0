"""Load two instances in slices into one warehouse. One slice is killed and continues.

Dagster, tap and loader are the real ones. The content of the warehouse is compared with the content of the
simulators. The rules of this comparison do not use code of the tap.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import threading
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias
from zoneinfo import ZoneInfo

import backfill
import dagster as dg
import duckdb
import pytest

from tests.markdown import blocks, commands
from tests.shell import Shell
from tests.simulator import Fault, Simulator, generate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.simulator import Dataset

Key: TypeAlias = tuple[str, ...]
Slice: TypeAlias = tuple[str, str]

FOLDER = Path(__file__).parent
TAP = FOLDER.parents[1] / ".venv" / "bin" / "tap-daktela"
LOADER = Path(sys.executable).with_name("target-duckdb")

ZONES = {"acme": "Europe/Prague", "globex": "America/New_York"}
MONTHS = {
    "2024-01": ("2024-01-01 00:00:00", "2024-02-01 00:00:00"),
    "2024-02": ("2024-02-01 00:00:00", "2024-03-01 00:00:00"),
}
"""As the instances write them: the first second, and the first one after."""
BORDERS = (
    *("2023-12-31 23:59:59", "2024-01-01 00:00:00", "2024-01-31 23:59:59", "2024-02-01 00:00:00"),
    *("2024-02-29 23:59:59", "2024-03-01 00:00:00"),
)
KILLED = ("acme", "2024-02")
ITEMS = {
    "activities_call": ("CALL", "id_call", "item_id_call"),
    "activities_email": ("EMAIL", "name", "item_name"),
    "activities_chat": ("CHAT", "name", "item_name"),
}
KEYS: dict[str, Key] = {"tickets": ("name",), "activities": ("name",)} | {
    stream: ("activities_name", column) for stream, (_, _, column) in ITEMS.items()
}


@dataclass
class Backfill:
    """A backfill in its own folder."""

    folder: Path
    simulators: dict[str, Simulator]
    dagster: dg.DagsterInstance
    settings: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.settings = {
            "start_month": "2024-01",
            "end_month": "2024-03",
            "states": str(self.folder / "states"),
            "assets": {"activities": ["activities", *ITEMS], "tickets": ["tickets"]},
            "instances": {server: {"url": each.url} for server, each in self.simulators.items()},
            "pipeline": {
                # Writes its process id and a copy of the input of the loader.
                "tap": self._script("tap", f'echo $$ > "{self.folder}/number"; exec "{TAP}" "$@"'),
                "tap_settings": {"page_size": 5},
                "loader": self._script("loader", f'tee "{self.folder}/messages" | "{LOADER}" "$@"'),
                "loader_settings": {
                    "path": str(self.warehouse),
                    "default_target_schema": "main",
                    "flush_all_streams": True,
                    "batch_size_rows": 50,
                },
            },
        }

    def _script(self, name: str, line: str) -> str:
        path = self.folder / name
        path.write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
        path.chmod(0o700)
        return str(path)

    @property
    def warehouse(self) -> Path:
        """The file of the warehouse."""
        return self.folder / "warehouse.duckdb"

    def state(self, server: str, month: str, asset: str = "activities") -> Path:
        """Return the path of the state of a slice."""
        return self.folder / "states" / server / f"{month}.{asset}.json"

    def run(self, server: str, month: str, asset: str, *, may_fail: bool = False) -> dg.ExecuteInProcessResult:
        """Run a slice."""
        job = backfill.definitions(self.settings).resolve_implicit_global_asset_job_def()
        return job.execute_in_process(
            asset_selection=[dg.AssetKey(asset)],
            partition_key=dg.MultiPartitionKey({"instance": server, "month": month}),
            instance=self.dagster,
            raise_on_error=not may_fail,
        )

    def emitted(self) -> list[dict[str, Any]]:
        """Return the records that the last run of the tap has passed to the loader."""
        lines = (self.folder / "messages").read_bytes().splitlines(keepends=True)
        # The last line of a killed run can be incomplete.
        messages = [json.loads(line) for line in lines if line.endswith(b"\n")]
        return [message for message in messages if message["type"] == "RECORD"]

    def kill_on_its_way(self, state: Path) -> None:
        """Kill the tap after the first state has been stored."""
        deadline = time.monotonic() + 30
        while not state.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(int((self.folder / "number").read_text()), signal.SIGKILL)


@dataclass
class Story:
    """The results after all slices have run."""

    backfill: Backfill
    failed: dg.ExecuteInProcessResult
    """The run that was killed."""
    materialized_then: set[str]
    """The slices that Dagster took for done after it."""
    state_then: dict[str, Any]
    emitted_then: list[dict[str, Any]]
    emitted: dict[Slice, list[dict[str, Any]]]
    """What the tap has read of activities in each slice; for the killed one, after that."""

    @property
    def bookmark(self) -> str:
        """The bookmark of the killed run, as local time."""
        [partition] = self.state_then["bookmarks"]["activities"]["partitions"]
        moment = datetime.fromisoformat(partition["replication_key_value"])
        return f"{moment.astimezone(ZoneInfo(ZONES[KILLED[0]])):%F %T}"


@pytest.fixture(autouse=True, scope="module")
def environment() -> Iterator[None]:
    """Set the tokens, and switch telemetry off."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_DISABLE_TELEMETRY", "1")
        for server in ZONES:
            patch.setenv(f"{server.upper()}_ACCESS_TOKEN", Simulator.access_token)
        yield


@pytest.fixture(scope="module")
def simulators() -> Iterator[dict[str, Simulator]]:
    with ExitStack() as stack:
        yield {
            server: stack.enter_context(Simulator(contact_centre(zone, seed)))
            for seed, (server, zone) in enumerate(ZONES.items())
        }


def contact_centre(zone: str, seed: int) -> Dataset:
    """Return an instance with rows before and after the months, and several rows in the first and last seconds."""
    dataset = generate(activities=900, tickets=120, days=90, now="2024-03-10 12:00:00", timezone=zone, seed=seed)
    for table, cursor in (("activities", "time"), ("tickets", "edited")):
        for place, row in enumerate(dataset.tables[table][: 7 * len(BORDERS)]):
            row[cursor] = BORDERS[place % len(BORDERS)]
    return dataset


@pytest.fixture(scope="module")
def dagster(tmp_path_factory: pytest.TempPathFactory) -> dg.DagsterInstance:
    home = tmp_path_factory.mktemp("home")
    shutil.copy(FOLDER / "home" / "dagster.yaml", home)
    return dg.DagsterInstance.from_config(str(home))


@pytest.fixture
def other(tmp_path: Path, simulators: dict[str, Simulator], dagster: dg.DagsterInstance) -> Backfill:
    """Return a backfill without any run."""
    return Backfill(tmp_path, simulators, dagster)


@pytest.fixture(scope="module")
def story(
    simulators: dict[str, Simulator], dagster: dg.DagsterInstance, tmp_path_factory: pytest.TempPathFactory
) -> Story:
    running = Backfill(tmp_path_factory.mktemp("backfill"), simulators, dagster)
    faults = simulators[KILLED[0]].faults
    # The simulator stops answering after some requests, so the signal always arrives in the middle of the run.
    faults.append(Fault("timeout", endpoint="activities", times=None, after=45))
    killer = threading.Thread(target=running.kill_on_its_way, args=[running.state(*KILLED)])
    killer.start()
    failed = running.run(*KILLED, "activities", may_fail=True)
    killer.join()
    faults.clear()
    materialized = running.dagster.get_materialized_partitions(dg.AssetKey("activities"))
    state, emitted_then = json.loads(running.state(*KILLED).read_bytes()), running.emitted()
    emitted = {}
    for server, month in product(ZONES, MONTHS):
        running.run(server, month, "tickets")
        running.run(server, month, "activities")
        emitted[server, month] = running.emitted()
    return Story(running, failed, set(materialized), state, emitted_then, emitted)


# One slice is killed and continues.


def test_a_killed_slice_fails_and_has_a_state(story: Story) -> None:
    assert not story.failed.success
    assert story.materialized_then == set()
    start, end = MONTHS[KILLED[1]]
    assert start < story.bookmark < end
    assert story.emitted_then


def test_it_goes_on_from_its_own_state(story: Story) -> None:
    again = [record["record"] for record in story.emitted[KILLED] if record["stream"] == "activities"]
    # Activities that were closed later are read again. Nothing else before the bookmark is.
    assert again
    for record in again:
        closed = (record["time_close"] or "").replace("T", " ")
        assert record["time"].replace("T", " ") >= story.bookmark or closed >= story.bookmark
    assert len(again) < len(held(story, *KILLED, "activities"))


# All slices.


@pytest.mark.parametrize("stream", KEYS)
def test_the_union_of_all_slices_is_complete_and_has_each_key_once(story: Story, stream: str) -> None:
    with duckdb.connect(str(story.backfill.warehouse), read_only=True) as warehouse:
        rows = warehouse.execute(f"SELECT {', '.join(KEYS[stream])} FROM {stream}").fetchall()  # noqa: S608
    expected = [key for each in product(ZONES, MONTHS) for key in held(story, *each, stream)]
    assert len(expected) > 50
    assert sorted(rows) == sorted(expected)


def test_every_slice_is_done_for_dagster(story: Story) -> None:
    expected = {f"{server}|{month}" for server, month in product(ZONES, MONTHS)}
    for asset in ("activities", "tickets"):
        assert story.backfill.dagster.get_materialized_partitions(dg.AssetKey(asset)) == expected


@pytest.mark.parametrize("stream", [stream for stream in KEYS if stream != "tickets"])
def test_no_row_is_read_by_two_slices(story: Story, stream: str) -> None:
    """The emitted records are compared, since the loader removes duplicates."""
    for each, messages in story.emitted.items():
        keys = Counter(key_of(message) for message in messages if message["stream"] == stream)
        if each != KILLED:
            assert keys == Counter(held(story, *each, stream)), each


# Borders and zones.


def test_a_row_on_a_border_second_is_in_the_slice_that_begins_with_it(story: Story) -> None:
    for server, (month, (start, end)) in product(ZONES, MONTHS.items()):
        messages = story.emitted[server, month]
        if (server, month) == KILLED:
            messages = [*story.emitted_then, *messages]
        times = {
            f"{datetime.fromisoformat(message['record']['time']).astimezone(ZoneInfo(ZONES[server])):%F %T}"
            for message in messages
            if message["stream"] == "activities"
        }
        assert times & {*BORDERS} == {border for border in BORDERS if start <= border < end}


def test_months_are_those_of_each_instance(story: Story) -> None:
    with duckdb.connect(str(story.backfill.warehouse), read_only=True) as warehouse:
        first = dict(warehouse.execute("SELECT server, min(time) FROM activities GROUP BY server").fetchall())
        last = dict(warehouse.execute("SELECT server, max(time) FROM activities GROUP BY server").fetchall())
    # The loader stores UTC without a zone.
    for server, zone in ZONES.items():
        assert first[server] == moment("2024-01-01 00:00:00", zone)
        assert last[server] == moment("2024-02-29 23:59:59", zone)
    assert first["acme"] != first["globex"]


def test_a_month_is_listed_when_it_is_over_everywhere(story: Story) -> None:
    partitions = backfill.definitions(story.backfill.settings).resolve_assets_def("tickets").partitions_def
    assert isinstance(partitions, dg.MultiPartitionsDefinition)
    months = partitions.time_window_dimension.partitions_def

    def listed(text: str) -> list[str]:
        return list(months.get_partition_keys(current_time=datetime.fromisoformat(text)))

    assert listed("2024-03-01T11:59:59+00:00") == ["2024-01"]
    assert listed("2024-03-01T12:00:00+00:00") == ["2024-01", "2024-02"]
    assert listed("2030-01-01T00:00:00+00:00") == ["2024-01", "2024-02"]


# Costs and failures of a slice.


def test_a_slice_that_is_done_costs_a_request(story: Story) -> None:
    simulator = story.backfill.simulators["globex"]
    simulator.clear()
    story.backfill.run("globex", "2024-01", "activities")
    assert [request.endpoint for request in simulator.requests] == ["whoim"]


def test_a_slice_whose_loader_fails_has_no_state(other: Backfill) -> None:
    other.settings["pipeline"]["loader"] = "false"
    with pytest.raises(dg.Failure, match=r"ended with \(\d+, 1\).*goes on from its beginning"):
        other.run("acme", "2024-01", "tickets")
    assert not other.state("acme", "2024-01", "tickets").exists()


@pytest.mark.parametrize("stream", ["accounts", "activitys"])
def test_streams_without_slices_are_refused(other: Backfill, stream: str) -> None:
    other.settings["assets"] = {"some": ["tickets", stream]}
    with pytest.raises(dg.Failure, match=f"only incremental streams have slices: {stream}$"):
        other.run("acme", "2024-01", "some")


def test_a_setting_that_the_tap_does_not_know_is_refused(other: Backfill) -> None:
    other.settings["pipeline"]["tap_settings"] = {"pagesize": 5}
    with pytest.raises(dg.Failure, match="the tap cannot tell its streams"):
        other.run("acme", "2024-01", "tickets")


def test_a_token_that_is_missing_is_named(other: Backfill, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ACME_ACCESS_TOKEN")
    with pytest.raises(dg.Failure, match="ACME_ACCESS_TOKEN is not set"):
        other.run("acme", "2024-01", "tickets")


def test_dagster_is_told_the_limits_and_nobody_else_anything(story: Story, dagster: dg.DagsterInstance) -> None:
    assert not dagster.telemetry_enabled
    assert (dagster.run_retries_enabled, dagster.run_retries_max_retries) == (True, 3)
    limits = dagster.get_concurrency_config().run_queue_config
    assert limits is not None
    assert limits.max_concurrent_runs == 1
    [of_instance] = limits.tag_concurrency_limits
    assert story.failed.dagster_run.tags[of_instance["key"]] == KILLED[0]


def test_the_settings_that_come_with_it_make_slices() -> None:
    for asset in ("activities", "tickets"):
        partitions = backfill.defs.resolve_assets_def(asset).partitions_def
        assert isinstance(partitions, dg.MultiPartitionsDefinition)
        keys = partitions.get_partition_keys(current_time=datetime(2026, 11, 2, tzinfo=UTC))
        assert (len(keys), keys[0], keys[-1]) == (2 * 130, "acme|2016-01", "emea|2026-10")


# The README.


def test_the_slice_of_the_readme_runs(simulators: dict[str, Simulator], tmp_path: Path) -> None:
    """The environment names a copy of `backfill.toml` with the address of a simulator, and contains the token."""
    for name in (".venv", ".venv-examples", "examples"):
        (tmp_path / name).symlink_to(FOLDER.parents[1] / name)
    settings = (FOLDER / "backfill.toml").read_text(encoding="utf-8")
    settings = settings.replace("https://acme.daktela.com", simulators["acme"].url)
    (tmp_path / "backfill.toml").write_text(settings, encoding="utf-8")
    (tmp_path / "state").mkdir()
    shell = Shell(
        tmp_path,
        {**os.environ, "BACKFILL": str(tmp_path / "backfill.toml"), "EMEA_ACCESS_TOKEN": "x"},
        tmp_path / "state",
    )
    block = blocks(FOLDER / "README.md", "console")[0]

    for command in commands(block):
        shell.run(command)

    with duckdb.connect(tmp_path / "daktela.duckdb", read_only=True) as warehouse:
        [(first, last)] = warehouse.execute("SELECT min(time), max(time) FROM activities").fetchall()
    assert (
        moment("2024-03-01 00:00:00", ZONES["acme"]) <= first < last < moment("2024-04-01 00:00:00", ZONES["acme"])
    )
    assert (tmp_path / "states" / "acme" / "2024-03.activities.json").exists()


# The content of the simulators.


def held(story: Story, server: str, month: str, stream: str) -> list[Key]:
    """Return the keys that a slice must load."""
    tables = story.backfill.simulators[server].dataset.tables
    start, end = MONTHS[month]
    if stream == "tickets":
        return [(f"{server}_{row['name']}",) for row in tables["tickets"] if start <= row["edited"] < end]
    rows = [row for row in tables["activities"] if start <= row["time"] < end]
    if stream == "activities":
        kinds = {kind for kind, _, _ in ITEMS.values()}
        return [
            (f"{server}_{row['name']}",) for row in rows if row["item"] is not None or row["type"] not in kinds
        ]
    kind, key, _ = ITEMS[stream]
    return [
        (f"{server}_{row['name']}", f"{server}_{row['item'][key]}")
        for row in rows
        if row["type"] == kind and row["item"] is not None
    ]


def key_of(message: dict[str, Any]) -> Key:
    """Return the key of an emitted record."""
    return tuple(message["record"][column] for column in KEYS[message["stream"]])


def moment(text: str, zone: str) -> datetime:
    """Return a local time in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC).replace(tzinfo=None)
