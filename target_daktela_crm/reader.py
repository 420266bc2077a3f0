"""Reading Singer messages: one line is one message.

A line that is not a message does not end the run. A stray word that a tap prints, or the half line of a tap that
was killed, must not keep the valid records around it from being delivered.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any, Protocol

import msgspec
from singer_sdk.io_base import GenericSingerReader, SingerMessageType
from typing_extensions import override

from tap_daktela.api.json_text import BOM, replace_lone_surrogates
from tap_daktela.cli.errors import InputError
from tap_daktela.cli.json_files import encoding_problem
from target_daktela_crm.exact_json import decode, read_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_MAX_DEPTH = 200
"""Levels of nesting in a record. Python's recursion limit allows about a thousand, less what is already used."""
_TYPES = frozenset(kind.value for kind in SingerMessageType)

_MARK = BOM.decode()
_MISREAD_MARK = BOM.decode("latin-1")
"""A byte order mark that was decoded as latin-1 or windows-1252."""


class UnreadableLineError(Exception):
    """A line that is not a message; the message is what is wrong with it."""


class LineHandler(Protocol):
    """Receives lines that the SDK has no callback for."""

    def receive_native(self, line: bytes) -> bool:
        """Receive the record of a line, if that is possible without decoding all of it; return whether it was."""

    def reject_line(self, line: bytes, number: int, reason: str) -> None:
        """Reject a line that is not a message."""


class TolerantReader(GenericSingerReader[bytes]):
    """Reads messages as bytes, so that numbers stay exact and only a line feed ends a line."""

    def __init__(self, handler: LineHandler | None = None) -> None:
        """Pass lines that are not messages to `handler`; without one, they are skipped."""
        super().__init__()
        self._handler = handler
        self.cut_off = False
        """Whether the input ended in the middle of a line."""
        self.line_number = 0
        """Number of the last line."""
        self.repaired = 0
        """Number of lines with bytes that are not UTF-8, which were replaced by U+FFFD."""

    @property
    @override
    def default_input(self) -> IO[bytes]:
        return sys.stdin.buffer

    @override
    def process_lines(
        self, file_input: IO[bytes] | None, callbacks: dict[str, Callable[[dict[str, Any]], None]]
    ) -> Counter[str]:
        """Pass each message to the callback of its type; return how many there were of each type."""
        counts: Counter[str] = Counter()
        handler = self._handler
        for line in self.lines(file_input):
            if handler is not None and handler.receive_native(line):
                counts["RECORD"] += 1
                continue
            try:
                message = self.message(line)
            except UnreadableLineError as error:
                if handler is not None:
                    handler.reject_line(line, self.line_number, str(error))
                continue
            if message is not None:
                callbacks[message["type"]](message)
                counts[message["type"]] += 1
        return counts

    def lines(self, file_input: IO[bytes] | None) -> Iterator[bytes]:
        """Yield the lines of a file, or of standard input.

        Raises:
            InputError: the input is not UTF-8 text, since it begins like a file of another kind.
        """
        lines: Iterable[bytes | str] = file_input or self.default_input
        for line in lines:
            self.line_number += 1
            # The SDK's own tests pass text.
            content = line.encode() if isinstance(line, str) else line
            if self.line_number == 1 and (problem := encoding_problem(content)):
                raise InputError([f"input: {problem}. Nothing was sent"])
            yield content

    def message(self, line: bytes) -> dict[str, Any] | None:
        """Return the message of a line; None for a blank line, and for the end of an input that was cut off.

        Raises:
            UnreadableLineError: the line is not a Singer message.
        """
        try:
            message = self.deserialize_json(line)
        except (ValueError, RecursionError):
            if line.removeprefix(BOM).strip():
                self._reject_undecodable(line)
            return None
        kind = message.get("type")
        if not isinstance(kind, str) or kind not in _TYPES:
            raise UnreadableLineError("is not a Singer message that this target supports")
        if kind == "RECORD" and _is_too_deep(message, line):
            raise UnreadableLineError(f"is nested more than {_MAX_DEPTH} levels deep")
        if kind == "SCHEMA" or _begins_with_mark(message):
            _remove_marks(message)
        return message

    def _reject_undecodable(self, line: bytes) -> None:
        if line.endswith(b"\n"):
            raise UnreadableLineError("is not valid JSON") from None
        self.cut_off = True

    @override
    def deserialize_json(self, line: bytes) -> dict[str, Any]:
        """Return the JSON object of a line.

        Raises:
            ValueError: the line is not a JSON object.
        """
        try:
            message = decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            message = self._repaired(line.removeprefix(BOM))
        if not isinstance(message, dict):
            raise ValueError("is not a JSON object")  # noqa: TRY004 - it is about the line
        return message

    def _repaired(self, line: bytes) -> Any:  # noqa: ANN401 - JSON
        """Return the content of a line that is almost JSON, or is JSON after a byte order mark.

        The libraries of other taps write lone surrogates, NaN and bytes that are not UTF-8.
        """
        with suppress(msgspec.DecodeError, UnicodeDecodeError):
            return decode(line)
        text = line.decode("utf-8", "replace")
        self.repaired += "\ufffd" in text
        return json.loads(text, parse_float=read_number, parse_constant=lambda _: None, object_hook=_repaired_keys)


def _begins_with_mark(message: dict[str, Any]) -> bool:
    """Return whether the name of a record's first column may begin with a byte order mark."""
    record = message.get("record")
    return isinstance(record, dict) and not next(iter(record), "").isascii()


def _remove_marks(message: dict[str, Any]) -> None:
    """Remove a byte order mark from the names of columns in a RECORD or SCHEMA message.

    Taps of CSV files add the mark of the file to the name of its first column. A quoted name
    keeps its quotation marks then.
    """
    if isinstance(record := message.get("record"), dict):
        message["record"] = {_without_mark(name): value for name, value in record.items()}
    if isinstance(schema := message.get("schema"), dict) and isinstance(schema.get("properties"), dict):
        schema["properties"] = {_without_mark(name): value for name, value in schema["properties"].items()}
    if isinstance(keys := message.get("key_properties"), list):
        message["key_properties"] = [_without_mark(key) if isinstance(key, str) else key for key in keys]


def _without_mark(name: str) -> str:
    for mark in (_MARK, _MISREAD_MARK):
        if name.startswith(mark):
            return name.removeprefix(mark).strip('"')
    return name


def _is_too_deep(message: dict[str, Any], line: bytes) -> bool:
    """Return whether a message is nested so deeply that a later step could exceed the recursion limit."""
    if line.count(b"{") + line.count(b"[") <= _MAX_DEPTH:
        return False
    level: list[Any] = [message]
    for _ in range(_MAX_DEPTH):
        nested = [each for each in level if isinstance(each, (dict, list))]
        level = [value for each in nested for value in (each.values() if isinstance(each, dict) else each)]
        if not level:
            return False
    return True


def _repaired_keys(content: dict[str, Any]) -> dict[str, Any]:
    """Return an object with U+FFFD in place of lone surrogates."""
    return {replace_lone_surrogates(key): _repaired_value(value) for key, value in content.items()}


def _repaired_value(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, str):
        return replace_lone_surrogates(value)
    return [_repaired_value(element) for element in value] if isinstance(value, list) else value
