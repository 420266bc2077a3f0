"""The settings: invalid values, defaults, and what each command needs."""

from __future__ import annotations

import copy
import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import hypothesis
import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_daktela_crm.inputs.settings import SCHEMA, Needs, for_delivery, problems, read
from target_daktela_crm.mapping.preset import PRESETS
from target_daktela_crm.store.store import StoreOwner

ACME: dict[str, Any] = {"server": "acme", "access_token": "hush"}
BY_PASSWORD: dict[str, Any] = {"server": "acme", "username": "robot", "password": "hush"}
HOURS: dict[str, Any] = {"timezone": "Europe/Prague", "days": ["mon", "fri"], "from": "08:00", "to": "18:00"}

# Copied at import, since the SDK adds its own settings to the schema when a target is created.
OWN = copy.deepcopy(SCHEMA)


def _problems(config: dict[str, Any], needs: Needs = Needs.CREDENTIALS) -> list[str]:
    return problems(config, OWN, needs)


# Invalid configurations, each with the setting that the line begins with and a text that it contains.
WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "nothing at all": ({}, "url", "write to"),
    "no instance": ({"access_token": "hush"}, "url", "set url or server"),
    "no credentials": ({"server": "acme"}, "access_token", "username and password"),
    "no password": ({"server": "acme", "username": "robot"}, "password", "username needs it"),
    "no user": ({"server": "acme", "password": "hush"}, "username", "password needs it"),
    "token and password": (
        {**BY_PASSWORD, "access_token": "hush"},
        "access_token",
        "remove access_token or username",
    ),
    "token and user": ({**ACME, "username": "robot"}, "access_token", "either"),
    "a token that is no text": ({"server": "acme", "access_token": 424242}, "access_token", "must be text"),
    "a token that is a list": ({"server": "acme", "access_token": ["hush"]}, "access_token", "must be text"),
    "a token with a blank": ({"server": "acme", "access_token": "hu sh"}, "access_token", "characters"),
    "a token with a line break": ({"server": "acme", "access_token": "hush\nhush"}, "access_token", "characters"),
    "a user that is no text": ({**BY_PASSWORD, "username": 5}, "username", "must be text"),
    "a password that is no text": ({**BY_PASSWORD, "password": 424242}, "password", "must be text"),
    "a password that is an object": ({**BY_PASSWORD, "password": {"is": "hush"}}, "password", "must be text"),
    "a url that is none": ({"url": "acme", "access_token": "hush"}, "url", "https://acme.daktela.com"),
    "a url that is no text": ({"url": 5, "access_token": "hush"}, "url", "must be text"),
    "a url with credentials": ({"url": "https://robot:hush@acme.com", "access_token": "x"}, "url", "credentials"),
    "a url with a query": ({"url": "https://acme.com?accessToken=hush", "access_token": "x"}, "url", "query"),
    "a url of plain http": ({"url": "http://acme.com", "access_token": "hush"}, "url", "allow_http"),
    "a url of another scheme": ({"url": "ftp://acme.com", "access_token": "hush"}, "url", "form"),
    "a server with odd characters": ({**ACME, "server": "ac_me"}, "server", "letters, digits and '-'"),
    "a server that is a path": ({**ACME, "server": "../acme"}, "server", "'../acme'"),
    "a server that is no text": ({**ACME, "server": 7}, "server", "must be text"),
    "a host that names no server": ({"url": "https://ac_me.com", "access_token": "hush"}, "server", "set server"),
    "a misspelt preset": ({**ACME, "preset": "salesfroce"}, "preset", "; did you mean salesforce?"),
    "a misspelt day": (
        {**ACME, "business_hours": {**HOURS, "days": ["mno"]}},
        "business_hours.days[0]",
        "mean mon?",
    ),
    "a path with an origin": ({**ACME, "sync_path": "https://else.com/x"}, "sync_path", "/custom/crm/sync.php"),
    "a path of another host": ({**ACME, "sync_path": "//else.com/x"}, "sync_path", "/custom/crm/sync.php"),
    "a path with a query": ({**ACME, "sync_path": "/sync.php?delete=1"}, "sync_path", "?delete=1"),
    "a path with a fragment": ({**ACME, "sync_path": "/sync.php#x"}, "sync_path", "#x"),
    "a path with a line break": ({**ACME, "sync_path": "/sync.php\n"}, "sync_path", "is not a path"),
    "a path with a NUL": ({**ACME, "sync_path": "/sync\0.php"}, "sync_path", "is not a path"),
    "a path that is no text": ({**ACME, "sync_path": ["/x"]}, "sync_path", "must be text"),
    "an unknown preset": ({**ACME, "preset": "salseforce"}, "preset", "salesforce"),
    "a preset in capitals": ({**ACME, "preset": "Salesforce"}, "preset", "must be one of"),
    "a preset that is a path": ({**ACME, "preset": "../settings"}, "preset", "must be one of"),
    "streams that are text": ({**ACME, "streams": '{"contacts": null}'}, "streams", "must be an object"),
    "streams that are a list": ({**ACME, "streams": ["contacts"]}, "streams", "must be an object"),
    "a stream that is text": ({**ACME, "streams": {"contacts": "x"}}, "streams.contacts", "must be an object"),
    "an expression that does not parse": (
        {**ACME, "streams": {"contacts": {"contact": {"name": "first name"}}}},
        "streams.contacts.contact.name",
        "does not parse",
    ),
    "a mapping of another preset's stream": (
        {**ACME, "preset": "salesforce", "streams": {"contacts": {"contact": {"name": "n"}}}},
        "streams.contacts.contact.id",
        "is missing",
    ),
    "an unknown load mode": ({**ACME, "load_mode": "delta"}, "load_mode", "partial, full"),
    "deleting in a partial load": ({**ACME, "delete_missing": True}, "delete_missing", "load_mode full"),
    "deleting in a load that is said to be partial": (
        {**ACME, "delete_missing": True, "load_mode": "partial"},
        "delete_missing",
        "load_mode full",
    ),
    "text for deleting": ({**ACME, "delete_missing": "true"}, "delete_missing", "must be true or false"),
    "a fraction over one": ({**ACME, "max_delete_fraction": 1.01}, "max_delete_fraction", "at most 1"),
    "a fraction in per cent": ({**ACME, "max_delete_fraction": 10}, "max_delete_fraction", "at most 1"),
    "a fraction below none": ({**ACME, "max_delete_fraction": -0.1}, "max_delete_fraction", "at least 0"),
    "a fraction that is text": ({**ACME, "max_delete_fraction": "10 %"}, "max_delete_fraction", "a number"),
    "hours that are text": ({**ACME, "business_hours": "08:00-18:00"}, "business_hours", "must be an object"),
    "hours that are a list": ({**ACME, "business_hours": [HOURS]}, "business_hours", "must be an object"),
    "no hours in hours": ({**ACME, "business_hours": {}}, "business_hours", "lacks timezone, days, from, to"),
    "hours without an end": (
        {**ACME, "business_hours": {key: HOURS[key] for key in ("timezone", "days", "from")}},
        "business_hours",
        "lacks to",
    ),
    "hours of an unknown zone": (
        {**ACME, "business_hours": {**HOURS, "timezone": "Europe/Brno"}},
        "business_hours.timezone",
        "'Europe/Brno'",
    ),
    "hours of a zone that is a number": (
        {**ACME, "business_hours": {**HOURS, "timezone": 1}},
        "business_hours.timezone",
        "must be text",
    ),
    "hours of an unknown day": (
        {**ACME, "business_hours": {**HOURS, "days": ["mon", "Tuesday"]}},
        "business_hours.days[1]",
        "must be one of mon",
    ),
    "hours of one day as text": (
        {**ACME, "business_hours": {**HOURS, "days": "mon"}},
        "business_hours.days",
        "must be a list",
    ),
    "hours of no day": ({**ACME, "business_hours": {**HOURS, "days": []}}, "business_hours.days", "no day"),
    "hours that begin at none": (
        {**ACME, "business_hours": {**HOURS, "from": "8:00"}},
        "business_hours.from",
        "'8:00'",
    ),
    "hours that begin at a number": (
        {**ACME, "business_hours": {**HOURS, "from": 8}},
        "business_hours.from",
        "must be text",
    ),
    "hours that end at none": (
        {**ACME, "business_hours": {**HOURS, "to": "25:00"}},
        "business_hours.to",
        "'25:00'",
    ),
    "hours that end as they begin": (
        {**ACME, "business_hours": {**HOURS, "to": "08:00"}},
        "business_hours.to",
        "same",
    ),
    "no time to answer": ({**ACME, "request_timeout": 0}, "request_timeout", "more than 0"),
    "less than no time": ({**ACME, "request_timeout": -1}, "request_timeout", "more than 0"),
    "a time that is text": ({**ACME, "request_timeout": "5 min"}, "request_timeout", "must be a number"),
    "text for only_changed": ({**ACME, "only_changed": "no"}, "only_changed", "must be true or false"),
    "a number for only_changed": ({**ACME, "only_changed": 1}, "only_changed", "must be true or false"),
    "fewer rejects than none": ({**ACME, "max_rejects": -1}, "max_rejects", "at least 0"),
    "half a reject": ({**ACME, "max_rejects": 0.5}, "max_rejects", "must be a whole number"),
    "rejects as text": ({**ACME, "max_rejects": "all"}, "max_rejects", "must be a whole number"),
    "rejects as a switch": ({**ACME, "max_rejects": True}, "max_rejects", "must be a whole number"),
    "a request too small for anything": ({**ACME, "max_request_bytes": 199}, "max_request_bytes", "at least 200"),
    "a request of less than nothing": ({**ACME, "max_request_bytes": -1}, "max_request_bytes", "at least 200"),
    "a request in megabytes": ({**ACME, "max_request_bytes": "20 MB"}, "max_request_bytes", "a whole number"),
    "a store that is a number": ({**ACME, "store_path": 5}, "store_path", "must be text"),
    "a store in memory": ({**ACME, "store_path": ":memory:"}, "store_path", "give the path of a file"),
    "a store in memory, as a path": ({**ACME, "store_path": "./:memory:"}, "store_path", "in memory"),
    "a store in memory, named by the server": (
        {**ACME, "server": "memory", "store_path": ":{server}:"},
        "store_path",
        "in memory",
    ),
    "a store in memory, as a URI": ({**ACME, "store_path": "file::memory:"}, "store_path", "URI"),
    "a store in memory, as a query": ({**ACME, "store_path": "file:x?mode=memory"}, "store_path", "URI"),
    "a store in memory, as a query of a path": ({**ACME, "store_path": "x.db?mode=memory"}, "store_path", "URI"),
    "a store that is a folder": ({**ACME, "store_path": "stores/"}, "store_path", "is a folder"),
    "a store that is this folder": ({**ACME, "store_path": "."}, "store_path", "is a folder"),
    "a store that is a folder above": ({**ACME, "store_path": ".."}, "store_path", "is a folder"),
    "a store that keeps nothing": ({**ACME, "store_path": "/dev/null"}, "store_path", "no file on a disk"),
    "a store in a folder of devices": ({**ACME, "store_path": "/dev/fd/7"}, "store_path", "no file on a disk"),
    "a store of the system": ({**ACME, "store_path": "/proc/self/x"}, "store_path", "no file on a disk"),
    "rejects that are a folder": ({**ACME, "rejects_path": "rejects/"}, "rejects_path", "is a folder"),
    "rejects that are not kept": ({**ACME, "rejects_path": "/dev/null"}, "rejects_path", "keeps nothing"),
    "rejects that are the store": (
        {**ACME, "store_path": "x/{server}", "rejects_path": "x/acme"},
        "rejects_path",
        "is the store",
    ),
    "rejects that are the journal": (
        {**ACME, "store_path": "x", "rejects_path": "./x.journal.json"},
        "rejects_path",
        "is the store",
    ),
    "rejects that are a list": ({**ACME, "rejects_path": ["x"]}, "rejects_path", "must be text"),
    "a dry run that is a switch": ({**ACME, "dry_run": True}, "dry_run", "must be text"),
    "a region like no other": ({**ACME, "phone_region": "XX"}, "phone_region", "'XX'"),
    "a region that is a prefix": ({**ACME, "phone_region": "+420"}, "phone_region", "did you mean CZ?"),
    "a region that is a name": ({**ACME, "phone_region": "Czechia"}, "phone_region", "did you mean CZ?"),
    "a region that is a domain": ({**ACME, "phone_region": "UK"}, "phone_region", "did you mean GB?"),
    "a region of a locale": ({**ACME, "phone_region": "cs_CZ"}, "phone_region", "did you mean CZ?"),
    "a region of three letters": ({**ACME, "phone_region": "svk"}, "phone_region", "did you mean SK?"),
    "a region in its own language": ({**ACME, "phone_region": "deutschland"}, "phone_region", "did you mean DE?"),
    "a region that is a number": ({**ACME, "phone_region": 420}, "phone_region", "must be text"),
    "an answer to missing columns that is no boolean": (
        {**ACME, "allow_missing_columns": "maybe"},
        "allow_missing_columns",
        "must be true or false",
    ),
    "an unknown answer to unknown companies": ({**ACME, "unknown_company": "drop"}, "unknown_company", "detach"),
    "text for verify_tls": ({**ACME, "verify_tls": "no"}, "verify_tls", "must be true or false"),
    "a number for allow_http": ({**ACME, "allow_http": 1}, "allow_http", "must be true or false"),
    "a user agent that is a number": ({**ACME, "user_agent": 1.5}, "user_agent", "must be text"),
    "a misspelt setting": ({**ACME, "acess_token": "hush"}, "acess_token", "did you mean access_token?"),
    "a setting of the tap": ({**ACME, "start_date": "2026-01-01"}, "start_date", "there is no such setting"),
    "a setting like no other": ({**ACME, "zzz": "hush"}, "zzz", "there is no such setting"),
    "a setting in capitals": ({**ACME, "Preset": "daktela"}, "Preset", "did you mean preset?"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_problem_is_reported_in_one_line_that_begins_with_the_setting(name: str) -> None:
    config, setting, said = WRONG[name]
    (line,) = _problems(config)
    assert line.startswith(f"{setting}: ")
    assert said in line
    assert "\n" not in line
    assert "hush" not in line
    assert "424242" not in line


def test_a_store_that_is_a_pipe_or_a_device_is_reported(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(os.devnull)
    for name in ("pipe", "link"):
        (line,) = _problems({**ACME, "store_path": str(tmp_path / name)})
        assert line.startswith("store_path: ")
        assert "no file on a disk" in line


def test_a_store_in_memory_that_lasts_until_a_restart_is_allowed() -> None:
    assert not _problems({**ACME, "store_path": "/run/acme.sqlite3"})


def test_every_setting_has_an_invalid_example() -> None:
    assert {setting.partition(".")[0] for _, setting, _ in WRONG.values()} >= set(OWN["properties"])


FREE = [name for name, setting in OWN["properties"].items() if "enum" not in setting]
"""Settings without a list of allowed values."""


@pytest.mark.parametrize("name", FREE)
def test_a_list_is_reported_in_one_line(name: str) -> None:
    (line,) = _problems({**ACME, name: ["hush"]})
    assert line.startswith(f"{name}: must be ")
    assert "hush" not in line


@pytest.mark.parametrize("name", [name for name in FREE if name != "request_timeout"])
def test_a_fraction_is_reported_in_one_line(name: str) -> None:
    (line,) = _problems({**ACME, name: 4242.5})
    assert line.startswith(f"{name}: must be ")
    assert ("4242.5" in line) == (name not in {"access_token", "password"})


@pytest.mark.parametrize("name", [name for name in FREE if name not in {"streams", "business_hours"}])
def test_an_object_is_reported_in_one_line(name: str) -> None:
    (line,) = _problems({**ACME, name: {"hush": "hush"}})
    assert line.startswith(f"{name}: must be ")
    assert "hush" not in line


def test_all_problems_are_reported_at_once() -> None:
    config = {
        "server": "ac_me",
        "username": "robot",
        "sync_path": "//x",
        "delete_missing": True,
        "phone_region": "XX",
        "business_hours": {**HOURS, "timezone": "Mars", "days": []},
        "streams": {"contacts": {"contact": {"name": "a."}}},
    }
    assert sorted(line.partition(": ")[0] for line in _problems(config)) == [
        "business_hours.days",
        "business_hours.timezone",
        "delete_missing",
        "password",
        "phone_region",
        "server",
        "streams.contacts.contact.name",
        "sync_path",
    ]


def test_wrong_types_are_reported_first() -> None:
    lines = _problems({"url": 5, "max_rejects": "x", "delete_missing": True, "zzz": 1})
    assert sorted(line.partition(": ")[0] for line in lines) == ["max_rejects", "url", "zzz"]


SECRETS = st.text(st.sampled_from("hush") | st.characters(), max_size=6).map(lambda text: f"hush{text}hush")
NONSENSE: st.SearchStrategy[Any] = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["full", "CZ", "salesforce", "https://acme.com", "/x"])
)


@given(
    st.fixed_dictionaries(
        {}, optional={**dict.fromkeys(OWN["properties"], NONSENSE), "access_token": SECRETS, "password": SECRETS}
    )
)
@hypothesis.settings(max_examples=150)
def test_every_line_begins_with_a_setting_and_contains_no_secret(config: dict[str, Any]) -> None:
    for line in _problems(config):
        assert line.partition(":")[0].partition(".")[0] in OWN["properties"]
        assert "hush" not in line


# Valid settings.


@pytest.mark.parametrize(
    "config",
    [
        ACME,
        BY_PASSWORD,
        {"url": "https://acme.daktela.com", "access_token": "hush\n"},
        {**ACME, "url": "https://10.0.0.1:8443/daktela/api/v6"},
        {**ACME, "url": "http://127.0.0.1:8080"},
        {**ACME, "url": "http://10.0.0.1", "allow_http": True},
        {**ACME, "sync_path": "custom/other.php"},
        {**ACME, "load_mode": "full", "delete_missing": True, "max_delete_fraction": 0},
        {**ACME, "max_delete_fraction": 1, "max_rejects": 0, "max_request_bytes": 200},
        {**ACME, "max_delete_fraction": Decimal("0.25"), "request_timeout": Decimal("0.5")},
        {**ACME, "business_hours": HOURS},
        {**ACME, "business_hours": {**HOURS, "from": "22:00", "to": "24:00", "days": ["sun"]}},
        {**ACME, "phone_region": "cz", "unknown_company": "reject", "only_changed": False},
        {**ACME, "dry_run": "out", "store_path": "x/{server}.db", "rejects_path": "y"},
        {**ACME, "streams": {"contacts": {"contact": {"name": "label"}}, "companies": None}},
        *({**ACME, "preset": preset} for preset in PRESETS),
        # Meltano may pass null or an empty text for a setting without a value.
        {**ACME, **{name: None for name in OWN["properties"] if name not in ACME}},
        {**ACME, **{name: "" for name in OWN["properties"] if name not in ACME}},
    ],
)
def test_valid_settings_have_no_problems(config: dict[str, Any]) -> None:
    assert _problems(config) == []
    assert read(config, "target/1").server


def test_the_defaults_of_the_settings() -> None:
    found = read(ACME, "target/1")
    assert (found.server, found.address.base) == ("acme", "https://acme.daktela.com")
    assert found.credentials.access_token == "hush"
    assert found.sync_path == "/custom/crm/sync.php"
    assert (found.preset, found.streams) == ("daktela", {})
    assert (found.load_mode, found.delete_missing, found.max_delete_fraction) == ("partial", False, 0.1)
    assert (found.is_full, found.stages) == (False, False)
    assert found.business_hours is None
    assert (found.only_changed, found.max_rejects, found.max_request_bytes) == (True, 100, 20_000_000)
    assert found.store_path == Path(".target-daktela-crm/acme.sqlite3")
    assert found.rejects_path == Path(".target-daktela-crm/acme.rejects.jsonl")
    assert (found.dry_run, found.phone_region, found.unknown_company) == (None, None, "hold")
    http = found.http
    assert (http.timeout, http.verify_tls, http.user_agent) == (300, True, "target/1")
    assert http.connections == 1


def test_settings_have_the_given_values() -> None:
    config = {
        **BY_PASSWORD,
        "url": "https://acme.com/x/",
        "server": "other",
        "sync_path": "custom/other.php",
        "preset": "salesforce",
        "streams": {"Account": None},
        "load_mode": "full",
        "delete_missing": True,
        "max_delete_fraction": Decimal("0.25"),
        "business_hours": HOURS,
        "request_timeout": Decimal("0.5"),
        "only_changed": False,
        "max_rejects": 3,
        "max_request_bytes": 4000,
        "store_path": "~/crm/{server}/{server}.db",
        "dry_run": "~/out",
        "phone_region": "cz",
        "unknown_company": "detach",
        "verify_tls": False,
        "user_agent": "me",
    }
    found = read(config, "target/1")
    assert (found.server, found.address.base) == ("other", "https://acme.com/x")
    assert (found.credentials.username, found.credentials.password) == ("robot", "hush")
    assert found.credentials.access_token == ""
    assert (found.sync_path, found.preset) == ("/custom/other.php", "salesforce")
    assert found.streams == {"Account": None}
    assert (found.load_mode, found.delete_missing, found.max_delete_fraction) == ("full", True, 0.25)
    assert (found.is_full, found.stages) == (True, True)
    assert str(found.business_hours) == "08:00 to 18:00 on mon, fri (Europe/Prague)"
    assert (found.only_changed, found.max_rejects, found.max_request_bytes) == (False, 3, 4000)
    assert found.store_path == Path.home() / "crm/other/other.db"
    assert found.rejects_path == Path.home() / "crm/other/other.rejects.jsonl"
    assert found.dry_run == Path.home() / "out"
    assert (found.phone_region, found.unknown_company) == ("CZ", "detach")
    http = found.http
    assert (http.timeout, http.verify_tls, http.user_agent) == (0.5, False, "me")
    assert type(http.timeout) is type(found.max_delete_fraction) is float
    assert read({**config, "rejects_path": "~/r.jsonl"}, "t").rejects_path == Path.home() / "r.jsonl"


@pytest.mark.parametrize(
    ("load_mode", "delete_missing", "stages"),
    [("full", False, False), ("full", True, True), ("partial", False, False), ("partial", True, False)],
)
def test_only_a_full_load_that_deletes_is_staged(load_mode: str, *, delete_missing: bool, stages: bool) -> None:
    found = read({**ACME, "load_mode": load_mode, "delete_missing": delete_missing}, "t")
    assert (found.is_full, found.stages) == (load_mode == "full", stages)


def test_a_store_belongs_to_an_instance_an_endpoint_and_a_preset() -> None:
    one = read(ACME, "t").owner
    assert one == StoreOwner("https://acme.daktela.com", "/custom/crm/sync.php", "daktela")
    assert read({"url": "https://ACME.daktela.com/api/v6", "access_token": "x"}, "t").owner == one
    assert read({**ACME, "sync_path": "custom/crm/sync.php"}, "t").owner == one
    assert read({**ACME, "sync_path": "/other"}, "t").owner != one
    assert read({**ACME, "preset": "salesforce"}, "t").owner != one
    assert read({**ACME, "server": "umbrella"}, "t").owner != one


def test_the_text_of_settings_contains_no_secret_and_no_mapping() -> None:
    for config in (ACME, BY_PASSWORD):
        found = read({**config, "streams": {"hush": None}}, "t")
        assert "hush" not in repr(found)
        assert "hush" not in str(found)


def test_a_staged_load_remembers_no_secret_and_no_path() -> None:
    config = {
        **ACME,
        **BY_PASSWORD,
        "url": "https://acme.com",
        "store_path": "x",
        "dry_run": "y",
        "preset": "salesforce",
        "load_mode": "full",
        "delete_missing": False,
        "max_rejects": 0,
        "phone_region": "",
        "sync_path": None,
        "business_hours": HOURS,
        "max_delete_fraction": 0,
    }
    assert for_delivery(config) == {
        "preset": "salesforce",
        "load_mode": "full",
        "delete_missing": False,
        "max_rejects": 0,
        "business_hours": HOURS,
        "max_delete_fraction": 0,
    }


# What each command needs.


@pytest.mark.parametrize(
    ("needs", "expected"),
    [
        (Needs.MAPPING, []),
        (Needs.INSTANCE, ["url"]),
        (Needs.CREDENTIALS, ["url"]),
    ],
)
def test_an_instance_is_required_only_by_commands_that_need_it(needs: Needs, expected: list[str]) -> None:
    assert [line.partition(":")[0] for line in _problems({}, needs)] == expected
    assert [line.partition(":")[0] for line in _problems({"access_token": "hush"}, needs)] == expected


@pytest.mark.parametrize(
    ("needs", "expected"),
    [
        (Needs.MAPPING, []),
        (Needs.INSTANCE, []),
        (Needs.CREDENTIALS, ["access_token"]),
    ],
)
def test_credentials_are_required_only_by_commands_that_need_them(needs: Needs, expected: list[str]) -> None:
    for config in ({"server": "acme"}, {"url": "https://acme.daktela.com"}):
        assert [line.partition(":")[0] for line in _problems(config, needs)] == expected


@pytest.mark.parametrize("needs", Needs)
def test_the_mapping_and_types_are_always_checked(needs: Needs) -> None:
    for config, place in (
        ({"streams": {"contacts": {"contact": {"name": "a."}}}}, "streams.contacts.contact.name"),
        ({"phone_region": "XX"}, "phone_region"),
        ({"delete_missing": True}, "delete_missing"),
        ({"preset": "x"}, "preset"),
        ({"zzz": 1}, "zzz"),
    ):
        (line,) = _problems({**ACME, **config}, needs)
        assert line.startswith(f"{place}: ")


def test_an_invalid_url_is_reported_only_to_commands_that_need_an_instance() -> None:
    config = {"url": "acme", "access_token": "hush"}
    assert _problems(config, Needs.MAPPING) == []
    assert len(_problems(config, Needs.INSTANCE)) == 1


def test_settings_of_the_sdk_are_accepted() -> None:
    schema = {**OWN, "properties": {**OWN["properties"], "stream_maps": {"type": ["object", "null"]}}}
    config = {**ACME, "stream_maps": {"contacts": {}}}
    assert problems(config, schema, Needs.CREDENTIALS) == []
    assert len(_problems(config)) == 1


# The schema of the settings.


def test_the_schema_is_valid_and_describes_every_setting() -> None:
    jsonschema.Draft7Validator.check_schema(OWN)
    json.dumps(OWN)
    for name, setting in OWN["properties"].items():
        assert setting.get("title"), name
        assert setting["description"].endswith("."), name
    secrets = {name for name, setting in OWN["properties"].items() if setting.get("secret")}
    assert secrets == {"access_token", "password"}
    assert OWN["properties"]["preset"]["enum"][: len(PRESETS)] == list(PRESETS)


def test_the_names_and_defaults_of_the_settings_are_fixed() -> None:
    assert {name: setting.get("default") for name, setting in OWN["properties"].items()} == {
        "url": None,
        "server": None,
        "access_token": None,
        "username": None,
        "password": None,
        "verify_tls": True,
        "allow_http": False,
        "sync_path": "/custom/crm/sync.php",
        "preset": "daktela",
        "streams": None,
        "load_mode": "partial",
        "delete_missing": False,
        "max_delete_fraction": 0.1,
        "business_hours": None,
        "request_timeout": 300,
        "only_changed": True,
        "max_rejects": 100,
        "max_request_bytes": 20_000_000,
        "store_path": ".target-daktela-crm/{server}.sqlite3",
        "rejects_path": None,
        "dry_run": None,
        "phone_region": None,
        "unknown_company": "hold",
        "allow_missing_columns": False,
        "user_agent": None,
    }


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("preset", {}),
        ("load_mode", True),
        ("max_request_bytes", 4.5),
        ("max_delete_fraction", float("nan")),
        ("user_agent", "a\nb"),
        ("store_path", "~nobody-of-this-name/x"),
        ("store_path", "${STORE}/x"),
        ("business_hours", {"timezone": None, "days": ["mon"], "from": "08:00", "to": "18:00"}),
        ("business_hours", {"timezone": "UTC", "days": ["mon"], "from": "08:00", "to": "18:00", "til": "1"}),
        ("business_hours", {"timezone": "UTC", "days": ["mon"], "from": "0\u0668:00", "to": "18:00"}),
        ("business_hours", {"timezone": "UTC", "days": [None], "from": "08:00", "to": "18:00"}),
    ],
)
def test_further_invalid_values_are_reported_in_one_line(setting: str, value: Any) -> None:
    [line] = problems({"server": "acme", "access_token": "hush", setting: value}, SCHEMA, Needs.CREDENTIALS)
    assert line.startswith(setting)
