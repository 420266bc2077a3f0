from __future__ import annotations

import copy
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import hypothesis
import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from singer_sdk.exceptions import ConfigValidationError

from tap_daktela.inputs.settings import DEFAULT_ZONE, SCHEMA, extra_fields, problems, read, servers
from tap_daktela.streams.fields import Kind
from tap_daktela.tap import TapDaktela

if TYPE_CHECKING:
    from pathlib import Path

ACME: dict[str, Any] = {"server": "acme", "access_token": "hush"}
BY_PASSWORD: dict[str, Any] = {"server": "acme", "username": "robot", "password": "hush"}


# Copied on import, because the SDK adds its own settings to the schema when a tap is created.
OWN = copy.deepcopy(SCHEMA)


def _several(*entries: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"instances": list(entries), **more}


UMBRELLA: dict[str, Any] = {"url": "https://umbrella.example.com/x", "username": "robot", "password": "hush"}

# Problem -> configuration, the setting that the line begins with, and another part of the line.
WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "nothing at all": ({}, "url", "server (or instances)"),
    "no instance": ({"access_token": "hush"}, "url", "set url or server"),
    "no instances": (_several(), "url", "set url or server"),
    "no credentials": ({"server": "acme"}, "access_token", "username and password"),
    "no password": ({"server": "acme", "username": "robot"}, "password", "username needs it"),
    "no user": ({"server": "acme", "password": "hush"}, "username", "password needs it"),
    "token and password": (
        {**BY_PASSWORD, "access_token": "hush"},
        "access_token",
        "remove access_token or username",
    ),
    "token and user": ({**ACME, "username": "robot"}, "access_token", "either"),
    "token that is no text": ({"server": "acme", "access_token": 424242}, "access_token", "must be text"),
    "password that is no text": ({**BY_PASSWORD, "password": ["hush"]}, "password", "must be text"),
    "token with a blank": ({"server": "acme", "access_token": "hu sh"}, "access_token", "characters"),
    "token with a line break": ({"server": "acme", "access_token": "hush\nhush"}, "access_token", "characters"),
    "token with an accent": ({"server": "acme", "access_token": "húsh"}, "access_token", "characters"),
    "url that is none": ({"url": "acme", "access_token": "hush"}, "url", "https://acme.daktela.com"),
    "url with a broken host": ({"url": "https://[", "access_token": "hush"}, "url", "not a URL"),
    "url with credentials": ({"url": "https://robot:hush@acme.com", "access_token": "x"}, "url", "credentials"),
    "url with a query": ({"url": "https://acme.com?accessToken=hush", "access_token": "x"}, "url", "query"),
    "url of plain http": ({"url": "http://acme.com", "access_token": "hush"}, "url", "allow_http"),
    "url that is no text": ({"url": 5, "access_token": "hush"}, "url", "5"),
    "server with odd characters": (
        {"server": "ac_me", "access_token": "hush"},
        "server",
        "letters, digits and '-'",
    ),
    "server that is a host": ({"server": "acme.com", "access_token": "hush"}, "server", "'acme.com'"),
    "host that names no server": ({"url": "https://ac_me.com", "access_token": "hush"}, "server", "set server"),
    "a url with an IPv6 address": (
        {"url": "https://[2001:db8::1]", "access_token": "hush"},
        "server",
        "set server",
    ),
    "a misspelt choice": ({**ACME, "backend": "Paralel"}, "backend", "'Paralel'; did you mean parallel?"),
    "a misspelt zone": ({**ACME, "timezone": "Europe/Prag"}, "timezone", "did you mean Europe/Prague?"),
    "url beside instances": (_several(UMBRELLA, url="https://acme.com"), "instances", "url"),
    "server beside instances": (_several(UMBRELLA, server="acme"), "instances", "server"),
    "token beside instances": (_several(UMBRELLA, access_token="hush"), "instances", "access_token"),
    "one server twice": (_several(ACME, {**BY_PASSWORD, "server": "ACME"}), "server", "'acme' names 2"),
    "one server by url, too": (
        _several(ACME, {"url": "https://acme.daktela.com", "access_token": "hush"}),
        "server",
        "'acme' names 2",
    ),
    "an instance without a place": (
        _several(ACME, {"access_token": "hush"}),
        "instances[1].url",
        "set url or server",
    ),
    "an instance without credentials": (_several({"server": "x"}, ACME), "instances[0].access_token", "give"),
    "an instance with a bad url": (
        _several(ACME, {**ACME, "url": "x", "server": "y"}),
        "instances[1].url",
        "form",
    ),
    "an instance with a bad zone": (
        _several({**ACME, "timezone": "Europe/Brno"}, UMBRELLA),
        "instances[0].timezone",
        "'Europe/Brno'",
    ),
    "a zone that is none beside instances": (_several(ACME, timezone="Mars"), "timezone", "'Mars'"),
    "a misspelt setting in an instance": (
        _several({**ACME, "pasword": "hush"}),
        "instances[0].pasword",
        "did you mean password?",
    ),
    "a setting of the run in an instance": (
        _several({**ACME, "page_size": 5}),
        "instances[0].page_size",
        "no such",
    ),
    "an instance that is none": (_several(ACME, "hush"), "instances[1]", ""),  # type: ignore[arg-type]
    "an instance that is null": (_several(ACME, None), "instances[1]", ""),  # type: ignore[arg-type]
    "instances that are one object": ({"instances": ACME}, "instances", ""),
    "instances that are text": ({"instances": '[{"access_token": "hush"}]'}, "instances", ""),
    "instances that are a number": ({"instances": 5}, "instances", ""),
    "instances without prefix": (
        _several(ACME, UMBRELLA, prefix_keys=False),
        "prefix_keys",
        "prefix_stream_names",
    ),
    "start that is no date": ({**ACME, "start_date": "yesterday"}, "start_date", "'yesterday'"),
    "start that is no day": ({**ACME, "start_date": "2026-02-30"}, "start_date", "'2026-02-30'"),
    "start beyond all dates": ({**ACME, "start_date": "0001-01-01"}, "start_date", "0001-01-01"),
    "end that is no date": ({**ACME, "end_date": "31.1.2026"}, "end_date", "'31.1.2026'"),
    "start that is no text": ({**ACME, "start_date": 2026}, "start_date", "2026"),
    "end before start": ({**ACME, "start_date": "2026-02-01", "end_date": "2026-01-31"}, "end_date", "start_date"),
    "end at start": ({**ACME, "start_date": "2026-02-01", "end_date": "2026-02-01"}, "end_date", "start_date"),
    "end at start elsewhere": (
        {**ACME, "start_date": "2026-02-01T00:00:00+01:00", "end_date": "2026-01-31T23:00:00Z"},
        "end_date",
        "start_date",
    ),
    "an unknown zone": ({**ACME, "timezone": "Europe/Brno"}, "timezone", "'Europe/Brno'"),
    "a zone that is a folder": ({**ACME, "timezone": "Europe"}, "timezone", "'Europe'"),
    "a zone that is a path": ({**ACME, "timezone": "../../etc/passwd"}, "timezone", "IANA"),
    "a zone with a NUL": ({**ACME, "timezone": "Eur\0pe"}, "timezone", "IANA"),
    "an offset for a zone": ({**ACME, "timezone": "+01:00"}, "timezone", "IANA"),
    "a page of none": ({**ACME, "page_size": 0}, "page_size", "1"),
    "a page too large": ({**ACME, "page_size": 5000}, "page_size", "1000"),
    "a page that is text": ({**ACME, "page_size": "100"}, "page_size", "must be a whole number"),
    "half a page": ({**ACME, "page_size": 1.5}, "page_size", "must be a whole number"),
    "no concurrency": ({**ACME, "concurrency": 0}, "concurrency", "1"),
    "too much concurrency": ({**ACME, "concurrency": 51}, "concurrency", "50"),
    "time that runs back": ({**ACME, "settle_minutes": -1}, "settle_minutes", "0"),
    "a look ahead": ({**ACME, "lookback_minutes": -1}, "lookback_minutes", "0"),
    "a settle time beyond the calendar": ({**ACME, "settle_minutes": 10**10}, "settle_minutes", "at most"),
    "a look back beyond the calendar": ({**ACME, "lookback_minutes": 10**10}, "lookback_minutes", "at most"),
    "an unknown backend": ({**ACME, "backend": "serial"}, "backend", "sequential"),
    "an unknown answer to mismatches": ({**ACME, "on_type_mismatch": "skip"}, "on_type_mismatch", "fail"),
    "no time to answer": ({**ACME, "request_timeout": 0}, "request_timeout", "0"),
    "text for a switch": ({**ACME, "verify_tls": "no"}, "verify_tls", "must be true or false"),
    "a number for a switch": ({**ACME, "prefix_keys": 1}, "prefix_keys", "must be true or false"),
    "a misspelt setting": ({**ACME, "acess_token": "hush"}, "acess_token", "did you mean access_token?"),
    "a setting like no other": ({**ACME, "zzz": "hush"}, "zzz", "there is no such setting"),
    "a setting in capitals": ({**ACME, "Page_Size": 5}, "Page_Size", "did you mean page_size?"),
    "fields of an unknown stream": (
        {**ACME, "extra_fields": {"ticket": ["x"]}},
        "extra_fields",
        "'ticket'; did you mean tickets?",
    ),
    "a malformed field": ({**ACME, "extra_fields": {"tickets": ["a..b"]}}, "extra_fields", "'a..b'"),
    "a field with a blank": ({**ACME, "extra_fields": {"tickets": ["a b"]}}, "extra_fields", "'a b'"),
    "an empty field": ({**ACME, "extra_fields": {"tickets": [""]}}, "extra_fields", "''"),
    "a field with brackets": ({**ACME, "extra_fields": {"tickets": ["a[0]"]}}, "extra_fields", "'a[0]'"),
    "a field that is a column": ({**ACME, "extra_fields": {"tickets": ["title"]}}, "extra_fields", "already has"),
    "a field that becomes a column": (
        {**ACME, "extra_fields": {"tickets": ["category.name"]}},
        "extra_fields",
        "already has a column category_name",
    ),
    "a field twice": ({**ACME, "extra_fields": {"tickets": ["a.b", "a_b"]}}, "extra_fields", "already has"),
    "a field that is listed twice": ({**ACME, "extra_fields": {"tickets": ["a.b", "a.b"]}}, "extra_fields", "a_b"),
    "a field that differs from a column by case": (
        {**ACME, "extra_fields": {"tickets": ["Title"]}},
        "extra_fields",
        "Title and title of tickets would be columns with the same name in some databases (Title, title)",
    ),
    "fields that differ by case": (
        {**ACME, "extra_fields": {"tickets": ["customFields.Order", "customFields.order"]}},
        "extra_fields",
        "customFields.order and customFields.Order of tickets would be columns with the same name",
    ),
    "fields that differ by snake_case": (
        {**ACME, "extra_fields": {"tickets": ["customFields.orderNumber", "custom_fields.order_number"]}},
        "extra_fields",
        "(custom_fields_order_number, customFields_orderNumber)",
    ),
    "fields that differ by the words of an abbreviation": (
        {**ACME, "extra_fields": {"tickets": ["customFields.SMSCode", "customFields.SMS_code"]}},
        "extra_fields",
        "would be columns with the same name",
    ),
    "fields that differ by repeated underscores": (
        {**ACME, "extra_fields": {"tickets": ["customFields.a__b", "customFields.a_b"]}},
        "extra_fields",
        "would be columns with the same name",
    ),
    "a field whose column has a long name": (
        {**ACME, "extra_fields": {"tickets": [f"customFields.{'x' * 51}"]}},
        "extra_fields",
        "would be a column of 64 bytes, and databases accept 63",
    ),
    "a field that is no text": (
        {**ACME, "extra_fields": {"tickets": [5]}},
        "extra_fields.tickets[0]",
        "must be text",
    ),
    "fields that are no list": (
        {**ACME, "extra_fields": {"tickets": "title"}},
        "extra_fields.tickets",
        "must be a list",
    ),
    "fields of no stream": ({**ACME, "extra_fields": ["title"]}, "extra_fields", "object"),
}


@pytest.mark.parametrize(("config", "setting", "text"), WRONG.values(), ids=list(WRONG))
def test_a_wrong_setting_is_one_line_with_its_name_and_no_secret(
    config: dict[str, Any], setting: str, text: str
) -> None:
    (line,) = problems(config, SCHEMA)
    assert line.startswith(f"{setting}: ")
    assert text in line
    assert "\n" not in line
    assert "hush" not in line
    assert "424242" not in line


def test_all_problems_are_reported_at_once() -> None:
    config = {
        "server": "ac_me",
        "username": "robot",
        "start_date": "x",
        "timezone": "y",
        "extra_fields": {"z": []},
    }
    names = sorted(line.partition(":")[0] for line in problems(config, SCHEMA))
    assert names == ["extra_fields", "password", "server", "start_date", "timezone"]


@pytest.mark.parametrize("name", ["a malformed field", "fields of an unknown stream", "a misspelt setting"])
def test_the_tap_refuses_what_is_wrong_with_the_same_line(name: str) -> None:
    config, _, _ = WRONG[name]
    with pytest.raises(ConfigValidationError) as caught:
        TapDaktela(config=config)
    assert caught.value.errors == problems(config, SCHEMA)


@pytest.mark.parametrize("name", ["nothing at all", "a page too large", "instances that are one object"])
def test_the_command_logs_the_problem_and_exits_with_1(name: str, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(WRONG[name][0]), encoding="utf-8")
    code = "from tap_daktela.tap import TapDaktela; TapDaktela.cli()"
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, "--config", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert run.stdout == ""
    assert "Traceback" not in run.stderr
    assert "hush" not in run.stderr
    (line,) = [line for line in run.stderr.splitlines() if "ERROR" in line]
    assert f"{WRONG[name][1]}: " in line


@pytest.mark.parametrize(
    "config",
    [
        ACME,
        BY_PASSWORD,
        {**ACME, "url": "https://10.0.0.1:8443/daktela/api/v6"},
        {**ACME, "url": "http://127.0.0.1:8080"},
        {**ACME, "url": "http://10.0.0.1", "allow_http": True},
        {"url": "https://acme.daktela.com", "access_token": "hush"},
        _several(ACME),
        _several(ACME, UMBRELLA, timezone="Europe/London"),
        _several({**ACME, "timezone": "Asia/Kolkata"}, UMBRELLA),
        _several(ACME, UMBRELLA, prefix_keys=False, prefix_stream_names=True),
        {**ACME, "prefix_keys": False},
        {**ACME, "start_date": "2026-01-31", "end_date": "2026-02-01T00:00:00Z"},
        {**ACME, "page_size": 1, "concurrency": 50, "settle_minutes": 0, "lookback_minutes": 0},
        {**ACME, "page_size": 1000, "request_timeout": 0.5, "backend": "sequential"},
        {**ACME, "extra_fields": {"tickets": ["customFields.vip", "record.customFields._x1"], "groups": []}},
        {
            **ACME,
            "extra_fields": {"tickets": ["customFields.ab", "customFields.a_b", "customFields.a1", "c.a.b1"]},
        },
        {**ACME, "extra_fields": {"tickets": [f"customFields.{'x' * 50}"]}},
        # Meltano may pass null or an empty text for a setting that is not set.
        {
            **ACME,
            "url": None,
            "username": "",
            "password": "",
            "start_date": None,
            "instances": None,
            "page_size": None,
        },
        _several({**ACME, "url": "", "timezone": None}),
    ],
)
def test_valid_settings_have_no_problems(config: dict[str, Any]) -> None:
    assert problems(config, SCHEMA) == []
    assert read(config, "tap/1").instances


def test_settings_have_the_documented_defaults() -> None:
    found = read(ACME, "tap/1")
    assert found.instances[0].address.base == "https://acme.daktela.com"
    assert found.instances[0].timezone is None
    assert (found.start_date, found.end_date) == (None, None)
    assert (found.settle_minutes, found.lookback_minutes) == (30, 1440)
    assert (found.concurrency, found.page_size) == (5, 1000)
    assert (found.prefix_keys, found.nulls_for_mismatches) == (True, False)
    http = found.http
    assert (http.timeout, http.verify_tls, http.user_agent) == (60, True, "tap/1")
    assert http.connections == 5


def test_settings_have_the_given_values() -> None:
    found = read(
        {
            **BY_PASSWORD,
            "url": "https://acme.com/x/",
            "server": "other",
            "timezone": "UTC",
            "start_date": "2026-01-01",
            "end_date": "2026-02-01",
            "settle_minutes": 1,
            "lookback_minutes": 2,
            "concurrency": 3,
            "page_size": 4,
            "prefix_keys": False,
            "on_type_mismatch": "null",
            "request_timeout": 0.5,
            "verify_tls": False,
            "user_agent": "me",
        },
        "tap/1",
    )
    (instance,) = found.instances
    assert (instance.server, instance.address.base, instance.timezone) == ("other", "https://acme.com/x", "UTC")
    assert (instance.credentials.username, instance.credentials.password) == ("robot", "hush")
    assert instance.credentials.access_token == ""
    assert (str(found.start_date), str(found.end_date)) == ("2026-01-01", "2026-02-01")
    assert (found.settle_minutes, found.lookback_minutes, found.concurrency, found.page_size) == (1, 2, 3, 4)
    assert (found.prefix_keys, found.nulls_for_mismatches) == (False, True)
    http = found.http
    assert (http.timeout, http.verify_tls, http.user_agent) == (0.5, False, "me")
    assert http.connections == 3


def test_a_token_from_a_file_may_end_with_a_line_break() -> None:
    config = {"server": "acme", "access_token": "hush\n"}
    assert problems(config, OWN) == []
    assert read(config, "tap/1").instances[0].credentials.access_token == "hush"


def test_sequential_is_a_concurrency_of_one() -> None:
    found = read({**ACME, "backend": "sequential", "concurrency": 7}, "tap/1")
    assert (found.concurrency, found.http.connections) == (1, 1)


def test_an_instance_has_its_own_time_zone_or_that_of_the_run() -> None:
    found = read(_several({**ACME, "timezone": "UTC"}, UMBRELLA, timezone="Asia/Kolkata"), "tap/1")
    assert [instance.timezone for instance in found.instances] == ["UTC", "Asia/Kolkata"]


def test_servers_are_named_by_setting_or_host() -> None:
    assert servers(_several(ACME, UMBRELLA)) == ["acme", "umbrella"]
    assert servers({"url": "http://10.0.0.1", "access_token": "x"}) == ["10"]
    assert servers({}) == []
    assert servers({"url": "nonsense"}) == []


def test_the_representation_of_settings_contains_no_secret() -> None:
    assert "hush" not in repr(read(_several(ACME, UMBRELLA), "tap/1"))


def test_extra_fields_become_text_columns() -> None:
    fields = ["record.customFields.x", "summary", "statuses.color"]
    found = extra_fields({"extra_fields": {"tickets": fields}})["tickets"]
    assert [column.source for column in found] == fields
    assert [column.name for column in found] == ["record_customFields_x", "summary", "statuses_color"]
    assert [column.kind for column in found] == [Kind.PART, Kind.ANY_AS_TEXT, Kind.PART]
    # A list of related objects is requested as a whole.
    assert [column.request for column in found] == ["record.customFields.x", "summary", "statuses"]
    assert all(column.extra and not column.official for column in found)
    assert extra_fields({}) == {}


def test_the_schema_of_settings_is_valid_and_describes_each() -> None:
    jsonschema.Draft7Validator.check_schema(OWN)
    entries = OWN["properties"]["instances"]["items"]["properties"]
    for setting in (*OWN["properties"].values(), *entries.values()):
        assert setting["title"]
        assert setting["description"].endswith((".", f"{DEFAULT_ZONE}."))


def test_the_secrets_are_the_token_and_the_password_wherever_they_stand() -> None:
    for settings in (OWN["properties"], OWN["properties"]["instances"]["items"]["properties"]):
        secrets = {name for name, setting in settings.items() if setting.get("secret")}
        assert secrets == {"access_token", "password"}


def test_every_documented_setting_exists() -> None:
    assert list(OWN["properties"]) == [
        *("url", "server", "access_token", "username", "password", "instances", "start_date", "end_date"),
        *("timezone", "settle_minutes", "lookback_minutes", "backend", "concurrency", "page_size", "prefix_keys"),
        *(
            "prefix_stream_names",
            "extra_fields",
            "on_type_mismatch",
            "datetimes",
            "emit_activate_version_messages",
            "request_timeout",
            "verify_tls",
            "allow_http",
        ),
        "user_agent",
    ]


_VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-5, 5000),
        st.floats(allow_nan=False),
        st.text(max_size=8),
        st.sampled_from(
            ["acme", "https://acme.com", "http://[", "2026-01-01", "0001-01-01", "UTC", "tickets", "title"]
        ),
    ),
    lambda values: st.one_of(
        st.lists(values, max_size=3),
        st.dictionaries(st.sampled_from(["url", "server", "access_token", "tickets", "x"]), values, max_size=3),
    ),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([*OWN["properties"], *["instances"] * 9, "x"]), _VALUES, max_size=5))
@hypothesis.settings(max_examples=300)
def test_any_configuration_has_problems_or_is_read(config: dict[str, Any]) -> None:
    lines = problems(config, OWN)
    if not lines:
        assert read(config, "tap/1").instances
    assert all(line.partition(": ")[0] for line in lines)
