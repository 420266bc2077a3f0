"""Companies, contacts, links and custom fields: what records are mapped to, and what is stored. Types only."""

from __future__ import annotations

from enum import IntEnum
from typing import Any, NamedTuple, TypeAlias

import msgspec


class CompanyInfo(IntEnum):
    """What a contact's record says about the contact's company."""

    COLUMNS_MISSING = 0
    """The record lacks all columns for the company, so the company known so far is kept."""
    NOT_MAPPED = 1
    """The mapping has no expression for the company."""
    GIVEN = 2
    """The record names a company, or says that there is none."""
    GIVEN_WITHOUT_LINKS = 3
    """As `GIVEN`, and links of earlier runs no longer count."""


class Company(msgspec.Struct, frozen=True, gc=False):
    """A company."""

    key: str
    body: bytes | bytearray | None
    """The company's JSON object in the request, without `contacts`; None for a deleted company."""
    modified: float | None
    deleted: bool
    nameless: bool = False
    """Whether the record has no name. The body then contains a substitute."""
    columns: bytearray | None = None
    """The last known values of the columns that the mapping reads, as a JSON object."""
    is_unsettled: bool = False
    """Whether the record may lack a column because it has no value any more."""


class Contact(msgspec.Struct, frozen=True, gc=False):
    """A contact."""

    key: str
    body: bytes | bytearray | None
    """The contact's JSON object in the request; None for a deleted contact."""
    company: str | None
    """Key of the company that the record names."""
    modified: float | None
    deleted: bool
    company_info: CompanyInfo = CompanyInfo.NOT_MAPPED
    company_name: str | None = None
    """Name of that company, if the contact's record contains it."""
    columns: bytearray | None = None
    """As those of a company."""
    is_unsettled: bool = False
    """As that of a company."""


class Link(msgspec.Struct, frozen=True, gc=False):
    """A record of a stream between contacts and companies: the contact belongs to the company."""

    key: str
    contact: str
    """Key of the contact; empty if a deleted record does not name it."""
    company: str
    primary: bool
    deleted: bool
    modified: float | None = None


class CustomValue(msgspec.Struct, frozen=True, gc=False):
    """A record that holds one value of a company or contact whose own record is in another stream."""

    key: str
    owner: str
    """Id of that company or contact; empty for a deleted value."""
    definition: str | None
    """Key of the record that defines the meaning of the value, in a third stream."""
    record: bytes
    deleted: bool


class CustomDefinition(msgspec.Struct, frozen=True, gc=False):
    """A record that defines the meaning of custom values."""

    key: str
    record: bytes | None
    """None for a deleted definition."""


class Excluded(msgspec.Struct, frozen=True, gc=False):
    """A company, contact or link whose record the condition `when` excludes."""

    role: str
    """`company`, `contact` or `link`."""
    key: str
    modified: float | None = None


class UnsettledRecord(NamedTuple):
    """A record that may lack a column because the column has no value any more."""

    stream: str
    role: str
    """`company` or `contact`."""
    key: str
    record: dict[str, Any]
    run_number: int


class RejectedPart(msgspec.Struct, frozen=True):
    """A part of a record that cannot be mapped, while other parts of the record can."""

    identifier: str | None
    reason: str
    part: Any


Entity: TypeAlias = Company | Contact | Link | CustomValue | CustomDefinition


class StoredEntity(msgspec.Struct, frozen=True, gc=False):
    """A company or contact in the store."""

    number: int
    """Its row number in the store."""
    key: str
    body: bytes
    """Its JSON object in the request; that of a company without `contacts`."""
    is_earlier: bool = False
    """Whether only earlier runs have received it."""


class QueueEntry(msgspec.Struct, frozen=True, gc=False):
    """A contact to send, with its company.

    A company that is sent by itself has no contact; a contact without a company has no company.
    """

    company: StoredEntity | None
    contact: StoredEntity | None


class NamedCount(NamedTuple):
    """A number of companies and contacts."""

    total: int = 0
    examples: tuple[str, ...] = ()
    """Keys of some of them."""
