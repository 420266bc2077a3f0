"""The example of activities that go back into a CRM: its stream maps, its Meltano project and its SQL.

The pipelines run as processes of Meltano, or the tap runs alone with the configuration that Meltano would pass.
The results are compared with the rows of the simulator. The rules of this comparison do not use code of the
example.
"""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import parse_qs, urlencode, urlsplit

import duckdb
import pytest
import yaml

from tap_daktela.inputs.settings import SCHEMA, problems
from target_daktela_crm.entities import Contact
from target_daktela_crm.mapping.compiler import compile_mapping
from tests.meltano import PLUGINS_INSTALLED, ROOT, Project
from tests.simulator import Simulator, generate
from tests.tap_daktela import running
from tests.tap_daktela.running import run_tap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from tests.simulator.schema import Row

Record: TypeAlias = dict[str, Any]
Violations: TypeAlias = "Callable[[dict[str, Any], Any], list[str]]"

EXAMPLE = ROOT / "examples" / "activities-to-crm"
README = (EXAMPLE / "README.md").read_text(encoding="utf-8")
PROJECT: dict[str, Any] = yaml.safe_load((EXAMPLE / "meltano.yml").read_text(encoding="utf-8"))

TO_TABLE, TO_TASKS = "tap-daktela-activities", "tap-daktela-tasks"
ITEMS = {"CALL": "id_call", "EMAIL": "name", "CHAT": "name"}
UNFINISHED = {"WAIT", "OPEN", "POSTPONE"}
SETTLED = -30 * 60
"""The default of `settle_minutes`: the end of what a run reads, in seconds relative to now."""

needs_meltano = pytest.mark.skipif(
    not PLUGINS_INSTALLED.exists(), reason="needs Meltano and its plugins: run make test"
)


def text(most: int) -> dict[str, Any]:
    """Return the schema of a text field of Salesforce."""
    return {"type": ["string", "null"], "maxLength": most}


TASK = {
    "type": "object",
    "additionalProperties": False,
    "required": ["Daktela_Activity__c", "Subject", "Status", "Priority", "ActivityDate", "TaskSubtype"],
    "properties": {
        "Subject": {"type": "string", "minLength": 1, "maxLength": 255},
        "Description": text(32000),
        "ActivityDate": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\d$"},
        "Status": {"enum": ["Not Started", "In Progress", "Completed", "Waiting on someone else", "Deferred"]},
        "Priority": {"enum": ["High", "Normal", "Low"]},
        "TaskSubtype": {"enum": ["Task", "Email", "Call"]},
        "CallType": {"enum": ["Inbound", "Outbound", "Internal", None]},
        "CallDurationInSeconds": {"type": ["integer", "null"], "maximum": 99999999},
        "CallDisposition": text(255),
        "CallObject": text(255),
        "WhoId": {"type": ["string", "null"], "pattern": "^00[3Q]"},
        "Daktela_Activity__c": {"type": "string", "maxLength": 255},
        "Daktela_Call__c": text(255),
        "Daktela_Number__c": text(255),
        "Daktela_Email__c": text(255),
    },
}
"""The schema of Salesforce for the fields of a task that the example fills."""


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(generate(activities=600, tickets=40, seed=5)) as simulator:
        yield simulator


# With Meltano.


@needs_meltano
def test_the_table_has_every_activity_once_and_the_widget_s_url_finds_it(
    simulator: Simulator, tmp_path: Path
) -> None:
    project = project_in(tmp_path, simulator)
    run = project.call(*pipeline(TO_TABLE, "target-duckdb"), log="first")

    first = {row["name"]: row for row in settled(simulator)}
    table = Table(tmp_path)
    assert table.names() == {"crm_activities"}
    assert sorted(row["activity"] for row in table.rows()) == sorted(first)
    assert {row["server"] for row in table.rows()} == {"demo"}
    assert_cells(simulator, table.rows())
    for activity in first.values():
        if activity["type"] in ITEMS:
            [found] = table.query(statements()[0], parameters(activity))
            assert found["activity"] == activity["name"]
    # Only the fields that the maps need are requested, and no bodies of e-mails.
    assert {request.endpoint for request in simulator.requests} == {"login", "whoim", "activities"}
    asked = {field for request in simulator.requests for field in request.query.get("fields") or ()}
    assert "item.address" in asked
    assert "item.text" not in asked

    simulator.advance(minutes=180, new_activities=60, close_activities=5)
    again = project.call(*pipeline(TO_TABLE, "target-duckdb"), log="second")

    second = {row["name"]: row for row in settled(simulator)}
    assert len(second) > len(first)
    assert sorted(row["activity"] for row in table.rows()) == sorted(second)
    assert {row["activity"]: row["state"] for row in table.rows()}.items() >= {
        name: row["action"] for name, row in second.items() if row["time_close"] and is_read(simulator, row)
    }.items()
    assert sum(again.records.values()) < sum(run.records.values()) / 2


@needs_meltano
def test_tasks_reach_a_loader_through_meltano(simulator: Simulator, tmp_path: Path) -> None:
    project_in(tmp_path, simulator).call(*pipeline(TO_TASKS, "target-jsonl"), log="run")

    [file] = (place(tmp_path) / "output").iterdir()
    assert file.stem == "Task"
    tasks = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    wanted = [row["name"] for row in settled(simulator, *ITEMS) if row["action"] not in UNFINISHED]
    assert sorted(task["Daktela_Activity__c"] for task in tasks) == sorted(wanted)


def test_the_loaders_are_those_of_the_repository() -> None:
    """The tests use the installation of `make test`. Other versions would replace it."""
    own = {entry["name"]: entry["pip_url"] for entry in PROJECT["plugins"]["loaders"]}
    root = yaml.safe_load((ROOT / "meltano.yml").read_text(encoding="utf-8"))
    shared = {entry["name"]: entry.get("pip_url") for entry in root["plugins"]["loaders"]}
    for name in ("target-duckdb", "target-jsonl"):
        assert own[name] == shared[name]


# The tap alone, with the configuration of the example.


@pytest.mark.parametrize("extractor", [TO_TABLE, TO_TASKS])
def test_a_second_run_puts_out_only_what_is_new(
    simulator: Simulator, extractor: str, violations: Violations
) -> None:
    config = {**configuration(simulator, extractor), "lookback_minutes": 0}
    key = key_of(extractor)
    # Without a catalog, all default streams are read, and only the mapped ones are emitted.
    first = run_tap(config)
    until = simulator.clock.local(SETTLED)
    assert_complete(first, simulator, extractor, violations)

    simulator.advance(minutes=180, new_activities=60, close_activities=5)
    second = run_tap(config, state=first.state)

    stream = stream_of(extractor)
    assert second.code == 0, second.log
    assert set(second.records) == {stream}
    before = {record[key] for record in first.records[stream]}
    after = [record[key] for record in second.records[stream]]
    assert len(set(after)) == len(after)
    rows = {row["name"]: row for row in simulator.dataset.tables["activities"]}
    # Only activities that were closed after the first run are read again.
    assert all(max(rows[name]["time"], rows[name]["time_close"] or "") >= until for name in after)
    assert {row["name"] for row in wanted(simulator, extractor) if is_read(simulator, row)} <= {
        *before,
        *after,
    }
    assert set(after) - before
    assert not violated(second, violations)


def test_the_rows_say_what_the_activities_do(simulator: Simulator) -> None:
    run = run_tap(configuration(simulator, TO_TABLE))
    assert run.code == 0, run.log
    assert_cells(simulator, run.records["crm_activities"])


def test_tasks_are_as_salesforce_takes_them(simulator: Simulator, violations: Violations) -> None:
    contacts = simulator.dataset.tables["contacts"]
    for number, contact in enumerate(contacts):
        if number % 2:
            contact["customFields"] = {"crm_id": [f"0035i00000{number:05}AAA"]}
    simulator.refresh()

    run = run_tap(configuration(simulator, TO_TASKS))

    assert run.code == 0, run.log
    rows = {row["name"]: row for row in simulator.dataset.tables["activities"]}
    kinds = {"CALL": "Call", "EMAIL": "Email", "CHAT": "Task"}
    known = 0
    for task in run.records["Task"]:
        assert not violations(TASK, task)
        row = rows[task["Daktela_Activity__c"]]
        assert task["TaskSubtype"] == kinds[row["type"]]
        # In local time, since the loader stores the text unchanged.
        assert task["ActivityDate"] == row["time"][:10]
        assert f"Started: {row['time']}" in task["Description"].splitlines()
        assert task["WhoId"] == crm_id(row["contact"])
        known += task["WhoId"] is not None
        if row["type"] == "CALL":
            assert task["Daktela_Call__c"] == task["CallObject"] == row["item"]["id_call"]
            assert task["Daktela_Number__c"] == (row["item"]["clid"] or None)
            assert task["CallType"] == {"in": "Inbound", "out": "Outbound", "internal": "Internal"}.get(
                row["item"]["direction"]
            )
            assert task["CallDurationInSeconds"] == whole(row["item"]["duration"])
    assert 0 < known < len(run.records["Task"])
    assert {task["CallType"] for task in run.records["Task"] if task["TaskSubtype"] == "Call"} > {"Inbound"}


def test_the_readme_s_mapping_gives_daktela_the_id_that_comes_back() -> None:
    [mapping] = [block for block in blocks("yaml") if "preset:" in block]
    streams = yaml.safe_load(mapping)["streams"]
    contact = compile_mapping("salesforce", streams, None).stream("Contact")
    assert contact is not None
    found = [each for role in contact.roles for each in role.entities({"Id": "0035i0000000208AAA", "Name": "Eva"})]
    [sent] = [json.loads(each.body or b"") for each in found if isinstance(each, Contact)]
    assert {"key": "crm_id", "value": ["0035i0000000208AAA"]} in sent["fields"]
    extra = plugin(TO_TASKS)["config"]["extra_fields"]
    assert all("contact.customFields.crm_id" in fields for fields in extra.values())


def test_several_statuses_and_the_parts_of_a_call_are_kept_together(simulator: Simulator) -> None:
    calls = [row for row in settled(simulator, "CALL") if row["item"]["clid"]]
    one, other = simulator.dataset.tables["statuses"][:2]
    calls[0]["statuses"] = [one, other]
    # A transferred call: two activities, one call.
    calls[1]["item"] = calls[0]["item"]
    simulator.refresh()

    run = run_tap(configuration(simulator, TO_TABLE))

    assert run.code == 0, run.log
    records = {record["activity"]: record for record in run.records["crm_activities"]}
    parts = [records[row["name"]] for row in calls[:2]]
    assert parts[0]["statuses"] == f"{one['title']}; {other['title']}"
    assert parts[0]["callid"] == parts[1]["callid"] == calls[0]["item"]["id_call"]
    with duckdb.connect() as connection:
        load(connection, records.values())
        beside = rows_of(connection, statements()[1], bound(statements()[1], parameters(calls[0])))
    assert parts[1]["activity"] in {row["activity"] for row in beside}
    assert calls[0]["name"] not in {row["activity"] for row in beside}
    clid = parts[0]["clid"]
    assert all(row["callid"] == parts[0]["callid"] or row["clid"] == clid for row in beside)


def test_two_instances_share_the_table(simulator: Simulator) -> None:
    """Both instances have the same content, so that no key differs by chance."""
    with Simulator(simulator.dataset.copy()) as twin:
        config = plugin(TO_TABLE)["config"]
        instances = [
            {"url": each.url, "server": name, "access_token": each.access_token}
            for name, each in (("acme", simulator), ("emea", twin))
        ]
        run = run_tap({**config, "instances": instances})
    assert run.code == 0, run.log
    names = sorted(row["name"] for row in settled(simulator))
    for server in ("acme", "emea"):
        own = [row["activity"] for row in run.records["crm_activities"] if row["server"] == server]
        assert sorted(own) == names
    assert len(set(run.keys("crm_activities"))) == 2 * len(names)


# The documents.


def test_the_configurations_are_good_ones() -> None:
    [tap] = [entry for entry in PROJECT["plugins"]["extractors"] if entry["name"] == "tap-daktela"]
    known = {setting["name"] for setting in tap["settings"]}
    assert known - {"stream_maps"} <= set(SCHEMA["properties"])
    place = {"url": "https://acme.daktela.com", "access_token": "x"}
    for name in (TO_TABLE, TO_TASKS):
        config = dict(plugin(name)["config"])
        assert set(config) <= known
        assert config.pop("stream_maps")
        assert not problems({**place, **config}, SCHEMA)


def test_the_readme_shows_the_maps_and_commands_that_there_are() -> None:
    shown = [block.strip() for block in blocks("text") if "://" not in block]
    definition = (EXAMPLE / "meltano.yml").read_text(encoding="utf-8")
    assert shown
    assert all(block in definition for block in shown)
    names = {entry["name"] for kind in PROJECT["plugins"].values() for entry in kind}
    for extractor, loader in re.findall(r"meltano (?:--environment prod )?run (\S+) ([\w-]+)", README):
        assert {extractor, loader} <= names


# The files of the example.


def plugin(name: str) -> dict[str, Any]:
    """Return the definition of an extractor of the example."""
    [found] = [entry for entry in PROJECT["plugins"]["extractors"] if entry["name"] == name]
    return dict(found)


def configuration(simulator: Simulator, extractor: str) -> dict[str, Any]:
    """Return the settings with which Meltano would run an extractor."""
    return running.settings(simulator, **plugin(extractor)["config"])


def stream_of(extractor: str) -> str:
    return {TO_TABLE: "crm_activities", TO_TASKS: "Task"}[extractor]


def key_of(extractor: str) -> str:
    return {TO_TABLE: "activity", TO_TASKS: "Daktela_Activity__c"}[extractor]


def blocks(language: str) -> list[str]:
    """Return the README's blocks in a language."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def statements() -> list[str]:
    """Return the SQL of the README: for the activity of a page, and for its neighbours."""
    found = blocks("sql")
    assert len(found) == 2
    return found


def place(folder: Path) -> Path:
    """Return the folder of the example in a folder that replaces the checkout."""
    return folder / "examples" / "activities-to-crm"


def project_in(folder: Path, simulator: Simulator) -> Project:
    """Return the example in a copy of its folder, with the plugins of the checkout."""
    copied = place(folder)
    copied.mkdir(parents=True)
    project = Project(copied, simulator.url)
    shutil.copy(EXAMPLE / "meltano.yml", copied)
    return project


def pipeline(extractor: str, loader: str) -> tuple[str, ...]:
    """Return the command that runs a pipeline.

    Nothing is installed: Meltano would do so into the environments that the copy shares with the checkout.
    """
    return "run", "--no-install", extractor, loader


# The content of the simulator.


def settled(simulator: Simulator, *kinds: str) -> list[Row]:
    """Return the activities that can be read now, of some types or of all, without orphans."""
    upper = simulator.clock.local(SETTLED)
    return [
        row
        for row in simulator.dataset.tables["activities"]
        if row["time"] < upper
        and (row["item"] is not None or row["type"] not in ITEMS)
        and (not kinds or row["type"] in kinds)
    ]


def wanted(simulator: Simulator, extractor: str) -> list[Row]:
    """Return the activities that an extractor of the example must emit."""
    if extractor == TO_TABLE:
        return settled(simulator)
    return [row for row in settled(simulator, *ITEMS) if row["action"] not in UNFINISHED]


def is_read(simulator: Simulator, row: Row) -> bool:
    """Return whether an activity is certainly read in its current state.

    One that was just closed is read by the next run.
    """
    return row["time_close"] is None or row["time_close"] < simulator.clock.local(SETTLED)


def parameters(row: Row) -> dict[str, str]:
    """Return the parameters that the CRM's page reads from the URL that the activity widget opens."""
    item, kind = row["item"], row["type"]
    told = {
        "clid": item["clid"] if kind == "CALL" else (item["phone"] or "") if kind == "CHAT" else "",
        "direction": item["direction"] if kind != "CHAT" else "in",
        "callid": item["id_call"] if kind == "CALL" else "",
        "activity": row["name"],
    }
    url = f"https://crm/daktela.html?{urlencode(told)}"
    return {name: value for name, [value] in parse_qs(urlsplit(url).query, keep_blank_values=True).items()}


def expected(row: Row) -> Record:
    """Return the cells of an activity that later changes do not affect."""
    told = parameters(row) if row["type"] in ITEMS else {}
    return {
        "type": row["type"] or "COMMENT",
        "callid": told.get("callid") or None,
        "clid": told.get("clid") or None,
        "direction": told.get("direction"),
        "seconds": whole((row["item"] if told else row)["duration"]),
        # The tap drops NUL characters.
        "subject": row["title"].replace("\0", "") or None,
        "state": row["action"],
        "agent": name_of(row["user"]),
        "contact": name_of(row["contact"]),
        "ticket": name_of(row["ticket"]),
        "statuses": "; ".join(status["title"] for status in row["statuses"]) or None,
    }


def name_of(related: Row | None) -> str | None:
    return None if related is None else str(related["name"])


def whole(value: Any) -> int | None:
    """Return a number that PHP may have sent as text."""
    return None if value is None else int(value)


def crm_id(contact: Row | None) -> str | None:
    fields = contact["customFields"] if contact else {}
    return fields["crm_id"][0] if isinstance(fields, dict) and "crm_id" in fields else None


# The results.


def assert_complete(run: running.Run, simulator: Simulator, extractor: str, violations: Violations) -> None:
    """Check that a first run has emitted every activity once, and nothing else."""
    assert run.code == 0, run.log
    stream, key = stream_of(extractor), key_of(extractor)
    assert set(run.records) == set(run.schemas) == {stream}
    assert sorted(record[key] for record in run.records[stream]) == sorted(
        row["name"] for row in wanted(simulator, extractor)
    )
    assert not violated(run, violations)


def assert_cells(simulator: Simulator, records: Iterable[Record]) -> None:
    """Compare rows of the table with those of the simulator."""
    wanted = {row["name"]: expected(row) for row in settled(simulator)}
    for record in records:
        cells = wanted[record["activity"]]
        assert {name: record[name] for name in cells} == cells


def violated(run: running.Run, violations: Violations) -> list[str]:
    """Return the violations of each record against the SCHEMA sent before it. Three streams send one each."""
    found: list[str] = []
    schemas: dict[str, dict[str, Any]] = {}
    for message in run.messages:
        if message["type"] == "SCHEMA":
            schemas[message["stream"]] = {**message["schema"], "additionalProperties": False}
            assert set(message["key_properties"]) <= set(message["schema"]["properties"])
        elif message["type"] == "RECORD":
            found += violations(schemas[message["stream"]], message["record"])
    return found


class Table:
    """The database that the example has loaded."""

    def __init__(self, folder: Path) -> None:
        self.path = place(folder) / "crm.duckdb"

    def query(self, sql: str, values: dict[str, str] | None = None) -> list[Record]:
        with duckdb.connect(str(self.path), read_only=True) as connection:
            return rows_of(connection, sql, bound(sql, values or {}))

    def rows(self) -> list[Record]:
        return self.query("SELECT * FROM crm_activities")

    def names(self) -> set[str]:
        return {row["table_name"] for row in self.query("SELECT table_name FROM information_schema.tables")}


def rows_of(connection: duckdb.DuckDBPyConnection, sql: str, values: dict[str, str]) -> list[Record]:
    """Return the rows of a query as dictionaries."""
    result = connection.execute(sql, values)
    columns = [column[0] for column in result.description or ()]
    return [dict(zip(columns, row, strict=True)) for row in result.fetchall()]


def bound(sql: str, values: dict[str, str]) -> dict[str, str]:
    """Return the parameters that a statement names, since DuckDB accepts no others."""
    return {name: value for name, value in values.items() if f"${name}" in sql}


def load(connection: duckdb.DuckDBPyConnection, records: Iterable[Record]) -> None:
    """Create the table from records, as a loader would."""
    columns = ("activity", "callid", "clid", "direction", "started")
    connection.execute(f"CREATE TABLE crm_activities ({', '.join(f'{name} VARCHAR' for name in columns)})")
    rows = [[record[name] for name in columns] for record in records]
    connection.executemany("INSERT INTO crm_activities VALUES (?, ?, ?, ?, ?)", rows)
