"""Write the tables of the documentation that repeat the code: settings, capabilities, presets and functions.

A table stands between two markers, such as `<!-- settings -->` and `<!-- /settings -->`. The example in the quick
start of the tap gets the streams that are selected by default.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tap_daktela.inputs.settings import SCHEMA
from tap_daktela.streams.definitions import STREAMS
from tap_daktela.tap import TapDaktela
from target_daktela_crm.inputs import settings as of_the_target
from target_daktela_crm.mapping.functions import function_help
from target_daktela_crm.mapping.preset import PRESETS, load_preset, preset_notes
from target_daktela_crm.target import TargetDaktelaCrm
from tools.select_blocks import blocks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DOCS = Path(__file__).parents[1] / "docs"
QUICK_START = DOCS / "tap" / "quick-start.md"
_SELECTION = re.compile(r"(    select:\n)(?:    - \w+\.\*\n)+")


def settings_table(schema: Mapping[str, Any] = SCHEMA) -> str:
    """Return a row for each setting of a command, without those of the SDK."""
    lines = ["| setting | default | meaning |", "|---|---|---|"]
    for name, setting in schema["properties"].items():
        default = f"`{_shown(setting['default'])}`" if "default" in setting else ""
        secret = "Secret. " if setting.get("secret") else ""
        lines.append(f"| `{name}` | {default} | {secret}{setting['description']} |")
    return "\n".join(lines)


def presets_table() -> str:
    """Return a row for each preset, from the header of its file."""
    lines = ["| CRM | preset | made for | streams | left out | deletes |", "|---|---|---|---|---|---|"]
    for name in PRESETS:
        notes = preset_notes(name)
        streams = ", ".join(f"`{stream}`" for stream in load_preset(name)["streams"])
        cells = [notes.get(key, "") for key in ("Made for", "Left out", "Deletes")]
        lines.append(f"| {notes['CRM']} | `{name}` | {cells[0]} | {streams} | {cells[1]} | {cells[2]} |")
    return "\n".join(lines)


def functions_table() -> str:
    """Return a row for each function that this project adds to JMESPath."""
    lines = ["| function | returns |", "|---|---|"]
    for call, help_text in function_help().items():
        returned = help_text.removeprefix("Return ")
        lines.append(f"| `{call}` | {returned[0].upper()}{returned[1:]} |")
    return "\n".join(lines)


def built_in_settings_table() -> str:
    """Return a row for each setting that the SDK adds to both commands."""
    added = []
    for command in (TapDaktela, TargetDaktelaCrm):
        schema: dict[str, Any] = {"properties": {}}
        command.append_builtin_config(schema)
        added.append(schema["properties"])
    if added[0] != added[1]:
        raise ValueError("the SDK's settings are no longer the same for both commands")
    lines = ["| setting | meaning |", "|---|---|"]
    lines += [f"| `{name}` | {' '.join(setting['description'].split())} |" for name, setting in added[0].items()]
    return "\n".join(lines)


def capabilities_table() -> str:
    """Return a row for each capability of the commands."""
    lines = ["| capability | `tap-daktela` | `target-daktela-crm` |", "|---|---|---|"]
    of_each = [[each.value for each in command.capabilities] for command in (TapDaktela, TargetDaktelaCrm)]
    for name in dict.fromkeys([*of_each[0], *of_each[1]]):
        marks = ["yes" if name in capabilities else "" for capabilities in of_each]
        lines.append(f"| `{name}` | {marks[0]} | {marks[1]} |")
    return "\n".join(lines)


TABLES: dict[Path, dict[str, Callable[[], str]]] = {
    DOCS / "tap" / "settings.md": {"settings": settings_table, "built-in-settings": built_in_settings_table},
    DOCS / "target" / "settings.md": {"target-settings": partial(settings_table, of_the_target.SCHEMA)},
    DOCS / "target" / "presets.md": {"presets": presets_table},
    DOCS / "target" / "crm-taps.md": {"select": blocks},
    DOCS / "target" / "mapping.md": {"functions": functions_table},
    DOCS / "operations" / "meltano.md": {"capabilities": capabilities_table},
}
"""Page -> name of a marker -> the function that returns the table."""


def filled(path: Path) -> str:
    """Return the text of a page with its tables.

    Raises:
        ValueError: the page does not have exactly one place for a table.
    """
    text = path.read_text(encoding="utf-8")
    for name, table in TABLES[path].items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        content = table()
        text, count = pattern.subn(lambda match, content=content: f"{match[1]}\n{content}\n\n{match[2]}", text)  # type: ignore[misc]
        if count != 1:
            raise ValueError(f"{path.name} has {count} places for the table of {name}")
    return text


def with_selection(text: str) -> str:
    """Return the text of a page whose example of `meltano.yml` selects the default streams.

    Raises:
        ValueError: the page does not have exactly one list of selected streams.
    """
    selected = "".join(f"    - {stream.name}.*\n" for stream in STREAMS if stream.selected_by_default)
    text, count = _SELECTION.subn(rf"\g<1>{selected}", text)
    if count != 1:
        raise ValueError(f"{QUICK_START.name} has {count} lists of selected streams")
    return text


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def files() -> dict[Path, str]:
    """Return the text of each page."""
    quick_start = QUICK_START.read_text(encoding="utf-8")
    return {**{path: filled(path) for path in TABLES}, QUICK_START: with_selection(quick_start)}
