"""T6: a message masks the values of rows, except dates, numbers and booleans that could not be parsed."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tap_daktela.streams.fields import Kind
from tap_daktela.streams.masking import describe


@pytest.mark.parametrize(
    "value",
    [
        *("9999-99-99", "2026-00-00", "-0001-11-30 00:00:00", "31.12.2026", "31/12/2026 10:00"),
        *("2026-02-30 25:61:61", "2026-03-10T11:12:38+01:99", "2026-03-10 11:12:38.123456 +0100", "25:00"),
        *(
            "1767222000",
            "1767222000123",
            "20261331",
            "20261331235959",
            "0",
            1767222000,
            1767222000.5,
            " 2026-13-01 ",
        ),
    ],
)
@pytest.mark.promise("T6")
def test_a_value_that_resembles_a_date_is_shown_for_a_date(value: Any) -> None:
    assert describe(value, Kind.DATETIME) == repr(str(value))
    assert not re.search(r"[1-8]", describe(value, Kind.TEXT))


@pytest.mark.parametrize("kind", [Kind.INTEGER, Kind.NUMBER])
@pytest.mark.parametrize(
    "value",
    ["1.5", "1e999", "-1,5", "1 234,50", "12.345,6", "nan", "-Infinity", str(2**64), 10**25, 1.5, ".5"],
)
@pytest.mark.promise("T6")
def test_a_value_that_resembles_a_number_is_shown_for_a_number(value: Any, kind: Kind) -> None:
    assert describe(value, kind) == repr(str(value))


@pytest.mark.parametrize("value", ["yes", "No", "ano", "Y", "2", 2, -1])
@pytest.mark.promise("T6")
def test_a_value_that_resembles_a_boolean_is_shown_for_a_boolean(value: Any) -> None:
    assert describe(value, Kind.BOOLEAN) == repr(str(value))


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("Jana Nováková", "aaaa aaaaaaaa"),
        ("jana@example.com", "aaaa@aaaaaaa.aaa"),
        ("+420 777 123 456", "+999 999 999 999"),
        ("777 123 456", "999 999 999"),
        ("12 Long Street", "99 aaaa aaaaaa"),
    ],
)
@pytest.mark.promise("T6")
def test_a_personal_value_is_masked_whatever_its_column(value: str, shown: str, kind: Kind) -> None:
    assert describe(value, kind) == repr(shown)


@pytest.mark.parametrize("value", ["420777123456", "777123456", 777123456, "2025550114"])
@pytest.mark.parametrize("kind", [Kind.KEY, Kind.TEXT, Kind.DATETIME, Kind.BOOLEAN])
@pytest.mark.promise("T6")
def test_digits_that_may_be_a_phone_number_are_masked_except_as_a_number(value: Any, kind: Kind) -> None:
    assert not re.search("[0-8]", describe(value, kind))


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ([1], "a list"),
        ({"private": "text"}, "an object"),
        (True, "true"),
        ("x" * 500, f"'{'a' * 40}…'"),
        ("1" * 500, f"'{'9' * 40}…'"),
        ("a\nb", r"'a\na'"),
    ],
)
@pytest.mark.promise("T6")
def test_a_value_is_shown_in_one_short_line(value: Any, shown: str) -> None:
    assert describe(value, Kind.NUMBER) == shown


@pytest.mark.promise("T6")
def test_a_number_with_too_many_digits_is_described() -> None:
    assert describe(10**5000, Kind.NUMBER) == "a number of too many digits"
