"""The expected output of the original extractor for a simulated instance, for tests of completeness and parity.

It is written from daktela-api.md §5.2 and §5.3 and uses no code of the tap: tables, columns in their order, keys
with their prefix, orphans, the settle time and `unique_id`. Values are unchanged. `same` compares them with typed
values.
"""

from __future__ import annotations

import hashlib
import json
import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from tests.simulator import Dataset

Row = dict[str, Any]

_ITEM_CALL = (
    "call_time direction answered clid prefix_clid_name did waiting_time ringing_time hold_time duration orig_pos "
    "position disposition_cause disconnection_cause pressed_key missed_call missed_call_time attempts score note"
)
_ITEM_CHAT_BEFORE = "title email wait_time duration answered disconnection time"
_ITEM_CHAT_AFTER = (
    "ip country_code country_name region_code region_name city zip_code time_zone latitude longitude metro_code "
    "queue_title referer"
)


def _paths(text: str, prefix: str = "") -> list[str]:
    return [prefix + name for name in text.split()]


COLUMNS: dict[str, list[str]] = {
    "accounts": _paths("name title survey description deleted"),
    "users": _paths("name title description algo email nps_score backoffice_user deleted"),
    "groups": _paths("name title description type deleted"),
    "pauses": _paths("name title paid type max_duration calculated_from auto_pause deleted"),
    "queues": _paths("name title description type direction deactivated deleted usersCount"),
    "statuses": _paths(
        "name title validation nextcall blacklist_database blacklist_expiration_time color deleted"
    ),
    "templates": _paths("name title description format usingtype content deleted id_template"),
    "tickets": _paths(
        "name title email description stage priority sla_deadtime sla_change sla_notify sla_duration sla_custom "
        "survey survey_offered satisfaction satisfaction_comment reopen deleted created edited first_answer "
        "first_answer_duration closed unread has_attachment isBookmarked"
    ),
    "activities": _paths(
        "name time ticket.name queue.name user.name status.name contact.name record.customFields.hodnoceni "
        "record.customFields.operator record.customFields.id_hovoru title action type survey record priority "
        "description time_wait time_open time_close important status"
    ),
    "activities_call": ["name", "queue.name", "time", "item.id_call", *_paths(_ITEM_CALL, "item.")],
    "activities_email": [
        *_paths("name queue.name time item.name"),
        *_paths("address direction wait_time duration answered text time", "item."),
        "title",
    ],
    "activities_chat": [
        *_paths("name queue.name time"),
        *_paths(_ITEM_CHAT_BEFORE, "item."),
        "item.name",
        *_paths(_ITEM_CHAT_AFTER, "item."),
    ],
}
"""Stream -> the API fields of the original table, in its order."""

ITEMS = {"activities_call": "CALL", "activities_email": "EMAIL", "activities_chat": "CHAT"}
ITEM_KEYS = {"CALL": "id_call", "EMAIL": "name", "CHAT": "name"}
CURSORS = {"tickets": "edited", "activities": "time", **dict.fromkeys(ITEMS, "time")}
DEFAULT = tuple(name for name in COLUMNS if name != "users")
_KEYS = {
    *("name", "ticket.name", "queue.name", "user.name", "status.name", "contact.name"),
    *("item.id_call", "item.name", "item.prefix_clid_name"),
}
_LOCAL_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
_ZONE = ZoneInfo("Europe/Prague")
"""The zone of the simulator's instances, unless a test chooses another."""
_OBJECTS = {"survey", "record", "status", "algo", "id_template"}


def settled(dataset: Dataset, minutes: int = 30) -> str:
    """Return the local time before which records are read, by the clock of the server."""
    now = datetime.fromisoformat(dataset.now) - timedelta(minutes=minutes)
    return now.strftime("%Y-%m-%d %H:%M:%S")


def rows(dataset: Dataset, stream: str, since: str = "", until: str | None = None) -> list[Row]:
    """Return the rows of the server that belong to the table, in any order."""
    until = settled(dataset) if until is None else until
    cursor = CURSORS.get(stream)
    endpoint = "activities" if stream.startswith("activities") else stream
    return [
        row
        for row in dataset.tables[endpoint]
        if (cursor is None or since <= row[cursor] < until)
        and (stream not in ITEMS or row["type"] == ITEMS[stream])
        and not (stream.startswith("activities") and row["type"] in ITEM_KEYS and row["item"] is None)
    ]


def table(dataset: Dataset, stream: str, server: str = "acme") -> list[Row]:
    """Return the original table: its columns with prefixed keys. All other values are those of the server."""
    made = []
    for row in rows(dataset, stream):
        cells = {_column(stream, path): _cell(row, path, server) for path in COLUMNS[stream]}
        cells["server"] = server
        if stream in ITEMS:
            item = cells[f"item_{ITEM_KEYS[ITEMS[stream]]}"]
            cells["unique_id"] = hashlib.md5(f"{cells['activities_name']}-{item}".encode()).hexdigest()  # noqa: S324
        made.append(cells)
    return made


def keys(dataset: Dataset, stream: str, server: str = "acme") -> set[tuple[str, ...]]:
    """Return the primary keys of the rows of the table."""
    return {key(row, stream, server) for row in rows(dataset, stream)}


def key(row: Row, stream: str, server: str = "acme") -> tuple[str, ...]:
    """Return the primary key of a row of the server in the table."""
    name = f"{server}_{row['name']}"
    return (name, f"{server}_{row['item'][ITEM_KEYS[ITEMS[stream]]]}") if stream in ITEMS else (name,)


def same(ours: Any, theirs: Any) -> bool:
    """Return whether a typed value of a record means the same as the value of the server."""
    if theirs is None or ours is None:
        return ours is theirs or (ours is None and str(theirs).startswith("0000-00-00"))
    if isinstance(ours, bool):
        return ours is (theirs in {True, "1", "true"})
    if isinstance(ours, int | float):
        return float(ours) == float(theirs)
    if _LOCAL_TIME.fullmatch(str(theirs)):
        return f"{datetime.fromisoformat(ours).astimezone(_ZONE):%F %T}" == str(theirs)
    return str(ours) == str(theirs).replace("\x00", "")


def _column(stream: str, path: str) -> str:
    return "activities_name" if path == "name" and stream in ITEMS else path.replace(".", "_")


def _cell(row: Row, path: str, server: str) -> Any:
    value: Any = row
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if path in _OBJECTS and isinstance(value, dict):
        return None
    if ".customFields." in path and isinstance(value, list):
        # For several values, the original wrote R's c("a", "b"), which the documentation lists among the
        # differences.
        return (None if not value else value[0]) if len(value) < 2 else json.dumps(value, separators=(",", ":"))
    return f"{server}_{value}" if path in _KEYS and value is not None else value
