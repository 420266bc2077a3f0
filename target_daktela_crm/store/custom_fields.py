"""Records whose values are rows of other streams: records and rows in, in any order; whole records out.

Some CRMs keep the columns that a customer has added as rows: one stream holds a value a row, another says what the
values mean. Either may come before or after the record, or in another run. So all three are kept, and a record is
put together anew when it or one of its values has come: with a list named after the stream of the values, each
of them with its `definition`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from target_daktela_crm.mapping.values import decode, encode

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from target_daktela_crm.mapping.compiler import CrmMapping, ValueStream
    from target_daktela_crm.mapping.roles import Definition, Value

TABLES = """
-- Records of companies and contacts that have values in other streams; stale until they are put together.
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
_PUT_ORIGINAL = """
INSERT INTO originals VALUES (?, ?, ?, ?, ?, 1)
ON CONFLICT (stream, key) DO UPDATE SET
    record = excluded.record, modified = excluded.modified, run = excluded.run, stale = 1
WHERE run < excluded.run OR excluded.modified IS NULL OR modified IS NULL OR excluded.modified >= modified
"""
_PUT_VALUE = """
INSERT INTO value_rows (stream, key, owner, definition, record, deleted, run) VALUES (?, ?, ?, ?, ?, 0, ?)
ON CONFLICT (stream, key) DO UPDATE SET
    owner = excluded.owner, definition = excluded.definition, record = excluded.record, deleted = 0,
    run = excluded.run
"""
_DELETE_VALUE = "UPDATE value_rows SET deleted = 1, run = ? WHERE stream = ? AND key = ?"
_FETCHED = 100


class Whole(NamedTuple):
    """A record with its values."""

    stream: str
    record: dict[str, Any]
    run: int
    """The last one in which the record itself came."""


class Assembly:
    """The records and rows that are kept, in a database that has `TABLES`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.execute

    def keep(self, stream: str, key: str, record: dict[str, Any], modified: float | None, run: int) -> None:
        """Take in a record of a company or contact; `stream` is its mapping's name, here and below."""
        self._execute(_PUT_ORIGINAL, (stream, key, encode(record), modified, run))

    def add_value(self, stream: str, value: Value, run: int) -> None:
        """Take in a value."""
        of_value = "SELECT owner FROM value_rows WHERE stream = ? AND key = ?"
        # Of the owner that it had, and of the one that it has.
        self._outdate(of_value, (stream, value.key))
        if value.deleted:
            self._execute(_DELETE_VALUE, (run, stream, value.key))
        else:
            self._execute(_PUT_VALUE, (stream, value.key, value.owner, value.definition, value.record, run))
            self._outdate(of_value, (stream, value.key))

    def add_definition(self, stream: str, definition: Definition) -> None:
        """Take in what values mean; those that it changes the meaning of are put together anew."""
        row = (stream, definition.key)
        known = self._execute("SELECT record FROM definitions WHERE stream = ? AND key = ?", row).fetchone()
        if (None if known is None else known[0]) == definition.record:
            return
        if definition.record is None:
            self._execute("DELETE FROM definitions WHERE stream = ? AND key = ?", row)
        else:
            self._execute("INSERT OR REPLACE INTO definitions VALUES (?, ?, ?)", (*row, definition.record))
        self._outdate("SELECT owner FROM value_rows WHERE definition = ?", (definition.key,))

    def _outdate(self, owners: str, arguments: tuple[str, ...]) -> None:
        self._execute(f"UPDATE originals SET stale = 1 WHERE key IN ({owners})", arguments)  # noqa: S608 - as above

    def assembled(self, mapping: CrmMapping, since: int) -> Iterator[Whole]:
        """Yield what has to be mapped again, whole; records and values that came in the run `since` or later.

        What lacks the values of earlier runs for that stays stale, for the next run that counts them.
        """
        place = ("", "")
        while rows := self._execute(
            """
            SELECT stream, key, record, run FROM originals
            WHERE stale AND (stream, key) > (?, ?) AND run >= ? ORDER BY stream, key LIMIT ?
            """,
            (*place, since, _FETCHED),
        ).fetchall():
            for stream, key, record, run in rows:
                content = decode(record)
                for values in mapping.values_of(stream):
                    content[values.name] = list(self._values(values, key, since))
                yield Whole(stream, content, run)
            place = (rows[-1][0], rows[-1][1])
        if not since:
            self._execute("UPDATE originals SET stale = 0 WHERE stale")

    def _values(self, values: ValueStream, owner: str, since: int) -> Iterator[dict[str, Any]]:
        query = """
            SELECT value_rows.record, definitions.record
            FROM value_rows
            LEFT JOIN definitions ON definitions.stream = ? AND definitions.key = value_rows.definition
            WHERE value_rows.stream = ? AND owner = ? AND NOT deleted AND run >= ? ORDER BY number
        """
        for value, definition in self._execute(query, (values.defined_in, values.name, owner, since)):
            yield {**decode(value), "definition": None if definition is None else decode(definition)}

    def forget(self, run: int) -> None:
        """Forget what came before a run, but for what is still known, with its values."""
        self._execute(
            """
            DELETE FROM originals
            WHERE run < ? AND (stream, key) NOT IN (
                SELECT stream, key FROM contacts UNION SELECT stream, key FROM companies
            )
            """,
            (run,),
        )
        self._execute(
            "DELETE FROM value_rows WHERE run < ? AND owner NOT IN (SELECT key FROM originals WHERE run < ?)",
            (run, run),
        )
