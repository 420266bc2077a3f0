"""The command line, Singer messages and error messages."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

import pytest

from tests.simulator import Fault
from tests.target_daktela_crm.running import (
    SCHEMAS,
    Crm,
    contact,
    encoded,
    feed,
    finished,
    record,
    run_target,
    schema,
    start_target,
    wait_until,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.simulator import Simulator


SECRET = "hush-hush-0123456789"

NONSENSE: dict[str, tuple[dict[str, Any], str]] = {
    "no instance": ({"url": None, "server": None}, "url"),
    "url": ({"url": "acme"}, "url"),
    "url of plain http": ({"url": "http://acme.example.com"}, "url"),
    "server": ({"server": "ac me"}, "server"),
    "no credentials": ({"access_token": None}, "access_token"),
    "token and password": ({"password": SECRET}, "access_token"),
    "token with blanks": ({"access_token": f"{SECRET} x"}, "access_token"),
    "password alone": ({"access_token": None, "password": SECRET}, "username"),
    "sync_path": ({"sync_path": "/custom//crm?x=1"}, "sync_path"),
    "preset": ({"preset": "oracle"}, "preset"),
    "streams": ({"streams": ["contacts"]}, "streams"),
    "streams, attribute": ({"streams": {"contacts": {"contact": {"nmae": "x"}}}}, "streams.contacts.contact.nmae"),
    "streams, expression": (
        {"streams": {"contacts": {"contact": {"name": "a b"}}}},
        "streams.contacts.contact.name",
    ),
    "load_mode": ({"load_mode": "half"}, "load_mode"),
    "delete_missing": ({"delete_missing": "yes"}, "delete_missing"),
    "delete_missing without full": ({"delete_missing": True}, "delete_missing"),
    "max_delete_fraction": ({"max_delete_fraction": 1.5}, "max_delete_fraction"),
    "business_hours": ({"business_hours": "always"}, "business_hours"),
    "business_hours, parts": ({"business_hours": {"timezone": "UTC"}}, "business_hours"),
    "request_timeout": ({"request_timeout": 0}, "request_timeout"),
    "request_timeout without end": ({"request_timeout": 1e30}, "request_timeout"),
    "only_changed": ({"only_changed": 1}, "only_changed"),
    "max_rejects": ({"max_rejects": -1}, "max_rejects"),
    "max_request_bytes": ({"max_request_bytes": 12}, "max_request_bytes"),
    "store_path": ({"store_path": ["x"]}, "store_path"),
    "store_path with a variable": ({"store_path": "$HOME/x"}, "store_path"),
    "rejects_path": ({"rejects_path": 3}, "rejects_path"),
    "dry_run": ({"dry_run": True}, "dry_run"),
    "phone_region": ({"phone_region": "Czechia"}, "phone_region"),
    "allow_missing_columns": ({"allow_missing_columns": "maybe"}, "allow_missing_columns"),
    "unknown_company": ({"unknown_company": "drop"}, "unknown_company"),
    "verify_tls": ({"verify_tls": "no"}, "verify_tls"),
    "allow_http": ({"allow_http": "no"}, "allow_http"),
    "a misspelt setting": ({"phone_regoin": "CZ"}, "phone_regoin"),
}


@pytest.mark.parametrize("name", NONSENSE)
def test_an_invalid_setting_is_reported_in_one_line(crm: Crm, name: str) -> None:
    change, setting = NONSENSE[name]
    settings = {"url": "https://acme.example.com", "access_token": SECRET, **change}

    run = run_target(settings, encoded(feed(contact(7))))

    assert run.code == 1
    assert len(run.errors) == 1, run.errors
    assert run.errors[0].startswith(f"{setting}: ")
    assert "Traceback" not in run.log
    assert SECRET not in run.log
    assert not run.output
    assert not crm.requests()


def test_almost_every_setting_has_an_invalid_example() -> None:
    from target_daktela_crm.inputs.settings import SCHEMA  # noqa: PLC0415

    tried = {setting.split(".")[0] for _, setting in NONSENSE.values()}
    # Any text is valid for these.
    assert set(SCHEMA["properties"]) - tried == {"password", "user_agent"}


@pytest.mark.parametrize("content", [b"{", b"[1]"])
def test_an_unreadable_configuration_is_reported_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(content)
    for given in (path, tmp_path / "missing.json"):
        run = run_target(None, b"", "--config", str(given))
        assert run.code == 1
        assert len(run.errors) == 1, run.log
        assert "Traceback" not in run.log


def test_settings_may_come_from_the_environment(crm: Crm) -> None:
    names = ("url", "server", "access_token", "store_path")
    environment = {f"TARGET_DAKTELA_CRM_{name.upper()}": str(crm.settings[name]) for name in names}
    streams = json.dumps({"people": {"contact": {"id": "id", "name": "name"}}})

    run = run_target(
        None,
        encoded([schema("people"), record("people", id=7, name="Eva")]),
        "--config=ENV",
        environment={**environment, "TARGET_DAKTELA_CRM_STREAMS": streams},
    )
    assert run.code == 0, run.log
    assert set(crm.contacts()) == {"7"}

    run = run_target(None, b"", "--config=ENV", environment={**environment, "TARGET_DAKTELA_CRM_STREAMS": "{"})
    assert run.code == 1
    assert run.errors == ["streams: TARGET_DAKTELA_CRM_STREAMS in the environment must be JSON"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--deliver", "--status"], "cannot be combined"),
        (["--accept-unknown"], "--deliver"),
        (["--deliver"], "there is no store"),
        (["--status"], "there is no store"),
    ],
)
def test_contradicting_options_are_reported_in_one_line(crm: Crm, arguments: list[str], words: str) -> None:
    run = run_target(crm.settings, b"", *arguments)
    assert run.code == 1
    assert len(run.errors) == 1
    assert words in run.errors[0]


def test_about_and_version_need_no_settings() -> None:
    assert "target-daktela-crm v" in run_target(None, b"", "--version").output
    about = json.loads(run_target(None, b"", "--about", "--format=json").output)
    names = set(about["settings"]["properties"])
    assert {"preset", "store_path", "stream_maps", "flattening_enabled"} <= names
    assert not names & {"load_method", "batch_size_rows", "add_record_metadata", "validate_records"}


# Secrets.


@pytest.mark.parametrize("kind", ["400", "401", "500", "redirect", "html", "reset"])
def test_no_secret_and_no_request_body_is_logged_or_stored(crm: Crm, instance: Simulator, kind: str) -> None:
    instance.faults.append(Fault(kind, endpoint="sync", times=None))
    instance.password = SECRET
    del crm.settings["access_token"]
    people = [contact(number, name=f"Somebody {number}") for number in range(30)]

    run = crm.run(feed(*people), username="robot", password=SECRET)

    assert run.code == 1
    tokens = [*instance.tokens.by_access, SECRET]
    seen = run.log + run.output + crm.store.read_bytes().decode("latin-1")
    assert not [token for token in tokens if token in seen]
    assert sum(f"Somebody {number}" in run.log for number in range(30)) == 0
    assert all("accessToken" not in request.target for request in instance.requests)


def test_debug_logs_contain_no_secret(crm: Crm) -> None:
    run = run_target(
        crm.settings,
        encoded(feed(contact(7))),
        environment={"TARGET_DAKTELA_CRM_LOGLEVEL": "debug", "LOGLEVEL": "debug"},
    )
    assert run.code == 0
    assert crm.simulator.access_token not in run.log


def test_plain_http_is_refused_except_on_loopback(crm: Crm) -> None:
    run = run_target({**crm.settings, "url": "http://192.0.2.1"}, encoded(feed(contact(7))))
    assert run.code == 1
    assert "allow_http" in run.errors[0]


@pytest.mark.parametrize("setting", ["rejects_path", "dry_run", "store_path"])
@pytest.mark.parametrize("place", ["below a file", "a folder or file", "too long"])
def test_a_path_that_cannot_be_written_is_reported_before_anything_is_sent(
    crm: Crm, tmp_path: Path, setting: str, place: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    paths = {
        "below a file": tmp_path / "file" / "x",
        "a folder or file": tmp_path / ("file" if setting == "dry_run" else "folder"),
        "too long": tmp_path / ("x" * 300),
    }
    run = crm.run(feed(contact(7)), **{setting: str(paths[place])})
    assert run.code == 1
    assert len(run.errors) == 1, run.log
    assert "Traceback" not in run.log
    assert not crm.requests()


@pytest.mark.parametrize("schema_message", [None, True, [], {}, {"properties": None}, {"properties": []}])
def test_an_invalid_schema_message_is_reported_in_one_line(crm: Crm, schema_message: Any) -> None:
    message = {"type": "SCHEMA", "stream": "contacts", "schema": schema_message, "key_properties": []}
    for run in (crm.run([message, contact(7)]), crm.run([{"type": "SCHEMA"}, message], stream_maps={"x": None})):
        assert run.code == 1
        assert len(run.errors) == 1, run.log
        assert "Traceback" not in run.log


def test_a_stream_map_that_fails_rejects_the_record(crm: Crm) -> None:
    properties = {"id": {"type": "integer"}, "name": {"type": "string"}}
    typed = {**schema("contacts"), "schema": {"type": "object", "properties": properties}}
    run = crm.run([typed, record("contacts", id=7, name="x")], stream_maps={"contacts": {"name": "str(1/0)"}})
    assert run.code == 1
    assert "Traceback" not in run.log
    assert "ZeroDivisionError" in crm.rejects()[0]["reason"]


@pytest.mark.promise("S9")
def test_a_dry_run_setting_that_meltano_does_not_pass_on_stops_the_run(crm: Crm) -> None:
    environment = {"TARGET_DAKTELA_CRM_DRY_RUN": "preview", "TARGET_DAKTELA_CRM_PHONE_REGION": "CZ"}
    run = run_target(crm.settings, encoded(feed(contact(7))), environment=environment)
    assert run.code == 1
    assert run.errors[0].startswith("dry_run: TARGET_DAKTELA_CRM_DRY_RUN is set in the environment, but")
    assert not crm.requests()
    run = run_target(
        crm.settings, encoded(feed(contact(7))), environment={"TARGET_DAKTELA_CRM_PHONE_REGION": "CZ"}
    )
    assert run.code == 0
    assert any("TARGET_DAKTELA_CRM_PHONE_REGION is set in the environment, but" in line for line in run.warnings)


def test_the_input_may_be_a_file(crm: Crm, tmp_path: Path) -> None:
    path = tmp_path / "messages.jsonl"
    path.write_bytes(encoded(feed(contact(7, name="Ž\u2028"))))
    assert run_target(crm.settings, b"", "--input", str(path)).code == 0
    assert crm.contacts()["7"]["name"] == "Ž\u2028"


def test_a_signal_ends_a_wait_at_once(crm: Crm, instance: Simulator) -> None:
    instance.faults.append(Fault("429", "sync", times=None, retry_after=500))
    process = start_target(crm.settings)
    assert process.stdin is not None
    process.stdin.write(encoded(feed(contact(7))))
    process.stdin.close()
    wait_until(lambda: crm.requests() == 1)
    process.send_signal(signal.SIGTERM)
    process.stdin = None
    output, log = process.communicate(timeout=60)
    run = finished(process.returncode, output, log)
    assert run.code == 128 + signal.SIGTERM
    assert not run.states
    assert crm.requests() == 1


def test_a_second_signal_does_no_harm(crm: Crm, instance: Simulator) -> None:
    instance.faults.append(Fault("slow", endpoint="sync", delay=1))
    process = start_target(crm.settings)
    assert process.stdin is not None
    process.stdin.write(encoded(feed(contact(7))))
    process.stdin.close()
    wait_until(lambda: crm.requests() == 1)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGTERM)
    process.stdin = None
    output, log = process.communicate(timeout=30)
    run = finished(process.returncode, output, log)
    assert run.code == 128 + signal.SIGTERM
    assert not run.states
    assert "Traceback" not in run.log


@pytest.mark.promise("S2")
def test_activate_version_deletes_nothing(crm: Crm) -> None:
    version = [{"type": "ACTIVATE_VERSION", "stream": stream, "version": 1} for stream in ("contacts", "notes")]
    crm.run(feed(contact(7), contact(8)))
    run = crm.run([*SCHEMAS, *version, contact(7), *version])
    assert run.code == 0
    assert set(crm.contacts()) == {"7", "8"}
    assert all("delete" not in body for body in crm.bodies())


def test_a_record_before_its_schema_is_accepted_unless_stream_maps_need_the_schema(crm: Crm) -> None:
    assert crm.run([contact(7), *SCHEMAS]).code == 0
    assert set(crm.contacts()) == {"7"}
    run = crm.run([contact(8), *SCHEMAS], stream_maps={"contacts": {"name": "name"}})
    assert run.code == 1
    assert "before its SCHEMA message" in run.errors[0]
    assert len(run.errors) == 1


def test_stream_maps_change_and_filter_records(crm: Crm) -> None:
    maps = {"people": {"__alias__": "contacts", "id": "id", "name": "name.upper()", "__filter__": "id != 8"}}
    properties = {"id": {"type": "integer"}, "name": {"type": "string"}}
    people = {**schema("people"), "schema": {"type": "object", "properties": properties}}
    run = crm.run([people, record("people", id=7, name="Eva"), record("people", id=8, name="x")], stream_maps=maps)
    assert run.code == 0, run.log
    assert {key: entry["name"] for key, entry in crm.contacts().items()} == {"7": "EVA"}


def test_batch_messages_stop_the_run_with_one_line(crm: Crm) -> None:
    batch = {"type": "BATCH", "stream": "contacts", "encoding": {"format": "jsonl"}, "manifest": []}
    run = crm.run([*SCHEMAS, batch])
    assert run.code == 1
    assert "BATCH" in run.errors[0]
    assert len(run.errors) == 1
