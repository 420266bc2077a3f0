"""Write the JSON Schema of the records of each stream into the package: `tap_daktela/schemas/{stream}.json`.

They are for tests of users. The tap does not read them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tap_daktela
from tap_daktela.streams.definitions import STREAMS

if TYPE_CHECKING:
    from tap_daktela.streams.fields import Stream

FOLDER = Path(tap_daktela.__file__).parent / "schemas"
DRAFT = "http://json-schema.org/draft-07/schema#"


def schema_of(stream: Stream) -> dict[str, Any]:
    """Return the JSON Schema of a stream.

    Only keys and bookmarks are required, since all other columns can be deselected.
    """
    cursor = stream.replication_key
    schema = stream.schema()
    return {
        "$schema": DRAFT,
        "title": stream.name,
        "description": stream.description,
        "x-singer": {
            "key_properties": list(stream.keys),
            "replication_key": cursor,
            "selected_by_default": stream.selected_by_default,
        },
        "type": schema["type"],
        "required": [*stream.keys, *([cursor] if cursor else [])],
        "properties": schema["properties"],
    }


def as_text(schema: dict[str, Any]) -> str:
    """Return a schema as JSON with one line for each column, so that each changed column is one line of a diff."""
    properties = ",\n".join(f"    {_json(name)}: {_json(column)}" for name, column in schema["properties"].items())
    head = "".join(f"  {_json(key)}: {_json(value)},\n" for key, value in schema.items() if key != "properties")
    return f'{{\n{head}  "properties": {{\n{properties}\n  }}\n}}\n'


def files() -> dict[Path, str]:
    """Return the text of each file."""
    return {FOLDER / f"{stream.name}.json": as_text(schema_of(stream)) for stream in STREAMS}


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
