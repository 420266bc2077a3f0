"""Companies and contacts as encoded bytes in, request bodies as full as the limit allows out.

Bytes are joined here, never encoded again. A company whose contacts do not fit one body is repeated with the rest
of them; contacts without a company stand under a company whose id, name and description are null. The request is
described in `sync_request.schema.json`, and comes from the vendor's white paper (daktela-api.md §7.1).
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_BEGIN, _END, _END_AND_DELETE = b'{"data":[', b"]}", b'],"delete":true}'
_NOBODY = b'{"id":null,"name":null,"description":null}'
_CONTACTS = b',"contacts":['
_CLOSE = b"]}"
_FRAME = len(_BEGIN) + len(_END)


class Part(NamedTuple):
    """A company or a contact."""

    number: int
    """Its place in the store."""
    key: str
    body: bytes
    """Its JSON object; that of a company without `contacts`."""


class Entry(NamedTuple):
    """A contact with its company; a company alone has no contact, a contact alone no company."""

    company: Part | None
    contact: Part | None


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
    """Yield bodies of at most `limit()` bytes, which may shrink meanwhile, in the order of the entries.

    An entry that alone is larger gets a body of its own, as long as it is not over `most`; beyond, it is TooLarge.
    Entries of one company must come one after the other.
    """
    held: list[Entry] = []
    size = _FRAME
    for entry in entries:
        more = _growth(held[-1] if held else None, entry)
        if held and size + more > limit():
            yield Body(held, size)
            held, size, more = [], _FRAME, _growth(None, entry)
        if not held and _FRAME + more > most:
            yield TooLarge(entry, _FRAME + more)
            continue
        held.append(entry)
        size += more
    if held:
        yield Body(held, size)


def encode(entries: Iterable[Entry], *, delete: bool = False) -> bytes:
    """Return the request that holds these entries; `delete` is left out unless it is true."""
    companies = []
    for _, group in groupby(entries, _company_key):
        members = list(group)
        contacts = b",".join(entry.contact.body for entry in members if entry.contact is not None)
        companies.append(b"".join((_head(members[0]), _CONTACTS, contacts, _CLOSE)))
    return b"".join((_BEGIN, b",".join(companies), _END_AND_DELETE if delete else _END))


def size_of(entries: Iterable[Entry], *, delete: bool = False) -> int:
    """Return how many bytes `encode` returns for these entries."""
    size, last = _FRAME + (len(_END_AND_DELETE) - len(_END) if delete else 0), None
    for entry in entries:
        size += _growth(last, entry)
        last = entry
    return size


def _company_key(entry: Entry) -> str | None:
    return None if entry.company is None else entry.company.key


def _head(entry: Entry) -> bytes:
    return (_NOBODY if entry.company is None else entry.company.body)[:-1]


def _growth(last: Entry | None, entry: Entry) -> int:
    """Return by how many bytes a body grows with one more entry."""
    contact = 0 if entry.contact is None else len(entry.contact.body)
    if last is not None and _company_key(last) == _company_key(entry):
        return contact + (1 if contact and last.contact is not None else 0)
    head = len(_head(entry)) + len(_CONTACTS) + len(_CLOSE)
    return head + contact + (0 if last is None else 1)
