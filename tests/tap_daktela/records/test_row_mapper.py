from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tap_daktela.reading.optional_fields import requested_fields
from tap_daktela.records.row_mapper import MismatchError, RowMapper
from tap_daktela.records.row_stats import InstanceFormat
from tap_daktela.streams.definitions import STREAMS
from tap_daktela.streams.fields import (
    SERVER,
    UNIQUE_ID,
    Field,
    Kind,
    Stream,
    any_as_text,
    boolean,
    integer,
    key,
    relation,
    relations,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

PRAGUE = ZoneInfo("Europe/Prague")
BY_NAME = {stream.name: stream for stream in STREAMS}
REFUSED = object()
"""Marks a value that does not fit its column."""

Row = dict[str, Any]


def _stream(*columns: Field) -> Stream:
    return Stream(
        name="things", endpoint="things", description="Things.", fields=(key("name", "Key."), *columns, SERVER)
    )


class _Mapper:
    """Maps one row at a time."""

    def __init__(self, stream: Stream, columns: Iterable[Field] | None = None, **options: Any) -> None:
        instance_format = InstanceFormat(**{"server": "acme", "prefix": "acme_", "zone": PRAGUE, **options})
        self._mapper = RowMapper(stream, stream.fields if columns is None else columns, instance_format)
        self.stats = self._mapper.stats

    def __call__(self, row: Row) -> Row | None:
        return next(iter(self._mapper([row])), None)


# Places in the row.

_QUEUE = _stream(
    *relation("queue", "the queue"), any_as_text("record_customFields_x", "X.", "record.customFields.x")
)


@pytest.mark.parametrize(
    ("queue", "name", "title"),
    [
        ({"name": 3001, "title": "Support"}, "acme_3001", "Support"),
        ({"name": "q", "title": None}, "acme_q", None),
        ({"name": None, "title": "Support"}, None, "Support"),
        ({"title": "Support"}, None, "Support"),
        ({}, None, None),
        ([], None, None),
        ("", None, None),
        (None, None, None),
        (3001, "acme_3001", None),
        ("q", "acme_q", None),
    ],
)
def test_a_relation_gives_its_key_and_title_in_every_shape(queue: Any, name: Any, title: Any) -> None:
    record = _Mapper(_QUEUE)({"name": "n", "queue": queue})
    assert record is not None
    assert (record["queue_name"], record["queue_title"]) == (name, title)


@pytest.mark.parametrize("queue", [{"title": "Support", "alias": "s"}, {"name": None, "title": "Support"}, {}, []])
def test_a_relation_without_its_name_is_counted_since_a_right_is_missing(queue: Any) -> None:
    mapper = _Mapper(_QUEUE)
    mapper({"name": "n", "queue": queue})
    mapper({"name": "m", "queue": {"name": 1}})
    assert mapper.stats.nameless == {"queue": 1}


@pytest.mark.parametrize("queue", [None, "", 3001, {"name": None}, {"name": None, "title": None}, {"name": 1}])
def test_a_relation_that_is_empty_or_whole_is_not_counted(queue: Any) -> None:
    mapper = _Mapper(_QUEUE)
    mapper({"name": "n", "queue": queue})
    mapper({"name": "m"})
    assert not mapper.stats.nameless


@pytest.mark.parametrize("selected", [(0,), (1,), (0, 1)])
def test_entries_of_a_list_without_a_name_are_counted_once_whichever_columns_are_selected(
    selected: tuple[int, ...],
) -> None:
    columns = relations("statuses", "the statuses")
    mapper = _Mapper(_stream(*(columns[place] for place in selected)))
    statuses = [{"title": "Done"}, {"name": "a", "title": "A"}, None]
    for name in "nm":
        record = mapper({"name": name, "statuses": statuses})
        assert record is not None
        expected = {"statuses_name": ["acme_a"], "statuses_title": ["A"]}
        assert {column.name: record.get(column.name, expected[column.name]) for column in columns} == expected
    assert mapper({"name": "o", "statuses": [{"name": "a"}]}) is not None
    assert mapper.stats.nameless_entries == {"statuses": 4}
    assert not mapper.stats.nameless


def test_the_relations_of_an_item_are_counted_by_their_place_and_the_item_itself_is_not() -> None:
    mapper = _Mapper(BY_NAME["activities_email"])
    item = {"name": "e", "queue": {"title": "Support"}, "user": {"name": "u"}}
    mapper({"name": "a", "type": "EMAIL", "item": item})
    assert mapper.stats.nameless == {"item.queue": 1}


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"record": None},
        {"record": []},
        {"record": {"customFields": []}},
        {"record": {"customFields": {"y": 1}}},
    ],
)
def test_what_the_row_does_not_have_is_null(row: Row) -> None:
    record = _Mapper(_QUEUE)({"name": "n", **row})
    assert record == {
        "name": "acme_n",
        "queue_name": None,
        "queue_title": None,
        "record_customFields_x": None,
        "server": "acme",
    }


def test_a_record_has_exactly_its_columns_in_their_order() -> None:
    columns = (_QUEUE.field("queue_title"), _QUEUE.field("name"))
    record = _Mapper(_QUEUE, columns)({"name": "n", "queue": {"name": 1, "title": "T"}, "more": 1})
    assert record is not None
    assert list(record.items()) == [("queue_title", "T"), ("name", "acme_n")]


def test_a_row_is_left_as_it_is_and_no_record_is_another_s() -> None:
    mapper = _Mapper(_QUEUE)
    row: Row = {"name": "n", "queue": {"name": 1, "title": "T"}}
    one, other = mapper(row), mapper({"name": "m"})
    assert row == {"name": "n", "queue": {"name": 1, "title": "T"}}
    assert one is not None
    assert other is not None
    assert (one["queue_title"], other["queue_title"]) == ("T", None)


# Keys, prefixes, and the unique id.


def test_without_prefix_keys_are_as_they_were_sent_and_the_server_still_stands() -> None:
    record = _Mapper(_QUEUE, prefix="")({"name": 5, "queue": {"name": 1}})
    assert record is not None
    assert (record["name"], record["queue_name"], record["server"]) == ("5", "1", "acme")


@pytest.mark.parametrize("name", [None, ""])
def test_a_row_without_its_key_is_left_out_and_counted(name: Any) -> None:
    mapper = _Mapper(_QUEUE)
    assert mapper({"name": name}) is None
    assert mapper({}) is None
    assert (mapper.stats.keyless, mapper.stats.records) == (2, 0)


def test_records_are_counted() -> None:
    mapper = _Mapper(_QUEUE)
    for name in range(3):
        mapper({"name": name})
    assert mapper.stats.records == 3


@pytest.mark.parametrize(
    ("stream", "row", "keys", "digest"),
    [
        (
            "activities_call",
            {"name": "activities_5f3a1b2c3d4e5", "item": {"id_call": "2f8c1d7e-1612345678.1234"}},
            ("activities_name", "item_id_call"),
            "c2f54e9b3e27826a48e8f5a02f9be569",
        ),
        (
            "activities_email",
            {"name": "activities_627382e40611a356276396", "item": {"name": "emails_627382e403bf3828500591"}},
            ("activities_name", "item_name"),
            "164da2b1a4e59b7d0a7edfe4c3eaaa70",
        ),
    ],
)
def test_the_unique_id_is_that_of_the_original(stream: str, row: Row, keys: tuple[str, str], digest: str) -> None:
    record = _Mapper(BY_NAME[stream])(row)
    assert record is not None
    assert [record[name] for name in keys] == [
        f"acme_{row['name']}",
        f"acme_{row['item'].get('id_call') or row['item'].get('name')}",
    ]
    assert record["unique_id"] == digest


def test_the_unique_id_is_of_the_keys_as_they_are_told() -> None:
    row = {"name": "kůň", "item": {"name": 7}}
    for prefix, told in (("", "kůň-7"), ("acme_", "acme_kůň-acme_7")):
        record = _Mapper(BY_NAME["activities_chat"], prefix=prefix)(row)
        assert record is not None
        assert record["unique_id"] == hashlib.md5(told.encode(), usedforsecurity=False).hexdigest()


def test_the_unique_id_is_left_out_if_it_is_not_selected() -> None:
    stream = BY_NAME["activities_call"]
    columns = [column for column in stream.fields if column != UNIQUE_ID]
    record = _Mapper(stream, columns)({"name": "a", "item": {"id_call": "c"}})
    assert record is not None
    assert "unique_id" not in record


# Orphans.


@pytest.mark.parametrize(
    "item", [None, [], {}, {"id_call": None}, {"id_call": ""}, 42, "x", {"name": "c"}, {"id_call": []}]
)
def test_a_call_without_its_item_is_left_out_and_counted(item: Any) -> None:
    for name in ("activities", "activities_call"):
        mapper = _Mapper(BY_NAME[name])
        assert mapper({"name": "a", "type": "CALL", "item": item}) is None
        assert mapper.stats.orphans == {"CALL": 1}
        assert mapper.stats.itemless == ["CALL"]
        assert mapper.stats.records == 0


@pytest.mark.parametrize("kind", ["", "COMMENT", "CUSTOM", "SMS", "FBM", "FBCOMMENT", None])
def test_an_activity_of_another_type_needs_no_item(kind: Any) -> None:
    mapper = _Mapper(BY_NAME["activities"])
    assert mapper({"name": "a", "type": kind, "item": None}) is not None
    assert not mapper.stats.orphans


def test_a_type_is_itemless_only_if_none_of_its_rows_has_its_item() -> None:
    mapper = _Mapper(BY_NAME["activities"])
    for row in (
        {"type": "CALL", "item": {"id_call": "c"}},
        {"type": "CALL", "item": None},
        {"type": "EMAIL", "item": None},
        {"type": "EMAIL", "item": []},
        {"type": "CHAT", "item": {"name": "x"}},
    ):
        mapper({"name": "a", **row})
    assert mapper.stats.orphans == {"CALL": 1, "EMAIL": 2}
    assert mapper.stats.items == {"CALL": 1, "CHAT": 1}
    assert mapper.stats.itemless == ["EMAIL"]


@pytest.mark.parametrize("stream", STREAMS, ids=list(BY_NAME))
def test_what_a_rule_needs_is_asked_for_whatever_is_selected(stream: Stream) -> None:
    asked = requested_fields(stream, ())
    assert asked[0] == "name"
    assert (stream.replication_key in asked) == (stream.replication_key is not None)
    assert set(stream.item_keys.values()) <= set(asked)
    assert ("type" in asked) == (stream.name == "activities")


@pytest.mark.parametrize("stream", STREAMS, ids=list(BY_NAME))
def test_every_selected_column_is_asked_for_once_and_nothing_else_is(stream: Stream) -> None:
    rule = set(requested_fields(stream, ()))
    for column in stream.fields:
        asked = requested_fields(stream, [column])
        assert len(asked) == len(set(asked))
        assert set(asked) == rule | ({column.request} if column.request else set())
    everything = requested_fields(stream, stream.fields)
    assert len(everything) == len(set(everything))


# Values that do not fit.


def test_a_value_that_does_not_fit_ends_the_stream_and_is_told_with_its_record_and_column() -> None:
    mapper = _Mapper(_stream(integer("size", "Size.")))
    with pytest.raises(MismatchError) as caught:
        mapper({"name": "n7", "size": "big 7"})
    assert str(caught.value) == (
        "size of record acme_n7 is not of type integer: 'aaa 9'; set on_type_mismatch to null to go on without "
        "such values, and report this one"
    )


@pytest.mark.parametrize(
    ("value", "shown"), [("x" * 500, repr("a" * 40 + "…")), ({"private": "hush"}, "an object"), ([1], "a list")]
)
def test_a_value_that_does_not_fit_is_not_told_at_length(value: Any, shown: str) -> None:
    with pytest.raises(MismatchError) as caught:
        _Mapper(_stream(integer("size", "Size.")))({"name": "n", "size": value})
    assert f": {shown};" in str(caught.value)


def test_a_value_that_does_not_fit_becomes_null_and_is_counted_if_that_is_asked_for() -> None:
    mapper = _Mapper(_stream(integer("size", "Size."), boolean("old", "Old.")), nulls_for_mismatches=True)
    for size in ("big", 5, "small"):
        record = mapper({"name": "n", "size": size, "old": "perhaps"})
        assert record is not None
        assert (record["size"], record["old"]) == (5 if size == 5 else None, None)
    assert mapper.stats.mismatches == {"size": 2, "old": 3}


def test_a_key_that_does_not_fit_leaves_the_row_out_and_is_counted_if_nulls_are_asked_for() -> None:
    mapper = _Mapper(_QUEUE, nulls_for_mismatches=True)
    assert mapper({"name": [1]}) is None
    assert (mapper.stats.mismatches, mapper.stats.keyless) == ({"name": 1}, 1)


@pytest.mark.parametrize(
    ("value", "shown"),
    [("+420 777 123", "+999 999 999"), ("Ž. Nový", "a. aaaa"), ("x_y-1", "a_a-9"), (1.5, "1.5")],
)
def test_of_a_value_that_does_not_fit_its_outline_is_told_and_nothing_personal(value: Any, shown: str) -> None:
    with pytest.raises(MismatchError) as caught:
        _Mapper(_stream(integer("size", "Size.")))({"name": "n", "size": value})
    assert f": {shown!r};" in str(caught.value)


# Whatever comes.

_TEXTS = st.one_of(
    st.text(max_size=8),
    st.sampled_from(["", "0", "1", "true", " ", "1e999", "nan", "-5", "0.5", "0000-00-00", "1_0", "٣", "9" * 400]),
    st.datetimes().map(str),
    st.dates().map(str),
)
_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(allow_nan=False, allow_infinity=False),
    _TEXTS,
)
_JSON = st.recursive(
    _SCALARS,
    lambda values: st.one_of(
        st.lists(values, max_size=3),
        st.dictionaries(st.one_of(st.sampled_from(["name", "title", "id_call"]), _TEXTS), values, max_size=3),
    ),
    max_leaves=6,
)
_COLUMNS = [(stream.name, column.name) for stream in STREAMS for column in stream.fields if column.source]
_KINDS = {BY_NAME[stream].field(column).kind: (stream, column) for stream, column in reversed(_COLUMNS)}


def _row(stream: Stream, column: Field, value: Any, depth: int) -> Row:
    """Return a row with `value` at the column's place, or above it."""
    row: Row = {"name": "a", "type": "CALL", "item": {"name": "i", "id_call": "i"}}
    if stream.replication_key:
        row[stream.replication_key] = "2026-03-10 12:00:00"
    *path, last = column.source.split(".")[: max(1, len(column.source.split(".")) - depth)]
    place = row
    for part in path:
        if not isinstance(place.get(part), dict):
            place[part] = {}
        place = place[part]
    place[last] = value
    return row


@pytest.mark.parametrize("nulls", [False, True])
@pytest.mark.parametrize("kind", _KINDS, ids=lambda kind: kind.value)
@given(value=_JSON)
def test_any_value_fits_the_schema_of_its_kind_or_is_refused(
    violations: Callable[[dict[str, Any], Any], list[str]],
    kind: Kind,
    nulls: bool,  # noqa: FBT001
    value: Any,
) -> None:
    stream = BY_NAME[_KINDS[kind][0]]
    _assert_fits(violations, stream, _row(stream, stream.field(_KINDS[kind][1]), value, 0), nulls=nulls)


@given(place=st.sampled_from(_COLUMNS), value=_JSON, depth=st.integers(0, 2))
@settings(max_examples=300)
def test_any_value_in_any_column_fits_its_schema_or_is_refused(
    violations: Callable[[dict[str, Any], Any], list[str]], place: tuple[str, str], value: Any, depth: int
) -> None:
    stream = BY_NAME[place[0]]
    _assert_fits(violations, stream, _row(stream, stream.field(place[1]), value, depth), nulls=False)


@pytest.mark.parametrize("stream", ["tickets", "activities", "activities_call", "activities_email"])
@given(row=st.dictionaries(st.sampled_from(["name", "type", "item", "queue", "options", "statuses"]), _JSON))
def test_any_row_gives_a_record_that_fits_or_is_left_out(
    violations: Callable[[dict[str, Any], Any], list[str]], stream: str, row: Row
) -> None:
    _assert_fits(violations, BY_NAME[stream], row, nulls=True)


def _assert_fits(
    violations: Callable[[dict[str, Any], Any], list[str]], stream: Stream, row: Row, *, nulls: bool
) -> None:
    mapper = _Mapper(stream, nulls_for_mismatches=nulls)
    try:
        record = mapper(row)
    except MismatchError:
        assert not nulls
        return
    if record is None:
        assert mapper.stats.keyless + sum(mapper.stats.orphans.values()) == 1
        return
    sent = msgspec.json.decode(msgspec.json.encode(record))
    assert violations(stream.schema(), sent) == []
    assert list(record) == [column.name for column in stream.fields]
