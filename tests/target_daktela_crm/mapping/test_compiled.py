"""Streams are found by their names and aliases."""

from __future__ import annotations

from typing import Any

import pytest

from target_daktela_crm.mapping.compiler import compile_mapping


@pytest.mark.parametrize("name", ["contacts", "Contacts", "CONTACTS"])
def test_a_stream_is_found_in_any_case(name: str) -> None:
    found = compile_mapping("daktela", None, None).stream(name)
    assert found is not None
    assert found.name == "contacts"


def test_a_stream_that_is_not_mapped_has_no_mapping() -> None:
    assert compile_mapping("daktela", None, None).stream("contact") is None


@pytest.mark.parametrize("aliases", ["people", ["people", "Personen"]])
def test_a_stream_is_found_by_its_aliases(aliases: Any) -> None:
    mapping = compile_mapping("daktela", {"contacts": {"aliases": aliases}}, None)
    found = mapping.stream("PEOPLE")
    assert found is mapping.stream("contacts")
    assert [stream.name for stream in mapping.streams] == ["companies", "contacts"]
