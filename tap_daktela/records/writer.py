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
    """Write lines of JSON."""
    for prefix, size in _PREFIXES.items():
        lines = _escaped(lines, prefix, size)
    sys.stdout.buffer.write(lines)
    sys.stdout.flush()


def _escaped(lines: bytes, prefix: bytes, size: int) -> bytes:
    """Return lines of JSON with escapes for the characters of `_ESCAPES` that have this first byte and size.

    In UTF-8, their bytes are part of no other character, and JSON has them within texts only. The search for
    single bytes takes 2 % of a run's time, and one for whole characters (`bytes.replace`) takes 20 %.
    """
    pieces: list[bytes] = []
    start, place = 0, lines.find(prefix)
    while place >= 0:
        escape = _ESCAPES.get(lines[place : place + size])
        if escape is not None:
            pieces += (lines[start:place], escape)
            start = place + size
        place = lines.find(prefix, place + 1)
    return b"".join((*pieces, lines[start:])) if pieces else lines
