"""docs/tap/loaders.md: its versions are those that the tests load with, and its examples do what it says."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tap_daktela.tap import TapDaktela
from tests.loaders.pipeline import ROOT, extract, messages
from tests.simulator import Simulator, generate
from tests.tap_daktela.running import select, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXT = (ROOT / "docs" / "tap" / "loaders.md").read_text("utf-8")
EXTRACTORS: list[dict[str, Any]] = [
    extractor
    for block in re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    for extractor in yaml.safe_load(block)["plugins"].get("extractors", [])
]


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(generate(activities=60, tickets=20, seed=3)) as simulator:
        yield simulator


def rows() -> dict[str, list[str]]:
    """Return the cells of the table's rows by their first cells."""
    lines = re.findall(r"^\| ((?:target-|the same).*) \|$", TEXT, re.MULTILINE)
    return {cells[0]: cells for cells in (line.split(" | ") for line in lines)}


def test_the_versions_are_those_of_the_tests() -> None:
    for first, version, *_ in rows().values():
        if distribution := re.search(r"^target-(?:postgres|csv) \(`(meltanolabs-[\w-]+)`\)", first):
            [_, name] = distribution[1].split("meltanolabs-")
            pinned = (ROOT / "requirements" / "loaders" / f"{name}.in").read_text("utf-8").strip()
            assert pinned == f"{distribution[1]}=={version.split(',')[0]}"
    loaders = yaml.safe_load((ROOT / "meltano.yml").read_text("utf-8"))["plugins"]["loaders"]
    urls = {loader["name"]: loader["pip_url"] for loader in loaders}
    duckdb, jsonl = rows()["target-duckdb"], rows()["target-jsonl"]
    assert urls["target-duckdb"] in duckdb[2]
    assert duckdb[1] == "0.8.0, DuckDB 1.2.2"
    assert f"target-jsonl=={jsonl[1]}" in urls["target-jsonl"]


def test_rows_have_all_columns() -> None:
    assert len(rows()) == 10
    assert {len(cells) for cells in rows().values()} == {7}


@pytest.mark.parametrize("extractor", [each for each in EXTRACTORS if "config" in each])
def test_the_settings_of_the_examples_are_accepted(simulator: Simulator, extractor: dict[str, Any]) -> None:
    lines = extract(settings(simulator, **extractor["config"]), catalog=select("activities_email", "tickets"))
    schemas = {message["stream"]: message for message in messages(lines, "SCHEMA")}
    [*_, ticket] = [each for each in messages(lines, "RECORD") if each["stream"] == "tickets"]
    if "flattening_enabled" in extractor["config"]:
        assert isinstance(ticket["record"]["customFields"], str)
        assert schemas["tickets"]["schema"]["properties"]["statuses_name"]["type"] == ["string", "null"]
    if "*" in extractor["config"].get("stream_maps", {}):
        assert schemas["tickets"]["key_properties"] == []
        assert ticket["record"]["loaded_at"].endswith("+00:00")


def test_the_program_gives_all_texts_a_length_that_the_tap_passes_on(simulator: Simulator) -> None:
    [program] = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    discovered = TapDaktela(config=settings(simulator)).catalog_json_text
    ran = subprocess.run(
        [sys.executable, "-c", program], input=discovered, capture_output=True, check=True, text=True
    )
    [schema, *_] = [
        message["schema"]["properties"]
        for message in messages(extract(settings(simulator), catalog=json.loads(ran.stdout)), "SCHEMA")
        if message["stream"] == "tickets"
    ]
    lengths = {name: column["maxLength"] for name, column in schema.items() if "maxLength" in column}
    assert set(lengths.values()) == {16777215}
    assert {"name", "title"} <= lengths.keys()
    assert not {"created", "customFields", "statuses_name", "unread"} & lengths.keys()


def test_the_catalog_of_the_example_sets_the_length_of_a_key(simulator: Simulator) -> None:
    [extra] = [extractor["schema"] for extractor in EXTRACTORS if "schema" in extractor]
    catalog = select("tickets")
    [entry] = [entry for entry in catalog["streams"] if entry["tap_stream_id"] == "tickets"]
    # As Meltano applies it.
    entry["schema"]["properties"]["name"] = extra["tickets"]["name"]
    [message] = messages(extract(settings(simulator), catalog=catalog), "SCHEMA")
    assert message["schema"]["properties"]["name"] == {"type": ["string"], "maxLength": 128}
