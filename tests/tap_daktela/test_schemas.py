"""The schemas in the wheel agree with the code, with discovery and with the records.

They are committed, so that a change of a schema appears in the diff. After an intended change, run `make
generate`, read the diff, and commit it with the change.
"""

from __future__ import annotations

import difflib
import json
import subprocess
import sys
from importlib import resources
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from tap_daktela.streams.definitions import STREAMS
from tests.simulator import Simulator, generate
from tests.tap_daktela.running import ROOT, Run, run_tap, select, settings
from tools.schemas import FOLDER, files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tap_daktela.streams.fields import Stream

    Check = Callable[[dict[str, Any], Any], list[str]]

NAMES = [stream.name for stream in STREAMS]
CATALOGS = ROOT / "tests" / "tap_daktela" / "catalog"


def shipped(name: str) -> dict[str, Any]:
    """Return a schema as a test of a user loads it."""
    text = resources.files("tap_daktela").joinpath(f"schemas/{name}.json").read_text("utf-8")
    return dict(json.loads(text))


# The code.


@pytest.mark.parametrize("name", NAMES)
def test_the_schema_of_a_stream_is_the_committed_one(name: str) -> None:
    path = FOLDER / f"{name}.json"
    committed = path.read_text(encoding="utf-8") if path.exists() else ""
    lines = (committed.splitlines(), files()[path].splitlines())
    difference = "\n".join(difflib.unified_diff(*lines, "committed", "declared", lineterm=""))
    if difference:
        update = "make generate"
        pytest.fail(f"the schema of {name} has changed; if on purpose, {update}\n{difference}", pytrace=False)


def test_every_schema_belongs_to_a_stream() -> None:
    assert {*FOLDER.iterdir()} == {*files()}


@pytest.mark.parametrize("stream", STREAMS, ids=NAMES)
def test_the_schema_of_a_stream_is_valid_with_its_columns_in_order(stream: Stream) -> None:
    schema = shipped(stream.name)
    assert jsonschema.validators.validator_for(schema) is jsonschema.Draft7Validator
    jsonschema.Draft7Validator.check_schema(schema)
    assert schema["title"] == stream.name
    assert list(schema["properties"]) == [column.name for column in stream.fields]


# Discovery.


@pytest.mark.parametrize("name", NAMES)
def test_the_catalog_of_a_stream_agrees_with_its_schema(name: str) -> None:
    """`test_catalog.py` compares the committed catalogs with discovery."""
    catalog = json.loads((CATALOGS / f"{name}.json").read_text("utf-8"))
    schema = shipped(name)
    keys, cursor, chosen = schema["x-singer"].values()
    columns = [
        {
            "breadcrumb": ["properties", column],
            "metadata": {"inclusion": "automatic" if column in {*keys, cursor} else "available"},
        }
        for column in schema["properties"]
    ]
    whole: dict[str, Any] = {
        "inclusion": "available",
        "selected": chosen,
        "selected-by-default": chosen,
        "table-key-properties": keys,
    }
    entry: dict[str, Any] = {
        "tap_stream_id": name,
        "stream": name,
        "replication_method": "INCREMENTAL" if cursor else "FULL_TABLE",
        "key_properties": keys,
        "schema": {"type": schema["type"], "properties": schema["properties"]},
    }
    if cursor:
        entry["replication_key"] = cursor
        whole |= {"replication-key": cursor, "valid-replication-keys": [cursor]}
    assert catalog == {**entry, "metadata": [*columns, {"breadcrumb": [], "metadata": whole}]}
    assert list(catalog["schema"]["properties"]) == list(schema["properties"])


# Records.


def _dataset(build: str) -> Simulator:
    return Simulator(generate(activities=1500, tickets=150, seed=11, build=build))


@pytest.fixture(scope="module", params=["2026", "2021"])
def run(request: pytest.FixtureRequest) -> Run:
    """Return a run of all streams."""
    with _dataset(request.param) as simulator:
        result = run_tap(settings(simulator), catalog=select(*NAMES))
    assert result.code == 0, result.log
    return result


@pytest.mark.parametrize("name", NAMES)
def test_every_record_fits_the_schema_in_the_wheel(run: Run, name: str, violations: Check) -> None:
    schema, sent = shipped(name), run.schemas[name]
    assert run.records[name]
    assert not [fault for record in run.records[name] for fault in violations(schema, record)]
    assert sent["schema"]["properties"] == schema["properties"]
    assert sent["key_properties"] == schema["x-singer"]["key_properties"]
    cursor = schema["x-singer"]["replication_key"]
    assert sent.get("bookmark_properties", []) == ([cursor] if cursor else [])


def test_a_record_with_the_fewest_columns_fits(violations: Check) -> None:
    with _dataset("2026") as simulator:
        run = run_tap(settings(simulator), catalog=select(*NAMES, columns=lambda _stream, _column: False))
    assert run.code == 0, run.log
    for name in NAMES:
        schema = shipped(name)
        assert {frozenset(record) for record in run.records[name]} == {frozenset(schema["required"])}
        assert not [fault for record in run.records[name] for fault in violations(schema, record)]


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"name": None}, "$.name"),
        ({"title": {"cs": "x"}}, "$.title"),
        ({"priority": 1}, "$.priority"),
        ({"created": "2026-03-01 12:00:00"}, "$.created"),
        ({"followers_name": "acme_robot"}, "$.followers_name"),
        ({"customFields": []}, "$.customFields"),
        ({"edited": ...}, "$"),
    ],
)
def test_a_record_that_the_tap_would_not_emit_does_not_fit(
    run: Run, change: dict[str, Any], place: str, violations: Check
) -> None:
    record = {**run.records["tickets"][0], **change}
    changed = {name: value for name, value in record.items() if value is not ...}
    (fault,) = violations(shipped("tickets"), changed)
    assert fault.startswith(f"{place}: ")


# The wheel.


def test_the_wheel_contains_the_schemas(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")
    script = (
        "import json, sys; sys.path.insert(0, sys.argv[1]); from importlib import resources; "
        "found = resources.files('tap_daktela') / 'schemas'; assert sys.argv[1] in str(found); "
        "print(json.dumps({each.name: each.read_text('utf-8') for each in found.iterdir()}))"
    )
    asked = subprocess.run(
        [sys.executable, "-c", script, str(wheel)], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert json.loads(asked.stdout) == {path.name: text for path, text in files().items()}
