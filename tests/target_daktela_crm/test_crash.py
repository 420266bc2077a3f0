"""The next run leads to the same result after any failure or kill at any time; no record is lost."""

from __future__ import annotations

import io
import json
import os
import random
import signal
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tap_daktela.api.client import Client
from tap_daktela.cli.errors import RunError
from target_daktela_crm.entities import Contact
from target_daktela_crm.store.schema import StoreError
from target_daktela_crm.store.store import Store, StoreOwner
from tests.simulator import Fault, Simulator, generate
from tests.target_daktela_crm.quick import QuickTarget
from tests.target_daktela_crm.running import (
    ROOT,
    SCHEMAS,
    Crm,
    Message,
    bookmark,
    company,
    contact,
    encoded,
    feed,
    record,
    start_target,
    state,
    stopped_target,
    wait_until,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SEEDS = range(6)
FAULT_KINDS = (
    *("500", "502-html", "503", "429", "429-date", "timeout", "reset", "close", "html", "error-200", "413"),
    *("applied-500", "applied-timeout", "applied-reset", "applied-close", "400", "truncated"),
)
MAX_REQUEST_BYTES = 2_500


def daily_messages(seed: int, days: int = 2) -> list[list[Message]]:
    """Return the messages of a tap for each of several days, with companies and contacts in random order."""
    rng = random.Random(seed)
    feeds = []
    for day in range(days):
        messages = [
            company(number, f"Company {number} on day {day} {'é' * rng.randrange(40)}")
            for number in range(8)
            if day == 0 or rng.random() < 0.4
        ]
        for number in range(30):
            if day == 0 or rng.random() < 0.4:
                company_id = rng.choice([None, *range(9)])
                notes = "x" * rng.randrange(200)
                messages.append(contact(number, company_id, f"Contact {number} on day {day}", description=notes))
        rng.shuffle(messages)
        feeds.append([*SCHEMAS, *messages, state(day + 1)])
    return feeds


@pytest.fixture
def send_without_failure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Return a function that sends messages without any failure and returns the contents of Daktela's CRM."""
    with Simulator(generate(activities=0, tickets=0, seed=1)) as simulator:

        def send(days: list[list[Message]]) -> dict[str, Any]:
            simulator.crm.clear()
            crm = Crm(simulator, tmp_path_factory.mktemp("without_failure"), max_request_bytes=MAX_REQUEST_BYTES)
            for day in days:
                assert sync(crm, day) == 0
            return dict(simulator.crm.snapshot())

        yield send


class Killed(BaseException):
    """Simulates that the process is killed."""


def sync(crm: Crm, messages: list[Message], **settings: Any) -> int:
    """Run the target in this process; return 0 if it succeeds, 1 if it fails or is killed."""
    target = QuickTarget(config={**crm.settings, **settings})
    try:
        target.listen(io.BytesIO(encoded(messages)))  # type: ignore[arg-type]
    except (RunError, Killed):
        # A killed process has the same effect: uncommitted changes are lost, and the lock is released.
        if "run" in vars(target):
            target.run.store.close()
        return 1
    return 0


@pytest.mark.promise("S5")
@pytest.mark.parametrize("kind", FAULT_KINDS)
def test_the_result_is_the_same_after_any_single_fault(
    crm: Crm, instance: Simulator, send_without_failure: Any, kind: str
) -> None:
    first, second = daily_messages(seed=11)
    expected = send_without_failure([first, second])
    # Only the first request gets a 400: a later request can contain a single contact, which a 400 would reject.
    for requests_before in (0,) if kind == "400" else (0, 3):
        instance.faults.append(Fault(kind, endpoint="sync", after=requests_before, retry_after=0.01, hang=0.4))
    settings = {"max_request_bytes": MAX_REQUEST_BYTES, "request_timeout": 0.2}

    codes = [sync(crm, first, **settings), sync(crm, second, **settings)]

    assert instance.crm.snapshot() == expected
    assert codes == [0, 0]
    assert not crm.rejects()


@pytest.mark.promise("S5")
@pytest.mark.promise("S4")
@pytest.mark.parametrize("seed", SEEDS)
def test_the_next_run_leads_to_the_same_result_after_a_kill_at_any_request(
    crm: Crm,
    send_without_failure: Any,
    seed: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    days = daily_messages(seed)
    expected = send_without_failure(days)
    capsys.readouterr()
    original_post, original_mark, original_commit = Client.post, Store.mark_accepted, Store.commit
    rng = random.Random(seed)
    requests_until_kill = 0
    kill_point = ""
    is_killed = False

    def kill_if_at(point: str) -> None:
        nonlocal is_killed
        if requests_until_kill == 0 and kill_point == point:
            is_killed = True
            raise Killed

    def post(client: Client, path: str, body: bytes, limits: Any) -> None:
        nonlocal requests_until_kill, kill_point
        requests_until_kill -= 1
        kill_point = rng.choice(["before sending", "before marking", "before committing"])
        kill_if_at("before sending")
        original_post(client, path, body, limits)
        kill_if_at("before marking")

    def mark_accepted(store: Store) -> None:
        original_mark(store)
        kill_if_at("before committing")

    monkeypatch.setattr(Client, "post", post)
    monkeypatch.setattr(Store, "mark_accepted", mark_accepted)
    # A killed process commits nothing.
    monkeypatch.setattr(Store, "commit", lambda store: None if is_killed else original_commit(store))
    kills = 0
    for day in days:
        requests_until_kill = 1
        capsys.readouterr()
        while sync(crm, day, max_request_bytes=MAX_REQUEST_BYTES):
            kills += 1
            assert not capsys.readouterr().out, "a killed run has written a state"
            is_killed = False
            requests_until_kill = 1 + rng.randrange(4)
            assert kills < 200
    assert crm.simulator.crm.snapshot() == expected
    assert kills > 2


@pytest.mark.promise("S5")
@pytest.mark.parametrize("lines", [0, 3, 17, 33, 45])
def test_the_next_run_leads_to_the_same_result_after_a_kill_while_reading(
    crm: Crm, instance: Simulator, send_without_failure: Any, lines: int
) -> None:
    days = daily_messages(seed=5)
    expected = send_without_failure(days)
    process = start_target({**crm.settings, "max_request_bytes": MAX_REQUEST_BYTES})
    assert process.stdin is not None
    process.stdin.write(encoded(days[0][:lines]))
    process.stdin.flush()
    if lines:
        wait_until(crm.store.exists)
    process.kill()
    output, _ = process.communicate()
    assert not output

    for day in days:
        assert sync(crm, day, max_request_bytes=MAX_REQUEST_BYTES) == 0
    assert instance.crm.snapshot() == expected


@pytest.mark.promise("S5")
@pytest.mark.parametrize("requests", [1, 2, 4])
def test_the_next_run_leads_to_the_same_result_after_a_kill_while_sending(
    crm: Crm, instance: Simulator, send_without_failure: Any, requests: int
) -> None:
    days = daily_messages(seed=6)
    expected = send_without_failure(days)
    instance.faults.append(Fault("slow", endpoint="sync", times=None, delay=0.05))

    run = stopped_target(
        {**crm.settings, "max_request_bytes": MAX_REQUEST_BYTES},
        encoded(days[0]),
        lambda: crm.requests() >= requests,
        signal.SIGKILL,
    )
    assert run.code == -signal.SIGKILL
    assert not run.states
    for day in days:
        assert sync(crm, day, max_request_bytes=MAX_REQUEST_BYTES) == 0
    assert instance.crm.snapshot() == expected


@pytest.mark.promise("S7")
def test_a_run_continues_where_the_last_one_stopped_and_repeats_at_most_one_request(
    crm: Crm, instance: Simulator
) -> None:
    [day] = daily_messages(seed=7, days=1)
    instance.faults.append(Fault("403", endpoint="sync", after=3, times=None))
    assert sync(crm, day, max_request_bytes=MAX_REQUEST_BYTES) == 1
    accepted = instance.crm.counts.contacts_written
    instance.faults.clear()

    assert sync(crm, day, max_request_bytes=MAX_REQUEST_BYTES) == 0
    written = instance.crm.counts.contacts_written
    assert accepted > 0
    assert written == len(instance.crm.contacts), "accepted contacts were sent again"


@pytest.mark.promise("S7")
def test_the_last_accepted_request_of_a_failed_run_is_not_repeated(crm: Crm, instance: Simulator) -> None:
    people = [contact(number, of=1) for number in range(5)]
    settings = {"max_request_bytes": MAX_REQUEST_BYTES, "max_rejects": 0}
    assert (
        crm.run(feed(company(1), *people, contact(9, description="x" * MAX_REQUEST_BYTES)), **settings).code == 1
    )
    assert len(crm.contacts()) == 5

    assert crm.run(feed(contact(9)), **settings).code == 0
    assert instance.crm.counts.contacts_written == 6


@pytest.mark.promise("S5")
@pytest.mark.parametrize("kind", ["applied-reset", "applied-500"])
def test_a_reverted_change_is_sent_after_a_request_whose_effect_is_unknown(
    crm: Crm, instance: Simulator, kind: str
) -> None:
    crm.run(feed(company(1, "First"), contact(7, of=1, name="First")))
    instance.faults.append(Fault(kind, endpoint="sync", times=None))
    crm.run(feed(company(1, "Second"), contact(7, of=1, name="Second")))
    assert (crm.companies()["1"]["name"], crm.contacts()["7"]["name"]) == ("Second", "Second")
    instance.faults.clear()

    crm.run(feed(company(1, "First"), contact(7, of=1, name="First")))

    assert (crm.companies()["1"]["name"], crm.contacts()["7"]["name"]) == ("First", "First")


@pytest.mark.promise("S4")
@pytest.mark.parametrize("kind", ["500", "html", "403", "404", "401", "redirect", "reset", "timeout"])
def test_no_state_is_written_if_a_request_cannot_be_delivered(crm: Crm, instance: Simulator, kind: str) -> None:
    instance.faults.append(Fault(kind, endpoint="sync", times=None, hang=0.4))

    run = crm.run(feed(company(1), contact(7, of=1)), request_timeout=0.2)

    assert run.code == 1
    assert not run.states
    assert not crm.rejects()
    assert "Traceback" not in run.log
    instance.faults.clear()
    again = crm.run(feed(bookmark=2))
    assert again.code == 0
    assert bookmark(again) == 2
    assert set(crm.contacts()) == {"7"}


@pytest.mark.promise("S4")
def test_state_is_written_with_contacts_on_hold_and_with_rejects(crm: Crm, instance: Simulator) -> None:
    instance.sync_poison = {"8"}
    run = crm.run(feed(contact(7, of=1), contact(8), contact("", name="without an id"), contact(9)))

    assert run.code == 1
    assert bookmark(run) == 1
    assert set(crm.contacts()) == {"9"}
    assert run.summary["on_hold"] == 1
    assert sorted(str(line["id"]) for line in crm.rejects()) == ["8", "None"]


@pytest.mark.promise("S3")
@pytest.mark.parametrize("seed", SEEDS)
def test_every_record_is_delivered_on_hold_or_rejected_with_a_reason(
    crm: Crm, instance: Simulator, seed: int
) -> None:
    rng = random.Random(seed)
    [messages] = daily_messages(seed, days=1)
    invalid = [record("contacts", id=number, fields="none") for number in range(100, 104)]
    instance.sync_poison = {str(rng.randrange(30)), str(rng.randrange(30))}
    crm.settings["max_request_bytes"] = MAX_REQUEST_BYTES
    messages = [*messages[:-1], *invalid, messages[-1]]

    run = crm.run(messages)

    contacts = [each["record"] for each in messages if each.get("stream") == "contacts" and "record" in each]
    companies = [each["record"] for each in messages if each.get("stream") == "companies" and "record" in each]
    received = {str(each["id"]) for each in contacts}
    company_ids = {str(each["id"]) for each in companies}
    on_hold = {
        str(each["id"])
        for each in contacts
        if each.get("company_id") is not None and str(each["company_id"]) not in company_ids
    }
    rejected = {line["id"] for line in crm.rejects() if line["stream"] == "contacts"}
    assert run.code == 1
    assert all(line["reason"] and line["record"] and line["time"] for line in crm.rejects())
    assert instance.sync_poison - on_hold <= rejected | {line["id"] for line in crm.rejects()}
    assert set(crm.contacts()) | on_hold | rejected == received
    assert not set(crm.contacts()) & rejected


@pytest.mark.promise("S4")
def test_an_empty_state_does_not_replace_another_one(crm: Crm) -> None:
    empty_states: list[Message] = [{"type": "STATE", "value": {}}, {"type": "STATE", "value": {"bookmarks": {}}}]

    run = crm.run([*feed(contact(7), bookmark=5), *empty_states])

    assert [bookmark(run)] == [5]
    assert not crm.run([*SCHEMAS, *empty_states]).states


@pytest.mark.promise("S8")
def test_only_the_owner_of_the_store_s_files_can_read_them(crm: Crm, tmp_path: Path) -> None:
    crm.run(feed(contact(7), contact("")))

    files = [path for path in tmp_path.iterdir() if path.name.startswith("acme")]
    assert {path.name for path in files} >= {"acme.sqlite3", "acme.rejects.jsonl"}
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


def test_numbers_in_a_state_stay_exact(crm: Crm) -> None:
    line = (
        b'{"type":"STATE","value":{"bookmarks":{"contacts":{"at":1700000000.1234567890,"long":'
        + b"1" * 30
        + b"}}}}\n"
    )
    run = crm.run(encoded(feed(contact(7), bookmark=None)) + line)
    assert run.code == 0
    assert "1700000000.1234567890" in run.output
    assert "1" * 30 in run.output


@pytest.mark.promise("S3")
@pytest.mark.parametrize(
    ("preset", "column", "last"),
    [
        *(("daktela", column, {"name": "Flat"}) for column in ("fields", "company", "description", "unmapped")),
        # The target buffers the records until the last record shows that the preset matches.
        ("zoho", "unmapped", {"Last_Name": "Flat"}),
        # The target stores the records until it has received all custom values.
        ("activecampaign", "email", {"first_name": "Flat"}),
    ],
)
def test_only_records_that_are_nested_too_deeply_are_rejected(
    crm: Crm, preset: str, column: str, last: dict[str, Any]
) -> None:
    # With about a thousand levels, some records can be decoded, but not encoded again.
    depths = [10, *range(190, 205), *range(900, 1010, 3), 100_000]
    records = b"".join(
        b'{"type":"RECORD","stream":"contacts","record":{"id":%d,"%s":%s1%s}}\n'
        % (depth, column.encode(), b'{"a":' * depth, b"}" * depth)
        for depth in depths
    )
    good = record("contacts", id=7, **last)
    run = crm.run(records + encoded([good, state({"at": 1})]), preset=preset, max_rejects=1000)
    rejected = crm.rejects()
    assert "Traceback" not in run.log
    assert run.code == 1
    assert len(run.states) == 1
    assert len(rejected) + len(crm.contacts()) == len(depths) + 1
    assert "7" in crm.contacts()
    # The message and the record are two of the 200 allowed levels.
    too_deep = [each for each in rejected if each["reason"].startswith("a line of the input")]
    assert len(too_deep) == sum(depth > 198 for depth in depths)
    assert crm.run([good], preset=preset).code == 0


@pytest.mark.promise("S3")
def test_only_records_with_json_texts_that_are_nested_too_deeply_are_rejected(crm: Crm) -> None:
    depths = [10, 500, *range(940, 1010), 1500, 3000, 6000, 100_000]
    leads = [record("leads", id=depth, name="Acme", contacts="[" * depth + "]" * depth) for depth in depths]
    run = crm.run([*leads, record("leads", id=7, name="Flat"), state({"at": 1})], preset="close", max_rejects=1000)
    assert "Traceback" not in run.log
    assert len(run.states) == 1
    assert {"10", "7"} <= {*crm.companies()}
    rejected = {str(each["record"]["id"]) for each in crm.rejects() if isinstance(each["record"], dict)}
    assert {*crm.companies()} | rejected == {"7", *map(str, depths)}


def test_a_state_may_be_nested_deeply(crm: Crm) -> None:
    line = b'{"type":"STATE","value":' + b'{"a":' * 400 + b"1" + b"}" * 400 + b"}\n"
    run = crm.run(encoded(feed(contact(7), bookmark=None)) + line)
    assert run.code == 0
    assert len(run.states) == 1


def test_a_store_keeps_its_owner_while_the_effect_of_a_request_is_unknown(tmp_path: Path) -> None:
    path = tmp_path / "acme.sqlite3"
    owner = StoreOwner("https://acme.daktela.com", "/sync", "daktela")
    store = Store.open(path, owner)
    store.begin_run()
    store.put(Contact("7", b'{"id":7}', None, None, deleted=False), "contacts", store.run_number)
    store.flush()
    store.link_contacts(detach_unknown=False)
    store.queue_changes(everything=False)
    store.mark_sending(store.entries())
    # The run is killed before it receives the answer.
    store.close()

    with pytest.raises(StoreError, match="belongs to url"):
        Store.open(path, replace(owner, url="https://other.daktela.com"))
    store = Store.open(path, owner)
    assert store.count_load().known == 1
    assert store.queue_changes(everything=False).contacts == 1
    store.close()


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full"])
def test_a_closed_or_full_standard_error_does_not_fail_the_run(tmp_path: Path, redirection: str) -> None:
    config, records = tmp_path / "config.json", tmp_path / "records.jsonl"
    settings = {"server": "acme", "access_token": "hush", "store_path": str(tmp_path / "s.sqlite3")}
    config.write_text(json.dumps({**settings, "dry_run": str(tmp_path / "requests")}), "utf-8")
    records.write_bytes(encoded(feed(company(1), contact(7, of=1))))
    command = (
        f"{sys.executable} -m tests.target_daktela_crm.quick --config {config} --input {records} {redirection}"
    )

    run = subprocess.run(["bash", "-c", command], cwd=ROOT, check=False)  # noqa: S607

    assert run.returncode == 0
    assert (tmp_path / "requests" / "request-00001.json").exists()

    quiet = {**os.environ, "TARGET_DAKTELA_CRM_LOGLEVEL": "WARNING"}
    process = subprocess.run(
        command.removesuffix(redirection).split(), cwd=ROOT, env=quiet, capture_output=True, check=True
    )
    assert process.stderr == b""
