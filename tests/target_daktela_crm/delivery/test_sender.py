"""Delivery against endpoints that refuse, fail and are late in every mixture; each seed is one of them."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import pytest

from tap_daktela.api.command import RunError
from tap_daktela.api.verdict import Action, RequestError, Verdict
from target_daktela_crm.delivery.rejects import Rejects
from target_daktela_crm.delivery.sender import Delivery
from target_daktela_crm.entities import Entry, Part

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tap_daktela.api.client import Patience

SEEDS = range(300)


class Ledger:
    """What has been taken in, by kind and key."""

    def __init__(self) -> None:
        self.accepted: set[tuple[str, str]] = set()
        self._sent: list[Entry] = []

    def mark_sending(self, entries: Iterable[Entry]) -> None:
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

    def stream_of(self, part: Part, *, is_contact: bool) -> str:
        assert part.key
        return "contacts" if is_contact else "companies"


class Endpoint:
    """An endpoint with moods of its own."""

    def __init__(self, chance: random.Random, contacts: int) -> None:
        self._chance = chance
        self.limit = chance.choice([400, 1_000, 5_000])
        self._takes = chance.choice([300, 500, 10**6])
        self._late = chance.choice([0, 0, 0.05])
        self.wrong = {str(number) for number in range(contacts) if chance.random() < 0.05}
        self.fatal = {str(number) for number in range(contacts) if chance.random() < 0.03}
        self.wrong_companies = {f"k{number}" for number in range(8) if chance.random() < 0.08}
        self.requests = 0

    def post(self, body: bytes, _patience: Patience) -> None:
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
            raise RequestError(Verdict(Action.RETRY, "did not answer within 1 s", timed_out=True), "POST")


def _refusal(status: int, action: Action = Action.REFUSE) -> RequestError:
    return RequestError(Verdict(action, f"answered {status}", status), "POST")


def _entries(chance: random.Random) -> list[Entry]:
    entries: list[Entry] = []
    number = 0
    for place in range(chance.randint(1, 8)):
        key = f"k{place}"
        company = Part(place, key, _body(key, chance.randrange(60)))
        if chance.random() < 0.5:
            entries.append(Entry(company, None))
        for _ in range(chance.randrange(10)):
            entries.append(Entry(company, Part(number, str(number), _body(str(number), chance.randrange(80)))))
            number += 1
    return entries


def _body(key: str, length: int) -> bytes:
    return json.dumps({"id": key, "description": "é" * length}, ensure_ascii=False).encode()


def _parts(entry: Entry) -> set[tuple[str, str]]:
    parts = [("contacts", entry.contact), ("companies", entry.company)]
    return {(kind, part.key) for kind, part in parts if part is not None}


@pytest.mark.parametrize("seed", SEEDS)
def test_every_contact_is_taken_in_or_rejected_and_no_good_one_is_rejected(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    entries = _entries(chance)
    endpoint, ledger = Endpoint(chance, len(entries)), Ledger()
    rejects = Rejects(tmp_path / "rejects.jsonl", most=10_000)
    delivery = Delivery(endpoint.post, ledger, rejects, endpoint.limit, may_send=lambda: None)
    try:
        delivery.deliver(entries)
    except RunError:
        # Nothing but what makes the endpoint fail was in a body: nobody could tell that from an outage.
        assert endpoint.fatal
    else:
        _check(entries, endpoint, ledger, _read(tmp_path / "rejects.jsonl"))
    finally:
        rejects.close()
    assert endpoint.requests <= 6 * len(entries) + 6


def _read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _check(entries: list[Entry], endpoint: Endpoint, ledger: Ledger, rows: list[dict[str, Any]]) -> None:
    rejected = {(row["stream"], row["id"]) for row in rows}
    wanted = {("contacts", entry.contact.key) for entry in entries if entry.contact is not None}
    assert len(rejected) == len(rows), "something was rejected twice"
    assert wanted <= ledger.accepted | rejected
    assert not ledger.accepted & rejected & wanted
    bad = {("contacts", key) for key in endpoint.wrong | endpoint.fatal}
    bad |= {("companies", key) for key in endpoint.wrong_companies}
    for row in rows:
        is_excused = "company was refused" in row["reason"] or "large" in row["reason"] or "alone" in row["reason"]
        assert (row["stream"], row["id"]) in bad or is_excused, row
