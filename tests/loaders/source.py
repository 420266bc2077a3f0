"""What a warehouse must hold, by the simulator's own rows; nothing of the tap takes part in it.

In: rows as a loader has written them. Out: a line for each row and each cell that is not as in the source.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from tests.tap_daktela import original

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tests.simulator import Dataset

Row = dict[str, Any]

_DATETIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
KEYS: dict[str, tuple[str, ...]] = dict.fromkeys(original.COLUMNS, ("name",)) | {
    "activities_call": ("activities_name", "item_id_call"),
    "activities_email": ("activities_name", "item_name"),
    "activities_chat": ("activities_name", "item_name"),
}


def expected(dataset: Dataset, stream: str, server: str = "acme") -> dict[tuple[str, ...], Row]:
    """Return the rows that a table must have: the original's columns, and of tickets a list and an object."""
    raw = original.rows(dataset, stream)
    cells = original.table(dataset, stream, server)
    if stream == "tickets":
        for row, source in zip(cells, raw, strict=True):
            row["statuses_name"] = [f"{server}_{status['name']}" for status in source["statuses"]]
            row["customFields"] = source["customFields"] or {}
    return {tuple(row[column] for column in KEYS[stream]): row for row in cells}


def differences(
    dataset: Dataset,
    tables: Mapping[str, Iterable[Row]],
    *,
    decode: Callable[[str, str, Any, Any], Any] = lambda _stream, _column, value, _raw: value,
) -> list[str]:
    """Return what of `tables` is not as in the source.

    `decode` returns the value that a cell stands for, of its stream, its column, its value as the loader wrote it,
    and the value in the source. It is a text, number, boolean, list, object, None, or a datetime in ISO 8601, in
    UTC if it has no offset. The value in the source only decides what the loader cannot tell apart.
    """
    found: list[str] = []
    zone = ZoneInfo(dataset.timezone)
    for stream, rows in tables.items():
        wanted = expected(dataset, stream)
        loaded: dict[tuple[str, ...], Row] = {}
        for row in rows:
            key = tuple(row[column] for column in KEYS[stream])
            found += [f"{stream} {key}: twice"] if key in loaded else []
            loaded[key] = row
        found += [f"{stream} {key}: missing" for key in wanted.keys() - loaded.keys()]
        found += [f"{stream} {key}: not in the source" for key in loaded.keys() - wanted.keys()]
        found += [
            f"{stream} {key}: {column} is {value!r}, and {raw!r} in the source"
            for key in wanted.keys() & loaded.keys()
            for column, raw in wanted[key].items()
            if not _is_same(value := decode(stream, column, loaded[key][column], raw), raw, zone)
        ]
    return found


def _is_same(value: Any, raw: Any, zone: ZoneInfo) -> bool:
    if isinstance(raw, (list, dict)):
        return bool(value == raw)
    if isinstance(value, str) and isinstance(raw, str) and _DATETIME.fullmatch(raw):
        return instant(value) == local(raw, zone)
    return original.same(value, raw)


def instant(text: str) -> datetime:
    """Return the instant of a loaded datetime; one without an offset is in UTC."""
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def local(text: str, zone: ZoneInfo) -> datetime:
    """Return the instant of a datetime of the source, which is local."""
    return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)
