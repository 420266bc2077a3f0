"""Single values: ids, texts, flags, times, phone numbers and e-mail addresses."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_daktela_crm.mapping.values import (
    UnreadableError,
    as_written,
    clean_text,
    decode_entities,
    flatten,
    is_empty,
    read_flag,
    read_id,
    read_text,
    read_time,
)

# Ids.


@pytest.mark.parametrize(
    ("value", "key", "sent"),
    [
        (7, "7", b"7"),
        (0, "0", b"0"),
        (-7, "-7", b"-7"),
        (7.0, "7", b"7"),
        (Decimal("7.0"), "7", b"7"),
        (Decimal("-0.0"), "0", b"0"),
        (Decimal("27483910200.0"), "27483910200", b"27483910200"),
        (27483910200, "27483910200", b"27483910200"),
        ("27483910200", "27483910200", b'"27483910200"'),
        (Decimal("2.74839102E+10"), "27483910200", b"27483910200"),
        (3652397000001234567, "3652397000001234567", b"3652397000001234567"),
        (Decimal("3652397000001234567.0"), "3652397000001234567", b"3652397000001234567"),
        ("3652397000001234567", "3652397000001234567", b'"3652397000001234567"'),
        (2**63, "9223372036854775808", b'"9223372036854775808"'),
        (-(2**63), "-9223372036854775808", b"-9223372036854775808"),
        (-(2**63) - 1, "-9223372036854775809", b'"-9223372036854775809"'),
        (2**64 - 1, "18446744073709551615", b'"18446744073709551615"'),
        (2**64, "18446744073709551616", b'"18446744073709551616"'),
        (10**40 + 1, "1" + "0" * 39 + "1", b'"1' + b"0" * 39 + b'1"'),
        (Decimal("1.5"), "1.5", b'"1.5"'),
        (1.5, "1.5", b'"1.5"'),
        (Decimal("0.10"), "0.10", b'"0.10"'),
        ("007", "007", b'"007"'),
        ("7.0", "7", b'"7"'),
        ("-12.000", "-12", b'"-12"'),
        ("0.0", "0", b'"0"'),
        ("007.0", "007.0", b'"007.0"'),
        ("7.10", "7.10", b'"7.10"'),
        ("1.2.0", "1.2.0", b'"1.2.0"'),
        ("0035g00000AbCdEAAV", "0035g00000AbCdEAAV", b'"0035g00000AbCdEAAV"'),
        ("žluťoučký/kůň", "žluťoučký/kůň", '"žluťoučký/kůň"'.encode()),
        (" 7", "7", b'"7"'),
        ("1   ", "1", b'"1"'),
        ("\ufeff\u00a0a b\t", "a b", b'"a b"'),
    ],
)
def test_ids_are_compared_exactly_and_keep_their_type(value: Any, key: str, sent: bytes) -> None:
    identifier = read_id(value)
    assert identifier.key == key
    assert msgspec.json.encode(identifier.sent) == sent


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (True, "true or false"),
        (False, "true or false"),
        ({"id": 7}, "an object"),
        ([7], "a list"),
        (Decimal("NaN"), "NaN"),
        (Decimal("Infinity"), "Infinity"),
        (float("nan"), "nan"),
        (Decimal("1E+999999"), "1E+999999"),
    ],
)
def test_an_invalid_id_is_refused_with_its_type(value: Any, said: str) -> None:
    with pytest.raises(UnreadableError, match="is not an id") as raised:
        read_id(value)
    assert said in str(raised.value)


def test_an_id_is_the_same_in_all_spellings_of_a_number() -> None:
    spellings = (7, 7.0, Decimal(7), Decimal("7.00"), Decimal("0.7E+1"), "7", "7.0", " 7.00 ")
    assert {read_id(value).key for value in spellings} == {"7"}


@given(st.integers(min_value=-(10**59), max_value=10**59))
def test_an_integer_its_decimal_and_its_text_are_the_same_id(number: int) -> None:
    key = str(number)
    decimal = Decimal(f"{number}.0")
    assert [read_id(value).key for value in (number, decimal, key)] == [key, key, key]
    # PHP reads longer integers as floats.
    sent = key.encode() if -(2**63) <= number < 2**63 else f'"{key}"'.encode()
    assert msgspec.json.encode(read_id(number).sent) == msgspec.json.encode(read_id(decimal).sent) == sent


@given(st.integers(), st.integers())
def test_different_integers_are_different_ids(one: int, other: int) -> None:
    assert (read_id(one).key == read_id(other).key) == (one == other)


# Texts.


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("kůň", "kůň"),
        (" x ", " x "),
        ("", ""),
        (None, None),
        ("a\x00b\x00", "ab"),
        ("\x00", ""),
        ("\x01\t\r\n\x1f\x7f", "\x01\t\r\n\x1f\x7f"),
        ("a\u2028b\u2029c\ufeff", "a\u2028b\u2029c\ufeff"),
        (True, "true"),
        (False, "false"),
        (0, "0"),
        (3652397000001234567, "3652397000001234567"),
        (Decimal("27483910200.0"), "27483910200.0"),
        (Decimal("12345678901234567890.123456789"), "12345678901234567890.123456789"),
        (Decimal("1E+3"), "1000"),
        (Decimal("1E-7"), "0.0000001"),
        (Decimal("0.10"), "0.10"),
        (Decimal("1E+999999"), "1E+999999"),
        (Decimal("1E-999999"), "1E-999999"),
        (1.5, "1.5"),
        ({"a": ["kůň", 1, None, True]}, '{"a":["kůň",1,null,true]}'),
        ([1, "x"], '[1,"x"]'),
        ([], "[]"),
        ("2026-03-01T09:00:00.000000Z", "2026-03-01T09:00:00.000000Z"),
    ],
)
def test_the_text_of_a_value_is_exact(value: Any, expected: str | None) -> None:
    assert read_text(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("  kůň \t\r\n", "kůň"),
        ("Ko\u030cn\u030c", "K\u01d2\u0148"),
        ("\u00a0Jan\u00a0Nový\u2003", "Jan\u00a0Nový"),
        ("  ", None),
        ("", None),
        (None, None),
        ("\x00 ", None),
        ("a\x00", "a"),
        ("Jan  Nový", "Jan  Nový"),
        ("a\u2028b", "a\u2028b"),
        (False, "false"),
        (0, "0"),
        (Decimal("1.50"), "1.50"),
        ("👩\u200d🔧 Žofie", "👩\u200d🔧 Žofie"),
    ],
)
def test_a_cleaned_text_is_trimmed_normalized_and_never_empty(value: Any, expected: str | None) -> None:
    assert clean_text(value) == expected


def test_long_sequences_of_combining_marks_are_not_normalized() -> None:
    # The time of the normalization grows with the square of their number.
    marks = "\u0301\u0323"
    assert clean_text(f"e{marks * 24_000}") == f"e{marks * 24_000}"
    assert clean_text(f"{'x' * 50_000}e{marks * 15}") == "x" * 50_000 + "\u1eb9" + "\u0323" * 14 + "\u0301" * 15


@given(st.text())
def test_cleaning_a_cleaned_text_does_not_change_it(text: str) -> None:
    cleaned = clean_text(text)
    assert cleaned is None or (clean_text(cleaned) == cleaned and cleaned and "\x00" not in cleaned)


# Flags.


@pytest.mark.parametrize(
    "value", [True, 1, Decimal(1), 1.0, -1, "true", "TRUE", " True ", "t", "yes", "Y", "1", [0], {"a": None}]
)
def test_values_that_mean_true(value: Any) -> None:
    assert read_flag(value) is True


@pytest.mark.parametrize(
    "value", [False, 0, Decimal(0), 0.0, None, "", " ", "false", "FALSE", "f", "no", "N", "0", [], {}]
)
def test_values_that_mean_false(value: Any) -> None:
    assert read_flag(value) is False


@pytest.mark.parametrize(
    ("value", "shown"),
    [("maybe", "'aaaaa'"), ("2", "'9'"), ("-", "'-'"), ("yes no", "'aaa aa'"), ("x" * 50, f"'{'a' * 40}…'")],
)
def test_a_text_that_means_neither_is_refused_with_its_format_and_what_is_accepted(value: str, shown: str) -> None:
    with pytest.raises(UnreadableError, match="neither true nor false") as raised:
        read_flag(value)
    assert str(raised.value).startswith(f"the text {shown} is ")
    for accepted in ("true", "yes", "1", "false", "no", "0"):
        assert accepted in str(raised.value).partition("accepted")[2]


# Times.


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("2026-03-01T09:00:00Z", "2026-03-01T09:00:01Z"),
        ("2026-03-01T09:00:00.000000Z", "2026-03-01T09:00:00.000001Z"),
        ("2026-03-01 09:00:00", "2026-03-01 09:00:01"),
        ("2026-03-01T10:00:00+01:00", "2026-03-01T09:00:01Z"),
        ("2026-03-01T10:00:00.000+0100", "2026-03-01T09:00:01.000+0000"),
        ("2026-03-01", "2026-03-01T00:00:01"),
        ("2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00"),
        (1772355600000, 1772355600001),
        (Decimal("1772355600.5"), Decimal("1772355600.6")),
        (-1, 0),
    ],
)
def test_later_times_are_larger_numbers(earlier: Any, later: Any) -> None:
    one, other = read_time(earlier), read_time(later)
    assert one is not None
    assert other is not None
    assert one < other


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2026-03-01T10:00:00+01:00", "2026-03-01T09:00:00Z"),
        ("2026-03-01 09:00:00", "2026-03-01T09:00:00Z"),
        (" 2026-03-01T09:00:00Z ", "2026-03-01T09:00:00+00:00"),
        (Decimal("1772355600.0"), 1772355600),
    ],
)
def test_a_time_is_the_same_in_all_spellings(one: Any, other: Any) -> None:
    assert read_time(one) == read_time(other) is not None


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "yesterday",
        "31.12.2025",
        "2026-02-30",
        True,
        [],
        {},
        Decimal("NaN"),
        float("nan"),
        float("inf"),
        float("-inf"),
        Decimal("-Infinity"),
        Decimal("1E+999999"),
    ],
)
def test_values_that_are_not_times(value: Any) -> None:
    assert read_time(value) is None


# Emptiness and lists.


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Decimal("420777111222.0"), "420777111222"),
        (Decimal("1.5"), "1.5"),
        (Decimal("1E+999999999"), "1E+999999999"),
        (Decimal("NaN"), "NaN"),
        (float("inf"), "inf"),
    ],
)
def test_whole_numbers_are_written_without_a_decimal_point(value: Decimal | float, expected: str) -> None:
    assert as_written(value) == expected


@pytest.mark.parametrize("value", [None, "", " ", "\t\r\n", [], {}, "-", " - ", "[not provided]", "\u00a0"])
def test_empty_values(value: Any) -> None:
    assert is_empty(value, {"-", "[not provided]"})


@pytest.mark.parametrize("value", [0, False, Decimal(0), "0", "-", "None", [None], {"a": None}, "x"])
def test_values_that_are_not_empty(value: Any) -> None:
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
def test_nested_lists_are_flattened(value: Any, expected: list[Any]) -> None:
    assert list(flatten(value)) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("O&#039;Brien", "O'Brien"),
        ("O&#x27;Brien &amp; Sons &lt;Ltd&gt;", "O'Brien & Sons <Ltd>"),
        ("M&uuml;ller&nbsp;GmbH", "Müller\u00a0GmbH"),
        # Decoded once.
        ("O&amp;#039;Brien", "O&#039;Brien"),
        ("AT&T, R&D; a&b;", "AT&T, R&D; a&b;"),
        ("Smith &copy Sons &#; &#99999999999;", "Smith &copy Sons &#; &#99999999999;"),
        ([{"name": "&quot;A&quot;", "n": [1, None, "&gt;"]}], [{"name": '"A"', "n": [1, None, ">"]}]),
        (None, None),
        (Decimal(1), Decimal(1)),
    ],
)
def test_html_entities_are_decoded(value: Any, expected: Any) -> None:
    assert decode_entities(value) == expected
