"""Write the plugin definitions for `meltano add --from-ref`, one for each command, in the format of MeltanoHub.

They repeat the settings and capabilities of the commands, the streams, and the Python versions of pyproject.toml.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from typing_extensions import override

from tap_daktela.streams.definitions import STREAMS
from tap_daktela.tap import TapDaktela
from target_daktela_crm.mapping.preset import PRESETS, preset_notes
from target_daktela_crm.target import TargetDaktelaCrm

if TYPE_CHECKING:
    from singer_sdk.plugin_base import PluginBase

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "plugins"

Definition = dict[str, Any]

CREDENTIALS = (["access_token"], ["username", "password"])
PLUGINS: dict[str, tuple[str, type[PluginBase]]] = {
    "tap-daktela": ("extractors", TapDaktela),
    "target-daktela-crm": ("loaders", TargetDaktelaCrm),
}
DISTRIBUTION = "tap-daktela"
"""The package that contains both commands."""

VARIANT = "community"
"""MeltanoHub uses the owner of the repository."""

_WIDTH = 115
_CLASSIFIER = "Programming Language :: Python :: 3."
_LABELS = {"tap-daktela": "Daktela", "target-daktela-crm": "Daktela CRM"}
_KEYWORDS = {
    "tap-daktela": ["api", "contact centre", "daktela", "meltano_sdk"],
    "target-daktela-crm": ["contact centre", "crm", "daktela", "meltano_sdk"],
}
_USAGE = {
    "tap-daktela": """\
`meltano invoke tap-daktela --test` reports for each stream whether the account may read it.

`meltano add --from-ref` does not copy `select` and `log_parser` of this definition: copy both into your
`meltano.yml`. Without `select`, Meltano selects every stream.
""",
    "target-daktela-crm": """\
Run it behind the tap of a CRM, with the `preset` of that CRM. A first run with `dry_run` writes the requests into
a folder and sends nothing.

Keep the file at `store_path` between runs. `target-daktela-crm --deliver` sends a load with `delete_missing`.
`meltano add --from-ref` does not copy `log_parser` of this definition: copy it into your `meltano.yml`.
""",
}


def expected_setting(name: str, schema: Definition) -> Definition:
    """Return the entry of a setting in meltano.yml."""
    entry = {"name": name, "label": schema["title"], "kind": expected_kind(schema)}
    if is_secret(schema):
        entry["sensitive"] = True
    if "default" in schema:
        entry["value"] = schema["default"]
    if "enum" in schema:
        labels = {preset: preset_notes(preset)["CRM"] for preset in PRESETS}
        entry["options"] = [
            {"label": labels.get(each, each.capitalize()), "value": each} for each in schema["enum"]
        ]
    return entry | {"description": schema["description"]}


def expected_kind(schema: Definition) -> str:
    """Return the kind of a setting in meltano.yml."""
    if "enum" in schema:
        return "options"
    if schema.get("format") == "date-time":
        return "date_iso8601"
    [kind] = {*schema["type"]} - {"null"}
    # Meltano cannot pass decimals from the environment. The commands convert texts to numbers.
    return "string" if kind == "number" else str(kind)


def is_secret(schema: Definition) -> bool:
    """Return whether a setting is a secret or contains one."""
    inside = [*schema.get("properties", {}).values(), *filter(None, [schema.get("items")])]
    return bool(schema.get("secret")) or any(is_secret(part) for part in inside)


def own_settings(command: type[PluginBase]) -> Definition:
    """Return the schema of all settings, including those of the SDK."""
    schema: Definition = {"properties": dict(command.config_jsonschema["properties"])}
    command.append_builtin_config(schema)
    properties: Definition = schema["properties"]
    return properties


def definition(name: str) -> dict[str, Any]:
    """Return the definition of a plugin. The order of its keys is that of the file."""
    _, command = PLUGINS[name]
    settings = own_settings(command)
    entry: dict[str, Any] = {
        "name": name,
        "namespace": name.replace("-", "_"),
        "variant": VARIANT,
        "label": _LABELS[name],
        "description": command.__doc__,
        "domain_url": "https://www.daktela.com",
        "keywords": _KEYWORDS[name],
        "maintenance_status": "active",
        "quality": "silver",
        "pip_url": DISTRIBUTION,
        "executable": name,
        "log_parser": "singer-sdk",
        "supported_python_versions": python_versions(),
        "capabilities": [capability.value for capability in command.capabilities],
    }
    if "catalog" in entry["capabilities"]:
        entry["select"] = [f"{stream.name}.*" for stream in STREAMS if stream.selected_by_default]
    return entry | {
        "settings_group_validation": _groups(settings),
        "settings": [expected_setting(setting, schema) for setting, schema in settings.items()],
        "usage": _USAGE[name],
    }


def python_versions() -> list[str]:
    """Return the versions of Python that pyproject.toml names."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [
        f"3.{text.removeprefix(_CLASSIFIER)}" for text in project["classifiers"] if text.startswith(_CLASSIFIER)
    ]


def path(name: str) -> Path:
    """Return the path of the definition of a plugin."""
    return FOLDER / f"{name}.yaml"


def text(name: str) -> str:
    """Return the content of the file of a plugin."""
    return f"# Written by `make generate`.\n{as_yaml(definition(name))}"


def as_yaml(content: object) -> str:
    """Return YAML with the keys in their order."""
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH)


def _groups(settings: dict[str, Any]) -> list[list[str]]:
    """Return the sets of required settings. One set is enough."""
    single = [[where, *secrets] for where in ("url", "server") for secrets in CREDENTIALS]
    return [*single, *([["instances"]] if "instances" in settings else [])]


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks, and repeated lists without aliases."""

    @override
    def ignore_aliases(self, data: object) -> bool:
        return True

    @override
    def represent_str(self, data: str) -> yaml.ScalarNode:
        style = "|" if "\n" in data else None
        return self.represent_scalar("tag:yaml.org,2002:str", data, style)


_Dumper.add_representer(str, _Dumper.represent_str)


def files() -> dict[Path, str]:
    """Return the text of each file."""
    return {path(name): text(name) for name in PLUGINS}
