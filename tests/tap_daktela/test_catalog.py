"""The catalog of each stream is committed, so that a change of a schema appears in the diff.

The output of `tap-daktela --discover` is compared with `catalog/`, which has a file for each stream. After an
intended change, run `make generate`, read the diff, and commit it with the change.
"""

from __future__ import annotations

import difflib
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from tap_daktela.streams.definitions import STREAMS
from tools.catalogs import FOLDER, as_text

if TYPE_CHECKING:
    from pathlib import Path

_TAP = [sys.executable, "-W", "error", "-c", "from tap_daktela.tap import TapDaktela; TapDaktela.cli()"]

Catalog = dict[str, dict[str, Any]]


def _discover(*options: str) -> Catalog:
    run = subprocess.run([*_TAP, *options, "--discover"], stdout=subprocess.PIPE, text=True, check=True)
    streams = json.loads(run.stdout)["streams"]
    catalog = {stream["tap_stream_id"]: stream for stream in streams}
    assert len(catalog) == len(streams)
    return catalog


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    """Return the output of discovery without settings, which needs no connection."""
    return _discover()


def test_discovery_lists_every_stream(catalog: Catalog) -> None:
    assert sorted(catalog) == sorted(stream.name for stream in STREAMS)


@pytest.mark.parametrize("name", [stream.name for stream in STREAMS])
def test_the_catalog_of_a_stream_is_the_committed_one(catalog: Catalog, name: str) -> None:
    path = FOLDER / f"{name}.json"
    committed = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    # The order of an entry's keys depends on the SDK's version. The order of columns has a test of its own.
    if committed != catalog[name]:
        lines = (as_text(committed).splitlines(), as_text(catalog[name]).splitlines())
        difference = "\n".join(difflib.unified_diff(*lines, "committed", "discovered", lineterm=""))
        pytest.fail(f"the catalog of {name} has changed; if intended, make generate\n{difference}", pytrace=False)


def test_every_snapshot_belongs_to_a_stream() -> None:
    assert sorted(path.stem for path in FOLDER.iterdir()) == sorted(stream.name for stream in STREAMS)


@pytest.mark.parametrize("name", [stream.name for stream in STREAMS])
def test_the_schema_of_a_stream_is_valid_with_its_columns_in_order(catalog: Catalog, name: str) -> None:
    schema = catalog[name]["schema"]
    jsonschema.Draft7Validator.check_schema(schema)
    declared = next(stream for stream in STREAMS if stream.name == name)
    assert list(schema["properties"]) == [column.name for column in declared.fields]


def test_settings_change_only_their_part_of_the_catalog(catalog: Catalog, tmp_path: Path) -> None:
    config = {
        "instances": [{"server": "acme", "access_token": "t"}, {"server": "umbrella", "access_token": "t"}],
        "prefix_stream_names": True,
        "extra_fields": {"tickets": ["customFields.vip"]},
    }
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    found = _discover("--config", str(path))
    assert sorted(found) == sorted(f"{server}_{name}" for server in ("acme", "umbrella") for name in catalog)
    names = list(catalog["tickets"]["schema"]["properties"])
    assert list(found["acme_tickets"]["schema"]["properties"]) == [*names[:-1], "customFields_vip", "server"]
    assert found["umbrella_groups"]["schema"] == catalog["groups"]["schema"]
