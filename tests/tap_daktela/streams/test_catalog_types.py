from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tap_daktela.streams.catalog_types import CatalogTypeError, catalog_converter, fitted_columns
from tap_daktela.streams.definitions import STREAMS
from tap_daktela.streams.fields import SERVER, UNIQUE_ID, Field, Kind, Stream
from tests.simulator import Simulator, generate
from tests.tap_daktela.running import Run, run_tap, select, settings
from tests.test_reference import TEXT, code, section

if TYPE_CHECKING:
    from collections.abc import Callable

    Check = Callable[[dict[str, Any], Any], list[str]]

UNCHANGED = object()
"""Marks a schema to which all values fit as they are."""
NULL = "null"
TEXT_OR_NULL = {"type": ["string", NULL]}
ANY_OBJECT: dict[str, Any] = {"additionalProperties": True, "description": "An object."}


def field(kind: Kind) -> Field:
    return Field("x", kind, "X.", "x", "x")


def convert(kind: Kind, schema: dict[str, Any], value: Any) -> Any:
    """Return what becomes of a record's value; the reason, if `schema` does not allow it."""
    converter = catalog_converter(field(kind), schema)
    try:
        return value if converter is None else converter(value)
    except CatalogTypeError as error:
        return error


# One column.


@pytest.mark.parametrize(
    ("kind", "schema", "value", "expected"),
    [
        # As text.
        (Kind.OBJECT, TEXT_OR_NULL, {"a": ["ž"], "b": {}}, '{"a":["ž"],"b":{}}'),
        # Someone changed the type of a column in a catalog file, and left its other keywords in place.
        (Kind.OBJECT, {**ANY_OBJECT, **TEXT_OR_NULL}, {}, "{}"),
        (Kind.KEYS, {"items": {"type": "string"}, **TEXT_OR_NULL}, ["a", "b"], '["a","b"]'),
        (Kind.INTEGER, TEXT_OR_NULL, 2**63 - 1, str(2**63 - 1)),
        (Kind.NUMBER, TEXT_OR_NULL, 0.1, "0.1"),
        (Kind.BOOLEAN, TEXT_OR_NULL, True, "true"),
        (Kind.INTEGER, {"anyOf": [{"type": "string"}, {"type": NULL}]}, 5, "5"),
        (Kind.INTEGER, {"oneOf": [{"type": ["string", NULL]}]}, 5, "5"),
        # Numbers.
        (Kind.INTEGER, {"type": ["number", NULL]}, 5, 5),
        (Kind.BOOLEAN, {"type": ["integer", NULL]}, True, 1),
        (Kind.BOOLEAN, {"type": ["number", NULL]}, False, 0),
        (Kind.NUMBER, {"type": ["integer", NULL]}, 7.0, 7),
        (Kind.NUMBER, {"type": ["integer", NULL]}, 7, 7),
        # As they are.
        (Kind.DATETIME, TEXT_OR_NULL, "2026-03-10T11:00:00Z", "2026-03-10T11:00:00Z"),
        (Kind.TEXT, {}, "x", "x"),
        (Kind.TEXT, {"type": ["string", "integer", NULL]}, "5", "5"),
        (Kind.KEYS, {"type": ["array", NULL], "items": TEXT_OR_NULL}, ["a"], ["a"]),
        (Kind.TEXT, {**TEXT_OR_NULL, "maxLength": 3}, "žžž", "žžž"),
        (Kind.TEXT, {**TEXT_OR_NULL, "enum": ["a", "b", None]}, "a", "a"),
        (Kind.TEXT, {**TEXT_OR_NULL, "format": "date"}, "2026-03-10", "2026-03-10"),
        (Kind.INTEGER, {"type": ["integer", NULL], "minimum": 0}, 0, 0),
        # Parts of objects and lists.
        (
            Kind.OBJECT,
            {"type": ["object", NULL], "properties": {"vip": TEXT_OR_NULL, "n": {"type": "number"}}},
            {"vip": ["yes"], "n": 5, "more": [1]},
            {"vip": '["yes"]', "n": 5, "more": [1]},
        ),
        (
            Kind.OBJECT,
            {"type": ["object", NULL], "properties": {"a": {"type": ["array"], "items": {"type": "string"}}}},
            {"a": [1, "b", {"c": None}]},
            {"a": ["1", "b", '{"c":null}']},
        ),
    ],
)
@pytest.mark.promise("T3")
def test_a_value_is_converted_to_the_type_of_the_catalog(
    kind: Kind, schema: dict[str, Any], value: Any, expected: Any, violations: Check
) -> None:
    result = convert(kind, schema, value)
    assert json.dumps(result) == json.dumps(expected)
    assert not violations(schema, result)


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
def test_the_schemas_of_discovery_need_no_conversion(stream: Stream) -> None:
    for column in stream.fields:
        schema = column.schema(required=column.name in stream.keys)
        assert catalog_converter(column, schema, is_key=column.name in stream.keys) is None
        more = {**column.schema(required=False), "title": "T", "default": None, "maxItems": 5}
        assert catalog_converter(column, more) is None


@pytest.mark.parametrize(
    ("kind", "schema", "value", "reason"),
    [
        (Kind.KEY, {**TEXT_OR_NULL, "maxLength": 3}, "acme_1", "maxLength is 3"),
        (Kind.OBJECT, {**TEXT_OR_NULL, "maxLength": 3}, {"a": 1}, "maxLength is 3"),
        (Kind.TEXT, {**TEXT_OR_NULL, "minLength": 3}, "secret"[:2], "minLength is 3"),
        (Kind.TEXT, {**TEXT_OR_NULL, "pattern": "^a"}, "secret", "pattern is ^a"),
        (Kind.TEXT, {**TEXT_OR_NULL, "enum": ["a"]}, "secret", "enum is ['a']"),
        (Kind.TEXT, {**TEXT_OR_NULL, "format": "date"}, "secret", "format is date"),
        (Kind.TEXT, {"anyOf": [{"type": "string", "maxLength": 2}, {"type": NULL}]}, "secret", "anyOf is "),
        (Kind.INTEGER, {"type": ["integer", NULL], "maximum": 5}, 6, "maximum is 5"),
        (Kind.NUMBER, {"type": ["integer", NULL]}, 7.5, "the type is integer"),
        (
            Kind.OBJECT,
            {"type": ["object", NULL], "additionalProperties": False},
            {"a": 1},
            "additionalProperties is",
        ),
        (
            Kind.OBJECT,
            {"type": ["object", NULL], "properties": {"vip": {"type": ["integer", NULL]}}},
            {"vip": ["secret"]},
            "type is ['integer', 'null']",
        ),
        (
            Kind.OBJECT,
            {"type": ["object", NULL], "properties": {"due": {"type": ["string"], "format": "date-time"}}},
            {"due": "2026-03-10 12:00:00"},
            "format is date-time",
        ),
        (
            Kind.KEYS,
            {"type": ["array", NULL], "items": {"type": "string", "maxLength": 3}},
            ["acme_1"],
            "maxLength",
        ),
    ],
)
@pytest.mark.promise("T3")
def test_a_value_that_the_catalog_does_not_allow_is_a_mismatch_whose_reason_has_no_value(
    kind: Kind, schema: dict[str, Any], value: Any, reason: str
) -> None:
    result = convert(kind, schema, value)
    assert isinstance(result, CatalogTypeError)
    assert reason in str(result)
    assert "secret" not in str(result)
    assert len(str(result)) < 80


@pytest.mark.parametrize(
    ("kind", "schema", "reason"),
    [
        (Kind.TEXT, {"type": ["integer", NULL]}, "string cannot be converted to integer without loss"),
        (Kind.KEY, {"type": "integer"}, "string cannot be converted to integer"),
        (Kind.DATETIME, {"type": ["integer", NULL]}, "string cannot be converted to integer"),
        (Kind.OBJECT, {"type": ["array", NULL]}, "object cannot be converted to array"),
        (Kind.KEYS, {"type": ["object", NULL]}, "array cannot be converted to object"),
        (Kind.INTEGER, {"type": ["boolean", NULL]}, "integer cannot be converted to boolean"),
        (Kind.TEXT, {"type": NULL}, "string cannot be converted to null"),
        (Kind.TEXT, {"type": "string"}, 'the type string does not allow null; add "null"'),
        (Kind.OBJECT, {"type": "string"}, 'the type string does not allow null; add "null"'),
        (Kind.INTEGER, {"anyOf": [{"type": "integer"}, {"type": "string"}]}, "does not allow null"),
        (Kind.TEXT, {**TEXT_OR_NULL, "format": "date-time"}, "the values do not have the format date-time"),
        (Kind.OBJECT, {**TEXT_OR_NULL, "format": "date-time"}, "the values do not have the format date-time"),
        (Kind.DATETIME, {**TEXT_OR_NULL, "format": "date"}, "the values do not have the format date"),
        (Kind.TEXT, {"type": "text"}, "the schema is invalid"),
        (Kind.TEXT, {**TEXT_OR_NULL, "maxLength": "20"}, "the schema is invalid"),
        (Kind.TEXT, {**TEXT_OR_NULL, "pattern": "("}, "the schema is invalid"),
    ],
)
def test_a_type_without_a_conversion_is_refused(kind: Kind, schema: dict[str, Any], reason: str) -> None:
    with pytest.raises(CatalogTypeError) as caught:
        catalog_converter(field(kind), schema)
    assert reason in str(caught.value)


def test_a_key_is_never_null_and_constants_are_checked_at_once() -> None:
    columns = [Field("name", Kind.KEY, "Key."), SERVER, UNIQUE_ID]
    lengths = {"name": 5, "server": 4, "unique_id": 32}
    fine = {name: {"type": "string", "maxLength": length} for name, length in lengths.items()}
    fitted, problems = fitted_columns(columns, ("name",), fine, ["acme"])
    assert [column.name for column in fitted] == list(lengths)
    assert not problems
    short = {name: {"type": ["string"], "maxLength": length - 1} for name, length in lengths.items()}
    _, problems = fitted_columns(columns, ("name",), short, ["acme"])
    assert problems == ["server: maxLength is 3", "unique_id: maxLength is 31"]


_VALUES: dict[Kind, st.SearchStrategy[Any]] = {
    Kind.TEXT: st.text(max_size=5),
    Kind.KEY: st.text(max_size=5),
    Kind.DATETIME: st.just("2026-03-10T11:00:00Z"),
    Kind.INTEGER: st.integers(-(2**63), 2**63 - 1),
    Kind.NUMBER: st.floats(allow_nan=False, allow_infinity=False) | st.integers(-9, 9),
    Kind.BOOLEAN: st.booleans(),
    Kind.KEYS: st.lists(st.text(max_size=3), max_size=3),
    Kind.OBJECT: st.dictionaries(
        st.sampled_from("abc"),
        st.recursive(
            st.none() | st.booleans() | st.integers(-5, 5) | st.floats(0, 1) | st.text(max_size=3),
            lambda values: (
                st.lists(values, max_size=2) | st.dictionaries(st.sampled_from("ab"), values, max_size=2)
            ),
            max_leaves=4,
        ),
        max_size=3,
    ),
}
_NAMES = ["string", "integer", "number", "boolean", "object", "array", "null"]
_PLAIN_SCHEMAS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(_NAMES) | st.lists(st.sampled_from(_NAMES), min_size=1, unique=True),
        "maxLength": st.integers(0, 6),
        "minLength": st.integers(0, 3),
        "minimum": st.integers(-5, 5),
        "enum": st.lists(st.sampled_from(["a", 1, True, None, ""]), min_size=1, max_size=3, unique_by=repr),
        "format": st.sampled_from(["date-time", "date", "email"]),
        "description": st.just("D."),
        "additionalProperties": st.booleans(),
    },
)
_SCHEMAS = st.recursive(
    _PLAIN_SCHEMAS,
    lambda schemas: st.builds(
        lambda plain, more: plain | more,
        _PLAIN_SCHEMAS,
        st.fixed_dictionaries(
            {},
            optional={
                "anyOf": st.lists(schemas, min_size=1, max_size=2),
                "properties": st.dictionaries(st.sampled_from("ab"), schemas, max_size=2),
                "items": schemas,
            },
        ),
    ),
    max_leaves=4,
)


@pytest.mark.parametrize("kind", _VALUES, ids=lambda kind: kind.value)
@given(data=st.data(), schema=_SCHEMAS)
@pytest.mark.promise("T3")
def test_any_value_fits_any_schema_of_the_catalog_or_is_refused(
    kind: Kind, data: st.DataObject, schema: dict[str, Any], violations: Check
) -> None:
    try:
        converter = catalog_converter(field(kind), schema)
    except CatalogTypeError:
        return
    value = data.draw(_VALUES[kind])
    before = json.dumps(value)
    try:
        result = value if converter is None else converter(value)
    except CatalogTypeError:
        return
    assert not violations(schema, result)
    assert json.dumps(value) == before
    if isinstance(result, str) and not isinstance(value, str):
        assert json.loads(result) == value
    if not isinstance(value, dict):
        assert result == value or isinstance(result, (str, list))


# The catalog of a run.


def run_with(properties: dict[str, dict[str, Any]], *streams: str, **config: Any) -> Run:
    """Run the tap with other schemas of columns (`tickets.title`), merged into those of discovery."""
    catalog = select(*(streams or {name.split(".")[0] for name in properties}))
    for entry in catalog["streams"]:
        for name, schema in properties.items():
            stream, column = name.split(".")
            if entry["tap_stream_id"] == stream:
                entry["schema"]["properties"][column].update(schema)
    with Simulator(generate(activities=200, tickets=60, seed=3)) as simulator:
        return run_tap(settings(simulator, **config), catalog=catalog)


def assert_records_fit(run: Run, violations: Check) -> None:
    assert run.code == 0, run.log
    for name, records in run.records.items():
        assert records
        assert not [fault for record in records for fault in violations(run.schemas[name]["schema"], record)]


@pytest.mark.parametrize("map_", [None, {"tickets": {"copy": "title"}}])
@pytest.mark.promise("T3")
def test_records_fit_a_catalog_with_other_types(map_: dict[str, Any] | None, violations: Check) -> None:
    changed: dict[str, dict[str, Any]] = {
        "tickets.customFields": TEXT_OR_NULL,
        "tickets.statuses_name": TEXT_OR_NULL,
        "tickets.sla_duration": TEXT_OR_NULL,
        "tickets.sla_custom": {"type": ["integer", NULL]},
        "tickets.first_answer_duration": {"type": ["number", NULL]},
        "tickets.name": {"maxLength": 40},
        "tickets.title": {"maxLength": 2000},
        "activities_call.item_options": {"type": ["string", NULL]},
        "activities_call.activities_name": {"type": ["string"], "maxLength": 64},
        "activities_call.unique_id": {"maxLength": 32},
        "activities_call.server": {"maxLength": 10},
    }
    usual = run_with({}, "tickets", "activities_call")
    run = run_with(changed, **({"stream_maps": map_} if map_ else {}))
    assert_records_fit(run, violations)
    for name, schema in changed.items():
        stream, column = name.split(".")
        assert run.schemas[stream]["schema"]["properties"][column].items() >= schema.items()
    for stream, records in usual.records.items():
        for one, other in zip(records, run.records[stream], strict=True):
            for column, value in one.items():
                if isinstance(value, str) or value is None:
                    assert other[column] == value
                elif isinstance(other[column], str):
                    assert json.loads(other[column]) == value
                else:
                    assert other[column] == value
    assert {type(record["customFields"]) for record in run.records["tickets"]} == {str}


@pytest.mark.promise("T3")
def test_a_schema_of_the_catalog_without_a_type_keeps_that_of_the_tap() -> None:
    """As Meltano's `schema` extra leaves it, which replaces the complete schema of a column."""
    [own] = [stream.schema()["properties"] for stream in STREAMS if stream.name == "tickets"]
    rules: dict[str, dict[str, Any]] = {
        "name": {"maxLength": 64},
        "edited": {},
        "customFields": {"description": "Ours."},
        "title": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    }
    catalog = select("tickets")
    [entry] = [entry for entry in catalog["streams"] if entry["tap_stream_id"] == "tickets"]
    entry["schema"]["properties"].update(rules)
    with Simulator(generate(activities=5, tickets=30, seed=1)) as simulator:
        run = run_tap(settings(simulator), catalog=catalog)
    schema = run.schemas["tickets"]["schema"]["properties"]
    assert run.code == 0, run.log
    assert schema["name"] == {**own["name"], "maxLength": 64}
    assert schema["edited"] == own["edited"]
    assert schema["customFields"] == {**own["customFields"], "description": "Ours."}
    assert schema["title"] == rules["title"]


def test_a_value_longer_than_max_length_ends_the_stream_or_becomes_null() -> None:
    longest = {"tickets.title": {"maxLength": 5}}
    run = run_with(longest, "tickets", "groups")
    assert run.code == 1
    [line] = [line for line in run.errors if line.startswith("tickets (acme): title of record acme_")]
    assert "does not fit its schema in the catalog (maxLength is 5): 'a" in line
    assert "Traceback" not in run.log
    assert run.records["groups"]
    usual = run_with({}, "tickets")
    run = run_with(longest, "tickets", on_type_mismatch="null")
    assert run.code == 0
    titles = [record["title"] for record in usual.records["tickets"]]
    short = [title if title is None or len(title) <= 5 else None for title in titles]
    assert [record["title"] for record in run.records["tickets"]] == short
    [line] = [line for line in run.warnings if " values of title " in line]
    assert f" {short.count(None) - titles.count(None)} values of title " in line


@pytest.mark.promise("T3")
def test_declared_parts_of_custom_fields_are_flattened(violations: Check) -> None:
    parts = {"properties": {"vip": TEXT_OR_NULL, "more": {"type": ["array", NULL]}}}
    flattening = {"flattening_enabled": True, "flattening_max_depth": 1}
    run = run_with({"tickets.customFields": parts}, **flattening)
    assert_records_fit(run, violations)
    assert {"customFields__vip", "customFields__more"} <= set(run.schemas["tickets"]["schema"]["properties"])
    run = run_with({"tickets.customFields": parts})
    assert_records_fit(run, violations)


@pytest.mark.promise("T3")
def test_the_example_of_the_documentation(violations: Check) -> None:
    [block] = code(section("## Other types", TEXT), "yaml")
    schemas = {
        f"{stream}.{column}": schema
        for stream, columns in yaml.safe_load(block)["schema"].items()
        for column, schema in columns.items()
    }
    run = run_with(schemas)
    assert_records_fit(run, violations)
    assert {type(record["customFields"]) for record in run.records["tickets"]} == {str}
    assert run.schemas["activities_call"]["schema"]["properties"]["item_id_call"]["maxLength"] == 64


@pytest.mark.parametrize(
    ("schemas", "lines"),
    [
        (
            {"tickets.title": {"type": ["integer", NULL]}, "tickets.customFields": {"type": "string"}},
            [
                "catalog: tickets.title: string cannot be converted to integer without loss",
                'catalog: tickets.customFields: the type string does not allow null; add "null"',
            ],
        ),
        ({"tickets.name": {"type": "integer"}}, ["catalog: tickets.name: string cannot be converted to integer"]),
        ({"tickets.title": {"type": "text"}}, ["catalog: tickets.title: the schema is invalid"]),
    ],
)
def test_a_catalog_with_types_without_a_conversion_is_refused_at_the_start(
    schemas: dict[str, dict[str, Any]], lines: list[str]
) -> None:
    run = run_with(schemas)
    assert run.code == 1
    assert not run.messages
    assert "Traceback" not in run.log
    for line in lines:
        assert len([each for each in run.log.splitlines() if line in each]) == 1


def test_types_of_streams_and_columns_that_are_not_selected_do_not_matter() -> None:
    run = run_with({"tickets.title": {"type": "integer"}}, "groups")
    assert run.code == 0, run.log
