"""Companies and contacts as encoded bytes in, request bodies as full as the limit allows out.

Bytes are joined here, never encoded again. A company whose contacts do not fit one body is repeated with the rest
of them; contacts without a company stand under a company whose id, name and description are null. The request is
described in `sync_request.schema.json`, and comes from the vendor's white paper (daktela-api.md §7.1).
"""

from __future__ import annotations

from itertools import chain, groupby
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from target_daktela_crm.entities import Entry, Part

_BEGIN, _END, _END_AND_DELETE = b'{"data":[', b"]}", b'],"delete":true}'
_NOBODY = b'{"id":null,"name":null,"description":null}'
_CONTACTS = b',"contacts":['
_CLOSE = b"]}"
_FRAME = len(_BEGIN) + len(_END)


class Body(NamedTuple):
    """What fits one request."""

    entries: list[Entry]
    size: int
    """Bytes of the request."""


class TooLarge(NamedTuple):
    """An entry that alone is over the limit."""

    entry: Entry
    size: int


def pack(entries: Iterable[Entry], limit: Callable[[], int], most: int) -> Iterator[Body | TooLarge]:
    """Yield bodies of at most `limit()` bytes, which may shrink from one to the next, in the order of the entries.

    An entry that alone is larger gets a body of its own, as long as it is not over `most`; beyond, it is TooLarge.
    Entries of one company must come one after the other.
    """
    held: list[Entry] = []
    filling, bound = _Filling(), limit()
    for entry in entries:
        growth = filling.growth(entry)
        if held and filling.size + growth > bound:
            yield Body(held, filling.size)
            held, filling, bound = [], _Filling(), limit()
            growth = filling.growth(entry)
        if not held and _FRAME + growth > most:
            yield TooLarge(entry, _FRAME + growth)
            continue
        held.append(entry)
        filling.add(entry, growth)
    if held:
        yield Body(held, filling.size)


def encode(entries: Iterable[Entry], *, delete: bool = False) -> bytes:
    """Return the request that holds these entries; `delete` is left out unless it is true."""
    return b"".join(_pieces(entries, _END_AND_DELETE if delete else _END))


def _pieces(entries: Iterable[Entry], end: bytes) -> Iterator[bytes]:
    yield _BEGIN
    between_companies = b""
    for _, group in groupby(entries, _company_key):
        first = next(group)
        yield between_companies
        yield _head(first)
        yield _CONTACTS
        between_contacts = b""
        for entry in chain((first,), group):
            if entry.contact is not None:
                yield between_contacts
                yield entry.contact.body
                between_contacts = b","
        yield _CLOSE
        between_companies = b","
    yield end


def size_of(entries: Iterable[Entry], *, delete: bool = False) -> int:
    """Return how many bytes `encode` returns for these entries."""
    filling = _Filling()
    for entry in entries:
        filling.add(entry, filling.growth(entry))
    return filling.size + (len(_END_AND_DELETE) - len(_END) if delete else 0)


class _Filling:
    """The size of a body while it is filled."""

    def __init__(self) -> None:
        self.size = _FRAME
        self._is_empty = True
        self._company: Part | None = None
        self._has_contacts = False

    def growth(self, entry: Entry) -> int:
        """Return by how many bytes the body would grow with one more entry."""
        contact = 0 if entry.contact is None else len(entry.contact.body)
        if self._goes_on(entry.company):
            return contact + (1 if contact and self._has_contacts else 0)
        return len(_head(entry)) + len(_CONTACTS) + len(_CLOSE) + contact + (not self._is_empty)

    def add(self, entry: Entry, growth: int) -> None:
        """Count an entry, by which the body grows by so many bytes."""
        self._has_contacts = entry.contact is not None or (self._has_contacts and self._goes_on(entry.company))
        self.size += growth
        self._is_empty, self._company = False, entry.company

    def _goes_on(self, company: Part | None) -> bool:
        """Return whether a company is the one that the body ends with."""
        last = self._company
        if company is last:
            return not self._is_empty
        return company is not None and last is not None and company.key == last.key


def _company_key(entry: Entry) -> str | None:
    return None if entry.company is None else entry.company.key


def _head(entry: Entry) -> bytes:
    return (_NOBODY if entry.company is None else entry.company.body)[:-1]
