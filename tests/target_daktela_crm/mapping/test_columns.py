"""Where columns are found in a record."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import jmespath
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.target_daktela_crm.mapping.helpers import value_of


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
def test_a_nested_path_is_found_in_its_flattened_spellings(record: dict[str, Any], expected: Any) -> None:
    assert value_of("properties.phone.n", record) == expected


def test_a_quoted_name_has_no_flattened_spellings() -> None:
    assert value_of('"a.b"', {"a__b": 1, "a_b": 2, "a": {"b": 3}}) is None


NAMES = st.sampled_from(["a", "b", "c d", "é"])


RECORDS: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.integers() | st.text(max_size=3) | st.booleans(),
    lambda inner: st.dictionaries(NAMES, inner, max_size=4) | st.lists(inner, max_size=2),
    max_leaves=8,
)


@given(st.lists(NAMES, min_size=1, max_size=4), st.dictionaries(NAMES, RECORDS))
def test_a_plain_path_is_equivalent_to_jmespath(path: list[str], record: dict[str, Any]) -> None:
    text = ".".join(f'"{name}"' for name in path)
    assert value_of(text, record) == jmespath.search(text, record)
