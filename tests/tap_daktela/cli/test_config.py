"""The settings of a connection: each problem is one line that begins with the setting and repeats no secret."""

from __future__ import annotations

from typing import Any

import pytest

from tap_daktela.cli.config import (
    credential_problems,
    instance_problems,
    read_zone,
    suggest,
    type_problems,
    unknown_problems,
    with_numbers,
)

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "page_size": {"type": ["integer", "null"], "minimum": 1},
        "fraction": {"type": ["number", "null"]},
        "access_token": {"type": ["string", "null"]},
        "extra_fields": {"type": ["object", "null"], "additionalProperties": {"type": "array"}},
    },
}


@pytest.mark.parametrize(
    ("name", "question"),
    [("acces_token", "; did you mean access_token?"), ("page_sise", "; did you mean page_size?"), ("zzz", "")],
)
def test_a_similar_name_is_suggested(name: str, question: str) -> None:
    assert suggest(name, SCHEMA["properties"]) == question


def test_an_unknown_setting_is_named() -> None:
    [line] = unknown_problems({"page_sise": 1, "page_size": 1}, SCHEMA["properties"], "instances[0].")
    assert line == "instances[0].page_sise: there is no such setting; did you mean page_size?"


@pytest.mark.parametrize(
    ("config", "place"),
    [
        ({"page_size": "many"}, "page_size: "),
        ({"page_size": 0}, "page_size: "),
        ({"extra_fields": {"tickets": "a"}}, "extra_fields.tickets: "),
        ({"access_token": 123_456_789}, "access_token: "),
    ],
)
def test_a_wrong_type_is_one_line_that_begins_with_the_setting(config: dict[str, Any], place: str) -> None:
    [line] = type_problems(config, SCHEMA)
    assert line.startswith(f"{place}must be ")
    assert "123456789" not in line


def test_valid_settings_cause_no_line() -> None:
    assert not list(type_problems({"page_size": 5, "extra_fields": {"tickets": ["a"]}}, SCHEMA))


def test_numbers_can_be_texts() -> None:
    assert with_numbers({"fraction": "0.5", "page_size": "5"}, SCHEMA) == {"fraction": 0.5, "page_size": "5"}
    assert with_numbers({"fraction": "half"}, SCHEMA) == {"fraction": "half"}


@pytest.mark.parametrize(
    ("entry", "setting"),
    [
        ({}, "url"),
        ({"server": "ac/me"}, "server"),
        ({"url": "acme.daktela.com"}, "url"),
        ({"url": "http://acme.daktela.com"}, "url"),
    ],
)
def test_a_wrong_address_is_one_line(entry: dict[str, Any], setting: str) -> None:
    [line] = instance_problems(entry, allow_http=False)
    assert line.startswith(f"{setting}: ")


@pytest.mark.parametrize("entry", [{"server": "acme"}, {"url": "https://acme.daktela.com"}])
def test_a_valid_address_causes_no_line(entry: dict[str, Any]) -> None:
    assert not list(instance_problems(entry, allow_http=False))


@pytest.mark.parametrize(
    ("entry", "setting"),
    [
        ({}, "access_token"),
        ({"username": "robot"}, "password"),
        ({"password": "s3cret"}, "username"),
        ({"access_token": "s3cret", "username": "robot", "password": "s3cret"}, "access_token"),
        ({"access_token": "s3 cret"}, "access_token"),
    ],
)
def test_wrong_credentials_are_one_line_without_the_secret(entry: dict[str, Any], setting: str) -> None:
    [line] = credential_problems(entry)
    assert line.startswith(f"{setting}: ")
    assert "cret" not in line


def test_only_zones_of_the_iana_database_are_read() -> None:
    zone = read_zone("Europe/Prague")
    assert zone is not None
    assert zone.key == "Europe/Prague"
    assert [read_zone(name) for name in ("Prague", "../etc/passwd", "")] == [None, None, None]
