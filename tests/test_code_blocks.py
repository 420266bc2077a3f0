"""The code blocks of the documentation are valid: Meltano definitions, settings, Python, JSON and TOML.

`test_console_blocks.py` runs the console blocks. The tests of single pages check what their SQL returns.
"""

from __future__ import annotations

import io
import json
import tomllib
from typing import TYPE_CHECKING, Any, TypeAlias

import jsonschema
import pytest
import yaml

from tap_daktela.inputs import settings as tap_settings
from tap_daktela.streams.definitions import STREAMS
from tap_daktela.tap import TapDaktela
from target_daktela_crm.inputs import settings as target_settings
from target_daktela_crm.target import TargetDaktelaCrm
from tests.markdown import ROOT, Block, Command, blocks, commands, pages
from tests.meltano import MELTANO
from tests.shell import CommandError, Shell, missing_lines
from tools.plugins import own_settings

if TYPE_CHECKING:
    from pathlib import Path

Config: TypeAlias = dict[str, Any]

LANGUAGES = {"console", "ini", "json", "python", "sql", "text", "toml", "yaml"}
DIRECTIVES = {"{important}", "{toctree}"}
"""Directives of Sphinx in the syntax of MyST."""
PROJECT_KEYS = {"default_environment", "environments", "jobs", "plugins", "schedules", "venv"}
"""A YAML block with one of these keys is a part of `meltano.yml`. Any other is a part of a plugin in it."""
PLUGIN_KEYS = {"config", "schema", "select"}
"""A YAML block with other keys shows settings of a plugin."""
CREDENTIALS = {"url": "https://acme.daktela.com", "access_token": "x"}

BLOCKS = [block for page in pages() for block in blocks(page)]


def in_language(name: str) -> pytest.MarkDecorator:
    """Return the parametrization of a test with the blocks in a language."""
    return pytest.mark.parametrize("block", [each for each in BLOCKS if each.language == name], ids=str)


def test_every_block_has_a_known_language() -> None:
    """An indented block has no language, and no test would check its commands."""
    assert [str(block) for block in BLOCKS if block.language not in LANGUAGES | DIRECTIVES] == []


def test_commands_are_in_console_blocks() -> None:
    others = [block for block in BLOCKS if block.language != "console"]
    assert [str(block) for block in others if block.text.startswith("$ ")] == []


@in_language("json")
def test_json_is_valid(block: Block) -> None:
    assert json.loads(block.text) is not None


@in_language("toml")
def test_toml_is_valid(block: Block) -> None:
    assert tomllib.loads(block.text)


@in_language("python")
def test_python_runs(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard input is a catalog, and the folder contains a request of a dry run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(TapDaktela(config=CREDENTIALS).catalog_dict)))
    preview = tmp_path / "preview"
    preview.mkdir()
    company: Config = {"id": None, "name": None, "description": None, "contacts": []}
    (preview / "request-00001.json").write_text(json.dumps({"data": [company]}), "utf-8")
    exec(compile(block.text, str(block), "exec"), {})  # noqa: S102 - the code of the documentation


@pytest.fixture(scope="module")
def project_schema() -> Config:
    """Return the JSON Schema of `meltano.yml` that comes with the pinned Meltano."""
    if not MELTANO.exists():
        pytest.skip("needs Meltano: run make test")
    [path] = MELTANO.parents[1].glob("lib/python*/site-packages/meltano/schemas/meltano.schema.json")
    return dict(json.loads(path.read_bytes()))


@in_language("yaml")
def test_a_part_of_meltano_yml_is_valid(block: Block, project_schema: Config) -> None:
    content = yaml.safe_load(block.text)
    if not PROJECT_KEYS & content.keys():
        keys = content if PLUGIN_KEYS & content.keys() else {"config": content}
        content = {"plugins": {"extractors": [{"name": "tap-daktela", **keys}]}}
    for kind, entries in content.get("plugins", {}).items():
        if kind != "extractors":
            # Meltano reads this key for every plugin, but its schema allows it for extractors only.
            content["plugins"][kind] = [
                {key: each[key] for key in each if key != "log_parser"} for each in entries
            ]
    jsonschema.validate(content, project_schema)


@in_language("yaml")
def test_the_settings_are_valid(block: Block) -> None:
    for config in configs(yaml.safe_load(block.text)):
        problems = [read(config) for read in (tap_problems, target_problems)]
        assert [] in problems, problems


@in_language("yaml")
def test_the_selected_streams_exist(block: Block) -> None:
    content = yaml.safe_load(block.text)
    entries = [content, *content.get("plugins", {}).get("extractors", [])]
    selected = [pattern for entry in entries if _is_ours(entry) for pattern in entry.get("select", [])]
    assert {pattern.removeprefix("!").split(".")[0] for pattern in selected} <= {each.name for each in STREAMS} | {
        "*"
    }


def configs(content: Config) -> list[Config]:
    """Return the settings of the tap or the target in a YAML block."""
    plugins = content.get("plugins", {})
    environments = [each.get("config", {}).get("plugins", {}) for each in content.get("environments", [])]
    entries = [each for kinds in (plugins, *environments) for kind in kinds.values() for each in kind]
    if not PROJECT_KEYS & content.keys():
        entries = [content if PLUGIN_KEYS & content.keys() else {"config": content}]
    return [entry["config"] for entry in entries if _is_ours(entry) and "config" in entry]


def _is_ours(entry: Config) -> bool:
    return "daktela" in entry.get("name", "daktela")


def tap_problems(config: Config) -> list[str]:
    """Return the tap's messages about settings, without those about the identity of the instance."""
    own = _without_sdk_settings(config, TapDaktela, tap_settings.SCHEMA)
    has_instance = {"url", "server", "instances"} & own.keys()
    has_credentials = {"username", "instances"} & own.keys()
    given = {
        **({} if has_instance else {"url": CREDENTIALS["url"]}),
        **({} if has_credentials else {"access_token": "x"}),
    }
    given |= {"password": "x"} if "username" in own else {}
    return [*tap_settings.problems({**given, **own}, tap_settings.SCHEMA)]


def target_problems(config: Config) -> list[str]:
    """Return the target's messages about settings, without those about the identity of the instance."""
    own = _without_sdk_settings(config, TargetDaktelaCrm, target_settings.SCHEMA)
    needs = target_settings.Needs.CREDENTIALS
    return [
        *target_settings.problems({**CREDENTIALS, "preset": "salesforce", **own}, target_settings.SCHEMA, needs)
    ]


def _without_sdk_settings(config: Config, command: type[TapDaktela | TargetDaktelaCrm], schema: Config) -> Config:
    added = own_settings(command).keys() - schema["properties"].keys()
    return {name: value for name, value in config.items() if name not in added}


# The helpers of these tests.


def test_a_console_block_has_commands_and_their_output() -> None:
    text = "$ one \\\n    --more\nshown\n$ two\n> rest\n"
    found = commands(Block(ROOT / "README.md", 1, "console", text))
    assert found == [Command("one \\\n    --more", ("shown",)), Command("two\nrest", ())]


def test_a_console_block_begins_with_a_command() -> None:
    with pytest.raises(ValueError, match="must begin with the prompt"):
        commands(Block(ROOT / "README.md", 1, "console", "make demo\n"))


@pytest.mark.parametrize(
    ("shown", "missing"),
    [(("a", "c"), []), (("c", "a"), ["a"]), (("a … d",), ["a … d"]), (("b…z",), []), (("x", "a"), ["x", "a"])],
)
def test_the_lines_that_a_page_shows_are_found_in_order(shown: tuple[str, ...], missing: list[str]) -> None:
    assert missing_lines(shown, "a\nb to z\nc\n") == missing


def test_directory_and_variables_last_from_one_command_to_the_next(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "folder").mkdir()
    shell = Shell(tmp_path / "folder", {"PATH": "/usr/bin:/bin"}, tmp_path / "state")
    shell.run(Command("mkdir below; cd below; export A='1 2'", ()))
    assert shell.run(Command('echo "$A in $PWD"', ())) == f"1 2 in {tmp_path / 'folder' / 'below'}\n"


def test_a_command_that_fails_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    shell = Shell(tmp_path, {"PATH": "/usr/bin:/bin"}, tmp_path / "state")
    with pytest.raises(CommandError, match=r"ended with exit code 3:\nwhy"):
        shell.run(Command("echo why; exit 3", ()))
    with pytest.raises(CommandError, match=r"exit code 1"):
        shell.run(Command("false | cat", ()))
    with pytest.raises(CommandError, match=r"did not print \['other'\]"):
        shell.run(Command("echo one", ("other",)))
