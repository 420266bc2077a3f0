"""The functions of expressions."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from target_daktela_crm.mapping.expressions import compile_expression
from target_daktela_crm.mapping.functions import function_help
from target_daktela_crm.mapping.values import UnreadableError
from tests.target_daktela_crm.mapping.helpers import RECORD, value_of


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
def test_functions_return_the_expected_values(text: str, expected: Any) -> None:
    found = value_of(text, nulls=("[not provided]", "-"))
    # As text, since 1 == True and 1.5 == 1.50.
    assert repr(found) == repr(expected)


def test_without_null_values_only_blank_texts_are_empty() -> None:
    assert value_of("coalesce(Blank, Dash)") == "-"
    assert value_of("present(No)") is True


def test_functions_do_not_change_the_record() -> None:
    before = [dict(each) for each in RECORD["emails"]]
    value_of("first_those(emails, &primary)")
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
def test_an_argument_of_the_wrong_type_is_an_error(text: str, said: str) -> None:
    with pytest.raises(UnreadableError) as raised:
        value_of(text)
    assert str(raised.value).startswith(said)


@pytest.mark.parametrize("text", ["split(secret, ';')", "sort(secret)", "flag(secret)", "keys(secret)"])
def test_errors_do_not_contain_the_value(text: str) -> None:
    for value in ("anna@example.com", ["anna@example.com", 5], 4242424242):
        try:
            value_of(text, {"secret": value})
        except UnreadableError as error:
            assert "anna" not in str(error)  # noqa: PT017 - some values are readable to some functions
            assert "4242" not in str(error)  # noqa: PT017 - as above


def test_each_of_our_own_functions_is_described_in_one_sentence() -> None:
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
        ("abs(a)", Decimal("0.1")),
        # Not 0.30000000000000004, as with floats.
        ("sum([a, a, a])", Decimal("0.3")),
        ("type(a)", "number"),
        ("sort_by(rows, &p)[0].p", Decimal("0.2")),
        ("a == `0.1`", True),
        ("a >= `0.1` && a <= `0.1`", True),
        ("max([a, `0.2`])", Decimal("0.2")),
    ],
)
def test_decimals_are_numbers(text: str, expected: object) -> None:
    get = compile_expression(text).get
    assert get({"a": Decimal("0.1"), "rows": [{"p": Decimal("2.5")}, {"p": Decimal("0.2")}]}) == expected


def test_an_invalid_pattern_in_a_record_is_an_error_of_the_record() -> None:
    with pytest.raises(UnreadableError):
        compile_expression("matches(a, b)").get({"a": "x", "b": "["})


def test_errors_of_values_are_passed_on() -> None:
    with pytest.raises(UnreadableError, match="neither true nor false"):
        compile_expression("when(flag(a), b)").get({"a": "maybe"})


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("Jan Novák", "Jan", "Novák"),
        ("Mgr. Jan Novák, Ph.D.", "Jan", "Novák"),
        ("Novák, Jan", "Jan", "Novák"),
        ("Novák", None, "Novák"),
        # Words that are titles in other names.
        ("King", None, "King"),
        ("Bishop", None, "Bishop"),
        ("judge", None, "judge"),
        ("Dean", None, "Dean"),
        ("Prince", None, "Prince"),
        ("Captain", None, "Captain"),
        ("Dr.", None, "Dr."),
        ("King (CEO)", None, "King"),
        ("King,", None, "King"),
        ("(King)", None, "King"),
        ("\u201eKing\u201c", None, "King"),
        ("Dr. King", None, "King"),
        ("pan King", None, "King"),
        ("Martin King", "Martin", "King"),
        ("Judge Judy Nováková", "Judy", "Nováková"),
        ("", None, None),
        (" - ", None, None),
        ("[not provided]", None, None),
        (None, None, None),
    ],
)
def test_full_names_are_divided(name: str | None, first: str | None, last: str | None) -> None:
    assert value_of("firstname(n)", {"n": name}) == first
    assert value_of("lastname(n)", {"n": name}) == last
