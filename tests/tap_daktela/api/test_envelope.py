"""Decoding responses: rows, totals, times and errors, in all formats that the server sends."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_daktela.api.envelope import (
    EnvelopeError,
    ReportedError,
    error_text,
    read_envelope,
    read_page,
    reported_error,
)

ROWS = [{"name": 1, "title": "Příliš žluťoučký"}, {"name": 2, "title": "kůň 🐎"}]
BODY = json.dumps(
    {
        "error": [],
        "result": {"data": ROWS, "total": 2},
        "_time": "2026-03-10 12:00:00",
        "_timezone": "Europe/Prague",
    },
    ensure_ascii=False,
).encode()


def _body(result: Any, error: Any = ()) -> bytes:
    return json.dumps({"error": error, "result": result}).encode()


def test_a_page_has_rows_a_total_and_the_server_s_time_and_time_zone() -> None:
    page = read_page(BODY)
    assert (page.rows, page.total) == (ROWS, 2)
    assert (page.time, page.timezone) == ("2026-03-10 12:00:00", "Europe/Prague")


def test_rows_can_be_an_object_with_names_as_keys() -> None:
    page = read_page(_body({"data": {"b": {"name": "b"}, "a": {"name": "a"}}, "total": 2}))
    assert page.rows == [{"name": "b"}, {"name": "a"}]


@pytest.mark.parametrize("data", [[], {}])
def test_an_empty_list_is_an_empty_page(data: Any) -> None:
    assert read_page(_body({"data": data, "total": 0})).rows == []


@pytest.mark.parametrize(
    ("total", "expected"),
    [(7, 7), ("7", 7), (0, 0), ("0", 0), (None, None), ("", None), ("many", None), (True, None), ([], None)],
)
def test_a_total_is_read_from_a_number_or_text_and_otherwise_none(total: Any, expected: int | None) -> None:
    assert read_page(_body({"data": [], "total": total})).total == expected


def test_a_missing_total_is_none() -> None:
    assert read_page(_body({"data": []})).total is None


@pytest.mark.parametrize("key", ["_time", "_timezone"])
@pytest.mark.parametrize("value", [None, "", 5, []])
def test_an_empty_or_invalid_time_or_time_zone_is_ignored(key: str, value: Any) -> None:
    envelope = read_envelope(json.dumps({"result": 1, key: value}).encode())
    assert (envelope.time, envelope.timezone) == (None, None)


def test_a_result_can_be_any_value_except_null() -> None:
    results: list[Any] = ["token", 0, False, {}, []]
    assert [read_envelope(_body(result)).result for result in results] == results


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (["Max defined take is 1000"], "Max defined take is 1000"),
        ("Refused", "Refused"),
        (["one", "two"], "one; two"),
        ({"primary": ["Nope"]}, "Nope"),
        ({"form": {"title": "Too long"}}, "title: Too long"),
        ({"form": {"customFields": {"email": ["Není platný e-mail"]}}}, "customFields.email: Není platný e-mail"),
        ({"primary": ["Nope"], "form": {"title": "Too long"}}, "Nope; title: Too long"),
        ({"0": ["x"]}, "0: x"),
        (True, "True"),
        (500, "500"),
    ],
)
def test_an_error_in_any_format_becomes_a_text(error: Any, text: str) -> None:
    assert error_text(error) == text
    with pytest.raises(ReportedError):
        read_page(_body({"data": [], "total": 0}, error))


@pytest.mark.parametrize(
    "error", [[], {}, "", None, False, {"form": {}}, {"primary": [], "form": {"a": []}}, [""]]
)
def test_an_empty_error_in_any_format_is_ignored(error: Any) -> None:
    assert error_text(error) == ""
    assert read_page(_body({"data": [], "total": 0}, error)).rows == []


def test_a_long_error_is_shortened() -> None:
    text = error_text(["x" * 1000])
    assert len(text) == 300
    assert text.endswith("…")


@pytest.mark.parametrize("depth", [600, 900])
def test_an_error_that_is_nested_too_deeply_has_a_fixed_text(depth: int) -> None:
    body = b'{"error":' + b"[" * depth + b'"x"' + b"]" * depth + b',"result":null}'
    with pytest.raises(ReportedError, match="nested too deeply"):
        read_page(body)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty"),
        (b" \r\n", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (b"<html>Maintenance</html>", "HTML"),
        (b"\xef\xbb\xbf\n <!DOCTYPE html>", "HTML"),
        (b"not json", "not JSON"),
        (BODY[:-1], "cut off"),
        (BODY + b"}", "not JSON"),
        (b"NaN", "not JSON"),
        (b'{"result": NaN}', "not JSON"),
        (b'{"result": Infinity}', "not JSON"),
        (b"[]", "not a JSON object"),
        (b'"token"', "not a JSON object"),
        (b"null", "not a JSON object"),
        (b'{"error": []}', "without a result"),
        (b'{"error": [], "result": null}', "without a result"),
        (b'{"result": {"total": 0}}', "without a list"),
        (b'{"result": {"data": null, "total": 0}}', "without a list"),
        (b'{"result": {"data": "x"}}', "without a list"),
        (b'{"result": {"data": [1]}}', "without a list"),
        (b'{"result": {"data": [{}, null]}}', "without a list"),
        (b'{"result": [{"name": 1}]}', "without a list"),
        (b'{"result": "token"}', "without a list"),
    ],
)
def test_an_invalid_page_is_not_read_as_an_empty_page(body: bytes, reason: str) -> None:
    with pytest.raises(EnvelopeError, match=reason):
        read_page(body)


@pytest.mark.parametrize("length", range(len(BODY)))
def test_a_truncated_page_is_refused(length: int) -> None:
    with pytest.raises(EnvelopeError):
        read_page(BODY[:length])


@pytest.mark.parametrize("number", ["1e999", "-1e999", "9" * 5000])
def test_only_a_number_that_cannot_be_represented_becomes_a_text(number: str) -> None:
    page = read_page(b'{"result": {"data": [{"a": %b, "b": 0.1}, {"c": 5}], "total": 2}}' % number.encode())
    assert page.rows == [{"a": number, "b": 0.1}, {"c": 5}]
    assert page.total == 2


def test_a_response_that_is_nested_too_deeply_is_refused() -> None:
    with pytest.raises(EnvelopeError):
        read_page(b'{"result": {"data": [{"name": ' + b"[" * 100_000)


def test_a_byte_order_mark_is_ignored() -> None:
    assert read_page(b"\xef\xbb\xbf" + BODY) == read_page(BODY)


def test_nul_characters_are_removed_everywhere() -> None:
    body = rb'{"result": {"data": [{"na\u0000me": "a\u0000b", "list": ["\u0000", {"x": "\u0000y"}], "n": 1}]}}'
    assert read_page(body).rows == [{"name": "ab", "list": ["", {"x": "y"}], "n": 1}]


def test_an_escaped_backslash_before_u0000_is_not_a_nul() -> None:
    assert read_page(rb'{"result": {"data": [{"name": "a\\u0000b"}]}}').rows == [{"name": r"a\u0000b"}]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (rb"\ud83d\ude00", "😀"),
        (rb"half \ud83d", "half \ufffd"),
        (rb"\ude00 half", "\ufffd half"),
        (rb"\ude00\ud83d", "\ufffd\ufffd"),
        (b"latin \xe9", "latin \ufffd"),
        (rb"\ud83d \ud83d\ude00", "\ufffd 😀"),
        (rb"\ud83d\u0000", "\ufffd"),
    ],
)
def test_invalid_text_is_replaced_and_the_row_is_kept(text: bytes, expected: str) -> None:
    page = read_page(b'{"result": {"data": [{"title": "%b", "name": 7, "score": 0.5}], "total": 1}}' % text)
    assert page.rows == [{"title": expected, "name": 7, "score": 0.5}]
    assert page.rows[0]["title"].encode()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", ""),
        (b"<html>", ""),
        (b"[1]", ""),
        (b'{"error": []}', ""),
        (b'{"error": ["Max defined take is 1000"], "result": null}', "Max defined take is 1000"),
    ],
)
def test_the_message_of_an_error_response_is_returned(body: bytes, message: str) -> None:
    assert reported_error(body) == message


_TEXTS = st.text(max_size=10)
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**25), 10**25)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXTS,
    lambda values: st.lists(values, max_size=3) | st.dictionaries(_TEXTS, values, max_size=3),
    max_leaves=8,
)


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, list):
        return [_without_nul(element) for element in value]
    if isinstance(value, dict):
        return {_without_nul(key): _without_nul(element) for key, element in value.items()}
    return value


@given(st.lists(st.dictionaries(_TEXTS, _VALUES, max_size=3), max_size=3), st.booleans())
def test_decoded_rows_equal_the_sent_rows(rows: list[dict[str, Any]], ascii_only: bool) -> None:  # noqa: FBT001
    body = json.dumps({"error": [], "result": {"data": rows}}, ensure_ascii=ascii_only).encode()
    assert read_page(body).rows == _without_nul(rows)


@given(st.lists(st.text(alphabet='\\u0\0"', max_size=12), max_size=4))
def test_backslashes_and_nul_characters_can_have_any_order(texts: list[str]) -> None:
    body = json.dumps({"result": {"data": [{"name": text} for text in texts]}}).encode()
    assert read_page(body).rows == [{"name": text.replace("\0", "")} for text in texts]


_FRAGMENTS = [
    *(b'{"result": {"data": [', b'{"name": "', b'"}', b"]}}", b'"error": ["x"]', b"\\u0000", b"\\ud83d", b"\xe9"),
    *(b"1e999", b"NaN", b"null", b",", b":", b"{", b"}", b"[", b"]", b'"', b"<", b"\xef\xbb\xbf", b"0", b" "),
]


@given(st.one_of(st.binary(max_size=30), st.lists(st.sampled_from(_FRAGMENTS), max_size=12).map(b"".join)))
def test_any_bytes_are_read_as_a_page_or_refused(body: bytes) -> None:
    try:
        page = read_page(body)
    except EnvelopeError:
        return
    assert b"data" in body
    assert all(isinstance(row, dict) for row in page.rows)
