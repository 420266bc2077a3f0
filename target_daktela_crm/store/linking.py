"""Linking: find the company of each contact after the last record has been received.

Contacts may arrive before their company, links last or in between, and companies in an earlier run.
"""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from target_daktela_crm.entities import CompanyInfo
from target_daktela_crm.exact_json import decode, encode
from target_daktela_crm.store.schema import content_hash

if TYPE_CHECKING:
    import sqlite3

_FETCHED_ROWS = 100


class _Candidate(NamedTuple):
    """A link of a contact, with what is known of both ends; flags are 0 or 1 as in SQLite."""

    contact: str
    company: str
    is_primary: int
    is_known: int
    own: str | None
    """The company that the contact's own record names."""
    is_deleted: int
    is_new: int
    """Whether the link was received in the run of the contact's last record on its company, or later."""
    company_info: int
    """`CompanyInfo` of the contact's record."""


def link_contacts(connection: sqlite3.Connection, *, since: int, detach_unknown: bool, unique_ids: bool) -> None:
    """Set the company of every contact, and the names of companies whose own records have none.

    A contact whose company is unknown is put on hold, or has no company with `detach_unknown`. A contact whose
    companies are all deleted has none. Links last received before run number `since` do not count. With
    `unique_ids`, an unknown company with the id of a contact is not a company.
    """
    _name_companies(connection)
    _choose_among_links(connection, since)
    execute = connection.execute
    # Collected in the order in which contacts are stored: an UPDATE with this query would look up each of them.
    execute("CREATE TEMP TABLE moved (number INTEGER PRIMARY KEY, company TEXT, waits INTEGER)")
    execute(
        """
        INSERT INTO moved
        SELECT number, company, waits
        FROM (
            SELECT wanted.number, before, waited,
                   CASE WHEN NOT companies.deleted THEN companies.key END AS company,
                   NOT :detach AND wanted.company IS NOT NULL AND companies.key IS NULL AND NOT (
                       :unique_ids AND wanted.company IN (SELECT key FROM contacts)
                   ) AS waits
            FROM (
                SELECT contacts.number, contacts.company AS before, contacts.waits AS waited,
                       CASE WHEN chosen.contact IS NULL THEN contacts.own ELSE chosen.company END AS company
                FROM contacts LEFT JOIN chosen ON chosen.contact = contacts.key
                WHERE NOT contacts.deleted
            ) AS wanted
            LEFT JOIN companies ON companies.key = wanted.company
        )
        WHERE company IS NOT before OR waits IS NOT waited
        """,
        {"detach": detach_unknown, "unique_ids": unique_ids},
    )
    execute(
        """
        UPDATE contacts SET company = moved.company, waits = moved.waits
        FROM moved WHERE contacts.number = moved.number
        """
    )
    execute("DROP TABLE moved")


def _name_companies(connection: sqlite3.Connection) -> None:
    """Give companies whose own records have no name the name in their contacts' records."""
    query = """
        SELECT number, body, name FROM companies JOIN company_names ON company = key
        WHERE number > ? AND nameless AND body IS NOT NULL ORDER BY number LIMIT ?
    """
    last = -1
    while rows := connection.execute(query, (last, _FETCHED_ROWS)).fetchall():
        named = [(encode({**decode(body), "name": name}), number) for number, body, name in rows]
        changed = [
            (new, content_hash(new), number)
            for (new, number), row in zip(named, rows, strict=True)
            if new != row[1]
        ]
        connection.executemany(
            """
            UPDATE companies SET confirmed = iif(delivered IS NULL OR delivered IS NOT hash, confirmed, body),
                confirmed_columns = iif(delivered IS NULL OR delivered IS NOT hash, confirmed_columns, columns),
                body = ?, hash = ?
            WHERE number = ?
            """,
            changed,
        )
        last = rows[-1][0]


def _choose_among_links(connection: sqlite3.Connection, since: int) -> None:
    """Fill the table `chosen` with the company of each contact that has links."""
    connection.execute(
        "CREATE TEMP TABLE IF NOT EXISTS chosen (contact TEXT PRIMARY KEY, company TEXT) WITHOUT ROWID"
    )
    connection.execute("DELETE FROM chosen")
    rows = connection.execute(
        """
        SELECT links.contact, links.company, links.main, companies.key IS NOT NULL, contacts.own,
               coalesce(companies.deleted, 0), links.run >= coalesce(contacts.own_run, 0), contacts.tells
        FROM links
        JOIN contacts ON contacts.key = links.contact AND NOT contacts.deleted
        LEFT JOIN companies ON companies.key = links.company
        WHERE NOT links.deleted AND links.run >= ?
        ORDER BY links.contact, links.run DESC, links.modified DESC, links.number DESC
        """,
        (since,),
    )
    links = map(_Candidate._make, rows)
    chosen = ((contact, _choose(connection, list(several))) for contact, several in groupby(links, itemgetter(0)))
    connection.executemany("INSERT INTO chosen VALUES (?, ?)", chosen)


def _choose(connection: sqlite3.Connection, links: list[_Candidate]) -> str | None:
    own, info = links[0].own, links[0].company_info
    if info == CompanyInfo.GIVEN_WITHOUT_LINKS:
        links = [link for link in links if link.is_new]
    states = {
        link.company: "deleted" if link.is_deleted else "known" if link.is_known else "unknown" for link in links
    }
    if own is not None and own not in states:
        row = connection.execute("SELECT deleted FROM companies WHERE key = ?", (own,)).fetchone()
        states[own] = "unknown" if row is None else "deleted" if row[0] else "known"
    has_none = own is None and info >= CompanyInfo.GIVEN
    candidates = [(link.company, bool(link.is_primary), bool(link.is_new)) for link in links]
    return choose_company(own, candidates, states, has_none=has_none)


def choose_company(
    own: str | None, links: list[tuple[str, bool, bool]], states: dict[str, str], *, has_none: bool = False
) -> str | None:
    """Return the company of a contact: a primary link first, then its own company, then its first link.

    Args:
        own: The company that the contact's own record names.
        links: Of each link: company, whether it is primary, whether it is as new as the contact's record. The
            newest first.
        states: For each company, whether it is `known`, `unknown` or `deleted`. Deleted ones do not count, and
            links that are not primary come last if they are to unknown ones.
        has_none: Whether the contact's own record says that there is no company. An older primary link then does
            not count, since few taps report deleted links.

    Returns:
        The key of the company, or None if there is none.
    """
    newest = [company for company, is_primary, is_new in links if is_primary and is_new]
    older = [company for company, is_primary, is_new in links if is_primary and not is_new and not has_none]
    others = [company for company, is_primary, _ in links if not is_primary]
    others.sort(key=lambda company: states[company] == "unknown")
    candidates = [*newest, *([own] if own is not None else []), *older, *others]
    return next((company for company in candidates if states[company] != "deleted"), None)
