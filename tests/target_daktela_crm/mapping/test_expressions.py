from __future__ import annotations

from decimal import Decimal
from typing import Any

import jmespath
import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_daktela_crm.mapping.expressions import ExpressionError, compile_expression
from target_daktela_crm.mapping.functions import function_help
from target_daktela_crm.mapping.values import UnreadableError, flat, is_empty

RECORD: dict[str, Any] = {
    "Id": 7,
    "Name": "Acme",
    "Empty": "",
    "Blank": " \t",
    "Null": None,
    "No": "[not provided]",
    "Dash": "-",
    "Nothing": [],
    "Flag": "true",
    "Off": "N",
    "First": "Jan ",
    "Last": "Nový",
    "Price": Decimal("1.50"),
    "Whole": Decimal("27483910200.0"),
    "nested": {"phone": "1", "deep": {"er": "2"}, "null": None, "list": ["a", ["b"]]},
    "flat__phone": "3",
    "single_phone": "4",
    "a.dot": "5",
    "@odata.type": "6",
    "emails": [
        {"value": "a@x.cz", "primary": False},
        {"value": "b@x.cz", "primary": "true"},
        {"value": "c@x.cz", "primary": 1},
    ],
    "json": '[{"v": 1.50}, null]',
    "text": "a@x.cz; b@x.cz;;c@x.cz",
}


def _value(text: str, record: dict[str, Any] | None = None, nulls: tuple[str, ...] = ()) -> Any:
    return compile_expression(text, nulls).get(RECORD if record is None else record)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Name", "Acme"),
        ("Empty", ""),
        ("Null", None),
        ("Missing", None),
        ('"a.dot"', "5"),
        ('"@odata.type"', "6"),
        ("nested.phone", "1"),
        ("nested.deep.er", "2"),
        ("nested.deep.missing", None),
        ("nested.missing.er", None),
        ("Name.phone", None),
        ("emails.value", None),
        ("nested.list[0]", "a"),
        ("emails[1].value", "b@x.cz"),
        ("emails[].value", ["a@x.cz", "b@x.cz", "c@x.cz"]),
        ("emails[?primary == `1`].value | [0]", "c@x.cz"),
        ("'constant'", "constant"),
        ("Missing || Name", "Acme"),
        ("!Name", False),
        ("Price", Decimal("1.50")),
        ("Price > `1`", True),
        ("Whole == `27483910200`", True),
        ("{a: Name}", {"a": "Acme"}),
        ("@.Name", "Acme"),
    ],
)
def test_an_expression_is_jmespath(text: str, expected: Any) -> None:
    assert _value(text) == expected


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"properties": {"phone": {"n": "1"}}, "properties__phone__n": "2", "properties_phone_n": "3"}, "1"),
        ({"properties__phone__n": "2", "properties_phone_n": "3"}, "2"),
        ({"properties_phone_n": "3"}, "3"),
        ({"properties": {"phone": None}, "properties_phone_n": "3"}, "3"),
        ({"properties": "text", "properties__phone__n": "2"}, "2"),
        ({"properties": {"phone": {"n": ""}}, "properties__phone__n": "2"}, ""),
        ({"properties": {"phone": {"n": 0}}, "properties__phone__n": "2"}, 0),
        ({"properties__phone__n": False}, False),
        ({"properties__phone__n": None, "properties_phone_n": "3"}, "3"),
        ({"properties__phone": {"n": "2"}}, "2"),
        ({"properties": {"phone.n": "2"}}, "2"),
        ({"properties.phone.n": "2"}, "2"),
        ({"properties__phone": '{"n": 1.50}'}, Decimal("1.50")),
        ({"properties__phone": "{no JSON", "properties_phone_n": "3"}, "3"),
        ({}, None),
    ],
)
def test_a_nested_path_finds_its_flattened_spellings_too(record: dict[str, Any], expected: Any) -> None:
    assert _value("properties.phone.n", record) == expected


def test_a_plain_name_is_not_looked_for_in_flattened_spellings() -> None:
    assert _value('"a.b"', {"a__b": 1, "a_b": 2, "a": {"b": 3}}) is None


NAMES = st.sampled_from(["a", "b", "c d", "é"])
RECORDS: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.integers() | st.text(max_size=3) | st.booleans(),
    lambda inner: st.dictionaries(NAMES, inner, max_size=4) | st.lists(inner, max_size=2),
    max_leaves=8,
)


@given(st.lists(NAMES, min_size=1, max_size=4), st.dictionaries(NAMES, RECORDS))
def test_a_plain_path_finds_what_jmespath_finds(path: list[str], record: dict[str, Any]) -> None:
    text = ".".join(f'"{name}"' for name in path)
    assert _value(text, record) == jmespath.search(text, record)


# Functions.


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("coalesce(Null, Empty, Blank, Nothing, Missing, Name, Id)", "Acme"),
        ("coalesce(No, Name)", "Acme"),
        ("coalesce(Dash, No)", None),
        ("coalesce(`0`, Name)", 0),
        ("coalesce(`false`, Name)", False),
        ("coalesce(Null)", None),
        ("joined(' ', First, Last)", "Jan Nový"),
        ("joined(' ', First, No)", "Jan"),
        ("joined(' ', No, Null, Blank)", None),
        ("joined(', ', emails[].value, Name)", "a@x.cz, b@x.cz, c@x.cz, Acme"),
        ("joined('-', nested.list, Price, `true`)", "a-b-1.50-true"),
        ("joined('', First, Last)", "JanNový"),
        ("when(Flag, Name)", "Acme"),
        ("when(Off, Name)", None),
        ("when(Off, Name, Last)", "Nový"),
        ("when(Null, Name, Null)", None),
        ("when(Flag, Null, Last)", None),
        ("when(!flag(Off), Name)", "Acme"),
        ("flag(Flag)", True),
        ("flag(Off)", False),
        ("flag(Missing)", False),
        ("flag(Id)", True),
        ("present(Name)", True),
        ("present(Blank)", False),
        ("present(Dash)", False),
        ("present(`0`)", True),
        ("present(`false`)", True),
        ("present(Nothing)", False),
        ("matches(Name, '^ac')", True),
        ("matches(Name, 'cm')", True),
        ("matches(Name, '^cm')", False),
        ("matches(Null, '.')", False),
        ("matches(Price, '^1\\.5')", True),
        ("split(text, ';')", ["a@x.cz", "b@x.cz", "", "c@x.cz"]),
        ("split(Null, ';')", []),
        ("split(Empty, ';')", []),
        ("split(Name, '; ')", ["Acme"]),
        ("from_json(json)", [{"v": Decimal("1.50")}, None]),
        ("from_json(Name)", None),
        ("from_json(Null)", None),
        ("from_json(emails)[0].primary", False),
        ("from_json(Id)", 7),
        ("lower(Last)", "nový"),
        ("lower(Null)", None),
        ("lower(Id)", "7"),
        ("to_string(Price)", "1.50"),
        ("to_string(Whole)", "27483910200.0"),
        ("to_string(Name)", "Acme"),
        ("to_string(Null)", None),
        ("to_string(`true`)", "true"),
        ("to_string(nested.list)", '["a",["b"]]'),
        ("first_those(emails, &primary)[].value", ["b@x.cz", "c@x.cz", "a@x.cz"]),
        ("first_those(emails, &!flag(primary))[].value", ["a@x.cz", "b@x.cz", "c@x.cz"]),
        ("first_those(Null, &primary)", []),
        ("first_those(emails, &value == 'c@x.cz')[0].value", "c@x.cz"),
        ("contains(Name, 'cm')", True),
        ("length(emails)", 3),
    ],
)
def test_a_function_answers_a_need_of_crms(text: str, expected: Any) -> None:
    found = _value(text, nulls=("[not provided]", "-"))
    # 1 is not true, and 1.5 not 1.50.
    assert repr(found) == repr(expected)


def test_without_texts_that_mean_nothing_all_texts_but_blanks_are_something() -> None:
    assert _value("coalesce(Blank, Dash)") == "-"
    assert _value("present(No)") is True


def test_a_record_is_not_changed_by_looking() -> None:
    before = [dict(each) for each in RECORD["emails"]]
    _value("first_those(emails, &primary)")
    assert RECORD["emails"] == before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("split(Id, ';')", "split() takes"),
        ("length(Id)", "length() takes"),
        ("contains(Null, 'x')", "contains() takes"),
        ("first_those(Id, &x)", "first_those() takes"),
        ("joined(Id, Name)", "joined() takes string, not number"),
        ("split(text, '')", "JMESPath ends in"),
        ("emails[::0]", "JMESPath ends in"),
    ],
)
def test_a_value_that_does_not_fit_makes_the_record_unreadable(text: str, said: str) -> None:
    with pytest.raises(UnreadableError) as raised:
        _value(text)
    assert str(raised.value).startswith(said)


@pytest.mark.parametrize("text", ["split(secret, ';')", "sort(secret)", "flag(secret)", "keys(secret)"])
def test_what_is_wrong_with_a_value_is_told_without_the_value(text: str) -> None:
    for value in ("anna@example.com", ["anna@example.com", 5], 4242424242):
        try:
            _value(text, {"secret": value})
        except UnreadableError as error:
            assert "anna" not in str(error)  # noqa: PT017 - some values are readable to some functions
            assert "4242" not in str(error)  # noqa: PT017 - as above


# Compiling.


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "does not parse as JMESPath: "),
        ("a.", "does not parse as JMESPath: "),
        ("a..b", "does not parse as JMESPath: "),
        ("first name", "does not parse as JMESPath: "),
        ("Home-Phone", "does not parse as JMESPath: "),
        ("emails[", "does not parse as JMESPath: "),
        ('`{"`', "does not parse as JMESPath: "),
        ("'open", "does not parse as JMESPath: "),
        ("colaesce(a)", "there is no function colaesce()"),
        ("Coalesce(a)", "there is no function Coalesce()"),
        ("emails[?upper(a) == 'x'].b", "there is no function upper()"),
        ("{a: b, c: [upper(d)]}", "there is no function upper()"),
        ("first_those(a, &upper(b))", "there is no function upper()"),
        ("flag(upper(a))", "there is no function upper()"),
        ("flag()", "flag() takes 1"),
        ("flag(a, b)", "flag() takes 1"),
        ("split(a)", "split() takes 2"),
        ("matches(a, 'b', 'c')", "matches() takes 2"),
        ("coalesce()", "coalesce() takes 1 argument or more"),
        ("joined(' ')", "joined() takes 2 arguments or more"),
        ("when(a)", "when() takes 2 arguments or more"),
        ("length()", "length() takes 1"),
    ],
)
def test_an_expression_that_cannot_be_used_is_refused_before_any_record(text: str, said: str) -> None:
    with pytest.raises(ExpressionError) as raised:
        compile_expression(text)
    message = str(raised.value)
    assert message.startswith(said)
    assert "\n" not in message


@given(st.text(max_size=12))
def test_any_text_is_an_expression_or_is_refused_in_one_line(text: str) -> None:
    try:
        look = compile_expression(text).get
    except ExpressionError as error:
        assert len(str(error).splitlines()) == 1  # noqa: PT017 - most texts are no expression
    else:
        look({})


# Nothing, and lists.


@pytest.mark.parametrize("value", [None, "", " ", "\t\r\n", [], {}, "-", " - ", "[not provided]", "\u00a0"])
def test_many_values_are_nothing(value: Any) -> None:
    assert is_empty(value, {"-", "[not provided]"})


@pytest.mark.parametrize("value", [0, False, Decimal(0), "0", "-", "None", [None], {"a": None}, "x"])
def test_other_values_are_something(value: Any) -> None:
    assert not is_empty(value, {"none"})


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("ab", ["ab"]),
        (None, [None]),
        ([], []),
        ([[], [[]]], []),
        (["a", ["b", ["c", None]], {"d": ["e"]}], ["a", "b", "c", None, {"d": ["e"]}]),
        (("a", ["b"]), ["a", "b"]),
    ],
)
def test_lists_in_lists_become_one(value: Any, expected: list[Any]) -> None:
    assert list(flat(value)) == expected


def test_the_functions_of_our_own_are_explained_in_a_sentence_each() -> None:
    explained = function_help()
    assert {call.split("(")[0] for call in explained} == {
        "coalesce",
        "firstname",
        "first_those",
        "flag",
        "from_json",
        "joined",
        "lastname",
        "lower",
        "matches",
        "pairs",
        "present",
        "replaced",
        "split",
        "to_string",
        "when",
    }
    assert all(text.startswith("Return ") and text.endswith(".") for text in explained.values())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("abs(a)", Decimal("1.5")),
        ("sum([a, a])", Decimal("3.0")),
        ("type(a)", "number"),
        ("sort_by(rows, &p)[0].p", Decimal("0.1")),
        ("a == `1.5`", True),
        ("a > `1.25`", True),
        ("max([a, `2`])", 2),
    ],
)
def test_decimals_are_numbers(text: str, expected: object) -> None:
    look = compile_expression(text).get
    assert look({"a": Decimal("1.5"), "rows": [{"p": Decimal("2.5")}, {"p": Decimal("0.1")}]}) == expected


@pytest.mark.parametrize("text", ["matches(a, '[')", "`{`", "a || `x`"])
def test_patterns_and_literals_that_are_none_are_refused_before_any_record(text: str) -> None:
    with pytest.raises(ExpressionError):
        compile_expression(text)


def test_a_pattern_that_only_the_record_knows_is_the_records_fault() -> None:
    with pytest.raises(UnreadableError):
        compile_expression("matches(a, b)").get({"a": "x", "b": "["})


def test_what_is_wrong_with_a_value_is_told_as_it_is() -> None:
    with pytest.raises(UnreadableError, match="neither true nor false"):
        compile_expression("when(flag(a), b)").get({"a": "maybe"})
