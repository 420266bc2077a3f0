"""Staged loads: what a run with `delete_missing` has received, until `--deliver` sends it.

The run replaces rows of the usual tables. Copies of the earlier tables are kept, and the next run restores them
unless the load was delivered, so a load that was only staged leaves no trace.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

IS_CONFIRMED = "delivered IS hash AND delivered IS NOT NULL"
"""Whether Daktela has accepted the body of a company or contact."""
UNCONFIRMED = (
    f"confirmed = iif({IS_CONFIRMED}, body, confirmed), "
    f"confirmed_columns = iif({IS_CONFIRMED}, columns, confirmed_columns), delivered = NULL"
)
"""How a company changes if it is unknown what Daktela has of it."""
_TABLES = (
    *("companies", "contacts", "links", "company_names", "streams"),
    *("originals", "value_rows", "definitions"),
)
"""The tables that a run changes while it receives records."""
_IN_LOAD = "run = :run AND NOT deleted AND NOT withheld AND body IS NOT NULL"
_OF_LOAD_S_CONTACTS = f"""
    key IN (SELECT company FROM contacts WHERE company IS NOT NULL AND {_IN_LOAD} AND NOT waits)
"""  # noqa: S608 - a condition of this module


def keep_tables(connection: sqlite3.Connection) -> None:
    """Keep a copy of all tables that a run changes."""
    for table in _TABLES:
        connection.execute(f"CREATE TABLE before_stage_{table} AS SELECT * FROM {table}")  # noqa: S608 - see _TABLES


def restore_tables(connection: sqlite3.Connection) -> None:
    """Restore the tables from before the staged load, if copies are kept."""
    for table in _kept_tables(connection):
        kept = f"before_stage_{table}"
        names = [name for _, name, *_ in connection.execute(f"PRAGMA table_info({kept})")]
        # By name: an upgrade of the store may have added columns since then.
        columns = ", ".join(names)
        connection.execute(f"DELETE FROM {table}")  # noqa: S608 - see _TABLES
        connection.execute(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM {kept}")  # noqa: S608 - as above
    drop_kept_tables(connection)


def drop_kept_tables(connection: sqlite3.Connection) -> None:
    """Drop the copies, since the staged load replaces what was known before."""
    for table in _kept_tables(connection):
        connection.execute(f"DROP TABLE before_stage_{table}")


def _kept_tables(connection: sqlite3.Connection) -> list[str]:
    known = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    return [table for table in _TABLES if f"before_stage_{table}" in known]


def mark_load_undelivered(connection: sqlite3.Connection, run: int) -> None:
    """Note that it is unknown whether Daktela has accepted the load of run number `run` with `delete`.

    The whole load counts as undelivered. Contacts and companies that it left out may be deleted, so they are not
    sent until the CRM sends them again.
    """
    drop_kept_tables(connection)
    in_load = {
        # The companies first, since they depend on what the contacts are now.
        "companies": f"{_IN_LOAD} OR {_OF_LOAD_S_CONTACTS}",
        "contacts": _IN_LOAD,
    }
    connection.execute(f"UPDATE contacts SET known = 2 WHERE {_IN_LOAD} AND NOT known", {"run": run})  # noqa: S608
    for table, condition in in_load.items():
        unconfirmed = UNCONFIRMED if table == "companies" else "delivered = NULL"
        query = f"UPDATE {table} SET {unconfirmed}, withheld = NOT ({condition})"  # noqa: S608 - see above
        connection.execute(query, {"run": run})


def forget_left_out(connection: sqlite3.Connection, run: int) -> None:
    """Remove all that the delivered load of run number `run` has left out: Daktela does not have it any more."""
    drop_kept_tables(connection)
    named = {"run": run}
    connection.execute("DELETE FROM contacts WHERE deleted OR withheld OR run < :run", named)
    connection.execute("DELETE FROM links WHERE run < :run OR deleted", named)
    # Daktela may delete companies as well (daktela-api.md §9, question 23).
    connection.execute(
        """
        DELETE FROM companies
        WHERE (deleted OR withheld OR run < :run) AND key NOT IN (
            SELECT company FROM contacts WHERE company IS NOT NULL
            UNION SELECT own FROM contacts WHERE own IS NOT NULL
        )
        """,
        named,
    )
