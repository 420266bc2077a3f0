"""The contacts and companies that CRM loads have brought, and those that were there before.

In: loads that were judged, and what tests seed. Out: plain dictionaries to look at, snapshots to compare, and
counts. Rows of the tables are another matter: how the real instance maps the two is not known.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from threading import RLock
from typing import TYPE_CHECKING, Any

import msgspec

from tests.simulator.load import COMPANY, CONTACT, Entry, Load, read_load

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass
class Counts:
    """What accepted requests did, and the largest body of any request that reached the endpoint."""

    requests: int = 0
    bytes: int = 0
    largest: int = 0
    companies_written: int = 0
    contacts_written: int = 0
    companies_deleted: int = 0
    contacts_deleted: int = 0


class Crm:
    """The CRM side of an instance.

    Attributes:
        companies: By the text of its id, what was last sent of each company, without its contacts.
        contacts: By the text of its id, what was last sent of each contact, and the text of its `company`'s id.
        born: Contacts born in Daktela, by the text of their ids. No load touches them: they are none of the
            CRM's, not even under an id that the CRM uses as well.
        accepted: The parsed body of each accepted request.
        counts: Numbers.
    """

    def __init__(self) -> None:
        self._lock = RLock()
        self.clear()

    def clear(self) -> None:
        """Empty it, counts included."""
        with self._lock:
            self.companies: dict[str, Entry] = {}
            self.contacts: dict[str, Entry] = {}
            self.born: dict[str, Entry] = {}
            self.accepted: list[Any] = []
            self.counts = Counts()

    def seed(self, data: Sequence[Entry] = (), born: Sequence[Entry] = ()) -> None:
        """Put in what was there before: companies of an earlier integration, and contacts born in Daktela.

        Both have the payload's shape, and are judged as if they had been sent. Nothing is counted.
        """
        nobody = {"id": None, "name": None, "description": None, "contacts": list(born)}
        earlier = read_load(msgspec.json.encode({"data": list(data)}))
        native = read_load(msgspec.json.encode({"data": [nobody]}))
        with self._lock:
            self._write(earlier, replace=False)
            self.born |= {key: _contact(*each) for key, each in native.contacts.items()}

    def reached(self, size: int) -> None:
        """Note the size of a body, whatever becomes of it."""
        with self._lock:
            self.counts.largest = max(self.counts.largest, size)

    def apply(self, load: Load, size: int, *, replace: bool, keep: bool) -> dict[str, int]:
        """Take in a load of that many bytes; say what it did.

        With `replace`, a company's contacts that its list lacks lose their company. Without `keep`, what is sent
        is counted and forgotten; deletion then concerns what was seeded or sent before.
        """
        with self._lock:
            if keep:
                self._write(load, replace=replace)
                self.accepted.append(load.content)
            companies = _delete(self.companies, load.companies) if load.delete else 0
            contacts = _delete(self.contacts, load.contacts) if load.delete else 0
            done = {
                "companies_written": len(load.companies),
                "contacts_written": len(load.contacts),
                "companies_deleted": companies,
                "contacts_deleted": contacts,
            }
            for name, count in {"requests": 1, "bytes": size, **done}.items():
                setattr(self.counts, name, getattr(self.counts, name) + count)
            return done

    def snapshot(self) -> dict[str, dict[str, Entry]]:
        """A copy of all entries, in the order of their ids, to be compared with another instance's."""
        with self._lock:
            entries = {"companies": self.companies, "contacts": self.contacts, "born": self.born}
            ordered = {name: dict(sorted(each.items())) for name, each in entries.items()}
            copied: dict[str, dict[str, Entry]] = msgspec.json.decode(msgspec.json.encode(ordered))
            return copied

    def described(self) -> dict[str, Any]:
        """The snapshot and the counts, as plain data."""
        with self._lock:
            return {**self.snapshot(), "counts": dataclasses.asdict(self.counts)}

    def _write(self, load: Load, *, replace: bool) -> None:
        for key, company in load.companies.items():
            # A company that is sent without the key `fields` says nothing about its fields: they stay.
            sent = {**self.companies.get(key, {}), **company}
            self.companies[key] = {name: sent[name] for name in COMPANY if name in sent}
        for key, each in load.contacts.items():
            self.contacts[key] = _contact(*each)
        if replace:
            for key, entry in self.contacts.items():
                if key not in load.contacts and entry["company"] in load.companies:
                    entry["company"] = None


def _contact(company: str | None, contact: Entry) -> Entry:
    return {**{name: contact[name] for name in CONTACT}, "company": company}


def _delete(entries: dict[str, Entry], sent: dict[str, Any]) -> int:
    gone = entries.keys() - sent.keys()
    for key in gone:
        del entries[key]
    return len(gone)
