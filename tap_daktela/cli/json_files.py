"""Files that users provide: configurations, catalogs, states and messages.

A message about a file names the file and the place in it. It repeats no values of the file.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click
from typing_extensions import override

from tap_daktela.api.json_text import BOM
from tap_daktela.cli.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

CONFIGURATION = "a configuration"
CATALOG = "a Singer catalog"
STATE = "a Singer state"
"""What a file may contain, as `read_object` names it in messages."""

_MESSAGE = "a Singer message"
_MELTANO_STATE = "a state that Meltano has exported"
_MESSAGE_TYPES = frozenset({"SCHEMA", "RECORD", "STATE", "ACTIVATE_VERSION", "BATCH"})
_ENCODINGS = (
    (b"\xff\xfe", "encoded in UTF-16; save it as UTF-8"),
    (b"\xfe\xff", "encoded in UTF-16; save it as UTF-8"),
    (b"\x1f\x8b", "compressed with gzip; decompress it first"),
)


class InputFile(click.File):
    """The parameter type of an option that names a file to read. A file that cannot be opened is one line."""

    def __init__(self) -> None:
        super().__init__("rb")

    @override
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the open file.

        Raises:
            InputError: it cannot be opened.
        """
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter as error:
            option = param.opts[0].lstrip("-") if param is not None else "file"
            # The reason of the operating system is the last part of the message.
            reason = error.message.rpartition(": ")[2]
            raise InputError([f"{option}: {value}: cannot be read: {reason}"]) from None


def encoding_problem(content: bytes) -> str:
    """Return why the beginning of a file shows that it is not UTF-8 text, or an empty text."""
    return next((problem for start, problem in _ENCODINGS if content.startswith(start)), "")


def read_settings_files(paths: Iterable[str]) -> dict[str, Any]:
    """Return the settings in JSON files; later files win.

    Raises:
        InputError: a file cannot be read, or contains no JSON object.
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
        settings |= read_object(f"config: {path}", content, CONFIGURATION)
    return settings


def read_object(name: str, content: bytes, expected: str) -> dict[str, Any]:
    """Return the JSON object in the bytes of a file, which may begin with a byte order mark.

    `expected` is what the file should contain: CONFIGURATION, CATALOG or STATE.

    Raises:
        InputError: the file contains no JSON object, or is obviously another kind of file; its line begins with
            `name`.
    """
    if problem := encoding_problem(content):
        raise InputError([f"{name}: {problem}"])
    try:
        document = _decoded(content)
    except UnicodeDecodeError:
        raise InputError([f"{name}: not encoded in UTF-8"]) from None
    except RecursionError:
        raise InputError([f"{name}: nested too deeply"]) from None
    except ValueError as error:
        if problem := _lines_problem(content, expected):
            raise InputError([f"{name}: {problem}"]) from None
        reason = error if content.removeprefix(BOM).strip() else "it is empty"
        raise InputError([f"{name}: not valid JSON: {reason}"]) from None
    if not isinstance(document, dict):
        raise InputError([f"{name}: must be a JSON object"])
    kind = _kind(document)
    if kind not in {"", expected}:
        raise InputError([f"{name}: contains {kind}, not {expected}{_advice(kind, expected)}"])
    return document


def _decoded(content: bytes) -> Any:  # noqa: ANN401 - JSON
    text = content.decode("utf-8-sig")
    return json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant)


def _lines_problem(content: bytes, expected: str) -> str:
    """Return what is wrong with a file of JSON lines, such as the output of a tap; empty if it is none."""
    first, _, rest = content.partition(b"\n")
    try:
        document = _decoded(first)
    except (ValueError, RecursionError):
        return ""
    kind = _kind(document) if isinstance(document, dict) else ""
    if not rest.strip() or not kind:
        return ""
    if kind == expected:
        return "contains several lines; give one of them only, of states the last one"
    return f"contains several lines, the first of which is {kind}; give {expected}{_advice(kind, expected)}"


def _kind(document: dict[str, Any]) -> str:
    """Return what a JSON object is, as far as its keys show."""
    if str(document.get("type")) in _MESSAGE_TYPES:
        return _MESSAGE
    streams = document.get("streams")
    # The target has a setting of this name.
    if isinstance(streams, list) and all(isinstance(each, dict) for each in streams):
        return CATALOG
    if "bookmarks" in document:
        return STATE
    if "singer_state" in document:
        return _MELTANO_STATE
    return CONFIGURATION if document.keys() & {"url", "server", "access_token", "instances"} else ""


def _advice(kind: str, expected: str) -> str:
    if expected != STATE:
        return ""
    return {
        _MESSAGE: "; give the value of the last STATE message",
        _MELTANO_STATE: "; give the value of its key singer_state",
    }.get(kind, "")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object in which no name occurs twice, since only one of the values would count."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name!r} occurs twice in an object")
        found[name] = value
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
