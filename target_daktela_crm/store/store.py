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
    NamedCount,
    QueueEntry,
    StoredEntity,
    UnsettledRecord,
)
from target_daktela_crm.exact_json import decode, encode
from target_daktela_crm.store.custom_fields import CustomFields
from target_daktela_crm.store.journal import JournalEntry, journal_path, read_journal, write_journal
from target_daktela_crm.store.linking import link_contacts
from target_daktela_crm.store.schema import (
    StoreError,
    begin_upgraded,
    connect,
    content_hash,
    describe_sqlite_error,
)
from target_daktela_crm.store.staging import (
    IS_CONFIRMED,
    UNCONFIRMED,
    forget_left_out,
    keep_tables,
    mark_load_undelivered,
    restore_tables,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from target_daktela_crm.entities import Entity, Excluded

_BUFFERED_ROWS = 2_000
_BUFFERED_BYTES = 4_000_000
"""Received rows, or bytes of their bodies, that are written together."""
_COMMITTED_ROWS = 100_000
"""Rows after which the transaction is committed."""
_FETCHED_ROWS = 500
_FETCHED_BYTES = 4_000_000
"""Queued rows, or bytes of their bodies, that are read together."""
_MAX_EXAMPLES = 5
"""Keys that a message names."""
_TABLES = {"company": "companies", "contact": "contacts"}
"""Tables by role."""
_UNKNOWN_OUTCOME = "doubt"
"""Key in `meta`: whether it is unknown what a delivery with `delete` has changed."""

# The last record of a run wins, unless both have a time of change and the earlier record was changed later. An
# excluded record (2 in `withheld`) concerns only what an earlier record of its own stream has brought.
_KEEP_NEWEST = """
WHERE ({table}.run < excluded.run OR excluded.modified IS NULL OR {table}.modified IS NULL
   OR excluded.modified >= {table}.modified)
  AND (NOT excluded.withheld OR {table}.stream = excluded.stream COLLATE NOCASE)
"""
_NEVER_CONFIRMED = f"confirmed IS NULL AND NOT ({IS_CONFIRMED})"
_WITHHELD = "withheld = iif(excluded.withheld AND withheld = 1, 1, excluded.withheld), refused = 0"
# An excluded record, like a deleted one, has no body, and changes no known column.
_KNOWN_COLUMNS = """
    columns = iif(excluded.body IS NULL, columns, excluded.columns),
    first_run = iif(body IS NULL, excluded.first_run, first_run)
"""
_OTHER_STREAM = """
    other_stream = CASE
        WHEN excluded.withheld THEN other_stream WHEN excluded.stream <> stream THEN stream
        WHEN excluded.run = run THEN other_stream
    END
"""
_REPLACES_CONFIRMED = f"{IS_CONFIRMED} AND excluded.hash IS NOT NULL AND excluded.hash IS NOT hash"
_PUT_COMPANY = f"""
INSERT INTO companies (
    key, body, hash, modified, deleted, nameless, run, stream, columns, withheld, first_run
)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?7)
ON CONFLICT (key) DO UPDATE SET
    body = coalesce(excluded.body, body), hash = coalesce(excluded.hash, hash),
    confirmed = iif({_REPLACES_CONFIRMED}, body, confirmed),
    confirmed_columns = iif({_REPLACES_CONFIRMED}, columns, confirmed_columns),
    modified = excluded.modified, run = excluded.run, stream = excluded.stream,
    deleted = iif(excluded.withheld, deleted, excluded.deleted),
    nameless = iif(excluded.withheld, nameless, excluded.nameless), {_WITHHELD}, {_KNOWN_COLUMNS}, {_OTHER_STREAM}
""" + _KEEP_NEWEST.format(table="companies")  # noqa: S608 - conditions of this module
_PUT_CONTACT = f"""
INSERT INTO contacts (
    key, body, hash, modified, deleted, run, stream, own, tells, columns, withheld, company, own_run, first_run
)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?8, iif(?9, ?6, NULL), ?6)
ON CONFLICT (key) DO UPDATE SET
    body = coalesce(excluded.body, body), hash = coalesce(excluded.hash, hash), modified = excluded.modified,
    deleted = iif(excluded.withheld, deleted, excluded.deleted), run = excluded.run, stream = excluded.stream,
    {_KNOWN_COLUMNS}, {_OTHER_STREAM},
    own = iif(excluded.tells, excluded.own, own), own_run = iif(excluded.tells, excluded.run, own_run),
    tells = iif(excluded.tells >= 2, excluded.tells, max(tells, excluded.tells)), {_WITHHELD}
""" + _KEEP_NEWEST.format(table="contacts")  # noqa: S608 - as above
_PUT_NAME = """
INSERT INTO company_names VALUES (?, ?) ON CONFLICT (company) DO UPDATE SET name = excluded.name
"""
# A link that is received again gets a new number, by which the newest link of a contact is found. `deleted` is 2
# in the row of an excluded link, which counts as deleted unless its contact was delivered with it.
_PUT_LINK = """
INSERT INTO links (stream, key, contact, company, main, deleted, run, modified) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (stream, key) DO UPDATE SET
    number = iif(excluded.deleted = 2, number, (SELECT max(number) + 1 FROM links)),
    contact = iif(excluded.deleted = 2, contact, excluded.contact),
    company = iif(excluded.deleted = 2, company, excluded.company),
    main = iif(excluded.deleted = 2, main, excluded.main),
    run = iif(excluded.deleted = 2, run, excluded.run),
    modified = iif(excluded.deleted = 2, modified, excluded.modified),
    deleted = CASE WHEN excluded.deleted < 2 THEN excluded.deleted ELSE deleted OR NOT EXISTS (
        SELECT 1 FROM contacts WHERE contacts.key = links.contact AND delivered_company = links.company
    ) END
"""

_UNANSWERED = {"contacts": "delivered = NULL, known = iif(known, known, 2)", "companies": UNCONFIRMED}
# The endpoint may have processed a part of a request that it refuses.
_REFUSED = {"contacts": "delivered = NULL", "companies": UNCONFIRMED}
_ACCEPTED = {
    "contacts": "delivered = hash, delivered_company = company, known = 1, refused = 0",
    "companies": "delivered = hash, confirmed = NULL, confirmed_columns = NULL, refused = 0",
}
"""How the sent rows of each table change."""

_LIVE = "NOT deleted AND NOT withheld AND body IS NOT NULL"
_DUE_COMPANY = f"{_LIVE} AND delivered IS NOT hash"
_DUE_CONTACT = f"{_LIVE} AND NOT waits AND (delivered IS NOT hash OR delivered_company IS NOT company)"
_ON_HOLD = "waits AND NOT deleted AND NOT withheld"
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


class KnownColumns(NamedTuple):
    """What is known of a company or contact from earlier records."""

    columns: dict[str, Any] | None
    """The last known values of its columns, or None if they are those of its body."""
    body: dict[str, Any]
    """Its JSON object in the request."""


class SameIds(NamedTuple):
    """Companies or contacts of one stream that have replaced those of another stream with the same id."""

    stream: str
    other_stream: str
    records: int
    example: str


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

    def __init__(self, connection: sqlite3.Connection, journal: Path, *, is_new: bool, keeps: bool = True) -> None:
        self._connection = connection
        self._journal = journal
        self.is_new = is_new
        self._keeps = keeps
        try:
            entry = read_journal(journal)
        except OSError as error:
            raise StoreError(f"the store's journal {journal} cannot be read: {error.strerror}") from None
        self._revision = int(self.get("revision") or 0)
        self.is_restored = not is_new and self._revision > 0 and (entry is None or entry.revision > self._revision)
        """Whether the file was put back from a copy, so that it does not know what was sent since then."""
        self._delivered = JournalEntry() if entry is None else entry
        self._companies: list[tuple[Any, ...]] = []
        self._contacts: list[tuple[Any, ...]] = []
        self._links: list[tuple[Any, ...]] = []
        self._names: dict[str, str] = {}
        self._uncommitted_rows = 0
        self._buffered_bytes = 0
        self._streams: set[str] = set()
        self._has_unsettled = False
        self.run_number = int(self.get("run") or 0)
        self.custom_fields = CustomFields(connection)
        connection.create_function("content_hash", 1, content_hash, deterministic=True)

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
                store = cls(connection, journal_path(path), is_new=is_new, keeps=keep)
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
            raise StoreError(f"store_path: {path} cannot be opened: {error.strerror or error}") from None
        if store.get(_UNKNOWN_OUTCOME):
            store.mark_load_undelivered()
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

    def begin_run(self, *, stages: bool = False) -> None:
        """Begin the next run, which stages a load or sends what it receives.

        A load that an earlier run has staged is discarded.

        Raises:
            StoreError: the journal cannot be written.
        """
        self.discard_stage()
        if self.is_restored:
            self._mark_restored()
        if stages:
            keep_tables(self._connection)
        self.run_number += 1
        self.set("run", self.run_number)
        self._begin_revision()

    def discard_stage(self) -> None:
        """Restore what was known before a load that was staged and not delivered."""
        restore_tables(self._connection)

    def _begin_revision(self) -> None:
        """Count a run or delivery in the store and in its journal, before anything is sent."""
        self._revision = max(self._revision, self._delivered.revision) + 1
        self.set("revision", self._revision)
        self.commit()
        self._write_journal(self._delivered.delivered)

    def _write_journal(self, delivered: int) -> None:
        self._delivered = JournalEntry(self._revision, delivered)
        if not self._keeps:
            return
        try:
            write_journal(self._journal, self._delivered)
        except OSError as error:
            raise StoreError(f"the store's journal {self._journal} cannot be written: {error.strerror}") from None

    def _mark_restored(self) -> None:
        """Note that what Daktela has of the companies and contacts is unknown.

        They are not sent until they are received again, since Daktela may have newer content. What was not
        delivered when the copy was made is sent as usual. The columns stay: they are the last known ones.
        """
        self._connection.execute(f"""
            UPDATE companies SET {UNCONFIRMED}, withheld = 1 WHERE {IS_CONFIRMED}
        """)  # noqa: S608 - a condition of this module
        self._connection.execute(f"""
            UPDATE contacts SET delivered = NULL, withheld = 1
            WHERE {IS_CONFIRMED} AND delivered_company IS company
        """)  # noqa: S608 - as above

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
            origin = (run_number, stream, own, info, entity.columns, 0)
            self._contacts.append((key, body, digest, entity.modified, deleted, *origin))
            if entity.company_name is not None and own is not None:
                self._names[own] = entity.company_name
        elif isinstance(entity, Company):
            key, body, deleted = entity.key, entity.body, int(entity.deleted)
            digest = self._hash(body)
            nameless = int(entity.nameless)
            state = (entity.modified, deleted, nameless, run_number, stream, entity.columns, 0)
            self._companies.append((key, body, digest, *state))
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

    def exclude(self, excluded: Excluded, stream: str, run_number: int) -> None:
        """Withdraw what is undelivered of a company, contact or link; `drop_excluded` completes it."""
        key, modified = excluded.key, excluded.modified
        if excluded.role == "contact":
            info = int(CompanyInfo.COLUMNS_MISSING)
            self._contacts.append((key, None, None, modified, 0, run_number, stream, None, info, None, 2))
        elif excluded.role == "company":
            self._companies.append((key, None, None, modified, 0, 0, run_number, stream, None, 2))
        else:
            self._links.append((stream, key, "", "", 0, 2, run_number, None))
        self._count_row()

    def drop_excluded(self) -> NamedCount:
        """Remove what `when` has excluded, except what Daktela has; return what was undelivered of it."""
        self._write()
        execute = self._connection.execute
        withdrawn = "withheld = 2 AND body IS NOT NULL AND NOT deleted AND delivered IS NOT hash"
        count = sum(self._count(table, withdrawn) for table in ("companies", "contacts"))
        examples = self._examples(withdrawn, withdrawn)
        execute("DELETE FROM contacts WHERE withheld AND NOT known")
        self._withhold_companies("withheld")
        execute("DELETE FROM links WHERE deleted = 2")
        execute("UPDATE contacts SET withheld = 1 WHERE withheld = 2")
        return NamedCount(count, examples)

    def _withhold_companies(self, condition: str) -> None:
        """Withdraw what is undelivered of the companies that meet a condition.

        Contacts are still sent with their company, so it keeps what Daktela has of it, with the columns of that.
        """
        self._connection.execute(f"DELETE FROM companies WHERE {condition} AND {_NEVER_CONFIRMED}")  # noqa: S608 - as above
        self._connection.execute(
            f"""
            UPDATE companies SET withheld = 1, refused = 0, body = iif({IS_CONFIRMED}, body, confirmed),
                columns = iif({IS_CONFIRMED}, columns, confirmed_columns),
                hash = iif({IS_CONFIRMED}, hash, content_hash(confirmed))
            WHERE {condition}
            """  # noqa: S608 - as above
        )

    def _examples(self, of_companies: str, of_contacts: str) -> tuple[str, ...]:
        """Return the keys of some companies and contacts that meet these conditions."""
        query = f"""
            SELECT key FROM companies WHERE {of_companies} UNION ALL
            SELECT key FROM contacts WHERE {of_contacts} LIMIT {_MAX_EXAMPLES}
        """  # noqa: S608 - conditions of this module
        return tuple(key for (key,) in self._connection.execute(query))

    def _hash(self, body: bytes | bytearray | None) -> bytearray | None:
        """Return the hash of a body, and count its bytes as buffered."""
        if body is None:
            return None
        self._buffered_bytes += len(body)
        # Python's sqlite3 stores texts, numbers and bytearrays without conversion. For other types, such as bytes
        # and bool, it searches for adapters, which takes a third of a row's time.
        return bytearray(content_hash(body))

    def known(self, role: str, key: str) -> KnownColumns | None:
        """Return what is known of a `company` or `contact`, or None if nothing is known of it."""
        self._write()
        query = f"SELECT columns, body FROM {_TABLES[role]} WHERE key = ? AND body IS NOT NULL"  # noqa: S608 - as above
        row = self._connection.execute(query, (key,)).fetchone()
        return None if row is None else KnownColumns(None if row[0] is None else decode(row[0]), decode(row[1]))

    def same_ids(self) -> Iterator[SameIds]:
        """Yield the pairs of streams of which this run has received records with the same id."""
        for table in _TABLES.values():
            query = f"""
                SELECT stream, other_stream, count(*), min(key) FROM {table}
                WHERE run = ? AND other_stream IS NOT NULL GROUP BY stream, other_stream
            """  # noqa: S608 - as above
            yield from map(SameIds._make, self._connection.execute(query, (self.run_number,)))

    def has_values(self, role: str, field: str) -> bool:
        """Return whether any `company` or `contact` has values of a field."""
        # Bodies are encoded without blanks.
        start = b'{"key":%b,"value":["' % encode(field)
        query = f"SELECT EXISTS (SELECT 1 FROM {_TABLES[role]} WHERE instr(body, ?))"  # noqa: S608 - as above
        return bool(self._connection.execute(query, (start,)).fetchone()[0])

    def keep_unsettled(self, unsettled: UnsettledRecord) -> None:
        """Keep a record of this run until it is known which columns the other records of the run have."""
        self._connection.execute(
            """
            CREATE TEMP TABLE IF NOT EXISTS unsettled (
                number INTEGER PRIMARY KEY, stream TEXT, role TEXT, key TEXT, record BLOB, run INTEGER,
                UNIQUE (stream, role, key)
            )
            """
        )
        query = "INSERT OR REPLACE INTO unsettled (stream, role, key, record, run) VALUES (?, ?, ?, ?, ?)"
        row = unsettled._replace(record=encode(unsettled.record))  # type: ignore[arg-type]
        self._connection.execute(query, row)
        self._has_unsettled = True

    def drop_unsettled(self, stream: str, role: str, key: str) -> None:
        """Drop an earlier record of this run, since a later one was received."""
        if self._has_unsettled:
            query = "DELETE FROM unsettled WHERE stream = ? AND role = ? AND key = ?"
            self._connection.execute(query, (stream, role, key))

    def unsettled(self) -> Iterator[UnsettledRecord]:
        """Yield the kept records, in order."""
        last = -1
        query = "SELECT * FROM unsettled WHERE number > ? ORDER BY number LIMIT ?"
        while self._has_unsettled and (rows := self._connection.execute(query, (last, _FETCHED_ROWS)).fetchall()):
            for last, stream, role, key, record, run_number in rows:  # noqa: B007 - the next fetch begins there
                yield UnsettledRecord(stream, role, key, decode(record), run_number)

    def forget_run(self) -> None:
        """Remove what this run has received for the first time, so that no later run delivers it.

        The tap sends it again, since no state is written.
        """
        for table in ("contacts", "companies"):
            self._connection.execute(f"DELETE FROM {table} WHERE first_run = ?", (self.run_number,))  # noqa: S608 - as above
        self.custom_fields.forget_new(self.run_number)
        self.commit()

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
            SELECT key, stream, body FROM contacts WHERE waits AND NOT deleted AND NOT withheld AND run = ?
            ORDER BY number
        """
        for row in self._connection.execute(query, (self.run_number,)):
            yield ContactOnHold(*row)

    # The queue of what to send.

    def queue_changes(self, *, everything: bool) -> Queue:
        """Queue what Daktela does not have, by company; with `everything`, also all that this run has received."""
        also = f"OR (run = {self.run_number} AND {_LIVE})" if everything else ""
        waits = "AND NOT waits" if everything else ""
        return self._queue(f"({_DUE_COMPANY}) {also}", f"(({_DUE_CONTACT}) {also}) {waits}")

    def queue_load(self) -> Queue:
        """Queue all that the last run has received, with the companies of its contacts."""
        live = f"run = {self.run_number} AND {_LIVE}"
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
            for place, key, *contact in rows:  # noqa: B007 - the next fetch begins at the last one
                if key is None:
                    company = None
                elif company is None or company.key != key:
                    company = self._company(key)
                yield QueueEntry(company, None if contact[0] is None else StoredEntity(*contact))

    def _fetch(self, place: int) -> list[tuple[Any, ...]]:
        """Return the next queued rows after a place."""
        cursor = self._connection.execute(
            """
            SELECT queue.place, queue.company, contacts.number, contacts.key, contacts.body, contacts.run < ?
            FROM queue LEFT JOIN contacts ON contacts.number = queue.contact
            WHERE queue.place > ? ORDER BY queue.place LIMIT ?
            """,
            (self.run_number, place, _FETCHED_ROWS),
        )
        rows, size = [], 0
        for row in cursor:
            rows.append(row)
            size += len(row[-2] or b"")
            if size >= _FETCHED_BYTES:
                break
        # Closed, since the caller may change these rows next.
        cursor.close()
        return rows

    def _company(self, key: str) -> StoredEntity:
        query = "SELECT number, key, body, run < ? FROM companies WHERE key = ?"
        return StoredEntity(*self._connection.execute(query, (self.run_number, key)).fetchone())

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

    # Delivery with `delete`.

    def count_load(self) -> LoadCounts:
        """Count the contacts of the last run."""
        query = f"""
            SELECT coalesce(sum(here AND NOT waits), 0), coalesce(sum({_ON_HOLD}), 0),
                   coalesce(sum(known > 0), 0), coalesce(sum(known > 0 AND NOT here), 0)
            FROM (SELECT *, run = {self.run_number} AND {_LIVE} AS here FROM contacts)
        """  # noqa: S608 - a number
        return LoadCounts(*self._connection.execute(query).fetchone())

    def examples_missing(self) -> tuple[str, ...]:
        """Return some of the contacts that a delivery of the last run's load would delete."""
        return self._examples("0", f"known > 0 AND NOT (run = {self.run_number} AND {_LIVE})")

    def missing_streams(self, is_mapped: Callable[[str], bool]) -> list[str]:
        """Return the mapped streams of which an earlier run received records and the last one did not."""
        rows = self._connection.execute("SELECT name FROM streams WHERE run < ? ORDER BY name", (self.run_number,))
        return [name for (name,) in rows if is_mapped(name)]

    def stage(self, stage: Mapping[str, Any]) -> None:
        """Save what `--deliver` needs to know of the last run's load."""
        self.set("stage", {**stage, "run": self.run_number, "revision": self._revision, "delivered": False})
        self.commit()

    def was_delivered(self, stage: Mapping[str, Any]) -> bool:
        """Return whether a staged load was delivered, also if the store was put back from a copy since then."""
        return bool(stage["delivered"]) or stage["revision"] <= self._delivered.delivered

    def begin_delivery(self) -> None:
        """Note that a request with `delete` is about to be sent; a crash then leaves its outcome unknown.

        Raises:
            StoreError: the journal cannot be written.
        """
        self._begin_revision()
        self.set(_UNKNOWN_OUTCOME, value=True)
        self.commit()

    def clear_unknown_outcome(self) -> None:
        """Note that the outcome of the request with `delete` is known."""
        self.set(_UNKNOWN_OUTCOME, value=False)
        self.commit()

    def mark_load_undelivered(self) -> None:
        """Note that it is unknown whether Daktela has accepted the request with `delete`; see `staging.py`."""
        mark_load_undelivered(self._connection, self.get("stage")["run"])
        self.clear_unknown_outcome()

    def mark_load_delivered(self, stage: Mapping[str, Any], time: str) -> None:
        """Note that Daktela has accepted the queued load with `delete`, and deleted what it leaves out.

        Raises:
            StoreError: the journal cannot be written.
        """
        self.mark_sending(self.entries())
        self.mark_accepted()
        forget_left_out(self._connection, self.run_number)
        self.custom_fields.forget_before(self.run_number)
        self.set("delete_accepted", time)
        self.set("mapping", stage["mapping"])
        self.set("stage", {**stage, "delivered": True})
        self.clear_unknown_outcome()
        self._write_journal(stage["revision"])

    # Refused companies and contacts.

    def mark_rejected(self, entity: StoredEntity, *, is_contact: bool) -> str:
        """Note that Daktela does not accept a company or contact; return the stream that it was received from."""
        table = "contacts" if is_contact else "companies"
        execute = self._connection.execute
        execute(f"UPDATE {table} SET refused = 1 WHERE number = ?", (entity.number,))  # noqa: S608 - as above
        query = f"SELECT stream FROM {table} WHERE number = ?"  # noqa: S608 - as above
        return str(execute(query, (entity.number,)).fetchone()[0])

    def count_refused(self) -> int:
        """Return how many companies and contacts of this run Daktela has refused."""
        condition = f"refused AND run = {self.run_number}"
        return self._count("companies", condition) + self._count("contacts", condition)

    def refused_earlier(self) -> NamedCount:
        """Return which refused companies and contacts only earlier runs have received."""
        condition = f"refused AND run < {self.run_number} AND {_LIVE}"
        total = self._count("companies", condition) + self._count("contacts", condition)
        return NamedCount(total, self._examples(condition, condition))

    def forget_refused(self) -> NamedCount:
        """Withdraw what Daktela has refused earlier and this run has not received; return what it was."""
        earlier = f"refused AND run < {self.run_number}"
        # A company that a contact still has is tried again with this contact.
        of_companies = f"""
            {earlier} AND key NOT IN (
                SELECT company FROM contacts WHERE company IS NOT NULL AND {_LIVE} AND NOT ({earlier})
            )
        """  # noqa: S608 - as above
        count = self._count("contacts", earlier) + self._count("companies", of_companies)
        examples = self._examples(of_companies, earlier)
        execute = self._connection.execute
        self._withhold_companies(of_companies)
        execute(f"DELETE FROM contacts WHERE {earlier} AND NOT known")  # noqa: S608 - as above
        execute(f"UPDATE contacts SET withheld = 1, refused = 0 WHERE {earlier}")  # noqa: S608 - as above
        return NamedCount(count, examples)

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
            "companies": (f"{received} AND {_DUE_COMPANY}", f"{received} AND {_LIVE}"),
            "contacts": (
                f"{received} AND {_DUE_CONTACT}",
                f"{received} AND {_LIVE} AND NOT waits",
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
        query = f"""
            SELECT key, coalesce(own, (SELECT company FROM links WHERE contact = contacts.key AND NOT deleted))
            FROM contacts WHERE {_ON_HOLD} ORDER BY number LIMIT ?
        """  # noqa: S608 - a condition of this module
        return [f"{key} of company {company}" for key, company in self._connection.execute(query, (most,))]
