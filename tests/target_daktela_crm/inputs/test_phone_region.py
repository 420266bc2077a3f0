"""What people write instead of a country code of ISO 3166."""

from __future__ import annotations

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_daktela_crm.inputs.phone_region import region_problem


@pytest.mark.parametrize("value", ["CZ", "cz", "Gb", "US", "XK"])
def test_codes_of_iso_3166_are_valid_in_any_case(value: str) -> None:
    assert region_problem(value) is None


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        *(("UK", "GB"), ("uk", "GB"), ("GBR", "GB"), ("England", "GB"), ("United Kingdom", "GB"), ("en_GB", "GB")),
        *(("CZE", "CZ"), ("Czechia", "CZ"), ("czech republic", "CZ"), ("Česká republika", "CZ"), (" CZ ", "CZ")),
        *(
            ("cs-CZ", "CZ"),
            ("+420", "CZ"),
            ("00420", "CZ"),
            ("420", "CZ"),
            ("Slovensko", "SK"),
            ("Österreich", "AT"),
        ),
        *(("USA", "US"), ("America", "US"), ("1", "US"), ("Deutschland", "DE"), ("GERMANY", "DE")),
    ],
)
def test_the_code_that_was_meant_is_suggested(value: str, meant: str) -> None:
    problem = region_problem(value) or ""
    assert problem.startswith(f"{value!r} is not a country")
    assert problem.endswith(f"; did you mean {meant}?")


@pytest.mark.parametrize("value", ["XX", "EU", "Europe/Prague", "0", "99999999", ".", "-", "²", "9" * 5000])
def test_nothing_is_suggested_for_anything_else(value: str) -> None:
    assert "did you mean" not in (region_problem(value) or "did you mean")


@given(st.text(max_size=8))
def test_every_text_is_valid_or_has_a_problem_in_one_line(value: str) -> None:
    problem = region_problem(value)
    assert (problem is None) == (value.upper() in phonenumbers.SUPPORTED_REGIONS)
    assert problem is None or len(problem.splitlines()) == 1
