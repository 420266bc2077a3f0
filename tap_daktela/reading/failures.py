"""What a run could not read, and the lines about it at the end of the run.

Each failure is logged when it occurs. The last line of a failed run repeats the reasons, since it may be the only
line that a user sees.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from tap_daktela.records.row_stats import RowStats

_MAX_STREAMS = 3
"""Number of streams that a warning names. It counts the others."""
_MAX_REASONS = 5
"""Number of failures whose reason the last line repeats. It counts the others."""
_MAX_REASON = 1_000
_MAX_SHORT_REASON = 160
"""Maximum characters of a reason: of a single one, and of each of several."""

Part = tuple[str, str]
"""The names of a stream and of an instance."""


def unexpected(error: Exception) -> str:
    """Return the line about an error that is a defect of the tap, without its text, which may contain values."""
    return f"unexpected error ({type(error).__name__}); please report it with the debug log"


@dataclass
class Failures:
    """The streams that were not read completely, by instance."""

    reasons: dict[str, str] = field(default_factory=dict)
    """What failed (`tickets (acme)`, or `acme` for all streams of an instance) -> why."""
    parts: set[Part] = field(default_factory=set)

    def add(self, stream: str, servers: Collection[str], reason: str, *, of_instance: bool = False) -> str:
        """Record a failure, and return the line to log. It is empty if an earlier call has returned that line.

        `of_instance` means that the reason applies to all streams of the instance.
        """
        self.parts.update((stream, server) for server in servers)
        what = ", ".join(servers) if of_instance else f"{stream} ({', '.join(servers)})"
        if what in self.reasons:
            return ""
        self.reasons[what] = reason
        return f"{what}: {reason}"

    def __bool__(self) -> bool:
        """Return whether anything failed."""
        return bool(self.reasons)

    def summary(self, requested: Collection[Part]) -> str:
        """Return one line with what failed and why. `requested` is everything that the run had to read."""
        rest = {*requested} - self.parts
        head = "not everything could be read" if rest else "nothing could be read completely"
        tail = "Everything else is complete. " if rest else ""
        return (
            f"{head}: {self.causes()}. {tail}"
            "The state stops before the missing data, and the next run reads it again"
        )

    def causes(self) -> str:
        """Return what failed and why, shortened to one line of a reasonable length."""
        limit = _MAX_REASON if len(self.reasons) == 1 else _MAX_SHORT_REASON
        shown = [f"{what}: {_shortened(reason, limit)}" for what, reason in self.reasons.items()]
        hidden = f"; and {len(shown) - _MAX_REASONS} more, see above" if len(shown) > _MAX_REASONS else ""
        return f"{'; '.join(shown[:_MAX_REASONS])}{hidden}"


def _shortened(reason: str, limit: int) -> str:
    return textwrap.shorten(reason.rstrip("."), limit, placeholder=" …")


@dataclass
class NamelessRelations:
    """The relations that one instance sent without their name, over all streams of a run."""

    counts: dict[str, dict[str, tuple[int, int]]] = field(default_factory=dict)
    """Relation -> stream -> number of records without the name, number of all records."""
    entries: dict[str, dict[str, int]] = field(default_factory=dict)
    """List of relations -> stream -> number of entries without their name."""

    def add(self, stream: str, stats: RowStats) -> None:
        """Add the counts of a stream."""
        for relation, count in stats.nameless.items():
            # One right covers both `queue` of an activity and `item.queue` of its chat.
            counts = self.counts.setdefault(relation.removeprefix("item."), {})
            counts[stream] = (max(count, counts.get(stream, (0, 0))[0]), stats.records)
        for relation, count in stats.nameless_entries.items():
            self.entries.setdefault(relation, {})[stream] = count

    def take_warnings(self) -> Iterator[str]:
        """Yield one line for each relation, and reset the counts."""
        for relation, counts in self.counts.items():
            places = [f"{stream} ({count:,} of {records:,})" for stream, (count, records) in counts.items()]
            yield (
                f"records came with {relation} but without its name, so its key is null: {_listed(places)}. "
                "The account lacks the right to read it: grant it in Daktela"
            )
        for relation, totals in self.entries.items():
            places = [f"{stream} ({count:,})" for stream, count in totals.items()]
            yield (
                f"entries of {relation} came without their name, so {relation}_name and {relation}_title lack "
                f"them: {_listed(places)}. The account lacks the right to read them: grant it in Daktela"
            )
        self.counts.clear()
        self.entries.clear()


def _listed(places: list[str]) -> str:
    more = f" and {len(places) - _MAX_STREAMS} more streams" if len(places) > _MAX_STREAMS else ""
    return ", ".join(places[:_MAX_STREAMS]) + more
