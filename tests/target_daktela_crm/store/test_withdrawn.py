"""What is withdrawn before it was delivered: records that `when` excludes, and refused ones that have vanished."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.simulator import Fault
from tests.target_daktela_crm.running import Crm, Message, company, contact, feed, record, schema

if TYPE_CHECKING:
    from tests.simulator import Simulator
    from tests.target_daktela_crm.running import Run

FULL = {"load_mode": "full"}
STAGED = {**FULL, "delete_missing": True}
WHEN = "!flag(hidden)"
CONDITIONS = {"companies": {"company": {"when": WHEN}}, "contacts": {"contact": {"when": WHEN}}}


@pytest.fixture
def failed(crm: Crm, instance: Simulator) -> Crm:
    """Return a target that has delivered a company and two contacts, and failed to deliver changes of them."""
    crm.settings["streams"] = CONDITIONS
    crm.run(feed(company(1), contact(7, of=1), contact(8, of=1)))
    instance.faults.append(Fault("403", endpoint="sync"))
    changed = (company(1, "Changed"), contact(7, of=1, name="Changed"), contact(9, of=1))
    assert crm.run(feed(*changed)).code == 1
    return crm


@pytest.mark.promise("S9")
def test_an_excluded_contact_that_was_not_delivered_is_withdrawn(failed: Crm) -> None:
    run = failed.run(feed(contact(9, of=1, hidden=True), contact(7, of=1, name="Hidden", hidden="yes")))

    assert run.code == 0
    assert {key: each["name"] for key, each in failed.contacts().items()} == {"7": "Contact 7", "8": "Contact 8"}
    assert run.summary["withdrawn"] == {"count": 2, "ids": ["7", "9"]}
    assert "withdrawn     2 (7, 9) not delivered by earlier runs" in run.log
    # Once only.
    assert failed.run(feed(contact(9, of=1, hidden=True))).summary["withdrawn"]["count"] == 0
    assert failed.run(feed(contact(9, of=1), contact(7, of=1, name="Changed"))).code == 0
    assert {each["name"] for each in failed.contacts().values()} == {"Changed", "Contact 8", "Contact 9"}


@pytest.mark.promise("S9")
@pytest.mark.promise("S6")
def test_an_excluded_company_stays_as_it_was_delivered(failed: Crm) -> None:
    assert failed.run(feed(company(1, "Hidden", hidden=True))).code == 0
    assert failed.companies()["1"]["name"] == "Company 1"
    # Contacts are still sent with it.
    failed.run(feed(contact(8, of=1, name="New")))
    assert failed.contacts()["8"] == {**failed.contacts()["8"], "name": "New", "company": "1"}
    assert failed.companies()["1"]["name"] == "Company 1"
    failed.run(feed(company(1, "Shown")))
    assert failed.companies()["1"]["name"] == "Shown"


@pytest.mark.promise("S9")
def test_an_excluded_contact_on_hold_is_withdrawn(crm: Crm) -> None:
    crm.settings["streams"] = CONDITIONS
    assert crm.run(feed(contact(7, of=1))).summary["on_hold"] == 1
    run = crm.run(feed(contact(7, of=1, hidden=True)))
    assert run.summary["withdrawn"] == {"count": 1, "ids": ["7"]}
    assert run.summary["on_hold"] == 0
    crm.run(feed(company(1)))
    assert not crm.contacts()


@pytest.mark.promise("S9")
def test_contacts_of_an_excluded_company_that_was_not_delivered_are_on_hold(crm: Crm, instance: Simulator) -> None:
    crm.settings["streams"] = CONDITIONS
    instance.faults.append(Fault("403", endpoint="sync"))
    crm.run(feed(company(1), contact(7, of=1)))
    assert crm.run(feed(company(1, hidden=True))).summary["on_hold"] == 1
    assert not crm.companies()
    assert crm.run(feed(company(1))).code == 0
    assert crm.company_of_contacts() == {"7": "1"}


@pytest.mark.promise("S9")
def test_an_excluded_link_that_was_not_delivered_is_withdrawn(crm: Crm, instance: Simulator) -> None:
    crm.settings["streams"] = {
        "links": {"link": {"when": WHEN, "id": "id", "contact": "contact", "company": "to"}}
    }
    people = [company(1), company(2), contact(7), contact(8)]
    crm.run([schema("links"), *feed(*people, record("links", id=1, contact=7, to=1))])
    instance.faults.append(Fault("403", endpoint="sync"))
    crm.run([schema("links"), record("links", id=2, contact=8, to=2)])

    crm.run(
        feed(
            record("links", id=1, hidden=True), record("links", id=2, hidden=True), record("links", id=3, hidden=1)
        )
    )

    assert crm.company_of_contacts() == {"7": "1", "8": None}


@pytest.mark.promise("S9")
def test_of_several_records_in_a_run_the_newest_decides(crm: Crm) -> None:
    crm.settings["streams"] = {"contacts": {"contact": {"when": WHEN, "modified": "at"}}}
    run = crm.run(
        feed(
            *(contact(1), contact(1, hidden=True)),
            *(contact(2, hidden=True), contact(2)),
            *(contact(3, hidden=True, at=20), contact(3, at=10)),
            *(contact(4, at=20), contact(4, hidden=True, at=10)),
        )
    )
    assert {*crm.contacts()} == {"2", "4"}
    assert run.summary["passed_over"] == 4


@pytest.mark.promise("S9")
def test_a_record_withdraws_only_what_its_own_stream_has_brought(crm: Crm) -> None:
    when = {"contact": {"when": WHEN, "id": "id", "name": "name"}}
    crm.settings["streams"] = {"contacts": {"contact": {"when": WHEN}}, "leads": when}
    crm.run([schema("leads"), *feed(contact(7, of=1)), record("leads", id=7, name="Lead", hidden=True)])
    crm.run(feed(company(1)))
    assert crm.contacts()["7"]["name"] == "Contact 7"


@pytest.mark.promise("S9")
def test_contacts_inside_an_excluded_record_are_withdrawn(crm: Crm) -> None:
    nested = {"list": "people", "when": WHEN, "id": "id", "name": "name"}
    crm.settings["streams"] = {"companies": {"company": {"when": WHEN, "contacts": nested}}}
    crm.simulator.faults.append(Fault("403", endpoint="sync", times=2))
    people = [{"id": 7, "name": "A"}, {"id": 8, "name": "B"}]
    crm.run(feed(company(1, people=people)))
    crm.run(feed(company(2, people=[{"id": 9, "name": "C"}])))
    people[0]["hidden"] = True
    crm.run(feed(company(1, people=people), company(2, hidden=True, people=[{"id": 9, "name": "C"}])))
    assert crm.company_of_contacts() == {"8": "1"}


@pytest.mark.promise("S10")
def test_a_record_without_the_columns_of_the_condition_withdraws_nothing(crm: Crm) -> None:
    crm.settings["streams"] = {"contacts": {"contact": {"when": "kind == 'person'", "deleted": "gone"}}}
    crm.run(feed(contact(7, of=1, kind="person"), contact(8, of=1, kind="person")))
    # The second one is all that a tap may report of a deleted record.
    crm.run(feed(record("contacts", id=7), record("contacts", id=8, gone=True)))
    crm.run(feed(company(1)))
    assert {*crm.contacts()} == {"7"}


@pytest.mark.promise("S9")
def test_an_excluded_contact_is_not_part_of_a_load(crm: Crm) -> None:
    crm.settings["streams"] = CONDITIONS
    people: list[Message] = [contact(number, of=1) for number in range(20)]
    crm.run(feed(company(1), *people), **FULL)
    crm.run(feed(company(1), *people[1:], contact(0, of=1, hidden=True)), **STAGED)
    assert crm.deliver("--accept-unknown").code == 0
    assert "0" not in crm.contacts()
    assert len(crm.contacts()) == 19
    assert crm.run(feed()).summary["delivered"] == {"companies": 0, "contacts": 0}


# Refused records that vanish from the CRM.


@pytest.fixture
def refused(crm: Crm, instance: Simulator) -> Crm:
    """Return a target with twenty contacts of which Daktela refuses one, and a company that it refuses, too."""
    instance.sync_poison = {"8", "c2"}
    people = [contact(number, of=1) for number in range(20)]
    assert crm.run(feed(company(1), company("c2"), *people, contact(30, of="c2"))).code == 1
    assert len(crm.contacts()) == 19
    return crm


WITHOUT = [company(1), *(contact(number, of=1) for number in range(20) if number != 8)]


@pytest.mark.promise("S3")
def test_a_full_load_forgets_what_was_refused_and_has_vanished(refused: Crm) -> None:
    run = refused.run(feed(*WITHOUT), **FULL)

    assert run.code == 0
    assert run.summary["forgotten"] == {"count": 3, "ids": ["c2", "8", "30"]}
    assert "forgotten     3 (c2, 8, 30) that Daktela refused earlier" in run.log
    assert refused.run(feed()).code == 0
    assert refused.run(feed(*WITHOUT), **STAGED).code == 0
    assert refused.deliver("--accept-unknown").code == 0
    assert len(refused.contacts()) == 19


def test_the_summary_says_how_a_reject_of_an_earlier_run_ends(refused: Crm) -> None:
    run = refused.run(feed(contact(3, of=1, name="Changed")))
    assert run.code == 1
    [note] = run.summary["notes"]
    assert note.startswith("of the rejected, 3 (c2, 8, 30) received by earlier runs: ")
    assert "a full load forgets" in note
    assert not refused.run(feed(*WITHOUT, contact(8, of=1)), **FULL).summary["notes"]


@pytest.mark.promise("S7")
@pytest.mark.parametrize(
    "load",
    [
        feed(*WITHOUT[:10]),
        feed(*WITHOUT[1:]),
        feed(*WITHOUT, record("contacts", id="", name="without an id")),
    ],
    ids=["few contacts", "no companies", "a reject"],
)
def test_a_load_that_may_be_incomplete_forgets_nothing(refused: Crm, load: list[Message]) -> None:
    assert refused.run(load, **FULL).code == 1
    refused.simulator.sync_poison = set()
    assert refused.run(feed()).code == 0
    assert {"8", "30"} <= {*refused.contacts()}


def test_what_earlier_runs_have_left_does_not_keep_a_full_load_from_being_a_baseline(refused: Crm) -> None:
    # Too few of the known contacts to be complete, so the refused ones are tried again.
    few = [company(1), *(contact(number, of=1) for number in range(15) if number != 8)]
    assert refused.run(feed(*few), **FULL).code == 1
    assert refused.run(feed(*few), **STAGED).code == 0
    assert refused.deliver("--accept-unknown", max_delete_fraction=0.5).code == 0
    assert refused.run(feed()).code == 0
    assert len(refused.contacts()) == 14


def test_a_full_load_with_a_refused_contact_is_no_baseline(refused: Crm) -> None:
    assert refused.run(feed(*WITHOUT, contact(8, of=1)), **FULL).code == 1
    refused.run(feed(*WITHOUT), **STAGED)
    run = refused.deliver("--accept-unknown")
    assert run.code == 1
    assert "baseline" in run.errors[0]


@pytest.mark.promise("S9")
def test_a_refused_change_of_a_contact_that_vanishes_is_withdrawn(crm: Crm, instance: Simulator) -> None:
    people = [contact(number) for number in range(20)]
    crm.run(feed(*people))
    instance.sync_poison = {"8"}
    assert crm.run(feed(contact(8, name="Changed"))).code == 1
    assert crm.run(feed(*people[:8], *people[9:]), **FULL).code == 0
    instance.sync_poison = set()
    assert crm.run(feed()).code == 0
    assert crm.contacts()["8"]["name"] == "Contact 8"


def test_the_summary_says_what_comes_from_earlier_runs(crm: Crm) -> None:
    crm.run(feed(*(contact(number, of=1) for number in range(3))))
    run: Run = crm.run(feed(company(1), contact(9, of=1)))
    assert run.summary["delivered"] == {"companies": 1, "contacts": 4}
    assert run.summary["delivered_of_earlier_runs"] == {"companies": 0, "contacts": 3}
    assert "delivered     4 contacts, 1 company; of these, 3 contacts received by earlier runs" in run.log


def test_the_summary_names_what_a_load_would_delete(crm: Crm) -> None:
    people: list[Any] = [contact(number) for number in range(20)]
    crm.run(feed(*people), **FULL)
    run = crm.run(feed(*people[:-1]), **STAGED)
    assert "of the 20 known ones 1 (19) would be deleted" in run.log
    run = crm.deliver("--accept-unknown")
    assert "known contacts that were not in the load: 1 (19)" in run.log
