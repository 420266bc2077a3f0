"""The README's tables, made from the code: `python -m tests.readme` writes them, a test holds them.

In: the settings of both commands, streams, presets and functions. Out: Markdown between the README's markers.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tap_daktela.settings import SCHEMA
from tap_daktela.streams import STREAMS
from target_daktela_crm import settings as of_the_target
from target_daktela_crm.functions import function_help
from target_daktela_crm.preset import PRESETS, load_preset, preset_notes

README = Path(__file__).parents[1] / "README.md"


def settings_table(schema: Any = SCHEMA) -> str:
    """Return a row for each of a command's own settings."""
    lines = ["| setting | default | meaning |", "|---|---|---|"]
    for name, setting in schema["properties"].items():
        default = f"`{_shown(setting['default'])}`" if "default" in setting else ""
        secret = "Secret. " if setting.get("secret") else ""
        lines.append(f"| `{name}` | {default} | {secret}{setting['description']} |")
    return "\n".join(lines)


def streams_table() -> str:
    """Return a row for each stream."""
    lines = ["| stream | key | replication | what it holds |", "|---|---|---|---|"]
    for stream in STREAMS:
        keys = ", ".join(f"`{key}`" for key in stream.keys)
        replication = f"incremental, `{stream.replication_key}`" if stream.replication_key else "full table"
        lines.append(f"| `{stream.name}` | {keys} | {replication} | {stream.description} |")
    return "\n".join(lines)


def presets_table() -> str:
    """Return a row for each preset, from the head of its file."""
    lines = ["| CRM | preset | made for | streams | left out | deletes |", "|---|---|---|---|---|---|"]
    for name in PRESETS:
        notes = preset_notes(name)
        streams = ", ".join(f"`{stream}`" for stream in load_preset(name)["streams"])
        cells = [notes.get(key, "") for key in ("Made for", "Left out", "Deletes")]
        lines.append(f"| {notes['CRM']} | `{name}` | {cells[0]} | {streams} | {cells[1]} | {cells[2]} |")
    return "\n".join(lines)


def functions_table() -> str:
    """Return a row for each function of our own."""
    lines = ["| function | returns |", "|---|---|"]
    for call, help_text in function_help().items():
        returned = help_text.removeprefix("Return ")
        lines.append(f"| `{call}` | {returned[0].upper()}{returned[1:]} |")
    return "\n".join(lines)


def filled(text: str) -> str:
    """Return the README's text with its tables as they must be."""
    tables = {
        "settings": settings_table(),
        "streams": streams_table(),
        "presets": presets_table(),
        "functions": functions_table(),
        "target-settings": settings_table(of_the_target.SCHEMA),
    }
    for name, table in tables.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        text, count = pattern.subn(lambda match, table=table: f"{match[1]}{table}\n{match[2]}", text)  # type: ignore[misc]
        if count != 1:
            raise ValueError(f"the README has {count} places for the table of {name}")
    return text


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


if __name__ == "__main__":
    README.write_text(filled(README.read_text(encoding="utf-8")), encoding="utf-8")
