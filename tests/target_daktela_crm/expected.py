"""What Daktela must hold, as plain rules on plain dictionaries, without a store, a mapping or requests.

`known` is what a target must remember, and `daktela` is what Daktela must hold because of it.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.target_daktela_crm.running import Message

UNKNOWN = "a company that is not known"


@dataclass
class Entity:
    """What is known of a company or contact."""

    name: str = ""
    company: str | None = None
    """The company that the contact's record names."""
    is_deleted: bool = False
    is_withheld: bool = False
    """Whether it stays unsent until the CRM sends it again."""
    is_refused: bool = False
    delivered: Any = None
    """What Daktela certainly has; None if that is nothing, or not certain."""
    confirmed: str | None = None
    """The name that Daktela has accepted last."""

    @property
    def is_live(self) -> bool:
        """Whether it is to be in Daktela, as known."""
        return bool(self.name) and not self.is_deleted and not self.is_withheld


@dataclass
class Known:
    """What a target must remember."""

    companies: dict[str, Entity] = field(default_factory=dict)
    contacts: dict[str, Entity] = field(default_factory=dict)
    streams: set[str] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)
    """Streams of the last run."""
    has_baseline: bool = False

    def receive(self, messages: Iterable[Message]) -> dict[str, set[str]]:
        """Take in the records of a run; return the ids of those that were not excluded, by stream."""
        received: dict[str, set[str]] = {"companies": set(), "contacts": set()}
        self.seen = set()
        for message in messages:
            if message["type"] == "RECORD":
                self._take(message["stream"], message["record"], received[message["stream"]])
        # Only now, since the last record of a run counts.
        for entities in (self.companies, self.contacts):
            for key, entity in [*entities.items()]:
                if entity.is_withheld and entity.confirmed is None:
                    del entities[key]
                elif entity.is_withheld and entities is self.companies:
                    entity.name = entity.confirmed or ""
        self.streams |= self.seen
        return received

    def _take(self, stream: str, row: dict[str, Any], received: set[str]) -> None:
        entities = self.companies if stream == "companies" else self.contacts
        entity = entities.setdefault(row["id"], Entity())
        entity.is_refused = False
        if row.get("hidden"):
            entity.is_withheld = True
            received.discard(row["id"])
            return
        entity.is_withheld = False
        received.add(row["id"])
        self.seen.add(stream)
        entity.is_deleted = bool(row.get("gone"))
        if not entity.is_deleted:
            entity.name, entity.company = row["name"], row.get("company_id")

    def company_of(self, contact: Entity) -> str | None:
        """Return the company under which a contact is sent, or `UNKNOWN`."""
        if contact.company is None:
            return None
        company = self.companies.get(contact.company)
        if company is None:
            return UNKNOWN
        return None if company.is_deleted else contact.company

    def content(self, contact: Entity) -> tuple[str, str | None]:
        """Return what Daktela must hold of a contact."""
        return contact.name, self.company_of(contact)

    def on_hold(self) -> set[str]:
        """Return the contacts that wait for their company."""
        return {key for key, each in self.contacts.items() if each.is_live and self.company_of(each) == UNKNOWN}


@dataclass
class Expected:
    """What Daktela must hold after each step of a week."""

    known: Known = field(default_factory=Known)
    companies: dict[str, str] = field(default_factory=dict)
    contacts: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    refuses: set[str] = field(default_factory=set)
    """Companies and contacts that Daktela does not accept."""
    staged: Known | None = None
    """What would be known if the staged load was delivered."""
    load: dict[str, set[str]] = field(default_factory=dict)
    """The contents of the staged load."""
    was_restored: bool = False
    """Whether the store was put back from a copy, and no run has begun since then."""

    def run(self, messages: Iterable[Message], *, is_full: bool, fails: bool) -> tuple[int, set[str]]:
        """Return the exit code of a run, and the contacts that it sends; it `fails` at its first request."""
        self.begin()
        received = self.known.receive(messages)
        known = self.known
        load = {key for key in received["contacts"] if known.contacts[key].is_live} - known.on_hold()
        if is_full and load and not known.streams - known.seen:
            self._forget_refused(received)
        companies = {
            key
            for key, each in known.companies.items()
            if each.is_live and (each.delivered != each.name or (is_full and key in received["companies"]))
        }
        contacts = {
            key
            for key, each in known.contacts.items()
            if each.is_live and (each.delivered != known.content(each) or (is_full and key in load))
        } - known.on_hold()
        if fails and (companies or contacts):
            self._doubt(companies, contacts)
            return 1, set()
        refused = self._send(companies, contacts)
        if is_full and load and not refused & (received["companies"] | received["contacts"]):
            known.has_baseline = True
        return int(bool(refused)), contacts - refused

    def begin(self) -> None:
        """Begin a run: a staged load is discarded."""
        self.staged = None
        if self.was_restored:
            self.was_restored = False
            known = self.known
            for company in known.companies.values():
                if company.is_live and company.delivered == company.name:
                    company.delivered, company.is_withheld = None, True
            for contact in known.contacts.values():
                if contact.is_live and contact.delivered == known.content(contact):
                    contact.delivered, contact.is_withheld = None, True

    def _doubt(self, companies: set[str], contacts: set[str]) -> None:
        """Note that what Daktela has of these is not certain, since a request with them has failed."""
        known = self.known
        of_contacts = {known.company_of(known.contacts[key]) for key in contacts} - {None}
        for key in (*companies, *map(str, of_contacts)):
            known.companies[key].delivered = None
        for key in contacts:
            known.contacts[key].delivered = None

    def _forget_refused(self, received: dict[str, set[str]]) -> None:
        """Withdraw what was refused earlier and is not in a full load."""
        known = self.known
        for key, each in [*known.contacts.items()]:
            if each.is_refused and key not in received["contacts"]:
                each.is_withheld, each.is_refused = True, False
        used = {each.company for each in known.contacts.values() if each.is_live}
        for key, each in [*known.companies.items()]:
            if each.is_refused and key not in received["companies"] and key not in used:
                each.is_withheld, each.is_refused = True, False
                each.name = each.confirmed or ""
                if each.confirmed is None:
                    del known.companies[key]

    def _send(self, companies: set[str], contacts: set[str]) -> set[str]:
        """Send companies, and contacts with their companies; return what Daktela has refused."""
        known = self.known
        company_of = {key: known.company_of(known.contacts[key]) for key in contacts}
        sent = companies | {company for company in company_of.values() if company is not None}
        refused = (sent & self.refuses) | {
            key for key in contacts if key in self.refuses or company_of[key] in self.refuses
        }
        for key in sent:
            company = known.companies[key]
            company.is_refused = key in refused
            company.delivered = None if key in refused else company.name
            if key not in refused:
                company.confirmed = self.companies[key] = company.name
        for key in contacts:
            contact = known.contacts[key]
            contact.is_refused = key in refused
            contact.delivered = None if key in refused else known.content(contact)
            if key not in refused:
                self.contacts[key], contact.confirmed = known.content(contact), contact.name
        return refused

    # Deletes.

    def stage(self, messages: Iterable[Message]) -> None:
        """Stage a load: nothing changes."""
        self.begin()
        staged = copy.deepcopy(self.known)
        received = staged.receive(messages)
        contacts = {key for key in received["contacts"] if staged.contacts[key].is_live} - staged.on_hold()
        companies = {key for key in received["companies"] if staged.companies[key].is_live}
        companies |= {company for key in contacts if (company := staged.company_of(staged.contacts[key]))}
        self.staged = staged
        missing = self.known.streams - staged.seen
        self.load = {"companies": companies, "contacts": contacts, "missing streams": missing}

    def may_be_delivered(self) -> bool:
        """Return whether the staged load may be sent, and Daktela accepts it."""
        staged, load = self.staged, self.load
        return (
            staged is not None
            and not self.was_restored
            and self.known.has_baseline
            and bool(load["contacts"])
            and not load["missing streams"]
            and not staged.on_hold()
            and not self.refuses & (load["companies"] | load["contacts"])
        )

    def deliver(self) -> None:
        """Deliver the staged load: Daktela holds this load, and nothing else of the CRM."""
        known, load = self._adopt_stage(), self.load
        for key in load["companies"]:
            known.companies[key].delivered = known.companies[key].confirmed = known.companies[key].name
        for key in load["contacts"]:
            contact = known.contacts[key]
            contact.delivered, contact.confirmed = known.content(contact), contact.name
        known.contacts = {key: known.contacts[key] for key in load["contacts"]}
        used = {each.company for each in known.contacts.values()}
        known.companies = {
            key: each
            for key, each in known.companies.items()
            if key in used or (key in load["companies"] and each.is_live)
        }
        known.has_baseline = True
        self.was_delivered()
        self.staged = None

    def lose_answer(self, *, is_applied: bool) -> None:
        """Deliver the staged load without ever learning whether Daktela has accepted it."""
        known, load = self._adopt_stage(), self.load
        if is_applied:
            self.was_delivered()
        for entities, name in ((known.companies, "companies"), (known.contacts, "contacts")):
            for key, each in entities.items():
                each.delivered = None
                each.is_withheld = key not in load[name]

    def was_delivered(self) -> None:
        """Note that Daktela has accepted the staged load."""
        known, load = self.known, self.load
        self.companies = {key: known.companies[key].name for key in load["companies"]}
        self.contacts = {key: known.content(known.contacts[key]) for key in load["contacts"]}

    def _adopt_stage(self) -> Known:
        assert self.staged is not None
        self.known = self.staged
        return self.known

    # Copies of the store.

    def put_back(self, known: Known) -> None:
        """Put the store back from a copy."""
        self.known, self.was_restored = copy.deepcopy(known), True
