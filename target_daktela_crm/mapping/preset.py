"""Read a preset's file, and change it by the setting `streams`, key by key."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib import resources
from typing import Any, TypeVar

T = TypeVar("T")

_FOLDER = resources.files("target_daktela_crm.mapping.presets")
PRESETS = tuple(
    sorted(entry.name.removesuffix(".toml") for entry in _FOLDER.iterdir() if entry.name.endswith(".toml"))
)

ROLES = ("company", "contact", "link", "value", "definition")
"""The roles of a record."""
_STREAM_DEFAULTS: dict[str, Any] = {"html_entities": False, "null_values": [], "places": [], "raw": False}
"""Keys of a preset that apply to all of its streams, with their defaults."""
_LIST_CHANGES = frozenset({"append", "prepend", "remove"})


def load_preset(name: str) -> dict[str, Any]:
    """Return the content of a preset's file."""
    return tomllib.loads(_FOLDER.joinpath(f"{name}.toml").read_text("utf-8"))


def preset_notes(name: str) -> dict[str, str]:
    """Return the notes in the header of a preset's file: `CRM`, `Made for`, `Left out` and `Deletes`."""
    text = _FOLDER.joinpath(f"{name}.toml").read_text("utf-8")
    notes = {"CRM": text.split("\n", 1)[0].removeprefix("# ").removesuffix(".")}
    key = ""
    for line in text.split("\n\n", 1)[0].splitlines():
        content = line.removeprefix("#").strip()
        head, colon, rest = content.partition(": ")
        if colon and head in {"Made for", "Left out", "Deletes"}:
            key, content = head, rest
        if key and content:
            notes[key] = f"{notes[key]} {content}" if key in notes else content
    return notes


def stream_name(streams: Mapping[str, Any], name: str) -> str:
    """Return the preset's name of a stream with this name or alias, or `name` if there is none."""
    names = {alias.casefold(): known for known, stream in streams.items() for alias in _aliases(stream)}
    return find_stream({**names, **{known.casefold(): known for known in streams}}, name) or name


def find_stream(by_name: Mapping[str, T], name: str) -> T | None:
    """Return what is known of a stream: under its name in any case, or under the name of its table.

    Taps of SQL databases name their streams `schema-table`, such as `suitecrm-contacts`.
    """
    rest = name.casefold()
    while rest:
        if rest in by_name:
            return by_name[rest]
        rest = rest.partition("-")[2]
    return None


def _aliases(stream: object) -> list[str]:
    aliases = stream.get("aliases") if isinstance(stream, Mapping) else None
    several = aliases if isinstance(aliases, list) else [aliases]
    return [alias for alias in several if isinstance(alias, str)]


def merge(preset: Mapping[str, Any], changes: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return a preset's streams with `changes` applied key by key, and the problems of the changes.

    Null removes a key of the preset. An object with `append`, `prepend` or `remove` changes a list of the preset.
    Other objects are merged recursively, and any other value replaces the preset's.
    """
    problems: list[str] = []
    merged = dict(preset["streams"])
    changed: set[str] = set()
    for name, change in changes.items():
        place, known = f"streams.{name}", stream_name(merged, name)
        if known in changed:
            problems.append(f"{place}: {name!r} names two streams: it is {known}, which is given already")
        changed.add(known)
        if change is None:
            merged.pop(known, None)
        elif isinstance(change, Mapping):
            # A stream may change the keys that apply to all streams of the preset.
            common = {key: preset[key] for key in _STREAM_DEFAULTS if key in preset and key in change}
            nothing = {
                key: _STREAM_DEFAULTS[key] for key in _STREAM_DEFAULTS if key in change and change[key] is None
            }
            old = {**common, **merged.get(known, {})}
            merged[known] = _merge_objects(old, {**change, **nothing}, place, problems)
        else:
            problems.append(f"{place}: must be an object with {', '.join(ROLES)}")
    return merged, problems


def _merge_objects(
    old: Mapping[str, Any], change: Mapping[str, Any], place: str, problems: list[str]
) -> dict[str, Any]:
    merged = dict(old)
    for key, value in change.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, Mapping) and value and _LIST_CHANGES.issuperset(value):
            merged[key] = _merge_lists(old.get(key), value, f"{place}.{key}", problems)
        elif isinstance(value, Mapping):
            inner = old.get(key)
            merged[key] = _merge_objects(
                inner if isinstance(inner, Mapping) else {}, value, f"{place}.{key}", problems
            )
        else:
            merged[key] = value
    return merged


def _merge_lists(old: object, change: Mapping[str, Any], place: str, problems: list[str]) -> list[Any]:
    items = list(old) if isinstance(old, list) else [] if old is None else [old]
    for verb, value in change.items():
        given = value if isinstance(value, list) else [value]
        if verb == "remove":
            problems += [
                f"{place}.remove: {item!r} is not in the preset's list" for item in given if item not in items
            ]
            items = [item for item in items if item not in given]
        else:
            items = [*items, *given] if verb == "append" else [*given, *items]
    return items
