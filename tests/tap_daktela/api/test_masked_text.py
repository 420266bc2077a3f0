from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_daktela.api.masked_text import mask


@pytest.mark.parametrize(
    ("text", "masked"), [("+420 777 123", "+999 999 999"), ("Ž. Nový", "a. aaaa"), ("x" * 50, "a" * 40 + "…")]
)
def test_letters_and_digits_are_masked(text: str, masked: str) -> None:
    assert mask(text) == masked


@given(st.text())
@pytest.mark.promise("T6")
def test_a_masked_text_has_no_letters_and_digits_of_its_own(text: str) -> None:
    masked = mask(text)
    assert {character for character in masked if character.isalpha() or character.isdecimal()} <= {"a", "9"}
    assert len(masked) <= 41
