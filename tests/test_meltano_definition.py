"""meltano.yml repeats the settings and capabilities of the tap and the target correctly.

The expected entry of a setting follows from the schema of the command.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

from tap_daktela.streams.definitions import STREAMS
from target_daktela_crm.inputs.settings import for_delivery
from target_daktela_crm.target import TargetDaktelaCrm
from tools.plugins import CREDENTIALS, PLUGINS, Definition, expected_setting, own_settings

ROOT = Path(__file__).parents[1]
OF_A_DELIVERY = {
    "url",
    "server",
    "access_token",
    "username",
    "password",
    "verify_tls",
    "allow_http",
    "store_path",
} | {
    "rejects_path",
    "dry_run",
}
"""Settings that `--deliver` does not read from the staged load."""


@pytest.fixture(scope="module")
def project() -> Definition:
    content: Definition = yaml.safe_load((ROOT / "meltano.yml").read_text())
    return content


@pytest.fixture(scope="module")
def extractor(project: Definition) -> Definition:
    return plugin(project, "extractors", "tap-daktela")


@pytest.fixture(scope="module")
def loader(project: Definition) -> Definition:
    return plugin(project, "loaders", "target-daktela-crm")


@pytest.fixture(scope="module")
def utility(project: Definition) -> Definition:
    return plugin(project, "utilities", "daktela-crm")


def plugin(project: Definition, kind: str, name: str) -> Definition:
    [found] = [entry for entry in project["plugins"][kind] if entry["name"] == name]
    return dict(found)


@pytest.mark.parametrize("name", PLUGINS)
def test_settings_are_the_commands_in_its_order(project: Definition, name: str) -> None:
    kind, command = PLUGINS[name]
    found = plugin(project, kind, name)["settings"]
    assert [entry["name"] for entry in found] == list(own_settings(command))


@pytest.mark.parametrize(
    ("name", "setting"),
    [(name, setting) for name, (_, command) in PLUGINS.items() for setting in own_settings(command)],
)
def test_setting_is_as_the_command_defines_it(project: Definition, name: str, setting: str) -> None:
    kind, command = PLUGINS[name]
    [entry] = [entry for entry in plugin(project, kind, name)["settings"] if entry["name"] == setting]
    assert entry == expected_setting(setting, own_settings(command)[setting])


@pytest.mark.parametrize("name", PLUGINS)
def test_capabilities_and_description_are_the_commands(project: Definition, name: str) -> None:
    kind, command = PLUGINS[name]
    found = plugin(project, kind, name)
    assert found["capabilities"] == [capability.value for capability in command.capabilities]
    assert found["description"] == command.__doc__


def test_meltano_installs_the_commands_from_the_checkout(
    extractor: Definition, loader: Definition, utility: Definition
) -> None:
    """A fresh clone needs only `meltano install`, and no files of `make`."""
    commands = {entry.get("executable", entry["name"]) for entry in (extractor, loader, utility)}
    assert commands == {"tap-daktela", "target-daktela-crm"}
    assert {entry["pip_url"] for entry in (extractor, loader, utility)} == {"-e ."}


def test_selection_is_the_taps_own(extractor: Definition) -> None:
    assert extractor["select"] == [f"{stream.name}.*" for stream in STREAMS if stream.selected_by_default]


def test_an_instance_and_its_credentials_are_required(extractor: Definition, loader: Definition) -> None:
    single = [[where, *secrets] for where in ("url", "server") for secrets in CREDENTIALS]
    assert extractor["settings_group_validation"] == [*single, ["instances"]]
    assert loader["settings_group_validation"] == single


def test_the_utility_shares_the_loaders_environment(loader: Definition, utility: Definition) -> None:
    assert utility["executable"] == loader["executable"]
    assert utility["namespace"] == loader["namespace"]
    # The prefix of the variables that `--config ENV` reads.
    assert f"{loader['namespace']}_" == TargetDaktelaCrm._env_var_prefix.lower()


def test_the_utilitys_settings_are_the_loaders_without_defaults(loader: Definition, utility: Definition) -> None:
    # A default would replace a setting of the staged load.
    expected = [
        {key: value for key, value in entry.items() if key != "value"}
        for entry in loader["settings"]
        if entry["name"] in OF_A_DELIVERY
    ]
    assert utility["settings"] == expected


def test_the_utility_has_all_settings_that_a_staged_load_does_not_contain() -> None:
    config = dict.fromkeys(own_settings(TargetDaktelaCrm), "something")
    assert config.keys() - for_delivery(config).keys() <= OF_A_DELIVERY


def test_the_utilitys_commands_are_the_targets_options(utility: Definition) -> None:
    options = {option for parameter in TargetDaktelaCrm.cli.params for option in parameter.opts}
    for command in utility["commands"].values():
        words = command["args"].split()
        assert words[:2] == ["--config", "ENV"]
        assert {*words[2:]} <= options


def test_configured_settings_exist(project: Definition) -> None:
    for environment in project["environments"]:
        for kind, entries in environment["config"]["plugins"].items():
            for entry in entries:
                known = {setting["name"] for setting in plugin(project, kind, entry["name"])["settings"]}
                assert {*entry["config"]} <= known


def test_settings_in_the_environment_exist(project: Definition, utility: Definition) -> None:
    prefix = TargetDaktelaCrm._env_var_prefix
    known = {f"{prefix}{entry['name']}".upper() for entry in utility["settings"]}
    assert {name for environment in project["environments"] for name in environment.get("env", {})} <= known


@pytest.mark.parametrize("name", ["target-jsonl", "target-duckdb"])
def test_loaders_are_pinned(project: Definition, name: str) -> None:
    requirements = [Requirement(text) for text in plugin(project, "loaders", name)["pip_url"].split()]
    assert requirements[0].name == name
    assert all(str(requirement.specifier).startswith("==") for requirement in requirements)


def test_duckdb_reads_what_the_loader_writes(project: Definition) -> None:
    pins = dict(text.split("==") for text in plugin(project, "loaders", "target-duckdb")["pip_url"].split())
    assert Version(version("duckdb")) >= Version(pins["duckdb"])
