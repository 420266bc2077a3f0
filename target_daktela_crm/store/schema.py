"""The store's SQLite file: connection, tables, and upgrades from earlier versions."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from hashlib import blake2b
from typing import TYPE_CHECKING

from target_daktela_crm.private_file import open_private

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VERSION = 4
"""Version of the tables below, kept in SQLite's `user_version`."""

LOCK_TIMEOUT_SECONDS = 1.0
"""How long to wait for another run that is about to end."""

CUSTOM_FIELD_TABLES = """
-- Records of companies and contacts whose custom values are in other streams; stale until they are mapped again.
CREATE TABLE originals (
    stream TEXT NOT NULL,
    key TEXT NOT NULL,
    record BLOB NOT NULL,
    modified REAL,
    run INTEGER NOT NULL,
    stale INTEGER NOT NULL,
    PRIMARY KEY (stream, key)
) WITHOUT ROWID;
CREATE INDEX originals_key ON originals (key);
CREATE INDEX originals_stale ON originals (stream, key) WHERE stale;
CREATE TABLE value_rows (
    number INTEGER PRIMARY KEY,
    stream TEXT NOT NULL,
    key TEXT NOT NULL,
    owner TEXT NOT NULL,
    definition TEXT,
    record BLOB NOT NULL,
    deleted INTEGER NOT NULL,
    run INTEGER NOT NULL,
    UNIQUE (stream, key)
);
CREATE INDEX value_rows_owner ON value_rows (owner);
CREATE INDEX value_rows_definition ON value_rows (definition);
CREATE TABLE definitions (
    stream TEXT NOT NULL,
    key TEXT NOT NULL,
    record BLOB NOT NULL,
    PRIMARY KEY (stream, key)
) WITHOUT ROWID;
"""
_VERSION_1 = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
-- Names in lower case of the streams received so far, each with the last run that received records of it.
CREATE TABLE streams (name TEXT PRIMARY KEY, run INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE companies (
    number INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    body BLOB,              -- JSON object in the request, without `contacts`; null if only a deletion was received
    hash BLOB,              -- of the body
    modified REAL,
    deleted INTEGER NOT NULL,
    run INTEGER NOT NULL,   -- the last run that received a record of it
    stream TEXT NOT NULL,
    delivered BLOB          -- hash of the body that Daktela has; null if it has none, or if that is unknown
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
    tells INTEGER NOT NULL,              -- CompanyInfo of the last record
    company TEXT,                        -- key of the contact's company, after all links are considered
    waits INTEGER NOT NULL DEFAULT 0,    -- whether the contact is on hold, since that company is unknown
    delivered_company TEXT,
    known INTEGER NOT NULL DEFAULT 0     -- 1 if Daktela has ever accepted it, 2 if it may have
);
CREATE TABLE links (
    number INTEGER PRIMARY KEY,
    stream TEXT NOT NULL,
    key TEXT NOT NULL,
    contact TEXT NOT NULL,
    company TEXT NOT NULL,
    main INTEGER NOT NULL,               -- whether it is marked as primary
    deleted INTEGER NOT NULL,
    run INTEGER NOT NULL,
    UNIQUE (stream, key)
);
CREATE INDEX links_contact ON links (contact);
"""
_VERSION_2 = f"""
ALTER TABLE companies ADD COLUMN nameless INTEGER NOT NULL DEFAULT 0; -- whether its own record has no name
-- Names of companies in the records of their contacts.
CREATE TABLE company_names (company TEXT PRIMARY KEY, name TEXT NOT NULL) WITHOUT ROWID;
{CUSTOM_FIELD_TABLES}
"""
_VERSION_3 = """
-- Numbers of the rows in the request that is being sent. What Daktela has of them is unknown until it answers.
CREATE TABLE sent_contacts (number INTEGER PRIMARY KEY);
CREATE TABLE sent_companies (number INTEGER PRIMARY KEY);
"""
_VERSION_4 = """
ALTER TABLE contacts ADD COLUMN own_run INTEGER; -- the last run that received a record which says its company
UPDATE contacts SET own_run = run WHERE tells;
ALTER TABLE links ADD COLUMN modified REAL;
-- Not sent until the CRM sends it again: 1, or 2 if `when` has excluded it in this run.
ALTER TABLE companies ADD COLUMN withheld INTEGER NOT NULL DEFAULT 0;
ALTER TABLE contacts ADD COLUMN withheld INTEGER NOT NULL DEFAULT 0;
-- Whether Daktela has refused its content.
ALTER TABLE companies ADD COLUMN refused INTEGER NOT NULL DEFAULT 0;
ALTER TABLE contacts ADD COLUMN refused INTEGER NOT NULL DEFAULT 0;
-- The body that Daktela has accepted last, while another one is to be sent.
ALTER TABLE companies ADD COLUMN confirmed BLOB;
-- Earlier versions kept the staged load in the tables above, from which later runs would send it.
UPDATE contacts SET withheld = 1 WHERE delivered IS NOT hash AND run = (
    SELECT json_extract(value, '$.run') FROM meta WHERE key = 'stage' AND NOT json_extract(value, '$.delivered')
);
UPDATE companies SET withheld = 1 WHERE delivered IS NOT hash AND run = (
    SELECT json_extract(value, '$.run') FROM meta WHERE key = 'stage' AND NOT json_extract(value, '$.delivered')
);
DELETE FROM meta WHERE key = 'stage' AND NOT json_extract(value, '$.delivered');
-- JSON object: the last known values of the columns that the mapping reads.
ALTER TABLE companies ADD COLUMN columns BLOB;
ALTER TABLE contacts ADD COLUMN columns BLOB;
ALTER TABLE companies ADD COLUMN confirmed_columns BLOB; -- those of the confirmed body
-- The first run that received its content.
ALTER TABLE companies ADD COLUMN first_run INTEGER;
ALTER TABLE contacts ADD COLUMN first_run INTEGER;
-- Another stream with a record of the same id, if a record of this run has replaced that one.
ALTER TABLE companies ADD COLUMN other_stream TEXT;
ALTER TABLE contacts ADD COLUMN other_stream TEXT;
"""
_UPGRADES = (_VERSION_1, _VERSION_2, _VERSION_3, _VERSION_4)
"""The statements that create each version from the one before it."""


class StoreError(Exception):
    """The store cannot be used; the message contains the reason and what to do."""


def connect(path: Path | None) -> sqlite3.Connection:
    """Return an exclusive connection to the file at `path`, or to a temporary database without a path."""
    if path is not None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Created here with mode 0600. SQLite gives new files beside it the same mode.
        os.close(open_private(path, os.O_RDWR))
        for name in (f"{path.name}-wal", f"{path.name}-journal"):
            with suppress(FileNotFoundError):
                os.close(open_private(path.with_name(name), os.O_RDWR, create=False))
    connection = sqlite3.connect(path or "", timeout=LOCK_TIMEOUT_SECONDS, isolation_level=None)
    # Of a new file. With SQLite's default of 4,096 bytes, looking up pages takes a tenth more time.
    connection.execute("PRAGMA page_size = 16384")
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    # The first transaction takes the lock, and the connection keeps it until it is closed.
    connection.execute("BEGIN EXCLUSIVE")
    connection.execute("COMMIT")
    return connection


def begin_upgraded(connection: sqlite3.Connection, path: Path) -> None:
    """Begin a transaction in which the tables have the current version.

    Raises:
        StoreError: the file is not a store, or is one of a newer version.
        sqlite3.DatabaseError: the file is damaged.
    """
    [version] = connection.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        raise StoreError(
            f"the store {path} was written by a newer version of target-daktela-crm: upgrade this one"
        )
    if version == 0 and not _is_blank(connection):
        raise StoreError(f"{path} is an SQLite database, but no store of target-daktela-crm: see store_path")
    # A damaged store may silently return fewer rows than were written.
    [check] = connection.execute("PRAGMA quick_check(1)").fetchone()
    if check != "ok":
        raise sqlite3.DatabaseError(str(check).splitlines()[-1])
    connection.execute("BEGIN IMMEDIATE")
    # In the transaction, since a dry run rolls it back.
    for statement in _statements("".join(_UPGRADES[version:])):
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {VERSION}")


def _is_blank(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute("SELECT count(*) = 0 FROM sqlite_master").fetchone()[0])


def _statements(script: str) -> Iterator[str]:
    """Yield the statements of a script, since `executescript` would commit the transaction."""
    statement = ""
    for part in script.rstrip().removesuffix(";").split(";"):
        statement += f"{part};"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def describe_sqlite_error(path: Path, error: sqlite3.Error) -> str:
    """Return what an error of SQLite means for the user."""
    text = str(error)
    if "locked" in text:
        return f"the store {path} is in use by another run: wait for its end"
    if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
        return (
            f"the store {path} is damaged ({text}): restore it from a backup, or move it away and load everything "
            "again (--full-refresh)"
        )
    return f"the store {path} cannot be used: {text}"


_EMPTY_HASH = blake2b(digest_size=16)
"""Copied for each hash, since a new object takes longer than hashing a body."""


def content_hash(body: bytes | bytearray) -> bytes:
    """Return the hash by which two versions of a company or contact are compared."""
    state = _EMPTY_HASH.copy()
    state.update(body)
    return state.digest()
