"""meltano.yml says of the tap what the tap says of itself.

A setting stands in three places: in the tap, in meltano.yml and in the README. What is checked here is the
second; the expected entry of a setting follows from the tap's own schema, so that a failure shows what to write.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

from tap_daktela.streams import STREAMS
from tap_daktela.tap import TapDaktela

ROOT = Path(__file__).parents[1]
CREDENTIALS = (["access_token"], ["username", "password"])

Definition = dict[str, Any]


@pytest.fixture(scope="module")
def project() -> Definition:
    content: Definition = yaml.safe_load((ROOT / "meltano.yml").read_text())
    return content


@pytest.fixture(scope="module")
def extractor(project: Definition) -> Definition:
    return plugin(project, "extractors", "tap-daktela")


def plugin(project: Definition, kind: str, name: str) -> Definition:
    [found] = [entry for entry in project["plugins"][kind] if entry["name"] == name]
    return dict(found)


def expected_setting(name: str, schema: Definition) -> Definition:
    """Return the entry that a setting of the tap has in meltano.yml."""
    entry = {"name": name, "label": schema["title"], "kind": expected_kind(schema)}
    if is_secret(schema):
        entry["sensitive"] = True
    if "default" in schema:
        entry["value"] = schema["default"]
    if "enum" in schema:
        entry["options"] = [{"label": value.capitalize(), "value": value} for value in schema["enum"]]
    return entry | {"description": schema["description"]}


def expected_kind(schema: Definition) -> str:
    if "enum" in schema:
        return "options"
    if schema.get("format") == "date-time":
        return "date_iso8601"
    [kind] = {*schema["type"]} - {"null"}
    return "decimal" if kind == "number" else str(kind)


def is_secret(schema: Definition) -> bool:
    """Return whether a setting is a secret, or holds one somewhere inside."""
    inside = [*schema.get("properties", {}).values(), *filter(None, [schema.get("items")])]
    return bool(schema.get("secret")) or any(is_secret(part) for part in inside)


def tap_settings() -> Definition:
    """Return the schema of every setting, the SDK's own included."""
    schema: Definition = {"properties": dict(TapDaktela.config_jsonschema["properties"])}
    TapDaktela.append_builtin_config(schema)
    properties: Definition = schema["properties"]
    return properties


def test_settings_are_the_taps_in_its_order(extractor: Definition) -> None:
    assert [entry["name"] for entry in extractor["settings"]] == list(tap_settings())


@pytest.mark.parametrize("name", list(tap_settings()))
def test_setting_is_as_the_tap_defines_it(extractor: Definition, name: str) -> None:
    [entry] = [entry for entry in extractor["settings"] if entry["name"] == name]
    assert entry == expected_setting(name, tap_settings()[name])


def test_capabilities_are_the_taps(extractor: Definition) -> None:
    assert extractor["capabilities"] == [capability.value for capability in TapDaktela.capabilities]


def test_selection_is_the_taps_own(extractor: Definition) -> None:
    assert extractor["select"] == [f"{stream.name}.*" for stream in STREAMS if stream.selected_by_default]


def test_description_is_the_taps(extractor: Definition) -> None:
    assert extractor["description"] == TapDaktela.__doc__


def test_an_instance_and_its_credentials_are_what_it_takes(extractor: Definition) -> None:
    single = [[where, *secrets] for where in ("url", "server") for secrets in CREDENTIALS]
    assert extractor["settings_group_validation"] == [*single, ["instances"]]


def test_configured_settings_exist(project: Definition, extractor: Definition) -> None:
    known = {entry["name"] for entry in extractor["settings"]}
    configured = {
        name
        for environment in project["environments"]
        for entry in environment["config"]["plugins"]["extractors"]
        for name in entry["config"]
    }
    assert configured <= known


@pytest.mark.parametrize("name", ["target-jsonl", "target-duckdb"])
def test_loaders_are_pinned(project: Definition, name: str) -> None:
    requirements = [Requirement(text) for text in plugin(project, "loaders", name)["pip_url"].split()]
    assert requirements[0].name == name
    assert all(str(requirement.specifier).startswith("==") for requirement in requirements)


def test_duckdb_reads_what_the_loader_writes(project: Definition) -> None:
    pins = dict(text.split("==") for text in plugin(project, "loaders", "target-duckdb")["pip_url"].split())
    assert Version(version("duckdb")) >= Version(pins["duckdb"])
