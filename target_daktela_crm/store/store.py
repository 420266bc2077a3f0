"""What is known of the CRM, and what of it Daktela has: companies, contacts and links in, what is to be sent out.

One SQLite file for each instance, kept between runs. Contacts come before their company, links last or in between,
companies in an earlier run, a record twice in one run: what belongs together is told by `joining.py`, when the
input has ended.
Rows that come again replace what was known; what has been delivered is remembered as a hash of its content.

Nothing in here is ever held in memory as a whole: its size is that of the CRM.
"""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from target_daktela_crm.delivery.batching import Entry, Part
from target_daktela_crm.mapping.roles import TELLS_NOTHING, Company, Contact, Definition, Link, Value, hash_of
from target_daktela_crm.mapping.values import encode
from target_daktela_crm.store.custom_fields import TABLES as TABLES_OF_ASSEMBLY
from target_daktela_crm.store.custom_fields import Assembly
from target_daktela_crm.store.linking import join

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from target_daktela_crm.mapping.roles import Entity

LAYOUT = 3
"""Version of the tables below, kept in SQLite's `user_version`."""

_BUFFERED = 2_000
_BUFFERED_BYTES = 4_000_000
"""Rows that are written at once, and bytes of their bodies, whichever comes first."""
_COMMITTED = 100_000
"""Rows after which what has been written is made durable."""
_FETCHED = 500
_FETCHED_BYTES = 4_000_000
"""Rows that are read at once, and bytes of their bodies, whichever comes first."""
_PATIENCE = 1.0
"""Seconds to wait for another run that is about to end."""

_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
-- Streams that have come, by their names in lower case, with the last run in which records of them did.
CREATE TABLE streams (name TEXT PRIMARY KEY, run INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE companies (
    number INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    body BLOB,              -- the object of the request, without `contacts`; null while only a deletion is known
    hash BLOB,              -- of the body
    modified REAL,
    deleted INTEGER NOT NULL,
    run INTEGER NOT NULL,   -- the last run in which a record of it came
    stream TEXT NOT NULL,
    delivered BLOB          -- hash of the body that Daktela has; null if it has none, or nobody knows which
);
CREATE TABLE contacts (
    number INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    body BLOB,
    hash BLOB,
    modified REAL,
    deleted INTEGER NOT NULL,
    run INTEGER NOT NULL,
    stream TEXT NOT NULL,
    delivered BLOB,
    own TEXT,                            -- key of the company that the contact's own record names
    tells INTEGER NOT NULL,              -- whether the last record has a column for it
    company TEXT,                        -- key of the company that it belongs to, once all links are considered
    waits INTEGER NOT NULL DEFAULT 0,    -- whether that company is unknown, and the contact waits for it
    delivered_company TEXT,
    known INTEGER NOT NULL DEFAULT 0     -- 1 if Daktela has accepted it at any time, 2 if it may have
);
CREATE TABLE links (
    number INTEGER PRIMARY KEY,
    stream TEXT NOT NULL,
    key TEXT NOT NULL,
    contact TEXT NOT NULL,
    company TEXT NOT NULL,
    main INTEGER NOT NULL,
    deleted INTEGER NOT NULL,
    run INTEGER NOT NULL,
    UNIQUE (stream, key)
);
CREATE INDEX links_contact ON links (contact);
"""
_TABLES_2 = f"""
ALTER TABLE companies ADD COLUMN nameless INTEGER NOT NULL DEFAULT 0; -- whether its own record has no name
-- What records of contacts call their companies.
CREATE TABLE company_names (company TEXT PRIMARY KEY, name TEXT NOT NULL) WITHOUT ROWID;
{TABLES_OF_ASSEMBLY}
"""
_TABLES_3 = """
-- Numbers of what has been sent, until the answer comes: nobody knows what Daktela has of these.
CREATE TABLE sent_contacts (number INTEGER PRIMARY KEY);
CREATE TABLE sent_companies (number INTEGER PRIMARY KEY);
"""
_LAYOUTS = (_TABLES, _TABLES_2, _TABLES_3)
"""What makes each layout out of the one before it."""

# The last record of a run wins, unless both tell when they were changed and the earlier one was changed later.
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
INSERT INTO contacts (key, body, hash, modified, deleted, run, stream, own, tells, company)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?8)
ON CONFLICT (key) DO UPDATE SET
    body = coalesce(excluded.body, body), hash = coalesce(excluded.hash, hash), modified = excluded.modified,
    deleted = excluded.deleted, run = excluded.run, stream = excluded.stream,
    own = CASE WHEN excluded.tells THEN excluded.own ELSE own END, tells = max(tells, excluded.tells)
""" + _KEEP_NEWEST.format(table="contacts")
_PUT_NAME = """
INSERT INTO company_names VALUES (?, ?) ON CONFLICT (company) DO UPDATE SET name = excluded.name
"""
_PUT_LINK = """
INSERT INTO links (stream, key, contact, company, main, deleted, run) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (stream, key) DO UPDATE SET
    contact = excluded.contact, company = excluded.company, main = excluded.main,
    deleted = excluded.deleted, run = excluded.run
"""

_IN_DOUBT = {
    "contacts": "delivered = NULL, known = iif(known, known, 2)",
    "companies": "delivered = NULL",
}
# An endpoint may take in a part of what it refuses.
_REFUSED = {"contacts": "delivered = NULL", "companies": "delivered = NULL"}
_ACCEPTED = {
    "contacts": "delivered = hash, delivered_company = company, known = 1",
    "companies": "delivered = hash",
}
"""What becomes of what has been sent, by table."""

_DUE_COMPANY = "NOT deleted AND body IS NOT NULL AND delivered IS NOT hash"
_DUE_CONTACT = (
    "NOT deleted AND NOT waits AND body IS NOT NULL"
    " AND (delivered IS NOT hash OR delivered_company IS NOT company)"
)
_ON_HOLD = "waits AND NOT deleted"
_DELETED = "known > 0 AND deleted"


class StoreError(Exception):
    """The store cannot be used; the message says why, and what to do."""


@dataclass(frozen=True)
class Owner:
    """What a store belongs to: another instance, endpoint or preset has a store of its own."""

    url: str
    sync_path: str | None
    """None to believe the store."""
    preset: str | None
    """As above."""


class Queue(NamedTuple):
    """What is to be sent."""

    companies: int
    contacts: int


class Waiting(NamedTuple):
    """A contact whose company is unknown."""

    key: str
    stream: str
    body: bytes


class Load(NamedTuple):
    """What came in the last run, and what a delivery of it would delete."""

    contacts: int
    """That are alive and could be sent."""
    waiting: int
    """Contacts on hold, whenever they came."""
    known: int
    """Contacts that Daktela has, or may have, accepted at any time."""
    gone: int
    """Of these, the ones that are not in the load."""


class Store:
    """An open store. One process at a time has it."""

    def __init__(self, connection: sqlite3.Connection, *, is_new: bool, keeps: bool = True) -> None:
        self._connection = connection
        self.is_new = is_new
        self._keeps = keeps
        self._companies: list[tuple[Any, ...]] = []
        self._contacts: list[tuple[Any, ...]] = []
        self._links: list[tuple[Any, ...]] = []
        self._names: dict[str, str] = {}
        self._uncommitted = 0
        self._bytes = 0
        self._streams: set[str] = set()
        self.run = int(self.get("run") or 0)
        self.assembly = Assembly(connection)

    # Opening.

    @classmethod
    def open(cls, path: Path, owner: Owner, *, create: bool = True, keep: bool = True) -> Store:
        """Return the store at `path`, a new one if there is none and `create`.

        With `keep` false, nothing that happens to it lasts.

        Raises:
            StoreError: it is in use, damaged, of a newer version, or belongs to something else.
        """
        try:
            is_new = not path.exists()
            if is_new and not create:
                raise StoreError(
                    f"there is no store at {path}: nothing has been run yet, or store_path is another"
                )
            connection = _connect(path if keep or not is_new else None)
            try:
                store = cls._prepared(connection, path, owner, is_new=is_new, keep=keep)
            except BaseException:
                connection.close()
                raise
        except sqlite3.Error as error:
            raise StoreError(explain(path, error)) from None
        except OSError as error:
            raise StoreError(f"the store {path} cannot be opened: {error.strerror or error}") from None
        if store.get("doubt"):
            store.doubt_everything()
        return store

    @classmethod
    def _prepared(
        cls, connection: sqlite3.Connection, path: Path, owner: Owner, *, is_new: bool, keep: bool
    ) -> Store:
        [layout] = connection.execute("PRAGMA user_version").fetchone()
        if layout > LAYOUT:
            raise StoreError(
                f"the store {path} was written by a newer version of target-daktela-crm: upgrade this one"
            )
        if layout == 0 and not _is_blank(connection):
            raise StoreError(f"{path} is an SQLite database, but no store of target-daktela-crm: see store_path")
        # What is read from a damaged store may be less than what was written, which nobody would notice.
        [verdict] = connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(str(verdict).splitlines()[-1])
        connection.execute("BEGIN IMMEDIATE")
        # Within the transaction, which a dry run rolls back.
        for statement in _statements("".join(_LAYOUTS[layout:])):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {LAYOUT}")
        store = cls(connection, is_new=is_new, keeps=keep)
        # What an earlier run has sent was never answered. First, since Daktela may have it: see `_may_change`.
        store._mark(_IN_DOUBT)
        store._check_owner(path, owner)
        store.commit()
        return store

    def _check_owner(self, path: Path, owner: Owner) -> None:
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
        """Return whether what the store belongs to was a mistake: nothing has come of it yet."""
        if name == "preset":
            return not self._count("contacts", "1") and not self._count("companies", "1")
        return not self._count("contacts", "known > 0") and not self._count("companies", "delivered IS NOT NULL")

    def close(self) -> None:
        """Give the store back, with all that has been committed."""
        with suppress(sqlite3.Error):
            self._connection.rollback()
        self._connection.close()

    def commit(self) -> None:
        """Make what has been written durable, and go on."""
        self._uncommitted = 0
        if not self._keeps:
            return
        # A failure may have ended the transaction, and is told by whoever met it.
        if self._connection.in_transaction:
            self._connection.execute("COMMIT")
        self._connection.execute("BEGIN IMMEDIATE")

    # Facts about the store itself.

    def get(self, key: str) -> Any:  # noqa: ANN401 - JSON
        """Return what is noted under a key, None if nothing is."""
        row = self._connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else json.loads(row[0])

    def set(self, key: str, value: object) -> None:
        """Note something that JSON can say."""
        self._connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, json.dumps(value)))

    def begin_run(self) -> None:
        """Count another run: what is staged by earlier ones is no longer the newest."""
        self.run += 1
        self.set("run", self.run)
        self.commit()

    # Receiving.

    def put(self, entity: Entity, stream: str, run: int) -> None:
        """Take in what a record tells that came in `run`: this one or, if it waited for others, an earlier one."""
        if isinstance(entity, Contact):
            key, body, own, deleted = entity.key, entity.body, entity.company, int(entity.deleted)
            digest = self._digest(body)
            # A deletion tells nothing of where the contact belonged.
            told = TELLS_NOTHING if deleted else entity.tells_company
            self._contacts.append((key, body, digest, entity.modified, deleted, run, stream, own, told))
            if entity.company_name is not None and own is not None:
                self._names[own] = entity.company_name
        elif isinstance(entity, Company):
            key, body, deleted = entity.key, entity.body, int(entity.deleted)
            digest = self._digest(body)
            nameless = int(entity.nameless)
            self._companies.append((key, body, digest, entity.modified, deleted, nameless, run, stream))
        elif isinstance(entity, Link):
            ends = (entity.contact, entity.company)
            self._links.append((stream, entity.key, *ends, int(entity.primary), int(entity.deleted), run))
        elif isinstance(entity, Value):
            self.assembly.add_value(stream, entity, run)
        elif isinstance(entity, Definition):
            self.assembly.add_definition(stream, entity)
        if run == self.run:
            self.note_stream(stream)
        self._count_one()

    def _digest(self, body: bytes | bytearray | None) -> bytearray | None:
        """Return the hash of a body, which counts as waiting to be written."""
        if body is None:
            return None
        self._bytes += len(body)
        # Texts, numbers and bytearrays are all that Python's sqlite3 takes as they are. For others, such as bytes
        # and flags, it looks for adapters, which is a third of the time that a row needs.
        return bytearray(hash_of(body))

    def keep(self, stream: str, key: str, record: dict[str, Any], modified: float | None) -> None:
        """Take in a record that is mapped when all its values have come."""
        self.assembly.keep(stream, key, record, modified, self.run)
        self._count_one()

    def note_stream(self, stream: str) -> None:
        """Note that a stream has come in this run."""
        self._streams.add(stream)

    def _count_one(self) -> None:
        self._uncommitted += 1
        if self._uncommitted % _BUFFERED == 0 or self._bytes >= _BUFFERED_BYTES:
            self._write()
            if self._uncommitted >= _COMMITTED:
                self.commit()

    def _write(self) -> None:
        self._bytes = 0
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
            names = [(name.casefold(), self.run) for name in self._streams]
            self._connection.executemany("INSERT OR REPLACE INTO streams VALUES (?, ?)", names)
            self._streams.clear()

    def flush(self) -> None:
        """Make everything received durable."""
        self._write()
        self.commit()

    # Joining.

    def join(self, *, detach_unknown: bool, is_whole: bool = False, unique_ids: bool = False) -> None:
        """Find the company of every contact, after the last record.

        A contact whose company is unknown waits for it, or is sent without one with `detach_unknown`. One whose
        companies are all deleted has none. If the run `is_whole`, links that did not come in it are gone. With
        `unique_ids`, an unknown company that is known as a contact is no company.
        """
        join(
            self._connection,
            since=self.run if is_whole else 0,
            detach_unknown=detach_unknown,
            unique_ids=unique_ids,
        )
        self.commit()

    def waiting(self) -> Iterator[Waiting]:
        """Yield the contacts of this run whose company is unknown."""
        query = """
            SELECT key, stream, body FROM contacts WHERE waits AND NOT deleted AND run = ? ORDER BY number
        """
        for row in self._connection.execute(query, (self.run,)):
            yield Waiting(*row)

    # What is to be sent.

    def queue(self, *, everything: bool) -> Queue:
        """Line up what Daktela does not have, by company; with `everything`, all that came in this run as well."""
        also = f"OR (run = {self.run} AND NOT deleted AND body IS NOT NULL)" if everything else ""
        waits = "AND NOT waits" if everything else ""
        return self._queue(f"({_DUE_COMPANY}) {also}", f"(({_DUE_CONTACT}) {also}) {waits}")

    def queue_load(self) -> Queue:
        """Line up all that came in the last run, with the companies that its contacts need."""
        live = f"run = {self.run} AND NOT deleted AND body IS NOT NULL"
        return self._queue(live, f"{live} AND NOT waits")

    def _queue(self, of_companies: str, of_contacts: str) -> Queue:
        execute = self._connection.execute
        execute("DROP TABLE IF EXISTS temp.queue")
        execute("CREATE TEMP TABLE queue (place INTEGER PRIMARY KEY, company TEXT, contact INTEGER)")
        # By company, and each company's own entry before those of its contacts; what has no company comes last.
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

    def entries(self) -> Iterator[Entry]:
        """Yield what has been lined up; what is marked meanwhile does not disturb."""
        place, company = 0, None
        while rows := self._fetch(place):
            for place, key, number, contact_key, body in rows:  # noqa: B007 - the last one is where to go on
                if key is None:
                    company = None
                elif company is None or company.key != key:
                    company = self._company(key)
                yield Entry(company, None if number is None else Part(number, contact_key, body))

    def _fetch(self, place: int) -> list[tuple[Any, ...]]:
        """Return some of what has been lined up behind a place."""
        cursor = self._connection.execute(
            """
            SELECT queue.place, queue.company, contacts.number, contacts.key, contacts.body
            FROM queue LEFT JOIN contacts ON contacts.number = queue.contact
            WHERE queue.place > ? ORDER BY queue.place LIMIT ?
            """,
            (place, _FETCHED),
        )
        rows, size = [], 0
        for row in cursor:
            rows.append(row)
            size += len(row[-1] or b"")
            if size >= _FETCHED_BYTES:
                break
        # What follows may change what is being read.
        cursor.close()
        return rows

    def _company(self, key: str) -> Part:
        row = self._connection.execute("SELECT number, key, body FROM companies WHERE key = ?", (key,)).fetchone()
        return Part(*row)

    # What became of it.

    def mark_sending(self, entries: Iterable[Entry]) -> None:
        """Note that nobody knows any more what Daktela has of these, until it has answered."""
        # What has been sent before and not been answered stays unknown, whatever comes of sending it again.
        self._mark(_IN_DOUBT)
        contacts: list[int] = []
        companies: dict[int, None] = {}
        for entry in entries:
            if entry.contact is not None:
                contacts.append(entry.contact.number)
            if entry.company is not None:
                companies[entry.company.number] = None
        for table, numbers in (("contacts", contacts), ("companies", list(companies))):
            # As one value, which is four times as fast as a statement for each.
            query = f"INSERT OR IGNORE INTO sent_{table} SELECT value FROM json_each(?)"  # noqa: S608 - as above
            self._connection.execute(query, (encode(numbers).decode(),))
        self.commit()

    def mark_refused(self) -> None:
        """Note that Daktela has certainly refused what has been sent."""
        self._mark(_REFUSED)
        self.commit()

    def mark_accepted(self) -> None:
        """Note that Daktela has what has been sent as it is.

        It is durable with what is sent next, or with `commit`: a crash before only has it sent once more.
        """
        self._mark(_ACCEPTED)

    def _mark(self, changes: Mapping[str, str]) -> None:
        for table, change in changes.items():
            query = f"UPDATE {table} SET {change} WHERE number IN (SELECT number FROM sent_{table})"  # noqa: S608 - as above
            self._connection.execute(query)
            self._connection.execute(f"DELETE FROM sent_{table}")  # noqa: S608 - as above

    def stream_of(self, part: Part, *, is_contact: bool) -> str:
        """Return the name of the stream that a contact or company came from last."""
        table = "contacts" if is_contact else "companies"
        query = f"SELECT stream FROM {table} WHERE number = ?"  # noqa: S608 - as above
        return str(self._connection.execute(query, (part.number,)).fetchone()[0])

    # Deleting.

    def load(self) -> Load:
        """Return what came in the last run."""
        query = f"""
            SELECT coalesce(sum(here AND NOT waits), 0), coalesce(sum(waits AND NOT deleted), 0),
                   coalesce(sum(known > 0), 0), coalesce(sum(known > 0 AND NOT here), 0)
            FROM (SELECT *, run = {self.run} AND NOT deleted AND body IS NOT NULL AS here FROM contacts)
        """  # noqa: S608 - a number
        return Load(*self._connection.execute(query).fetchone())

    def missing_streams(self, is_mapped: Callable[[str], bool]) -> list[str]:
        """Return the mapped streams that an earlier run had and the last one did not."""
        rows = self._connection.execute("SELECT name FROM streams WHERE run < ? ORDER BY name", (self.run,))
        return [name for (name,) in rows if is_mapped(name)]

    def doubt_everything(self) -> None:
        """Count everything as undelivered: nobody knows what a delivery with `delete` has left."""
        self._connection.execute("UPDATE contacts SET delivered = NULL")
        self._connection.execute("UPDATE companies SET delivered = NULL")
        self.set("doubt", value=False)
        self.commit()

    def forget_others(self) -> None:
        """Forget what a delivery of the last run's load with `delete` has deleted: all that was not in it.

        What has never been sent stays, to be sent: nobody has deleted that.
        """
        execute = self._connection.execute
        execute("DELETE FROM contacts WHERE deleted OR (run < ? AND known > 0)", (self.run,))
        execute("DELETE FROM links WHERE run < ? OR deleted", (self.run,))
        # Daktela may delete companies as well (daktela-api.md §9, question 23).
        execute(
            """
            DELETE FROM companies
            WHERE deleted OR (run < ? AND key NOT IN (SELECT company FROM contacts WHERE company IS NOT NULL))
            """,
            (self.run,),
        )
        execute(
            """
            UPDATE companies SET delivered = NULL
            WHERE run < ? AND key NOT IN (SELECT company FROM contacts WHERE company IS NOT NULL AND run = ?)
            """,
            (self.run, self.run),
        )
        self.assembly.forget(self.run)

    def undo_doubt(self) -> None:
        """Note that a delivery with `delete` has ended, one way or the other."""
        self.set("doubt", value=False)
        self.commit()

    # For people.

    def counts(self) -> dict[str, int]:
        """Return how many companies and contacts are known, delivered, waiting and deleted."""
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

    def received(self) -> dict[str, int]:
        """Return how many companies and contacts of this run are changed or unchanged.

        And how many contacts that Daktela has it told to be deleted, and how many are on hold, whenever they came.
        """
        came = f"run = {self.run}"
        conditions = {
            "companies": (f"{came} AND {_DUE_COMPANY}", f"{came} AND NOT deleted"),
            "contacts": (
                f"{came} AND {_DUE_CONTACT}",
                f"{came} AND NOT deleted AND NOT waits",
                f"{came} AND {_DELETED}",
                _ON_HOLD,
            ),
        }
        (companies_due, companies), (contacts_due, contacts, deleted, on_hold) = (
            self._connection.execute(
                # Filters are twice as fast as sums of conditions.
                f"SELECT {', '.join(f'count(*) FILTER (WHERE {each})' for each in wanted)} FROM {table}"  # noqa: S608 - as above
            ).fetchone()
            for table, wanted in conditions.items()
        )
        changed = companies_due + contacts_due
        unchanged = companies + contacts - changed
        return {"changed": changed, "unchanged": unchanged, "deleted": deleted, "on_hold": on_hold}

    def examples_on_hold(self, most: int) -> list[str]:
        """Return a few of the contacts on hold, each with the company that it waits for."""
        query = """
            SELECT key, coalesce(own, (SELECT company FROM links WHERE contact = contacts.key AND NOT deleted))
            FROM contacts WHERE waits AND NOT deleted ORDER BY number LIMIT ?
        """
        return [f"{key} of company {company}" for key, company in self._connection.execute(query, (most,))]


def _statements(script: str) -> Iterator[str]:
    """Yield the statements of a script; SQLite runs whole ones only outside of transactions."""
    statement = ""
    for part in script.rstrip().removesuffix(";").split(";"):
        statement += f"{part};"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _connect(path: Path | None) -> sqlite3.Connection:
    """Return a connection that no other process can have beside it; without a path, to a store that vanishes."""
    if path is not None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Made by us, so that nobody else can ever read it; SQLite gives its companions the same mode.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        path.chmod(0o600)
    connection = sqlite3.connect(path or "", timeout=_PATIENCE, isolation_level=None)
    # Of a new file. With SQLite's own 4,096 bytes, a tenth more time is spent on finding pages.
    connection.execute("PRAGMA page_size = 16384")
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    # The lock is taken with the first transaction and held until the end.
    connection.execute("BEGIN EXCLUSIVE")
    connection.execute("COMMIT")
    return connection


def _is_blank(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute("SELECT count(*) = 0 FROM sqlite_master").fetchone()[0])


def explain(path: Path, error: sqlite3.Error) -> str:
    """Return what an error of SQLite means for the person who runs the target."""
    text = str(error)
    if "locked" in text:
        return f"the store {path} is in use by another run: wait for its end"
    if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
        return (
            f"the store {path} is damaged ({text}): restore it from a backup, or move it away and load everything "
            "again (--full-refresh)"
        )
    return f"the store {path} cannot be used: {text}"
