"""Sending to endpoints that refuse, fail and time out."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import pytest

from tap_daktela.api.outcome import Action, Outcome, RequestError
from tap_daktela.cli.errors import RunError
from tap_daktela.cli.progress import Reporter
from target_daktela_crm.delivery.rejects import Rejects
from target_daktela_crm.delivery.sender import Sender
from target_daktela_crm.entities import QueueEntry, StoredEntity
from tests.simulator import Fault
from tests.target_daktela_crm.running import (
    Crm,
    bookmark,
    company,
    contact,
    feed,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tap_daktela.api.retry import RetryLimits
    from tests.simulator import Simulator

SEEDS = range(300)


class Store:
    """The accepted companies and contacts, by stream and key."""

    def __init__(self) -> None:
        self.accepted: set[tuple[str, str]] = set()
        self._sent: list[QueueEntry] = []

    def mark_sending(self, entries: Iterable[QueueEntry]) -> None:
        self._sent = list(entries)
        assert all(entry.contact or entry.company for entry in self._sent)

    def mark_refused(self) -> None:
        assert self._sent
        self._sent = []

    def mark_accepted(self) -> None:
        assert self._sent
        for entry in self._sent:
            self.accepted |= _parts(entry)
        self._sent = []

    def mark_rejected(self, part: StoredEntity, *, is_contact: bool) -> str:
        assert part.key
        return "contacts" if is_contact else "companies"


class Endpoint:
    """An endpoint that refuses, fails and times out at random."""

    def __init__(self, chance: random.Random, contacts: int) -> None:
        self._chance = chance
        self.limit = chance.choice([400, 1_000, 5_000])
        self._takes = chance.choice([300, 500, 10**6])
        self._late = chance.choice([0, 0, 0.05])
        self.wrong = {str(number) for number in range(contacts) if chance.random() < 0.05}
        self.fatal = {str(number) for number in range(contacts) if chance.random() < 0.03}
        self.wrong_companies = {f"k{number}" for number in range(8) if chance.random() < 0.08}
        self.requests = 0
        self.retries = 0

    def check(self) -> None:
        """Allow all requests."""

    def post(self, body: bytes, limits: RetryLimits) -> None:
        assert limits.time_outs
        self.requests += 1
        assert len(body) <= self.limit
        data = json.loads(body)["data"]
        contacts = {each["id"] for company in data for each in company["contacts"]}
        if len(body) > self._takes:
            raise _refusal(413)
        if contacts & self.fatal:
            raise _refusal(500, Action.RETRY)
        if contacts & self.wrong or {company["id"] for company in data} & self.wrong_companies:
            raise _refusal(400)
        if len(contacts) > 1 and self._chance.random() < self._late:
            raise RequestError(Outcome(Action.RETRY, "did not answer within 1 s", timed_out=True), "POST")


def _refusal(status: int, action: Action = Action.FAIL) -> RequestError:
    return RequestError(Outcome(action, f"answered {status}", status), "POST")


def _entries(chance: random.Random) -> list[QueueEntry]:
    entries: list[QueueEntry] = []
    number = 0
    for place in range(chance.randint(1, 8)):
        key = f"k{place}"
        company = StoredEntity(place, key, _body(key, chance.randrange(60)))
        if chance.random() < 0.5:
            entries.append(QueueEntry(company, None))
        for _ in range(chance.randrange(10)):
            entries.append(
                QueueEntry(company, StoredEntity(number, str(number), _body(str(number), chance.randrange(80))))
            )
            number += 1
    return entries


def _body(key: str, length: int) -> bytes:
    return json.dumps({"id": key, "description": "é" * length}, ensure_ascii=False).encode()


def _parts(entry: QueueEntry) -> set[tuple[str, str]]:
    parts = [("contacts", entry.contact), ("companies", entry.company)]
    return {(kind, part.key) for kind, part in parts if part is not None}


@pytest.mark.promise("S3")
@pytest.mark.parametrize("seed", SEEDS)
def test_every_contact_is_accepted_or_rejected_and_no_valid_one_is_rejected(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    entries = _entries(chance)
    endpoint, store = Endpoint(chance, len(entries)), Store()
    rejects = Rejects(tmp_path / "rejects.jsonl", max_rejects=10_000)
    sender = Sender(endpoint, store, rejects, endpoint.limit, Reporter(None))
    try:
        sender.send(entries)
    except RunError:
        # A request contained only contacts that cause a 500, which cannot be distinguished from an outage.
        assert endpoint.fatal
    else:
        _check(entries, endpoint, store, _read(tmp_path / "rejects.jsonl"))
    finally:
        rejects.close()
    assert endpoint.requests <= 6 * len(entries) + 6


def _read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _check(entries: list[QueueEntry], endpoint: Endpoint, store: Store, rows: list[dict[str, Any]]) -> None:
    rejected = {(row["stream"], row["id"]) for row in rows}
    wanted = {("contacts", entry.contact.key) for entry in entries if entry.contact is not None}
    assert len(rejected) == len(rows), "something was rejected twice"
    assert wanted <= store.accepted | rejected
    assert not store.accepted & rejected & wanted
    bad = {("contacts", key) for key in endpoint.wrong | endpoint.fatal}
    bad |= {("companies", key) for key in endpoint.wrong_companies}
    for row in rows:
        is_excused = "company was refused" in row["reason"] or "large" in row["reason"] or "alone" in row["reason"]
        assert (row["stream"], row["id"]) in bad or is_excused, row


@pytest.mark.promise("S1")
@pytest.mark.parametrize("limit", [700, 2_000, 20_000])
def test_no_request_exceeds_the_limit_and_all_are_full(crm: Crm, instance: Simulator, limit: int) -> None:
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


@pytest.mark.promise("S1")
def test_a_contact_larger_than_the_limit_is_rejected(crm: Crm) -> None:
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


@pytest.mark.promise("S1")
def test_after_a_413_the_smaller_size_is_kept(crm: Crm, instance: Simulator) -> None:
    instance.sync_limit = 4_000
    people = [contact(number) for number in range(100)]

    run = crm.run(feed(*people))

    statuses = [request.status for request in instance.requests if request.endpoint == "sync"]
    assert run.code == 0
    assert len(crm.contacts()) == 100
    # Halved until the size is accepted, which is never exceeded again.
    assert statuses == sorted(statuses, reverse=True)
    assert statuses.count(413) <= 4


def test_two_timeouts_of_the_same_request_halve_it(crm: Crm, instance: Simulator) -> None:
    instance.faults.append(
        Fault("timeout", endpoint="sync", times=None, hang=0.6, matches=lambda request: request.body_bytes > 2_000)
    )
    run = crm.run(feed(*(contact(number) for number in range(20))), request_timeout=0.2)

    sizes = [request.body_bytes for request in instance.requests if request.endpoint == "sync"]
    assert run.code == 0
    assert len(crm.contacts()) == 20
    assert [sizes.count(size) for size in sizes if size > 2_000] == [2] * 2 * len({s for s in sizes if s > 2_000})


def test_an_endpoint_that_never_answers_stops_the_run(crm: Crm, instance: Simulator) -> None:
    instance.faults.append(Fault("timeout", endpoint="sync", times=None, hang=0.3))
    run = crm.run(feed(*(contact(number) for number in range(200))), request_timeout=0.05)

    assert run.code == 1
    assert not run.states
    assert not crm.rejects()
    assert crm.requests() == 12
    assert "did not answer" in run.errors[0]


@pytest.mark.promise("S3")
@pytest.mark.parametrize("status", [400, 422, 200])
@pytest.mark.parametrize("poison", ["0", "77", "127"])
def test_only_the_refused_contact_is_rejected(crm: Crm, instance: Simulator, status: int, poison: str) -> None:
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


@pytest.mark.promise("S3")
@pytest.mark.parametrize("poison", ["Contact 0", "Contact 77"])
def test_only_the_contact_that_causes_a_500_is_rejected(crm: Crm, instance: Simulator, poison: str) -> None:
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


@pytest.mark.promise("S3")
def test_a_company_that_causes_a_500_is_rejected_with_its_contacts(crm: Crm, instance: Simulator) -> None:
    fails = b'"Company a"'
    instance.faults.append(
        Fault("500", endpoint="sync", times=None, matches=lambda request: fails in request.body)
    )
    people = [contact(number, of="a" if number < 3 else "b") for number in range(30)]

    run = crm.run(feed(company("a"), company("b"), *people, bookmark=3))

    assert bookmark(run) == 3
    assert set(crm.contacts()) == {str(number) for number in range(3, 30)}
    assert {line["id"] for line in crm.rejects()} == {"a", "0", "1", "2"}


@pytest.mark.promise("S4")
def test_an_endpoint_that_always_fails_stops_the_run_without_rejects(crm: Crm, instance: Simulator) -> None:
    instance.faults.append(Fault("500", endpoint="sync", times=None, after=1))
    people = [contact(number) for number in range(200)]

    run = crm.run(feed(*people), max_request_bytes=20_000)

    assert run.code == 1
    assert not run.states
    assert not crm.rejects()
    assert "answered 500" in run.errors[0]
    assert crm.requests() < 40


@pytest.mark.promise("S3")
def test_a_refused_company_is_rejected_with_its_contacts_only(crm: Crm, instance: Simulator) -> None:
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


def test_contacts_of_a_refused_company_do_not_count_towards_max_rejects(crm: Crm, instance: Simulator) -> None:
    instance.sync_poison = {"5"}
    people = [contact(number, of=5) for number in range(150)]
    run = crm.run(feed(company(5), *people, company(9), contact(777, of=9)), max_rejects=3)
    assert bookmark(run) == 1
    assert set(crm.contacts()) == {"777"}
    assert len(crm.rejects()) == 151


def test_a_timeout_of_a_small_request_does_not_shrink_the_others(crm: Crm, instance: Simulator) -> None:
    people = [contact(number) for number in range(600)]
    instance.sync_poison = {"10"}
    instance.faults.append(
        Fault("timeout", endpoint="sync", times=2, hang=0.6, matches=lambda request: request.body_bytes < 800)
    )
    run = crm.run(feed(*people), max_request_bytes=20_000, request_timeout=0.2)
    assert len(crm.contacts()) == 599
    assert run.summary["requests"] < 40


@pytest.mark.parametrize("answer", ["json", "empty", "text"])
@pytest.mark.parametrize("status", [200, 201, 204])
def test_a_2xx_without_an_error_is_an_acceptance(crm: Crm, instance: Simulator, answer: str, status: int) -> None:
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
