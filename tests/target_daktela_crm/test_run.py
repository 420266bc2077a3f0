"""S1, S3, S6 and S7: what of a CRM arrives in Daktela, under which company, in which requests."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import pytest

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
    record,
    schema,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.simulator import Simulator

LINKS = {
    "links": {
        "link": {"id": "id", "contact": "contact", "company": "company", "primary": "main", "deleted": "gone"}
    }
}
GONE = {
    "companies": {"company": {"deleted": "gone"}},
    "contacts": {"contact": {"deleted": "gone", "modified": "at"}},
}


def link(number: int, of: Any, to: Any, *, main: bool = False, gone: bool = False) -> Message:
    return record("links", id=number, contact=of, company=to, main=main, gone=gone)


def belongs(crm: Crm) -> dict[str, str | None]:
    """Return the company of each contact in Daktela."""
    return {key: entry["company"] for key, entry in crm.contacts().items()}


# S1: requests.


@pytest.mark.parametrize("limit", [700, 2_000, 20_000])
def test_s1_no_body_is_over_the_limit_and_all_are_full(crm: Crm, instance: Simulator, limit: int) -> None:
    chance = random.Random(limit)
    people = [
        contact(number, chance.choice([None, 1, 2, 3]), "Ž" * chance.randrange(1, 20) + "\U0001f600\u2028\x01")
        for number in range(400)
    ]

    run = crm.run(feed(company(1), company(2), *people, company(3)), max_request_bytes=limit)

    assert run.code == 0
    sizes = [request.body_bytes for request in instance.requests if request.endpoint == "sync"]
    assert max(sizes) <= limit
    assert len(crm.contacts()) == 400
    if limit == 20_000:
        assert sum(sizes[:-1]) / (limit * len(sizes[:-1])) >= 0.98


def test_s1_a_contact_that_alone_is_over_the_limit_is_rejected(crm: Crm) -> None:
    run = crm.run(
        feed(company(1), contact(7, of=1, description="é" * 400), contact(8, of=1)), max_request_bytes=800
    )

    assert run.code == 1
    assert bookmark(run) == 1
    assert set(crm.contacts()) == {"8"}
    [line] = crm.rejects()
    assert (line["stream"], line["id"]) == ("contacts", "7")
    assert "max_request_bytes" in line["reason"]
    assert line["record"]["description"] == "é" * 400


def test_s1_after_a_413_the_smaller_size_is_kept(crm: Crm, instance: Simulator) -> None:
    instance.sync_limit = 4_000
    people = [contact(number) for number in range(100)]

    run = crm.run(feed(*people))

    statuses = [request.status for request in instance.requests if request.endpoint == "sync"]
    assert run.code == 0
    assert len(crm.contacts()) == 100
    # Halved until it fits, and never too large again.
    assert statuses == sorted(statuses, reverse=True)
    assert statuses.count(413) <= 4


def test_two_time_outs_of_the_same_body_halve_it(crm: Crm, instance: Simulator) -> None:
    instance.faults.append(
        Fault("timeout", endpoint="sync", times=None, hang=0.6, matches=lambda request: request.body_bytes > 2_000)
    )
    run = crm.run(feed(*(contact(number) for number in range(20))), request_timeout=0.2)

    sizes = [request.body_bytes for request in instance.requests if request.endpoint == "sync"]
    assert run.code == 0
    assert len(crm.contacts()) == 20
    assert [sizes.count(size) for size in sizes if size > 2_000] == [2] * 2 * len({s for s in sizes if s > 2_000})


def test_an_endpoint_that_is_silent_for_good_stops_the_run(crm: Crm, instance: Simulator) -> None:
    instance.faults.append(Fault("timeout", endpoint="sync", times=None, hang=0.3))
    run = crm.run(feed(*(contact(number) for number in range(200))), request_timeout=0.05)

    assert run.code == 1
    assert not run.states
    assert not crm.rejects()
    assert crm.requests() == 12
    assert "did not answer" in run.errors[0]


# Poison.


@pytest.mark.parametrize("status", [400, 422, 200])
@pytest.mark.parametrize("poison", ["0", "77", "127"])
def test_one_refused_contact_is_found_by_halving_and_rejected_alone(
    crm: Crm, instance: Simulator, status: int, poison: str
) -> None:
    instance.sync_poison, instance.sync_poison_status = {poison}, status
    people = [contact(number, of="c1") for number in range(128)]

    run = crm.run(feed(company("c1"), *people, bookmark=3))

    assert run.code == 1
    assert bookmark(run) == 3
    assert set(crm.contacts()) == {str(number) for number in range(128)} - {poison}
    [line] = crm.rejects()
    assert (line["stream"], line["id"]) == ("contacts", poison)
    assert "refused" in line["reason"]
    assert crm.requests() <= 2 * 7 + 2 + (5 if status == 200 else 0)
    assert "1 x " in run.log
    assert f"({poison})" in run.log


@pytest.mark.parametrize("poison", ["Contact 0", "Contact 77"])
def test_a_contact_that_makes_the_endpoint_fail_is_found_as_well(
    crm: Crm, instance: Simulator, poison: str
) -> None:
    fails = f'"{poison}"'.encode()
    instance.faults.append(
        Fault("500", endpoint="sync", times=None, matches=lambda request: fails in request.body)
    )

    run = crm.run(feed(*(contact(number) for number in range(100)), bookmark=3))

    assert run.code == 1
    assert bookmark(run) == 3
    assert len(crm.contacts()) == 99
    [line] = crm.rejects()
    assert line["record"]["name"] == poison
    assert "answered 500" in line["reason"]


def test_a_company_that_makes_the_endpoint_fail_is_rejected_with_its_contacts(
    crm: Crm, instance: Simulator
) -> None:
    fails = b'"Company a"'
    instance.faults.append(
        Fault("500", endpoint="sync", times=None, matches=lambda request: fails in request.body)
    )
    people = [contact(number, of="a" if number < 3 else "b") for number in range(30)]

    run = crm.run(feed(company("a"), company("b"), *people, bookmark=3))

    assert bookmark(run) == 3
    assert set(crm.contacts()) == {str(number) for number in range(3, 30)}
    assert {line["id"] for line in crm.rejects()} == {"a", "0", "1", "2"}


def test_an_endpoint_that_fails_for_good_is_not_taken_for_bad_contacts(crm: Crm, instance: Simulator) -> None:
    instance.faults.append(Fault("500", endpoint="sync", times=None, after=1))
    people = [contact(number) for number in range(200)]

    run = crm.run(feed(*people), max_request_bytes=20_000)

    assert run.code == 1
    assert not run.states
    assert not crm.rejects()
    assert "answered 500" in run.errors[0]
    assert crm.requests() < 40


def test_a_refused_company_is_rejected_with_its_contacts_and_nothing_else(crm: Crm, instance: Simulator) -> None:
    instance.sync_poison = {"c2"}
    people = [contact(number, of=f"c{number % 3}") for number in range(90)]

    run = crm.run(feed(*(company(f"c{number}") for number in range(3)), *people))

    assert set(crm.companies()) == {"c0", "c1"}
    assert set(crm.contacts()) == {str(number) for number in range(90) if number % 3 != 2}
    rejected = crm.rejects()
    assert [line["id"] for line in rejected if line["stream"] == "companies"] == ["c2"]
    assert {line["id"] for line in rejected if line["stream"] == "contacts"} == {str(n) for n in range(2, 90, 3)}
    assert all("company was refused" in line["reason"] for line in rejected if line["stream"] == "contacts")
    assert crm.requests() < 40
    assert run.code == 1


def test_a_refused_company_with_many_contacts_does_not_stop_the_others(crm: Crm, instance: Simulator) -> None:
    instance.sync_poison = {"5"}
    people = [contact(number, of=5) for number in range(150)]
    run = crm.run(feed(company(5), *people, company(9), contact(777, of=9)), max_rejects=3)
    assert bookmark(run) == 1
    assert set(crm.contacts()) == {"777"}
    assert len(crm.rejects()) == 151


def test_a_time_out_of_a_small_body_does_not_make_all_others_small(crm: Crm, instance: Simulator) -> None:
    people = [contact(number) for number in range(600)]
    instance.sync_poison = {"10"}
    instance.faults.append(
        Fault("timeout", endpoint="sync", times=2, hang=0.6, matches=lambda request: request.body_bytes < 800)
    )
    run = crm.run(feed(*people), max_request_bytes=20_000, request_timeout=0.2)
    assert len(crm.contacts()) == 599
    assert run.summary["requests"] < 40


def test_integers_that_php_cannot_hold_are_sent_as_texts(crm: Crm) -> None:
    long = 2**63
    crm.run(feed(company(long), contact(long + 1, of=long), contact(long + 2)))
    assert belongs(crm) == {str(long + 1): str(long), str(long + 2): None}


def test_s7_what_was_refused_is_not_taken_for_delivered_and_is_tried_again(crm: Crm, instance: Simulator) -> None:
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


def test_max_rejects_stops_an_endpoint_that_refuses_everything(crm: Crm, instance: Simulator) -> None:
    instance.faults.append(Fault("400", endpoint="sync", times=None))

    run = crm.run(feed(*(contact(number) for number in range(500))), max_rejects=10)

    assert run.code == 1
    assert not run.states
    assert len(crm.rejects()) == 11
    assert "max_rejects" in run.errors[0]
    assert crm.requests() < 60


def test_max_rejects_stops_a_mapping_that_fits_nothing(crm: Crm) -> None:
    run = crm.run(feed(*(record("contacts", name=f"{number}") for number in range(50))), max_rejects=10)

    assert run.code == 1
    assert not run.states
    assert len(crm.rejects()) == 11
    assert not crm.requests()
    assert run.summary["rejected"]["id: is missing"]["count"] == 11
    assert len(run.summary["rejected"]["id: is missing"]["ids"]) == 5


# S6: companies.


def test_s6_a_contact_carries_its_company_as_last_known(crm: Crm) -> None:
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


def test_a_company_renamed_later_in_the_same_run_has_its_last_name(crm: Crm) -> None:
    crm.run(feed(company(1, "Old"), contact(7, of=1), company(1, "New")))
    assert crm.companies()["1"]["name"] == "New"
    assert belongs(crm) == {"7": "1"}


def test_a_company_without_a_name_is_not_sent_as_none(crm: Crm) -> None:
    crm.run(feed(record("companies", id=5), contact(7, of=5)))
    assert crm.companies()["5"]["name"] == "#5"
    assert belongs(crm) == {"7": "5"}


def test_a_company_alone_is_sent(crm: Crm) -> None:
    crm.run(feed(company(1)))
    assert crm.bodies() == [{"data": [{**_payload(company(1)), "contacts": []}]}]


# Joining.


def test_a_contact_may_come_before_its_company_and_without_one(crm: Crm) -> None:
    crm.run(feed(contact(7, of=1), contact(8), company(1)))
    assert belongs(crm) == {"7": "1", "8": None}
    assert crm.bodies()[0]["data"][-1].keys() == {"id", "name", "description", "contacts"}


def test_a_contact_that_changes_company_moves(crm: Crm) -> None:
    crm.run(feed(company(1), company(2), contact(7, of=1)))
    crm.run(feed(contact(7, of=2)))
    assert belongs(crm) == {"7": "2"}
    crm.run(feed(contact(7)))
    assert belongs(crm) == {"7": None}


@pytest.mark.parametrize(("here", "there"), [(7, "7"), (7.0, 7), ("27483910200", 27483910200.0)])
def test_ids_are_the_same_in_all_spellings_of_a_number(crm: Crm, here: Any, there: Any) -> None:
    crm.run(feed(company(here), contact(1, of=there), bookmark=None))
    assert belongs(crm) == {"1": str(here).removesuffix(".0")}


def test_ids_are_exact(crm: Crm) -> None:
    long = 1234567890123456789
    crm.run(
        feed(
            company("007"), company(7), company(long), contact(1, of="007"), contact(2, of=7), contact(3, of=long)
        )
    )
    crm.run(feed(contact(4, of=str(long)), contact(5, of=long + 1)))

    assert belongs(crm) == {"1": "007", "2": "7", "3": str(long), "4": str(long)}
    ids = [each["id"] for body in crm.bodies() for each in body["data"]]
    assert ids == ["007", long, 7, long]


def test_an_unknown_company_is_waited_for(crm: Crm) -> None:
    run = crm.run(feed(contact(7, of=1)))
    assert (run.code, bookmark(run), run.summary["on_hold"]) == (0, 1, 1)
    assert not crm.requests()

    run = crm.run(feed(company(1), bookmark=2))
    assert belongs(crm) == {"7": "1"}
    assert run.summary["on_hold"] == 0


def test_an_unknown_company_can_be_left_out_until_it_is_known(crm: Crm) -> None:
    crm.settings["unknown_company"] = "detach"
    crm.run(feed(contact(7, of=1)))
    assert belongs(crm) == {"7": None}
    crm.run(feed(contact(8)))
    assert crm.requests() == 2
    crm.run(feed(company(1)))
    assert belongs(crm) == {"7": "1", "8": None}


def test_an_unknown_company_can_be_a_reason_to_reject(crm: Crm) -> None:
    run = crm.run(feed(contact(7, of=1)), unknown_company="reject")
    assert (run.code, bookmark(run)) == (1, 1)
    assert [line["id"] for line in crm.rejects()] == ["7"]
    assert crm.run(feed(company(1)), unknown_company="reject").code == 0
    assert belongs(crm) == {"7": "1"}


def test_a_known_contact_whose_company_becomes_unknown_stays_where_it_is(crm: Crm) -> None:
    crm.run(feed(company(1), contact(7, of=1)))
    crm.run(feed(contact(7, of=2)))
    assert belongs(crm) == {"7": "1"}


def test_a_company_that_the_crm_deletes_leaves_its_contacts_without_one(crm: Crm) -> None:
    crm.settings["streams"] = GONE
    crm.run(feed(company(1), contact(7, of=1), contact(8, of=2), company(2, gone=True)))
    assert belongs(crm) == {"7": "1", "8": None}
    crm.run(feed(record("companies", id=1, gone=True)))
    assert belongs(crm) == {"7": None, "8": None}


def test_a_contact_that_the_crm_deletes_is_not_sent_any_more(crm: Crm) -> None:
    crm.settings["streams"] = GONE
    crm.run(feed(contact(7), contact(8, gone=True)))
    before = crm.requests()

    run = crm.run(feed(record("contacts", id=7, gone=True), bookmark=2))

    assert (run.code, bookmark(run), run.summary["deleted"]) == (0, 2, 1)
    assert crm.requests() == before
    assert set(crm.contacts()) == {"7"}
    assert crm.run(feed(contact(7, name="Back"))).code == 0
    assert crm.contacts()["7"]["name"] == "Back"


def test_a_record_that_comes_twice_counts_as_it_was_changed_last(crm: Crm) -> None:
    crm.settings["streams"] = GONE
    newer, older = "2026-03-02T00:00:00Z", "2026-03-01 23:00:00"
    crm.run(
        feed(contact(7, name="New", at=newer), contact(7, name="Old", at=older), contact(8, name="a"), contact(8))
    )
    assert crm.contacts()["7"]["name"] == "New"
    assert crm.contacts()["8"]["name"] == "Contact 8"
    # In another run, what comes last is what the CRM says now.
    crm.run(feed(contact(7, name="Restored", at=older)))
    assert crm.contacts()["7"]["name"] == "Restored"


@pytest.mark.parametrize("place", ["first", "last", "another run"])
def test_a_link_in_a_third_stream_counts_wherever_it_comes(crm: Crm, place: str) -> None:
    crm.settings["streams"] = LINKS
    links = [schema("links"), link(1, 7, 1)]
    rest = [*SCHEMAS, contact(7), company(1)]
    if place == "another run":
        crm.run(rest)
        assert belongs(crm) == {"7": None}
        crm.run(links)
    else:
        crm.run([*links, *rest] if place == "first" else [*rest, *links])
    assert belongs(crm) == {"7": "1"}


@pytest.mark.parametrize(
    ("own", "links", "expected"),
    [
        (1, [], "1"),
        (None, [link(1, 7, 2)], "2"),
        (1, [link(1, 7, 2)], "1"),
        (1, [link(1, 7, 2, main=True)], "2"),
        (1, [link(1, 7, 2, main=True, gone=True)], "1"),
        (None, [link(1, 7, 2, gone=True), link(2, 7, 3)], "3"),
        (None, [link(1, 7, 3), link(2, 7, 2)], "3"),
        (None, [link(1, 7, 9), link(2, 7, 2)], "2"),
        ("gone", [link(1, 7, 2)], "2"),
        ("gone", [link(1, 7, "gone", main=True)], None),
        (None, [link(1, "7", 2.0)], "2"),
        (None, [link(1, 7, 2), link(1, 7, 3)], "3"),
    ],
)
def test_of_several_companies_the_primary_counts_then_the_contacts_own_then_the_first_live_one(
    crm: Crm, own: Any, links: list[Message], expected: str | None
) -> None:
    crm.settings["streams"] = {**LINKS, **GONE}
    companies = [company(number) for number in (1, 2, 3)] + [company("gone", gone=True)]
    crm.run([schema("links"), *feed(*companies, contact(7, of=own), *links)])
    assert belongs(crm) == {"7": expected}


def test_links_of_two_streams_do_not_take_each_others_place(crm: Crm) -> None:
    role = {"link": {"id": "id", "contact": "contact", "company": "company"}}
    crm.settings["streams"] = {"l1": role, "l2": role}
    links = [record("l1", id=1, contact=7, company=1), record("l2", id=1, contact=8, company=2)]
    crm.run([schema("l1"), schema("l2"), *feed(company(1), company(2), contact(7), contact(8), *links)])
    assert belongs(crm) == {"7": "1", "8": "2"}


def test_a_deleted_link_may_be_a_stub(crm: Crm) -> None:
    crm.settings["streams"] = LINKS
    crm.run([schema("links"), *feed(company(1), contact(7), link(1, 7, 1))])
    run = crm.run([schema("links"), record("links", id=1, gone=True)])
    assert run.code == 0
    assert belongs(crm) == {"7": None}


def test_a_contact_without_a_column_for_its_company_stays_where_it_is(crm: Crm) -> None:
    inside = [{"id": 7, "name": "Eva"}]
    crm.run(feed(company(1, contacts=inside), contact(8, of=1)))
    crm.run(feed(record("contacts", id=7, name="Eva V."), record("contacts", id=8, name="Jan V.")))
    assert belongs(crm) == {"7": "1", "8": "1"}
    assert crm.contacts()["7"]["name"] == "Eva V."
    crm.run(feed(record("contacts", id=7, name="Eva V.", company_id=None)))
    assert belongs(crm) == {"7": None, "8": "1"}


def test_nested_contacts_of_a_company_are_its_own(crm: Crm) -> None:
    inside = [{"id": 7, "name": "Inside", "fields": [{"key": "email", "value": ["a@example.com"]}]}]
    crm.run(feed(company(1, contacts=inside), contact(8, of=1)))
    assert belongs(crm) == {"7": "1", "8": "1"}
    assert crm.contacts()["7"]["fields"] == [{"key": "email", "value": ["a@example.com"]}]


# S7: changes.


def test_s7_the_same_input_twice_sends_nothing_the_second_time(crm: Crm) -> None:
    messages = feed(company(1), contact(7, of=1), contact(8), contact(9, of=99))
    crm.run(messages)
    before = crm.requests()

    run = crm.run([*messages, *feed(bookmark=2)])

    assert (run.code, bookmark(run)) == (0, 2)
    assert crm.requests() == before
    assert (run.summary["unchanged"], run.summary["changed"], run.summary["on_hold"]) == (3, 0, 1)


def test_s7_only_what_has_changed_is_sent(crm: Crm) -> None:
    people = [contact(number, of=1) for number in range(10)]
    crm.run(feed(company(1), *people))
    people[4] = contact(4, of=1, name="Changed")

    run = crm.run(feed(company(1), *people))

    [body] = crm.bodies()[1:]
    assert [each["name"] for each in body["data"][0]["contacts"]] == ["Changed"]
    assert run.summary["changed"] == 1


def test_everything_that_comes_is_sent_with_only_changed_off_and_in_full_loads(crm: Crm) -> None:
    crm.run(feed(company(1), contact(7, of=1), contact(8)))
    for settings in ({"only_changed": False}, {"load_mode": "full"}):
        run = crm.run(feed(company(1), contact(7, of=1)), **settings)
        assert run.summary["delivered"] == {"companies": 1, "contacts": 1}


def test_a_dry_run_writes_the_requests_and_leaves_no_trace(crm: Crm, tmp_path: Path) -> None:
    crm.run(feed(company(1), contact(7, of=1)))
    before, known = crm.requests(), crm.store.read_bytes()

    run = crm.run(feed(contact(7, of=1, name="Dry"), contact("")), dry_run=str(tmp_path / "dry"))

    assert run.code == 1
    assert not run.states
    assert crm.requests() == before
    assert crm.store.read_bytes() == known
    files = sorted(path.name for path in (tmp_path / "dry").iterdir())
    assert files == ["rejects.jsonl", "request-00001.json"]
    body = json.loads((tmp_path / "dry" / "request-00001.json").read_bytes())
    assert body["data"][0]["contacts"][0]["name"] == "Dry"
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "dry").iterdir()} == {0o600}
    assert not crm.rejects()
    assert run.summary["dry_run"] is True
    assert "dry run: nothing is sent" in run.log
    assert "would deliver" in run.log
    assert crm.run(feed(contact(7, of=1, name="Dry"))).summary["delivered"]["contacts"] == 1


def test_a_dry_run_leaves_files_of_others_alone(crm: Crm, tmp_path: Path) -> None:
    (tmp_path / "dry").mkdir()
    for name in ("request-mine.json", "request-00007.json"):
        (tmp_path / "dry" / name).touch()
    crm.run(feed(contact(7)), dry_run=str(tmp_path / "dry"))
    assert {path.name for path in (tmp_path / "dry").iterdir()} == {"request-mine.json", "request-00001.json"}


def test_a_first_dry_run_makes_no_store(crm: Crm, tmp_path: Path) -> None:
    assert crm.run(feed(contact(7)), dry_run=str(tmp_path / "dry")).code == 0
    assert not crm.store.exists()


@pytest.mark.parametrize("answer", ["json", "empty", "text"])
@pytest.mark.parametrize("status", [200, 201, 204])
def test_any_2xx_without_an_error_counts(crm: Crm, instance: Simulator, answer: str, status: int) -> None:
    instance.sync_answer, instance.sync_status = answer, status
    assert crm.run(feed(contact(7))).code == 0
    before = crm.requests()
    assert crm.run(feed(contact(7))).code == 0
    assert crm.requests() == before


def test_a_login_is_renewed_when_its_token_expires(crm: Crm, instance: Simulator) -> None:
    instance.token_uses = 2
    del crm.settings["access_token"]
    people = [contact(number) for number in range(60)]

    run = crm.run(feed(*people), username="robot", password="secret", max_request_bytes=2_000)

    assert run.code == 0
    assert len(crm.contacts()) == 60
    assert sum(request.path.endswith("login.json") for request in instance.requests) > 2


# Input.


def test_values_arrive_exactly(crm: Crm) -> None:
    odd = "a\u2028b\u0001c\td\r\ne \U0001f600 \u200f n\u030c "
    line = encoded(feed(contact(7, name=odd, description=odd)))
    line = line.replace(b'"lastname": "7"', b'"lastname": 1.10').replace(
        b'"firstname": "Contact"', b'"firstname": 1e3'
    )
    dates = ["2026-03-01T10:00:00+01:00", "2026-03-01 10:00:00", "2026-03-01"]
    typed = schema("contacts")
    typed["schema"]["properties"]["description"] = {"type": "string", "format": "date-time"}

    crm.run(line)
    crm.run([typed, *(contact(number, description=text) for number, text in enumerate(dates))])

    found = crm.contacts()
    assert (found["7"]["name"], found["7"]["description"]) == (odd, odd)
    assert (found["7"]["lastname"], found["7"]["firstname"]) == ("1.10", "1000")
    assert [found[str(number)]["description"] for number in range(3)] == dates


def test_streams_that_nothing_maps_are_named_once_and_ignored(crm: Crm) -> None:
    more = [record("pick_lists", id=1), record("pick_lists", id=2), schema("notes"), record("notes", id=1)]

    run = crm.run([more[0], *feed(*more[1:], contact(7))])

    assert run.code == 0
    assert [line.split(":")[0] for line in run.warnings] == ["pick_lists", "notes"]
    assert run.summary["ignored"] == {"pick_lists": 2, "notes": 1}
    assert set(crm.contacts()) == {"7"}


def test_an_input_of_which_nothing_is_mapped_is_an_error(crm: Crm) -> None:
    run = crm.run([schema("Account"), record("Account", Id=1), {"type": "STATE", "value": {"a": 1}}])

    assert run.code == 1
    assert not run.states
    assert "the input has the streams Account" in run.errors[0]
    assert "companies, contacts" in run.errors[0]


def test_activate_version_deletes_nothing(crm: Crm) -> None:
    version = [{"type": "ACTIVATE_VERSION", "stream": stream, "version": 1} for stream in ("contacts", "notes")]
    crm.run(feed(contact(7), contact(8)))
    run = crm.run([*SCHEMAS, *version, contact(7), *version])
    assert run.code == 0
    assert set(crm.contacts()) == {"7", "8"}
    assert all("delete" not in body for body in crm.bodies())


def test_a_line_that_is_no_message_does_not_keep_the_others_back(crm: Crm) -> None:
    bad = [
        b"INFO starting\n",
        b"[1, 2]\n",
        b'{"type": "LOG"}\n',
        b'{"type": "RECORD", "stream": "contacts"}\n',
        b"\n",
    ]
    lines = encoded([*SCHEMAS, contact(7)]) + b"".join(bad) + encoded(feed(contact(8), bookmark=6))

    run = crm.run(lines)

    assert run.code == 1
    assert bookmark(run) == 6
    assert set(crm.contacts()) == {"7", "8"}
    assert len(crm.rejects()) == 4
    assert "Traceback" not in run.log


def test_an_input_that_is_cut_off_is_delivered_as_far_as_it_came(crm: Crm) -> None:
    run = crm.run(encoded([*feed(contact(7)), contact(8)])[:-9])

    assert run.code == 1
    assert bookmark(run) == 1
    assert set(crm.contacts()) == {"7"}
    assert run.errors == [
        "the input ends in the middle of a line: the tap was cut off. What came before is taken care of"
    ]


def test_an_empty_input_sends_nothing_and_is_no_error(crm: Crm) -> None:
    run = crm.run(b"")
    assert (run.code, run.states, crm.requests()) == (0, [], 0)


def test_a_record_before_its_schema_is_taken_in_unless_stream_maps_need_one(crm: Crm) -> None:
    assert crm.run([contact(7), *SCHEMAS]).code == 0
    assert set(crm.contacts()) == {"7"}
    run = crm.run([contact(8), *SCHEMAS], stream_maps={"contacts": {"name": "name"}})
    assert run.code == 1
    assert "before its SCHEMA message" in run.errors[0]
    assert len(run.errors) == 1


def test_stream_maps_and_flattening_work(crm: Crm) -> None:
    maps = {"people": {"__alias__": "contacts", "id": "id", "name": "name.upper()", "__filter__": "id != 8"}}
    properties = {"id": {"type": "integer"}, "name": {"type": "string"}}
    people = {**schema("people"), "schema": {"type": "object", "properties": properties}}
    run = crm.run([people, record("people", id=7, name="Eva"), record("people", id=8, name="x")], stream_maps=maps)
    assert run.code == 0, run.log
    assert {key: entry["name"] for key, entry in crm.contacts().items()} == {"7": "EVA"}


def test_batches_are_refused_in_one_line(crm: Crm) -> None:
    batch = {"type": "BATCH", "stream": "contacts", "encoding": {"format": "jsonl"}, "manifest": []}
    run = crm.run([*SCHEMAS, batch])
    assert run.code == 1
    assert "BATCH" in run.errors[0]
    assert len(run.errors) == 1


# The store.


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


def test_a_store_says_when_it_is_new_and_when_the_mapping_has_changed(crm: Crm) -> None:
    assert any("is new" in note for note in crm.run(feed(contact(7))).summary["notes"])
    assert not crm.run(feed(contact(7))).summary["notes"]
    changed = crm.run(feed(contact(7)), streams={"contacts": {"contact": {"description": "name"}}})
    assert any("--full-refresh" in note for note in changed.summary["notes"])
    assert crm.contacts()["7"]["description"] == "Contact 7"


def test_a_first_run_that_was_a_mistake_does_not_bind_the_store(crm: Crm, instance: Simulator) -> None:
    wrong = crm.run([schema("Contact"), record("Contact", Id="003", LastName="Eva")])
    assert "nothing matched in 1 record: the input has the streams Contact" in wrong.errors[0]
    instance.missing.add("sync")
    assert crm.run([schema("Contact"), record("Contact", Id="003", LastName="Eva")], preset="salesforce").code == 1
    instance.missing.clear()
    instance.sync_path = "/custom/crm/right.php"
    right = {"preset": "salesforce", "sync_path": "/custom/crm/right.php"}
    assert crm.run([schema("Contact"), record("Contact", Id="003", LastName="Eva")], **right).code == 0
    assert set(crm.contacts()) == {"003"}


def test_a_contact_of_a_person_account_has_no_company_whatever_it_says(crm: Crm) -> None:
    person = record("Account", Id="001", Name="Petra Osobová", IsPersonAccount=True, PersonContactId="003")
    rows = [person, record("Contact", Id="003", AccountId="001", LastName="Osobová", FirstName="Petra")]
    run = crm.run([schema("Account", "Id"), schema("Contact", "Id"), *rows], preset="salesforce")
    assert run.summary["on_hold"] == 0
    assert belongs(crm) == {"003": None}
    assert not crm.companies()


def test_bytes_that_are_no_text_are_told(crm: Crm) -> None:
    run = crm.run(encoded(feed(contact(7, name="B?ta"))).replace(b"B?ta", b"B\xe9ta"))
    assert crm.contacts()["7"]["name"] == "B\ufffdta"
    assert any("no UTF-8" in note for note in run.summary["notes"])
