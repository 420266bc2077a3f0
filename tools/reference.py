"""Write the reference of streams: contents, joins, and a section for each stream, between the markers of a page.

The page on the original extractor gets a table of the original tables and their streams. The description of a
column contains the stream that it joins ("joins queues.name").
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from tap_daktela.streams.definitions import STREAMS
from tap_daktela.streams.fields import Kind
from tests.tap_daktela import original

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tap_daktela.streams.fields import Field, Stream

WIDTH = 120
DOCS = Path(__file__).parents[1] / "docs"
STREAMS_PAGE = DOCS / "tap" / "streams.md"
EXTRACTOR_PAGE = DOCS / "tap" / "from-the-extractor.md"

BY_NAME = {stream.name: stream for stream in STREAMS}
ITEM_STREAMS = tuple(stream.name for stream in STREAMS if stream.activity_type)
MADE = "\N{EN DASH}"
"""The source of columns that the tap computes."""
ALL_ITEMS = "activities_*"
"""The name for all item streams together."""

_ACTIVITIES = (
    *("activities_call", "activities_email", "activities_chat", "activities", "tickets", "contacts"),
    *("accounts", "ticket_categories"),
)
DIAGRAMS = {
    "joins-activities": _ACTIVITIES,
    "joins-records": tuple(name for name in BY_NAME if name not in {*_ACTIVITIES, *ITEM_STREAMS}),
}
"""Diagram -> the streams whose joins it draws. The other item streams have the same joins as chats."""

TABLES = {
    "activities_call": "activitiesCall",
    "activities_email": "activitiesEmail",
    "activities_chat": "activitiesChat",
}
"""Stream -> table of the original extractor, if the names differ."""

_JOIN = re.compile(r"joins (\w+)\.(\w+)")


@dataclass(frozen=True)
class Join:
    """A column whose value is the key of another row, or a list of such keys."""

    stream: str
    column: str
    target: str
    target_column: str
    is_list: bool

    @property
    def at_most_one(self) -> bool:
        """Whether a key identifies a single row. A call has a row for each of its activities."""
        return BY_NAME[self.target].keys == (self.target_column,)

    @property
    def rows(self) -> tuple[str, str]:
        """Number of rows of the stream with the same key, and number of rows of the target for one value."""
        in_key = self.column in BY_NAME[self.stream].keys
        # An activity has at most one item.
        left = "0..1" if in_key else "n"
        if self.is_list or not self.at_most_one:
            return left, "n"
        return left, "1" if in_key else "0..1"


def joins() -> list[Join]:
    """Return all joins, in the order of the declarations."""
    return [
        Join(stream.name, column.name, match[1], match[2], column.kind is Kind.KEYS)
        for stream in STREAMS
        for column in stream.fields
        if column.kind in {Kind.KEY, Kind.KEYS} and (match := _JOIN.search(column.description))
    ]


def without_stream() -> dict[str, list[str]]:
    """Return the columns that are keys of objects without a stream, each with its streams."""
    joined = {(join.stream, join.column) for join in joins()}
    found: dict[str, list[str]] = {}
    for stream in STREAMS:
        for column in stream.fields:
            is_foreign = column.kind in {Kind.KEY, Kind.KEYS} and column.name not in stream.keys
            if is_foreign and (stream.name, column.name) not in joined:
                found.setdefault(column.name, []).append(stream.name)
    return found


def without_joins() -> list[str]:
    """Return the streams that join no stream and that no stream joins."""
    joined = {name for join in joins() for name in (join.stream, join.target)}
    return [name for name in BY_NAME if name not in joined]


# Contents and sections.


def contents() -> str:
    """Return a row for each stream, with a link to its section."""
    lines = ["| stream | selected by default | replication | content |", "|---|---|---|---|"]
    for stream in STREAMS:
        selected = "yes" if stream.selected_by_default else "no"
        name = f"[`{stream.name}`](#{stream.name})"
        lines.append(f"| {name} | {selected} | {_replication(stream)} | {stream.description} |")
    return "\n".join(lines)


def sections() -> str:
    """Return a section for each stream."""
    return "\n\n".join(section(stream) for stream in STREAMS)


def section(stream: Stream) -> str:
    """Return the section of a stream: its description, its properties, and a row for each column."""
    facts = {
        "key": ", ".join(f"`{key}`" for key in stream.keys),
        "replication": _replication(stream),
        "selected by default": "yes" if stream.selected_by_default else "no",
        "read from": _request(stream),
    }
    return "\n".join(
        [
            f"### `{stream.name}`",
            "",
            textwrap.fill(stream.description, WIDTH, break_on_hyphens=False),
            "",
            "| | |",
            "|---|---|",
            *(f"| {name} | {fact} |" for name, fact in facts.items()),
            "",
            "| column | type | source | meaning |",
            "|---|---|---|---|",
            *(_row(stream, column) for column in stream.fields),
        ]
    )


def _replication(stream: Stream) -> str:
    return f"incremental, `{stream.replication_key}`" if stream.replication_key else "full table"


def _request(stream: Stream) -> str:
    conditions = [f"`type` is `{stream.activity_type}`"] if stream.activity_type else []
    if stream.replication_key:
        conditions.append(f"`{stream.replication_key}` lies in the run's range")
    if stream.closed:
        conditions[-1] += f", or `{stream.closed}` lies in it for older rows"
    where = f", where {' and '.join(conditions)}" if conditions else ", all rows"
    return f"`{stream.endpoint}.json`{where}"


def _row(stream: Stream, column: Field) -> str:
    source = f"`{column.source}`" if column.source else MADE
    meaning = column.description.replace("|", r"\|")
    return f"| `{column.name}` | {_type(stream, column)} | {source} | {meaning} |"


def _type(stream: Stream, column: Field) -> str:
    schema = column.schema(required=column.name in stream.keys)
    name = _not_null(schema["type"])
    if "items" in schema:
        name += f" of {_not_null(schema['items']['type'])}"
    return f"{name}, {schema['format']}" if "format" in schema else name


def _not_null(types: Iterable[str]) -> str:
    [name] = [name for name in types if name != "null"]
    return name


# Joins.


def joins_table() -> str:
    """Return a row for each column that joins a stream."""
    found = sorted(joins(), key=lambda join: (list(BY_NAME).index(join.target), join.target_column))
    lines = ["| this column | of these streams | names |", "|---|---|---|"]
    for (target, name), group in groupby(found, key=lambda join: (join.target, join.target_column)):
        columns: dict[tuple[str, bool], list[str]] = {}
        for join in group:
            columns.setdefault((join.column, join.is_list), []).append(join.stream)
        for (column, is_list), streams in columns.items():
            words = f"`{column}`, a list" if is_list else f"`{column}`"
            lines.append(f"| {words} | {_listed(streams)} | `{target}.{name}` |")
    return "\n".join(lines)


def without_stream_table() -> str:
    """Return a row for each column that is the key of an object without a stream."""
    lines = ["| this column | of these streams |", "|---|---|"]
    lines += [f"| `{column}` | {_listed(streams)} |" for column, streams in without_stream().items()]
    return "\n".join(lines)


def drawn_joins(sources: Iterable[str]) -> list[Join]:
    """Return the joins that the diagram of some streams shows.

    Of an item stream, it shows only the join to its activity, since the other joins repeat those of the activity.
    """
    names = {*sources}
    return [
        join
        for join in joins()
        if join.stream in names and (join.stream not in ITEM_STREAMS or join.target == "activities")
    ]


def _listed(streams: list[str]) -> str:
    """Return the names of streams, with one name for all item streams together."""
    if set(ITEM_STREAMS) <= set(streams):
        streams = [*(name for name in streams if name not in ITEM_STREAMS), ALL_ITEMS]
    return ", ".join(f"`{name}`" for name in streams)


# The original extractor.


def extractor_tables() -> str:
    """Return a row for each table of the original extractor, with its columns in the original order."""
    lines = ["| original table | stream | key | the original's columns, in its order |", "|---|---|---|---|"]
    for name, stream in BY_NAME.items():
        if name not in original.COLUMNS:
            continue
        columns = ", ".join(f"`{column}`" for column in extractor_columns(name))
        keys = ", ".join(f"`{key}`" for key in stream.keys)
        lines.append(f"| `{TABLES.get(name, name)}` | `{name}` | {keys} | {columns} |")
    return "\n".join(lines)


def extractor_columns(name: str) -> list[str]:
    """Return the columns of an original table, except those that the extractor computed."""
    columns = [path.replace(".", "_") for path in original.COLUMNS[name]]
    return ["activities_name", *columns[1:]] if name in original.ITEMS else columns


# The pages.


def parts() -> dict[Path, dict[str, str]]:
    """Return the text between the markers of each page."""
    return {
        STREAMS_PAGE: {
            "contents": contents(),
            "joins": joins_table(),
            "without-joins": _listed(without_joins()),
            "without-stream": without_stream_table(),
            "streams": sections(),
        },
        EXTRACTOR_PAGE: {"tables": extractor_tables()},
    }


def filled(page: Path, text: str) -> str:
    """Return the text of a page with its generated parts.

    Raises: ValueError: the page does not have exactly one place for each part.
    """
    for name, part in parts()[page].items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        text, count = pattern.subn(lambda match, part=part: f"{match[1]}\n{part}\n\n{match[2]}", text)  # type: ignore[misc]
        if count != 1:
            raise ValueError(f"{page.name} has {count} places for its part {name}")
    return text


def files() -> dict[Path, str]:
    """Return the text of each page."""
    return {page: filled(page, page.read_text(encoding="utf-8")) for page in parts()}
