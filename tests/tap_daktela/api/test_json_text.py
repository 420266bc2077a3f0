"""Characters that JSON allows and databases do not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_daktela.api.json_text import replace_lone_surrogates, strip_nul

TEXTS = st.lists(st.sampled_from(["\0", "\\", "u0000", '"', "a"]), max_size=8).map("".join)


def without_nul(value: Any) -> Any:
    if isinstance(value, dict):
        return {without_nul(name): without_nul(each) for name, each in value.items()}
    return [without_nul(each) for each in value] if isinstance(value, list) else value.replace("\0", "")


@given(st.dictionaries(TEXTS, st.lists(TEXTS)))
def test_nul_characters_are_removed_and_all_other_text_stays(value: dict[str, list[str]]) -> None:
    names = [name.replace("\0", "") for name in value]
    if len(set(names)) == len(names):
        assert json.loads(strip_nul(json.dumps(value).encode())) == without_nul(value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\ud83d\ude00", "\N{GRINNING FACE}"),
        ("a\ud83d", "a\ufffd"),
        ("\ude00b", "\ufffdb"),
        ("\ude00\ud83d", "\ufffd\ufffd"),
        ("Žlutý 😀", "Žlutý 😀"),
    ],
)
def test_half_a_surrogate_pair_is_replaced(text: str, expected: str) -> None:
    replaced = replace_lone_surrogates(text)
    assert replaced == expected
    assert replaced.encode()
