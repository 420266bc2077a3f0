"""Write a `select` block for each CRM tap: the columns that its preset reads, where the tap has them.

The columns are those of the preset. The recorded output of each tap (`tests/crm/taps`) shows where they are.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from target_daktela_crm.exact_json import decode
from target_daktela_crm.mapping.compiler import compile_mapping
from target_daktela_crm.mapping.preset import preset_notes
from target_daktela_crm.mapping.roles import DefinitionRole, ValueRole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from target_daktela_crm.mapping.columns import Column
    from target_daktela_crm.mapping.columns import Path as Spelling
    from target_daktela_crm.mapping.compiled import StreamMapping

RECORDED = Path(__file__).parents[1] / "tests" / "crm" / "taps"


class Tap(NamedTuple):
    """A CRM tap."""

    name: str
    maker: str
    """Who publishes it, and which of its shapes it is."""


TAPS = {
    "activecampaign-singer-io": Tap("tap-activecampaign", "singer-io and bytecodeio"),
    "capsule-matatika": Tap("tap-capsulecrm", "Matatika"),
    "close-singer-io": Tap("tap-closeio", "singer-io"),
    "copper-singer-io": Tap("tap-copper", "singer-io"),
    "dataverse-mjsqu": Tap("tap-dataverse", "mjsqu"),
    "dynamics365-bytecodeio": Tap("tap-dynamics", "bytecodeio, and singer-io's tap-ms-dynamics"),
    "dynamics365-datamill": Tap("tap-dynamics-crm", "datamill-co, hotglue and quickbi"),
    "dynamics365-dreamdata": Tap("tap-dynamics", "dreamdata-io"),
    "freshsales-goes-funky": Tap("tap-freshsales", "goes-funky"),
    "freshsales-pypi": Tap("tap-freshsales", "PyPI"),
    "hubspot-airbyte": Tap("tap-hubspot", "Airbyte"),
    "hubspot-hotglue": Tap("tap-hubspot", "hotglue (tap-hubspot-beta)"),
    "hubspot-meltanolabs": Tap("tap-hubspot", "MeltanoLabs"),
    "hubspot-meltanolabs-associations": Tap("tap-hubspot", "MeltanoLabs, with its setting `associations`"),
    "hubspot-meltanolabs-flattened": Tap("tap-hubspot", "MeltanoLabs, with flattening"),
    "hubspot-potloc": Tap("tap-hubspot", "potloc"),
    "hubspot-potloc-associations": Tap("tap-hubspot", "potloc, with the stream of associations"),
    "hubspot-singer-io": Tap("tap-hubspot", "singer-io"),
    "pipedrive-airbyte": Tap("tap-pipedrive", "Airbyte"),
    "pipedrive-leag": Tap("tap-pipedrive", "leag"),
    "pipedrive-singer-io": Tap("tap-pipedrive", "singer-io"),
    "raynet-rest-api": Tap("tap-rest-api-msdk", "Widen, on Raynet's API"),
    "salesforce-meltanolabs": Tap("tap-salesforce", "MeltanoLabs"),
    "salesforce-pipelinewise": Tap("tap-salesforce", "TransferWise (pipelinewise-tap-salesforce)"),
    "salesforce-singer-io": Tap("tap-salesforce", "singer-io"),
    "sugarcrm-rest": Tap("tap-rest-api-msdk", "Widen, on the REST API of SugarCRM"),
    "sugarcrm-sql": Tap("tap-mysql", "any tap of the database"),
    "sugarcrm-sql-schemas": Tap("tap-mysql", "any tap of the database that names streams `schema-table`"),
    "zendesk-sell-dreamdata": Tap("tap-zendesk-sell", "dreamdata-io"),
    "zendesk-sell-leag": Tap("tap-zendesk-sell", "leag"),
    "zoho-hotglue": Tap("tap-zoho", "hotglue"),
    "zoho-singer-io": Tap("tap-zoho-crm", "singer-io"),
}
"""Folder of the recorded output -> tap."""


def messages(folder: str) -> Iterator[dict[str, Any]]:
    """Yield the recorded messages of a tap."""
    for line in (RECORDED / folder / "messages.jsonl").read_bytes().split(b"\n"):
        if line.strip():
            yield decode(line)


def preset_of(folder: str) -> str:
    """Return the preset of a tap."""
    return str(json.loads((RECORDED / folder / "expected.json").read_text("utf-8"))["preset"])


def patterns(folder: str) -> list[str]:
    """Return the patterns that select the columns which the preset of a tap reads, in the notation of Meltano."""
    mapping = compile_mapping(preset_of(folder), None, None)
    found: dict[str, dict[str, None]] = {}
    for stream, content in shapes(folder).items():
        of_stream = mapping.stream(stream)
        if of_stream is not None:
            found[stream] = dict.fromkeys(_of_stream(of_stream, content))
    return [f"{stream}.{pattern}" for stream, several in found.items() for pattern in several]


def shapes(folder: str) -> dict[str, dict[str, Any]]:
    """Return an object for each stream of a tap that has all columns of its schema and its records."""
    found: dict[str, dict[str, Any]] = {}
    for message in messages(folder):
        shape = found.setdefault(message.get("stream", ""), {})
        if message["type"] == "SCHEMA":
            _add(shape, _of_schema(message["schema"]))
        elif message["type"] == "RECORD":
            _add(shape, message["record"])
    return {stream: shape for stream, shape in found.items() if stream}


def _of_schema(schema: dict[str, Any]) -> dict[str, Any]:
    return {name: _of_schema(each) or None for name, each in schema.get("properties", {}).items()}


def _add(shape: dict[str, Any], more: dict[str, Any]) -> None:
    for name, value in more.items():
        if isinstance(value, dict):
            known = shape.get(name)
            shape[name] = known if isinstance(known, dict) else {}
            _add(shape[name], value)
        elif not shape.get(name):
            shape[name] = value


def _of_stream(mapping: StreamMapping, shape: dict[str, Any]) -> Iterator[str]:
    if isinstance(mapping.roles[0], (ValueRole, DefinitionRole)):
        # Expressions of other streams read their columns.
        yield "*"
        return
    paths = [path for column in mapping.columns for path in _paths(shape, column)]
    for path in paths:
        # Meltano takes a dot as the end of a name.
        names = [name.replace(".", "?") for name in path]
        for count in range(1, len(names) + 1):
            yield ".".join(names[:count])
        is_parent = any(other[: len(path)] == path != other for other in paths)
        if _has_inner_columns(shape, path) and not is_parent:
            yield f"{'.'.join(names)}.*"


def _paths(shape: dict[str, Any], column: Column) -> Iterator[Spelling]:
    """Yield the path of a column in a shape, and those at which some records have null in place of an object."""
    is_found = False
    for spelling in column.spellings:
        path = _longest(shape, spelling)
        if path == spelling and not is_found:
            is_found = True
            yield path
        elif path and path not in column.spellings and _value(shape, path) is None:
            yield path


def _longest(shape: dict[str, Any], spelling: Spelling) -> Spelling:
    """Return as much of a path as a shape has."""
    content: Any = shape
    for count, name in enumerate(spelling):
        if not isinstance(content, dict) or name not in content:
            return spelling[:count]
        content = content[name]
    return spelling


def _value(shape: dict[str, Any], path: Spelling) -> Any:  # noqa: ANN401 - JSON
    content: Any = shape
    for name in path:
        content = content[name]
    return content


def _has_inner_columns(shape: dict[str, Any], path: Spelling) -> bool:
    """Return whether a column is an object or a list of objects."""
    value = _value(shape, path)
    return any(isinstance(each, dict) for each in (value if isinstance(value, list) else [value]))


def block(folder: str) -> str:
    """Return the section of a tap."""
    tap = TAPS[folder]
    return "\n".join(
        [
            f"**{tap.name}** of {tap.maker}:",
            "",
            "```yaml",
            "plugins:",
            "  extractors:",
            f"  - name: {tap.name}",
            "    select:",
            *(f"    - {_quoted(pattern)}" for pattern in patterns(folder)),
            "```",
        ]
    )


def _quoted(pattern: str) -> str:
    return pattern if pattern.replace("_", "").replace(".", "").replace("-", "").isalnum() else f"'{pattern}'"


def blocks() -> str:
    """Return a section for each preset, with a block for each of its taps."""
    by_preset: dict[str, list[str]] = {}
    for folder in TAPS:
        by_preset.setdefault(preset_of(folder), []).append(folder)
    sections = []
    for preset, folders in sorted(by_preset.items()):
        sections += [f"### {preset_notes(preset)['CRM']}", *(block(folder) for folder in folders)]
    return "\n\n".join(sections)
