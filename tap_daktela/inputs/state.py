"""Read bookmarks of a Singer state, which may have been edited or merged by hand. Pure.

The tap writes a bookmark for each stream and instance: a partition whose context is `{"server": …}`, and an
instant in UTC. Where a state is ambiguous, the reading counts that makes a run read more.
"""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_LARGEST_OFFSET = timedelta(hours=14)
"""By how much local time is ahead of UTC at most."""


def read_bookmark(value: object) -> datetime:
    """Return the instant that a bookmark means, in UTC, at least that of year 1 and at most that of year 9999.

    Without an offset it may be UTC or local time anywhere, and the earliest of these instants counts.

    Raises:
        ValueError: it is not a date or datetime of ISO 8601.
    """
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not a text")  # noqa: TRY004 - one kind of error for all values
    moment = datetime.fromisoformat(value)
    try:
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
        return moment.replace(tzinfo=UTC) - _LARGEST_OFFSET
    except OverflowError:
        first = datetime.min.replace(tzinfo=UTC)
        return first if moment.year == first.year else datetime.max.replace(tzinfo=UTC)


def merge_partitions(state: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return a state without duplicate partitions, and a line for each stream that had some.

    Of several partitions with the same context, the one with the earliest bookmark remains. One without a bookmark
    says nothing about what has been read, and does not count.
    """
    merged: dict[str, Any] = copy.deepcopy(dict(state))
    lines = []
    for stream, bookmarks in merged.get("bookmarks", {}).items():
        kept: dict[str, dict[str, Any]] = {}
        for partition in bookmarks.get("partitions", []):
            context = json.dumps(partition["context"], sort_keys=True)
            if context in kept:
                lines.append(f"state: {stream} has several bookmarks for {context}; using the earliest")
            if context not in kept or _rank(partition) < _rank(kept[context]):
                kept[context] = partition
        if kept:
            bookmarks["partitions"] = list(kept.values())
    return merged, list(dict.fromkeys(lines))


def _rank(partition: Mapping[str, Any]) -> tuple[int, datetime]:
    """Return what sorts first the partition that makes a run read most; one that cannot be read is reported."""
    value = partition.get("replication_key_value")
    if not value:
        return 2, datetime.max.replace(tzinfo=UTC)
    try:
        return 1, read_bookmark(value)
    except ValueError:
        return 0, datetime.min.replace(tzinfo=UTC)
