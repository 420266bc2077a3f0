from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_daktela.streams.converters import converters, entries_without_name, part_converter
from tap_daktela.streams.fields import Kind

PRAGUE = ZoneInfo("Europe/Prague")
CONVERTERS = converters("acme_", PRAGUE)
REFUSED = object()
"""Marks a value that does not fit its column."""


def _convert(kind: Kind, value: Any) -> Any:
    """Return what becomes of a value, or REFUSED."""
    try:
        return None if value is None else CONVERTERS[kind](value)
    except (ValueError, TypeError, OverflowError):
        return REFUSED


def _same(one: Any, other: Any) -> bool:
    """Whether two values are the same JSON: 1, 1.0 and true are not."""
    if REFUSED in (one, other):
        return one is other
    return bool(msgspec.json.encode(one) == msgspec.json.encode(other))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("activities_5f", "acme_activities_5f"),
        (10006, "acme_10006"),
        (0, "acme_0"),
        (10006.0, "acme_10006"),
        ("007", "acme_007"),
        ("", None),
        (" x ", "acme_ x "),
        ("kůň", "acme_kůň"),
        (None, None),
        # Keys are texts, so no integer is too large.
        (10**30, f"acme_{10**30}"),
        # Which integer this float stands for is unknown.
        (1e16, REFUSED),
        (True, REFUSED),
        (1.5, REFUSED),
        ([], REFUSED),
        ({}, REFUSED),
        (["x"], REFUSED),
    ],
)
def test_a_key_is_text_with_the_prefix_and_null_stays_null(value: Any, expected: Any) -> None:
    assert _same(_convert(Kind.KEY, value), expected)


@pytest.mark.parametrize(
    ("value", "expected"),
    [("x", "acme_x"), ("", "acme_"), (5, "acme_5"), (None, None), ([], REFUSED), ({}, REFUSED)],
)
def test_text_that_the_original_prefixed_is_prefixed_though_it_is_no_key(value: Any, expected: Any) -> None:
    assert _same(_convert(Kind.PREFIXED, value), expected)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", ""),
        ("0", "0"),
        ("text", "text"),
        (5, "5"),
        (0.5, "0.5"),
        (True, "true"),
        (False, "false"),
        (None, None),
        ([], REFUSED),
        ({}, REFUSED),
        ({"a": 1}, REFUSED),
    ],
)
def test_every_scalar_becomes_text(value: Any, expected: Any) -> None:
    assert _same(_convert(Kind.TEXT, value), expected)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (5, 5),
        (-5, -5),
        ("5", 5),
        (" 5 ", 5),
        ("-5", -5),
        ("+5", 5),
        ("5.0", 5),
        ("1e3", 1000),
        (5.0, 5),
        (True, 1),
        (False, 0),
        ("", None),
        (" ", None),
        (None, None),
        (10**17, 10**17),
        (str(10**17), 10**17),
        (f"{10**17}.0", 10**17),
        (2**63 - 1, 2**63 - 1),
        (-(2**63), -(2**63)),
        (f"{2**63 - 1}", 2**63 - 1),
        ("5.", 5),
        ("007", 7),
        # Beyond 64 bits.
        (2**63, REFUSED),
        (-(2**63) - 1, REFUSED),
        (str(2**63), REFUSED),
        (f"-{2**63 + 1}.0", REFUSED),
        ("9" * 5000, REFUSED),
        (1e19, REFUSED),
        ("1e19", REFUSED),
        # Beyond 53 bits, a float does not determine an integer.
        (1e17, REFUSED),
        ("1e17", REFUSED),
        # Python accepts these spellings.
        ("1_000", REFUSED),
        ("\u0663", REFUSED),
        ("\uff15", REFUSED),
        ("\u0661.5e1", REFUSED),
        ("0x10", REFUSED),
        ("--5", REFUSED),
        ("1 000", REFUSED),
        ("1,000", REFUSED),
        ("5.5", REFUSED),
        (5.5, REFUSED),
        ("x", REFUSED),
        ("nan", REFUSED),
        ("inf", REFUSED),
        ("1e999", REFUSED),
        ([], REFUSED),
        ({}, REFUSED),
    ],
)
def test_an_integer_may_be_spelled_as_text_or_as_a_boolean(value: Any, expected: Any) -> None:
    assert _same(_convert(Kind.INTEGER, value), expected)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (5, 5),
        (0.5, 0.5),
        ("0.5", 0.5),
        ("-1e3", -1000.0),
        (True, 1),
        ("", None),
        (None, None),
        ("nan", REFUSED),
        ("-inf", REFUSED),
        ("1e999", REFUSED),
        (" 5 ", 5.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("0.1", 0.1),
        (" ", None),
        (10**17, 10**17),
        (2**63, 2.0**63),
        (10**400, REFUSED),
        ("1_0.5", REFUSED),
        ("\u0663", REFUSED),
        ("1,5", REFUSED),
        ("infinity", REFUSED),
        ("0x1p3", REFUSED),
        (".", REFUSED),
        ("x", REFUSED),
        ([], REFUSED),
        ({}, REFUSED),
    ],
)
def test_a_number_is_finite(value: Any, expected: Any) -> None:
    assert _same(_convert(Kind.NUMBER, value), expected)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *((value, True) for value in (True, 1, 1.0, "1", "true", "TRUE", "True")),
        *((value, False) for value in (False, 0, 0.0, "0", "", "false", "FALSE", "False")),
        (None, None),
        *((value, REFUSED) for value in (2, -1, 0.5, "2", "yes", "no", " ", "null", "1.0", 10**400)),
        ([], REFUSED),
        ({}, REFUSED),
        ([True], REFUSED),
    ],
)
def test_a_boolean_may_be_spelled_in_all_the_ways_of_php(value: Any, expected: Any) -> None:
    assert _same(_convert(Kind.BOOLEAN, value), expected)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"a": [1]}, {"a": [1]}),
        ({}, {}),
        ([], {}),
        (["a", {"b": 1}], {"0": "a", "1": {"b": 1}}),
        ("", None),
        (None, None),
        ("x", REFUSED),
        (0, REFUSED),
        (False, REFUSED),
        (1.5, REFUSED),
    ],
)
def test_an_empty_array_is_an_empty_object(value: Any, expected: Any) -> None:
    assert _same(_convert(Kind.OBJECT, value), expected)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-03-10 12:00:00", "2026-03-10T11:00:00Z"),
        ("-0001-11-30 00:00:00", None),
        ("", None),
        (None, None),
        ("2026-02-30 00:00:00", REFUSED),
        ("9999-12-31T23:59:59-01:00", REFUSED),
        (1767225600, REFUSED),
        ([], REFUSED),
    ],
)
def test_a_datetime_is_an_instant_in_utc(value: Any, expected: Any) -> None:
    """Which values are accepted, and what becomes of them, is tested in `test_datetimes.py`."""
    assert _same(_convert(Kind.DATETIME, value), expected)


@pytest.mark.parametrize(
    ("zone", "local", "expected"),
    [
        ("Asia/Kolkata", False, "2026-07-10T06:30:00Z"),
        ("Asia/Kolkata", True, "2026-07-10T12:00:00+05:30"),
        ("UTC", False, "2026-07-10T12:00:00Z"),
    ],
)
def test_a_datetime_is_in_the_zone_of_the_instance(zone: str, expected: str, local: bool) -> None:  # noqa: FBT001
    convert = converters("", ZoneInfo(zone), local_datetimes=local)[Kind.DATETIME]
    assert convert("2026-07-10 12:00:00") == expected


NEW, DONE = {"name": "new", "title": "New"}, {"name": 2, "title": "Done"}


@pytest.mark.parametrize(
    ("value", "names", "titles", "dropped"),
    [
        ([NEW, DONE], ["acme_new", "acme_2"], ["New", "Done"], 0),
        ([], [], [], 0),
        (None, None, None, 0),
        ("", [], [], 0),
        ({}, [], [], 0),
        # PHP's arrays with keys.
        ({"0": NEW, "5": DONE}, ["acme_new", "acme_2"], ["New", "Done"], 0),
        ({"new": NEW}, ["acme_new"], ["New"], 0),
        ({"name": NEW, "title": DONE}, ["acme_new", "acme_2"], ["New", "Done"], 0),
        # A single object.
        (NEW, ["acme_new"], ["New"], 0),
        ({"name": "new", "title": {"cs": "x"}}, ["acme_new"], REFUSED, 0),
        ({"name": "new"}, ["acme_new"], [""], 0),
        ({"title": "New"}, [], [], 1),
        ({"title": "New", "alias": "n"}, [], [], 1),
        ({"name": None, "title": "New"}, [], [], 1),
        # Names alone.
        (["new", 2], ["acme_new", "acme_2"], ["", ""], 0),
        # Entries without a name are left out of both lists.
        ([{"title": "New"}, DONE], ["acme_2"], ["Done"], 1),
        ([DONE, {"name": None, "title": "New"}], ["acme_2"], ["Done"], 1),
        ([{"name": "", "title": "New"}, DONE], ["acme_2"], ["Done"], 1),
        ([None, [], {}, "", DONE], ["acme_2"], ["Done"], 4),
        ([None], [], [], 1),
        # An entry without a title keeps its place.
        ([{"name": "a", "title": None}, {"name": "b"}, NEW], ["acme_a", "acme_b", "acme_new"], ["", "", "New"], 0),
        ([{"name": 1, "title": 5}], ["acme_1"], ["5"], 0),
        # Whether these are names or titles is unknown.
        ({"new": "New"}, REFUSED, REFUSED, REFUSED),
        ({"3": "New", "7": "Done"}, REFUSED, REFUSED, REFUSED),
        ({"alias": "n"}, REFUSED, REFUSED, REFUSED),
        ({"0": NEW, "1": "Done"}, REFUSED, REFUSED, REFUSED),
        ("new", REFUSED, REFUSED, REFUSED),
        (1, REFUSED, REFUSED, REFUSED),
        (True, REFUSED, REFUSED, REFUSED),
        # Neither are these names.
        ([["new"]], REFUSED, [""], 0),
        ([True], REFUSED, [""], 0),
        ([{"name": {"name": "new"}, "title": "New"}], REFUSED, ["New"], 0),
        ([{"name": "a", "title": ["New"]}], ["acme_a"], REFUSED, 0),
    ],
)
def test_a_list_of_related_objects_is_a_list_of_keys_and_one_of_titles(
    value: Any, names: Any, titles: Any, dropped: Any
) -> None:
    assert _same(_convert(Kind.KEYS, value), names)
    assert _same(_convert(Kind.TITLES, value), titles)
    assert _dropped(value) == dropped


def _dropped(value: Any) -> Any:
    try:
        return 0 if value is None else entries_without_name(value)
    except ValueError:
        return REFUSED


_NAMES: st.SearchStrategy[Any] = st.sampled_from([None, "", "a", "b", 7, [], "ž"])
_TITLES: st.SearchStrategy[Any] = st.sampled_from([None, "", "T", 5])
_OBJECTS = st.fixed_dictionaries({}, optional={"name": _NAMES, "title": _TITLES, "alias": _NAMES})


@given(st.lists(_NAMES | _OBJECTS) | st.dictionaries(st.sampled_from("0125"), _OBJECTS))
def test_keys_and_titles_are_aligned_and_contain_no_null(value: Any) -> None:
    entries = list(value.values()) if isinstance(value, dict) else value
    pairs = [
        (entry.get("name"), entry.get("title")) if isinstance(entry, dict) else (entry, None) for entry in entries
    ]
    named = [(name, title) for name, title in pairs if name not in (None, "", [])]
    assert _convert(Kind.KEYS, value) == [f"acme_{name}" for name, _ in named]
    assert _convert(Kind.TITLES, value) == ["" if title is None else str(title) for _, title in named]
    assert _dropped(value) == len(entries) - len(named)


@pytest.mark.parametrize(
    ("value", "expected"), [("a", "a"), (5, "5"), ({"name": "a"}, None), ({}, None), ([], None), (None, None)]
)
def test_a_scalar_relation_keeps_the_scalar(value: Any, expected: Any) -> None:
    assert _same(_convert(Kind.SCALAR, value), expected)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a", "a"),
        ("", ""),
        (5, "5"),
        (0.5, "0.5"),
        (True, "true"),
        (["a"], "a"),
        ([5], "5"),
        ([[]], "[]"),
        ([], None),
        ([None], None),
        (["a", "b"], '["a","b"]'),
        ({"a": ["ž"]}, '{"a":["ž"]}'),
        ({}, "{}"),
        (None, None),
    ],
)
def test_a_custom_field_becomes_text(value: Any, expected: Any) -> None:
    assert _same(_convert(Kind.ANY_AS_TEXT, value), expected)


@pytest.mark.parametrize(
    ("value", "path", "expected"),
    [
        ([{"name": 1, "color": "red"}], "color", "red"),
        ([{"color": "red"}, {"color": "blue"}], "color", '["red","blue"]'),
        ([{"color": "red"}, {"name": 2}, {"color": None}], "color", '["red",null,null]'),
        ([{"name": 1}, {"name": 2}], "color", None),
        ([], "color", None),
        ({}, "color", None),
        ("red", "color", None),
        ({"color": []}, "color", None),
        ({"color": ["red"]}, "color", "red"),
        ({"color": ["red", "blue"]}, "color", '["red","blue"]'),
        ({"color": {"a": 1}}, "color", '{"a":1}'),
        ({"color": True}, "color", "true"),
        ([{"a": {"b": [{"c": 1}]}}], "a.b.c", "1"),
        ([{"a": [{"b": "x"}, {"b": "y"}]}, {"a": [{"b": "z"}]}], "a.b", '[["x","y"],"z"]'),
        ({"0": {"color": "red"}, "2": {"color": "blue"}}, "color", '["red","blue"]'),
        ({"7": "seven"}, "7", "seven"),
        ([["red"]], "color", None),
    ],
)
def test_a_part_of_a_list_is_the_list_of_the_parts(value: Any, path: str, expected: str | None) -> None:
    assert part_converter(path.split("."))(value) == expected
