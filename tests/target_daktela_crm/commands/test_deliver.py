"""`--deliver`: the delivery of a staged load with `delete`, and what it refuses."""

from __future__ import annotations

import json
import signal
import sqlite3
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tap_daktela.cli.errors import InputError
from target_daktela_crm.commands.deliver import _check_complete
from target_daktela_crm.store.store import Store, StoreOwner
from tests.simulator import Fault
from tests.target_daktela_crm.running import (
    SCHEMAS,
    Crm,
    Message,
    bookmark,
    company,
    contact,
    encoded,
    feed,
    finished,
    record,
    run_target,
    schema,
    start_target,
    stopped_target,
    wait_until,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.simulator import Simulator
    from tests.target_daktela_crm.running import Message, Run

STAGED = {"load_mode": "full", "delete_missing": True}
FULL = {"load_mode": "full"}
MANY = [company(1), *(contact(number, of=1) for number in range(20))]
ONE_GONE = MANY[:-1]
OTHER = {"number": ["+420601000000"]}


def deletes(crm: Crm) -> list[bool | None]:
    """Return the value of `delete` in each request, or None if it is left out."""
    return [body.get("delete") for body in crm.bodies()]


@pytest.fixture
def ready(crm: Crm) -> Crm:
    """Return a target after a full load of twenty contacts, with a staged load of nineteen."""
    assert crm.run(feed(*MANY), **FULL).code == 0
    assert crm.run(feed(*ONE_GONE), **STAGED).code == 0
    return crm


def refused(run: Run, words: str) -> None:
    """Check that a run failed with one line that contains `words`."""
    assert run.code == 1
    assert [words in line for line in run.errors].count(True) == 1, run.log
    assert "Traceback" not in run.log


@pytest.mark.promise("S2")
def test_a_staged_load_is_delivered_in_one_request_that_deletes_all_other_contacts(
    ready: Crm, instance: Simulator
) -> None:
    before = ready.requests()

    run = ready.deliver("--accept-unknown")

    assert run.code == 0, run.log
    assert ready.requests() == before + 1
    assert deletes(ready) == [None] * before + [True]
    [body] = ready.bodies()[before:]
    assert len(body["data"][0]["contacts"]) == 19
    assert set(instance.crm.contacts) == {str(number) for number in range(19)}
    assert not run.states


@pytest.mark.promise("S2")
@pytest.mark.promise("S4")
@pytest.mark.promise("S9")
def test_staging_sends_nothing_and_writes_no_state(crm: Crm) -> None:
    run = crm.run(feed(*MANY), **STAGED)

    assert run.code == 0
    assert not crm.requests()
    assert not run.states
    assert "staged, nothing sent: 20 contacts" in run.log


@pytest.mark.promise("S2")
@pytest.mark.parametrize("mode", [{}, FULL, {"only_changed": False}, STAGED, {"unknown_company": "detach"}])
@pytest.mark.parametrize("kind", [None, "413", "400", "timeout", "500"])
def test_a_run_never_sends_delete(crm: Crm, instance: Simulator, mode: dict[str, Any], kind: str | None) -> None:
    if kind:
        instance.faults.append(Fault(kind, endpoint="sync", times=2, hang=0.4))

    crm.run(feed(*MANY), **mode, request_timeout=0.2, max_request_bytes=1000)

    assert all("delete" not in body for body in crm.bodies())


@pytest.mark.promise("S2")
@pytest.mark.parametrize(
    "kind", ["413", "400", "422-poison", "500", "timeout", "reset", "html", "error-200", "401", "302"]
)
def test_a_delivery_is_never_split_or_changed(ready: Crm, instance: Simulator, kind: str) -> None:
    before = ready.requests()
    if kind == "422-poison":
        instance.sync_poison, instance.sync_poison_status = {"3"}, 422
    else:
        names = {"302": "redirect"}
        instance.faults.append(Fault(names.get(kind, kind), endpoint="sync", times=None, hang=0.4))

    run = ready.deliver("--accept-unknown", request_timeout=0.2)

    bodies = [request.body for request in instance.requests if request.endpoint == "sync"][before:]
    assert run.code == 1
    assert len(run.errors) == 1, run.errors
    assert len(set(bodies)) == 1
    assert len(bodies) == (6 if kind in {"500", "timeout", "reset", "html", "error-200"} else 1)
    assert len(instance.crm.contacts) == 20
    # The load is still staged, and can be delivered again.
    instance.faults.clear()
    instance.sync_poison = set()
    assert ready.deliver("--accept-unknown").code == 0
    assert len(instance.crm.contacts) == 19


@pytest.mark.promise("S2")
@pytest.mark.promise("S5")
@pytest.mark.parametrize("kind", ["500", "timeout", "reset", "applied-timeout", "applied-reset", "applied-500"])
def test_after_a_delivery_with_an_unknown_outcome_the_load_counts_as_undelivered(
    ready: Crm, instance: Simulator, kind: str
) -> None:
    instance.faults.append(Fault(kind, endpoint="sync", times=6, hang=0.4))
    run = ready.deliver("--accept-unknown", request_timeout=0.2)
    assert "unknown" in run.errors[0]

    again = ready.run(feed())

    assert again.code == 0
    assert again.summary["delivered"] == {"companies": 1, "contacts": 19}


@pytest.mark.promise("S2")
def test_a_refusal_after_a_lost_answer_leaves_the_outcome_unknown(ready: Crm, instance: Simulator) -> None:
    instance.faults += [Fault("applied-reset", endpoint="sync"), Fault("400", endpoint="sync")]
    run = ready.deliver("--accept-unknown")
    assert "unknown" in run.errors[0]
    assert ready.run(feed()).summary["delivered"]["contacts"] == 19


@pytest.mark.promise("S2")
@pytest.mark.parametrize("kind", ["413", "400", "403"])
def test_after_a_delivery_that_was_certainly_refused_nothing_is_sent_again(
    ready: Crm, instance: Simulator, kind: str
) -> None:
    instance.faults.append(Fault(kind, endpoint="sync"))
    assert ready.deliver("--accept-unknown").code == 1
    before = ready.requests()

    assert ready.run(feed()).code == 0
    assert ready.requests() == before


@pytest.mark.promise("S2")
@pytest.mark.promise("S5")
def test_after_a_kill_during_a_delivery_the_load_counts_as_undelivered(ready: Crm, instance: Simulator) -> None:
    instance.faults.append(Fault("applied-timeout", endpoint="sync", hang=30))
    before = ready.requests()
    names = ("url", "server", "access_token", "store_path")

    def kill(number: signal.Signals) -> Run:
        process = start_target({name: ready.settings[name] for name in names}, "--deliver", "--accept-unknown")
        wait_until(lambda: ready.requests() > before)
        process.send_signal(number)
        output, log = process.communicate(timeout=30)
        return finished(process.returncode, output, log)

    run = kill(signal.SIGTERM)

    assert run.code == 128 + signal.SIGTERM
    assert ready.requests() == before + 1
    again = ready.run(feed())
    assert again.summary["delivered"] == {"companies": 1, "contacts": 19}
    assert len(instance.crm.contacts) == 19


@pytest.mark.promise("S2")
@pytest.mark.promise("S4")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("mode", [{}, FULL, STAGED])
def test_a_signal_stops_a_run_without_further_requests_and_without_state(
    crm: Crm, instance: Simulator, mode: dict[str, Any], number: signal.Signals
) -> None:
    instance.faults.append(Fault("slow", endpoint="sync", times=None, delay=0.3))
    sends = not mode.get("delete_missing")

    run = stopped_target(
        {**crm.settings, **mode, "max_request_bytes": 1000},
        encoded(feed(*MANY)),
        lambda: bool(crm.requests()) if sends else crm.store.exists(),
        number,
    )

    assert not run.states
    assert "Traceback" not in run.log
    if sends:
        assert run.code == 128 + number
        assert crm.requests() <= 2
    assert all("delete" not in body for body in crm.bodies())


@pytest.mark.promise("S2")
def test_a_signal_while_reading_prevents_staging(ready: Crm) -> None:
    process = start_target({**ready.settings, **STAGED})
    assert process.stdin is not None
    assert process.stderr is not None
    process.stdin.write(encoded([*SCHEMAS, *MANY, record("others", id=1)]))
    process.stdin.flush()
    # After this message, the target has read all records.
    assert any(b"the mapping has no such stream" in line for line in process.stderr)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=30)

    assert process.returncode == 128 + signal.SIGTERM
    assert not output
    refused(ready.deliver("--accept-unknown"), "not that of the last run")


# What `--deliver` refuses.


@pytest.mark.promise("S2")
def test_deliver_refuses_if_nothing_is_staged(crm: Crm) -> None:
    crm.run(feed(*MANY), **FULL)
    refused(crm.deliver("--accept-unknown"), "nothing is staged")


@pytest.mark.promise("S2")
def test_deliver_refuses_if_there_is_no_store(crm: Crm) -> None:
    refused(crm.deliver(), "there is no store")
    assert not crm.store.exists()


@pytest.mark.promise("S2")
def test_deliver_refuses_without_an_earlier_full_load(crm: Crm) -> None:
    crm.run(feed(*MANY), **STAGED)
    refused(crm.deliver("--accept-unknown"), "baseline")
    assert not crm.requests()


@pytest.mark.promise("S2")
def test_deliver_refuses_after_partial_loads_only(crm: Crm) -> None:
    crm.run(feed(*MANY))
    crm.run(feed(*MANY), **STAGED)
    refused(crm.deliver("--accept-unknown"), "baseline")


@pytest.mark.promise("S2")
def test_deliver_refuses_after_a_full_load_that_failed(crm: Crm, instance: Simulator) -> None:
    instance.faults.append(Fault("403", endpoint="sync"))
    crm.run(feed(*MANY), **FULL)
    crm.run(feed(*MANY), **STAGED)
    refused(crm.deliver("--accept-unknown"), "baseline")


@pytest.mark.promise("S2")
def test_the_first_delivery_needs_accept_unknown(ready: Crm, instance: Simulator) -> None:
    earlier = {"id": 555, "name": "Old", "firstname": None, "lastname": None, "description": None, "fields": []}
    nobody = {"id": None, "name": None, "description": None, "contacts": [earlier]}
    instance.crm.seed([nobody], born=[{**earlier, "id": "born"}])
    before = ready.requests()

    refused(ready.deliver(), "--accept-unknown")
    assert ready.requests() == before

    assert ready.deliver("--accept-unknown").code == 0
    assert "555" not in instance.crm.contacts
    assert instance.crm.born


def test_the_second_delivery_does_not_need_accept_unknown(ready: Crm) -> None:
    assert ready.deliver("--accept-unknown").code == 0
    assert ready.run(feed(*ONE_GONE[:-1]), **STAGED).code == 0
    assert ready.deliver().code == 0
    assert len(ready.contacts()) == 18


@pytest.mark.promise("S2")
def test_deliver_refuses_an_empty_load(ready: Crm) -> None:
    before = ready.requests()
    assert ready.run(feed(), **STAGED).code == 0
    refused(ready.deliver("--accept-unknown"), "is empty")
    assert ready.run(b"", **STAGED).code == 0
    refused(ready.deliver("--accept-unknown"), "is empty")
    assert ready.run(feed(company(1)), **STAGED).code == 0
    refused(ready.deliver("--accept-unknown"), "is empty")
    assert ready.requests() == before


@pytest.mark.promise("S2")
def test_deliver_refuses_a_load_larger_than_one_request(crm: Crm) -> None:
    crm.run(feed(*MANY), **FULL)
    crm.run(feed(*ONE_GONE), **STAGED, max_request_bytes=3000)
    before = crm.requests()
    refused(crm.deliver("--accept-unknown"), "max_request_bytes")
    assert crm.requests() == before


@pytest.mark.promise("S2")
def test_deliver_refuses_a_load_with_contacts_on_hold(crm: Crm) -> None:
    crm.run(feed(*MANY), **FULL)
    crm.run(feed(*MANY, contact(77, of=99)), **STAGED)
    refused(crm.deliver("--accept-unknown"), "1 contact is on hold (77 of company 99)")


@pytest.mark.promise("S2")
@pytest.mark.parametrize(
    ("more", "settings"),
    [
        ([contact("", name="without an id")], {}),
        ([contact(77, of=99)], {"unknown_company": "reject"}),
    ],
)
def test_deliver_refuses_a_load_with_rejected_contacts(
    crm: Crm, more: list[Message], settings: dict[str, Any]
) -> None:
    crm.run(feed(*MANY), **FULL)
    assert crm.run(feed(*MANY, *more), **STAGED, **settings).code == 1
    refused(crm.deliver("--accept-unknown"), "rejected")


@pytest.mark.promise("S2")
def test_deliver_refuses_a_load_with_a_rejected_line(crm: Crm) -> None:
    crm.run(feed(*MANY), **FULL)
    assert crm.run(b"what?\n" + encoded(feed(*MANY)), **STAGED).code == 1
    refused(crm.deliver("--accept-unknown"), "rejected")


@pytest.mark.promise("S2")
def test_deliver_refuses_a_load_whose_input_was_cut_off(crm: Crm) -> None:
    crm.run(feed(*MANY), **FULL)
    lines = encoded([*SCHEMAS, *MANY])
    run = crm.run(lines[:-20], **STAGED)
    refused(run, "middle of a line")
    refused(crm.deliver("--accept-unknown"), "middle of a line")


@pytest.mark.promise("S2")
def test_deliver_refuses_a_load_without_a_stream_of_an_earlier_load(crm: Crm) -> None:
    lonely = [contact(number) for number in range(20)]
    crm.run(feed(*MANY), **FULL)
    crm.run(feed(*lonely), **STAGED)
    refused(crm.deliver("--accept-unknown"), "no record of companies")


@pytest.mark.promise("S2")
def test_deliver_refuses_a_load_without_the_links_of_an_earlier_load(crm: Crm) -> None:
    links = {"links": {"link": {"contact": "contact", "company": "company"}}}
    crm.settings["streams"] = links
    crm.run([schema("links", "contact"), record("links", contact=1, company=1), *feed(*MANY)], **FULL)
    crm.run([schema("links", "contact"), *feed(*MANY)], **STAGED)
    refused(crm.deliver("--accept-unknown"), "no record of links")
    # A stream that is removed from the mapping is not missing.
    crm.run(feed(*MANY), **STAGED, streams={})
    assert crm.deliver("--accept-unknown").code == 0


@pytest.mark.promise("S2")
def test_deliver_refuses_a_load_without_an_alias_of_an_earlier_load(crm: Crm) -> None:
    crm.settings["streams"] = {"contacts": {"aliases": ["leads"]}}
    leads = [{**contact(number), "stream": "Leads"} for number in range(50, 54)]
    many = [contact(number) for number in range(60)]
    crm.run(feed(*many, *leads), **FULL)
    crm.run(feed(*many), **STAGED)
    refused(crm.deliver("--accept-unknown"), "no record of leads")


@pytest.mark.promise("S2")
def test_deliver_refuses_while_a_contact_of_an_earlier_run_is_on_hold(crm: Crm) -> None:
    crm.run(feed(*MANY), **FULL)
    crm.run(feed(contact(99, of=55)))
    crm.run(feed(*MANY), **STAGED)
    refused(crm.deliver("--accept-unknown"), "1 contact is on hold (99 of company 55)")


@pytest.mark.promise("S2")
def test_contacts_that_daktela_may_have_count_as_known(crm: Crm, instance: Simulator) -> None:
    crm.run(feed(*MANY), **FULL)
    instance.faults.append(Fault("applied-reset", endpoint="sync", times=None))
    crm.run(feed(*(contact(number, of=1) for number in range(20, 40))))
    instance.faults.clear()
    assert len(crm.contacts()) == 40
    crm.run(feed(*MANY), **STAGED)
    refused(crm.deliver("--accept-unknown"), "20 of 40 known contacts")


@pytest.mark.promise("S2")
def test_a_known_contact_stays_known_if_its_change_is_refused(crm: Crm, instance: Simulator) -> None:
    crm.run(feed(*MANY), **FULL)
    instance.sync_poison = {"0", "1", "2"}
    crm.run(feed(*(contact(number, of=1, name="Changed") for number in range(3))))
    instance.sync_poison = set()
    crm.run(feed(company(1), *(contact(number, of=1) for number in range(3, 20))), **STAGED)
    refused(crm.deliver("--accept-unknown"), "3 of 20 known contacts")


@pytest.mark.promise("S2")
def test_deliver_refuses_a_damaged_store(crm: Crm) -> None:
    people = [contact(number, of=1, description="x" * 300) for number in range(300)]
    crm.run(feed(company(1), *people), **FULL)
    crm.run(feed(company(1), *people), **STAGED)
    content = crm.store.read_bytes()
    for place in range(0, len(content), int.from_bytes(content[16:18])):
        crm.store.write_bytes(content[:place] + b"\x00" * 3000 + content[place + 3000 :])
        run = crm.deliver("--accept-unknown")
        assert run.code == 1, place
        assert len(run.errors) == 1
        assert len(crm.contacts()) == 300
    assert crm.requests() == 1


@pytest.mark.promise("S2")
def test_deliver_refuses_a_load_that_cannot_be_read_completely(crm: Crm) -> None:
    crm.run(feed(*MANY), **FULL)
    store = Store.open(crm.store, StoreOwner(crm.settings["url"], None, None))
    try:
        store.queue_load()
        load = store.count_load()
        _check_complete(store, load)
        with pytest.raises(InputError, match="damaged"):
            _check_complete(store, load._replace(contacts=load.contacts + 1))
    finally:
        store.close()


@pytest.mark.promise("S2")
def test_deliver_refuses_a_load_staged_in_the_future(ready: Crm) -> None:
    _restage(ready, datetime.now(UTC) + timedelta(hours=2))
    refused(ready.deliver("--accept-unknown"), "in the future")


@pytest.mark.promise("S2")
def test_deliver_refuses_too_many_deletions(crm: Crm) -> None:
    crm.run(feed(*MANY), **FULL)
    crm.run(feed(*MANY[:-3]), **STAGED)
    refused(crm.deliver("--accept-unknown"), "3 of 20 known contacts (15.0%)")
    # The user can allow more deletions.
    assert crm.deliver("--accept-unknown", max_delete_fraction=0.2).code == 0
    assert len(crm.contacts()) == 17


@pytest.mark.promise("S2")
def test_contacts_deleted_in_the_crm_count_as_deletions(crm: Crm) -> None:
    streams = {"contacts": {"contact": {"deleted": "gone"}}}
    crm.settings["streams"] = streams
    crm.run(feed(*MANY), **FULL)
    gone = [contact(number, of=1, gone=number < 3) for number in range(20)]
    crm.run(feed(company(1), *gone), **STAGED)
    refused(crm.deliver("--accept-unknown"), "3 of 20 known contacts")


@pytest.mark.promise("S2")
def test_deliver_refuses_within_business_hours(crm: Crm) -> None:
    hours = {
        "timezone": "UTC",
        "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
        "from": "00:00",
        "to": "24:00",
    }
    crm.run(feed(*MANY), **FULL)
    assert crm.run(feed(*MANY), **STAGED, business_hours=hours).code == 0
    refused(crm.deliver("--accept-unknown"), "business_hours")
    before = crm.requests()
    refused(crm.run(feed(*MANY), **FULL, business_hours=hours), "business_hours")
    assert crm.requests() == before
    assert crm.run(feed(*MANY), business_hours=hours).code == 0


@pytest.mark.promise("S2")
def test_deliver_refuses_a_load_that_is_not_of_the_last_run(ready: Crm) -> None:
    ready.run(feed(contact(5, of=1, name="Newer")))
    refused(ready.deliver("--accept-unknown"), "not that of the last run")


@pytest.mark.promise("S2")
@pytest.mark.promise("S9")
def test_deliver_refuses_a_load_that_was_delivered(ready: Crm) -> None:
    assert ready.deliver("--accept-unknown").code == 0
    before = ready.requests()
    refused(ready.deliver("--accept-unknown"), "delivered already")
    assert ready.requests() == before


@pytest.mark.promise("S2")
def test_deliver_refuses_a_load_older_than_24_hours(ready: Crm) -> None:
    _restage(ready, datetime.now(UTC) - timedelta(hours=25))
    refused(ready.deliver("--accept-unknown"), "24 hours")


def _restage(crm: Crm, moment: datetime) -> None:
    """Change the time at which the load was staged."""
    connection = sqlite3.connect(crm.store)
    [[value]] = connection.execute("SELECT value FROM meta WHERE key = 'stage'").fetchall()
    stage = json.loads(value) | {"time": moment.isoformat(timespec="seconds")}
    connection.execute("UPDATE meta SET value = ? WHERE key = 'stage'", [json.dumps(stage)])
    connection.commit()
    connection.close()


def test_all_reasons_are_reported_at_once(crm: Crm) -> None:
    crm.run(feed(contact(1, of=99)), **STAGED)
    run = crm.deliver()
    assert len(run.errors) == 4, run.errors


# After a delivery.


def test_a_contact_deleted_by_a_delivery_and_restored_is_sent_again(ready: Crm) -> None:
    assert ready.deliver("--accept-unknown").code == 0
    assert "19" not in ready.contacts()

    run = ready.run(feed(contact(19, of=1)))

    assert run.summary["delivered"]["contacts"] == 1
    assert "19" in ready.contacts()


@pytest.mark.promise("S7")
def test_an_accepted_delivery_is_not_repeated_by_the_next_partial_load(ready: Crm) -> None:
    # Contents that only the delivery has sent.
    changed = [company(1, "Changed"), contact(0, of=1, name="Changed"), *ONE_GONE[2:]]
    assert ready.run(feed(*changed), **STAGED).code == 0
    assert ready.deliver("--accept-unknown").code == 0
    assert (ready.companies()["1"]["name"], ready.contacts()["0"]["name"]) == ("Changed", "Changed")
    before = ready.requests()

    run = ready.run(feed(*changed, bookmark=9))

    assert bookmark(run) == 9
    assert ready.requests() == before


@pytest.mark.promise("S6")
def test_the_companies_of_a_load_s_contacts_are_delivered_with_it(crm: Crm) -> None:
    crm.settings["streams"] = {}
    crm.run(feed(*MANY, company(2)), **FULL)
    crm.run(feed(company(2), *MANY[1:]), **STAGED)
    assert crm.deliver("--accept-unknown").code == 0
    assert set(crm.companies()) == {"1", "2"}


def test_a_delivery_uses_the_settings_of_the_staged_load(crm: Crm, instance: Simulator) -> None:
    instance.sync_path = "/custom/crm/other.php"
    crm.settings["sync_path"] = "/custom/crm/other.php"
    crm.run(feed(*MANY), **FULL)
    crm.run(feed(*MANY[:-3]), **STAGED, max_delete_fraction=0.5)
    assert crm.deliver("--accept-unknown").code == 0


def test_a_dry_run_of_a_delivery_writes_the_request_and_sends_nothing(ready: Crm, tmp_path: Path) -> None:
    before = ready.requests()

    assert ready.deliver("--accept-unknown", dry_run=str(tmp_path / "dry")).code == 0

    [path] = (tmp_path / "dry").iterdir()
    assert json.loads(path.read_bytes())["delete"] is True
    assert ready.requests() == before
    assert ready.deliver("--accept-unknown").code == 0


def test_a_full_load_without_delete_sends_everything_again(crm: Crm) -> None:
    crm.run(feed(*MANY))
    run = crm.run(feed(*MANY, bookmark=4), **FULL, max_request_bytes=1500)

    assert bookmark(run) == 4
    assert run.summary["delivered"] == {"companies": 1, "contacts": 20}
    assert run.summary["requests"] > 1
    assert all("delete" not in body for body in crm.bodies())


@pytest.mark.promise("S9")
def test_a_delivery_forgets_what_the_load_does_not_contain(ready: Crm, instance: Simulator) -> None:
    instance.faults.append(Fault("403", endpoint="sync"))
    ready.run(feed(contact(77)))
    ready.run(feed(*ONE_GONE), **STAGED)
    assert ready.deliver("--accept-unknown").code == 0

    assert ready.run(feed()).code == 0
    assert "77" not in ready.contacts()
    assert ready.run(feed(contact(77))).code == 0
    assert "77" in ready.contacts()


@pytest.mark.promise("S6")
def test_a_company_of_an_earlier_run_is_still_known_after_a_delivery(crm: Crm) -> None:
    crm.run(feed(company(1, "Acme"), company(2), *(contact(number, of=1) for number in range(20))), **FULL)
    crm.run(feed(company(2), *(contact(number, of=1) for number in range(20))), **STAGED)
    assert crm.deliver("--accept-unknown").code == 0

    crm.run(feed(contact(3, of=1, name="Changed")))

    assert crm.bodies()[-1]["data"][0]["name"] == "Acme"
    assert (crm.contacts()["3"]["name"], crm.contacts()["3"]["company"]) == ("Changed", "1")


def test_links_that_a_full_load_lacks_do_not_count_in_it(crm: Crm) -> None:
    crm.settings["streams"] = {
        "links": {"link": {"contact": "contact", "company": "company", "primary": "'true'"}}
    }
    links = [record("links", contact=number, company=1) for number in range(10)]
    people = [contact(number) for number in range(10)]
    crm.run([schema("links"), *feed(company(1), *people, *links)], **FULL)
    assert crm.contacts()["9"]["company"] == "1"

    crm.run([schema("links"), *feed(company(1), *people, *links[:-1])], **STAGED)
    assert crm.deliver("--accept-unknown").code == 0
    assert crm.contacts()["9"]["company"] is None
    before = crm.requests()
    assert crm.run(feed()).code == 0
    assert crm.requests() == before


def test_numbers_in_the_environment_apply_to_a_delivery(crm: Crm) -> None:
    crm.run(feed(*MANY), **FULL)
    crm.run(feed(*MANY[:-3]), **STAGED)
    names = ("url", "server", "access_token", "store_path")
    environment = {f"TARGET_DAKTELA_CRM_{name.upper()}": str(crm.settings[name]) for name in names}
    environment["TARGET_DAKTELA_CRM_MAX_DELETE_FRACTION"] = "0.5"
    environment["TARGET_DAKTELA_CRM_REQUEST_TIMEOUT"] = "10"

    run = run_target(None, b"", "--config=ENV", "--deliver", "--accept-unknown", environment=environment)

    assert run.code == 0, run.log


def test_a_dry_run_of_staging_writes_the_request_and_stages_nothing(ready: Crm, tmp_path: Path) -> None:
    ready.run(feed(*MANY), **FULL)
    run = ready.run(feed(*ONE_GONE), **STAGED, dry_run=str(tmp_path / "dry"))
    assert json.loads((tmp_path / "dry" / "request-00001.json").read_bytes())["delete"] is True
    assert any("nothing is staged" in note for note in run.summary["notes"])
    refused(ready.deliver("--accept-unknown"), "not that of the last run")
    run = ready.run(feed(*MANY), **STAGED, dry_run=str(tmp_path / "dry"), max_request_bytes=1000)
    assert not list((tmp_path / "dry").glob("request-*"))
    assert any("max_request_bytes" in note for note in run.summary["notes"])


def test_the_summary_of_a_delivery_counts_retries(ready: Crm, instance: Simulator) -> None:
    instance.faults.append(Fault("503", endpoint="sync", times=2))
    assert ready.deliver("--accept-unknown").summary["retries"] == 2


@pytest.mark.promise("S9")
def test_a_contact_that_a_delivery_deleted_is_not_sent_again(crm: Crm) -> None:
    crm.settings.update(preset="activecampaign", load_mode="full", max_delete_fraction=0.9)
    accounts = [record("accounts", id=number, name=f"Company {number}") for number in (1, 5)]
    people = [record("contacts", id=number, first_name=f"P{number}") for number in range(1, 8)]
    crm.run([*accounts, *people])
    for gone in (None, 5):
        left = [person for person in people if person["record"]["id"] != gone]
        crm.run([*accounts, *left], delete_missing=True)
        assert crm.deliver("--accept-unknown").code == 0
    assert "5" not in crm.contacts()
    crm.run([people[0]], load_mode="partial")
    assert "5" not in crm.contacts()


def test_an_earlier_reject_does_not_stop_a_later_delivery(crm: Crm) -> None:
    crm.settings.update(preset="activecampaign", load_mode="full")
    people = [record("contacts", id=number, first_name=f"P{number}") for number in range(1, 8)]
    crm.run(people)
    assert crm.run([*people, record("contacts", id=9, deleted="perhaps")], delete_missing=True).code == 1
    assert crm.run(people, delete_missing=True).code == 0
    assert crm.deliver("--accept-unknown").code == 0
