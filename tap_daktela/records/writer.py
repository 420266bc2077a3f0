"""Write records as RECORD messages to standard output, a page at a time.

The SDK calls six functions for each record, iterates over its columns, and writes a line. If no stream map changes
the records of a page, one call of the encoder is enough. The output is the same, byte for byte
(`tests/tap_daktela/records/test_writer.py`), in a twentieth of the time. The SDK has no public hook for that.

U+2028, U+2029 and U+0085 are escaped in all messages. JSON allows them in texts, but `str.splitlines` of Python
and similar functions of other languages end a line there. Loaders with such a function would read two broken
lines.
"""

from __future__ import annotations

import sys
from datetime import datetime  # noqa: TC003 - msgspec reads the annotations
from typing import TYPE_CHECKING, Any

import msgspec
from singer_sdk.contrib.msgspec import MsgSpecWriter, enc_hook
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Iterable

    from singer_sdk.singerlib import Message


_ESCAPES = {mark.encode(): f"\\u{ord(mark):04x}".encode() for mark in "\u2028\u2029\u0085"}
"""Characters at which some readers end a line, in UTF-8, and their escapes."""
_PREFIXES = {mark[:1]: len(mark) for mark in _ESCAPES}
"""Their first bytes, and how many bytes the characters have that begin with each."""


class _RecordMessage(msgspec.Struct, tag_field="type", tag="RECORD", omit_defaults=True, gc=False):
    """The fields of the SDK's `RecordMessage`, in the same order."""

    stream: str
    record: Any
    version: int | None = None
    time_extracted: datetime | None = None


_PART_BYTES = 60_000
"""Lines are written in parts of about this size. A copy of a whole page (1 MB) does not fit into the cache of the
processor. Such copies take 6 % of a run if all pages contain escaped characters."""

_encode_lines = msgspec.json.Encoder(enc_hook=enc_hook, decimal_format="number").encode_lines


class PageWriter(MsgSpecWriter):
    """The SDK's writer, extended by a method that writes many records."""

    def write_records(
        self, stream: str, records: Iterable[Any], version: int | None, time_extracted: datetime
    ) -> None:
        """Write a message for each record."""
        _write(_encode_lines([_RecordMessage(stream, record, version, time_extracted) for record in records]))

    @override
    def write_message(self, message: Message) -> None:
        """Write one message."""
        _write(bytes(self.format_message(message)))


def _write(lines: bytes) -> None:
    """Write lines of JSON, with escapes for the characters of `_ESCAPES`."""
    start = 0
    while start < len(lines):
        end = lines.rfind(b"\n", start, start + _PART_BYTES) + 1 or lines.find(b"\n", start) + 1 or len(lines)
        sys.stdout.buffer.write(_escape(lines[start:end]))
        start = end
    sys.stdout.flush()


def _escape(lines: bytes) -> bytes:
    """Return lines of JSON with escapes for the characters of `_ESCAPES`.

    In UTF-8, their bytes are part of no other character, and JSON has them within texts only. The search for
    single bytes takes 1 % of a run's time, and one for whole characters (`bytes.replace`) takes 20 %.
    """
    found: list[tuple[int, bytes]] = []
    for prefix, size in _PREFIXES.items():
        place = lines.find(prefix)
        while place >= 0:
            character = lines[place : place + size]
            if character in _ESCAPES:
                found.append((place, character))
            place = lines.find(prefix, place + 1)
    if not found:
        return lines
    pieces: list[bytes] = []
    start = 0
    for place, character in sorted(found):
        pieces += (lines[start:place], _ESCAPES[character])
        start = place + len(character)
    return b"".join((*pieces, lines[start:]))
