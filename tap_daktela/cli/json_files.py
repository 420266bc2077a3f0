"""JSON files that users provide: configurations, catalogs and states.

A message about a file names the file and the place in it, and repeats nothing of its content but names.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from tap_daktela.api.json_text import BOM
from tap_daktela.cli.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def read_settings_files(paths: Iterable[str]) -> dict[str, Any]:
    """Return the settings in JSON files; later files win.

    Raises:
        InputError: a file cannot be read, or has no JSON object.
    """
    settings: dict[str, Any] = {}
    for path in paths:
        if path.lstrip().startswith("{"):
            # A message about a file repeats its path.
            raise InputError(["config: give the path of a JSON file, not its content"])
        try:
            content = Path(path).read_bytes()
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not a path"
            raise InputError([f"config: {path}: cannot be read: {reason}"]) from None
        settings |= read_object(f"config: {path}", content)
    return settings


def read_object(name: str, content: bytes) -> dict[str, Any]:
    """Return the JSON object in the bytes of a file, which may begin with a byte order mark.

    Raises:
        InputError: there is none; its line begins with `name`.
    """
    if content.startswith(_UTF_16):
        raise InputError([f"{name}: encoded in UTF-16; save it as UTF-8"])
    try:
        document = json.loads(
            content.decode("utf-8-sig"), object_pairs_hook=_unique, parse_constant=_refuse_constant
        )
    except UnicodeDecodeError:
        raise InputError([f"{name}: not encoded in UTF-8"]) from None
    except RecursionError:
        raise InputError([f"{name}: nested too deeply"]) from None
    except ValueError as error:
        reason = error if content.removeprefix(BOM).strip() else "it is empty"
        raise InputError([f"{name}: not valid JSON: {reason}"]) from None
    if not isinstance(document, dict):
        raise InputError([f"{name}: must be a JSON object"])
    return document


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object, in which no name occurs twice: only one of its values would count."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name!r} occurs twice in an object")
        found[name] = value
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
