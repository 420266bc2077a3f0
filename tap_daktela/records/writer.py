"""Records in, RECORD messages on standard output, a page at a time.

The SDK takes each record through six function calls, a walk over its columns, and a write that wakes the loader.
For a page whose records nothing changes any more, one call of the encoder and one write are enough. The lines are
the same, byte for byte (`tests/tap_daktela/test_writer.py`), in a twentieth of the time.

U+2028, U+2029 and U+0085 are escaped in all messages. JSON allows them in texts as they are, but Python's
`str.splitlines` and similar functions of other languages end a line there, so loaders that use these would see two
broken lines.
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
    """As the SDK's class of this name is written."""

    stream: str
    record: Any
    version: int | None = None
    time_extracted: datetime | None = None


_PART_BYTES = 60_000
"""Lines are written in parts of about this size. Copies of a whole page, 1 MB, would not fit into the processor's
cache, and their memory would come from the system each time: 6 % of a run if all pages have such characters."""

_encode_lines = msgspec.json.Encoder(enc_hook=enc_hook, decimal_format="number").encode_lines


class PageWriter(MsgSpecWriter):
    """The SDK's writer, which can write many records at once."""

    def write_records(
        self, stream: str, records: Iterable[Any], version: int | None, time_extracted: datetime
    ) -> None:
        """Write a message for each record, all of them at once."""
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
