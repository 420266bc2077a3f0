"""Structs with the requested fields: their values are those of the body, in all formats of the server."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from tap_daktela.api.envelope import EnvelopeError, ReportedError, read_page
from tap_daktela.api.rows import PageReader, Row

FIELDS = (
    "name",
    "time",
    "queue.name",
    "queue.title",
    "item.contact.name",
    "options",
    "customFields",
    "customFields.x",
)


def _body(rows: Any, **more: Any) -> bytes:
    return json.dumps({"error": [], "result": {"data": rows, "total": 7, **more}, "_time": "t"}).encode()


@pytest.mark.parametrize(
    "row",
    [
        {"name": "a", "time": "t", "queue": {"name": 5, "title": "Q"}, "item": {"contact": {"name": "c"}}},
        {"name": "a", "queue": None, "item": {"contact": None}, "options": {"any": [1, {"thing": 1.5}]}},
        {"name": 7, "customFields": {"x": ["1"], "y": []}, "options": []},
        {"name": None, "time": "", "queue": {"title": "Q"}},
    ],
)
def test_a_struct_has_the_values_that_were_sent(row: dict[str, Any]) -> None:
    [read] = PageReader(FIELDS)(_body([{**row, "unasked": 1}])).rows
    assert isinstance(read, Row)
    for name in FIELDS:
        *steps, last = name.split(".")
        found: Any = read
        expected: Any = row
        for step in steps:
            found, expected = (None if each is None else each.get(step) for each in (found, expected))
        assert (None if found is None else found.get(last)) == (None if expected is None else expected.get(last))
    assert read["name"] == row["name"]
    sent = msgspec.to_builtins(read)
    assert {name: value for name, value in sent.items() if value is not None}.keys() <= row.keys()
    assert ("name" in (sent["queue"] or {})) == ("name" in (row.get("queue") or {}))


@pytest.mark.parametrize(
    "body",
    [
        _body([{"name": "a", "queue": []}]),
        _body([{"name": "a", "queue": "q"}]),
        _body({"a": {"name": "a"}}),
        _body([{"name": "a\x00b"}]),
        b"\xef\xbb\xbf" + _body([{"name": "a"}]),
        _body([{"name": "a"}], total=None),
        _body([{"name": "a\ud800"}]),
    ],
)
def test_a_body_that_does_not_fit_the_structs_is_decoded_to_dictionaries(body: bytes) -> None:
    page = PageReader(FIELDS)(body)
    expected = read_page(body)
    assert [row.get("name") for row in page.rows] == [row["name"] for row in expected.rows]
    assert (page.total, page.time, page.timezone) == (expected.total, expected.time, expected.timezone)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b'{"error": ["no"], "result": {"data": []}}', ReportedError),
        (b'{"error": [], "result": null}', EnvelopeError),
        (b'{"error": [], "result": {"total": 1}}', EnvelopeError),
        (b'{"error": [], "result": {"data": [1]}}', EnvelopeError),
        (b"<html>", EnvelopeError),
        (b"", EnvelopeError),
        (b'{"error": [], "result": {"data": [{"name"', EnvelopeError),
    ],
)
def test_an_invalid_page_is_refused(body: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        PageReader(FIELDS)(body)
