"""Batching: put stored companies and contacts into requests that are as large as the limit allows.

Stored JSON is joined here, and not encoded again. A company whose contacts do not fit into one request is repeated
with the others; contacts without a company are under a company whose id, name and description are null. The format
of requests is described in `sync_request.schema.json`, and comes from the vendor's white paper (daktela-api.md
§7.1).
"""

from __future__ import annotations

from itertools import chain, groupby
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from target_daktela_crm.entities import QueueEntry, StoredEntity

_BEGIN, _END, _END_WITH_DELETE = b'{"data":[', b"]}", b'],"delete":true}'
_NO_COMPANY = b'{"id":null,"name":null,"description":null}'
_BEGIN_CONTACTS = b',"contacts":['
_END_COMPANY = b"]}"
_FRAME = len(_BEGIN) + len(_END)


class Batch(NamedTuple):
    """The entries of one request."""

    entries: list[QueueEntry]
    size: int
    """Bytes of the request."""


class TooLarge(NamedTuple):
    """An entry that is larger than the maximum by itself."""

    entry: QueueEntry
    size: int


def pack(entries: Iterable[QueueEntry], limit: Callable[[], int], maximum: int) -> Iterator[Batch | TooLarge]:
    """Yield batches in the order of the entries, each of at most `limit()` bytes.

    The limit may shrink in the meantime. An entry that is larger than the limit gets a batch of its own. If it is
    larger than `maximum`, it is `TooLarge`. The entries of a company must be consecutive.
    """
    batch: list[QueueEntry] = []
    counter, bound = _SizeCounter(), limit()
    for entry in entries:
        growth = counter.growth(entry)
        if batch and counter.size + growth > bound:
            yield Batch(batch, counter.size)
            batch, counter, bound = [], _SizeCounter(), limit()
            growth = counter.growth(entry)
        if not batch and _FRAME + growth > maximum:
            yield TooLarge(entry, _FRAME + growth)
            continue
        batch.append(entry)
        counter.add(entry, growth)
    if batch:
        yield Batch(batch, counter.size)


def encode_request(entries: Iterable[QueueEntry], *, delete: bool = False) -> bytes:
    """Return the body of a request; the key `delete` is left out unless it is true."""
    return b"".join(_pieces(entries, _END_WITH_DELETE if delete else _END))


def _pieces(entries: Iterable[QueueEntry], end: bytes) -> Iterator[bytes]:
    yield _BEGIN
    between_companies = b""
    for _, group in groupby(entries, _company_key):
        first = next(group)
        yield between_companies
        yield _company_without_end(first)
        yield _BEGIN_CONTACTS
        between_contacts = b""
        for entry in chain((first,), group):
            if entry.contact is not None:
                yield between_contacts
                yield entry.contact.body
                between_contacts = b","
        yield _END_COMPANY
        between_companies = b","
    yield end


def request_size(entries: Iterable[QueueEntry], *, delete: bool = False) -> int:
    """Return the number of bytes that `encode_request` returns."""
    counter = _SizeCounter()
    for entry in entries:
        counter.add(entry, counter.growth(entry))
    return counter.size + (len(_END_WITH_DELETE) - len(_END) if delete else 0)


class _SizeCounter:
    """The size of a request to which entries are added."""

    def __init__(self) -> None:
        self.size = _FRAME
        self._is_empty = True
        self._company: StoredEntity | None = None
        self._has_contacts = False

    def growth(self, entry: QueueEntry) -> int:
        """Return the number of bytes by which the request would grow with another entry."""
        contact = 0 if entry.contact is None else len(entry.contact.body)
        if self._is_last_company(entry.company):
            return contact + (1 if contact and self._has_contacts else 0)
        company = len(_company_without_end(entry)) + len(_BEGIN_CONTACTS) + len(_END_COMPANY)
        return company + contact + (not self._is_empty)

    def add(self, entry: QueueEntry, growth: int) -> None:
        """Count an entry by which the request grows by `growth` bytes."""
        is_last_company = self._is_last_company(entry.company)
        self._has_contacts = entry.contact is not None or (self._has_contacts and is_last_company)
        self.size += growth
        self._is_empty, self._company = False, entry.company

    def _is_last_company(self, company: StoredEntity | None) -> bool:
        """Return whether a company is the last one in the request."""
        last = self._company
        if company is last:
            return not self._is_empty
        return company is not None and last is not None and company.key == last.key


def _company_key(entry: QueueEntry) -> str | None:
    return None if entry.company is None else entry.company.key


def _company_without_end(entry: QueueEntry) -> bytes:
    return (_NO_COMPANY if entry.company is None else entry.company.body)[:-1]
