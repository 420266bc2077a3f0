"""JSON without rounding."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_daktela_crm.exact_json import decode, encode, read_number

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.text()
    | st.decimals(allow_nan=False, allow_infinity=False, places=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    "text",
    [
        "0.1",
        "0.10",
        "27483910200.0",
        "12345678901234567890.12345678901234567890",
        "-0.0",
        "9223372036854775808",
        "1" * 60,
    ],
)
def test_numbers_are_decoded_and_encoded_exactly(text: str) -> None:
    number = decode(text)
    assert isinstance(number, int if "." not in text else Decimal)
    assert encode(number).decode() == text


@given(JSON)
def test_any_json_is_decoded_as_it_was_encoded(value: Any) -> None:
    assert decode(encode(value)) == value


def test_a_number_with_an_exponent_beyond_all_numbers_stays_a_text() -> None:
    assert read_number("1E999999999999999999999") == "1E999999999999999999999"
    assert decode("1E999999999999999999999") == "1E999999999999999999999"
