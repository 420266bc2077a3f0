"""Lines of the input: messages, values, and lines that are not messages."""

from __future__ import annotations

import io
import json
import sys
from decimal import Decimal
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_daktela_crm.reader import TolerantReader

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable

RECORD = b'{"type":"RECORD","stream":"contacts","record":{"id":1}}\n'
STATE = b'{"type":"STATE","value":{"at":1}}\n'


class _Reading:
    """The messages and unreadable lines of an input."""

    def __init__(self, content: bytes) -> None:
        self.messages: list[dict[str, Any]] = []
        self.unreadable: list[tuple[bytes, str]] = []
        reader = TolerantReader(self)
        self.counts: Counter[str] = reader.process_lines(io.BytesIO(content), _callbacks(self.messages.append))
        self.cut_off = reader.cut_off

    def receive_native(self, _line: bytes) -> bool:
        return False

    def reject_line(self, line: bytes, _number: int, reason: str) -> None:
        self.unreadable.append((line, reason))


def _callbacks(take: Callable[[dict[str, Any]], None]) -> dict[str, Callable[[dict[str, Any]], None]]:
    return dict.fromkeys(("SCHEMA", "RECORD", "STATE", "ACTIVATE_VERSION", "BATCH"), take)


def _read(text: str | bytes) -> Any:
    """Return a JSON value as the reader decodes it inside a message."""
    content = text if isinstance(text, bytes) else text.encode()
    reading = _Reading(b'{"type":"RECORD","value":%b}\n' % content)
    assert reading.unreadable == []
    (message,) = reading.messages
    return message["value"]


def test_messages_are_passed_to_the_callback_of_their_type_in_order() -> None:
    reading: list[tuple[str, Any]] = []
    reader = TolerantReader()
    counts = reader.process_lines(
        io.BytesIO(RECORD + STATE + RECORD),
        {
            "RECORD": lambda message: reading.append(("record", message["record"])),
            "STATE": lambda message: reading.append(("state", message["value"])),
        },
    )
    assert reading == [("record", {"id": 1}), ("state", {"at": 1}), ("record", {"id": 1})]
    assert counts == {"RECORD": 2, "STATE": 1}
    assert not reader.cut_off


@pytest.mark.parametrize("content", [b"", b"\n", b"\r\n\n  \t\n", b"  "])
def test_blank_lines_are_skipped(content: bytes) -> None:
    reading = _Reading(content)
    assert (reading.messages, reading.unreadable, reading.cut_off) == ([], [], False)
    assert not reading.counts


def test_blank_lines_between_messages_are_skipped() -> None:
    reading = _Reading(b"\n" + RECORD + b"\n  \r\n" + STATE + b"\n")
    assert reading.counts == {"RECORD": 1, "STATE": 1}
    assert reading.unreadable == []


def test_lines_may_end_with_carriage_return_and_line_feed() -> None:
    reading = _Reading(RECORD.replace(b"\n", b"\r\n") + STATE.replace(b"\n", b"\r\n"))
    assert reading.counts == {"RECORD": 1, "STATE": 1}
    assert (reading.unreadable, reading.cut_off) == ([], False)


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\u0085", "\x0b", "\x0c", "\x1c", "\x1e"])
def test_only_a_line_feed_ends_a_line(separator: str) -> None:
    raw = separator if ord(separator) >= 0x20 else json.dumps(separator)[1:-1]
    assert _read(f'"a{raw}b"') == f"a{separator}b"


BROKEN = {
    "a stray word": b"Loading...\n",
    "half an object": b'{"type":"RECORD","record":{"id":\n',
    "two objects": b'{"type":"STATE"} {"type":"STATE"}\n',
    "a raw control character": b'{"type":"STATE","value":"\x01"}\n',
    "a raw NUL": b'{"type":"STATE","value":"\x00"}\n',
    "NUL bytes": b"\x00\x00\x00\n",
    "a list": b"[1]\n",
    "a number": b"42\n",
    "a text": b'"RECORD"\n',
    "null": b"null\n",
    "a trailing comma": b'{"type":"STATE",}\n',
    "single quotes": b"{'type':'STATE'}\n",
    "bytes that are not UTF-8": b"\xff\xfe\n",
    "depth": b"[" * 200_000 + b"\n",
    "depth in a message": b'{"type":"STATE","value":' + b'{"a":' * 200_000 + b"\n",
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_line_that_is_not_json_is_rejected_and_other_lines_are_read(name: str) -> None:
    reading = _Reading(RECORD + BROKEN[name] + STATE)
    assert reading.counts == {"RECORD": 1, "STATE": 1}
    assert reading.unreadable == [(BROKEN[name], "is not valid JSON")]
    assert not reading.cut_off


@pytest.mark.parametrize(
    "line",
    [
        b"{}\n",
        b'{"type":null}\n',
        b'{"type":"record"}\n',
        b'{"type":["RECORD"]}\n',
        b'{"type":{"a":1}}\n',
        b'{"type":5}\n',
        b'{"level":"info","message":"RECORD"}\n',
    ],
)
def test_an_object_that_is_not_a_message_is_rejected(line: bytes) -> None:
    reading = _Reading(line + RECORD)
    assert reading.counts == {"RECORD": 1}
    assert reading.unreadable == [(line, "is not a Singer message that this target supports")]


@pytest.mark.parametrize("length", range(1, len(RECORD) - 1))
def test_an_input_that_ends_within_a_line_is_cut_off(length: int) -> None:
    reading = _Reading(STATE + RECORD[:length])
    assert reading.counts == {"STATE": 1}
    assert reading.cut_off
    assert reading.unreadable == []


@pytest.mark.parametrize("end", [b"", b"\n", b"  ", b"\r"])
def test_the_last_message_needs_no_line_feed(end: bytes) -> None:
    reading = _Reading(STATE + RECORD.rstrip(b"\n") + end)
    assert reading.counts == {"STATE": 1, "RECORD": 1}
    assert (reading.unreadable, reading.cut_off) == ([], False)


def test_an_invalid_line_before_the_end_is_not_a_cut_off_end() -> None:
    reading = _Reading(RECORD[:20] + b"\n" + RECORD[:20])
    assert reading.unreadable == [(RECORD[:20] + b"\n", "is not valid JSON")]
    assert reading.cut_off


def test_an_error_of_a_callback_is_not_an_invalid_line() -> None:
    def fail(_message: dict[str, Any]) -> None:
        raise ValueError("mine")

    reader = TolerantReader()
    with pytest.raises(ValueError, match="mine"):
        reader.process_lines(io.BytesIO(RECORD), {"RECORD": fail})


def test_without_a_handler_invalid_lines_are_skipped() -> None:
    messages: list[dict[str, Any]] = []
    reader = TolerantReader()
    assert reader.process_lines(io.BytesIO(b"?\n" + RECORD), _callbacks(messages.append)) == {"RECORD": 1}


def test_without_a_file_standard_input_is_read_as_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(RECORD)))
    messages: list[dict[str, Any]] = []
    TolerantReader().process_lines(None, _callbacks(messages.append))
    assert [message["record"] for message in messages] == [{"id": 1}]


# Values.


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.1", Decimal("0.1")),
        ("0.10", Decimal("0.10")),
        ("27483910200.0", Decimal("27483910200.0")),
        ("12345678901234567890.12345678901234567890", Decimal("12345678901234567890.12345678901234567890")),
        ("1e3", Decimal("1E+3")),
        ("1E400", Decimal("1E+400")),
        ("-0.0", Decimal("-0.0")),
        ("3652397000001234567", 3652397000001234567),
        ("18446744073709551616", 2**64),
        ("-9223372036854775809", -(2**63) - 1),
        ("true", True),
        ("null", None),
        ('"2026-03-01T09:00:00.000000Z"', "2026-03-01T09:00:00.000000Z"),
        ('"\\u0000\\u2028\\u001f\\r\\n"', "\x00\u2028\x1f\r\n"),
        ('"\\ud83d\\ude00 \\u00e9"', "😀 é"),
        ('"\\/"', "/"),
    ],
)
def test_values_are_decoded_exactly(text: str, expected: Any) -> None:
    value = _read(text)
    assert (str(value), type(value)) == (str(expected), type(expected))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("NaN", None),
        ("[Infinity, -Infinity, 0.1]", [None, None, Decimal("0.1")]),
        ('"\\ud83d"', "\ufffd"),
        ('"\\ude00"', "\ufffd"),
        ('"a\\ud83db"', "a\ufffdb"),
        ('"\\ude00\\ud83d"', "\ufffd\ufffd"),
        ('["\\ud83d", ["\\ud83d"]]', ["\ufffd", ["\ufffd"]]),
        ('{"\\ud83d": {"x": ["\\ude00"]}}', {"\ufffd": {"x": ["\ufffd"]}}),
        ('["\\ud83d", "\\ud83d\\ude00", 27483910200.0]', ["\ufffd", "😀", Decimal("27483910200.0")]),
        ('["\\ud83d", 0.10, 3652397000001234567]', ["\ufffd", Decimal("0.10"), 3652397000001234567]),
        (b'"a\xffb"', "a\ufffdb"),
        (b'"\xc3"', "\ufffd"),
        (b'"\xed\xa0\xbd"', "\ufffd\ufffd\ufffd"),
    ],
)
def test_invalid_json_that_other_libraries_write_is_repaired(text: str | bytes, expected: Any) -> None:
    value = _read(text)
    assert value == expected
    assert repr(value) == repr(expected)


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.text()
    | st.decimals(allow_nan=False, allow_infinity=False, places=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def _written(value: Any, *, ascii_only: bool) -> str:
    """Return the JSON text of a value, with exact decimals."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, list):
        return "[" + ",".join(_written(element, ascii_only=ascii_only) for element in value) + "]"
    if isinstance(value, dict):
        members = (
            f"{json.dumps(key, ensure_ascii=ascii_only)}:{_written(element, ascii_only=ascii_only)}"
            for key, element in value.items()
        )
        return "{" + ",".join(members) + "}"
    return json.dumps(value, ensure_ascii=ascii_only)


@given(JSON, st.booleans())
def test_any_json_is_decoded_exactly(value: Any, ascii_only: bool) -> None:  # noqa: FBT001 - drawn
    assert _read(_written(value, ascii_only=ascii_only)) == value


@given(JSON)
def test_any_json_is_decoded_exactly_in_a_repaired_line(value: Any) -> None:
    text = _written(value, ascii_only=True)
    assert _read(f'[NaN, {text}, "\\ud83d"]') == [None, value, "\ufffd"]


@given(st.binary())
def test_no_bytes_stop_the_reader(content: bytes) -> None:
    reading = _Reading(RECORD + content + b"\n" + STATE)
    assert reading.counts == {"RECORD": 1, "STATE": 1}
    assert not reading.cut_off


def test_an_exponent_beyond_all_numbers_is_read_as_text() -> None:
    assert _read("1E999999999999999999999") == "1E999999999999999999999"


def test_a_byte_order_mark_is_skipped() -> None:
    assert _Reading(b"\xef\xbb\xbf" + RECORD).counts == {"RECORD": 1}


def test_a_last_line_that_is_not_a_message_is_rejected_without_a_line_feed() -> None:
    reading = _Reading(RECORD + b'{"type": "LOG"}')
    assert not reading.cut_off
    assert len(reading.unreadable) == 1


@pytest.mark.parametrize(
    "name", ["\ufeffId", '\ufeff"Id"', "\u00ef\u00bb\u00bfId"], ids=["mark", "quoted name", "mark read as latin-1"]
)
@pytest.mark.parametrize("ascii_only", [True, False])
def test_a_byte_order_mark_is_no_part_of_a_column_s_name(name: str, ascii_only: bool) -> None:  # noqa: FBT001
    schema: dict[str, Any] = {"properties": {name: {}, "Name": {}}}
    messages = [
        {"type": "SCHEMA", "stream": "contacts", "schema": schema, "key_properties": [name]},
        {"type": "RECORD", "stream": "contacts", "record": {name: "7", "Name": "\ufeffEva"}},
    ]
    lines = b"".join(json.dumps(each, ensure_ascii=ascii_only).encode() + b"\n" for each in messages)
    announced, received = _Reading(lines).messages
    assert list(announced["schema"]["properties"]) == ["Id", "Name"]
    assert announced["key_properties"] == ["Id"]
    assert received["record"] == {"Id": "7", "Name": "\ufeffEva"}
