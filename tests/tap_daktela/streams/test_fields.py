from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from tap_daktela.streams import fields
from tap_daktela.streams.fields import SERVER, UNIQUE_ID, Field, Kind, Stream

if TYPE_CHECKING:
    from collections.abc import Callable

STREAM = Stream(
    name="things",
    endpoint="things",
    description="Things.",
    fields=(fields.key("name", "Key."), fields.integer("size", "Size."), SERVER),
)


@pytest.mark.parametrize(
    ("kind", "types"),
    [
        (Kind.KEY, ["string", "null"]),
        (Kind.PREFIXED, ["string", "null"]),
        (Kind.TEXT, ["string", "null"]),
        (Kind.INTEGER, ["integer", "null"]),
        (Kind.NUMBER, ["number", "null"]),
        (Kind.BOOLEAN, ["boolean", "null"]),
        (Kind.DATETIME, ["string", "null"]),
        (Kind.OBJECT, ["object", "null"]),
        (Kind.KEYS, ["array", "null"]),
        (Kind.TITLES, ["array", "null"]),
        (Kind.SCALAR, ["string", "null"]),
        (Kind.ANY_AS_TEXT, ["string", "null"]),
        (Kind.PART, ["string", "null"]),
        (Kind.SERVER, ["string"]),
        (Kind.UNIQUE_ID, ["string"]),
    ],
)
def test_a_kind_has_its_json_type_and_null_unless_it_is_required(kind: Kind, types: list[str]) -> None:
    column = Field("x", kind, "A column.")
    assert column.schema(required=False)["type"] == types
    assert column.schema(required=True)["type"] == [name for name in types if name != "null"]


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("required", [True, False])
def test_every_schema_is_valid_and_has_the_description(kind: Kind, required: bool) -> None:  # noqa: FBT001
    schema = Field("x", kind, "A column.").schema(required=required)
    jsonschema.Draft7Validator.check_schema(schema)
    assert schema["description"] == "A column."


def test_a_datetime_has_a_format_and_a_list_has_items() -> None:
    assert Field("x", Kind.DATETIME, "").schema(required=False)["format"] == "date-time"
    for kind in (Kind.KEYS, Kind.TITLES):
        assert Field("x", kind, "").schema(required=False)["items"] == {"type": ["string"]}


def test_a_schema_can_be_changed_without_changing_the_next_one() -> None:
    column = Field("x", Kind.TEXT, "A column.")
    column.schema(required=True)["type"].append("integer")
    assert column.schema(required=True)["type"] == ["string"]
    assert column.schema(required=False)["type"] == ["string", "null"]


def test_a_stream_s_schema_has_its_columns_in_order_and_its_keys_without_null() -> None:
    schema = STREAM.schema()
    assert schema["type"] == "object"
    assert {name: column["type"] for name, column in schema["properties"].items()} == {
        "name": ["string"],
        "size": ["integer", "null"],
        "server": ["string"],
    }
    assert list(schema["properties"]) == ["name", "size", "server"]


def test_a_column_is_found_by_its_name() -> None:
    assert STREAM.field("size").kind is Kind.INTEGER
    with pytest.raises(KeyError):
        STREAM.field("weight")


@pytest.mark.parametrize(
    ("declare", "kind"),
    [
        (fields.key, Kind.KEY),
        (fields.text, Kind.TEXT),
        (fields.integer, Kind.INTEGER),
        (fields.number, Kind.NUMBER),
        (fields.boolean, Kind.BOOLEAN),
        (fields.moment, Kind.DATETIME),
        (fields.mapping, Kind.OBJECT),
        (fields.any_as_text, Kind.ANY_AS_TEXT),
    ],
)
def test_a_column_has_the_source_of_its_name_or_another_one(declare: Callable[..., Field], kind: Kind) -> None:
    own = declare("x", "A column.")
    assert (own.name, own.kind, own.source, own.request) == ("x", kind, "x", "x")
    other: Any = declare("x", "A column.", "a.b", official=False)
    assert (other.name, other.source, other.request, other.official) == ("x", "a.b", "a.b", False)


def test_columns_are_official_by_default_but_custom_fields_are_not() -> None:
    assert fields.text("x", "A column.").official
    assert not fields.any_as_text("x", "A column.").official


def test_a_relation_is_a_key_and_a_title() -> None:
    key, title = fields.relation("queue", "the queue", joins="queues")
    assert (key.name, key.kind, key.source, key.request) == ("queue_name", Kind.KEY, "queue.name", "queue.name")
    assert (title.name, title.kind, title.source) == ("queue_title", Kind.TEXT, "queue.title")
    assert key.description == "Key of the queue; joins queues.name."
    assert title.description == "Title of the queue."


def test_a_relation_may_join_nothing_and_have_no_title() -> None:
    (key,) = fields.relation("cdr", "the detail record", titled=False)
    assert (key.name, key.description) == ("cdr_name", "Key of the detail record.")


def test_a_list_of_relations_is_requested_as_a_whole() -> None:
    keys, titles = fields.relations("statuses", "the statuses")
    assert (keys.name, keys.kind, keys.source, keys.request) == (
        "statuses_name",
        Kind.KEYS,
        "statuses.name",
        "statuses",
    )
    assert (titles.name, titles.kind, titles.source, titles.request) == (
        "statuses_title",
        Kind.TITLES,
        "statuses.title",
        "statuses",
    )


def test_of_a_scalar_relation_only_the_name_is_requested() -> None:
    column = fields.scalar_relation("record", "The record.")
    assert (column.kind, column.source, column.request) == (Kind.SCALAR, "record", "record.name")


def test_columns_of_an_item_have_the_prefix_item() -> None:
    clid, queue = fields.in_item((fields.text("clid", "Number."), fields.relation("queue", "the queue")[0]))
    assert (clid.name, clid.source, clid.request) == ("item_clid", "item.clid", "item.clid")
    assert (queue.name, queue.source, queue.request) == ("item_queue_name", "item.queue.name", "item.queue.name")


def test_a_computed_column_requests_nothing() -> None:
    assert (SERVER.request, UNIQUE_ID.request) == ("", "")
