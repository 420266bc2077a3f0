"""Singer messages in, one line each; decoded messages out, and what of the input is none.

A line that is no message does not end the run: a stray word that a tap prints, or half a line of one that was
killed, must not keep the good records beside it from being delivered.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any

import msgspec
from singer_sdk.io_base import GenericSingerReader
from typing_extensions import override

from tap_daktela.api.characters import BOM, whole
from target_daktela_crm.mapping.values import decode, read_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_DEEPEST = 200
"""Levels of a record; Python ends at about a thousand, from wherever it is."""


class TolerantReader(GenericSingerReader[bytes]):
    """Reads messages as bytes: numbers exactly, and lines that end with a line feed and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.short_cut: Callable[[bytes], bool] = _leave
        """Takes a line; returns whether it was a record that needs nothing else."""
        self.on_unreadable: Callable[[bytes, str], None] = _ignore
        """Takes a line that is no message, and what is wrong with it."""
        self.cut_off = False
        """Whether the input ended in the middle of a line."""
        self.line = 0
        """Number of the line that was read last."""
        self.repaired = 0
        """Lines with characters that are none, which became U+FFFD."""

    @property
    @override
    def default_input(self) -> IO[bytes]:
        return sys.stdin.buffer

    @override
    def deserialize_json(self, line: bytes) -> dict[str, Any]:
        """Return the message of a line.

        Raises:
            ValueError: it is no JSON object.
        """
        try:
            message = decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            message = self._repaired(line.removeprefix(BOM))
        if not isinstance(message, dict):
            raise ValueError("is no JSON object")  # noqa: TRY004 - it is about the line
        return message

    def _repaired(self, line: bytes) -> Any:  # noqa: ANN401 - JSON
        """Return what a line says that is almost JSON, or is JSON after a byte order mark.

        Half surrogate pairs, NaN and bytes that are not UTF-8: other taps' libraries let them through.
        """
        with suppress(msgspec.DecodeError, UnicodeDecodeError):
            return decode(line)
        text = line.decode("utf-8", "replace")
        self.repaired += "\ufffd" in text
        return json.loads(text, parse_float=read_number, parse_constant=lambda _: None, object_hook=_whole)

    @override
    def process_lines(
        self, file_input: IO[bytes] | None, callbacks: dict[str, Callable[[dict[str, Any]], None]]
    ) -> Counter[str]:
        """Hand each message to the callback of its type; return how many there were of each."""
        counts: Counter[str] = Counter()
        lines: Iterable[bytes | str] = file_input or self.default_input
        for raw in lines:
            self.line += 1
            # The SDK's own tests hand over text.
            line = raw.encode() if isinstance(raw, str) else raw
            if self.short_cut(line):
                counts["RECORD"] += 1
                continue
            message = self._message(line)
            if message is None:
                continue
            kind = message.get("type")
            if not isinstance(kind, str) or kind not in callbacks:
                self.on_unreadable(line, "is no Singer message that this target knows")
                continue
            callbacks[kind](message)
            counts[kind] += 1
        return counts

    def _message(self, line: bytes) -> dict[str, Any] | None:
        """Return the message of a line, None if it has none that can be taken in, which is told."""
        try:
            message = self.deserialize_json(line)
        except (ValueError, RecursionError):
            if line.removeprefix(BOM).strip():
                self._undecodable(line)
            return None
        if message.get("type") == "RECORD" and _is_too_deep(message, line):
            self.on_unreadable(line, f"is nested more than {_DEEPEST} levels deep")
            return None
        return message

    def _undecodable(self, line: bytes) -> None:
        if line.endswith(b"\n"):
            self.on_unreadable(line, "is not valid JSON")
        else:
            self.cut_off = True


def _is_too_deep(message: dict[str, Any], line: bytes) -> bool:
    """Return whether a message is nested so deeply that some step may fail at it, wherever that is called from."""
    if line.count(b"{") + line.count(b"[") <= _DEEPEST:
        return False
    level: list[Any] = [message]
    for _ in range(_DEEPEST):
        nested = [each for each in level if isinstance(each, (dict, list))]
        level = [value for each in nested for value in (each.values() if isinstance(each, dict) else each)]
        if not level:
            return False
    return True


def _whole(content: dict[str, Any]) -> dict[str, Any]:
    """Return an object whose texts have U+FFFD in place of half a surrogate pair."""
    return {whole(key): _whole_value(value) for key, value in content.items()}


def _whole_value(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, str):
        return whole(value)
    return [_whole_value(element) for element in value] if isinstance(value, list) else value


def _leave(_line: bytes) -> bool:
    """Leave a line to the callbacks."""
    return False


def _ignore(_line: bytes, _reason: str) -> None:
    """Do nothing about it."""
