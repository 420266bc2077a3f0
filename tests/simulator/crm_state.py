"""The companies and contacts of the sync endpoint: those of accepted loads, and the initial ones of a test.

They are independent of the tables, since it is not known how a real instance relates the two.
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
    """The effects of accepted requests, and the size of the largest body that reached the endpoint."""

    requests: int = 0
    bytes: int = 0
    largest: int = 0
    companies_written: int = 0
    contacts_written: int = 0
    companies_deleted: int = 0
    contacts_deleted: int = 0


class Crm:
    """The companies and contacts of an instance's sync endpoint.

    Attributes:
        companies: Id as text -> the last accepted content of a company, without its contacts.
        contacts: Id as text -> the last accepted content of a contact, and the id of its `company` as text.
        born: Id as text -> a contact that was created in Daktela. Loads do not change these contacts, even if the
            CRM uses the same id.
        accepted: The decoded body of each accepted request.
        counts: The effects of accepted requests.
    """

    def __init__(self) -> None:
        self._lock = RLock()
        self.clear()

    def clear(self) -> None:
        """Remove all entries and counts."""
        with self._lock:
            self.companies: dict[str, Entry] = {}
            self.contacts: dict[str, Entry] = {}
            self.born: dict[str, Entry] = {}
            self.accepted: list[Any] = []
            self.counts = Counts()

    def seed(self, data: Sequence[Entry] = (), born: Sequence[Entry] = ()) -> None:
        """Add initial entries: companies of an earlier integration, and contacts that were created in Daktela.

        Both have the form of a load and are validated like one. They are not counted.
        """
        nobody = {"id": None, "name": None, "description": None, "contacts": list(born)}
        earlier = read_load(msgspec.json.encode({"data": list(data)}))
        native = read_load(msgspec.json.encode({"data": [nobody]}))
        with self._lock:
            self._write(earlier, replace=False)
            self.born |= {key: _contact(*each) for key, each in native.contacts.items()}

    def reached(self, size: int) -> None:
        """Record the size of a body, whether or not the load is accepted."""
        with self._lock:
            self.counts.largest = max(self.counts.largest, size)

    def apply(self, load: Load, size: int, *, replace: bool, keep: bool) -> dict[str, int]:
        """Apply a load of `size` bytes, and return its effects.

        With `replace`, the contacts of a company that its list does not contain lose their company. Without
        `keep`, a load is counted but not stored. Then deletion applies to entries of earlier loads only.
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
        """Return a copy of all entries, in the order of their ids, for a comparison with another instance."""
        with self._lock:
            entries = {"companies": self.companies, "contacts": self.contacts, "born": self.born}
            ordered = {name: dict(sorted(each.items())) for name, each in entries.items()}
            copied: dict[str, dict[str, Entry]] = msgspec.json.decode(msgspec.json.encode(ordered))
            return copied

    def described(self) -> dict[str, Any]:
        """Return the snapshot and the counts as plain data."""
        with self._lock:
            return {**self.snapshot(), "counts": dataclasses.asdict(self.counts)}

    def _write(self, load: Load, *, replace: bool) -> None:
        for key, company in load.companies.items():
            # A company without the key `fields` keeps its fields.
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
