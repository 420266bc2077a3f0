"""The compiled function returns the records, counts and errors of a plain reference implementation."""

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
from tap_daktela.records.row_mapper import MismatchError, RowMapper
from tap_daktela.records.row_stats import InstanceFormat
from tap_daktela.streams.catalog_types import catalog_converter
from tap_daktela.streams.definitions import STREAMS
from tap_daktela.streams.fields import Field, Kind
from tests.simulator import generate
from tests.simulator.projection import projection_of, tree_of
from tests.tap_daktela.records.reference import ReferenceMapper, ReferenceMismatch

BY_NAME = {stream.name: stream for stream in STREAMS}
FORMAT = InstanceFormat(server="acme", prefix="acme_", zone=ZoneInfo("Europe/Prague"))
DATA = generate(activities=400, tickets=60, seed=4)
EXTRA = tuple(
    Field(path.replace(".", "_"), kind, "Extra.", path, path, official=False, extra=True)
    for path, kind in [
        ("record.customFields.x", Kind.PART),
        ("statuses.color", Kind.PART),
        ("volumes", Kind.ANY_AS_TEXT),
    ]
)


def _rows(name: str) -> list[dict[str, Any]]:
    """Return rows of a stream's endpoint with the fields that the tap requests."""
    stream = BY_NAME[name]
    project = projection_of(tree_of(requested_fields(stream, stream.fields)))
    rows = DATA.tables.get(stream.endpoint, [])
    kept = [row for row in rows if stream.activity_type is None or row.get("type") == stream.activity_type]
    return [dict(project(row)) for row in kept[:80]]


def _body(rows: list[dict[str, Any]]) -> bytes:
    return json.dumps({"error": [], "result": {"data": rows, "total": len(rows)}}).encode()


def _columns(name: str, limit: int | None) -> list[Field]:
    """Return the columns of a stream; in the catalog, they are texts with at most `limit` characters."""
    schema = {"type": ["string", "null"], "maxLength": limit}
    return [
        column
        if limit is None or column.kind is Kind.DATETIME
        else replace(column, to_catalog=catalog_converter(column, schema))
        for column in (*BY_NAME[name].fields, *EXTRA)
    ]


def _expected(columns: list[Field], name: str, rows: list[dict[str, Any]], fmt: InstanceFormat) -> Any:
    mapper = ReferenceMapper(BY_NAME[name], columns, fmt)
    try:
        return mapper(rows), mapper.stats
    except ReferenceMismatch:
        return "mismatch"


def _mapped(columns: list[Field], name: str, rows: list[Any], fmt: InstanceFormat) -> Any:
    mapper = RowMapper(BY_NAME[name], columns, fmt)
    try:
        return list(mapper(rows)), mapper.stats
    except MismatchError:
        return "mismatch"


def _assert_equals_reference(
    name: str, rows: list[dict[str, Any]], limit: int | None = None, **options: Any
) -> None:
    """Assert that rows become the expected records, decoded as dictionaries and as a run decodes them."""
    fmt, columns, body = replace(FORMAT, **options), _columns(name, limit), _body(rows)
    expected = _expected(columns, name, read_page(body).rows, fmt)
    assert _mapped(columns, name, read_page(body).rows, fmt) == expected
    decode = PageReader(requested_fields(BY_NAME[name], columns))
    assert _mapped(columns, name, decode(body).rows, fmt) == expected


@pytest.mark.parametrize("name", BY_NAME)
def test_rows_of_every_stream(name: str) -> None:
    _assert_equals_reference(name, _rows(name))


@pytest.mark.parametrize("nulls", [False, True])
@pytest.mark.parametrize("limit", [10, 10_000])
@pytest.mark.parametrize("name", BY_NAME)
def test_rows_of_every_stream_with_the_types_of_a_catalog(name: str, limit: int, nulls: bool) -> None:  # noqa: FBT001
    _assert_equals_reference(name, _rows(name), limit, nulls_for_mismatches=nulls)


def test_no_rows_are_no_records() -> None:
    assert len(RowMapper(BY_NAME["tickets"], BY_NAME["tickets"].fields, FORMAT)([])) == 0


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
UNUSUAL: st.SearchStrategy[Any] = st.sampled_from(
    [None, "", "x", 5, 5.0, 1.5, 2**63, "1_0", True, [], ["a"], [None], *RELATIONS, *LISTS, *TIMES]
)


@pytest.mark.parametrize("name", [name for name in BY_NAME if _rows(name)])
@given(
    changes=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 200), UNUSUAL | st.just(...)), max_size=4),
    nulls=st.booleans(),
)
def test_rows_with_unusual_values(name: str, changes: list[tuple[int, int, Any]], nulls: bool) -> None:  # noqa: FBT001
    rows = copy.deepcopy(_rows(name)[:12])
    stream = BY_NAME[name]
    paths = [path for column in stream.fields for path in (column.source, column.request) if path]
    for at, which, value in changes:
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
    _assert_equals_reference(name, rows, nulls_for_mismatches=nulls)


def test_every_kind_of_column_occurs() -> None:
    assert {column.kind for name in BY_NAME for column in _columns(name, None)} == {*Kind}


@pytest.mark.parametrize("name", BY_NAME)
def test_rows_are_decoded_into_objects(name: str) -> None:
    stream = BY_NAME[name]
    page = PageReader(requested_fields(stream, stream.fields))(_body(_rows(name)))
    assert page.rows
    assert isinstance(page.rows[0], Row)
