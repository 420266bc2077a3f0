"""The store: what is known of the CRM, and what of it Daktela has.

One SQLite file per instance, kept between runs. Records that are received again replace earlier ones, and what was
delivered is remembered as a hash of its content. The size of the store is that of the CRM, so its rows are written
and read in small batches.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from target_daktela_crm.entities import (
    Company,
    CompanyInfo,
    Contact,
    CustomDefinition,
    CustomValue,
    Link,
    QueueEntry,
    StoredEntity,
)
from target_daktela_crm.exact_json import encode
from target_daktela_crm.store.custom_fields import CustomFields
from target_daktela_crm.store.linking import link_contacts
from target_daktela_crm.store.schema import (
    StoreError,
    begin_upgraded,
    connect,
    content_hash,
    describe_sqlite_error,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from target_daktela_crm.entities import Entity

_BUFFERED_ROWS = 2_000
_BUFFERED_BYTES = 4_000_000
"""Received rows, or bytes of their bodies, that are written together."""
_COMMITTED_ROWS = 100_000
"""Rows after which the transaction is committed."""
_FETCHED_ROWS = 500
_FETCHED_BYTES = 4_000_000
"""Queued rows, or bytes of their bodies, that are read together."""
_UNKNOWN_OUTCOME = "doubt"
"""Key in `meta`: whether it is unknown what a delivery with `delete` has changed."""

# The last record of a run wins, unless both have a time of change and the earlier record was changed later.
_KEEP_NEWEST = """
WHERE {table}.run < excluded.run OR excluded.modified IS NULL OR {table}.modified IS NULL
   OR excluded.modified >= {table}.modified
"""
_PUT_COMPANY = """
INSERT INTO companies (key, body, hash, modified, deleted, nameless, run, stream)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET
    body = coalesce(excluded.body, body), hash = coalesce(excluded.hash, hash), modified = excluded.modified,
    deleted = excluded.deleted, nameless = excluded.nameless, run = excluded.run, stream = excluded.stream
""" + _KEEP_NEWEST.format(table="companies")
_PUT_CONTACT = """
INSERT INTO contacts (key, body, hash, modified, deleted, run, stream, own, tells, company, own_run)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?8, iif(?9, ?6, NULL))
ON CONFLICT (key) DO UPDATE SET
    body = coalesce(excluded.body, body), hash = coalesce(excluded.hash, hash), modified = excluded.modified,
    deleted = excluded.deleted, run = excluded.run, stream = excluded.stream,
    own = iif(excluded.tells, excluded.own, own), own_run = iif(excluded.tells, excluded.run, own_run),
    tells = iif(excluded.tells >= 2, excluded.tells, max(tells, excluded.tells))
""" + _KEEP_NEWEST.format(table="contacts")
_PUT_NAME = """
INSERT INTO company_names VALUES (?, ?) ON CONFLICT (company) DO UPDATE SET name = excluded.name
"""
# A link that is received again gets a new number, by which the newest link of a contact is found.
_PUT_LINK = """
INSERT OR REPLACE INTO links (stream, key, contact, company, main, deleted, run, modified)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""

_UNANSWERED = {
    "contacts": "delivered = NULL, known = iif(known, known, 2)",
    "companies": "delivered = NULL",
}
# The endpoint may have processed a part of a request that it refuses.
_REFUSED = {"contacts": "delivered = NULL", "companies": "delivered = NULL"}
_ACCEPTED = {
    "contacts": "delivered = hash, delivered_company = company, known = 1",
    "companies": "delivered = hash",
}
"""How the sent rows of each table change."""

_DUE_COMPANY = "NOT deleted AND body IS NOT NULL AND delivered IS NOT hash"
_DUE_CONTACT = (
    "NOT deleted AND NOT waits AND body IS NOT NULL"
    " AND (delivered IS NOT hash OR delivered_company IS NOT company)"
)
_ON_HOLD = "waits AND NOT deleted"
_DELETED = "known > 0 AND deleted"


@dataclass(frozen=True)
class StoreOwner:
    """The instance, endpoint and preset that a store belongs to; each combination needs a store of its own."""

    url: str
    sync_path: str | None
    """None to accept the store's."""
    preset: str | None
    """None to accept the store's."""


class Queue(NamedTuple):
    """Number of queued companies and contacts."""

    companies: int
    contacts: int


class ContactOnHold(NamedTuple):
    """A contact whose company is unknown."""

    key: str
    stream: str
    body: bytes


class LoadCounts(NamedTuple):
    """Numbers of contacts in the last run, and of those that its delivery with `delete` would delete."""

    contacts: int
    """That would be sent."""
    on_hold: int
    """On hold, in whichever run they were received."""
    known: int
    """That Daktela has ever accepted, or may have."""
    missing: int
    """Of the known ones, those that the load does not contain."""


class Store:
    """An open store. Only one process at a time can open it."""

    def __init__(self, connection: sqlite3.Connection, *, is_new: bool, keeps: bool = True) -> None:
        self._connection = connection
        self.is_new = is_new
        self._keeps = keeps
        self._companies: list[tuple[Any, ...]] = []
        self._contacts: list[tuple[Any, ...]] = []
        self._links: list[tuple[Any, ...]] = []
        self._names: dict[str, str] = {}
        self._uncommitted_rows = 0
        self._buffered_bytes = 0
        self._streams: set[str] = set()
        self.run_number = int(self.get("run") or 0)
        self.custom_fields = CustomFields(connection)

    # Opening.

    @classmethod
    def open(cls, path: Path, owner: StoreOwner, *, create: bool = True, keep: bool = True) -> Store:
        """Return the store at `path`, which is created if it does not exist and `create` is true.

        With `keep` false, no change is saved.

        Raises:
            StoreError: the store is in use, damaged, of a newer version, or belongs to another owner.
        """
        try:
            is_new = not path.exists()
            if is_new and not create:
                raise StoreError(
                    f"there is no store at {path}: nothing has been run yet, or store_path is another"
                )
            connection = connect(path if keep or not is_new else None)
            try:
                begin_upgraded(connection, path)
                store = cls(connection, is_new=is_new, keeps=keep)
                # An earlier run ended before these were answered. Done first, since Daktela may have them: see
                # `_may_change`.
                store._mark_sent(_UNANSWERED)
                store._check_owner(path, owner)
                store.commit()
            except BaseException:
                connection.close()
                raise
        except sqlite3.Error as error:
            raise StoreError(describe_sqlite_error(path, error)) from None
        except OSError as error:
            raise StoreError(f"the store {path} cannot be opened: {error.strerror or error}") from None
        if store.get(_UNKNOWN_OUTCOME):
            store.mark_all_undelivered()
        return store

    def _check_owner(self, path: Path, owner: StoreOwner) -> None:
        known = self.get("owner")
        if known is None:
            self.set("owner", vars(owner))
            return
        wanted = {**known, **{name: value for name, value in vars(owner).items() if value is not None}}
        for name, value in wanted.items():
            if value != known[name] and not self._may_change(name):
                raise StoreError(
                    f"the store {path} belongs to {name} {known[name]!r}, not {value!r}: "
                    "give each its own store_path"
                )
        if wanted != known:
            self.set("owner", wanted)

    def _may_change(self, name: str) -> bool:
        """Return whether a part of the owner can still be corrected, since nothing depends on it yet."""
        if name == "preset":
            return not self._count("contacts", "1") and not self._count("companies", "1")
        return not self._count("contacts", "known > 0") and not self._count("companies", "delivered IS NOT NULL")

    def close(self) -> None:
        """Close the store; uncommitted changes are discarded."""
        with suppress(sqlite3.Error):
            self._connection.rollback()
        self._connection.close()

    def commit(self) -> None:
        """Make all changes so far durable, and begin the next transaction."""
        self._uncommitted_rows = 0
        if not self._keeps:
            return
        # An error, which is reported elsewhere, may have ended the transaction.
        if self._connection.in_transaction:
            self._connection.execute("COMMIT")
        self._connection.execute("BEGIN IMMEDIATE")

    # Metadata.

    def get(self, key: str) -> Any:  # noqa: ANN401 - JSON
        """Return the metadata under a key, or None."""
        row = self._connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else json.loads(row[0])

    def set(self, key: str, value: object) -> None:
        """Save metadata, which must be JSON, under a key."""
        self._connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, json.dumps(value)))

    def begin_run(self) -> None:
        """Begin the next run; a load that an earlier run has staged is no longer that of the last run."""
        self.run_number += 1
        self.set("run", self.run_number)
        self.commit()

    # Receiving.

    def put(self, entity: Entity, stream: str, run_number: int) -> None:
        """Store what a record was mapped to.

        `run_number` is the last run that received the record: this one, or an earlier one if a custom value was
        received later.
        """
        if isinstance(entity, Contact):
            key, body, own, deleted = entity.key, entity.body, entity.company, int(entity.deleted)
            digest = self._hash(body)
            # A deleted record says nothing about the company.
            info = int(CompanyInfo.COLUMNS_MISSING if deleted else entity.company_info)
            self._contacts.append((key, body, digest, entity.modified, deleted, run_number, stream, own, info))
            if entity.company_name is not None and own is not None:
                self._names[own] = entity.company_name
        elif isinstance(entity, Company):
            key, body, deleted = entity.key, entity.body, int(entity.deleted)
            digest = self._hash(body)
            nameless = int(entity.nameless)
            self._companies.append((key, body, digest, entity.modified, deleted, nameless, run_number, stream))
        elif isinstance(entity, Link):
            flags = (int(entity.primary), int(entity.deleted))
            ends = (entity.contact, entity.company)
            self._links.append((stream, entity.key, *ends, *flags, run_number, entity.modified))
        elif isinstance(entity, CustomValue):
            self.custom_fields.add_value(stream, entity, run_number)
        elif isinstance(entity, CustomDefinition):
            self.custom_fields.add_definition(stream, entity)
        if run_number == self.run_number:
            self.note_stream(stream)
        self._count_row()

    def _hash(self, body: bytes | bytearray | None) -> bytearray | None:
        """Return the hash of a body, whose bytes are pluralize as buffered."""
        if body is None:
            return None
        self._buffered_bytes += len(body)
        # Python's sqlite3 stores texts, numbers and bytearrays without conversion. For other types, such as bytes
        # and bool, it searches for adapters, which takes a third of a row's time.
        return bytearray(content_hash(body))

    def keep_record(self, stream: str, key: str, record: dict[str, Any], modified: float | None) -> None:
        """Keep a record that is mapped later, with its custom values."""
        self.custom_fields.keep(stream, key, record, modified, self.run_number)
        self._count_row()

    def note_stream(self, stream: str) -> None:
        """Note that this run has received records of a stream."""
        self._streams.add(stream)

    def _count_row(self) -> None:
        self._uncommitted_rows += 1
        if self._uncommitted_rows % _BUFFERED_ROWS == 0 or self._buffered_bytes >= _BUFFERED_BYTES:
            self._write()
            if self._uncommitted_rows >= _COMMITTED_ROWS:
                self.commit()

    def _write(self) -> None:
        self._buffered_bytes = 0
        for statement, rows in (
            (_PUT_COMPANY, self._companies),
            (_PUT_CONTACT, self._contacts),
            (_PUT_LINK, self._links),
        ):
            if rows:
                self._connection.executemany(statement, rows)
                rows.clear()
        if self._names:
            self._connection.executemany(_PUT_NAME, self._names.items())
            self._names.clear()
        if self._streams:
            names = [(name.casefold(), self.run_number) for name in self._streams]
            self._connection.executemany("INSERT OR REPLACE INTO streams VALUES (?, ?)", names)
            self._streams.clear()

    def flush(self) -> None:
        """Make everything received so far durable."""
        self._write()
        self.commit()

    # Linking.

    def link_contacts(
        self, *, detach_unknown: bool, only_this_run: bool = False, unique_ids: bool = False
    ) -> None:
        """Set the company of every contact, after the last record; see `linking.py`.

        With `only_this_run`, links that this run has not received do not count.
        """
        link_contacts(
            self._connection,
            since=self.run_number if only_this_run else 0,
            detach_unknown=detach_unknown,
            unique_ids=unique_ids,
        )
        self.commit()

    def contacts_on_hold(self) -> Iterator[ContactOnHold]:
        """Yield the contacts of this run whose company is unknown."""
        query = """
            SELECT key, stream, body FROM contacts WHERE waits AND NOT deleted AND run = ? ORDER BY number
        """
        for row in self._connection.execute(query, (self.run_number,)):
            yield ContactOnHold(*row)

    # The queue of what to send.

    def queue_changes(self, *, everything: bool) -> Queue:
        """Queue what Daktela does not have, by company; with `everything`, also all that this run has received."""
        also = f"OR (run = {self.run_number} AND NOT deleted AND body IS NOT NULL)" if everything else ""
        waits = "AND NOT waits" if everything else ""
        return self._queue(f"({_DUE_COMPANY}) {also}", f"(({_DUE_CONTACT}) {also}) {waits}")

    def queue_load(self) -> Queue:
        """Queue all that the last run has received, with the companies of its contacts."""
        live = f"run = {self.run_number} AND NOT deleted AND body IS NOT NULL"
        return self._queue(live, f"{live} AND NOT waits")

    def _queue(self, of_companies: str, of_contacts: str) -> Queue:
        execute = self._connection.execute
        execute("DROP TABLE IF EXISTS temp.queue")
        execute("CREATE TEMP TABLE queue (place INTEGER PRIMARY KEY, company TEXT, contact INTEGER)")
        # By company, with each company's own entry before its contacts; contacts without a company come last.
        execute(f"""
            INSERT INTO queue (company, contact)
            SELECT company, contact FROM (
                SELECT key AS company, NULL AS contact FROM companies WHERE {of_companies}
                UNION ALL
                SELECT company, number FROM contacts WHERE {of_contacts}
            )
            ORDER BY company NULLS LAST, contact NULLS FIRST
        """)  # noqa: S608 - conditions of this module
        return Queue(*execute("SELECT count(*) - count(contact), count(contact) FROM queue").fetchone())

    def entries(self) -> Iterator[QueueEntry]:
        """Yield the queued companies and contacts; sent ones may be marked in the meantime."""
        place, company = 0, None
        while rows := self._fetch(place):
            for place, key, number, contact_key, body in rows:  # noqa: B007 - the next fetch begins at the last one
                if key is None:
                    company = None
                elif company is None or company.key != key:
                    company = self._company(key)
                yield QueueEntry(company, None if number is None else StoredEntity(number, contact_key, body))

    def _fetch(self, place: int) -> list[tuple[Any, ...]]:
        """Return the next queued rows after a place."""
        cursor = self._connection.execute(
            """
            SELECT queue.place, queue.company, contacts.number, contacts.key, contacts.body
            FROM queue LEFT JOIN contacts ON contacts.number = queue.contact
            WHERE queue.place > ? ORDER BY queue.place LIMIT ?
            """,
            (place, _FETCHED_ROWS),
        )
        rows, size = [], 0
        for row in cursor:
            rows.append(row)
            size += len(row[-1] or b"")
            if size >= _FETCHED_BYTES:
                break
        # Closed, since the caller may change these rows next.
        cursor.close()
        return rows

    def _company(self, key: str) -> StoredEntity:
        row = self._connection.execute("SELECT number, key, body FROM companies WHERE key = ?", (key,)).fetchone()
        return StoredEntity(*row)

    # Results of sending.

    def mark_sending(self, entries: Iterable[QueueEntry]) -> None:
        """Note that what Daktela has of these entries is unknown until it answers."""
        # Entries that were sent earlier without an answer stay unknown, whatever the next request's result is.
        self._mark_sent(_UNANSWERED)
        contacts: list[int] = []
        companies: dict[int, None] = {}
        for entry in entries:
            if entry.contact is not None:
                contacts.append(entry.contact.number)
            if entry.company is not None:
                companies[entry.company.number] = None
        for table, numbers in (("contacts", contacts), ("companies", list(companies))):
            # As one JSON value, which is four times as fast as a statement for each number.
            query = f"INSERT OR IGNORE INTO sent_{table} SELECT value FROM json_each(?)"  # noqa: S608 - as above
            self._connection.execute(query, (encode(numbers).decode(),))
        self.commit()

    def mark_refused(self) -> None:
        """Note that Daktela has certainly refused the sent entries."""
        self._mark_sent(_REFUSED)
        self.commit()

    def mark_accepted(self) -> None:
        """Note that Daktela has accepted the sent entries.

        The next request or `commit` makes it durable. After a crash before that, they are sent once more.
        """
        self._mark_sent(_ACCEPTED)

    def _mark_sent(self, changes: Mapping[str, str]) -> None:
        for table, change in changes.items():
            query = f"UPDATE {table} SET {change} WHERE number IN (SELECT number FROM sent_{table})"  # noqa: S608 - as above
            self._connection.execute(query)
            self._connection.execute(f"DELETE FROM sent_{table}")  # noqa: S608 - as above

    def stream_of(self, part: StoredEntity, *, is_contact: bool) -> str:
        """Return the stream that a contact or company was last received from."""
        table = "contacts" if is_contact else "companies"
        query = f"SELECT stream FROM {table} WHERE number = ?"  # noqa: S608 - as above
        return str(self._connection.execute(query, (part.number,)).fetchone()[0])

    # Delivery with `delete`.

    def count_load(self) -> LoadCounts:
        """Count the contacts of the last run."""
        query = f"""
            SELECT coalesce(sum(here AND NOT waits), 0), coalesce(sum(waits AND NOT deleted), 0),
                   coalesce(sum(known > 0), 0), coalesce(sum(known > 0 AND NOT here), 0)
            FROM (SELECT *, run = {self.run_number} AND NOT deleted AND body IS NOT NULL AS here FROM contacts)
        """  # noqa: S608 - a number
        return LoadCounts(*self._connection.execute(query).fetchone())

    def missing_streams(self, is_mapped: Callable[[str], bool]) -> list[str]:
        """Return the mapped streams of which an earlier run received records and the last one did not."""
        rows = self._connection.execute("SELECT name FROM streams WHERE run < ? ORDER BY name", (self.run_number,))
        return [name for (name,) in rows if is_mapped(name)]

    def mark_outcome_unknown(self) -> None:
        """Note that a request with `delete` is about to be sent; a crash then leaves its outcome unknown."""
        self.set(_UNKNOWN_OUTCOME, value=True)
        self.commit()

    def clear_unknown_outcome(self) -> None:
        """Note that the outcome of the request with `delete` is known."""
        self.set(_UNKNOWN_OUTCOME, value=False)
        self.commit()

    def mark_all_undelivered(self) -> None:
        """Mark everything as undelivered, since the outcome of a request with `delete` is unknown."""
        self._connection.execute("UPDATE contacts SET delivered = NULL")
        self._connection.execute("UPDATE companies SET delivered = NULL")
        self.clear_unknown_outcome()

    def forget_deleted(self) -> None:
        """Remove what an accepted delivery of the last run's load has deleted in Daktela: all that it left out.

        Contacts that were never sent stay, and are sent later.
        """
        execute = self._connection.execute
        execute("DELETE FROM contacts WHERE deleted OR (run < ? AND known > 0)", (self.run_number,))
        execute("DELETE FROM links WHERE run < ? OR deleted", (self.run_number,))
        # Daktela may delete companies as well (daktela-api.md §9, question 23).
        execute(
            """
            DELETE FROM companies
            WHERE deleted OR (run < ? AND key NOT IN (SELECT company FROM contacts WHERE company IS NOT NULL))
            """,
            (self.run_number,),
        )
        execute(
            """
            UPDATE companies SET delivered = NULL
            WHERE run < ? AND key NOT IN (SELECT company FROM contacts WHERE company IS NOT NULL AND run = ?)
            """,
            (self.run_number, self.run_number),
        )
        self.custom_fields.forget_before(self.run_number)

    # Counts for the summary and `--status`.

    def counts(self) -> dict[str, int]:
        """Return the numbers of companies and contacts in each state."""
        conditions = {
            "companies": ("companies", "NOT deleted"),
            "companies to be sent": ("companies", _DUE_COMPANY),
            "contacts": ("contacts", "NOT deleted"),
            "contacts to be sent": ("contacts", _DUE_CONTACT),
            "contacts on hold": ("contacts", _ON_HOLD),
            "contacts deleted in the CRM": ("contacts", _DELETED),
        }
        return {name: self._count(table, condition) for name, (table, condition) in conditions.items()}

    def _count(self, table: str, condition: str) -> int:
        query = f"SELECT count(*) FROM {table} WHERE {condition}"  # noqa: S608 - conditions of this module
        return int(self._connection.execute(query).fetchone()[0])

    def count_received(self) -> dict[str, int]:
        """Return how many companies and contacts of this run are `changed` or `unchanged`.

        `deleted` is the number of contacts in Daktela that this run reports as deleted in the CRM. `on_hold` is
        the number of all contacts on hold, also of earlier runs.
        """
        received = f"run = {self.run_number}"
        conditions = {
            "companies": (f"{received} AND {_DUE_COMPANY}", f"{received} AND NOT deleted"),
            "contacts": (
                f"{received} AND {_DUE_CONTACT}",
                f"{received} AND NOT deleted AND NOT waits",
                f"{received} AND {_DELETED}",
                _ON_HOLD,
            ),
        }
        (companies_due, companies), (contacts_due, contacts, deleted, on_hold) = (
            self._connection.execute(
                # FILTER is twice as fast as a sum of conditions.
                f"SELECT {', '.join(f'count(*) FILTER (WHERE {each})' for each in wanted)} FROM {table}"  # noqa: S608 - as above
            ).fetchone()
            for table, wanted in conditions.items()
        )
        changed = companies_due + contacts_due
        unchanged = companies + contacts - changed
        return {"changed": changed, "unchanged": unchanged, "deleted": deleted, "on_hold": on_hold}

    def examples_on_hold(self, most: int) -> list[str]:
        """Return some of the contacts on hold, each with its unknown company."""
        query = """
            SELECT key, coalesce(own, (SELECT company FROM links WHERE contact = contacts.key AND NOT deleted))
            FROM contacts WHERE waits AND NOT deleted ORDER BY number LIMIT ?
        """
        return [f"{key} of company {company}" for key, company in self._connection.execute(query, (most,))]
