"""Expressions: JMESPath, and what is refused when they are compiled."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_daktela_crm.mapping.expressions import ExpressionError, compile_expression
from tests.target_daktela_crm.mapping.helpers import value_of


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
    assert value_of(text) == expected


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
def test_an_invalid_expression_is_refused_when_it_is_compiled(text: str, said: str) -> None:
    with pytest.raises(ExpressionError) as raised:
        compile_expression(text)
    message = str(raised.value)
    assert message.startswith(said)
    assert "\n" not in message


@given(st.text(max_size=12))
def test_any_text_compiles_or_is_refused_in_one_line(text: str) -> None:
    try:
        look = compile_expression(text).get
    except ExpressionError as error:
        assert len(str(error).splitlines()) == 1  # noqa: PT017 - most texts are no expression
    else:
        look({})


@pytest.mark.parametrize("text", ["matches(a, '[')", "`{`", "a || `x`"])
def test_invalid_patterns_and_literals_are_refused_when_they_are_compiled(text: str) -> None:
    with pytest.raises(ExpressionError):
        compile_expression(text)
