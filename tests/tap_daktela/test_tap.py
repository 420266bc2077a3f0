"""The command: each error of a user is one line that names the setting, and exit code 1."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tap_daktela.streams.definitions import STREAMS
from tests.markdown import blocks
from tests.simulator import Simulator, generate
from tests.tap_daktela import original
from tests.tap_daktela.running import ROOT, run_command, run_tap, settings

if TYPE_CHECKING:
    from pathlib import Path

GOOD: dict[str, Any] = {"url": "http://127.0.0.1:9", "server": "acme", "access_token": "x" * 40}


def without(*names: str) -> dict[str, Any]:
    return {name: value for name, value in GOOD.items() if name not in names}


BAD: list[tuple[str, str, dict[str, Any]]] = [
    ("no settings", "url", {}),
    ("no instance", "url", without("url", "server")),
    ("no credentials", "access_token", without("access_token")),
    ("user without password", "password", {**without("access_token"), "username": "robot"}),
    ("password without user", "username", {**without("access_token"), "password": "secret"}),
    ("token beside password", "access_token", {**GOOD, "username": "robot", "password": "secret"}),
    ("url beside instances", "instances", {**without("server", "access_token"), "instances": [without("url")]}),
    ("server beside instances", "instances", {"server": "a", "instances": [without("url")]}),
    ("one server twice", "server", {"instances": [GOOD, {**GOOD, "url": "http://127.0.0.1:10"}]}),
    (
        "equal keys of two instances",
        "prefix_keys",
        {"instances": [GOOD, {**GOOD, "server": "b"}], "prefix_keys": False},
    ),
    ("server with a slash", "server", {**GOOD, "server": "ac/me"}),
    ("url without scheme", "url", {**GOOD, "url": "acme.daktela.com"}),
    ("unreadable date", "start_date", {**GOOD, "start_date": "first of May"}),
    ("unreadable end", "end_date", {**GOOD, "end_date": "2026-13-01"}),
    ("end before start", "end_date", {**GOOD, "start_date": "2026-02-01", "end_date": "2026-01-01"}),
    ("unknown zone", "timezone", {**GOOD, "timezone": "Europe/Atlantis"}),
    ("zone of an instance", "timezone", {"instances": [{**GOOD, "timezone": "Mars"}]}),
    ("page too large", "page_size", {**GOOD, "page_size": 5000}),
    ("page of nothing", "page_size", {**GOOD, "page_size": 0}),
    ("negative settle time", "settle_minutes", {**GOOD, "settle_minutes": -1}),
    ("negative look-back", "lookback_minutes", {**GOOD, "lookback_minutes": -5}),
    ("unknown backend", "backend", {**GOOD, "backend": "quantum"}),
    ("no concurrency", "concurrency", {**GOOD, "concurrency": 0}),
    ("text for a number", "request_timeout", {**GOOD, "request_timeout": "soon"}),
    ("unknown mismatch rule", "on_type_mismatch", {**GOOD, "on_type_mismatch": "ignore"}),
    ("unknown spelling of datetimes", "datetimes", {**GOOD, "datetimes": "iso"}),
    ("unknown stream", "extra_fields", {**GOOD, "extra_fields": {"ticket": ["x"]}}),
    ("malformed field", "extra_fields", {**GOOD, "extra_fields": {"tickets": ["a..b"]}}),
    ("field that is there", "extra_fields", {**GOOD, "extra_fields": {"tickets": ["title"]}}),
    ("fields that are no list", "extra_fields.tickets", {**GOOD, "extra_fields": {"tickets": "title"}}),
    ("misspelt setting", "pagesize", {**GOOD, "pagesize": 10}),
    ("misspelt in an instance", "instances[0].acces_token", {"instances": [{**GOOD, "acces_token": "x"}]}),
]


@pytest.mark.parametrize(
    ("setting", "config"), [(setting, config) for _, setting, config in BAD], ids=[name for name, *_ in BAD]
)
def test_bad_settings_are_one_line_that_names_the_setting(setting: str, config: dict[str, Any]) -> None:
    run = run_tap(config)
    assert run.code == 1
    assert not run.messages
    (line,) = run.errors
    assert line.removeprefix("instances[0].").startswith(
        (f"{setting}: ", f"{setting.removeprefix('instances[0].')}: ")
    )
    assert "Traceback" not in run.log


def test_a_misspelt_setting_is_recognised() -> None:
    assert "did you mean page_size?" in run_tap({**GOOD, "pagesize": 10}).errors[0]


@pytest.mark.parametrize("secret", [{"access_token": "0" * 40}, {"username": "robot", "password": "wrong"}])
def test_wrong_credentials_are_one_line_that_names_the_setting(secret: dict[str, str]) -> None:
    with Simulator(generate(activities=20, tickets=5, seed=1)) as simulator:
        run = run_tap({"url": simulator.url, "server": "acme", **secret})
        lists = [request for request in simulator.requests if request.endpoint not in {"login", "whoim"}]
    assert run.code == 1
    line, summary = run.errors
    assert line.startswith("acme: ")
    assert all(f"{name}" in line for name in secret)
    assert "wrong" not in line
    assert summary.startswith(f"nothing could be read completely: {line}. The state")
    assert not lists
    assert "Traceback" not in run.log


def test_an_unknown_server_is_one_line() -> None:
    run = run_tap(
        {
            "server": "acme",
            "url": "https://no-such.invalid",
            "access_token": "x",
        }
    )
    assert run.code == 1
    assert len(run.errors) == 2
    assert "no such host" in run.errors[0]
    assert "https://no-such.invalid" in run.errors[0]


@pytest.mark.parametrize(
    ("name", "value"), [("page_size", "many"), ("instances", "[{"), ("extra_fields", "{"), ("start_date", "soon")]
)
def test_a_setting_in_the_environment_that_cannot_be_read_is_one_line(name: str, value: str) -> None:
    environment = {f"TAP_DAKTELA_{key.upper()}": text for key, text in {**GOOD, name: value}.items()}
    result = run_command(["--config", "ENV"], environment)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    (line,) = [line for line in result.stderr.splitlines() if "| ERROR " in line]
    assert f"| {name}: " in line


@pytest.mark.parametrize(
    "config", [{"instances": "x"}, {"extra_fields": "x"}, {"extra_fields": {"tickets": "abc"}}]
)
def test_discovery_refuses_settings_that_it_cannot_read(tmp_path: Path, config: dict[str, Any]) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    result = run_command(["--config", str(path), "--discover"])
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert "must be a" in result.stderr


def test_a_stream_map_that_cannot_be_read_is_one_line() -> None:
    run = run_tap({**GOOD, "stream_maps": {"tickets": {"x": "((("}}})
    assert run.code == 1
    assert len(run.errors) == 1
    assert run.errors[0].startswith("stream_maps: ")


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    result = run_command(["--config", str(tmp_path / "nowhere.json")])
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert "nowhere.json" in result.stderr


def test_discovery_needs_no_connection_and_no_settings() -> None:
    result = run_command(["--discover"])
    assert result.returncode == 0
    catalog = json.loads(result.stdout)
    assert {entry["tap_stream_id"] for entry in catalog["streams"]} == {stream.name for stream in STREAMS}
    chosen = {
        entry["tap_stream_id"]
        for entry in catalog["streams"]
        for item in entry["metadata"]
        if not item["breadcrumb"] and item["metadata"].get("selected-by-default")
    }
    assert chosen == set(original.DEFAULT)


def test_settings_come_from_the_environment_too() -> None:
    with Simulator(generate(activities=20, tickets=20, seed=1)) as simulator:
        environment = {
            "TAP_DAKTELA_URL": simulator.url,
            "TAP_DAKTELA_ACCESS_TOKEN": simulator.access_token,
            "TAP_DAKTELA_SERVER": "acme",
            "TAP_DAKTELA_PAGE_SIZE": "7",
        }
        result = run_command(["--config", "ENV"], environment)
    assert result.returncode == 0, result.stderr
    assert {request.query["take"] for request in simulator.requests if request.endpoint == "tickets"} == {7}


def test_a_loader_that_closes_its_input_ends_the_tap_with_one_line(tmp_path: Path) -> None:
    with Simulator(generate(activities=3000, tickets=20, seed=1)) as simulator:
        path = tmp_path / "config.json"
        path.write_text(json.dumps(settings(simulator)))
        with (
            (tmp_path / "log").open("w+") as log,
            subprocess.Popen(
                [sys.executable, "-m", "tests.tap_daktela.quick", "--config", str(path)],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=log,
            ) as process,
        ):
            assert process.stdout is not None
            process.stdout.readline()
            process.stdout.close()
            code = process.wait(60)
            log.seek(0)
            text = log.read()
    assert code == 1
    assert "closed its input: see its messages" in text
    assert "Traceback" not in text
    assert "Exception ignored" not in text


LOADER = """\
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message["type"] == "RECORD":
        print(message["stream"], file=open("loaded", "a"))
    elif message["type"] == "STATE":
        print(json.dumps(message["value"]), flush=True)
"""


def test_the_quick_start_keeps_the_state_between_runs(tmp_path: Path) -> None:
    """The commands of the page run with a loader that writes states as targets of the SDK do."""
    first, each = (block.text for block in blocks(ROOT / "docs" / "tap" / "quick-start.md", "text"))
    (tmp_path / "loader.py").write_text(LOADER)
    for name, arguments in (("tap-daktela", "-m tests.tap_daktela.quick"), ("target-jsonl", "loader.py")):
        (tmp_path / name).write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} {arguments} "$@"\n')
        (tmp_path / name).chmod(0o700)

    def run(commands: str) -> tuple[int, int, int]:
        (tmp_path / "loaded").write_text("")
        result = subprocess.run(
            ["bash", "-c", commands],  # noqa: S607
            cwd=tmp_path,
            env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
            capture_output=True,
            check=False,
        )
        loaded = (tmp_path / "loaded").read_text().split()
        return result.returncode, loaded.count("tickets"), loaded.count("accounts")

    with Simulator(generate(activities=20, tickets=50, seed=1)) as simulator:
        config = settings(simulator, lookback_minutes=0)
        accounts = len(simulator.dataset.tables["accounts"])
        (tmp_path / "config.json").write_text(json.dumps({**config, "access_token": "0" * 40}))
        assert run(first + each) == (1, 0, 0)
        (tmp_path / "config.json").write_text(json.dumps(config))
        code, tickets, _ = run(each)
        assert (code, tickets > 0) == (0, True)
        assert run(each) == (0, 0, accounts)


# --test


def check(simulator: Simulator, tmp_path: Path, **more: Any) -> tuple[int, str]:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(settings(simulator, **more)))
    result = run_command(["--config", str(path), "--test"])
    assert "Traceback" not in result.stderr
    return result.returncode, result.stdout + result.stderr


def test_test_checks_login_rights_and_each_stream(tmp_path: Path) -> None:
    with Simulator(generate(activities=900, tickets=100, seed=1)) as simulator:
        code, text = check(simulator, tmp_path)
    assert code == 0, text
    for stream in STREAMS:
        assert f"  {stream.name} " in text
    assert "acme: " in text
    assert "FAILED" not in text


def test_test_says_which_stream_the_account_may_not_read(tmp_path: Path) -> None:
    with Simulator(
        generate(activities=900, tickets=100, seed=1), forbidden={"templates"}, strip_items={"CHAT"}
    ) as simulator:
        code, text = check(simulator, tmp_path)
    assert code == 1
    failed = [line.split()[0] for line in text.splitlines() if "FAILED" in line]
    assert failed == ["activities", "activities_chat", "templates"] or set(failed) == {
        "templates",
        "activities",
        "activities_chat",
    }
    assert "lacks the right to read templates" in text


def test_test_does_not_fail_for_what_is_not_selected_by_default(tmp_path: Path) -> None:
    with Simulator(generate(activities=900, tickets=100, seed=1), forbidden={"users"}) as simulator:
        code, text = check(simulator, tmp_path)
    assert code == 0, text
    assert "not readable" in text


def test_test_names_the_credentials_that_are_refused(tmp_path: Path) -> None:
    with Simulator(generate(activities=10, tickets=5, seed=1)) as simulator:
        code, text = check(simulator, tmp_path, access_token="0" * 40)
    assert code == 1
    assert "check access_token" in text


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (
            "https://nowhere.invalid",
            "was not found (no such host: nowhere.invalid) (2 attempts); check url and server",
        ),
        ("http://127.0.0.1:9", "could not be reached (the connection was refused) (2 attempts)"),
        ("https://127.0.0.1:{port}", "failed in the TLS handshake"),
    ],
)
@pytest.mark.parametrize("credentials", [{"access_token": "x"}, {"username": "robot", "password": "secret"}])
def test_test_of_an_instance_that_cannot_be_reached_makes_two_attempts(
    tmp_path: Path, url: str, reason: str, credentials: dict[str, str]
) -> None:
    path = tmp_path / "config.json"
    with Simulator(generate(activities=10, tickets=5, seed=1)) as simulator:
        url = url.format(port=simulator.url.rpartition(":")[2])
        path.write_text(json.dumps({"server": "acme", "url": url, **credentials}))
        result = run_command(["--config", str(path), "--test"])
    assert result.returncode == 1
    text = result.stdout + result.stderr
    assert reason in text
    assert "(2 attempts)" in text
    assert "attempt 2 of 2 follows" in text


def test_a_url_with_an_ip_address_is_a_warning() -> None:
    with Simulator(generate(activities=20, tickets=5, seed=1)) as simulator:
        config = {name: value for name, value in settings(simulator).items() if name != "server"}
        run = run_tap({**config, "url": simulator.url})
    assert run.code == 0, run.log
    assert "127: the url has an IP address, so this is the name of the instance in all records" in run.log


def test_test_with_bad_settings_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**GOOD, "page_size": 5000}))
    result = run_command(["--config", str(path), "--test"])
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert "page_size: " in result.stderr
