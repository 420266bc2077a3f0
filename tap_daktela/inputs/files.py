"""Read and check state and catalog files."""

from __future__ import annotations

import re
from collections import Counter
from typing import IO, TYPE_CHECKING, Any

from tap_daktela.cli.config import suggest, type_problems
from tap_daktela.cli.errors import InputError
from tap_daktela.cli.json_files import CATALOG, STATE, read_object

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

_PLACE = re.compile(r"streams\[(\d+)\](?:\.|: )")
_OBJECT: dict[str, Any] = {"type": "object"}
_TEXT: dict[str, Any] = {"type": ["string", "null"]}
_SWITCH: dict[str, Any] = {"type": ["boolean", "null"]}
_TEXTS: dict[str, Any] = {"type": ["array", "null"], "items": {"type": "string"}}
_METHOD: dict[str, Any] = {"enum": ["FULL_TABLE", "INCREMENTAL", None]}
_METADATA = {
    "selected": _SWITCH,
    "selected-by-default": _SWITCH,
    "inclusion": {"enum": ["available", "automatic", "unsupported", None]},
    "table-key-properties": _TEXTS,
    "replication-key": _TEXT,
    "forced-replication-method": _METHOD,
}
_ENTRY = {
    "tap_stream_id": {"type": "string"},
    "stream": _TEXT,
    "schema": {"$ref": "#/definitions/schema"},
    "key_properties": _TEXTS,
    "replication_key": _TEXT,
    "replication_method": _METHOD,
    "metadata": {
        "type": "array",
        "items": {
            **_OBJECT,
            "required": ["breadcrumb", "metadata"],
            "properties": {
                "breadcrumb": {"type": "array", "items": {"type": "string"}},
                "metadata": {**_OBJECT, "properties": _METADATA},
            },
        },
    },
}
_CATALOG: dict[str, Any] = {
    **_OBJECT,
    "required": ["streams"],
    "properties": {
        "streams": {
            "type": "array",
            "items": {**_OBJECT, "required": ["tap_stream_id", "schema"], "properties": _ENTRY},
        }
    },
    "definitions": {
        "schema": {
            **_OBJECT,
            "properties": {
                "properties": {**_OBJECT, "additionalProperties": {"$ref": "#/definitions/schema"}},
                "items": {"$ref": "#/definitions/schema"},
            },
        }
    },
}
_PARTITION = {**_OBJECT, "required": ["context"], "properties": {"context": _OBJECT}}
_BOOKMARK = {**_OBJECT, "properties": {"partitions": {"type": "array", "items": _PARTITION}}}
_STATE: dict[str, Any] = {
    **_OBJECT,
    "properties": {"bookmarks": {**_OBJECT, "additionalProperties": _BOOKMARK}},
}


def read_state(file: IO[bytes] | None) -> dict[str, Any] | None:
    """Return the content of a state file, None if there is no file.

    Raises:
        InputError: the file is not a valid Singer state.
    """
    state = _read("state", file, STATE, _STATE)
    if file is not None and state and "bookmarks" not in state:
        # A run without bookmarks would read everything again.
        raise InputError([f"state: {file.name}: has no bookmarks; give the value of the last STATE message"])
    return state


def read_catalog(file: IO[bytes] | None) -> dict[str, Any] | None:
    """Return the content of a catalog file, None if there is no file.

    Raises:
        InputError: the file is not a valid Singer catalog.
    """
    catalog = _read("catalog", file, CATALOG, _CATALOG)
    counts = Counter(entry["tap_stream_id"] for entry in (catalog or {}).get("streams", []))
    if repeated := [name for name, count in counts.items() if count > 1]:
        raise InputError([f"catalog: the stream {name!r} occurs twice; remove one" for name in repeated])
    return catalog


def _read(name: str, file: IO[bytes] | None, kind: str, schema: Mapping[str, Any]) -> dict[str, Any] | None:
    if file is None:
        return None
    content = read_object(f"{name}: {file.name}", file.read(), kind)
    if problems := list(type_problems(content, schema)):
        raise InputError([f"{name}: {_with_stream(problem, content)}" for problem in problems])
    return content


def _with_stream(problem: str, catalog: Mapping[str, Any]) -> str:
    """Return a problem in which the name of its stream replaces the index."""
    match = _PLACE.match(problem)
    entry = catalog["streams"][int(match[1])] if match else None
    name = entry.get("tap_stream_id") if isinstance(entry, dict) else None
    return f"{name}: {problem[match.end() :]}" if match and isinstance(name, str) else problem


def unknown_streams(selected: Mapping[str, bool], known: Collection[str]) -> Iterator[str]:
    """Yield a line for each selected stream of a catalog that does not exist."""
    for name, is_selected in selected.items():
        if is_selected and name not in known:
            yield f"catalog: there is no stream {name!r}{suggest(name, known)}; discover again, or deselect it"


def catalog_warnings(
    changed: Mapping[str, tuple[object, object]], columns: Collection[str], extra: Iterable[str]
) -> Iterator[str]:
    """Yield a line for each part of the catalog entry of a selected stream that has no effect.

    `changed` maps properties of the entry to their values in the catalog and in the tap. `columns` are those of
    the catalog, `extra` those of the setting `extra_fields`.
    """
    for name, (given, used) in changed.items():
        if given and given != used:
            yield f"{name} is {given!r}, which has no effect" + (f"; the tap uses {used!r}" if used else "")
    if not columns:
        yield "the schema has no columns, so only the keys are read"
    elif missing := [name for name in extra if name not in columns]:
        yield (
            f"the columns {', '.join(missing)} of extra_fields are missing, so they are not read; discover again "
            "(in Meltano with --refresh-catalog)"
        )
