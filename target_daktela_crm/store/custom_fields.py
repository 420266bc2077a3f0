"""Records whose custom fields are rows of other streams.

Some CRMs keep the columns that a customer has added as rows: one stream has a row per value, another defines what
the values mean. Each of the three may arrive before or after the others, or in another run. They are all kept, and
a record is mapped again when it or one of its values has changed. Each record then has a list of its values, named
after their stream, and each value has its `definition`.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any, NamedTuple

from target_daktela_crm.exact_json import decode, encode
from target_daktela_crm.store.schema import CUSTOM_FIELD_TABLES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from target_daktela_crm.entities import CustomDefinition, CustomValue
    from target_daktela_crm.mapping.compiled import CrmMapping, ValueStream

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
_FORGET_NEW = """
DELETE FROM originals
WHERE run = ? AND (stream, key) NOT IN (SELECT stream, key FROM contacts UNION SELECT stream, key FROM companies)
"""
_FORGET_OLD = _FORGET_NEW.replace("run = ?", "run < ?")
_FETCHED_ROWS = 100


class CompleteRecord(NamedTuple):
    """A record with its custom values."""

    stream: str
    record: dict[str, Any]
    run_number: int
    """The last run that received the record itself."""


class CustomFields:
    """The kept records, values and definitions, in a database that has `CUSTOM_FIELD_TABLES`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.execute

    @classmethod
    def in_memory(cls) -> CustomFields:
        """Return an instance with a temporary database."""
        connection = sqlite3.connect("", isolation_level=None)
        connection.executescript(CUSTOM_FIELD_TABLES)
        return cls(connection)

    def keep(self, stream: str, key: str, record: dict[str, Any], modified: float | None, run_number: int) -> None:
        """Keep a record of a company or contact; `stream` is the name of its mapping, here and below."""
        self._execute(_PUT_ORIGINAL, (stream, key, encode(record), modified, run_number))

    def add_value(self, stream: str, value: CustomValue, run_number: int) -> None:
        """Keep a value, or mark it as deleted."""
        owner_of_value = "SELECT owner FROM value_rows WHERE stream = ? AND key = ?"
        # The previous owner, and the new one.
        self._mark_stale(owner_of_value, (stream, value.key))
        if value.deleted:
            self._execute(_DELETE_VALUE, (run_number, stream, value.key))
        else:
            self._execute(_PUT_VALUE, (stream, value.key, value.owner, value.definition, value.record, run_number))
            self._mark_stale(owner_of_value, (stream, value.key))

    def add_definition(self, stream: str, definition: CustomDefinition) -> None:
        """Keep a definition, or delete it; if it has changed, the records with its values become stale."""
        row = (stream, definition.key)
        known = self._execute("SELECT record FROM definitions WHERE stream = ? AND key = ?", row).fetchone()
        if (None if known is None else known[0]) == definition.record:
            return
        if definition.record is None:
            self._execute("DELETE FROM definitions WHERE stream = ? AND key = ?", row)
        else:
            self._execute("INSERT OR REPLACE INTO definitions VALUES (?, ?, ?)", (*row, definition.record))
        self._mark_stale("SELECT owner FROM value_rows WHERE definition = ?", (definition.key,))

    def _mark_stale(self, owners: str, arguments: tuple[str, ...]) -> None:
        self._execute(f"UPDATE originals SET stale = 1 WHERE key IN ({owners})", arguments)  # noqa: S608 - as above

    def stale_records(self, mapping: CrmMapping, since: int) -> Iterator[CompleteRecord]:
        """Yield the stale records with their values; only records and values of run number `since` or later.

        If `since` is not 0, the records stay stale: the next run without it maps them again with all values.
        """
        position = ("", "")
        while rows := self._execute(
            """
            SELECT stream, key, record, run FROM originals
            WHERE stale AND (stream, key) > (?, ?) AND run >= ? ORDER BY stream, key LIMIT ?
            """,
            (*position, since, _FETCHED_ROWS),
        ).fetchall():
            for stream, key, record, run_number in rows:
                content = decode(record)
                for values in mapping.values_of(stream):
                    content[values.name] = list(self._values(values, key, since))
                yield CompleteRecord(stream, content, run_number)
            position = (rows[-1][0], rows[-1][1])
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

    def forget_new(self, run_number: int) -> None:
        """Delete records of a run whose companies and contacts are not stored; their values stay."""
        self._execute(_FORGET_NEW, (run_number,))

    def forget_before(self, run_number: int) -> None:
        """Delete records of earlier runs whose companies and contacts are deleted, with their values."""
        self._execute(_FORGET_OLD, (run_number,))
        self._execute(
            "DELETE FROM value_rows WHERE run < ? AND owner NOT IN (SELECT key FROM originals WHERE run < ?)",
            (run_number, run_number),
        )
