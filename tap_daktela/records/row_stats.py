"""What the mapper of rows is configured with, and what it counts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo


@dataclass
class RowStats:
    """What became of a stream's rows of one instance."""

    records: int = 0
    keyless: int = 0
    """Rows left out because a part of their key is null."""
    orphans: Counter[str] = field(default_factory=Counter)
    """Activity type -> rows left out because their item is missing."""
    items: Counter[str] = field(default_factory=Counter)
    """Activity type -> rows with their item."""
    nameless: Counter[str] = field(default_factory=Counter)
    """Relation -> rows that have it without its `name`, which is what missing permissions look like."""
    nameless_entries: Counter[str] = field(default_factory=Counter)
    """List of related objects -> entries left out because they came without their `name`."""
    mismatches: Counter[str] = field(default_factory=Counter)
    """Column -> values that did not fit and became null."""

    @property
    def itemless(self) -> list[str]:
        """The activity types all of whose rows lack their item."""
        return [kind for kind in self.orphans if not self.items[kind]]


@dataclass(frozen=True, kw_only=True)
class InstanceFormat:
    """How the records of one instance are written, in all streams."""

    server: str
    prefix: str
    """The prefix of all keys, empty for none."""
    zone: ZoneInfo
    """The zone of the instance's datetimes."""
    local_datetimes: bool = False
    """Whether datetimes are emitted with the offset of `zone`; otherwise in UTC."""
    nulls_for_mismatches: bool = False
    """Whether a value that does not fit its column becomes null; otherwise it ends the stream."""
