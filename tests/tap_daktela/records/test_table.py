"""A page shaped column by column is what its rows are, shaped one by one: records, counts and refusals."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_daktela.api.envelope import read_page
from tap_daktela.api.rows import PageReader, Row
from tap_daktela.reading.optional_fields import requested_fields
from tap_daktela.records.row_mapper import InstanceFormat, MismatchError, RowMapper
from tap_daktela.records.table import TableMapper
from tap_daktela.streams.catalog_types import catalog_converter
from tap_daktela.streams.definitions import STREAMS
from tap_daktela.streams.fields import Kind
from tests.simulator import generate
from tests.simulator.projection import cutter, tree_of

BY_NAME = {stream.name: stream for stream in STREAMS}
DIALECT: dict[str, Any] = {"server": "acme", "prefix": "acme_", "zone": ZoneInfo("Europe/Prague")}
DATA = generate(activities=400, tickets=60, seed=4)


def _rows(name: str) -> list[dict[str, Any]]:
    """Return rows of a stream's endpoint with what the tap asks for."""
    stream = BY_NAME[name]
    cut = cutter(tree_of(requested_fields(stream, stream.fields)))
    rows = DATA.tables.get(stream.endpoint, [])
    kept = [row for row in rows if stream.activity_type is None or row.get("type") == stream.activity_type]
    return [dict(cut(row)) for row in kept[:80]]


def _shape(name: str, *, limit: int | None = None, **dialect: Any) -> RowMapper:
    """Return the shape of a stream; with a `limit`, all columns are texts of so many characters in the catalog."""
    stream = BY_NAME[name]
    schema = {"type": ["string", "null"], "maxLength": limit}
    columns = [
        column
        if limit is None or column.kind is Kind.DATETIME
        else replace(column, to_catalog=catalog_converter(column, schema))
        for column in stream.fields
    ]
    return RowMapper(stream, columns, InstanceFormat(**{**DIALECT, **dialect}))


def _one_by_one(name: str, rows: list[dict[str, Any]], **options: Any) -> Any:
    shape = _shape(name, **options)
    try:
        return [record for row in rows if (record := shape(row)) is not None], shape.stats
    except MismatchError as error:
        return str(error)


def _by_column(name: str, rows: list[dict[str, Any]], **options: Any) -> Any:
    shape = _shape(name, **options)
    try:
        return list(TableMapper(shape)(rows)), shape.stats
    except MismatchError as error:
        return str(error)


def _sent(rows: list[dict[str, Any]]) -> bytes:
    """Return the body of an answer with these rows."""
    return json.dumps({"error": [], "result": {"data": rows, "total": len(rows)}}).encode()


def _assert_the_same(name: str, rows: list[dict[str, Any]], **options: Any) -> None:
    """Assert that rows become the same records one by one, by column, and as they are really read."""
    body = _sent(rows)
    reader = PageReader(requested_fields(BY_NAME[name], BY_NAME[name].fields))
    expected = _one_by_one(name, read_page(body).rows, **options)
    assert _by_column(name, read_page(body).rows, **options) == expected
    assert _by_column(name, reader(body).rows, **options) == expected


@pytest.mark.parametrize("name", BY_NAME)
def test_rows_of_every_stream(name: str) -> None:
    _assert_the_same(name, _rows(name))


@pytest.mark.parametrize("limit", [10, 10_000])
@pytest.mark.parametrize("nulls", [False, True])
@pytest.mark.parametrize("name", BY_NAME)
def test_rows_of_every_stream_with_the_types_of_a_catalog(name: str, limit: int, nulls: bool) -> None:  # noqa: FBT001
    _assert_the_same(name, _rows(name), limit=limit, nulls_for_mismatches=nulls)


def test_no_rows_are_no_records() -> None:
    assert _by_column("tickets", []) == _one_by_one("tickets", [])


def test_the_usual_page_is_not_left_to_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    shape = RowMapper(BY_NAME["activities_call"], BY_NAME["activities_call"].fields, InstanceFormat(**DIALECT))
    monkeypatch.setattr(shape, "of_item", None)
    assert len(TableMapper(shape)(_rows("activities_call"))) == len(
        _one_by_one("activities_call", _rows("activities_call"))[0]
    )


TIMES = (
    "2026-10-25 02:30:00",
    "2026-03-29 02:30:00",
    "0000-00-00 00:00:00",
    "-0001-11-30 00:00:00",
    "1850-01-01 00:00:00",
    "2026-01-01 00:00:60",
)
RELATIONS: tuple[dict[str, Any], ...] = ({}, {"name": None}, {"title": "t"}, {"name": 7, "title": None})
LISTS: tuple[Any, ...] = ([{"name": 1, "title": "t"}, {"title": "t"}], {"0": {"name": 1}, "5": {}}, {"name": "s"})
ODD: st.SearchStrategy[Any] = st.sampled_from(
    [None, "", "x", 5, 5.0, 1.5, 2**63, "1_0", True, [], ["a"], [None], *RELATIONS, *LISTS, *TIMES]
)


@given(
    st.sampled_from(
        ["activities", "activities_call", "tickets", "activities_email", "queues", "crm_records", "users"]
    ),
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 200), ODD | st.just(...)), max_size=4),
    st.booleans(),
)
def test_rows_with_anything_in_them(name: str, changes: list[tuple[int, int, Any]], nulls: bool) -> None:  # noqa: FBT001
    rows = copy.deepcopy(_rows(name)[:12])
    stream = BY_NAME[name]
    paths = [path for column in stream.fields for path in (column.source, column.request) if path]
    for at, which, value in changes if rows else ():
        *steps, last = paths[which % len(paths)].split(".")
        place = rows[at % len(rows)]
        for step in steps:
            if not isinstance(place.get(step), dict):
                break
            place = place[step]
        if value is ...:
            place.pop(last, None)
        else:
            place[last] = copy.deepcopy(value)
    options = {"nulls_for_mismatches": nulls}
    _assert_the_same(name, rows, **options)


def test_every_kind_of_column_occurs() -> None:
    # The setting `extra_fields` makes columns of the kind `PART`.
    assert {column.kind for stream in STREAMS for column in stream.fields} == {*Kind} - {Kind.PART}


@pytest.mark.parametrize("name", BY_NAME)
def test_what_is_usual_is_never_shaped_row_by_row(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RowMapper, "of_item", lambda *_: pytest.fail("a page was shaped row by row"))
    stream = BY_NAME[name]
    # PHP's empty objects are lists, and people type NUL characters: both are usual.
    body = json.dumps({"error": [], "result": {"data": _rows(name), "total": 80}}).encode()
    page = PageReader(requested_fields(stream, stream.fields))(body)
    assert page.rows
    assert isinstance(page.rows[0], Row)
    shape = RowMapper(stream, stream.fields, InstanceFormat(**DIALECT))
    assert len(TableMapper(shape)(page.rows)) == shape.stats.records > 0
