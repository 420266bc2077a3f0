"""What is stored, what is sent again, and whom a store belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.target_daktela_crm.running import (
    Crm,
    Message,
    bookmark,
    company,
    contact,
    feed,
    record,
    schema,
)

if TYPE_CHECKING:
    from tests.simulator import Simulator


GONE = {
    "companies": {"company": {"deleted": "gone"}},
    "contacts": {"contact": {"deleted": "gone", "modified": "at"}},
}


@pytest.mark.promise("S7")
def test_a_refused_contact_stays_undelivered_and_is_tried_again(crm: Crm, instance: Simulator) -> None:
    instance.sync_poison = {"8"}
    crm.run(feed(company(1), contact(7, of=1), contact(8, of=1)))
    assert set(crm.contacts()) == {"7"}

    assert crm.run(feed()).code == 1
    assert len(crm.rejects()) == 2

    instance.sync_poison = set()
    run = crm.run(feed())
    assert run.code == 0
    assert set(crm.contacts()) == {"7", "8"}
    assert run.summary["delivered"]["contacts"] == 1


@pytest.mark.promise("S6")
def test_a_contact_is_sent_with_its_company_as_last_known(crm: Crm) -> None:
    crm.run(feed(company(1, "Acme", description="steel", fields={"number": ["+420602"]}), contact(7, of=1)))

    crm.run(feed(contact(7, of=1, name="Changed")))

    assert crm.bodies()[-1]["data"] == [
        {
            "id": 1,
            "name": "Acme",
            "description": "steel",
            "fields": [{"key": "number", "value": ["+420602"]}],
            "contacts": [{**_payload(contact(7, of=1, name="Changed"))}],
        }
    ]


def _payload(message: Message) -> dict[str, Any]:
    content = {key: value for key, value in message["record"].items() if key != "company_id"}
    content["fields"] = [{"key": key, "value": value} for key, value in content["fields"].items()]
    return content


def test_the_last_record_of_a_company_in_a_run_counts(crm: Crm) -> None:
    crm.run(feed(company(1, "Old"), contact(7, of=1), company(1, "New")))
    assert crm.companies()["1"]["name"] == "New"
    assert crm.company_of_contacts() == {"7": "1"}


def test_a_company_without_contacts_is_sent(crm: Crm) -> None:
    crm.run(feed(company(1)))
    assert crm.bodies() == [{"data": [{**_payload(company(1)), "contacts": []}]}]


def test_a_deleted_contact_is_not_sent_until_it_is_restored(crm: Crm) -> None:
    crm.settings["streams"] = GONE
    crm.run(feed(contact(7), contact(8, gone=True)))
    before = crm.requests()

    run = crm.run(feed(record("contacts", id=7, gone=True), bookmark=2))

    assert (run.code, bookmark(run), run.summary["deleted"]) == (0, 2, 1)
    assert crm.requests() == before
    assert set(crm.contacts()) == {"7"}
    assert crm.run(feed(contact(7, name="Back"))).code == 0
    assert crm.contacts()["7"]["name"] == "Back"


def test_of_two_records_in_a_run_the_one_changed_last_counts(crm: Crm) -> None:
    crm.settings["streams"] = GONE
    newer, older = "2026-03-02T00:00:00Z", "2026-03-01 23:00:00"
    crm.run(
        feed(contact(7, name="New", at=newer), contact(7, name="Old", at=older), contact(8, name="a"), contact(8))
    )
    assert crm.contacts()["7"]["name"] == "New"
    assert crm.contacts()["8"]["name"] == "Contact 8"
    # In a later run, the last record counts, whenever it was changed.
    crm.run(feed(contact(7, name="Restored", at=older)))
    assert crm.contacts()["7"]["name"] == "Restored"


@pytest.mark.promise("S7")
def test_the_same_input_again_sends_nothing(crm: Crm) -> None:
    messages = feed(company(1), contact(7, of=1), contact(8), contact(9, of=99))
    crm.run(messages)
    before = crm.requests()

    run = crm.run([*messages, *feed(bookmark=2)])

    assert (run.code, bookmark(run)) == (0, 2)
    assert crm.requests() == before
    assert (run.summary["unchanged"], run.summary["changed"], run.summary["on_hold"]) == (3, 0, 1)


@pytest.mark.promise("S7")
def test_only_changed_contacts_are_sent(crm: Crm) -> None:
    people = [contact(number, of=1) for number in range(10)]
    crm.run(feed(company(1), *people))
    people[4] = contact(4, of=1, name="Changed")

    run = crm.run(feed(company(1), *people))

    [body] = crm.bodies()[1:]
    assert [each["name"] for each in body["data"][0]["contacts"]] == ["Changed"]
    assert run.summary["changed"] == 1


def test_without_only_changed_and_in_full_loads_everything_received_is_sent(crm: Crm) -> None:
    crm.run(feed(company(1), contact(7, of=1), contact(8)))
    for settings in ({"only_changed": False}, {"load_mode": "full"}):
        run = crm.run(feed(company(1), contact(7, of=1)), **settings)
        assert run.summary["delivered"] == {"companies": 1, "contacts": 1}


def test_a_store_of_another_instance_endpoint_or_preset_is_refused(crm: Crm) -> None:
    crm.run(feed(contact(7)))
    before = crm.requests()
    others = {
        "url": f"{crm.settings['url']}/other",
        "sync_path": "/custom/other.php",
        "preset": "salesforce",
    }
    for name, value in others.items():
        run = crm.run(feed(contact(8)), **{name: value})
        assert run.code == 1
        assert name in run.errors[0]
        assert len(run.errors) == 1
    assert crm.requests() == before


def test_a_store_may_change_its_owner_until_something_is_delivered(crm: Crm, instance: Simulator) -> None:
    wrong = crm.run([schema("Contact"), record("Contact", Id="003", LastName="Eva")])
    assert "nothing matched in 1 record: the input has the streams Contact" in wrong.errors[0]
    instance.missing.add("sync")
    assert crm.run([schema("Contact"), record("Contact", Id="003", LastName="Eva")], preset="salesforce").code == 1
    instance.missing.clear()
    instance.sync_path = "/custom/crm/right.php"
    right = {"preset": "salesforce", "sync_path": "/custom/crm/right.php"}
    assert crm.run([schema("Contact"), record("Contact", Id="003", LastName="Eva")], **right).code == 0
    assert set(crm.contacts()) == {"003"}
