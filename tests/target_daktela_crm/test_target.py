"""The command line: what a user gives wrong is one line, secrets stay out of sight, and the other commands."""

from __future__ import annotations

import itertools
import json
import signal
from typing import TYPE_CHECKING, Any

import pytest

from target_daktela_crm.store.schema import VERSION
from target_daktela_crm.store.store import Store, StoreOwner
from tests.simulator import Fault
from tests.target_daktela_crm.running import (
    SCHEMAS,
    Crm,
    company,
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
    from collections.abc import Callable
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
    "unknown_company": ({"unknown_company": "drop"}, "unknown_company"),
    "verify_tls": ({"verify_tls": "no"}, "verify_tls"),
    "allow_http": ({"allow_http": "no"}, "allow_http"),
    "a misspelt setting": ({"phone_regoin": "CZ"}, "phone_regoin"),
}


@pytest.mark.parametrize("name", NONSENSE)
def test_nonsense_in_a_setting_is_one_line(crm: Crm, name: str) -> None:
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


def test_every_setting_is_given_nonsense_somewhere() -> None:
    from target_daktela_crm.settings import SCHEMA  # noqa: PLC0415

    tried = {setting.split(".")[0] for _, setting in NONSENSE.values()}
    # Free text: every one will do.
    assert set(SCHEMA["properties"]) - tried == {"password", "user_agent"}


@pytest.mark.parametrize("content", [b"{", b"[1]"])
def test_a_configuration_that_is_none_is_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(content)
    for given in (path, tmp_path / "missing.json"):
        run = run_target(None, b"", "--config", str(given))
        assert run.code == 1
        assert len(run.errors) == 1, run.log
        assert "Traceback" not in run.log


def test_the_environment_serves_as_a_configuration(crm: Crm) -> None:
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
    assert run.errors == ["streams: what TARGET_DAKTELA_CRM_STREAMS holds cannot be read"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--deliver", "--status"], "commands of their own"),
        (["--accept-unknown"], "--deliver"),
        (["--deliver"], "there is no store"),
        (["--status"], "there is no store"),
    ],
)
def test_commands_that_cannot_be_are_one_line(crm: Crm, arguments: list[str], words: str) -> None:
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
def test_no_secret_and_no_whole_body_appears_anywhere(crm: Crm, instance: Simulator, kind: str) -> None:
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


def test_debug_logs_hold_no_secret_either(crm: Crm) -> None:
    run = run_target(
        crm.settings,
        encoded(feed(contact(7))),
        environment={"TARGET_DAKTELA_CRM_LOGLEVEL": "debug", "LOGLEVEL": "debug"},
    )
    assert run.code == 0
    assert crm.simulator.access_token not in run.log


def test_plain_http_is_refused_beyond_this_machine(crm: Crm) -> None:
    run = run_target({**crm.settings, "url": "http://192.0.2.1"}, encoded(feed(contact(7))))
    assert run.code == 1
    assert "allow_http" in run.errors[0]


# The store.


def test_a_store_that_is_in_use_is_one_line(crm: Crm) -> None:
    crm.run(feed(contact(7)))
    before = crm.requests()
    other = Store.open(crm.store, StoreOwner(crm.settings["url"], None, None))
    try:
        for arguments in ([], ["--status"], ["--deliver"]):
            run = run_target(crm.settings, encoded(feed(contact(8))), *arguments)
            assert run.code == 1
            assert "in use by another run" in run.errors[0]
            assert len(run.errors) == 1
    finally:
        other.close()
    assert crm.requests() == before
    assert crm.run(feed(contact(8))).code == 0


def _damage_head(content: bytes) -> bytes:
    return b"\x00" * 4096 + content[4096:]


def _damage_rest(content: bytes) -> bytes:
    return content[:4096] + b"\xff" * (len(content) - 4096)


@pytest.mark.parametrize("damage", [_damage_head, _damage_rest, lambda _: b"this is no database at all" * 200])
def test_a_damaged_store_is_one_line(crm: Crm, damage: Callable[[bytes], bytes]) -> None:
    crm.run(feed(*(contact(number) for number in range(50))))
    crm.store.write_bytes(damage(crm.store.read_bytes()))
    before = crm.requests()

    for run in (crm.run(feed(contact(8))), run_target(crm.settings, b"", "--status"), crm.deliver()):
        assert run.code == 1
        assert len(run.errors) == 1, run.errors
        assert str(crm.store) in run.errors[0]
        assert "Traceback" not in run.log
        assert not run.states
    assert crm.requests() == before


def test_a_store_of_a_newer_layout_and_a_foreign_database_are_one_line(crm: Crm) -> None:
    import sqlite3  # noqa: PLC0415

    for script, words in (
        (f"PRAGMA user_version = {VERSION + 1}", "newer version"),
        ("CREATE TABLE mine (x)", "no store of target-daktela-crm"),
    ):
        crm.store.unlink(missing_ok=True)
        connection = sqlite3.connect(crm.store)
        connection.execute(script)
        connection.commit()
        connection.close()
        run = crm.run(feed(contact(8)))
        assert run.code == 1
        assert words in run.errors[0]
        assert len(run.errors) == 1
    assert not crm.requests()


def test_a_store_that_cannot_be_made_is_one_line(crm: Crm, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    run = crm.run(feed(contact(8)), store_path=str(tmp_path / "file" / "store.sqlite3"))
    assert run.code == 1
    assert len(run.errors) == 1, run.log
    assert "Traceback" not in run.log


@pytest.mark.parametrize("setting", ["rejects_path", "dry_run", "store_path"])
@pytest.mark.parametrize("place", ["below a file", "a folder or file", "too long"])
def test_a_path_that_cannot_be_written_is_one_line_before_anything_is_sent(
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


def test_a_full_disk_under_the_rejects_is_one_line(crm: Crm) -> None:
    run = crm.run(feed(contact("")), rejects_path="/dev/full")
    assert run.code == 1
    assert len(run.errors) == 1, run.log
    assert not run.states


@pytest.mark.parametrize("schema_message", [None, True, [], {}, {"properties": None}, {"properties": []}])
def test_a_schema_that_is_none_is_one_line(crm: Crm, schema_message: Any) -> None:
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


def test_a_dry_run_that_did_not_arrive_is_not_a_real_one(crm: Crm) -> None:
    environment = {"TARGET_DAKTELA_CRM_DRY_RUN": "preview", "TARGET_DAKTELA_CRM_PHONE_REGION": "CZ"}
    run = run_target(crm.settings, encoded(feed(contact(7))), environment=environment)
    assert run.code == 1
    assert run.errors[0].startswith("dry_run: TARGET_DAKTELA_CRM_DRY_RUN is set, but did not arrive")
    assert not crm.requests()
    run = run_target(
        crm.settings, encoded(feed(contact(7))), environment={"TARGET_DAKTELA_CRM_PHONE_REGION": "CZ"}
    )
    assert run.code == 0
    assert any("TARGET_DAKTELA_CRM_PHONE_REGION is set, but did not arrive" in line for line in run.warnings)


# The other commands.


def test_status_tells_what_is_known(crm: Crm, instance: Simulator) -> None:
    instance.sync_poison = {"8"}
    crm.run(feed(company(1), contact(7, of=1), contact(8, of=1), contact(9, of=99)))
    settings = {name: crm.settings[name] for name in ("url", "store_path")}

    run = run_target(settings, b"", "--status")

    assert run.code == 0
    told = dict(line.split("  ", 1) for line in run.output.splitlines())
    told = {name: value.strip() for name, value in told.items()}
    assert told["runs"] == "1"
    assert told["companies"] == "1"
    assert told["contacts"] == "3"
    assert told["contacts to be sent"] == "1"
    assert told["contacts on hold"] == "1"
    assert told["rejects"].startswith("1 line")
    assert "1 contact" in told["last delivery"]
    assert told["staged"] == "nothing"
    crm.run(feed(contact(7, of=1)), load_mode="full", delete_missing=True)
    assert "not delivered" in run_target(settings, b"", "--status").output


def test_explain_shows_what_the_mapping_makes_and_sends_nothing(crm: Crm) -> None:
    people = [contact(number, of=1) for number in range(5)]
    odd = [record("contacts", name="no id"), {"type": "RECORD", "stream": "contacts", "record": [1]}]
    lines = encoded([*SCHEMAS, *people, *odd, company(1), record("notes", id=1)])

    run = run_target({"preset": "daktela"}, lines, "--explain")

    assert run.code == 0
    assert run.output.count("-> contact") == 3
    assert "-> contact 0 under company 1\n" in run.output
    assert told(run.output, "contact 0") == [
        ("id", "0", "from id"),
        ("name", '"Contact 0"', "from name"),
        ("firstname", '"Contact"', "from firstname"),
        ("lastname", '"0"', "from lastname"),
        ("description", "-", "nothing in description"),
        ("company", '"1"', "from company_id"),
        ("number", '"+42060200"', "from fields"),
        ("email", '"contact0@example.com"', "from fields"),
    ]
    assert "-> company 1" in run.output
    assert "notes: the mapping has no such stream" in run.output
    assert "contacts 6, companies 1, notes 1" in run.output
    assert not crm.requests()
    assert not crm.store.exists()


def test_explain_shows_what_is_rejected_and_left_out(crm: Crm) -> None:
    rows = [
        record("Contact", Id="003", Name="Eva", Phone="ask her"),
        record("Contact", Name="no id"),
        record("Account", Id="001", Name="Eva", IsPersonAccount=True, PersonContactId="003"),
        record("AccountContactRelation", Id="07", ContactId="003", AccountId="001", IsDirect=True),
    ]
    run = run_target({"preset": "salesforce"}, encoded(rows), "--explain")
    assert "-> rejected: id: is missing" in run.output
    assert "left out: 1 invalid phone number" in run.output
    assert ("number", "-", '["ask her"] of Phone: invalid values are left out') in told(run.output, "contact 003")
    assert "link of contact 003 to company 001 (primary)" in run.output
    assert not crm.requests()


def test_explain_tells_where_each_value_comes_from() -> None:
    rows = [
        record("Contact", Id="003", FirstName="", LastName=" Malá ", Phone="030 23125 014", HomePhone="nobody")
        | {"ignored": 1},
        record("Contact", Id="004", Email="Eva@Example.com", Phone="+49 30 23125-014", OtherPhone="030 23125 014"),
        record("Contact", Id="005", IsDeleted=True),
    ]
    streams = {"Contact": {"contact": {"fields": {"tier": ["Tier__c"]}, "company": None}}}
    run = run_target({"preset": "salesforce", "streams": streams}, encoded(rows), "--explain")

    assert told(run.output, "contact 003") == [
        ("id", '"003"', "from Id"),
        ("name", '"Malá"', """from joined(' ', FirstName, LastName)"""),
        ("firstname", "-", "nothing in FirstName"),
        ("lastname", '"Malá"', 'from LastName " Malá "'),
        ("description", "-", "nothing in Description"),
        ("number", '"030 23125 014"', "from Phone"),
        ("number", "-", '["nobody"] of HomePhone: invalid values are left out'),
        ("email", "-", "nothing in Email"),
        ("tier", "-", "nothing in Tier__c"),
    ]
    lines = told(run.output, "contact 004")
    assert ("name", '"eva@example.com"', "substituted") in lines
    assert ("number", "-", '"030 23125 014" of OtherPhone repeats an earlier one') in lines
    assert "-> contact 005: deleted in the CRM" in run.output
    assert "streams.Contact: no record has the column Tier__c" in run.output


def test_explain_waits_for_the_values_of_other_streams() -> None:
    values = [
        record("contact_custom_field_values", id=9, contact=11, field=1, value="01632 960501"),
        record("contact_custom_field_values", id=8, contact=11, field=1),
        record("contact_custom_field_values", field=1),
    ]
    rows = [*values, record("contacts", id="11", email="a@example.com"), record("contacts", id=None)]
    rows.append(record("contact_custom_fields", id=1, title="Telefon"))
    run = run_target({"preset": "activecampaign"}, encoded(rows), "--explain")

    assert run.code == 0
    [origin] = [origin for name, value, origin in told(run.output, "contact 11") if value == '"01632 960501"']
    assert origin.startswith("from contact_custom_field_values[?")
    assert "-> value 9 of 11" in run.output
    assert "-> definition 1" in run.output
    assert run.output.count("-> rejected: ") == 2


def test_explain_says_that_the_preset_is_another_tap_s() -> None:
    run = run_target({"preset": "zoho"}, encoded([record("contacts", id=1, first_name="Eva")]), "--explain")
    assert run.code == 0
    assert "contacts: no record has a column that the mapping reads; does the preset match the tap?" in run.output


def told(output: str, head: str) -> list[tuple[str, str, str]]:
    """Return what is told of a company or contact: attributes, values and origins."""
    block = output.split(f"-> {head}", 1)[1].split("\n", 1)[1]
    lines = itertools.takewhile(lambda line: line.startswith("       "), block.splitlines())
    return [(line[7:20].strip(), line[20:55].strip(), line[55:].strip()) for line in lines]


def test_input_may_be_a_file(crm: Crm, tmp_path: Path) -> None:
    path = tmp_path / "messages.jsonl"
    path.write_bytes(encoded(feed(contact(7, name="Ž\u2028"))))
    assert run_target(crm.settings, b"", "--input", str(path)).code == 0
    assert crm.contacts()["7"]["name"] == "Ž\u2028"


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
