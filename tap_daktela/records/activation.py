"""Decide whether the rows that a run did not read count as deleted in Daktela.

An ACTIVATE_VERSION message makes a loader mark or remove every row of a table that has an older version than the
message. So the message is correct only if the run has written every row that exists. If that is not certain, the
message is withheld, and the reason is logged at the end of the run.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import logging
    from collections.abc import Collection, Iterable, Mapping

UNFINISHED = "was not read completely"
"""Why an instance is incomplete before all of its rows have been read."""


@dataclass
class Activation:
    """Decides which tables of a run are activated, and logs why others are not."""

    unread: Collection[str]
    """The instances that this run does not read but whose rows are in the tables."""
    shared: Collection[str]
    """The tables that several streams write to, in lower case."""
    withheld: dict[str, list[str]] = field(default_factory=dict)
    """Reason -> tables for which no message was written."""

    def permitted(self, tables: Mapping[str, bool], incomplete: Mapping[str, str]) -> list[str]:
        """Return the tables of a stream that contain all existing rows, and store why the others do not.

        `tables` maps each table to whether any record was written to it. `incomplete` maps each instance to
        the reason why its rows may be incomplete, or to an empty text.
        """
        reasons = [f"{server} {reason}" for server, reason in incomplete.items() if reason] + [
            f"the state has bookmarks of {server}, which is not in the configuration. Read all instances of a "
            "table in one run, or remove this instance from the state to have its rows deleted"
            for server in self.unread
        ]
        permitted = []
        for table, is_written in tables.items():
            own = [*reasons]
            if table.lower() in self.shared:
                own.append("stream_maps writes several streams to this table")
            if not is_written and not reasons:
                own.append("stream_maps leaves out all records")
            for reason in own:
                self.withheld.setdefault(reason, []).append(table)
            if not own:
                permitted.append(table)
        return permitted

    def log(self, logger: logging.Logger) -> None:
        """Log one line for each reason why messages were withheld. Later calls do not repeat it."""
        for reason, tables in self.withheld.items():
            logger.warning(
                "no ACTIVATE_VERSION message was written for %s, so rows that were deleted in Daktela stay: %s",
                ", ".join(tables),
                reason,
            )
        self.withheld.clear()


def unread_instances(state: Mapping[str, Any], streams: Collection[str], servers: Collection[str]) -> list[str]:
    """Return the instances that an earlier run has read into `streams` and this run does not read.

    `state` is the tap's Singer state, partitioned by `server`. `servers` are the instances of the configuration.
    """
    found = {
        str(partition["context"].get("server"))
        for stream, bookmark in state.get("bookmarks", {}).items()
        if stream in streams
        for partition in bookmark.get("partitions", [])
    }
    return sorted(found - {*servers})


def shared_tables(tables: Iterable[Iterable[str]]) -> frozenset[str]:
    """Return the tables that several streams write to, in lower case. `tables` contains the tables of each stream.

    Some loaders ignore the case of names, so names that differ only in case are one table.
    """
    counts = Counter(name for names in tables for name in {table.lower() for table in names})
    return frozenset(name for name, count in counts.items() if count > 1)
