"""The columns of a record, whichever way they are read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typing_extensions import override

from target_daktela_crm.mapping.column_reader import ColumnReader
from target_daktela_crm.mapping.compiler import compile_mapping
from target_daktela_crm.mapping.roles import nothing_known

if TYPE_CHECKING:
    from collections.abc import Iterable

    from target_daktela_crm.mapping.roles import Record

pytestmark = pytest.mark.promise("S10")

SCALARS = st.none() | st.sampled_from(["a", "", "{}", "[{}]", '{"id": 1}', "x{y", 5, True])
ELEMENTS = st.lists(
    st.dictionaries(st.sampled_from(["value", "label"]), SCALARS, max_size=2) | SCALARS, max_size=2
)


def _objects(*names: str) -> st.SearchStrategy[Any]:
    return st.dictionaries(st.sampled_from(names), SCALARS, max_size=len(names)) | SCALARS | ELEMENTS


RECORDS = {
    "hubspot": {
        "properties": _objects("firstname", "lastname", "phone", "email"),
        "property_phone": _objects("value", "source"),
        "property_lastname": _objects("value"),
        "phone": SCALARS,
        "companies": ELEMENTS | SCALARS,
    },
    "pipedrive": {
        "name": SCALARS,
        "org_id": _objects("value", "name"),
        "phones": ELEMENTS | SCALARS,
        "emails": ELEMENTS | SCALARS,
        "notes": _objects("x"),
    },
}
STREAMS = {"hubspot": "contacts", "pipedrive": "persons"}


def _reader(preset: str) -> ColumnReader:
    stream = compile_mapping(preset, None, None).stream(STREAMS[preset])
    assert stream is not None
    [reader] = stream.column_readers
    return reader


class _Slow(ColumnReader):
    """Looks at each column of each record."""

    @override
    def _new_layout(self, record: Record) -> Any:
        return super()._new_layout(record)._replace(encode=None)


def _results(reader: ColumnReader, records: Iterable[Record]) -> list[Any]:
    found = [reader.complete(record, "1", nothing_known) for record in records]
    return [(record, company, fields, json.loads(values), flag) for record, company, fields, values, flag in found]


@pytest.mark.parametrize("preset", RECORDS)
def test_the_short_way_to_read_columns_returns_the_same(preset: str) -> None:
    known = _reader(preset)

    @settings(max_examples=300)
    @given(st.lists(st.fixed_dictionaries({}, optional=RECORDS[preset]), min_size=1, max_size=6))
    def check(records: list[Record]) -> None:
        # Twice, since a record is read in the short way once all of its columns have occurred.
        several = [*records, *records]
        fast = ColumnReader("contact", known.columns, ("property_",))
        slow = _Slow("contact", known.columns, ("property_",))
        assert _results(fast, several) == _results(slow, several)
        assert (fast.arrived, fast.expected) == (slow.arrived, slow.expected)

    check()


def test_most_records_are_read_in_the_short_way(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = _reader("pipedrive")
    rows: list[Record] = [
        {"name": "Eva", "org_id": org, "phones": [{"value": "1"}], "emails": [], "notes": None}
        for org in (5, None, 7)
    ]
    _results(reader, rows)
    monkeypatch.setattr(ColumnReader, "_complete_each", lambda *_: pytest.fail("read column by column"))
    _results(reader, rows)
